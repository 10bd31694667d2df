"""Questions about a study to PACS and RIS as rows: asked again until answered or given up, and never in vain twice."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from sqlalchemy import select

from radiolucent.store.records import StudyRecord, record
from radiolucent.store.study_tables import StudyRow
from radiolucent.store.unit_of_work import Work
from radiolucent.store.way_tables import QuestionRow

Kind = Literal["priors", "order"]
OPEN: Final = "open"
ANSWERED: Final = "answered"
NOTHING: Final = "nothing"
GIVEN_UP: Final = "given-up"
LATE: Final = "late"
"""Answered, but after the study was read; what follows from that is still to be done."""


@dataclass(frozen=True, kw_only=True)
class QuestionRecord:
    """One question about a study: ``open``, ``answered``, ``late``, ``nothing`` (there is none) or ``given-up``."""

    study_instance_uid: str
    kind: str
    state: str
    attempts: int
    reason: str
    answer: Any
    first_at: datetime
    last_at: datetime
    next_try_at: datetime | None

    def __repr__(self) -> str:  # the answer may name a patient
        return f"QuestionRecord({self.kind} of {self.study_instance_uid}: {self.state})"


class Questions:
    """The questions of one transaction."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def find(self, study_instance_uid: str, kind: Kind) -> QuestionRecord | None:
        """One question, or None where it wasn't asked."""
        row = self._session.get(QuestionRow, (study_instance_uid, kind))
        return _record(row) if row else None

    def of_study(self, study_instance_uid: str) -> tuple[QuestionRecord, ...]:
        """Everything that was asked about a study."""
        wanted = select(QuestionRow).where(QuestionRow.study_instance_uid == study_instance_uid)
        return tuple(_record(row) for row in self._session.scalars(wanted.order_by(QuestionRow.kind)))

    def due(
        self, kind: Kind, *, since: datetime, at: datetime, limit: int = 50, named: bool = True
    ) -> tuple[StudyRecord, ...]:
        """Studies of which this is to be asked now, the latest received first: never asked yet, or to be asked again.

        Parameters
        ----------
        since : studies that came in before, and aren't asked of yet, are left alone. Priors are never asked of.
        named : only those that name a patient.
        """
        of_it = (QuestionRow.study_instance_uid == StudyRow.study_instance_uid) & (QuestionRow.kind == kind)
        never_asked = QuestionRow.kind.is_(None) & (StudyRow.last_received_at >= since)
        again = (QuestionRow.state == OPEN) & (QuestionRow.next_try_at.is_(None) | (QuestionRow.next_try_at <= at))
        wanted = select(StudyRow).outerjoin(QuestionRow, of_it)
        wanted = wanted.where(StudyRow.source_kind != "prior", never_asked | again)
        if named:
            wanted = wanted.where(StudyRow.patient_id != "")
        rows = self._session.scalars(wanted.order_by(StudyRow.last_received_at.desc()).limit(limit))
        return tuple(record(StudyRecord, row) for row in rows)

    def asked(
        self,
        study_instance_uid: str,
        kind: Kind,
        state: str,
        *,
        reason: str = "",
        answer: Any = None,
        at: datetime,
        next_try_at: datetime | None = None,
    ) -> None:
        """Note what a question brought."""
        row = self._session.get(QuestionRow, (study_instance_uid, kind))
        if row is None:
            row = QuestionRow(study_instance_uid=study_instance_uid, kind=kind, attempts=0, first_at=at)
            self._session.add(row)
        row.state, row.reason, row.answer = state, reason[:1000], json.dumps(answer)
        row.last_at, row.next_try_at, row.attempts = at, next_try_at, row.attempts + 1

    def in_state(self, kind: Kind, state: str) -> tuple[QuestionRecord, ...]:
        """All questions of a kind in a state, the oldest first."""
        wanted = select(QuestionRow).where(QuestionRow.kind == kind, QuestionRow.state == state)
        return tuple(_record(row) for row in self._session.scalars(wanted.order_by(QuestionRow.first_at)))


def _record(row: QuestionRow) -> QuestionRecord:
    return QuestionRecord(
        study_instance_uid=row.study_instance_uid,
        kind=row.kind,
        state=row.state,
        attempts=row.attempts,
        reason=row.reason,
        answer=json.loads(row.answer or "null"),
        first_at=row.first_at,
        last_at=row.last_at,
        next_try_at=row.next_try_at,
    )
