"""The hash chain: each entry's digest is over the one before, so that a change, a deletion or a re-order shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass

GENESIS = "0" * 64
"""What the first entry follows."""


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One link.

    Parameters
    ----------
    number : from 1, without gaps.
    kind, body : of the event (`audit.events.to_body`).
    previous, digest : SHA-256, hexadecimal.
    """

    number: int
    kind: str
    body: str
    previous: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class Anchor:
    """Where the chain stood once, kept elsewhere: without it, the loss of the newest entries would not show."""

    number: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What a check found: `entries` that hold, and the first fault, in words, or an empty string.

    `at` is the number of the entry at which the fault shows; None where there is none.
    """

    entries: int
    fault: str = ""
    at: int | None = None

    @property
    def holds(self) -> bool:
        """True where nothing was touched."""
        return not self.fault


def link(number: int, kind: str, body: str, *, previous: str) -> Entry:
    """The next entry.

    >>> first = link(1, "login", "{}", previous=GENESIS)
    >>> verify([first]).holds
    True
    """
    return Entry(number=number, kind=kind, body=body, previous=previous, digest=_digest(number, kind, body, previous))


def verify(entries: Iterable[Entry], *, anchors: Iterable[Anchor] = ()) -> Verdict:
    """Check a whole chain, oldest entry first.

    Parameters
    ----------
    entries : all of them, in the order of their numbers as the store gives them.
    anchors : earlier states of the chain; an entry that an anchor names must be there with that digest.

    Returns
    -------
    The first fault. One changed, deleted, inserted or moved entry is found always; the deletion of the newest ones,
    or a chain that was made anew, only by an anchor.
    """
    wanted = {anchor.number: anchor.digest for anchor in anchors}
    previous, number = GENESIS, 0
    for entry in entries:
        number += 1
        fault = _fault(entry, number, previous, wanted.pop(number, None))
        if fault:
            return Verdict(entries=number - 1, fault=fault, at=number)
        previous = entry.digest
    missing = sorted(place for place in wanted if place > 0)
    if missing:
        fault = f"entry {missing[0]} is missing: the chain ends at {number}, an anchor knows more"
        return Verdict(entries=number, fault=fault, at=missing[0])
    return Verdict(entries=number)


def _fault(entry: Entry, number: int, previous: str, anchored: str | None) -> str:
    if entry.number != number:
        return f"entry {number} is missing or moved: {entry.number} stands in its place"
    if entry.previous != previous:
        return f"entry {number} doesn't follow the one before it"
    if entry.digest != _digest(entry.number, entry.kind, entry.body, entry.previous):
        return f"entry {number} was changed after it was written"
    if anchored is not None and anchored != entry.digest:
        return f"entry {number} isn't the one that was anchored: the chain was made anew"
    return ""


def _digest(number: int, kind: str, body: str, previous: str) -> str:
    # a JSON list keeps the fields apart: no two different entries give the same bytes
    return hashlib.sha256(json.dumps([number, previous, kind, body], ensure_ascii=True).encode()).hexdigest()
