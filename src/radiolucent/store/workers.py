"""Which processes work, and who has been silent for too long."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from radiolucent.store.records import WorkerRecord, record
from radiolucent.store.study_tables import WorkerRow
from radiolucent.store.unit_of_work import Work


class Workers:
    """The processes of one transaction."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def alive(self, executor_id: str, *, host: str, pid: int, role: str, version: str, at: datetime) -> None:
        """Note that a process has begun to work under this name; another process may have had it before."""
        row = self._session.get(WorkerRow, executor_id)
        if row is None:
            row = WorkerRow(executor_id=executor_id, pid=pid, started_at=at, heartbeat_at=at)
            self._session.add(row)
        row.host, row.pid, row.role, row.version = host, pid, role, version
        row.started_at, row.heartbeat_at, row.state = at, at, "alive"

    def heartbeat(self, executor_id: str, *, pid: int, at: datetime) -> bool:
        """Note that it is alive still. False where another process has its name, so that it must stop."""
        row = self._session.get(WorkerRow, executor_id)
        if row is None or row.pid != pid:
            return False
        row.heartbeat_at, row.state = at, "alive"
        return True

    def stopped(self, executor_id: str) -> None:
        """Note that it ended in good order."""
        row = self._session.get(WorkerRow, executor_id)
        if row is not None:
            row.state = "stopped"

    def dead(self, executor_id: str) -> None:
        """Note that it is dead."""
        self._session.get_one(WorkerRow, executor_id).state = "dead"

    def silent(self, *, since: datetime) -> tuple[WorkerRecord, ...]:
        """Processes that count as alive but were last heard of before `since`."""
        wanted = select(WorkerRow).where(WorkerRow.state == "alive", WorkerRow.heartbeat_at < since)
        return tuple(record(WorkerRecord, row) for row in self._session.scalars(wanted))

    def list(self) -> tuple[WorkerRecord, ...]:
        """All of them, by name."""
        rows = self._session.scalars(select(WorkerRow).order_by(WorkerRow.executor_id))
        return tuple(record(WorkerRecord, row) for row in rows)
