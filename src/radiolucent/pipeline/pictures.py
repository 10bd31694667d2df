"""The pictures of a reading: frames as a person sees them with the evidence drawn on, for the page and the PACS."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from radiolucent.explain.overlay import SMALLEST_BURNED_IN, burned_in, overlay, plain, png
from radiolucent.findings.reading import Finding, Reading, SeriesReading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.imaging.body import edges
from radiolucent.imaging.geometry import ImagePlane
from radiolucent.imaging.pixels import display
from radiolucent.imaging.registration import Alignment
from radiolucent.imaging.study import Stack, Study
from radiolucent.pipeline.read_path import StudyResult
from radiolucent.results.objects import Picture
from radiolucent.results.report import FindingPicture, SeriesPicture

# Slices of one finding that are burned in for the PACS: the peak, and others spread over the slices involved.
KEY_SLICES = 5


def captures(series: SeriesReading, stack: Stack) -> list[Picture]:
    """For Secondary Capture: per positive finding its key slices in the source's own rows and columns.

    A frame too small for a legend is drawn larger instead, and then has no place in the patient.
    """
    draw = burned_in if min(series.shape) >= SMALLEST_BURNED_IN else overlay
    pictures = []
    for finding in series.positives:
        for frame in _key_frames(finding):
            pixels = draw(
                display(stack, frame),
                finding.heatmap,
                frame,
                finding.localisation,
                finding_label=finding_type(finding.name).label,
                engine_label=series.engine.label,
            )
            pictures.append(Picture(finding=finding.name, frame=frame, pixels=pixels, engine=series.engine.label))
    return pictures


def finding_pictures(result: StudyResult) -> Iterator[FindingPicture]:
    """For the page: every positive finding's peak slice, plain and with its map, and the same place on the prior."""
    stacks = stacks_by_key(result.study)
    for series in result.reading.series:
        for finding in series.positives:
            yield _finding_picture(finding, series, stacks[series.key], result)


def series_pictures(result: StudyResult) -> Iterator[SeriesPicture]:
    """For the page: the middle frame of every series that was read without a positive finding."""
    stacks = stacks_by_key(result.study)
    for series in result.reading.series:
        if not series.positives:
            frame = len(series.frames) // 2
            stack = stacks[series.key]
            image = plain(display(stack, frame), place=series.frames[frame], edges=edges(stack))
            yield SeriesPicture(series_instance_uid=series.key, frame=frame, image_png=png(image))


def stacks_by_key(study: Study) -> dict[str, Stack]:
    """The study's stacks by `Stack.key`."""
    return {stack.key: stack for stack in study.stacks}


def _key_frames(finding: Finding) -> list[int]:
    where = finding.localisation
    if where is None or where.status != "located":
        return []
    others = [frame for frame in where.frames_involved if frame != where.peak_frame]
    places = np.linspace(0, len(others) - 1, min(len(others), KEY_SLICES - 1)).round()
    chosen = {others[int(place)] for place in places} if others else set()
    peak = [where.peak_frame] if where.peak_frame is not None else []
    return sorted({*peak, *chosen})


def _finding_picture(finding: Finding, series: SeriesReading, stack: Stack, result: StudyResult) -> FindingPicture:
    where = finding.localisation
    drawn = where is not None and where.status in ("located", "empty")
    frame = _shown_frame(finding, series)
    grey = display(stack, frame)
    prior_image, prior_overlay, prior_frame, prior_frames, caption = _prior_picture(finding, series, frame, result)
    return FindingPicture(
        series_instance_uid=series.key,
        engine=series.engine.label,
        finding=finding.name,
        frame=frame,
        image_png=png(plain(grey, place=series.frames[frame], edges=edges(stack))),
        overlay_png=_overlay(finding, series, stack, frame) if drawn else None,
        prior_image_png=prior_image,
        prior_overlay_png=prior_overlay,
        prior_frame=prior_frame,
        prior_frames=prior_frames,
        caption=caption,
    )


def _shown_frame(finding: Finding, series: SeriesReading) -> int:
    where = finding.localisation
    if where is not None and where.peak_frame is not None:
        return where.peak_frame
    if where is not None and where.status == "withheld":
        return len(series.frames) // 2  # which frame it was would tell the place
    return finding.heatmap.peak_frame


def _overlay(finding: Finding, series: SeriesReading, stack: Stack, frame: int) -> bytes:
    picture = overlay(
        display(stack, frame),
        finding.heatmap,
        frame,
        finding.localisation,
        finding_label=finding_type(finding.name).label,
        engine_label=series.engine.label,
        place=series.frames[frame],
        edges=edges(stack),
    )
    return png(picture)


def _prior_picture(
    finding: Finding, series: SeriesReading, frame: int, result: StudyResult
) -> tuple[bytes | None, bytes | None, int | None, int | None, str]:
    if result.prior_study is None or result.prior_reading is None:
        return None, None, None, None, ""
    match = _prior_finding(finding, series, result.prior_reading)
    if match is None:
        return None, None, None, None, "The prior holds no series that the same engine read."
    earlier, before = match
    stack = stacks_by_key(result.prior_study)[before.key]
    alignment = result.alignments.get((series.key, before.key))
    index, by_mm = _same_place(series, frame, before, alignment)
    current = stacks_by_key(result.study)[series.key]
    image = png(plain(display(stack, index), place=before.frames[index], edges=edges(stack)))
    caption = link_caption(current, stack, by_mm=by_mm, registered=alignment is not None)
    if not earlier.positive:
        return image, None, index, len(before.frames), f"{caption} Below threshold on the prior.".strip()
    return image, _overlay(earlier, before, stack, index), index, len(before.frames), caption


def link_caption(current: Stack, prior: Stack, *, by_mm: bool, registered: bool = False) -> str:
    """How exactly the prior's frame shows the same place: empty where both are in one space.

    Parameters
    ----------
    by_mm : the frame was chosen by its distance in mm; else by its share of the stack.
    registered : both were registered; without that they are in one space where they share a frame of reference.
    """
    if len(prior.frames) == 1:
        return ""
    if not by_mm:
        return "Approximate link: by fraction of the stack, for want of a common axis."
    if registered:
        return ""
    own, other = (str(stack.header.get("FrameOfReferenceUID", "") or "") for stack in (current, prior))
    return "" if own and own == other else "Approximate link: nearest slice in mm, but the studies aren't registered."


def _prior_finding(finding: Finding, series: SeriesReading, prior: Reading) -> tuple[Finding, SeriesReading] | None:
    for before in prior.series:
        if before.engine == series.engine and before.kind == series.kind:
            for earlier in before.findings:
                if earlier.name == finding.name:
                    return earlier, before
    return None


def _same_place(
    series: SeriesReading, frame: int, before: SeriesReading, alignment: Alignment | None
) -> tuple[int, bool]:
    """Index of the prior's frame nearest along the normal; by fraction of the stack where there are no planes.

    With an alignment the place is that of the middle of the frame, moved into the prior's coordinates.
    """
    plane = series.frames[frame].plane
    planes = [other.plane for other in before.frames]
    if plane is not None and None not in planes and _parallel(plane, before):
        middle = plane.to_patient((np.array(series.shape) - 1) / 2)
        if alignment is not None:
            middle = np.linalg.solve(alignment.to_current, np.append(middle, 1.0))[:3]
        distances = [abs(other.distance_mm(tuple(middle))) for other in planes if other is not None]
        return int(np.argmin(distances)), True
    fraction = frame / max(1, len(series.frames) - 1)
    return round(fraction * (len(before.frames) - 1)), False


def _parallel(plane: ImagePlane | None, before: SeriesReading) -> bool:
    other = before.frames[0].plane
    if plane is None or other is None:
        return False
    return bool(abs(float(np.dot(plane.normal, other.normal))) > np.cos(np.radians(10)))


def pictures_by_series(study: Study, series: Sequence[SeriesReading]) -> dict[str, list[Picture]]:
    """`captures` of every series, by its key; a series that several engines read has the pictures of all."""
    stacks = stacks_by_key(study)
    found: dict[str, list[Picture]] = {}
    for one in series:
        found.setdefault(one.key, []).extend(captures(one, stacks[one.key]))
    return found
