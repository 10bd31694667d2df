"""The states of studies, instances, revisions and deliveries: what each means, and which are the end of the road."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class State:
    """One state: its name in the rows, what it means to a person, and whether it stays unless something new happens."""

    name: str
    meaning: str
    terminal: bool


def _state(name: str, meaning: str, *, terminal: bool = False) -> State:
    return State(name=name, meaning=meaning, terminal=terminal)


STUDY_STATES: Final[tuple[State, ...]] = (
    _state("arriving", "images are coming in, or the quiet period isn't over"),
    _state("queued", "complete; waits for a worker"),
    _state("reading", "a worker reads it"),
    _state("read", "every series was read", terminal=True),
    _state("partly-read", "some series were read; the reasons of the others are in the reading", terminal=True),
    _state("not-read", "no series could be read; the reasons are in the reading", terminal=True),
    _state("failed", "the reading failed; the reason says why, and it can be queued again", terminal=True),
    _state("withdrawn", "the reading was taken back", terminal=True),
    _state("kept", "stored but routed to no engine", terminal=True),
)

INSTANCE_STATES: Final[tuple[State, ...]] = (
    _state("received", "stored; its study isn't read yet"),
    _state("read", "an engine read its series", terminal=True),
    _state("refused", "no engine may read it, for the reason given", terminal=True),
    _state("failed", "it could not be read, for the reason given", terminal=True),
    _state("kept", "stored but routed to no engine", terminal=True),
    _state("conflict", "another object with its UID was there first: this one is kept, but not used", terminal=True),
    _state("superseded", "its study was read anew without it", terminal=True),
)

REVISION_STATES: Final[tuple[State, ...]] = (
    _state("queued", "waits for a worker"),
    _state("reading", "a worker reads it"),
    _state("read", "every series was read", terminal=True),
    _state("partly-read", "some series were read", terminal=True),
    _state("not-read", "no series could be read; a result all the same", terminal=True),
    _state("failed", "nothing was made; the reason says why", terminal=True),
    _state("superseded", "a later revision takes its place", terminal=True),
    _state("withdrawn", "taken back by a person", terminal=True),
)

DELIVERY_STATES: Final[tuple[State, ...]] = (
    _state("waiting", "waits for its next try"),
    _state("sending", "a worker hands it over"),
    _state("delivered", "the destination has it and said so", terminal=True),
    _state("dead", "given up: the destination refused it for good, or was away too long; can be queued again"),
    _state("cancelled", "superseded or withdrawn before it was sent", terminal=True),
)

ALERT_STATES: Final[tuple[State, ...]] = (
    _state("open", "nobody has acknowledged it yet"),
    _state("acknowledged", "a person took note of it", terminal=True),
    _state("ended", "the reading was taken back, or a later one doesn't hold the finding", terminal=True),
)

READ_STATES: Final = ("read", "partly-read", "not-read")
"""States of a revision that has a reading."""


def names(states: tuple[State, ...], *, terminal: bool | None = None) -> tuple[str, ...]:
    """The names in a table, all or those that are (or aren't) the end of the road.

    >>> names(DELIVERY_STATES, terminal=True)
    ('delivered', 'cancelled')
    """
    return tuple(state.name for state in states if terminal is None or state.terminal is terminal)
