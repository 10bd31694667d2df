"""When an alert goes out on a channel: most critical first, rate-limited, acknowledged, escalated once.

Pure: the present, what waits and what was sent are arguments. Nothing that waits is ever dropped.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal

from radiolucent.findings.alerts import Alert, AlertTable, Sent, may_send, must_escalate

Turn = Literal["first", "escalation", "acknowledged", "withdrawn"]
"""Which message about an alert: it is raised, nobody took note, somebody did, what it says is taken back."""
_WINDOW = timedelta(hours=1)
_NONE: Mapping[str, datetime] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """An alert of a reading, since when it waits, and its key (`alert_key`)."""

    key: str
    alert: Alert
    raised_at: datetime


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a channel does now.

    Parameters
    ----------
    send : to send now, most critical first.
    escalate : keys of alerts that were sent, that nobody acknowledged in time, and that now go to the next person.
    held : how many the rate limit holds back; the next message tells the number.
    again_at : when something becomes due that isn't now; None where nothing waits.
    """

    send: tuple[Waiting, ...]
    escalate: tuple[str, ...]
    held: int
    again_at: datetime | None


def alert_key(alert: Alert, revision: int = 1) -> str:
    """What one alert is known by on every channel: follows from study, revision, finding and tier.

    The words don't count, so that a changed template sends nothing twice.
    """
    parts = (alert.study_instance_uid, str(revision), alert.finding, alert.tier, str(alert.level))
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:32]


def plan(
    now: datetime,
    waiting: Sequence[Waiting],
    sent: Mapping[str, Sent],
    table: AlertTable,
    *,
    acknowledged: Mapping[str, datetime] = _NONE,
) -> Plan:
    """What one channel does at `now`.

    Parameters
    ----------
    waiting : alerts that the channel may still have to send; those already sent are left alone.
    sent : what this channel sent, by key.
    acknowledged : keys that were acknowledged on any channel; they are neither sent nor escalated.

    Escalations are never held back: each alert has at most one.
    """
    known = {
        key: replace(entry, acknowledged_at=entry.acknowledged_at or acknowledged.get(key))
        for key, entry in sent.items()
    }
    due = {one.key: one for one in waiting if one.key not in known and one.key not in acknowledged}
    send: list[Waiting] = []
    history = list(known.values())
    for one in sorted(due.values(), key=lambda one: (one.alert.level, one.raised_at, one.key)):
        if may_send(now, history, table):
            send.append(one)
            history.append(Sent(level=one.alert.level, sent_at=now))
    escalate = tuple(sorted(key for key, entry in known.items() if must_escalate(now, entry, table)))
    held = len(due) - len(send)
    return Plan(send=tuple(send), escalate=escalate, held=held, again_at=_again(now, history, held, table))


def _again(now: datetime, history: Sequence[Sent], held: int, table: AlertTable) -> datetime | None:
    """The earliest of: room under the rate limit while something is held, and the next escalation."""
    times = []
    if held:
        times += [entry.sent_at + _WINDOW for entry in history if now - _WINDOW < entry.sent_at <= now]
    for entry in history:
        minutes = table.escalate_after_minutes.get(entry.level)
        if minutes is not None and entry.acknowledged_at is None and entry.escalated_at is None:
            times.append(entry.sent_at + timedelta(minutes=minutes))
    return min((time for time in times if time > now), default=None)
