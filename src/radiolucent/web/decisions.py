"""Decisions: accept, modify or reject each finding, with reason, trust and a redrawn region; and overlay toggles."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Header
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, Field

from radiolucent.audit.events import FindingDecided, OverlayToggled
from radiolucent.rollout.policy import Route
from radiolucent.store.audit import AuditTrail
from radiolucent.store.room import Decision, Room
from radiolucent.store.site import Site
from radiolucent.web.access import Checked, Here, Refused, Someone, Told, deny, gate, require
from radiolucent.web.seeing import visible
from radiolucent.web.study import REASONS

router = APIRouter()
_MOST_POINTS = 500


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
    accept: Annotated[str, Header()] = "",
) -> Response:
    """Keep a decision on one finding. Trust has no preset: left open, it stays unknown."""
    route: Route = "modify" if outcome == "modify" else "decide"
    require(here, who, route, study=uid)
    summary = here.source.summary(uid)
    read = next((s for s in summary.reading.series if s.key == series), None) if summary and summary.reading else None
    if summary is None or read is None or finding not in {one.name for one in read.findings}:
        raise Refused(404, "not_found")
    if outcome == "reject" and reason not in REASONS:
        raise Refused(422, "reason", "Choose a reason for the rejection.")
    if outcome != "reject" and reason:
        raise Refused(422, "reason", "A reason belongs to a rejection only.")
    now = here.clock()
    with here.store.begin() as work:
        code = gate(here, who, work).verdict(route, read.engine, finding).code
        forced = Site(work).setting("read_first") == "forced" and not Room(work).has_looked(uid, who.name)
    if code:
        deny(here, who, route, code, study=uid)
    if forced:
        raise Refused(403, "look_first", "Look at the images first: this site asks for it.")
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
        region=_region(region, len(read.frames), read.shape),
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
    if "application/json" in accept:
        return JSONResponse({"decided": True}, 201)
    return RedirectResponse(f"/studies/{uid}#decisions", 303)


@router.get("/studies/{uid}/decisions")
def decisions(uid: str, here: Here, who: Someone) -> Response:
    """All decisions on a study, oldest first."""
    require(here, who, "text", study=uid)
    with here.store.read() as work:
        made = visible(Room(work).decisions(uid), gate(here, who, work))
    return JSONResponse({"decisions": [_plain(one) for one in made]})


class View(BaseModel):
    """What the viewer tells: ``overlay-shown`` or ``overlay-hidden`` of ``series/finding``, and how long it was on."""

    event: Literal["overlay-shown", "overlay-hidden"]
    finding: str = Field(max_length=160)
    ms: int = Field(ge=0, le=10**9)
    method: str = Field(default="", max_length=64)


@router.post("/studies/{uid}/views")
def viewed(uid: str, view: View, here: Here, who: Told) -> Response:
    """The viewer tells that an overlay was switched on or off."""
    require(here, who, "image", study=uid)
    if here.source.summary(uid) is None:
        raise Refused(404, "not_found")
    shown = view.event == "overlay-shown"
    with here.store.begin() as work:
        AuditTrail(work).append(
            who.signs(OverlayToggled, at=here.clock(), study=uid, finding=view.finding, on=shown, after_ms=view.ms)
        )
    return Response(status_code=204)


def _region(text: str, frames: int, shape: tuple[int, int]) -> str:
    """A redrawn outline, checked and in canonical form. Raises `Refused`."""
    if not text:
        return ""
    try:
        value = json.loads(text)
        frame, points = int(value["frame"]), [(float(row), float(column)) for row, column in value["points"]]
    except (ValueError, KeyError, TypeError) as error:
        raise Refused(422, "region", "The region isn't an outline on one frame.") from error
    inside = all(-0.5 <= row <= shape[0] - 0.5 and -0.5 <= column <= shape[1] - 0.5 for row, column in points)
    if not (0 <= frame < frames and 3 <= len(points) <= _MOST_POINTS and inside):
        raise Refused(422, "region", "The region needs 3 to 500 points inside the image.")
    return json.dumps({"frame": frame, "points": [[round(r, 2), round(c, 2)] for r, c in points]})


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
