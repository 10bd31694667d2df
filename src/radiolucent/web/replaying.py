"""What was shown to whom, drawn again from the trail: the stored maps and digests give the same picture, or say so."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from fastapi import APIRouter
from fastapi.responses import Response

from radiolucent.audit.events import AuditRead, HeatmapSent
from radiolucent.audit.reading_events import ExplanationSent
from radiolucent.errors import SenderError
from radiolucent.explain.difference import difference
from radiolucent.explain.overlay import overlay, png
from radiolucent.findings.reading import Finding, Reading, SeriesReading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.imaging.body import edges
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.pixels import display
from radiolucent.imaging.study import Stack
from radiolucent.pipeline.explain_pictures import picture_of
from radiolucent.results.reading_json import evidence_digest
from radiolucent.store.audit import AuditTrail
from radiolucent.web.access import Here, Premises, Refused, Someone, require
from radiolucent.web.comparing import alignments_of, counterpart
from radiolucent.web.sources import OpenStudy, read_document

router = APIRouter()


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A picture made again, and the digest of the map that it was made from."""

    picture: bytes
    sha256: str


@router.get("/audit/{number}/picture.png")
def picture(number: int, here: Here, who: Someone) -> Response:
    """The picture behind an entry of the trail: same map, scale and frame; 409 where its map is not there any more.

    A map that was sent whole is drawn on its peak image. Where the AI was withheld there is no map to draw.
    """
    require(here, who, "audit")
    with here.store.begin() as work:
        trail = AuditTrail(work)
        entry = trail.entry(number)
        trail.append(who.signs(AuditRead, at=here.clock(), what="picture", outcome=str(number)))
    found = entry.event if entry else None
    if not isinstance(found, HeatmapSent | ExplanationSent):
        raise Refused(404, "not_found", "This entry has no picture: no map was sent with it.")
    shown = replay(here, found)
    return Response(shown.picture, media_type="image/png", headers={"X-Map-SHA256": shown.sha256})


def replay(here: Premises, event: HeatmapSent | ExplanationSent) -> Shown:
    """The picture of a sent map. `Refused` where images or map are gone, or the map isn't the one that was sent."""
    opened = here.source.open(event.study_instance_uid)
    stacks = {stack.key: stack for stack in opened.study.stacks} if opened and opened.study else {}
    if opened is None or event.series not in stacks:
        raise Refused(409, "gone", "The images of this entry aren't kept any more.")
    stack = stacks[event.series]
    if isinstance(event, ExplanationSent):
        return _explanation(here, event, opened, stack)
    for reading in _readings(opened):
        for series in reading.series:
            for finding in series.findings:
                if (series.key, finding.name) == (event.series, event.finding):
                    heatmap = _map(event, opened, finding, series)
                    if heatmap is not None:
                        return _drawn(event, finding, series, heatmap, stack)
    raise Refused(409, "gone", "No kept reading holds the map of this entry.")


def _readings(opened: OpenStudy) -> Iterator[Reading]:
    """Every reading of the study that is kept, the latest first."""
    if opened.summary.reading is not None:
        yield opened.summary.reading
    folder = opened.summary.folder
    if folder is None or not folder.name.isdecimal():
        return  # a folder source holds one reading
    for other in sorted(folder.parent.iterdir(), key=lambda path: path.name, reverse=True):
        if other != folder and (other / "reading.json").is_file():
            try:
                found = read_document(other / "reading.json")[0]
            except SenderError:
                continue
            yield from (one for one in found if one.study_instance_uid == opened.summary.study_instance_uid)


def _map(event: HeatmapSent, opened: OpenStudy, finding: Finding, series: SeriesReading) -> Heatmap | None:
    """The finding's map, or its change, if it is the one that was sent."""
    values = finding.heatmap.evidence
    if event.form == "change":
        prior = opened.prior.summary.reading if opened.prior else None
        other = counterpart(finding, series, prior, alignments_of(opened))
        if other is None:
            return None
        values = difference((finding, series), (other.finding, other.series), other.alignment)
    if evidence_digest(values) != event.sha256:
        return None
    return Heatmap(
        evidence=np.abs(values) if event.form == "change" else values,
        record=finding.heatmap.record,
        display_scale=event.display_scale,
        floor=event.floor,
    )


def _drawn(event: HeatmapSent, finding: Finding, series: SeriesReading, heatmap: Heatmap, stack: Stack) -> Shown:
    where = finding.localisation
    peak = where.peak_frame if where is not None and where.peak_frame is not None else heatmap.peak_frame
    frame = event.frame if event.frame >= 0 else peak
    image = overlay(
        display(stack, frame),
        heatmap,
        frame,
        None if event.form == "change" else where,
        finding_label=finding_type(finding.name).label + (", size of the change" if event.form == "change" else ""),
        engine_label=series.engine.label,
        place=stack.frames[frame],
        edges=edges(stack),
    )
    return Shown(picture=png(image), sha256=event.sha256)


def _explanation(here: Premises, event: ExplanationSent, opened: OpenStudy, stack: Stack) -> Shown:
    if here.desk is None:
        raise Refused(409, "gone", "Explanations on request are switched off here.")
    engines = [one.engine for reading in _readings(opened) for one in reading.series]
    engine = next((one for one in engines if one.digest == event.engine_digest), None)
    if engine is None:
        raise Refused(409, "gone", "No kept reading names the engine of this entry.")
    made = here.desk.again(
        engine, stack, event.finding, event.method, frame=event.frame, seed=event.seed, inputs=event.inputs
    )
    if evidence_digest(made.values[None]) != event.sha256:
        raise Refused(409, "differs", "The map made again isn't the one that was sent.")
    return Shown(picture=picture_of(made, stack), sha256=event.sha256)
