"""The page of one study: images first, then the findings that this reader may see, the report, the decisions."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Query
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from radiolucent.audit.events import Commented, ImagesLooked, StudyViewed
from radiolucent.explain.overlay import overlay, plain, png
from radiolucent.findings.phrases import phrases
from radiolucent.findings.reading import Finding, Reading, SeriesReading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.findings.urgency import default_urgency
from radiolucent.imaging.body import edges
from radiolucent.imaging.pixels import display
from radiolucent.imaging.study import Stack
from radiolucent.pipeline.output import insight_sheet
from radiolucent.pipeline.pictures import finding_pictures
from radiolucent.pipeline.read_path import StudyResult
from radiolucent.store.amendments import Amendments
from radiolucent.store.audit import AuditTrail
from radiolucent.store.room import Room
from radiolucent.store.site import Site
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import Checked, Gate, Here, Premises, Refused, Someone, deny, gate, require
from radiolucent.web.adapting import NOTHING, Adaptation, Adapting
from radiolucent.web.detail import Detail, considered, decisions_on, failures, similar
from radiolucent.web.explanation_desk import offers
from radiolucent.web.pages import page
from radiolucent.web.reporting import desk_of, marked
from radiolucent.web.seeing import HELD, Shown, drawable, held_back, limited, opened_study, shown, visible
from radiolucent.web.sources import OpenStudy, Summary
from radiolucent.web.viewed import viewings_of
from radiolucent.web.viewing import viewer_json
from radiolucent.web.worklist import Wanted, rows

router = APIRouter()
SHEET_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'; base-uri 'none'; sandbox"
)
"""The sheet is one file with its style inside; it runs nothing."""
FAULTS: Final = ("engine-failed", "unreadable-pixels")
"""Codes of refusals that are a fault of a machine."""
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
        adapted = Adapting(here, who, work).opened(opened.summary) if limited(opened.summary.reading, seen) else NOTHING
        held = held_back(here, who, work, opened.summary)
        allowed = limited(opened.summary.reading, seen) if not held else None
        findings = shown(allowed, seen) if allowed else []
        decisions = visible(room.decisions(uid), seen) if not held else []
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
            report=desk_of(here, work, uid, allowed),
            marked=marked,
            interval=phrases("en").interval,
            unread=_unread(allowed, opened.summary),
            silence=_silence(opened, seen, held=held),
            held=held,
            adapted=adapted,
            candidates=_candidates(opened.summary.reading) if held == "own_reading_first" else [],
            details=_details(here, seen, work, opened.summary, findings, adapted),
            methods=offers() if here.desk else [],
            seen_so_far=viewings_of(work, uid, who.name),
            mode=mode,
            looked=looked,
            decisions=decisions,
            amendments=Amendments(work).of(uid) if allowed else [],
            comments=room.comments(uid),
            claimed=room.claims().get(uid, ""),
            by_hand=room.urgencies().get(uid),
            reasons=REASONS,
            levels=default_urgency().levels,
            neighbours=_neighbours(here, seen, work, uid),
            prior_frames=_prior_frames(opened),
            viewer=viewer_json(
                opened, allowed, _prior_reading(opened, seen) if allowed else None, seen, who, decisions=decisions
            ),
        )


def _below(reading: Reading | None) -> list[tuple[Finding, SeriesReading]]:
    if reading is None:
        return []
    return [(finding, series) for series in reading.series for finding in series.findings if not finding.positive]


def _unread(reading: Reading | None, summary: Summary) -> list[tuple[str, bool]]:
    """Why something wasn't read, each reason once, and whether it is a fault: being out of scope is none."""
    if reading is None:
        return [(summary.reason, True)] if summary.reason else []
    told = {refusal.reason: refusal.code in FAULTS for series in reading.unread for refusal in series.refusals}
    return [*(told | {problem.reason: True for problem in reading.problems}).items()]


def _candidates(reading: Reading | None) -> list[str]:
    """What the engines look for in this study, whether they found it or not: nothing of their result shows in it."""
    return sorted({finding.name for series in (reading.series if reading else ()) for finding in series.findings})


def _details(
    here: Premises, seen: Gate, work: Work, summary: Summary, findings: list[Shown], adapted: Adaptation
) -> dict[int, Detail]:
    """By the number of a finding, what the reader's rules add to it."""
    found: dict[int, Detail] = {}
    for one in findings:
        made = decisions_on(here, work, one.finding, one.series)
        near = similar(here, seen, summary, one.finding, one.series, made) if adapted.has("similar-accepted") else None
        found[one.number] = Detail(
            considered=tuple(considered(one.finding, one.series)) if adapted.has("differential") else (),
            mimics=phrases("en").mimics[one.finding.name] if adapted.has("differential") else (),
            similar=None if near is None else tuple(near),
            failures=tuple(failures(here, one.series, made, REASONS)) if adapted.has("failure-modes") else (),
        )
    return found


def _silence(opened: OpenStudy, seen: Gate, *, held: str) -> str:
    """Why nothing of the AI is on the page; empty where something is."""
    reading = opened.summary.reading
    if seen.stopped:
        return "The AI has been stopped at this site. No result is shown."
    if held and limited(reading, seen):
        return HELD[held]
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


def _neighbours(here: Premises, seen: Gate, work: Work, uid: str) -> tuple[str, str]:
    """The studies before and after this one in the reader's worklist, each empty where there is none."""
    listed, _ = rows(here, seen, work, Wanted(), now=here.clock())
    uids = [row.line.study.study_instance_uid for row in listed]
    if uid not in uids:
        return "", next(iter(uids), "")
    place = uids.index(uid)
    return (uids[place - 1] if place else ""), (uids[place + 1] if place + 1 < len(uids) else "")


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


@router.get("/studies/{uid}/insight")
def insight(uid: str, here: Here, who: Someone) -> Response:
    """The insight sheet, made anew for what this reader may see; its pictures are heatmaps and are written down."""
    require(here, who, "image", study=uid)
    opened, now = opened_study(here, uid), here.clock()
    with here.store.begin() as work:
        seen, held = gate(here, who, work), held_back(here, who, work, opened.summary)
    reading = limited(opened.summary.reading, seen)
    if opened.study is None or reading is None or not reading.series:
        raise Refused(404, "not_found")
    if held:
        raise Refused(403, held, HELD[held])
    for one in shown(reading, seen):
        code = seen.verdict("heat", one.series.engine, one.finding.name).code
        if code:  # the sheet shows every finding's place
            deny(here, who, "heat", code, study=uid)
        if not one.heat:
            drawable(here, who, opened, one.series.key, one.finding.name, form="insight")
    prior = opened.prior.study if opened.prior else None
    result = StudyResult(study=opened.study, reading=reading, prior_study=prior)
    pictures = list(finding_pictures(result))
    sheet = insight_sheet(result, pictures, limits=here.limits, made_at=now, voice=here.voice)
    headers = {"Content-Security-Policy": SHEET_POLICY}
    return HTMLResponse(sheet.replace("../report.html", f"/studies/{uid}"), headers=headers)


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
