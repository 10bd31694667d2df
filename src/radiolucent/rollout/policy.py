"""Who may see and do what: one table of role × route × phase × training × profile. What no row allows is withheld."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from radiolucent.findings.profile import IntendedUse
from radiolucent.rollout.phases import PHASES, Phase

Role = Literal["viewer", "resident", "radiologist", "lead", "admin", "auditor", "validator", "sender"]
Route = Literal[
    "image",
    "worklist",
    "urgency",
    "text",
    "heat",
    "looked",
    "comment",
    "decide",
    "modify",
    "set-urgency",
    "acknowledge",
    "claim",
    "finish",
    "report",
    "sign-report",
    "upload",
    "send",
    "training",
    "grant-training",
    "monitoring",
    "rollout",
    "sign-phase",
    "stop-ai",
    "audit",
    "admin",
    "account",
]
State = Literal["shadow", "text-and-urgency", "heatmaps", "routine", "stopped"]
Code = Literal["", "role", "phase", "training_required", "profile"]

ROLES: tuple[Role, ...] = get_args(Role)
ROUTES: tuple[Route, ...] = get_args(Route)
STATES: tuple[State, ...] = get_args(State)
USES: tuple[IntendedUse, ...] = get_args(IntendedUse)

_VIEW: tuple[Role, ...] = ("viewer", "resident", "radiologist", "lead", "admin")
_READ: tuple[Role, ...] = ("radiologist", "lead", "admin")
_RUN: tuple[Role, ...] = ("lead", "admin")
_TEST: tuple[Role, ...] = ("validator",)
_LATER: tuple[State, ...] = ("text-and-urgency", "heatmaps", "routine")
_HEAT: tuple[State, ...] = ("heatmaps", "routine")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One row: these roles may use the route in these states, some only once trained, some only in these uses."""

    route: Route
    roles: tuple[Role, ...]
    states: tuple[State, ...] = STATES
    trained: bool = False
    uses: tuple[IntendedUse, ...] = USES


RULES: tuple[Rule, ...] = (
    # images and the list of them: whatever becomes of the AI, they can be read
    Rule(route="image", roles=(*_VIEW, *_TEST)),
    Rule(route="worklist", roles=(*_VIEW, *_TEST)),
    # what the AI says: by phase; the validation role also in shadow; nobody once it is stopped
    Rule(route="urgency", roles=_VIEW, states=_LATER),
    Rule(route="urgency", roles=_TEST, states=PHASES),
    Rule(route="text", roles=_VIEW, states=_LATER),
    Rule(route="text", roles=_TEST, states=PHASES),
    Rule(route="heat", roles=_VIEW, states=_HEAT, trained=True, uses=("localise",)),
    Rule(route="heat", roles=_TEST, states=PHASES, trained=True, uses=("localise",)),
    # what a reader does; a resident comments, and modifies nothing
    Rule(route="looked", roles=(*_VIEW, *_TEST)),
    Rule(route="comment", roles=("resident", *_READ, *_TEST)),
    Rule(route="decide", roles=_READ, states=_LATER),
    Rule(route="decide", roles=_TEST, states=PHASES),
    Rule(route="modify", roles=_READ, states=_LATER),
    Rule(route="modify", roles=_TEST, states=PHASES),
    Rule(route="set-urgency", roles=_READ),
    Rule(route="acknowledge", roles=_READ, states=_LATER),
    Rule(route="claim", roles=("resident", *_READ)),
    Rule(route="finish", roles=_READ),
    Rule(route="report", roles=("resident", *_READ)),
    Rule(route="sign-report", roles=_READ),
    Rule(route="upload", roles=("resident", *_READ, *_TEST)),
    Rule(route="training", roles=(*_VIEW, *_TEST)),
    # a machine that sends images, and sees nothing
    Rule(route="send", roles=("sender",)),
    # what keeps the system in order
    Rule(route="grant-training", roles=("admin",)),
    Rule(route="monitoring", roles=(*_RUN, "auditor")),
    Rule(route="rollout", roles=(*_RUN, "auditor", *_TEST)),
    Rule(route="sign-phase", roles=_RUN),
    Rule(route="stop-ai", roles=_READ),
    Rule(route="audit", roles=("admin", "auditor")),
    Rule(route="admin", roles=("admin",)),
    Rule(route="account", roles=ROLES),
)


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """Whether it is allowed, and where not, the first thing that stands in the way."""

    allowed: bool
    code: Code = ""


def decide(*, route: str, role: str, state: str, trained: bool, use: str) -> Verdict:
    """Apply the table.

    Parameters
    ----------
    route, role, state, use : a value that the table doesn't know is withheld.
    state : the phase of the engine that made the result, or ``stopped``.
    trained : whether this reader has done the training for this engine's major version.
    use : what the site's profile allows for this finding.

    Returns
    -------
    Codes come in this order: ``role`` before ``phase``, so that nobody learns of a result that isn't for them;
    ``training_required`` only for who would see the result once trained.

    >>> decide(route="heat", role="viewer", state="routine", trained=False, use="localise").code
    'training_required'
    """
    rules = [rule for rule in RULES if rule.route == route and role in rule.roles]
    if not rules:
        return Verdict(allowed=False, code="role")
    rules = [rule for rule in rules if state in rule.states]
    if not rules:
        return Verdict(allowed=False, code="phase")
    rules = [rule for rule in rules if use in rule.uses]
    if not rules:
        return Verdict(allowed=False, code="profile")
    if not any(trained or not rule.trained for rule in rules):
        return Verdict(allowed=False, code="training_required")
    return Verdict(allowed=True)


def state_of(phase: Phase, *, stopped: bool) -> State:
    """The state that the table knows: the phase, or ``stopped`` whatever the phase."""
    return "stopped" if stopped else phase


def as_markdown() -> str:
    """The table as a page: one row per route, who may, when, and on which condition."""
    lines = ["| route | roles | while | only |", "|---|---|---|---|"]
    for rule in RULES:
        while_ = "always" if rule.states == STATES else ", ".join(rule.states)
        only = "; ".join(
            [*(["trained"] if rule.trained else []), *(["use " + ", ".join(rule.uses)] if rule.uses != USES else [])]
        )
        lines.append(f"| {rule.route} | {', '.join(rule.roles)} | {while_} | {only} |")
    return "\n".join(lines) + "\n"
