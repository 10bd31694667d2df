"""What a gateway did in a while: studies with their times and ends, and what the quality gate let through."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, func, select

from radiolucent.store.facts import ReadingFacts
from radiolucent.store.facts_tables import EngineFactRow, FindingFactRow, ReadingFactsRow
from radiolucent.store.study_tables import DeliveryRow, ReadingRow, RevisionRow, StudyRow
from radiolucent.store.unit_of_work import Work


@dataclass(frozen=True, kw_only=True)
class StudyDone:
    """One study that came in.

    Parameters
    ----------
    state : of the study, as `store.states.STUDY_STATES` has it.
    reason : why it has no (whole) result, in words.
    result_at : when its latest revision ended; None while it is under way.
    milliseconds : that engines took; None without a reading.
    engines : label → whether it broke off, of those that its latest reading names.
    """

    study_instance_uid: str
    received_at: datetime
    last_received_at: datetime
    state: str
    reason: str
    result_at: datetime | None
    milliseconds: float | None
    engines: dict[str, bool]


@dataclass(frozen=True, kw_only=True)
class GateCount:
    """How often the gate decided so on the map of one finding of one engine."""

    engine: str
    finding: str
    decision: str
    number: int


@dataclass(frozen=True, kw_only=True)
class Found:
    """One finding of a reading, positive or not, with the time at which it was made."""

    study_instance_uid: str
    engine: str
    finding: str
    positive: bool
    score: float
    probability: float | None
    at: datetime


class Activity:
    """The activity of one transaction."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def studies(self, since: datetime) -> list[StudyDone]:
        """Every study that came in since then."""
        of_revision = and_(
            RevisionRow.study_instance_uid == StudyRow.study_instance_uid,
            RevisionRow.number == StudyRow.latest_revision,
        )
        of_reading = and_(
            ReadingFactsRow.study_instance_uid == StudyRow.study_instance_uid,
            ReadingFactsRow.revision == StudyRow.latest_revision,
        )
        wanted = (
            select(
                StudyRow.study_instance_uid,
                StudyRow.first_received_at,
                StudyRow.last_received_at,
                StudyRow.state,
                StudyRow.reason,
                ReadingFactsRow.reason,
                RevisionRow.finished_at,
                ReadingFactsRow.milliseconds,
            )
            .outerjoin(RevisionRow, of_revision)
            .outerjoin(ReadingFactsRow, of_reading)
            .where(StudyRow.first_received_at >= since)
        )
        engines = self._engines(since)
        return [
            StudyDone(
                study_instance_uid=uid,
                received_at=first,
                last_received_at=last,
                state=state,
                reason=why or unread or "",
                result_at=finished,
                milliseconds=milliseconds,
                engines=engines.get(uid, {}),
            )
            for uid, first, last, state, why, unread, finished, milliseconds in self._session.execute(wanted)
        ]

    def gate(self, since: datetime) -> list[GateCount]:
        """What the quality gate decided in the readings since then, by engine and finding."""
        of_reading = and_(
            FindingFactRow.study_instance_uid == ReadingRow.study_instance_uid,
            FindingFactRow.revision == ReadingRow.revision,
        )
        wanted = (
            select(FindingFactRow.engine, FindingFactRow.name, FindingFactRow.gate, func.count())
            .join(ReadingRow, of_reading)
            .where(ReadingRow.made_at >= since, FindingFactRow.gate != "")
            .group_by(FindingFactRow.engine, FindingFactRow.name, FindingFactRow.gate)
            .order_by(FindingFactRow.engine, FindingFactRow.name, FindingFactRow.gate)
        )
        return [
            GateCount(engine=engine, finding=finding, decision=decision, number=number)
            for engine, finding, decision, number in self._session.execute(wanted)
        ]

    def found(self, since: datetime) -> list[Found]:
        """Every finding of the readings since then, withdrawn ones too: what readers rejected is withdrawn."""
        of_reading = and_(
            FindingFactRow.study_instance_uid == ReadingRow.study_instance_uid,
            FindingFactRow.revision == ReadingRow.revision,
        )
        wanted = (
            select(
                FindingFactRow.study_instance_uid,
                FindingFactRow.engine,
                FindingFactRow.name,
                FindingFactRow.positive,
                FindingFactRow.score,
                FindingFactRow.probability,
                ReadingRow.made_at,
            )
            .join(ReadingRow, of_reading)
            .where(ReadingRow.made_at >= since)
            .order_by(ReadingRow.made_at)
        )
        return [
            Found(
                study_instance_uid=uid,
                engine=engine,
                finding=name,
                positive=positive,
                score=score,
                probability=probability,
                at=at,
            )
            for uid, engine, name, positive, score, probability, at in self._session.execute(wanted)
        ]

    def deliveries(self, since: datetime) -> dict[str, int]:
        """How many deliveries that were owed since then are in which state."""
        counted = select(DeliveryRow.state, func.count()).where(DeliveryRow.created_at >= since)
        return {state: number for state, number in self._session.execute(counted.group_by(DeliveryRow.state))}

    def _engines(self, since: datetime) -> dict[str, dict[str, bool]]:
        wanted = (
            select(EngineFactRow.study_instance_uid, EngineFactRow.engine, EngineFactRow.failed)
            .join(StudyRow, StudyRow.study_instance_uid == EngineFactRow.study_instance_uid)
            .where(StudyRow.first_received_at >= since, EngineFactRow.revision == StudyRow.latest_revision)
        )
        found: dict[str, dict[str, bool]] = {}
        for study, engine, failed in self._session.execute(wanted):
            found.setdefault(study, {})[engine] = failed
        return found


def gate_counts(readings: Iterable[ReadingFacts]) -> list[GateCount]:
    """The same counts, of readings at hand."""
    counts: dict[tuple[str, str, str], int] = {}
    for one in (finding for facts in readings for finding in facts.findings if finding.gate):
        key = (one.engine, one.name, one.gate)
        counts[key] = counts.get(key, 0) + 1
    return [
        GateCount(engine=engine, finding=finding, decision=decision, number=number)
        for (engine, finding, decision), number in sorted(counts.items())
    ]
