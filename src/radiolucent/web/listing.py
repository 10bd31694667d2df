"""The worklist's lines where there is no store of studies: the same rules as its query, over a folder's readings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from radiolucent.findings.reading import Reading
from radiolucent.findings.urgency import NONE_ABOVE_THRESHOLD
from radiolucent.store.activity import Found, StudyDone
from radiolucent.store.facts import facts_of
from radiolucent.store.records import StudyRecord
from radiolucent.store.room import Room
from radiolucent.store.unit_of_work import Work
from radiolucent.store.worklist import ROUTINE, WORDS, Line, Query, Worklist, ageing


class Told(Protocol):
    """What of a study the list needs; a `web.sources.Summary` has it."""

    @property
    def study_instance_uid(self) -> str: ...
    @property
    def patient_id(self) -> str: ...
    @property
    def study_date(self) -> str: ...
    @property
    def study_time(self) -> str: ...
    @property
    def description(self) -> str: ...
    @property
    def modality(self) -> str: ...
    @property
    def accession_number(self) -> str: ...
    @property
    def received_at(self) -> datetime: ...
    @property
    def state(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def reading(self) -> Reading | None: ...
    @property
    def revision(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class _Kept:
    """What readers did with studies, looked up once for all lines."""

    claims: dict[str, str]
    by_hand: dict[str, int]
    decided: frozenset[str]
    finished: dict[str, datetime]


def listed(summaries: Iterable[Told], work: Work, query: Query) -> tuple[list[Line], int]:
    """The lines of one page and how many there are on all, as `store.worklist.Worklist.page` gives them."""
    room = Room(work)
    kept = _Kept(
        claims=room.claims(),
        by_hand=room.urgencies(),
        decided=room.decided(),
        finished=Worklist(work).finished(),
    )
    lines = [line for one in summaries if _is_wanted(line := _line(one, kept, query), query)]
    lines.sort(key=lambda line: (line.order, line.study.first_received_at, line.study.study_instance_uid))
    return lines[query.offset : query.offset + query.limit], len(lines)


def _line(one: Told, kept: _Kept, query: Query) -> Line:
    uid = one.study_instance_uid
    facts = facts_of(one.reading) if one.reading else None
    seen = [engine for engine in facts.engines if engine.name in query.engines] if facts else []
    levels = [engine.level or NONE_ABOVE_THRESHOLD for engine in seen if engine.level or not engine.failed]
    level = kept.by_hand.get(uid) or min(levels, default=None)
    return Line(
        study=_record(one),
        level=level,
        by_hand=uid in kept.by_hand,
        order=_lifted(level, one.received_at, query) if level else ROUTINE,
        reader=kept.claims.get(uid, ""),
        decided=uid in kept.decided,
        finished=uid in kept.finished and kept.finished[uid] >= one.received_at,
        revision=one.revision if facts else 0,
        facts=facts,
    )


def _lifted(level: int, received_at: datetime, query: Query) -> int:
    minutes = (query.now - received_at).total_seconds() / 60
    return next((reached for needed, reached in ageing(query.levels, level) if minutes >= needed), level)


def _is_wanted(line: Line, query: Query) -> bool:
    one = line.study
    text = "\n".join((one.patient_id, one.accession_number, one.description, one.study_instance_uid)).casefold()
    return (
        (query.show == "all" or line.finished is (query.show == "finished"))
        and (not query.search or query.search.casefold() in text)
        and (not query.modality or query.modality in one.modalities)
        and (query.level is None or line.level == query.level)
        and (not query.reader or line.reader == query.reader)
        and (not query.state or word_of(one.state) == query.state)
    )


def word_of(state: str) -> str:
    """The AI's state, of a study's.

    >>> word_of("read"), word_of("queued"), word_of("withdrawn")
    ('done', 'waiting', 'withdrawn')
    """
    return state if state in ("withdrawn", "kept") else WORDS.get(state, "waiting")


def done_of(one: Told) -> StudyDone:
    """What monitoring needs of a study; when its result came isn't known of a folder."""
    facts = facts_of(one.reading) if one.reading else None
    return StudyDone(
        study_instance_uid=one.study_instance_uid,
        received_at=one.received_at,
        last_received_at=one.received_at,
        state={word: state for state, word in WORDS.items()}.get(one.state, one.state),
        reason=one.reason,
        result_at=None,
        milliseconds=facts.milliseconds if facts else None,
        engines={engine.engine: engine.failed for engine in facts.engines} if facts else {},
    )


def found_in(one: Told) -> list[Found]:
    """Every finding of a study's reading, for monitoring."""
    facts = facts_of(one.reading) if one.reading else None
    return [
        Found(
            study_instance_uid=one.study_instance_uid,
            engine=fact.engine,
            finding=fact.name,
            positive=fact.positive,
            score=fact.score,
            probability=fact.probability,
            at=one.received_at,
        )
        for fact in ((*facts.findings, *facts.below) if facts else ())
    ]


def _record(one: Told) -> StudyRecord:
    states = {word: state for state, word in WORDS.items()}
    return StudyRecord(
        study_instance_uid=one.study_instance_uid,
        patient_id=one.patient_id,
        patient_name="",
        accession_number=one.accession_number,
        study_date=one.study_date,
        study_time=one.study_time,
        description=one.description,
        modalities=one.modality,
        body_parts="",
        priority="live",
        source_kind="",
        calling_ae="",
        partial=False,
        expected_instances=None,
        state=states.get(one.state, "queued"),
        reason=one.reason,
        latest_revision=one.revision,
        first_received_at=one.received_at,
        last_received_at=one.received_at,
    )
