"""The worklist as one query: most urgent first, who waits long climbs, a page at a time whatever is archived."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, case, func, literal, or_, select

from radiolucent.findings.urgency import NONE_ABOVE_THRESHOLD, LevelRow
from radiolucent.store.facts import Facts, ReadingFacts
from radiolucent.store.facts_tables import EngineFactRow, FinishedRow
from radiolucent.store.records import StudyRecord, record
from radiolucent.store.room_tables import ClaimRow, DecisionRow, UrgencyRow
from radiolucent.store.states import READ_STATES
from radiolucent.store.study_tables import ReadingRow, StudyRow
from radiolucent.store.unit_of_work import Work

ROUTINE = 4
"""Where a study stands of which the AI says nothing: among the routine ones, in order of arrival."""
PRIOR = "prior"
"""Source of a study that was fetched to compare another with: nobody waits for it to be read."""
Show = Literal["open", "finished", "all"]
WORDS = {"read": "done", "partly-read": "partly-read", "not-read": "not-read", "failed": "failed"}
"""State of a study → of the AI; `withdrawn` and `kept` keep their names, all else is ``waiting``."""
_AS_THEY_ARE = ("withdrawn", "kept")


@dataclass(frozen=True, kw_only=True)
class Query:
    """What is wanted of the worklist, and by whom.

    Parameters
    ----------
    engines : names of those whose urgency this visitor may see now.
    levels : of the urgency table, for ageing.
    reader : only studies that this account has claimed; empty for all.
    state : of the AI: ``done``, ``partly-read``, ``not-read``, ``waiting``, ``failed``, ``withdrawn``, ``kept``, or "".
    """

    now: datetime
    engines: tuple[str, ...]
    levels: Sequence[LevelRow]
    search: str = ""
    modality: str = ""
    level: int | None = None
    state: str = ""
    reader: str = ""
    show: Show = "open"
    limit: int = 50
    offset: int = 0


@dataclass(frozen=True, kw_only=True)
class Line:
    """One study of the list.

    Parameters
    ----------
    level : set by hand, else of the AI as far as the visitor may see it; None without either.
    order : the level it is ordered at: one that has waited long is lifted.
    facts : of its latest reading that stands; None without one.
    revision : of that reading; 0 without one.
    """

    study: StudyRecord
    level: int | None
    by_hand: bool
    order: int
    reader: str
    decided: bool
    finished: bool
    revision: int = 0
    facts: ReadingFacts | None = None


class Worklist:
    """The worklist of one transaction."""

    def __init__(self, work: Work) -> None:
        self._work, self._session = work, work.session

    def page(self, query: Query) -> tuple[list[Line], int]:
        """The lines of one page, and how many there are on all pages."""
        rows = _rows(query)
        total = self._session.scalar(select(func.count()).select_from(rows.order_by(None).subquery())) or 0
        found = self._session.execute(rows.limit(query.limit).offset(query.offset)).all()
        keys = [(row[0].study_instance_uid, row.revision) for row in found if row.revision]
        facts = Facts(self._work).of(keys)
        lines = [
            Line(
                study=record(StudyRecord, row[0]),
                level=row.level,
                by_hand=row.by_hand is not None,
                order=row.ordered,
                reader=row.reader or "",
                decided=bool(row.decided),
                finished=bool(row.finished),
                revision=row.revision or 0,
                facts=facts.get((row[0].study_instance_uid, row.revision)),
            )
            for row in found
        ]
        return lines, total

    def arrived_since(self, moment: datetime) -> int:
        """How many studies came in after this moment."""
        new = (StudyRow.first_received_at > moment) & (StudyRow.source_kind != PRIOR)
        return self._session.scalar(select(func.count()).where(new)) or 0

    def newest(self) -> datetime | None:
        """When the last study began to come in."""
        return self._session.scalar(select(func.max(StudyRow.first_received_at)))

    def modalities(self) -> list[str]:
        """Every modality there is."""
        joined = self._session.scalars(select(StudyRow.modalities).distinct())
        return sorted({word for words in joined for word in words.split("\\") if word})

    def finish(self, study: str, reader: str, *, now: datetime) -> None:
        """Note that a reader is done with a study, and end their claim."""
        self._session.merge(FinishedRow(study_instance_uid=study, reader=reader, at=now))
        claim = self._session.get(ClaimRow, study)
        if claim is not None and claim.reader == reader:
            self._session.delete(claim)
        self._session.flush()

    def finished(self) -> dict[str, datetime]:
        """Study → when a reader was done with it."""
        return {row.study_instance_uid: row.at for row in self._session.scalars(select(FinishedRow))}

    def reopen(self, study: str) -> bool:
        """Take it back into the open list; False where it was open."""
        row = self._session.get(FinishedRow, study)
        if row is not None:
            self._session.delete(row)
            self._session.flush()
        return row is not None


def ageing(levels: Sequence[LevelRow], level: int) -> list[tuple[int, int]]:
    """After how many minutes a study of this level is ordered at which other level, the longest wait first.

    Two steps of the rule of `findings.urgency.effective_level`, so that a query can apply it.
    """
    steps, minutes = [], 0
    while level > 2 and levels[level - 1].next_level_after_minutes:
        minutes += levels[level - 1].next_level_after_minutes
        level -= 1
        steps.append((minutes, level))
    return steps[::-1]


def _rows(query: Query) -> Select[Any]:
    latest, told, by_hand = _latest(), _told(query.engines), _by_hand()
    level = func.coalesce(by_hand.c.level, told.c.level)
    done = (
        select(DecisionRow.id)
        .where(DecisionRow.study_instance_uid == StudyRow.study_instance_uid)
        .correlate(StudyRow)
        .exists()
    )
    finished = and_(FinishedRow.at.is_not(None), FinishedRow.at >= StudyRow.last_received_at)
    ordered = case(
        *[
            (and_(level == start, StudyRow.first_received_at <= query.now - timedelta(minutes=minutes)), reached)
            for start in range(3, NONE_ABOVE_THRESHOLD + 1)
            for minutes, reached in ageing(query.levels, start)
        ],
        else_=func.coalesce(level, ROUTINE),
    )
    wanted = (
        select(
            StudyRow,
            latest.c.revision.label("revision"),
            level.label("level"),
            by_hand.c.level.label("by_hand"),
            ordered.label("ordered"),
            ClaimRow.reader.label("reader"),
            case((done, 1), else_=0).label("decided"),
            case((finished, 1), else_=0).label("finished"),
        )
        .outerjoin(latest, latest.c.study_instance_uid == StudyRow.study_instance_uid)
        .outerjoin(
            told,
            and_(told.c.study_instance_uid == latest.c.study_instance_uid, told.c.revision == latest.c.revision),
        )
        .outerjoin(by_hand, by_hand.c.study_instance_uid == StudyRow.study_instance_uid)
        .outerjoin(ClaimRow, ClaimRow.study_instance_uid == StudyRow.study_instance_uid)
        .outerjoin(FinishedRow, FinishedRow.study_instance_uid == StudyRow.study_instance_uid)
    )
    wanted = wanted.where(*_filters(query, level, finished))
    return wanted.order_by("ordered", StudyRow.first_received_at, StudyRow.study_instance_uid)


def _filters(query: Query, level: ColumnElement[Any], finished: ColumnElement[bool]) -> list[ColumnElement[bool]]:
    wanted: list[ColumnElement[bool]] = []
    if query.show == "open":
        wanted.append(StudyRow.source_kind != PRIOR)
    if query.show != "all":
        wanted.append(finished if query.show == "finished" else ~func.coalesce(finished, literal(False)))
    if query.search:
        columns = (
            StudyRow.patient_id,
            StudyRow.accession_number,
            StudyRow.description,
            StudyRow.study_instance_uid,
        )
        wanted.append(or_(*[column.icontains(query.search, autoescape=True) for column in columns]))
    if query.modality:
        wanted.append(StudyRow.modalities.contains(query.modality, autoescape=True))
    if query.level is not None:
        wanted.append(level == query.level)
    if query.reader:
        wanted.append(ClaimRow.reader == query.reader)
    if query.state in _AS_THEY_ARE:
        wanted.append(StudyRow.state == query.state)
    elif query.state == "waiting":
        wanted.append(StudyRow.state.not_in((*WORDS, *_AS_THEY_ARE)))
    elif query.state:
        wanted.append(StudyRow.state.in_([state for state, word in WORDS.items() if word == query.state]))
    return wanted


def _latest() -> Any:
    """The latest reading of each study that stands: while a newer revision is read, the earlier one still counts."""
    return (
        select(ReadingRow.study_instance_uid, func.max(ReadingRow.revision).label("revision"))
        .where(ReadingRow.withdrawn_at.is_(None), ReadingRow.state.in_(READ_STATES))
        .group_by(ReadingRow.study_instance_uid)
        .subquery("latest")
    )


def _told(engines: Sequence[str]) -> Any:
    """The level that engines which may be seen give a reading; no row where none of them read it."""
    level = func.min(func.coalesce(EngineFactRow.level, NONE_ABOVE_THRESHOLD)).label("level")
    return (
        select(EngineFactRow.study_instance_uid, EngineFactRow.revision, level)
        .where(EngineFactRow.name.in_(engines), or_(EngineFactRow.level.is_not(None), ~EngineFactRow.failed))
        .group_by(EngineFactRow.study_instance_uid, EngineFactRow.revision)
        .subquery("told")
    )


def _by_hand() -> Any:
    last = select(func.max(UrgencyRow.id)).group_by(UrgencyRow.study_instance_uid)
    return select(UrgencyRow.study_instance_uid, UrgencyRow.level).where(UrgencyRow.id.in_(last)).subquery("by_hand")
