"""What is written down: one frozen dataclass per kind of event, plain values only, never a patient's name."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, ClassVar

from radiolucent.audit import alert_events, reading_events
from radiolucent.audit.event import SYSTEM, Action, Event
from radiolucent.audit.site_events import (
    AccessDenied,
    AccountChanged,
    AiStopped,
    Anchored,
    AuditRead,
    LoggedIn,
    LoggedOut,
    LoginFailed,
    NodeAsked,
    PhaseChanged,
    PhaseSigned,
    QueuedAgain,
    SettingChanged,
    ThresholdChanged,
    TrainingActive,
    TrainingGranted,
    TrainingProgressed,
)
from radiolucent.errors import AuditError

__all__ = [
    "KINDS",
    "SYSTEM",
    "AccessDenied",
    "AccountChanged",
    "Action",
    "AiStopped",
    "Anchored",
    "AuditRead",
    "Commented",
    "Delivered",
    "DeliveryFailed",
    "Event",
    "FindingDecided",
    "HeatmapSent",
    "ImageRefused",
    "ImagesLooked",
    "InstanceReceived",
    "LoggedIn",
    "LoggedOut",
    "LoginFailed",
    "NodeAsked",
    "OverlayToggled",
    "PhaseChanged",
    "PhaseSigned",
    "QueuedAgain",
    "ReadingMade",
    "Released",
    "SettingChanged",
    "StudyClaimed",
    "StudyComplete",
    "StudyFinished",
    "StudyUploaded",
    "StudyViewed",
    "ThresholdChanged",
    "TrainingActive",
    "TrainingGranted",
    "TrainingProgressed",
    "UrgencyChanged",
    "Withdrawn",
    "Withheld",
    "WorklistViewed",
    "from_body",
    "to_body",
]


@dataclass(frozen=True, kw_only=True)
class InstanceReceived(Event):
    """An object was accepted (or not: `outcome`) from a sender."""

    kind: ClassVar[str] = "instance.received"
    action: ClassVar[Action] = "C"
    sop_instance_uid: str
    outcome: str
    source: str = ""


@dataclass(frozen=True, kw_only=True)
class StudyUploaded(Event):
    """A person handed files over through the browser."""

    kind: ClassVar[str] = "study.uploaded"
    action: ClassVar[Action] = "C"
    size_bytes: int
    outcome: str


@dataclass(frozen=True, kw_only=True)
class StudyComplete(Event):
    """All of a study's instances that will come are there; a reading of this revision begins."""

    kind: ClassVar[str] = "study.complete"
    revision: int


@dataclass(frozen=True, kw_only=True)
class ImageRefused(Event):
    """A series was not read, and why."""

    kind: ClassVar[str] = "image.refused"
    series_instance_uid: str
    code: str
    engine: str = ""


@dataclass(frozen=True, kw_only=True)
class ReadingMade(Event):
    """A reading was stored; `digest` is the SHA-256 of its document."""

    kind: ClassVar[str] = "reading.made"
    action: ClassVar[Action] = "C"
    digest: str
    revision: int = 1
    engines: str = ""


@dataclass(frozen=True, kw_only=True)
class Released(Event):
    """A result may be seen or sent, by this rule."""

    kind: ClassVar[str] = "result.released"
    audience: str
    phase: str


@dataclass(frozen=True, kw_only=True)
class Withheld(Event):
    """A result may not be seen or sent; `code` is the rule's."""

    kind: ClassVar[str] = "result.withheld"
    audience: str
    code: str


@dataclass(frozen=True, kw_only=True)
class Delivered(Event):
    """A destination confirmed a result."""

    kind: ClassVar[str] = "result.delivered"
    destination: str
    receipt: str = ""


@dataclass(frozen=True, kw_only=True)
class DeliveryFailed(Event):
    """A destination did not take a result; `final` where nothing more is tried."""

    kind: ClassVar[str] = "result.delivery-failed"
    destination: str
    reason: str
    final: bool


@dataclass(frozen=True, kw_only=True)
class Withdrawn(Event):
    """A result was taken back."""

    kind: ClassVar[str] = "result.withdrawn"
    action: ClassVar[Action] = "D"
    reason: str
    revision: int


@dataclass(frozen=True, kw_only=True)
class WorklistViewed(Event):
    """The worklist was shown, with this many rows."""

    kind: ClassVar[str] = "worklist.viewed"
    action: ClassVar[Action] = "R"
    rows: int


@dataclass(frozen=True, kw_only=True)
class StudyViewed(Event):
    """A study's page was shown: which reading (digest), and what of it: ``image``, ``text``, ``heat``."""

    kind: ClassVar[str] = "study.viewed"
    action: ClassVar[Action] = "R"
    shown: str
    digest: str = ""


@dataclass(frozen=True, kw_only=True)
class HeatmapSent(Event):
    """One finding's map was sent to a reader: with the digest of the map, its scale and floor it can be drawn again."""

    kind: ClassVar[str] = "heatmap.sent"
    action: ClassVar[Action] = "R"
    finding: str
    series: str
    sha256: str
    display_scale: float
    floor: float
    form: str
    frame: int = -1


@dataclass(frozen=True, kw_only=True)
class OverlayToggled(Event):
    """A reader switched an overlay on or off, at this moment of the page's life."""

    kind: ClassVar[str] = "overlay.toggled"
    action: ClassVar[Action] = "R"
    finding: str
    on: bool
    after_ms: int


@dataclass(frozen=True, kw_only=True)
class StudyClaimed(Event):
    """A reader took a study, or gave it back."""

    kind: ClassVar[str] = "study.claimed"
    action: ClassVar[Action] = "U"
    taken: bool


@dataclass(frozen=True, kw_only=True)
class FindingDecided(Event):
    """A reader's decision on one finding."""

    kind: ClassVar[str] = "finding.decided"
    action: ClassVar[Action] = "C"
    finding: str
    series: str
    outcome: str
    reason: str = ""
    trust: int | None = None
    digest: str = ""


@dataclass(frozen=True, kw_only=True)
class Commented(Event):
    """A reader left a comment; its text stays with the study, not in the trail."""

    kind: ClassVar[str] = "study.commented"
    action: ClassVar[Action] = "C"


@dataclass(frozen=True, kw_only=True)
class UrgencyChanged(Event):
    """A reader set a study's urgency by hand."""

    kind: ClassVar[str] = "urgency.changed"
    action: ClassVar[Action] = "U"
    before: str
    after: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class ImagesLooked(Event):
    """A reader said to have looked at the images, before anything of the AI was shown."""

    kind: ClassVar[str] = "images.looked"


@dataclass(frozen=True, kw_only=True)
class StudyFinished(Event):
    """A reader is done with a study: it leaves the open list until something new of it arrives. Or it is taken back."""

    kind: ClassVar[str] = "study.finished"
    action: ClassVar[Action] = "U"
    finished: bool


assert alert_events  # loaded, so that `KINDS` holds its kinds
assert reading_events


def _kinds(of: type[Event]) -> dict[str, type[Event]]:
    return {kind.kind: kind for kind in of.__subclasses__()}


KINDS: Mapping[str, type[Event]] = MappingProxyType(_kinds(Event))
"""Kind → class, every event there is."""


def to_body(event: Event) -> str:
    """Canonical JSON of the event: sorted keys, no spaces, UTC time; what the chain's digest is over."""
    values = asdict(event) | {"at": event.at.astimezone(UTC).isoformat(timespec="microseconds")}
    return json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def from_body(kind: str, body: str) -> Event:
    """The event that `to_body` wrote.

    Raises
    ------
    AuditError
        If the kind is unknown, or the body isn't one of this kind.
    """
    if kind not in KINDS:
        raise AuditError(f"the trail holds an event of the unknown kind {kind!r}: a newer version wrote it")
    try:
        values: dict[str, Any] = json.loads(body)
        names = {field.name for field in fields(KINDS[kind])}
        if not set(values) <= names:
            raise ValueError(f"it has no {sorted(set(values) - names)[0]}")
        return KINDS[kind](**values | {"at": datetime.fromisoformat(values["at"])})
    except (ValueError, TypeError, KeyError) as error:
        raise AuditError(f"the trail holds a {kind!r} event that isn't one: {error}") from error
