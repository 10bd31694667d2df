"""Alerts as rows: what was raised, who acknowledged it, and each message about it on its way to a channel.

There is no way to delete an alert here: it is acknowledged, or it ends with the reading that it is about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Select, case, func, or_, select

from radiolucent.errors import NoSuchStudy
from radiolucent.findings.alert_policy import Turn
from radiolucent.store.alert_tables import AlertRow, NoticeRow
from radiolucent.store.records import record
from radiolucent.store.unit_of_work import Work

UNSENT: Final = ("waiting", "dead")


@dataclass(frozen=True, kw_only=True)
class NewAlert:
    """An alert that is raised now; the fields are those of `AlertRow`."""

    key: str
    study_instance_uid: str
    revision: int
    finding: str
    engine: str
    tier: str
    level: int
    language: str
    subject: str
    message: str
    disclaimer: str
    table_version: str
    raised_at: datetime


@dataclass(frozen=True, kw_only=True)
class AlertRecord(NewAlert):
    """An alert and what became of it."""

    state: str
    reason: str
    escalated_at: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str
    ended_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class NoticeRecord:
    """One message about an alert to one channel (`NoticeRow`)."""

    id: int
    alert_key: str
    channel: str
    turn: Turn
    level: int
    state: str
    attempts: int
    created_at: datetime
    granted_at: datetime | None
    held: int
    next_try_at: datetime | None
    reason: str
    receipt: str
    finished_at: datetime | None


class Alerts:
    """The alerts of one transaction."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def find(self, key: str) -> AlertRecord | None:
        """One alert, or None."""
        row = self._session.get(AlertRow, key)
        return record(AlertRecord, row) if row else None

    def get(self, key: str) -> AlertRecord:
        """One alert.

        Raises
        ------
        NoSuchStudy
            If there is none with this key.
        """
        found = self.find(key)
        if found is None:
            raise NoSuchStudy("there is no alert with this key")
        return found

    def raise_(self, new: NewAlert) -> AlertRecord:
        """Add an alert, or give back the one that is there."""
        row = self._session.get(AlertRow, new.key)
        if row is None:
            row = AlertRow(**asdict(new))
            self._session.add(row)
            self._session.flush()
        return record(AlertRecord, row)

    def carry(self, key: str, *, revision: int) -> None:
        """A later revision holds the same finding: the alert goes on, and nobody is told twice."""
        self._session.get_one(AlertRow, key).revision = revision

    def end(self, key: str, *, reason: str, at: datetime) -> None:
        """What it told of isn't said any more."""
        row = self._session.get_one(AlertRow, key)
        row.state, row.reason, row.ended_at = "ended", reason, at

    def acknowledge(self, key: str, *, by: str, at: datetime) -> bool:
        """Note who took note of it; the first one counts. False where that was another, or it has ended.

        Raises
        ------
        NoSuchStudy
            If there is none with this key.
        """
        row = self._session.get(AlertRow, key, with_for_update=True)
        if row is None:
            raise NoSuchStudy("there is no alert with this key")
        if row.state != "open":
            return False
        row.state, row.acknowledged_at, row.acknowledged_by = "acknowledged", at, by
        return True

    def escalate(self, key: str, *, at: datetime) -> bool:
        """Note that it was escalated; False where that happened before, or it isn't open any more."""
        row = self._session.get(AlertRow, key, with_for_update=True)
        if row is None or row.state != "open" or row.escalated_at is not None:
            return False
        row.escalated_at = at
        return True

    def of_study(self, study_instance_uid: str, *, states: Sequence[str] = ()) -> tuple[AlertRecord, ...]:
        """All alerts of a study, or those in these states; the most urgent first."""
        return self._records(_in(states).where(AlertRow.study_instance_uid == study_instance_uid))

    def list(self, *, states: Sequence[str] = (), limit: int = 200) -> tuple[AlertRecord, ...]:
        """Alerts: open ones first, of those the most urgent, then who waits longest; the others the latest first."""
        is_open = AlertRow.state == "open"
        order = (
            case((is_open, 0), else_=1),
            case((is_open, AlertRow.level), else_=0),
            case((is_open, AlertRow.raised_at), else_=None),
            AlertRow.raised_at.desc(),
            AlertRow.level,
            AlertRow.key,
        )
        rows = self._session.scalars(_in(states).order_by(*order).limit(limit))
        return tuple(record(AlertRecord, row) for row in rows)

    def unescalated(self) -> tuple[AlertRecord, ...]:
        """Open alerts that weren't escalated yet."""
        return self._records(_in(("open",)).where(AlertRow.escalated_at.is_(None)))

    def _records(self, wanted: Select[Any]) -> tuple[AlertRecord, ...]:
        rows = self._session.scalars(wanted.order_by(AlertRow.level, AlertRow.raised_at, AlertRow.key))
        return tuple(record(AlertRecord, row) for row in rows)


class Notices:
    """The messages about alerts of one transaction."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def get(self, notice_id: int) -> NoticeRecord:
        """One message.

        Raises
        ------
        NoSuchStudy
            If there is none of that number.
        """
        row = self._session.get(NoticeRow, notice_id)
        if row is None:
            raise NoSuchStudy(f"there is no notice {notice_id}")
        return record(NoticeRecord, row)

    def owe(self, alert: AlertRecord, channels: Iterable[str], turn: Turn, *, at: datetime, granted: bool) -> None:
        """Note what is owed to each channel; what is noted already stays as it is.

        Parameters
        ----------
        granted : whether it may go at once; else the rate limit decides (`grant`).
        """
        for channel in channels:
            wanted = select(NoticeRow.id).filter_by(alert_key=alert.key, channel=channel, turn=turn)
            if self._session.scalars(wanted).one_or_none() is None:
                row = NoticeRow(alert_key=alert.key, channel=channel, turn=turn, level=alert.level, created_at=at)
                if granted:
                    row.granted_at = row.next_try_at = at
                self._session.add(row)
                self._session.flush()

    def of_alert(self, key: str) -> tuple[NoticeRecord, ...]:
        """All messages about one alert."""
        return self._records(select(NoticeRow).where(NoticeRow.alert_key == key))

    def held(self) -> tuple[NoticeRecord, ...]:
        """Messages that the rate limit didn't let through yet."""
        return self._records(select(NoticeRow).where(NoticeRow.state == "waiting", NoticeRow.granted_at.is_(None)))

    def granted_since(self, channel: str, since: datetime) -> tuple[NoticeRecord, ...]:
        """First messages that this channel was let send since then."""
        return self._records(
            select(NoticeRow).where(
                NoticeRow.channel == channel, NoticeRow.turn == "first", NoticeRow.granted_at > since
            )
        )

    def grant(self, notice_id: int, *, held: int, at: datetime) -> None:
        """The rate limit lets it through."""
        row = self._session.get_one(NoticeRow, notice_id)
        row.granted_at = row.next_try_at = at
        row.held = held

    def due(self, *, at: datetime, limit: int = 200) -> tuple[NoticeRecord, ...]:
        """Messages whose next try is due, the most urgent first."""
        wanted = (
            select(NoticeRow)
            .where(NoticeRow.state == "waiting", NoticeRow.granted_at.is_not(None))
            .where(or_(NoticeRow.next_try_at.is_(None), NoticeRow.next_try_at <= at))
        )
        rows = self._session.scalars(wanted.order_by(NoticeRow.level, NoticeRow.next_try_at, NoticeRow.id).limit(limit))
        return tuple(record(NoticeRecord, row) for row in rows)

    def sending(self) -> tuple[NoticeRecord, ...]:
        """Messages that a worker has in hand, or had when it died."""
        return self._records(select(NoticeRow).where(NoticeRow.state == "sending"))

    def offered(self, notice_id: int, *, lasting: timedelta, at: datetime) -> None:
        """A queue holds its next try: it isn't due again for so long, unless a worker says so."""
        row = self._session.get_one(NoticeRow, notice_id)
        if row.state == "waiting":
            row.next_try_at = at + lasting

    def take(self, notice_id: int) -> NoticeRecord:
        """Begin a try: counts it. A message that isn't waiting stays as it is."""
        row = self._session.get_one(NoticeRow, notice_id)
        if row.state == "waiting":
            row.state, row.attempts = "sending", row.attempts + 1
        self._session.flush()
        return record(NoticeRecord, row)

    def delivered(self, notice_id: int, *, receipt: str, at: datetime) -> None:
        """The channel has it."""
        row = self._session.get_one(NoticeRow, notice_id)
        row.state, row.receipt, row.reason, row.finished_at, row.next_try_at = "delivered", receipt, "", at, None

    def try_again(self, notice_id: int, *, reason: str, next_try_at: datetime) -> None:
        """It didn't work this time."""
        row = self._session.get_one(NoticeRow, notice_id)
        row.state, row.reason, row.next_try_at = "waiting", reason, next_try_at

    def give_up(self, notice_id: int, *, reason: str, at: datetime) -> None:
        """Into the dead letters: a person must look."""
        row = self._session.get_one(NoticeRow, notice_id)
        row.state, row.reason, row.finished_at, row.next_try_at = "dead", reason, at, None

    def requeue(self, key: str, *, at: datetime) -> int:
        """Try the dead letters of an alert again, from now on. Returns how many."""
        rows = list(self._session.scalars(select(NoticeRow).filter_by(alert_key=key, state="dead")))
        for row in rows:
            row.state, row.finished_at = "waiting", None
            row.granted_at = row.next_try_at = at
        return len(rows)

    def drop(self, notice_id: int, *, reason: str, at: datetime) -> None:
        """It has become pointless before it was sent."""
        row = self._session.get_one(NoticeRow, notice_id)
        row.state, row.reason, row.finished_at, row.next_try_at = "cancelled", reason, at, None

    def cancel(self, key: str, *, reason: str, at: datetime) -> tuple[NoticeRecord, ...]:
        """Cancel what wasn't sent about an alert; gives what was, or may have been, sent: first or escalation."""
        rows = list(self._session.scalars(select(NoticeRow).where(NoticeRow.alert_key == key).order_by(NoticeRow.id)))
        told = [
            row
            for row in rows
            if row.turn in ("first", "escalation")
            and (row.state in ("delivered", "sending") or (row.state == "waiting" and row.attempts))
        ]
        for row in rows:
            if row.state in UNSENT:
                row.state, row.reason, row.finished_at, row.next_try_at = "cancelled", reason, at, None
        self._session.flush()
        return tuple(record(NoticeRecord, row) for row in told)

    def counts(self) -> dict[str, int]:
        """How many messages are in each state."""
        counted = self._session.execute(select(NoticeRow.state, func.count()).group_by(NoticeRow.state))
        return {state: number for state, number in counted}

    def _records(self, wanted: Select[Any]) -> tuple[NoticeRecord, ...]:
        return tuple(record(NoticeRecord, row) for row in self._session.scalars(wanted.order_by(NoticeRow.id)))


def _in(states: Sequence[str]) -> Select[Any]:
    wanted = select(AlertRow)
    return wanted.where(AlertRow.state.in_(states)) if states else wanted
