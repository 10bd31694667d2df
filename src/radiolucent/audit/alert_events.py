"""What is written down of alerts: raised, sent, escalated, acknowledged, ended; never their words, never a patient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from radiolucent.audit.event import Action, Event


@dataclass(frozen=True, kw_only=True)
class AlertRaised(Event):
    """A finding of a reading alerts, in this tier and at this urgency level."""

    kind: ClassVar[str] = "alert.raised"
    action: ClassVar[Action] = "C"
    alert: str
    finding: str
    tier: str
    level: int
    revision: int


@dataclass(frozen=True, kw_only=True)
class AlertSent(Event):
    """A channel has it: `turn` is ``first``, ``escalation``, ``acknowledged`` or ``withdrawn``."""

    kind: ClassVar[str] = "alert.sent"
    alert: str
    channel: str
    turn: str


@dataclass(frozen=True, kw_only=True)
class AlertFailed(Event):
    """A channel did not take it; `final` where nothing more is tried."""

    kind: ClassVar[str] = "alert.failed"
    alert: str
    channel: str
    turn: str
    reason: str
    final: bool


@dataclass(frozen=True, kw_only=True)
class AlertEscalated(Event):
    """Nobody acknowledged it in time; this happens once."""

    kind: ClassVar[str] = "alert.escalated"
    alert: str
    minutes: int


@dataclass(frozen=True, kw_only=True)
class AlertAcknowledged(Event):
    """The actor took note of it."""

    kind: ClassVar[str] = "alert.acknowledged"
    action: ClassVar[Action] = "U"
    alert: str
    escalated: bool


@dataclass(frozen=True, kw_only=True)
class AlertEnded(Event):
    """What it told of is no longer said: the reading was withdrawn, or a later revision doesn't hold it."""

    kind: ClassVar[str] = "alert.ended"
    action: ClassVar[Action] = "U"
    alert: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class AlertsViewed(Event):
    """The list of alerts was shown, with this many rows."""

    kind: ClassVar[str] = "alerts.viewed"
    action: ClassVar[Action] = "R"
    rows: int
