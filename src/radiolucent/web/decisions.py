"""Decisions: accept, modify or reject each finding, with reason, trust and a redrawn region; and overlay toggles."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, Literal

import numpy as np
from fastapi import APIRouter, Form, Header
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, Field

from radiolucent.audit.events import FindingDecided, OverlayToggled
from radiolucent.audit.reading_events import AiRevealed, StudyLeft
from radiolucent.findings.reading import SeriesReading
from radiolucent.rollout.policy import Route
from radiolucent.store.adaptation import Adaptations
from radiolucent.store.audit import AuditTrail
from radiolucent.store.room import Decision, Room
from radiolucent.web.access import Checked, Here, Refused, Someone, Told, deny, gate, require
from radiolucent.web.adapting import Adapting
from radiolucent.web.amending import take_back
from radiolucent.web.seeing import HELD, held_back, visible
from radiolucent.web.study import REASONS

router = APIRouter()
_MOST_POINTS = 500
_JSON: Final = "application/json"
WRONG: Final = ("wrong-finding", "wrong-place", "artefact")
"""Reasons that say that the result is wrong: with one of these a rejection takes it back from where it was sent."""


@router.post("/studies/{uid}/decisions")
def decide(
    uid: str,
    here: Here,
    who: Checked,
    series: Annotated[str, Form(max_length=80)],
    finding: Annotated[str, Form(max_length=64)],
    outcome: Annotated[str, Form(pattern="^(accept|modify|reject)$")],
    reason: Annotated[str, Form(max_length=32)] = "",
    note: Annotated[str, Form(max_length=4000)] = "",
    trust: Annotated[str, Form(pattern="^[1-5]?$")] = "",
    region: Annotated[str, Form(max_length=50_000)] = "",
    open_ms: Annotated[int, Form(ge=0, le=10**9)] = 0,
    overlay_ms: Annotated[int, Form(ge=0, le=10**9)] = 0,
    keep_sent: Annotated[bool, Form()] = False,
    accept: Annotated[str, Header()] = "",
) -> Response:
    """Keep a decision on one finding. Trust has no preset: left open, it stays unknown.

    A rejection because the result is wrong takes it back from wherever it was sent, unless `keep_sent`: the finding
    alone where the rest of the reading stands, else the whole reading.
    """
    route: Route = "modify" if outcome == "modify" else "decide"
    require(here, who, route, study=uid)
    summary = here.source.summary(uid)
    read = next((s for s in summary.reading.series if s.key == series), None) if summary and summary.reading else None
    if summary is None or read is None or finding not in {one.name for one in read.findings}:
        raise Refused(404, "not_found")
    if outcome == "reject" and reason not in REASONS:
        raise Refused(422, "reason", "Choose a reason for the rejection.")
    if reason and (outcome == "accept" or reason not in REASONS):
        raise Refused(422, "reason", "A reason belongs to a rejection or a change.")
    if outcome == "modify" and not (reason or note.strip() or region):
        raise Refused(422, "modify", "Say what is to be changed: draw the region anew, give a reason or a note.")
    now = here.clock()
    with here.store.begin() as work:
        code = gate(here, who, work).verdict(route, read.engine, finding).code
        held = held_back(here, who, work, summary)
    if code:
        deny(here, who, route, code, study=uid)
    if held:
        raise Refused(403, held, HELD[held])
    decision = Decision(
        study_instance_uid=uid,
        series_key=series,
        finding=finding,
        engine=read.engine.label,
        reading_digest=summary.digest,
        reader=who.name,
        outcome=outcome,
        reason=reason,
        note=note,
        trust=int(trust) if trust else None,
        region=_region(region, read),
        open_ms=open_ms,
        overlay_ms=overlay_ms,
        at=now,
    )
    with here.store.begin() as work:
        Room(work).decide(decision)
        AuditTrail(work).append(
            who.signs(
                FindingDecided,
                at=now,
                study=uid,
                finding=finding,
                series=series,
                outcome=outcome,
                reason=reason,
                trust=decision.trust,
                digest=summary.digest,
            )
        )
    done = ""
    if outcome == "reject" and reason in WRONG and not keep_sent:
        done = take_back(here, who, decision, summary.reading)
    if _JSON in accept:
        return JSONResponse({"decided": True, "withdrawn": done == "withdrawn", "amended": done == "amended"}, 201)
    return RedirectResponse(f"/studies/{uid}#decisions", 303)


@router.get("/studies/{uid}/decisions")
def decisions(uid: str, here: Here, who: Someone) -> Response:
    """All decisions on a study, oldest first."""
    require(here, who, "text", study=uid)
    with here.store.read() as work:
        summary = here.source.summary(uid)
        held = held_back(here, who, work, summary) if summary else ""
        made = [] if held else visible(Room(work).decisions(uid), gate(here, who, work))
    return JSONResponse({"decisions": [_plain(one) for one in made]})


class View(BaseModel):
    """What the viewer tells: ``overlay-shown`` or ``overlay-hidden`` of ``series/finding``, and how long it was on.

    ``page-left`` says how long the page was open. How long something was seen is counted by the server's own clock
    (`web.viewed`); the browser's figure stands beside it.
    """

    event: Literal["overlay-shown", "overlay-hidden", "page-left"]
    finding: str = Field(max_length=160)
    ms: int = Field(ge=0, le=10**9)
    method: str = Field(default="", max_length=64)


@router.post("/studies/{uid}/views")
def viewed(uid: str, view: View, here: Here, who: Told) -> Response:
    """The viewer tells that an overlay was switched on or off."""
    require(here, who, "image", study=uid)
    if here.source.summary(uid) is None:
        raise Refused(404, "not_found")
    at, shown = here.clock(), view.event == "overlay-shown"
    event = (
        who.signs(StudyLeft, at=at, study=uid, after_ms=view.ms)
        if view.event == "page-left"
        else who.signs(OverlayToggled, at=at, study=uid, finding=view.finding, on=shown, after_ms=view.ms)
    )
    with here.store.begin() as work:
        AuditTrail(work).append(event)
    return Response(status_code=204)


@router.post("/studies/{uid}/own-reading")
def own_reading(
    uid: str,
    here: Here,
    who: Checked,
    present: Annotated[list[str], Form(max_length=60)] = [],  # noqa: B006 - FastAPI copies it
    nothing: Annotated[bool, Form()] = False,
    note: Annotated[str, Form(max_length=4000)] = "",
) -> Response:
    """A reader's own reading of a study whose AI was withheld; after it the AI is shown."""
    require(here, who, "decide", study=uid)
    summary = here.source.summary(uid)
    if summary is None or summary.reading is None:
        raise Refused(404, "not_found")
    known = {finding.name for series in summary.reading.series for finding in series.findings}
    if not set(present) <= known or bool(present) == nothing:
        raise Refused(422, "own_reading", "Choose what you see, or that you see none of it.")
    said = " ".join(sorted(set(present)))
    with here.store.begin() as work:
        if not Adapting(here, who, work).of(summary).withheld:
            raise Refused(409, "not_withheld", "The AI isn't withheld from you in this study.")
        Adapting(here, who, work).opened(summary)
        kept = Adaptations(work)
        kept.reveal(uid, who.name, summary.digest, said=said, note=note, now=here.clock())
        AuditTrail(work).append(
            who.signs(AiRevealed, at=here.clock(), study=uid, said=said or "nothing", digest=summary.digest)
        )
    return RedirectResponse(f"/studies/{uid}#findings", 303)


def _region(text: str, read: SeriesReading) -> str:
    """A redrawn outline, checked, in canonical form: pixels of one image, and patient coordinates. Raises `Refused`."""
    if not text:
        return ""
    try:
        value = json.loads(text)
        frame, points = int(value["frame"]), [(float(row), float(column)) for row, column in value["points"]]
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(422, "region", "The region isn't an outline on one frame.") from error
    rows, columns = read.shape
    inside = all(-0.5 <= row <= rows - 0.5 and -0.5 <= column <= columns - 0.5 for row, column in points)
    if not (0 <= frame < len(read.frames) and 3 <= len(points) <= _MOST_POINTS and inside):
        raise Refused(422, "region", "The region needs 3 to 500 points inside the image.")
    place = read.frames[frame]
    kept: dict[str, Any] = {"frame": frame, "points": [[round(r, 2), round(c, 2)] for r, c in points]}
    kept["sop_instance_uid"] = place.sop_instance_uid
    if place.plane is not None:
        kept["points_mm"] = [[round(float(v), 2) for v in xyz] for xyz in place.plane.to_patient(np.array(points))]
    return json.dumps(kept)


def _plain(one: Decision) -> dict[str, Any]:
    return {
        "series": one.series_key,
        "finding": one.finding,
        "reader": one.reader,
        "outcome": one.outcome,
        "reason": one.reason,
        "note": one.note,
        "trust": one.trust,
        "region": json.loads(one.region) if one.region else None,
        "at": one.at.isoformat(),
    }
