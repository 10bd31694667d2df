"""Which frames of a series belong together, and in which order: split by kind, sorted by geometry, oddities noted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from radiolucent.imaging.geometry import ImagePlane
from radiolucent.imaging.header import frame_count, frame_holder, number, text, texts
from radiolucent.imaging.instance import Instance
from radiolucent.imaging.pixels import FramePixels, is_colour, stack_window
from radiolucent.imaging.spacing import PROJECTIONS, image_plane, pixel_size
from radiolucent.imaging.study import Frame, Problem, Stack

PARALLEL_DEGREES: Final = 1.0
"""Planes whose rows and columns differ by less belong to one volume."""
SAME_POSITION_MM: Final = 0.05
"""Frames closer than this along the normal share a position."""
GAP_FACTOR: Final = 1.5
"""A distance above this many slice spacings is a gap."""
TILT_DEGREES: Final = 0.5
"""A shear of a volume above this is gantry tilt."""

# what tells frames at one position apart, tried in this order: attribute of an image, of a frame of a multi-frame
# object
_DISCRIMINATORS: Final = (
    "StackID",
    "EchoTime",
    "EffectiveEchoTime",
    "EchoNumbers",
    "DiffusionBValue",
    "InversionTime",
    "InversionTimes",
    "TemporalPositionIdentifier",
    "TemporalPositionIndex",
    "TriggerTime",
    "AcquisitionNumber",
    "ImageType",
    "FrameType",
    "RescaleType",
    "ContrastBolusAgent",
    "ConvolutionKernel",
    "SliceThickness",
    "AcquisitionTime",
    "ContentTime",
)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Image:
    """One frame on its way into a stack."""

    instance: Instance
    frame: Frame

    @property
    def plane(self) -> ImagePlane:
        assert self.frame.plane is not None
        return self.frame.plane

    @property
    def header(self) -> Any:
        return self.instance.header

    def fact(self, keyword: str) -> str:
        return text(frame_holder(self.header, self.frame.number, keyword), keyword)


def stacks_of_series(instances: Sequence[Instance]) -> tuple[tuple[Stack, ...], tuple[Problem, ...]]:
    """Group the frames of one series into stacks.

    Parameters
    ----------
    instances : of one series, each with decodable pixels; their order doesn't matter.

    Returns
    -------
    The stacks, and one `duplicate-position` problem for each image that lies where another one lies and can't be told
    apart.
    """
    images = [image for instance in sorted(instances, key=_reading_order) for image in _images(instance)]
    stacks: list[Stack] = []
    problems: list[Problem] = []
    for group in _split(images, _format_key):
        placed = [image for image in group if image.frame.plane is not None]
        unplaced = [image for image in group if image.frame.plane is None]
        directions = _parallel_groups(placed)
        for direction in directions:
            for volume, copies in _single_pass(direction):
                notes = [] if len(directions) == 1 else [f"the series has images in {len(directions)} directions"]
                stacks.append(_volume(volume, copies, notes))
                problems += [_copy_problem(copy) for copy in copies]
        stacks += _unplaced_stacks(unplaced)
    ordered = sorted(stacks, key=_stack_order)
    return tuple(replace(stack, part=part) for part, stack in enumerate(ordered, start=1)), tuple(problems)


def _reading_order(instance: Instance) -> tuple[float, float, str]:
    header = instance.header
    return (
        number(header, "AcquisitionNumber") or 0.0,
        number(header, "InstanceNumber") or 0.0,
        text(header, "SOPInstanceUID"),
    )


def _stack_order(stack: Stack) -> tuple[float, str]:
    return number(stack.header, "InstanceNumber") or 0.0, stack.frames[0].sop_instance_uid


def _images(instance: Instance) -> list[_Image]:
    header = instance.header
    found = []
    for frame in range(1, frame_count(header) + 1):
        plane = None if text(header, "Modality") in PROJECTIONS else image_plane(header, frame)
        spacing = pixel_size(header, frame).spacing_mm
        found.append(
            _Image(
                instance=instance,
                frame=Frame(
                    sop_class_uid=text(header, "SOPClassUID"),
                    sop_instance_uid=text(header, "SOPInstanceUID"),
                    number=frame,
                    plane=plane,
                    spacing_mm=spacing,
                ),
            )
        )
    return found


def _split(images: Iterable[_Image], key: Callable[[_Image], Any]) -> list[list[_Image]]:
    groups: dict[Any, list[_Image]] = defaultdict(list)
    for image in images:
        groups[key(image)].append(image)
    return list(groups.values())


def _format_key(image: _Image) -> tuple[Any, ...]:
    header, spacing = image.header, image.frame.spacing_mm
    return (
        int(header.Rows),
        int(header.Columns),
        None if spacing is None else (round(spacing[0], 3), round(spacing[1], 3)),
        is_colour(image.instance),
        "LOCALIZER" in texts(header, "ImageType"),
    )


def _parallel_groups(images: Sequence[_Image]) -> list[list[_Image]]:
    """Groups of frames whose row and column directions agree within `PARALLEL_DEGREES`."""
    limit = np.cos(np.radians(PARALLEL_DEGREES))
    groups: list[list[_Image]] = []
    for image in images:
        for group in groups:
            first = group[0].plane
            rows = float(np.dot(first.row_cosines, image.plane.row_cosines))
            columns = float(np.dot(first.column_cosines, image.plane.column_cosines))
            if rows > limit and columns > limit:
                group.append(image)
                break
        else:
            groups.append([image])
    return groups


def _ascending(plane: ImagePlane) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """The plane's normal, turned to point to the head (axial), the front (coronal) or the patient's left (sagittal)."""
    normal = plane.normal
    axis = int(np.argmax(np.abs(normal)))
    wanted = (1.0, -1.0, 1.0)[axis]  # +x is left, -y is front, +z is head
    return normal if normal[axis] * wanted > 0 else -normal


def _heights(images: Sequence[_Image]) -> list[float]:
    direction = _ascending(images[0].plane)
    return [float(np.dot(direction, image.plane.position_mm)) for image in images]


def _by_position(images: Sequence[_Image]) -> list[list[_Image]]:
    """Groups of frames that share a position, in ascending order; within a group the reading order is kept."""
    heights = _heights(images)
    groups: list[list[_Image]] = []
    last = -np.inf
    for index in np.argsort(heights, kind="stable"):
        if heights[index] - last <= SAME_POSITION_MM:
            groups[-1].append(images[index])
        else:
            groups.append([images[index]])
            last = heights[index]
    return groups


def _single_pass(images: Sequence[_Image]) -> list[tuple[list[_Image], list[_Image]]]:
    """Split parallel frames until each position is taken once: (frames in order, copies that can't be told apart)."""
    positions = _by_position(images)
    most = max(len(group) for group in positions)
    if most == 1:
        return [([group[0] for group in positions], [])]
    for keyword in _DISCRIMINATORS:
        parts = _split(images, lambda image: image.fact(keyword))  # noqa: B023 - called at once
        if 1 < len(parts) <= most and max(len(group) for part in parts for group in _by_position(part)) < most:
            return [single for part in parts for single in _single_pass(part)]
    return [([group[0] for group in positions], [copy for group in positions for copy in group[1:]])]


def _copy_problem(image: _Image) -> Problem:
    return Problem(
        code="duplicate-position",
        reason=f"{image.instance.source.name}: ImagePositionPatient: another image of the series lies there",
        source=image.instance.source.name,
        study_instance_uid=text(image.header, "StudyInstanceUID"),
        series_instance_uid=text(image.header, "SeriesInstanceUID"),
        sop_instance_uid=image.frame.sop_instance_uid,
    )


def _volume(images: list[_Image], copies: list[_Image], notes: list[str]) -> Stack:
    if len(images) == 1:
        return _stack(images, "image", notes=notes)
    heights = np.array(_heights(images))
    distances = np.diff(heights)
    spacing = float(np.median(distances))
    for index in np.flatnonzero(distances > GAP_FACTOR * spacing):
        missing = round(float(distances[index]) / spacing) - 1
        notes.append(
            f"gap of {distances[index]:.1f} mm between slices {index + 1} and {index + 2}: about {missing} missing "
            f"(spacing {spacing:.1f} mm)"
        )
    if distances.min() < spacing / GAP_FACTOR:
        notes.append(f"slices are unevenly spaced: {distances.min():.2f} to {distances.max():.2f} mm")
    tilt = tilt_degrees([image.plane for image in images])
    if tilt > TILT_DEGREES:
        notes.append(f"gantry tilt: slices are shifted along their plane, {tilt:.1f}° off the normal")
    if copies:
        notes.append(f"{len(copies)} images lie where another one lies; the first of each is used")
    return _stack(images, "volume", slice_spacing_mm=spacing, notes=notes)


def tilt_degrees(planes: Sequence[ImagePlane]) -> float:
    """Angle between the way from the first to the last slice and the slices' normal, in degrees; 0 for one slice."""
    way = np.array(planes[-1].position_mm) - np.array(planes[0].position_mm)
    along = abs(float(way @ planes[0].normal))
    across = float(np.sqrt(max(0.0, float(way @ way) - along**2)))
    return 0.0 if along == 0 else float(np.degrees(np.arctan2(across, along)))


def _unplaced_stacks(images: list[_Image]) -> list[Stack]:
    """Frames without geometry: a multi-frame object is one stack, so are CT and MR slices; other images stand alone."""
    stacks = []
    loose: list[_Image] = []
    for instance_images in _split(images, lambda image: image.frame.sop_instance_uid):
        if len(instance_images) > 1:
            stacks.append(_stack(instance_images, "frames"))
        elif text(instance_images[0].header, "Modality") in {"CT", "MR", "PT"}:
            loose += instance_images
        else:
            stacks.append(_stack(instance_images, "image"))
    if len(loose) == 1:
        stacks.append(_stack(loose, "image"))
    elif loose:
        note = "no slice says where it lies: ordered by Instance Number, without distances"
        stacks.append(_stack(loose, "frames", notes=[note]))
    return stacks


def _stack(
    images: list[_Image], kind: Any, *, slice_spacing_mm: float | None = None, notes: Sequence[str] = ()
) -> Stack:
    first = images[0]
    header = first.header
    own = [*dict.fromkeys(note for image in images for note in image.instance.notes)]
    size_note = pixel_size(header, first.frame.number).note
    localiser = ["localiser: a planning image"] if "LOCALIZER" in texts(header, "ImageType") else []
    return Stack(
        study_instance_uid=text(header, "StudyInstanceUID"),
        series_instance_uid=text(header, "SeriesInstanceUID"),
        modality=text(header, "Modality"),
        kind=kind,
        frames=tuple(image.frame for image in images),
        headers=tuple(image.header for image in images),
        decode=FramePixels(places=tuple((image.instance, image.frame.number) for image in images)),
        slice_spacing_mm=slice_spacing_mm,
        window=stack_window(header, first.frame.number),
        colour=is_colour(first.instance),
        notes=(*localiser, *notes, *([size_note] if size_note else []), *own),
    )
