"""The page of one study: images first, then the findings that this reader may see, the report, the decisions."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Query
from fastapi.responses import JSONResponse, RedirectResponse, Response

from radiolucent.audit.events import Commented, ImagesLooked, StudyViewed
from radiolucent.explain.overlay import overlay, plain, png
from radiolucent.findings.narrative import Narrative, write
from radiolucent.findings.reading import Finding, Reading, SeriesReading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.findings.urgency import default_urgency
from radiolucent.imaging.body import edges
from radiolucent.imaging.pixels import display
from radiolucent.imaging.study import Stack
from radiolucent.store.audit import AuditTrail
from radiolucent.store.room import Room
from radiolucent.store.site import Site
from radiolucent.web.access import Checked, Gate, Here, Premises, Refused, Someone, gate, require
from radiolucent.web.pages import page
from radiolucent.web.seeing import drawable, limited, opened_study, shown, visible
from radiolucent.web.sources import OpenStudy
from radiolucent.web.viewing import viewer_json

router = APIRouter()
REASONS: Final = {
    "wrong-finding": "wrong finding: it isn't there",
    "wrong-place": "right finding, wrong place",
    "artefact": "artefact",
    "known": "known or treated",
    "not-relevant": "not relevant",
    "other": "other",
}
"""Why a finding is rejected; the first two tell a wrong classification from a wrong explanation."""


@router.get("/studies/{uid}")
def study_page(uid: str, here: Here, who: Someone) -> Response:
    """The page; what was shown is in the trail."""
    require(here, who, "image", study=uid)
    opened, now = opened_study(here, uid), here.clock()
    with here.store.begin() as work:
        seen, room, site = gate(here, who, work), Room(work), Site(work)
        mode, looked = site.setting("read_first"), room.has_looked(uid, who.name)
        hidden = mode == "forced" and not looked
        allowed = limited(opened.summary.reading, seen) if not hidden else None
        findings = shown(allowed, seen) if allowed else []
        room.open(uid, who.name, with_ai=bool(allowed), now=now)
        what = (
            "image"
            if not allowed
            else "image, text" + (", heat offered" if any(not one.heat for one in findings) else "")
        )
        AuditTrail(work).append(
            who.signs(StudyViewed, at=now, study=uid, shown=what, digest=opened.summary.digest if allowed else "")
        )
        return page(
            "study.html.j2",
            here,
            who,
            work,
            study=opened,
            summary=opened.summary,
            stacks=_stacks(opened),
            shown=findings,
            below=_below(allowed),
            reading=allowed,
            narrative=_narrative(here, allowed),
            silence=_silence(opened, seen, hidden=hidden),
            hidden=hidden,
            mode=mode,
            looked=looked,
            decisions=visible(room.decisions(uid), seen) if allowed else [],
            comments=room.comments(uid),
            claimed=room.claims().get(uid, ""),
            by_hand=room.urgencies().get(uid),
            reasons=REASONS,
            levels=default_urgency().levels,
            neighbours=_neighbours(here, uid),
            prior_frames=_prior_frames(opened),
            viewer=viewer_json(opened, allowed, _prior_reading(opened, seen) if allowed else None, seen, who),
        )


def _below(reading: Reading | None) -> list[tuple[Finding, SeriesReading]]:
    if reading is None:
        return []
    return [(finding, series) for series in reading.series for finding in series.findings if not finding.positive]


def _narrative(here: Premises, reading: Reading | None) -> Narrative | None:
    return write(reading, limits=here.limits) if reading is not None and (reading.series or reading.unread) else None


def _silence(opened: OpenStudy, seen: Gate, *, hidden: bool) -> str:
    """Why nothing of the AI is on the page; empty where something is."""
    reading = opened.summary.reading
    if seen.stopped:
        return "The AI has been stopped at this site. No result is shown."
    if hidden:
        return "Findings are shown once you have looked at the images."
    if reading is None:
        return f"No AI result: {opened.summary.reason or opened.summary.state}."
    if reading.series and limited(reading, seen) is None:
        return "No AI result is shown in this phase."
    return ""


def _stacks(opened: OpenStudy) -> list[Stack]:
    return list(opened.study.stacks) if opened.study else []


def _prior_reading(opened: OpenStudy, seen: Gate) -> Reading | None:
    return limited(opened.prior.summary.reading, seen) if opened.prior else None


def _prior_frames(opened: OpenStudy) -> list[Stack]:
    return _stacks(opened.prior) if opened.prior else []


def _neighbours(here: Premises, uid: str) -> list[str]:
    return [one.study_instance_uid for one in here.source.every() if one.study_instance_uid != uid][:1]


@router.get("/studies/{uid}/picture.png")
def picture(
    uid: str,
    here: Here,
    who: Someone,
    series: Annotated[str, Query(max_length=80)],
    frame: Annotated[int, Query(ge=0)] = 0,
    finding: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """One frame drawn by the server, plain or with a finding's map on it: what is seen where there is no viewer."""
    require(here, who, "image", study=uid)
    opened = opened_study(here, uid)
    stack = next((one for one in _stacks(opened) if one.key == series), None)
    if stack is None or frame >= len(stack.frames):
        raise Refused(404, "not_found")
    place, letters = stack.frames[frame], edges(stack)
    if not finding:
        return Response(png(plain(display(stack, frame), place=place, edges=letters)), media_type="image/png")
    found, read = drawable(here, who, opened, series, finding, form="picture", frame=frame)
    drawn = overlay(
        display(stack, frame),
        found.heatmap,
        frame,
        found.localisation,
        finding_label=finding_type(found.name).label,
        engine_label=read.engine.label,
        place=place,
        edges=letters,
    )
    return Response(png(drawn), media_type="image/png")


@router.get("/studies/{uid}/priors")
def priors(uid: str, here: Here, who: Someone) -> Response:
    """The prior that the reading was compared with."""
    require(here, who, "image", study=uid)
    prior = opened_study(here, uid).prior
    found: list[dict[str, Any]] = []
    if prior is not None:
        one = prior.summary
        found.append(
            {
                "study_instance_uid": one.study_instance_uid,
                "study_date": one.study_date,
                "series": [{"key": stack.key, "frames": len(stack.frames)} for stack in _stacks(prior)],
            }
        )
    return JSONResponse({"priors": found})


@router.post("/studies/{uid}/looked")
def looked(uid: str, here: Here, who: Checked) -> Response:
    """The reader has looked at the images."""
    require(here, who, "looked", study=uid)
    opened_study(here, uid)
    with here.store.begin() as work:
        Room(work).looked(uid, who.name, now=here.clock())
        AuditTrail(work).append(who.signs(ImagesLooked, at=here.clock(), study=uid))
    return RedirectResponse(f"/studies/{uid}#findings", 303)


@router.post("/studies/{uid}/comments")
def comment(uid: str, here: Here, who: Checked, text: Annotated[str, Form(min_length=1, max_length=4000)]) -> Response:
    """Leave a comment."""
    require(here, who, "comment", study=uid)
    opened_study(here, uid)
    with here.store.begin() as work:
        Room(work).comment(uid, who.name, text, now=here.clock())
        AuditTrail(work).append(who.signs(Commented, at=here.clock(), study=uid))
    return RedirectResponse(f"/studies/{uid}#comments", 303)
