"""Deliveries as rows: what is owed to which destination, when it is tried next, and what the destination said."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import func, or_, select

from radiolucent.errors import NoSuchStudy
from radiolucent.store.records import DeliveryRecord, record
from radiolucent.store.study_tables import DeliveryRow, ReadingRow, RevisionRow
from radiolucent.store.unit_of_work import Work

RESULT, WITHDRAWAL = "result", "withdrawal"


class Deliveries:
    """The deliveries of one transaction."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def get(self, delivery_id: int) -> DeliveryRecord:
        """One delivery.

        Raises
        ------
        NoSuchStudy
            If there is none of that number.
        """
        row = self._session.get(DeliveryRow, delivery_id)
        if row is None:
            raise NoSuchStudy(f"there is no delivery {delivery_id}")
        return record(DeliveryRecord, row)

    def owe(
        self, study_instance_uid: str, revision: int, destinations: Iterable[str], *, kind: str = RESULT, at: datetime
    ) -> tuple[DeliveryRecord, ...]:
        """Note what is owed to each destination; what is noted already stays as it is."""
        for destination in destinations:
            if self._find(study_instance_uid, revision, destination, kind) is None:
                self._session.add(
                    DeliveryRow(
                        study_instance_uid=study_instance_uid,
                        revision=revision,
                        destination=destination,
                        kind=kind,
                        created_at=at,
                        next_try_at=at,
                    )
                )
                self._session.flush()
        return self.of_revision(study_instance_uid, revision, kind=kind)

    def of_revision(self, study_instance_uid: str, revision: int, *, kind: str = RESULT) -> tuple[DeliveryRecord, ...]:
        """What a revision owes or owed."""
        wanted = select(DeliveryRow).filter_by(study_instance_uid=study_instance_uid, revision=revision, kind=kind)
        return tuple(record(DeliveryRecord, row) for row in self._session.scalars(wanted.order_by(DeliveryRow.id)))

    def due(self, *, at: datetime, limit: int = 200) -> tuple[DeliveryRecord, ...]:
        """Deliveries whose next try is due, the longest due first."""
        wanted = select(DeliveryRow).where(
            DeliveryRow.state == "waiting", or_(DeliveryRow.next_try_at.is_(None), DeliveryRow.next_try_at <= at)
        )
        rows = self._session.scalars(wanted.order_by(DeliveryRow.next_try_at, DeliveryRow.id).limit(limit))
        return tuple(record(DeliveryRecord, row) for row in rows)

    def sending(self) -> tuple[DeliveryRecord, ...]:
        """Deliveries that a worker has in hand, or had when it died."""
        return tuple(
            record(DeliveryRecord, row)
            for row in self._session.scalars(select(DeliveryRow).where(DeliveryRow.state == "sending"))
        )

    def under_way(self, study_instance_uid: str, destination: str, *, besides: int) -> bool:
        """Whether a worker hands an earlier result of the study over to the destination at this moment."""
        wanted = select(DeliveryRow.id).where(
            DeliveryRow.study_instance_uid == study_instance_uid,
            DeliveryRow.destination == destination,
            DeliveryRow.state == "sending",
            DeliveryRow.id < besides,
        )
        return self._session.scalars(wanted.limit(1)).one_or_none() is not None

    def sent_before(self, study_instance_uid: str, revision: int) -> tuple[int, ...]:
        """Earlier revisions whose result some destination holds, or may hold: a try whose end isn't known counts."""
        wanted = select(DeliveryRow.revision).where(
            DeliveryRow.study_instance_uid == study_instance_uid,
            DeliveryRow.revision < revision,
            DeliveryRow.kind == RESULT,
            DeliveryRow.attempts > 0,
        )
        return tuple(sorted(set(self._session.scalars(wanted))))

    def standing(self, deliveries: Iterable[DeliveryRecord]) -> dict[int, tuple[str, int | None]]:
        """Priority of the reading and its urgency, by the delivery's id."""
        ids = [one.id for one in deliveries]
        same = (RevisionRow.study_instance_uid == DeliveryRow.study_instance_uid) & (
            RevisionRow.number == DeliveryRow.revision
        )
        read = (ReadingRow.study_instance_uid == DeliveryRow.study_instance_uid) & (
            ReadingRow.revision == DeliveryRow.revision
        )
        wanted = (
            select(DeliveryRow.id, RevisionRow.priority, ReadingRow.urgency)
            .join(RevisionRow, same)
            .outerjoin(ReadingRow, read)
            .where(DeliveryRow.id.in_(ids))
        )
        return {found: (priority, urgency) for found, priority, urgency in self._session.execute(wanted)}

    def take(self, delivery_id: int) -> DeliveryRecord:
        """Begin a try: counts it. A delivery that isn't waiting stays as it is."""
        row = self._session.get_one(DeliveryRow, delivery_id)
        if row.state == "waiting":
            row.state, row.attempts = "sending", row.attempts + 1
        self._session.flush()
        return record(DeliveryRecord, row)

    def offered(self, delivery_id: int, *, until: datetime) -> None:
        """A queue holds its next try: it isn't due again before `until`, unless a worker says so."""
        row = self._session.get_one(DeliveryRow, delivery_id)
        if row.state == "waiting":
            row.next_try_at = until

    def delivered(self, delivery_id: int, *, receipt: str, at: datetime) -> None:
        """The destination has it."""
        row = self._session.get_one(DeliveryRow, delivery_id)
        row.state, row.receipt, row.reason, row.finished_at, row.next_try_at = "delivered", receipt, "", at, None

    def try_again(self, delivery_id: int, *, reason: str, next_try_at: datetime) -> None:
        """It didn't work this time."""
        row = self._session.get_one(DeliveryRow, delivery_id)
        row.state, row.reason, row.next_try_at = "waiting", reason, next_try_at

    def give_up(self, delivery_id: int, *, reason: str, at: datetime) -> None:
        """Into the dead letters: a person must look, and can queue it again."""
        row = self._session.get_one(DeliveryRow, delivery_id)
        row.state, row.reason, row.finished_at, row.next_try_at = "dead", reason, at, None

    def cancel(self, study_instance_uid: str, *, before_revision: int, reason: str, at: datetime) -> int:
        """Cancel results of earlier revisions that weren't sent yet. Returns how many."""
        wanted = select(DeliveryRow).where(
            DeliveryRow.study_instance_uid == study_instance_uid,
            DeliveryRow.revision < before_revision,
            DeliveryRow.kind == RESULT,
            DeliveryRow.state.in_(("waiting", "dead")),
        )
        rows = list(self._session.scalars(wanted))
        for row in rows:
            row.state, row.reason, row.finished_at, row.next_try_at = "cancelled", reason, at, None
        return len(rows)

    def was_delivered(self, study_instance_uid: str, revision: int, destination: str) -> bool:
        """Whether the destination holds this revision's result, or may: a try whose end isn't known counts."""
        found = self._find(study_instance_uid, revision, destination, RESULT)
        return found is not None and (found.state in ("delivered", "sending") or found.attempts > 0)

    def requeue(self, *, at: datetime, study_instance_uid: str = "", destination: str = "") -> int:
        """Try dead letters again, all or those of a study or destination: owed anew from now on. Returns how many."""
        wanted = select(DeliveryRow).where(DeliveryRow.state == "dead")
        if study_instance_uid:
            wanted = wanted.where(DeliveryRow.study_instance_uid == study_instance_uid)
        if destination:
            wanted = wanted.where(DeliveryRow.destination == destination)
        rows = list(self._session.scalars(wanted))
        for row in rows:
            row.state, row.next_try_at, row.finished_at = "waiting", at, None
            row.created_at = at  # else the next failure, however short, would make it a dead letter again
        return len(rows)

    def counts(self) -> dict[str, int]:
        """How many deliveries are in each state."""
        counted = self._session.execute(select(DeliveryRow.state, func.count()).group_by(DeliveryRow.state))
        return {state: number for state, number in counted}

    def by_destination(self) -> dict[str, dict[str, int]]:
        """Destination → how many of its deliveries are in each state."""
        counted = select(DeliveryRow.destination, DeliveryRow.state, func.count())
        found: dict[str, dict[str, int]] = {}
        for destination, state, number in self._session.execute(
            counted.group_by(DeliveryRow.destination, DeliveryRow.state).order_by(DeliveryRow.destination)
        ):
            found.setdefault(destination, {})[state] = number
        return found

    def dead(self, *, limit: int = 100) -> tuple[DeliveryRecord, ...]:
        """The dead letters, the latest first."""
        wanted = select(DeliveryRow).where(DeliveryRow.state == "dead").order_by(DeliveryRow.id.desc()).limit(limit)
        return tuple(record(DeliveryRecord, row) for row in self._session.scalars(wanted))

    def _find(self, study_instance_uid: str, revision: int, destination: str, kind: str) -> DeliveryRow | None:
        return self._session.scalars(
            select(DeliveryRow).filter_by(
                study_instance_uid=study_instance_uid, revision=revision, destination=destination, kind=kind
            )
        ).one_or_none()
