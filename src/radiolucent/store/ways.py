"""Ways in as rows: which of them work, what was fetched from where, and how the last comparison with a PACS ended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from radiolucent.store.records import record
from radiolucent.store.study_tables import InstanceRow
from radiolucent.store.unit_of_work import Work
from radiolucent.store.way_tables import FetchRow, ReconciliationRow, WayRow


@dataclass(frozen=True, kw_only=True)
class WayRecord:
    """One way in and how it fares: ``starting``, ``ok`` or ``failing`` with the reason; `taken` objects so far."""

    name: str
    state: str
    reason: str
    failures: int
    taken: int
    ok_at: datetime | None
    failed_at: datetime | None
    next_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class FetchRecord:
    """One study that was asked of a PACS: ``fetching``, ``fetched`` or ``failed`` with the reason."""

    study_instance_uid: str
    pacs: str
    purpose: str
    state: str
    instances: int | None
    attempts: int
    reason: str
    at: datetime
    next_try_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ReconciliationRecord:
    """One comparison with a PACS; `body` is what `radiolucent study reconcile --json` prints."""

    at: datetime
    pacs: str
    differences: int
    body: dict[str, Any]


class Ways:
    """The ways in of one transaction."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def begin(self, names: Sequence[str]) -> None:
        """At start: these are configured; others are forgotten."""
        known = {row.name: row for row in self._session.scalars(select(WayRow))}
        for name in names:
            if name not in known:
                self._session.add(WayRow(name=name))
            else:
                known[name].state, known[name].reason, known[name].failures = "starting", "", 0
        for name in known.keys() - set(names):
            self._session.delete(known[name])

    def works(self, name: str, *, taken: int = 0, at: datetime) -> None:
        """Note that it works, and how many objects more it took."""
        row = self._session.get_one(WayRow, name)
        row.state, row.reason, row.failures, row.next_at = "ok", "", 0, None
        row.ok_at, row.taken = at, row.taken + taken

    def fails(self, name: str, reason: str, *, at: datetime, next_at: datetime | None) -> None:
        """Note that it failed, and when it is tried again."""
        row = self._session.get_one(WayRow, name)
        if row.state != "failing":
            row.failed_at = at
        row.state, row.reason, row.failures, row.next_at = "failing", reason[:1000], row.failures + 1, next_at

    def list(self) -> tuple[WayRecord, ...]:
        """All of them, by name."""
        return tuple(record(WayRecord, row) for row in self._session.scalars(select(WayRow).order_by(WayRow.name)))


class Fetches:
    """What was fetched from which PACS, as one transaction sees it."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def find(self, study_instance_uid: str, pacs: str) -> FetchRecord | None:
        """One fetch, or None."""
        row = self._session.get(FetchRow, (study_instance_uid, pacs))
        return record(FetchRecord, row) if row else None

    def of_study(self, study_instance_uid: str) -> tuple[FetchRecord, ...]:
        """From which PACS a study was fetched, the latest first."""
        wanted = select(FetchRow).where(FetchRow.study_instance_uid == study_instance_uid).order_by(FetchRow.at.desc())
        return tuple(record(FetchRecord, row) for row in self._session.scalars(wanted))

    def begin(
        self, study_instance_uid: str, pacs: str, *, purpose: str, instances: int | None, at: datetime
    ) -> FetchRecord:
        """Note that a study is about to be fetched; what comes of it now came for this purpose."""
        row = self._session.get(FetchRow, (study_instance_uid, pacs))
        if row is None:
            row = FetchRow(study_instance_uid=study_instance_uid, pacs=pacs, attempts=0)
            self._session.add(row)
        row.purpose, row.state, row.instances, row.at = purpose, "fetching", instances, at
        row.attempts, row.next_try_at = row.attempts + 1, None
        self._session.flush()
        return record(FetchRecord, row)

    def ended(
        self, study_instance_uid: str, pacs: str, *, reason: str = "", next_try_at: datetime | None = None
    ) -> None:
        """Note how it ended: fetched, or failed for a reason and to be tried again."""
        row = self._session.get_one(FetchRow, (study_instance_uid, pacs))
        row.state, row.reason, row.next_try_at = ("failed" if reason else "fetched"), reason[:1000], next_try_at

    def interrupted(self) -> None:
        """At start: whatever was being fetched when the process ended has failed, and may be tried again at once."""
        for row in self._session.scalars(select(FetchRow).where(FetchRow.state == "fetching")):
            row.state, row.reason = "failed", "the gateway ended in the middle of it"

    def held(self, study_instance_uid: str) -> int:
        """How many objects of a study came in; those whose files were removed since count."""
        wanted = select(func.count()).select_from(InstanceRow)
        wanted = wanted.where(InstanceRow.study_instance_uid == study_instance_uid, InstanceRow.state != "conflict")
        return int(self._session.scalar(wanted) or 0)

    def held_by_series(self, study_instance_uid: str) -> dict[str, int]:
        """The same for each series that has any."""
        wanted = select(InstanceRow.series_instance_uid, func.count()).where(
            InstanceRow.study_instance_uid == study_instance_uid, InstanceRow.state != "conflict"
        )
        counted = self._session.execute(wanted.group_by(InstanceRow.series_instance_uid))
        return {series: number for series, number in counted}


class Reconciliations:
    """Comparisons with the PACS, as one transaction sees them."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def add(self, pacs: str, *, differences: int, body: dict[str, Any], at: datetime) -> None:
        """Keep a comparison."""
        self._session.add(ReconciliationRow(at=at, pacs=pacs, differences=differences, body=json.dumps(body)))

    def latest(self) -> tuple[ReconciliationRecord, ...]:
        """The last one of each PACS, by its name."""
        last = select(func.max(ReconciliationRow.id)).group_by(ReconciliationRow.pacs)
        rows = self._session.scalars(
            select(ReconciliationRow).where(ReconciliationRow.id.in_(last)).order_by(ReconciliationRow.pacs)
        )
        return tuple(
            ReconciliationRecord(at=row.at, pacs=row.pacs, differences=row.differences, body=json.loads(row.body))
            for row in rows
        )
