"""A heatmap as annotation: Grayscale Softcopy Presentation State with the contours and a text per finding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from radiolucent.errors import EncodingError
from radiolucent.findings.reading import Finding, Region, SeriesReading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.imaging.header import frame_holder, number, text, value
from radiolucent.imaging.study import Stack
from radiolucent.results.provenance import Provenance, equipment, refusing, seal
from radiolucent.results.source import (
    CHARACTER_SET,
    copy_body_part,
    decimals,
    image_reference,
    instance_headers,
    whole_instances,
)

if TYPE_CHECKING:
    from highdicom.pr import GraphicAnnotation, GraphicLayer

SERIES_NUMBER = 9301
LONGEST_CONTOUR = 2000
"""Points kept of one contour: FL values share 65534 bytes in explicit VR (PS3.5 7.1.2), 8 bytes a point."""


def encode_presentation_states(series: SeriesReading, stack: Stack, provenance: Provenance) -> tuple[Dataset, ...]:
    """Write the contours of all located findings of a series as presentation states (PS3.3 A.33.1).

    One state per rescale slope and intercept, because a state holds a single modality transformation: one in CT and
    radiography, several in MR series whose slices were scaled one by one. None for colour images, or where nothing
    was located.

    Raises
    ------
    EncodingError
        If a contour has fewer than three points or lies outside its image, or the library refuses the object.
    """
    if stack.colour:
        return ()
    marks: dict[tuple[float, float], dict[int, list[tuple[Finding, Region]]]] = defaultdict(lambda: defaultdict(list))
    for finding in series.positives:
        if finding.localisation is not None and finding.localisation.status == "located":
            for region in finding.localisation.regions:
                marks[_rescale(stack, region.frame)][region.frame].append((finding, region))
    return tuple(
        _state(frames, rescale, series, stack, provenance, number=index)
        for index, (rescale, frames) in enumerate(sorted(marks.items()), start=1)
    )


def graphic_points(region: Region, shape: tuple[int, int]) -> NDArray[np.float64]:
    """float64 ``(n, 2)``: the contour as closed (column, row) points, the top left *corner* of the image at (0, 0).

    Source: PS3.3 C.10.5.1.2 and C.18.6.1.1; grid points here have pixel *centres* at whole numbers.

    Raises
    ------
    EncodingError
        If there are fewer than three points, or a point lies outside the image.
    """
    points = np.asarray(region.contour, dtype=np.float64).reshape(-1, 2) + 0.5
    if len(points) > 1 and np.array_equal(points[0], points[-1]):
        points = points[:-1]
    if len(points) < 3:
        raise EncodingError(f"a contour needs at least three points, not {len(points)}")
    if not np.isfinite(points).all() or points.min() < -1e-6 or (points > np.array(shape) + 1e-6).any():
        raise EncodingError(f"a contour leaves its image of {shape[0]} x {shape[1]} pixels")
    step = -(-len(points) // LONGEST_CONTOUR)
    points = np.clip(points[::step], 0, shape)
    closed: NDArray[np.float64] = np.vstack([points, points[:1]])[:, ::-1].copy()
    return closed


def _state(
    frames: dict[int, list[tuple[Finding, Region]]],
    rescale: tuple[float, float],
    series: SeriesReading,
    stack: Stack,
    provenance: Provenance,
    *,
    number: int,
) -> Dataset:
    from highdicom.pr import GrayscaleSoftcopyPresentationState

    indexes = sorted(frames)
    layers = _layers([finding for index in indexes for finding, _ in frames[index]])
    place = provenance.place(
        "presentation-state",
        series.key,
        series.engine.digest,
        series_number=SERIES_NUMBER,
        instance_number=number,
    )
    with refusing("the presentation state"):
        annotations = [
            (index, annotation)
            for index in indexes
            for annotation in _annotations(frames[index], index, layers, series, stack, provenance)
        ]
        made = GrayscaleSoftcopyPresentationState(
            referenced_images=_stand_ins(stack, indexes, series.shape),
            content_label="AI_EVIDENCE",
            content_description="AI evidence contours, not diagnostic",
            graphic_annotations=[annotation for _, annotation in annotations],
            graphic_layers=list(layers.values()),
            series_description=f"AI evidence contours, {series.engine.label}"[:64],
            specific_character_set=CHARACTER_SET,
            **_transformations(stack, indexes[0], rescale),
            **place,
            **equipment(series.engine),
        )
    _point_to_source(made, stack, indexes, [index for index, _ in annotations])
    _display(made, stack, indexes[0])
    copy_body_part(made, stack)
    return seal(made, provenance, stack)


def _layers(findings: Sequence[Finding]) -> dict[str, GraphicLayer]:
    from highdicom.pr import GraphicLayer

    names = list(dict.fromkeys(finding.name for finding in findings))
    return {
        name: GraphicLayer(
            f"AI_FINDING_{order}", order=order, description=f"{finding_type(name).label}, AI evidence"[:64]
        )
        for order, name in enumerate(names, start=1)
    }


def _annotations(
    marks: Sequence[tuple[Finding, Region]],
    index: int,
    layers: dict[str, GraphicLayer],
    series: SeriesReading,
    stack: Stack,
    provenance: Provenance,
) -> list[GraphicAnnotation]:
    from highdicom.pr import GraphicAnnotation, GraphicObject, TextObject

    images = _stand_ins(stack, [index], series.shape)
    made = []
    for name, layer in layers.items():
        mine = [(finding, region) for finding, region in marks if finding.name == name]
        if not mine:
            continue
        finding, first = mine[0]
        tracking: dict[str, Any] = {"tracking_id": name[:64], "tracking_uid": provenance.tracking_uid(name, series)}
        lines = [
            GraphicObject("POLYLINE", graphic_points(region, series.shape), units="PIXEL", **tracking)
            for _, region in mine
        ]
        box, anchor = _beside(graphic_points(first, series.shape), series.shape)
        words = TextObject(
            caption(finding),
            units="PIXEL",
            bounding_box=box,
            anchor_point=anchor,
            text_justification="LEFT" if box[0] > anchor[0] else "RIGHT",
            **tracking,
        )
        made.append(
            GraphicAnnotation(
                referenced_images=images, graphic_layer=layer, graphic_objects=lines, text_objects=[words]
            )
        )
    return made


def _beside(
    points: NDArray[np.float64], shape: tuple[int, int]
) -> tuple[tuple[float, float, float, float], tuple[float, float]]:
    """A box (left, top, right, bottom) for words at the roomier side of a contour, and the point that it belongs to."""
    rows, columns = shape
    leftmost, rightmost = points[np.argmin(points[:, 0])], points[np.argmax(points[:, 0])]
    to_the_right = columns - rightmost[0] >= leftmost[0]
    anchor = rightmost if to_the_right else leftmost
    width, height, gap = 0.35 * columns, 0.1 * rows, 0.02 * columns
    left = min(anchor[0] + gap, columns - width) if to_the_right else max(anchor[0] - gap - width, 0.0)
    top = float(np.clip(anchor[1] - height / 2, 0, rows - height))
    return (float(left), top, float(left + width), top + height), (float(anchor[0]), float(anchor[1]))


def _stand_ins(stack: Stack, indexes: Sequence[int], shape: tuple[int, int]) -> list[Dataset]:
    """Instances as the library takes them whatever their class: single-frame and gray."""
    stand_ins = instance_headers(stack, indexes, shape)
    for stand_in in stand_ins:
        stand_in.SOPClassUID, stand_in.SamplesPerPixel = CTImageStorage, 1
    return stand_ins


def _point_to_source(made: Dataset, stack: Stack, indexes: Sequence[int], annotated: Sequence[int]) -> None:
    """Name the real instances and frames in place of the stand-ins."""
    made.ReferencedSeriesSequence[0].ReferencedImageSequence = whole_instances(stack, indexes)
    for annotation, index in zip(made.GraphicAnnotationSequence, annotated, strict=True):
        annotation.ReferencedImageSequence = [image_reference(stack, index)]


def caption(finding: Finding) -> str:
    """What stands next to a contour: the finding, its probability where there is one, and what it is not."""
    label = finding_type(finding.name).label
    chance = "" if finding.probability is None else f" {finding.probability:.0%}"
    return f"{label}{chance} - AI, not diagnostic"


def _rescale(stack: Stack, index: int) -> tuple[float, float]:
    header, frame = stack.headers[index], stack.frames[index].number
    slope = number(frame_holder(header, frame, "RescaleSlope"), "RescaleSlope")
    intercept = number(frame_holder(header, frame, "RescaleIntercept"), "RescaleIntercept")
    return (1.0 if slope is None else slope, 0.0 if intercept is None else intercept)


def _transformations(stack: Stack, index: int, rescale: tuple[float, float]) -> dict[str, Any]:
    from highdicom import ModalityLUTTransformation, PresentationLUTShapeValues, PresentationLUTTransformation
    from highdicom.pr import SoftcopyVOILUTTransformation

    header, frame = stack.headers[index], stack.frames[index].number
    inverse = text(header, "PhotometricInterpretation") == "MONOCHROME1"
    shape = PresentationLUTShapeValues.INVERSE if inverse else PresentationLUTShapeValues.IDENTITY
    found: dict[str, Any] = {
        "presentation_lut_transformation": PresentationLUTTransformation(presentation_lut_shape=shape)
    }
    if value(header, "ModalityLUTSequence") is None:
        kind = text(frame_holder(header, frame, "RescaleType"), "RescaleType") or (
            "HU" if stack.modality == "CT" else "US"
        )
        found["modality_lut_transformation"] = ModalityLUTTransformation(
            rescale_slope=rescale[0], rescale_intercept=rescale[1], rescale_type=kind
        )
    center = number(frame_holder(header, frame, "WindowCenter"), "WindowCenter")
    width = number(frame_holder(header, frame, "WindowWidth"), "WindowWidth")
    if center is not None and width is not None and width >= 1:
        function = text(frame_holder(header, frame, "VOILUTFunction"), "VOILUTFunction") or None
        found["voi_lut_transformations"] = [
            SoftcopyVOILUTTransformation(window_center=center, window_width=width, voi_lut_function=function)
        ]
    return found


def _display(made: Dataset, stack: Stack, index: int) -> None:
    """Lookup tables and pixel shape, which the library leaves out or takes to be square."""
    header = stack.headers[index]
    if (table := value(header, "ModalityLUTSequence")) is not None:
        made.ModalityLUTSequence = deepcopy(table)
    if "SoftcopyVOILUTSequence" not in made and (table := value(header, "VOILUTSequence")) is not None:
        item = Dataset()
        item.VOILUTSequence = deepcopy(table)
        made.SoftcopyVOILUTSequence = [item]
    area = made.DisplayedAreaSelectionSequence[0]
    if "PixelOriginInterpretation" in area:
        del area.PixelOriginInterpretation  # for tiled images only
    if spacing := stack.frames[index].spacing_mm:
        area.PresentationPixelSpacing = decimals(*spacing)
        del area.PresentationPixelAspectRatio
    elif (aspect := value(header, "PixelAspectRatio")) is not None:
        area.PresentationPixelAspectRatio = aspect
