"""What the image itself says beside the map: midline shift in mm, fresh blood in ml, and where lungs and bone are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from radiolucent.findings.confidence import Tissue
from radiolucent.findings.reading import Finding, Measurement, Reading, SeriesReading
from radiolucent.findings.taxonomy import FINDINGS
from radiolucent.imaging.clot import clot, volume_ml
from radiolucent.imaging.geometry import Shape, resample
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.limb import limb_fields
from radiolucent.imaging.midline import MidlineShift, midline_shift
from radiolucent.imaging.skull import BONE_HU, Mask, inside_of_skull
from radiolucent.imaging.study import Stack, Study

_SHIFT = "the ventricles' axis of symmetry against the plane that halves the skull"
_BLOOD = "voxels of 50 to 110 HU inside the skull that hang together with the evidence"
_NO_HU = "no value is as dense as bone: these are no Hounsfield units"


def measured(study: Study, reading: Reading) -> Reading:
    """The reading with what could be measured on its head CTs; every other series stays as it is.

    A number that couldn't be measured is there as well, with its reason, so that a missing one isn't taken for zero.

    Raises
    ------
    UnreadablePixels
        If a frame can't be decoded.
    """
    stacks = {stack.key: stack for stack in study.stacks}
    return replace(
        reading,
        series=tuple(
            _of_head(series, stacks[series.key]) if _is_head_ct(series) else series for series in reading.series
        ),
    )


def tissues(study: Study, reading: Reading) -> dict[str, dict[Tissue, Mask]]:
    """Lung fields of chest films and bone of bone films by `SeriesReading.key`, where they were found surely enough.

    Only films with a finding above its threshold are looked at: for the others nothing is asked.

    Raises
    ------
    UnreadablePixels
        If a frame can't be decoded.
    """
    stacks = {stack.key: stack for stack in study.stacks}
    found: dict[str, dict[Tissue, Mask]] = {}
    for series in reading.series:
        kinds = {FINDINGS[one.name].anatomy for one in series.positives if one.name in FINDINGS}
        if series.kind != "image" or series.key in found:
            continue
        if "chest" in kinds and (lungs := stacks[series.key].lungs).found:
            found[series.key] = {"lungs": lungs.mask}
        if "bone" in kinds and (limb := limb_fields(stacks[series.key].pixels[0])).found:
            found[series.key] = {"bone": limb.bone}
    return found


def _is_head_ct(series: SeriesReading) -> bool:
    about_head = any(FINDINGS[one.name].anatomy == "head" for one in series.findings if one.name in FINDINGS)
    return series.modality == "CT" and series.kind == "volume" and about_head


def _of_head(series: SeriesReading, stack: Stack) -> SeriesReading:
    hu, spacing = stack.pixels, stack.spacing_mm
    known = spacing is not None and float(hu.max()) > BONE_HU
    inside = inside_of_skull(hu, spacing) if known and spacing is not None else np.zeros(hu.shape, dtype=np.bool_)
    return replace(
        series,
        measurements=(*series.measurements, _shift(midline_shift(stack, inside))),
        findings=tuple(_with_blood(finding, stack, inside) for finding in series.findings),
    )


def _shift(found: MidlineShift) -> Measurement:
    if found.mm is None:
        return Measurement(name="midline-shift", value=None, unit="mm", note=found.reason)
    return Measurement(
        name="midline-shift",
        value=abs(found.mm),
        unit="mm",
        note=_SHIFT,
        frame=found.frame,
        side="left" if found.mm > 0 else "right" if found.mm < 0 else "midline",
        points=tuple(point for point in (found.septum, *(found.line or ())) if point is not None),
    )


def _with_blood(finding: Finding, stack: Stack, inside: Mask) -> Finding:
    """A located bleed with the volume of fresh blood where its map points."""
    where, spacing, gap = finding.localisation, stack.spacing_mm, stack.slice_spacing_mm
    if not finding.name.endswith("haemorrhage") or where is None or where.status != "located":
        return finding
    if not inside.any() or spacing is None or gap is None:
        made = Measurement(name="blood-volume", value=None, unit="ml", note=_NO_HU)
    else:
        blood = clot(stack.pixels, inside, drawn(finding.heatmap, inside.shape[1:]), spacing)
        frame = int(np.argmax(blood.sum(axis=(1, 2)))) if blood.any() else None
        made = Measurement(
            name="blood-volume", value=volume_ml(blood, spacing, gap), unit="ml", note=_BLOOD, frame=frame
        )
    return replace(finding, measurements=(*finding.measurements, made))


def drawn(heatmap: Heatmap, shape: tuple[int, ...]) -> Mask:
    """Where the map reaches its floor, at the image's own resolution: bool ``(frames, rows, columns)``."""
    rows, columns = shape
    size: Shape = (rows, columns)
    to_grid = np.linalg.inv(heatmap.record.grid_to_source(heatmap.grid)).astype(np.float64)
    floor = heatmap.floor * heatmap.display_scale
    found = np.zeros((len(heatmap.evidence), rows, columns), dtype=np.bool_)
    for index in np.flatnonzero(heatmap.frame_peaks >= floor):
        found[index] = resample(heatmap.evidence[index], to_grid, size, mode="nearest") >= floor
    return found
