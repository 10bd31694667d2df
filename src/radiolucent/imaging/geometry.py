"""Where a point is: every crop, pad, resize and flip as an invertible record, and the way from grid cell to patient.

Points are ``(row, column)``, float64, and a whole number is the *centre* of a pixel: the first pixel's centre is
``(0, 0)`` and its outer corner ``(-0.5, -0.5)``. Patient coordinates are DICOM's: mm, x to the patient's left,
y to the back, z to the head (PS3.3 C.7.6.2.1.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Float = NDArray[np.float64]
Image = NDArray[np.float32]
Shape = tuple[int, int]


def _matrix(row_scale: float, row_shift: float, column_scale: float, column_shift: float) -> Float:
    return np.array([[row_scale, 0.0, row_shift], [0.0, column_scale, column_shift], [0.0, 0.0, 1.0]])


def resize_matrix(source: Shape, target: Shape) -> Float:
    """Map points of an image of shape `source` to the same places in its resized copy of shape `target`.

    Corners map to corners: ``target = (source + 0.5) * scale - 0.5`` on each axis.

    Returns
    -------
    (3, 3) float64, for homogeneous points ``(row, column, 1)``.
    """
    rows, columns = target[0] / source[0], target[1] / source[1]
    return _matrix(rows, (rows - 1) / 2, columns, (columns - 1) / 2)


def map_points(matrix: Float, points: Float) -> Float:
    """Apply a homogeneous ``(3, 3)`` matrix to points of shape ``(..., 2)``."""
    points = np.asarray(points, dtype=np.float64)
    return points @ matrix[:2, :2].T + matrix[:2, 2]


@dataclass(frozen=True, kw_only=True)
class Crop:
    """Keep ``height`` × ``width`` pixels from ``(top, left)``; what lies outside the image is padded with `value`.

    A negative `top` or `left`, or a size beyond the image, pads: crop and pad are one step.
    """

    kind: ClassVar[Literal["crop"]] = "crop"
    top: int
    left: int
    height: int
    width: int
    value: float = 0.0

    def shape(self, shape: Shape) -> Shape:
        return (self.height, self.width)

    def matrix(self, shape: Shape) -> Float:
        return _matrix(1.0, -self.top, 1.0, -self.left)

    def apply(self, image: Image) -> Image:
        rows, columns = image.shape[-2:]
        out = np.full((*image.shape[:-2], self.height, self.width), self.value, dtype=image.dtype)
        top, left = max(self.top, 0), max(self.left, 0)
        bottom, right = min(self.top + self.height, rows), min(self.left + self.width, columns)
        if bottom > top and right > left:
            out[..., top - self.top : bottom - self.top, left - self.left : right - self.left] = image[
                ..., top:bottom, left:right
            ]
        return out


@dataclass(frozen=True, kw_only=True)
class Resize:
    """Resample to ``height`` × ``width``: bilinear, after a Gaussian of ``(scale - 1) / 2`` where it shrinks."""

    kind: ClassVar[Literal["resize"]] = "resize"
    height: int
    width: int

    def shape(self, shape: Shape) -> Shape:
        return (self.height, self.width)

    def matrix(self, shape: Shape) -> Float:
        return resize_matrix(shape, (self.height, self.width))

    def apply(self, image: Image) -> Image:
        rows, columns = image.shape[-2:]
        shrink = (rows / self.height, columns / self.width)
        sigma = [0.0] * (image.ndim - 2) + [max(0.0, (factor - 1) / 2) for factor in shrink]
        smooth = ndimage.gaussian_filter(image, sigma, mode="nearest") if any(sigma) else image
        inverse: Float = np.linalg.inv(self.matrix((rows, columns))).astype(np.float64)
        return resample(smooth, inverse, (self.height, self.width), mode="nearest")


@dataclass(frozen=True, kw_only=True)
class Flip:
    """Mirror along ``rows`` (top ↔ bottom) or ``columns`` (left ↔ right)."""

    kind: ClassVar[Literal["flip"]] = "flip"
    axis: Literal["rows", "columns"]

    def shape(self, shape: Shape) -> Shape:
        return shape

    def matrix(self, shape: Shape) -> Float:
        if self.axis == "rows":
            return _matrix(-1.0, shape[0] - 1, 1.0, 0.0)
        return _matrix(1.0, 0.0, -1.0, shape[1] - 1)

    def apply(self, image: Image) -> Image:
        return np.flip(image, axis=-2 if self.axis == "rows" else -1).copy()


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Rotate by `quarters` × 90° anticlockwise, as ``numpy.rot90`` does."""

    kind: ClassVar[Literal["turn"]] = "turn"
    quarters: int

    def shape(self, shape: Shape) -> Shape:
        return shape if self.quarters % 2 == 0 else (shape[1], shape[0])

    def matrix(self, shape: Shape) -> Float:
        matrix = np.eye(3)
        for _ in range(self.quarters % 4):
            # one quarter anticlockwise: (row, column) -> (columns - 1 - column, row)
            matrix = np.array([[0.0, -1.0, shape[1] - 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]) @ matrix
            shape = (shape[1], shape[0])
        return matrix

    def apply(self, image: Image) -> Image:
        return np.rot90(image, self.quarters, axes=(-2, -1)).copy()


Step = Crop | Resize | Flip | Turn
_STEPS: dict[str, type[Step]] = {step.kind: step for step in (Crop, Resize, Flip, Turn)}


@dataclass(frozen=True, kw_only=True)
class PixelRecord:
    """What was done to an image on its way to the network, as steps that can be replayed and inverted.

    Parameters
    ----------
    source_shape : (rows, columns) of the image before the first step.
    steps : the steps, in order.
    """

    source_shape: Shape
    steps: tuple[Step, ...] = ()

    @property
    def target_shape(self) -> Shape:
        """(rows, columns) after the last step."""
        shape = self.source_shape
        for step in self.steps:
            shape = step.shape(shape)
        return shape

    @property
    def matrix(self) -> Float:
        """(3, 3) float64: source point → target point."""
        shape, matrix = self.source_shape, np.eye(3)
        for step in self.steps:
            matrix = step.matrix(shape) @ matrix
            shape = step.shape(shape)
        return matrix

    def then(self, *steps: Step) -> PixelRecord:
        """The same record with more steps behind it."""
        return PixelRecord(source_shape=self.source_shape, steps=(*self.steps, *steps))

    def apply(self, image: Image) -> Image:
        """Replay the steps on float32 pixels of shape ``(..., rows, columns)``.

        Raises
        ------
        ValueError
            If the image isn't of `source_shape`.
        """
        if image.shape[-2:] != self.source_shape:
            raise ValueError(f"the record starts at {self.source_shape}, the image is {image.shape[-2:]}")
        for step in self.steps:
            image = step.apply(image)
        return image

    @property
    def seen(self) -> NDArray[np.bool_]:
        """Whether each source pixel lies in the target: bool ``(rows, columns)``; its own centre counts."""
        rows, columns = np.arange(self.source_shape[0])[:, None], np.arange(self.source_shape[1])[None, :]
        inside = np.ones(self.source_shape, dtype=np.bool_)
        for (by_row, by_column, shift), size in zip(self.matrix[:2], self.target_shape, strict=True):
            # an axis that nothing is mixed into stays a line, which is a thousand times less to compute
            along = by_row * rows + shift if by_column == 0 else by_column * columns + shift
            if by_row != 0 and by_column != 0:
                along = along + by_row * rows
            inside &= (along >= -0.5) & (along <= size - 0.5)
        return inside

    def to_target(self, points: Float) -> Float:
        """Source points ``(..., 2)`` → target points."""
        return map_points(self.matrix, points)

    def to_source(self, points: Float) -> Float:
        """Target points ``(..., 2)`` → source points."""
        return map_points(np.linalg.inv(self.matrix).astype(np.float64), points)

    def grid_to_source(self, grid: Shape) -> Float:
        """(3, 3) float64: cell of a grid laid over the whole target (cell centres) → source point."""
        return np.linalg.inv(self.matrix) @ resize_matrix(grid, self.target_shape)

    def to_json(self) -> dict[str, Any]:
        """Plain values for ``reading.json``; `from_json` is its inverse."""
        steps = [{"kind": step.kind, **vars(step)} for step in self.steps]
        return {"source_shape": list(self.source_shape), "steps": steps}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> PixelRecord:
        """Read back what `to_json` wrote."""
        steps = []
        for step in value["steps"]:
            arguments = {key: item for key, item in step.items() if key != "kind"}
            steps.append(_STEPS[step["kind"]](**arguments))
        rows, columns = value["source_shape"]
        return cls(source_shape=(rows, columns), steps=tuple(steps))


def resample(
    image: Image,
    matrix: Float,
    shape: Shape,
    *,
    mode: Literal["constant", "nearest"] = "constant",
    order: Literal[0, 1] = 1,
) -> Image:
    """Draw `image` on a canvas of `shape`, pulling each canvas pixel from ``matrix @ (row, column, 1)``.

    Parameters
    ----------
    image : float32 ``(..., rows, columns)``
    matrix : (3, 3) float64, canvas point → image point.
    shape : (rows, columns) of the canvas.
    mode : what lies outside the image: 0 (``constant``) or its nearest pixel.
    order : 1 bilinear, 0 nearest.

    Returns
    -------
    float32 ``(..., *shape)``
    """
    planes = image.reshape(-1, *image.shape[-2:])
    out = np.empty((len(planes), *shape), dtype=np.float32)
    turned = matrix[0, 1] != 0 or matrix[1, 0] != 0
    scales = matrix[:2, :2] if turned else matrix.diagonal()[:2]  # the library is faster where no axis is mixed in
    for plane, canvas in zip(planes, out, strict=True):
        ndimage.affine_transform(
            plane, scales, matrix[:2, 2], output_shape=shape, output=canvas, order=order, mode=mode
        )
    return out.reshape(*image.shape[:-2], *shape)


@dataclass(frozen=True, kw_only=True)
class ImagePlane:
    """Where one image lies in the patient (PS3.3 C.7.6.2, Image Plane).

    Parameters
    ----------
    position_mm : patient coordinates of the centre of the first pixel (Image Position (Patient)).
    row_cosines : direction in which the *column* index grows (first three of Image Orientation (Patient)).
    column_cosines : direction in which the *row* index grows (last three).
    spacing_mm : (between rows, between columns), Pixel Spacing's order.
    """

    position_mm: tuple[float, float, float]
    row_cosines: tuple[float, float, float]
    column_cosines: tuple[float, float, float]
    spacing_mm: tuple[float, float]

    def __post_init__(self) -> None:
        if min(self.spacing_mm) <= 0:
            raise ValueError(f"spacing_mm must be positive, not {self.spacing_mm}")
        lengths = [float(np.linalg.norm(axis)) for axis in (self.row_cosines, self.column_cosines)]
        if max(abs(length - 1) for length in lengths) > 1e-2:
            raise ValueError(f"direction cosines must have length 1, not {lengths}")
        if abs(float(np.dot(self.row_cosines, self.column_cosines))) > 1e-2:
            raise ValueError("row and column directions must be perpendicular")

    @property
    def normal(self) -> Float:
        """(3,) unit vector, row direction × column direction."""
        return np.cross(np.array(self.row_cosines), np.array(self.column_cosines))

    @property
    def orientation(self) -> Literal["axial", "coronal", "sagittal", "oblique"]:
        """The plane's name; `oblique` where the normal is more than 30° from every axis."""
        normal = np.abs(self.normal)
        if normal.max() < np.cos(np.radians(30)):
            return "oblique"
        names: tuple[Literal["sagittal", "coronal", "axial"], ...] = ("sagittal", "coronal", "axial")
        return names[int(np.argmax(normal))]

    def to_patient(self, points: Float) -> Float:
        """(row, column) points ``(..., 2)`` → patient coordinates ``(..., 3)`` in mm (PS3.3 equation C.7.6.2.1-1)."""
        points = np.asarray(points, dtype=np.float64)
        rows, columns = points[..., :1], points[..., 1:]
        along_rows = columns * self.spacing_mm[1] * np.array(self.row_cosines)
        along_columns = rows * self.spacing_mm[0] * np.array(self.column_cosines)
        patient: Float = np.array(self.position_mm) + along_rows + along_columns
        return patient

    def to_pixel(self, points_mm: Float) -> Float:
        """Patient coordinates ``(..., 3)`` in mm → nearest (row, column) on this plane, ``(..., 2)``."""
        offset = np.asarray(points_mm, dtype=np.float64) - np.array(self.position_mm)
        rows = offset @ np.array(self.column_cosines) / self.spacing_mm[0]
        columns = offset @ np.array(self.row_cosines) / self.spacing_mm[1]
        return np.stack([rows, columns], axis=-1)

    def distance_mm(self, point_mm: Sequence[float]) -> float:
        """Signed distance of a patient point from this plane, along the normal."""
        return float((np.asarray(point_mm) - np.array(self.position_mm)) @ self.normal)
