"""The API of the viewer: series, frames and heatmap grids as plain arrays, each asked of the table of access."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Header, Query
from fastapi.responses import JSONResponse, Response

from radiolucent.explain.overlay import METHOD
from radiolucent.findings.hierarchy import ranked
from radiolucent.findings.reading import Finding, SeriesReading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.imaging.header import text
from radiolucent.imaging.study import Stack
from radiolucent.web.access import Gate, Here, Premises, Refused, Someone, gate, require
from radiolucent.web.kept import Kept
from radiolucent.web.seeing import HELD, drawable, held_back, limited
from radiolucent.web.sources import OpenStudy, Summary
from radiolucent.web.viewer_data import Packing, frame_bytes, heat_bytes, packing, series_meta

router = APIRouter(prefix="/api/v1")
_PACKED = Kept(256)


@router.get("/series/{key}/meta")
def meta(key: str, here: Here, who: Someone) -> Response:
    """What a viewer needs to know of a stack before its first frame. No patient's name."""
    opened, stack = _stack(here, who, key)
    about = series_meta(stack, packed(stack), frames_url=frames_url(stack))
    return JSONResponse(
        about
        | {
            "study_instance_uid": stack.study_instance_uid,
            "patient_id": opened.summary.patient_id,
            "study_date": text(stack.header, "StudyDate"),
            "kind": stack.kind,
            "slice_spacing_mm": stack.slice_spacing_mm,
            "frame_of_reference_uid": text(stack.header, "FrameOfReferenceUID"),
            "notes": list(stack.notes),
        }
    )


@router.get("/series/{key}/frames/{k}")
def frame(
    key: str,
    k: int,
    here: Here,
    who: Someone,
    if_none_match: Annotated[str, Header()] = "",
) -> Response:
    """One frame, little endian, row by row, as the series' meta says: value = stored * slope + intercept, or RGB."""
    _, stack = _stack(here, who, key)
    if not 0 <= k < len(stack.frames):
        raise Refused(404, "not_found")
    place = stack.frames[k]
    etag = '"' + hashlib.sha256(f"1 {place.sop_instance_uid} {place.number}".encode()).hexdigest()[:32] + '"'
    # kept by the browser, but asked for each time: who may no longer see it gets no "not modified"
    headers = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if etag in if_none_match:
        return Response(status_code=304, headers=headers)
    how = packed(stack)
    headers["X-Dtype"] = how.dtype
    return Response(frame_bytes(stack, k, how), media_type="application/octet-stream", headers=headers)


def packed(stack: Stack) -> Packing:
    """How the stack's values are sent; found once."""
    return _PACKED.get((stack.key, stack.frames[0].sop_instance_uid, len(stack.frames)), lambda: packing(stack))


def frames_url(stack: Stack) -> str:
    """Frame `k` of the stack is at this address + k."""
    return f"/api/v1/series/{quote(stack.key, safe='')}/frames/"


def heat_url(summary: Summary, finding: Finding, series: SeriesReading) -> str:
    """The address of a finding's map."""
    return f"/api/v1/results/{quote(summary.result_id)}/heat/{finding.name}?series={quote(series.key, safe='')}"


@router.get("/results/{rid}")
def result(rid: str, here: Here, who: Someone) -> Response:
    """The reading of a study as this visitor may see it: findings with score and threshold; places only with heat."""
    opened = opened_result(here, who, rid)
    uid = opened.summary.study_instance_uid
    with here.store.read() as work:
        seen = gate(here, who, work)
        held = held_back(here, who, work, opened.summary)
    reading = limited(opened.summary.reading, seen)
    if opened.summary.reading is not None and opened.summary.reading.series and reading is None:
        raise Refused(404, "not_found")
    if held:
        raise Refused(403, held, HELD[held])
    numbers = {(e.series.key, e.finding.name): e.rank for e in ranked(reading)} if reading else {}
    return JSONResponse(
        {
            "result_id": rid,
            "study_instance_uid": uid,
            "digest": opened.summary.digest,
            "state": opened.summary.state,
            "reason": opened.summary.reason,
            "prior": _prior(opened),
            "series": [_series(one, seen, numbers) for one in (reading.series if reading else ())],
            "unread": [asdict(one) for one in (reading.unread if reading else ())],
        }
    )


@router.get("/results/{rid}/heat/{finding}")
def heat(
    rid: str,
    finding: str,
    here: Here,
    who: Someone,
    series: Annotated[str, Query(max_length=80)] = "",
    dtype: Literal["uint8", "float32"] = "uint8",
    method: Literal["evidence", "gradcam"] = "evidence",
) -> Response:
    """All frames' grids of one finding on the absolute scale: ``(frames, h, w)``.

    uint8 0 to 255 is X-Vmin to X-Vmax logits; float32 (little endian) is the signed evidence itself. Colours end at
    X-Display-Scale, for every patient alike.
    """
    opened = opened_result(here, who, rid)
    found, read = drawable(here, who, opened, series, finding, form=dtype)
    heatmap = found.heatmap
    data, headers = heat_bytes(found)
    matrix = heatmap.record.grid_to_source(heatmap.grid)
    headers |= {
        "X-Display-Scale": repr(float(heatmap.display_scale)),
        "X-Floor": repr(float(heatmap.floor)),
        "X-Dtype": dtype,
        "X-Method": METHOD,
        "X-Engine": read.engine.label,
        "X-Grid-To-Source": json.dumps([round(float(value), 9) for value in matrix[:2].ravel()]),
    }
    if dtype == "float32":
        data = heatmap.evidence.astype("<f4").tobytes()
    return Response(data, media_type="application/octet-stream", headers=headers)


def _stack(here: Premises, who: Someone, key: str) -> tuple[OpenStudy, Stack]:
    require(here, who, "image")
    opened = here.source.with_series(key.partition("#")[0])
    if opened is None:
        raise Refused(404, "not_found")
    for one in (opened, opened.prior):
        for stack in one.study.stacks if one and one.study else ():
            if stack.key == key:
                return one or opened, stack
    raise Refused(404, "not_found")


def opened_result(here: Premises, who: Someone, rid: str) -> OpenStudy:
    """The study of a result's name, at that revision, or `Refused`."""
    require(here, who, "image")
    uid, _, revision = rid.partition(":")
    opened = here.source.open(uid)
    if opened is None or revision != str(opened.summary.revision):
        raise Refused(404, "not_found")
    return opened


def _prior(opened: OpenStudy) -> dict[str, Any] | None:
    if opened.prior is None:
        return None
    one = opened.prior.summary
    stacks = opened.prior.study.stacks if opened.prior.study else ()
    return {
        "result_id": one.result_id,
        "study_date": one.study_date,
        "series": [{"uid": stack.series_instance_uid, "part": stack.part} for stack in stacks],
    }


def _series(series: SeriesReading, seen: Gate, numbers: dict[tuple[str, str], int]) -> dict[str, Any]:
    return {
        "key": series.key,
        "series_instance_uid": series.series_instance_uid,
        "part": series.part,
        "engine": series.engine.label,
        "shape": series.shape,
        "frames": len(series.frames),
        "completeness_holds": series.completeness.holds,
        "notes": list(series.notes),
        "findings": [_finding(one, series, seen, numbers.get((series.key, one.name))) for one in series.findings],
    }


def _finding(finding: Finding, series: SeriesReading, seen: Gate, number: int | None) -> dict[str, Any]:
    code = seen.verdict("heat", series.engine, finding.name).code
    where = finding.localisation
    plain: dict[str, Any] = {
        "name": finding.name,
        "label": finding_type(finding.name).label,
        "number": number,
        "positive": finding.positive,
        "score": round(finding.score, 4),
        "probability": None if finding.probability is None else round(finding.probability, 4),
        "operating_point": finding.operating_point,
        "basis": finding.basis,
        "urgency": finding.urgency.level if finding.urgency else None,
        "confidence": finding.confidence.level if finding.confidence else None,
        "change": finding.change,
        "heat": code or (where.status if where else "below-threshold"),
    }
    if code or where is None or not finding.positive:
        return plain
    return plain | {
        "display_scale": finding.heatmap.display_scale,
        "floor": finding.heatmap.floor,
        "grid": finding.heatmap.grid,
        "peak_frame": where.peak_frame,
        "frame_peaks": [round(float(value), 3) for value in finding.heatmap.frame_peaks],
        "laterality": where.laterality,
        "contour_level": where.contour_level,
        "regions": [
            {
                "frame": region.frame,
                "first_frame": region.first_frame,
                "last_frame": region.last_frame,
                "peak": region.peak,
                "peak_mm": region.peak_mm,
                "contour": region.contour,
                "share": round(region.share, 3),
            }
            for region in where.regions
        ],
    }
