"""What was looked at, how long, before or after the decision: from the trail, by the server's own clock."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response

from radiolucent.audit.event import Event
from radiolucent.audit.events import FindingDecided, OverlayToggled, StudyViewed
from radiolucent.audit.reading_events import StudyLeft
from radiolucent.findings.taxonomy import FINDINGS, finding_type
from radiolucent.rollout.policy import decide
from radiolucent.store.audit import AuditTrail, Filter
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import Here, Someone, require
from radiolucent.web.seeing import opened_study

router = APIRouter()
_MOST = 2000


@dataclass(frozen=True, kw_only=True)
class Viewing:
    """One thing that a reader had on screen.

    Parameters
    ----------
    what : ``page``, or the overlay's finding and method.
    seconds : between the server hearing of its beginning and of its end; None where no end was told.
    after_decision : whether this reader had decided before (on the overlay's finding; for a page on any).
    """

    reader: str
    what: str
    at: datetime
    seconds: float | None
    after_decision: bool


def viewings(events: Iterable[Event]) -> list[Viewing]:
    """The viewings of one study in the order in which they began; `events` oldest first."""
    found: list[Viewing] = []
    open_ones: dict[tuple[str, str], int] = {}
    decided: set[tuple[str, str]] = set()

    def begin(event: Event, key: str, what: str, finding: str) -> None:
        open_ones[event.actor, key] = len(found)
        known = (event.actor, finding) in decided
        found.append(Viewing(reader=event.actor, what=what, at=event.at, seconds=None, after_decision=known))

    def end(event: Event, key: str) -> None:
        index = open_ones.pop((event.actor, key), None)
        if index is not None:
            one = found[index]
            seconds = (event.at - one.at).total_seconds()
            found[index] = Viewing(
                reader=one.reader, what=one.what, at=one.at, seconds=seconds, after_decision=one.after_decision
            )

    for event in events:
        if isinstance(event, StudyViewed):
            end(event, "page")  # the next page of this study takes the place of the one before
            begin(event, "page", f"page: {event.shown}", "")
        elif isinstance(event, StudyLeft):
            index = open_ones.get((event.actor, "page"))
            # a farewell may come after the next page was asked for: it is not of that one
            if index is not None and (event.at - found[index].at).total_seconds() >= event.after_ms / 2000:
                end(event, "page")
        elif isinstance(event, OverlayToggled):
            key = event.finding
            if event.on:
                begin(event, key, _words(key), key.partition("~")[0])
            else:
                end(event, key)
        elif isinstance(event, FindingDecided):
            decided |= {(event.actor, ""), (event.actor, f"{event.series}/{event.finding}")}
    return found


def viewings_of(work: Work, study: str, reader: str = "") -> list[Viewing]:
    """The viewings of a study, of one reader or of all."""
    written = AuditTrail(work).find(Filter(study_instance_uid=study, actor=reader), limit=_MOST)
    return viewings(one.event for one in reversed(written))


@router.get("/studies/{uid}/history")
def history(uid: str, here: Here, who: Someone) -> Response:
    """What was looked at and decided: one's own; of all readers for who sees the monitoring."""
    require(here, who, "image", study=uid)
    opened_study(here, uid)
    every = decide(route="monitoring", role=who.role, state="routine", trained=True, use="localise").allowed
    with here.store.read() as work:
        found = viewings_of(work, uid, "" if every else who.name)
    return JSONResponse({"viewings": [vars(one) | {"at": one.at.isoformat()} for one in found]})


def _words(key: str) -> str:
    """``series/finding~method~frame`` for people."""
    name, _, method = key.rpartition("/")[2].partition("~")
    label = finding_type(name).label if name in FINDINGS else name
    return f"{label}, {method.replace('~', ', image ')}" if method else f"{label}, evidence map"
