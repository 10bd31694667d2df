"""The worklist: who waits, how urgent, what the AI has to say and what not; as a page, as rows, as JSON for a RIS."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from radiolucent.audit.events import StudyClaimed, UrgencyChanged, WorklistViewed
from radiolucent.findings.hierarchy import ranked
from radiolucent.findings.reading import Finding
from radiolucent.findings.urgency import default_urgency, effective_level, level_number
from radiolucent.store.audit import AuditTrail
from radiolucent.store.room import Room
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import Checked, Gate, Here, Premises, Refused, Someone, gate, require
from radiolucent.web.pages import fragment, page
from radiolucent.web.sources import Summary

router = APIRouter()
ROUTINE = 4
NONE_ABOVE = 5


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the worklist, as this visitor may see it.

    `level` is None where the AI says nothing (or nothing that this visitor may see); such a study waits among the
    routine ones, in order of arrival, with the reason in `ai`.
    """

    summary: Summary
    level: int | None
    word: str
    by_hand: bool
    leading: Finding | None
    others: int
    ai: str
    waited_minutes: float
    order: tuple[int, float]
    reader: str
    decided: bool


def rows(here: Premises, seen: Gate, work: Work, *, now: datetime) -> list[Row]:
    """All studies, most urgent first; who waits long climbs."""
    room = Room(work)
    claims, by_hand = room.claims(), room.urgencies()
    made = [
        _row(one, seen, now, claims.get(one.study_instance_uid, ""), by_hand.get(one.study_instance_uid), room)
        for one in here.source.every()
    ]
    return sorted(made, key=lambda row: row.order)


def _row(one: Summary, seen: Gate, now: datetime, reader: str, by_hand: int | None, room: Room) -> Row:
    minutes = max(0.0, (now - one.received_at).total_seconds() / 60)
    entries = ranked(one.reading) if one.reading else ()
    shown = [entry.finding for entry in entries if seen.allows("text", entry.series.engine, entry.finding.name)]
    levels = [level_number(e.finding.urgency) for e in entries if seen.allows("urgency", e.series.engine)]
    told = bool(one.reading and any(seen.allows("urgency", series.engine) for series in one.reading.series))
    level = by_hand or (min(levels, default=NONE_ABOVE) if told else None)
    table = default_urgency()
    effective = effective_level(level, minutes, table) if level else ROUTINE
    return Row(
        summary=one,
        level=level,
        word=table.levels[level - 1].name if level else "",
        by_hand=by_hand is not None,
        leading=shown[0] if shown else None,
        others=max(0, len(shown) - 1),
        ai=_ai(one, seen),
        waited_minutes=minutes,
        order=(effective, -minutes),
        reader=reader,
        decided=bool(room.decisions(one.study_instance_uid)),
    )


def _ai(one: Summary, seen: Gate) -> str:
    """What the AI did, in words; in shadow nothing of it is told."""
    if one.reading is None:
        return {"waiting": "waiting", "failed": f"failed: {one.reason}"}.get(one.state, one.state)
    if seen.stopped:
        return "AI stopped"
    if one.reading.series and not any(seen.allows("text", series.engine) for series in one.reading.series):
        return "not shown in this phase"
    words = {"done": "read", "partly-read": f"partly read: {one.reason}", "not-read": f"not read: {one.reason}"}
    return words[one.state]


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The filters, as they stand in the address."""

    search: str = ""
    modality: str = ""
    level: int | None = None
    state: str = ""
    mine: bool = False

    def keeps(self, row: Row, name: str) -> bool:
        """Whether a row passes all of them."""
        one = row.summary
        text = f"{one.patient_id} {one.accession_number} {one.description} {one.study_instance_uid}".casefold()
        return (
            (not self.search or self.search.casefold() in text)
            and (not self.modality or self.modality in one.modality)
            and (self.level is None or row.level == self.level)
            and (not self.state or one.state == self.state)
            and (not self.mine or row.reader == name)
        )


def wanted(
    search: Annotated[str, Query(max_length=64)] = "",
    mod: Annotated[str, Query(max_length=16)] = "",
    u: Annotated[str, Query(pattern="^[1-5]?$")] = "",
    state: Annotated[str, Query(max_length=16)] = "",
    mine: bool = False,
) -> Wanted:
    """The filters of a request."""
    return Wanted(search=search, modality=mod, level=int(u) if u else None, state=state, mine=mine)


@router.get("/worklist")
def worklist(
    here: Here,
    who: Someone,
    search: Annotated[str, Query(max_length=64)] = "",
    mod: Annotated[str, Query(max_length=16)] = "",
    u: Annotated[str, Query(pattern="^[1-5]?$")] = "",
    state: Annotated[str, Query(max_length=16)] = "",
    mine: bool = False,
) -> Response:
    """The page."""
    require(here, who, "worklist")
    filters, now = wanted(search, mod, u, state, mine), here.clock()
    with here.store.begin() as work:
        every = rows(here, gate(here, who, work), work, now=now)
        shown = [row for row in every if filters.keeps(row, who.name)]
        AuditTrail(work).append(who.signs(WorklistViewed, at=now, rows=len(shown)))
        return page(
            "worklist.html.j2",
            here,
            who,
            work,
            rows=shown,
            total=len(every),
            filters=filters,
            levels=default_urgency().levels,
            modalities=sorted({row.summary.modality for row in every if row.summary.modality}),
            newest=max((row.summary.received_at for row in every), default=None),
        )


@router.get("/worklist/news")
def news(here: Here, who: Someone, known: Annotated[int, Query(ge=0)] = 0) -> Response:
    """How many studies are new since the page was made: rows never move under a cursor."""
    require(here, who, "worklist")
    return HTMLResponse(fragment("news.html.j2", new=max(0, len(here.source.every()) - known), known=known))


@router.get("/api/v1/worklist")
def worklist_json(here: Here, who: Someone) -> Response:
    """The same rows for a RIS."""
    require(here, who, "worklist")
    with here.store.begin() as work:
        every = rows(here, gate(here, who, work), work, now=here.clock())
        AuditTrail(work).append(who.signs(WorklistViewed, at=here.clock(), rows=len(every)))
    return JSONResponse({"studies": [_plain(row) for row in every]})


def _plain(row: Row) -> dict[str, Any]:
    one = row.summary
    return {
        "study_instance_uid": one.study_instance_uid,
        "patient_id": one.patient_id,
        "accession_number": one.accession_number,
        "modality": one.modality,
        "study_date": one.study_date,
        "received_at": one.received_at.isoformat(),
        "urgency": {"level": row.level, "word": row.word, "by_hand": row.by_hand} if row.level else None,
        "leading_finding": row.leading.name if row.leading else None,
        "ai": row.ai,
        "waited_minutes": round(row.waited_minutes, 1),
        "reader": row.reader or None,
    }


@router.post("/studies/{uid}/claim")
def claim(uid: str, here: Here, who: Checked) -> Response:
    """Take a study."""
    require(here, who, "claim", study=uid)
    _known(here, uid)
    with here.store.begin() as work:
        holder = Room(work).claim(uid, who.name, now=here.clock())
        if holder != who.name:
            raise Refused(409, "claimed", f"{holder} reads this study.")
        AuditTrail(work).append(who.signs(StudyClaimed, at=here.clock(), study=uid, taken=True))
    return RedirectResponse(f"/studies/{uid}", 303)


@router.post("/studies/{uid}/release")
def release(uid: str, here: Here, who: Checked) -> Response:
    """Give a study back."""
    require(here, who, "claim", study=uid)
    with here.store.begin() as work:
        if not Room(work).release(uid, who.name):
            raise Refused(409, "claimed", "You don't hold this study.")
        AuditTrail(work).append(who.signs(StudyClaimed, at=here.clock(), study=uid, taken=False))
    return RedirectResponse("/worklist", 303)


@router.post("/studies/{uid}/urgency")
def set_urgency(
    uid: str,
    here: Here,
    who: Checked,
    level: Annotated[int, Form(ge=1, le=5)],
    reason: Annotated[str, Form(min_length=3, max_length=500)],
) -> Response:
    """Set the urgency by hand, with a reason."""
    require(here, who, "set-urgency", study=uid)
    _known(here, uid)
    with here.store.begin() as work:
        room = Room(work)
        before = room.urgencies().get(uid)
        room.set_urgency(uid, level, reason, who.name, now=here.clock())
        AuditTrail(work).append(
            who.signs(
                UrgencyChanged, at=here.clock(), study=uid, before=str(before or ""), after=str(level), reason=reason
            )
        )
    return RedirectResponse(f"/studies/{uid}", 303)


def _known(here: Premises, uid: str) -> Summary:
    found = here.source.summary(uid)
    if found is None:
        raise Refused(404, "not_found")
    return found
