"""How a sagittal, coronal or oblique volume is cut again into axial slices, with the planes they then lie on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.imaging.geometry import Float, ImagePlane
from radiolucent.imaging.study import Frame, Stack

MAX_SIDE: Final = 512
"""Rows and columns of a re-sliced image at most; a larger field of view gets larger pixels."""
MAX_SLICES: Final = 400
MAX_SUBSLICES: Final = 8
"""A thick slice is the mean of at most so many thin cuts through it."""


def axial(stack: Stack, *, slice_spacing_mm: float | None = None) -> Stack:
    """Cut a volume into axial slices, foot to head, rows to the back and columns to the patient's left.

    Parameters
    ----------
    stack : a volume. An axial one (within 30°) is returned as it is.
    slice_spacing_mm : distance of the new slices, and their thickness; without one, the distance of the old ones.

    Returns
    -------
    A volume whose frames carry computed planes. A new slice cuts through many source images, so its
    ``sop_instance_uid``, ``number`` and header are those of the source image whose centre is nearest the slice's
    centre: a reference for display, not the place of the pixels; that is `Frame.plane`. The last note says so. Beyond
    the source, the new slices hold its smallest value.

    Raises
    ------
    ValueError
        If the stack isn't a volume of at least 3 slices with planes: there is nothing to cut.
    UnreadablePixels
        When decoded, as the source's `decode` does.
    """
    planes = [frame.plane for frame in stack.frames if frame.plane is not None]
    if stack.kind != "volume" or len(planes) != len(stack.frames) or len(planes) < 3:
        raise ValueError(f"only a volume of 3 placed slices or more can be cut, not {stack.kind} of {len(planes)}")
    name = planes[0].orientation
    if name == "axial":
        return stack
    spacing = slice_spacing_mm or stack.slice_spacing_mm or 1.0
    cutter = _Cutter(stack=stack, planes=tuple(planes), slice_spacing_mm=spacing)
    centres = np.array([plane.to_patient(_centre(cutter.source_shape)) for plane in planes])
    frames, headers = [], []
    for plane in cutter.targets:
        middle = plane.to_patient(_centre(cutter.shape))
        nearest = int(np.argmin(np.linalg.norm(centres - middle, axis=1)))
        frames.append(replace(stack.frames[nearest], plane=plane, spacing_mm=plane.spacing_mm))
        headers.append(stack.headers[nearest])
    note = f"re-sliced from {name} to axial: each slice names the source image nearest its centre"
    return replace(
        stack,
        frames=tuple[Frame, ...](frames),
        headers=tuple(headers),
        decode=cutter,
        slice_spacing_mm=cutter.slice_spacing_mm,
        notes=(*stack.notes, note),
    )


def _centre(shape: tuple[int, int]) -> Float:
    return np.array([(shape[0] - 1) / 2, (shape[1] - 1) / 2])


@dataclass(frozen=True, kw_only=True, eq=False)
class _Cutter:
    """Cuts one axial slice at a time out of the source's pixels."""

    stack: Stack
    planes: tuple[ImagePlane, ...]
    slice_spacing_mm: float

    @cached_property
    def source_shape(self) -> tuple[int, int]:
        """(rows, columns) of the source."""
        return int(self.stack.header.Rows), int(self.stack.header.Columns)

    @cached_property
    def _corners(self) -> Float:
        """(8, 3) mm: outer pixel centres of the first and last slice."""
        rows, columns = self.source_shape
        points = np.array([[0, 0], [0, columns - 1], [rows - 1, 0], [rows - 1, columns - 1]], dtype=np.float64)
        return np.concatenate([self.planes[0].to_patient(points), self.planes[-1].to_patient(points)])

    @cached_property
    def spacing_mm(self) -> tuple[float, float]:
        """Pixel size of the new slices: the source's finest, or more where `MAX_SIDE` would be passed."""
        extent = np.ptp(self._corners, axis=0)
        size = max(min(self.planes[0].spacing_mm), float(extent[:2].max()) / (MAX_SIDE - 1))
        return size, size

    @cached_property
    def shape(self) -> tuple[int, int]:
        """(rows, columns) of the new slices."""
        extent = np.ptp(self._corners, axis=0)
        return int(extent[1] / self.spacing_mm[0]) + 1, int(extent[0] / self.spacing_mm[1]) + 1

    @cached_property
    def targets(self) -> tuple[ImagePlane, ...]:
        """Planes of the new slices, foot to head, in the middle of the source's extent."""
        low, high = self._corners.min(axis=0), self._corners.max(axis=0)
        count = min(MAX_SLICES, int((high[2] - low[2]) / self.slice_spacing_mm) + 1)
        start = (low[2] + high[2] - (count - 1) * self.slice_spacing_mm) / 2
        return tuple(
            ImagePlane(
                position_mm=(float(low[0]), float(low[1]), float(start + index * self.slice_spacing_mm)),
                row_cosines=(1.0, 0.0, 0.0),
                column_cosines=(0.0, 1.0, 0.0),
                spacing_mm=self.spacing_mm,
            )
            for index in range(count)
        )

    def __call__(self, index: int) -> NDArray[np.float32]:
        """float32 ``(rows, columns)``: the mean of thin cuts through the slice's thickness."""
        plane = self.targets[index]
        points = plane.to_patient(np.moveaxis(np.indices(self.shape, dtype=np.float64), 0, -1))
        cuts = min(MAX_SUBSLICES, max(1, round(self.slice_spacing_mm / self.spacing_mm[0])))
        offsets = ((np.arange(cuts) + 0.5) / cuts - 0.5) * self.slice_spacing_mm
        total = sum((self._sample(points + np.array([0.0, 0.0, offset])) for offset in offsets), np.zeros(self.shape))
        return (total / cuts).astype(np.float32)

    def _sample(self, points_mm: Float) -> Float:
        """Trilinear values at patient points; uneven and tilted slices are met where they lie."""
        first = self.planes[0]
        positions = np.array([plane.position_mm for plane in self.planes])
        heights = (positions - positions[0]) @ first.normal
        order = np.argsort(heights)
        height = (points_mm - positions[0]) @ first.normal
        number = np.interp(height, heights[order], order.astype(np.float64))
        origin = np.stack([np.interp(height, heights[order], positions[order, axis]) for axis in range(3)], axis=-1)
        offset = points_mm - origin
        row = offset @ np.array(first.column_cosines) / first.spacing_mm[0]
        column = offset @ np.array(first.row_cosines) / first.spacing_mm[1]
        volume = self.stack.pixels
        sampled = ndimage.map_coordinates(
            volume, np.stack([number, row, column]), order=1, mode="constant", cval=float(volume.min())
        )
        slack = self.slice_spacing_of_source / 2
        outside = (height < heights.min() - slack) | (height > heights.max() + slack)
        blanked: Float = np.where(outside, float(volume.min()), sampled).astype(np.float64)
        return blanked

    @property
    def slice_spacing_of_source(self) -> float:
        """Distance between the source's slices, mm."""
        return self.stack.slice_spacing_mm or 1.0
