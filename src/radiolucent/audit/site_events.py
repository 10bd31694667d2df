"""What is written down of the site itself: who comes in, accounts, training, phases, settings, nodes, the trail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from radiolucent.audit.event import Action, Event


@dataclass(frozen=True, kw_only=True)
class LoggedIn(Event):
    """Someone proved who they are."""

    kind: ClassVar[str] = "login"
    method: str = "password"


@dataclass(frozen=True, kw_only=True)
class LoginFailed(Event):
    """Someone did not: `reason` is ``credentials``, ``locked``, ``inactive``, ``code`` or ``rate``."""

    kind: ClassVar[str] = "login.failed"
    reason: str


@dataclass(frozen=True, kw_only=True)
class LoggedOut(Event):
    """A session was ended by its owner."""

    kind: ClassVar[str] = "logout"


@dataclass(frozen=True, kw_only=True)
class AccessDenied(Event):
    """The server refused: which route, and the rule's code."""

    kind: ClassVar[str] = "access.denied"
    action: ClassVar[Action] = "R"
    route: str
    code: str


@dataclass(frozen=True, kw_only=True)
class AccountChanged(Event):
    """An account or one of its tokens was made or changed; `change` says what, without secrets."""

    kind: ClassVar[str] = "account.changed"
    action: ClassVar[Action] = "U"
    account: str
    change: str


@dataclass(frozen=True, kw_only=True)
class TrainingProgressed(Event):
    """A step of the onboarding: a module, a practice case, a quiz, or the gate itself opened."""

    kind: ClassVar[str] = "training.progressed"
    action: ClassVar[Action] = "U"
    step: str
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class TrainingActive(Event):
    """The training page told that its reader is active, or that it was left; `seconds` are counted so far, in all."""

    kind: ClassVar[str] = "training.active"
    action: ClassVar[Action] = "U"
    active: bool
    seconds: float


@dataclass(frozen=True, kw_only=True)
class TrainingGranted(Event):
    """An administrator let someone through the gate, with a reason."""

    kind: ClassVar[str] = "training.granted"
    action: ClassVar[Action] = "U"
    account: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class PhaseChanged(Event):
    """An engine entered another phase at this site."""

    kind: ClassVar[str] = "phase.changed"
    action: ClassVar[Action] = "U"
    engine: str
    before: str
    after: str
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class PhaseSigned(Event):
    """One of the two roles signed that an engine may enter the next phase."""

    kind: ClassVar[str] = "phase.signed"
    action: ClassVar[Action] = "U"
    engine: str
    to: str


@dataclass(frozen=True, kw_only=True)
class AiStopped(Event):
    """The kill switch: no AI result is shown or sent any more, or again."""

    kind: ClassVar[str] = "ai.stopped"
    action: ClassVar[Action] = "U"
    stopped: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class SettingChanged(Event):
    """A setting of the site was changed."""

    kind: ClassVar[str] = "setting.changed"
    action: ClassVar[Action] = "U"
    name: str
    before: str
    after: str


@dataclass(frozen=True, kw_only=True)
class AuditRead(Event):
    """The trail itself was shown, exported or verified."""

    kind: ClassVar[str] = "audit.read"
    action: ClassVar[Action] = "R"
    what: str
    outcome: str = ""


@dataclass(frozen=True, kw_only=True)
class NodeAsked(Event):
    """A node of the network was asked whether it is there; `reason` is what it said, or why there was no answer."""

    kind: ClassVar[str] = "node.asked"
    node: str
    answered: bool
    reason: str


@dataclass(frozen=True, kw_only=True)
class QueuedAgain(Event):
    """A person had dead letters sent, or a study read, once more; `what` says which, `number` how many."""

    kind: ClassVar[str] = "queued.again"
    what: str
    number: int


@dataclass(frozen=True, kw_only=True)
class ThresholdChanged(Event):
    """A site's own threshold of one finding was set, or all of an engine were given back (`after` is empty)."""

    kind: ClassVar[str] = "threshold.changed"
    action: ClassVar[Action] = "U"
    engine: str
    finding: str
    before: str
    after: str
    purpose: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class Anchored(Event):
    """The state of the chain was written to a file, by the night's job or by a person."""

    kind: ClassVar[str] = "audit.anchored"
    name: str
    number: int
