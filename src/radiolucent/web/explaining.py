"""Other explanation methods on request: asked for, followed, stopped, and their maps, under the rules of heatmaps."""

from __future__ import annotations

import math
from time import perf_counter
from typing import Any
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from radiolucent.audit.reading_events import ExplanationAsked, ExplanationSent
from radiolucent.explain.agreement import TOP, common, rank_correlation, top_overlap
from radiolucent.explain.explanation import Explanation
from radiolucent.findings.reading import Finding
from radiolucent.findings.taxonomy import finding_type
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.results.reading_json import evidence_digest
from radiolucent.store.audit import AuditTrail
from radiolucent.store.room import Room
from radiolucent.web.access import Here, Premises, Refused, Someone, Told, Visitor
from radiolucent.web.explanation_desk import Busy, Desk, Job, Wish, offers
from radiolucent.web.images import opened_result
from radiolucent.web.seeing import may_draw
from radiolucent.web.viewer_data import grid_bytes

router = APIRouter(prefix="/api/v1")


class Asked(BaseModel):
    """What a reader asks for; `frame` is the image on screen, from 0."""

    series: str = Field(max_length=80)
    finding: str = Field(max_length=64)
    method: str = Field(max_length=64)
    frame: int = Field(ge=0, le=100_000)


@router.get("/explanations/methods")
def methods(who: Someone) -> Response:
    """Every method that can be asked for, what its map means, and why one can't be had here."""
    told = [
        {
            "key": one.key,
            "title": one.title,
            "what": one.what,
            "unit": one.unit,
            "passes": one.passes,
            "source": one.source,
            "missing": reason,
        }
        for one, reason in offers()
    ]
    return JSONResponse({"methods": told})


@router.post("/results/{rid}/explanations", status_code=202)
def ask(rid: str, asked: Asked, here: Here, who: Told) -> Response:
    """Ask for a map; 202 with the job to follow, 409 while one of yours is on its way."""
    desk, opened = _desk(here), opened_result(here, who, rid)
    found, read = may_draw(here, who, opened, asked.series, asked.finding)
    stack = next((one for one in opened.study.stacks if one.key == read.key), None) if opened.study else None
    if stack is None or asked.frame >= len(stack.frames):
        raise Refused(404, "not_found")
    wish = Wish(
        reader=who.name,
        result_id=rid,
        series=read.key,
        finding=found.name,
        method=asked.method,
        frame=asked.frame,
        engine=read.engine,
        pass_ms=read.milliseconds.get("engine", 0.0) / max(1, len(read.frames)),
    )
    try:
        job = desk.ask(wish, stack)
    except Busy as error:
        raise Refused(409, "busy", str(error)) from error
    try:
        _note(here, who, job, "asked")
    except BaseException:
        job.cancelled.set()  # what isn't in the trail isn't made
        raise
    return JSONResponse(_told(job, found), 202)


@router.get("/results/{rid}/explanations")
def made(rid: str, here: Here, who: Someone) -> Response:
    """What this reader has got for this reading, so that a reload of the page loses nothing."""
    opened = opened_result(here, who, rid)
    told = []
    for job in here.desk.finished(rid, who.name) if here.desk else ():
        found, _ = may_draw(here, who, opened, job.wish.series, job.wish.finding)
        told.append(_told(job, found))
    return JSONResponse({"explanations": told})


@router.get("/results/{rid}/explanations/{job}")
def follow(rid: str, job: str, here: Here, who: Someone) -> Response:
    """How far a job is, and its map's address once it is done."""
    found, one = _mine(here, who, rid, job)
    return JSONResponse(_told(one, found))


@router.post("/results/{rid}/explanations/{job}/stop")
def stop(rid: str, job: str, here: Here, who: Told) -> Response:
    """Stop a job; it ends before its next batch."""
    found, one = _mine(here, who, rid, job)
    one.cancelled.set()
    _note(here, who, one, "stopped")
    return JSONResponse(_told(one, found), 202)


@router.get("/results/{rid}/explanations/{job}/map")
def grid(rid: str, job: str, here: Here, who: Someone) -> Response:
    """The map's cells as a heatmap's, in the method's unit; what speaks against the finding is sent as 0."""
    _, one = _mine(here, who, rid, job)
    explanation = one.explanation
    if explanation is None:
        raise Refused(404, "not_ready", "This explanation isn't there (yet).")
    data, headers = grid_bytes(explanation.heatmap)
    headers |= {
        "X-Display-Scale": repr(float(explanation.display_scale)),
        "X-Method": explanation.method.title,
        "X-Unit": explanation.method.unit,
        "X-Engine": explanation.engine,
        "X-Inputs": explanation.digest,
    }
    uid, now = rid.partition(":")[0], here.clock()
    with here.store.begin() as work:
        Room(work).overlay_opened(uid, who.name)
        AuditTrail(work).append(
            who.signs(
                ExplanationSent,
                at=now,
                study=uid,
                finding=explanation.finding,
                series=one.wish.series,
                method=explanation.method.key,
                frame=explanation.frame,
                seed=explanation.seed,
                passes=explanation.passes,
                engine_digest=one.wish.engine.digest,
                inputs=explanation.digest,
                sha256=evidence_digest(explanation.values[None]),
                display_scale=explanation.display_scale,
            )
        )
    return Response(data, media_type="application/octet-stream", headers=headers)


def agreement(explanation: Explanation, primary: Heatmap) -> dict[str, Any]:
    """How far a map agrees with the reading's own on the same frame.

    Returns
    -------
    ``rank_correlation`` (Spearman, over cells of a common grid; None where a map is flat), ``overlap`` (intersection
    over union of the strongest tenth of the cells) and the words for both.
    """
    one, two = common(explanation.values), common(primary.evidence[explanation.frame])
    rank, overlap = rank_correlation(one, two), top_overlap(one, two)
    known = None if math.isnan(rank) else round(rank, 3)
    words = "flat" if known is None else f"{known:.2f}"
    return {
        "rank_correlation": known,
        "overlap": round(overlap, 3),
        "words": f"agreement with the evidence map: rank correlation {words}, "
        f"overlap (IoU) of the strongest {TOP:.0%} of cells {overlap:.2f}",
    }


def _desk(here: Premises) -> Desk:
    if here.desk is None:
        raise Refused(404, "no_explanations", "Explanations on request are switched off here.")
    return here.desk


def _mine(here: Premises, who: Visitor, rid: str, job: str) -> tuple[Finding, Job]:
    """A reader's own job, if its map may still be seen. Or `Refused`."""
    one = _desk(here).find(job, who.name)
    if one is None or one.wish.result_id != rid:
        raise Refused(404, "not_found")
    found, _ = may_draw(here, who, opened_result(here, who, rid), one.wish.series, one.wish.finding)
    return found, one


def _note(here: Premises, who: Visitor, job: Job, state: str) -> None:
    wish = job.wish
    with here.store.begin() as work:
        AuditTrail(work).append(
            who.signs(
                ExplanationAsked,
                at=here.clock(),
                study=wish.result_id.partition(":")[0],
                finding=wish.finding,
                series=wish.series,
                method=wish.method,
                frame=wish.frame,
                job=job.id,
                state=state,
            )
        )


def _told(job: Job, found: Finding) -> dict[str, Any]:
    left = job.seconds_left(now=perf_counter())
    told: dict[str, Any] = {
        "job": job.id,
        "state": job.state,
        "done": job.done,
        "total": job.total,
        "seconds_left": None if left is None else round(left, 1),
        "reason": job.reason,
        "method": job.wish.method,
        "finding": f"{job.wish.series}/{job.wish.finding}",
    }
    if job.explanation is None:
        return told
    return told | _result(job, job.explanation, found)


def _result(job: Job, made: Explanation, found: Finding) -> dict[str, Any]:
    heatmap = made.heatmap
    to_pixels = heatmap.record.grid_to_source(heatmap.grid)
    address = f"/api/v1/results/{quote(job.wish.result_id)}/explanations/{job.id}/map"
    return {
        "title": made.method.title,
        "what": made.method.what,
        "source": made.method.source,
        "frame": made.frame,
        "seconds": round(made.seconds, 2),
        "passes": made.passes,
        "from_cache": made.from_cache,
        "agreement": agreement(made, found.heatmap),
        "view": {
            "id": f"{job.wish.series}/{job.wish.finding}~{made.method.key}~{made.frame}",
            "label": finding_type(found.name).label,
            "series": job.wish.series,
            "engine": made.engine,
            "method": made.method.title,
            "positive": True,
            "score": found.score if found.probability is None else found.probability,
            "threshold": found.operating_point,
            "peak_frame": made.frame,
            "only_frame": made.frame,
            "frame_logits": [],
            "display_scale": made.display_scale,
            "floor": heatmap.floor,
            "to_pixels": [float(value) for value in np.asarray(to_pixels)[:2].ravel()],
            "heat_url": address,
            "unit": made.method.unit,
            "what": made.method.what,
        },
    }
