"""A scene of implicit shapes in patient millimetres (x left, y back, z head), and the canvas that it is painted on.

A shape is a signed distance in mm: negative inside. A canvas holds one value per sample point; each shape is painted
over what is there, with an edge as soft as a sample is wide, so that partial volume comes for free.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.imaging.geometry import ImagePlane

Field = NDArray[np.float32]
Vector = tuple[float, float, float]
Window = tuple[slice, slice, slice]


def stream(seed: int, *names: str) -> np.random.Generator:
    """A generator for one named part of a scene, so that adding one part leaves the others as they were."""
    return np.random.default_rng([seed, *(byte for name in names for byte in (*name.encode(), 0))])


@dataclass(frozen=True)
class Points:
    """Sample points: three float32 arrays of the same shape (frames, rows, columns), in mm."""

    x: Field
    y: Field
    z: Field

    def __getitem__(self, window: Window) -> Points:
        return Points(self.x[window], self.y[window], self.z[window])

    def shifted(self, x: Field | float = 0.0, y: Field | float = 0.0, z: Field | float = 0.0) -> Points:
        """The points moved by an offset in mm on each axis."""
        return Points(field(self.x + x), field(self.y + y), field(self.z + z))

    @property
    def shape(self) -> tuple[int, ...]:
        """(frames, rows, columns)."""
        return self.x.shape


def field(values: NDArray[np.floating]) -> Field:
    """The same values as float32."""
    return values.astype(np.float32, copy=False)


def ellipsoid(p: Points, centre: Vector, radii: Vector, *, turn: float = 0.0) -> Field:
    """Approximate signed distance (mm) from an ellipsoid; `turn` is in radians about z."""
    x, y, z = p.x - centre[0], p.y - centre[1], p.z - centre[2]
    if turn:
        x, y = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    u, v, w = x / radii[0], y / radii[1], z / radii[2]
    inner = np.sqrt(u * u + v * v + w * w)
    u, v, w = u / radii[0], v / radii[1], w / radii[2]
    slope = np.sqrt(u * u + v * v + w * w) + 1e-6
    return field(inner * (inner - 1) / slope)


def tube(p: Points, nodes: Sequence[Vector], radii: Sequence[float]) -> Field:
    """Signed distance (mm) from a chain of rounded cones through `nodes`."""
    distance: Field | None = None
    for (start, end), (first, last) in zip(pairwise(nodes), pairwise(radii), strict=True):
        axis = np.subtract(end, start).astype(np.float32)
        x, y, z = p.x - start[0], p.y - start[1], p.z - start[2]
        along = np.clip((x * axis[0] + y * axis[1] + z * axis[2]) / max(float(axis @ axis), 1e-6), 0, 1)
        x, y, z = x - along * axis[0], y - along * axis[1], z - along * axis[2]
        cone = field(np.sqrt(x * x + y * y + z * z) - (first + (last - first) * along))
        distance = cone if distance is None else np.minimum(distance, cone)
    if distance is None:
        raise ValueError("a tube needs at least two nodes")
    return distance


def slab(p: Points, centre: Vector, normal: Vector, half_mm: float) -> Field:
    """Signed distance (mm) from an endless slab."""
    n = np.asarray(normal, dtype=np.float32) / np.float32(np.linalg.norm(normal))
    return field(np.abs((p.x - centre[0]) * n[0] + (p.y - centre[1]) * n[1] + (p.z - centre[2]) * n[2]) - half_mm)


def half_space(p: Points, centre: Vector, normal: Vector) -> Field:
    """Signed distance (mm) from a plane; inside is against `normal`."""
    n = np.asarray(normal, dtype=np.float32) / np.float32(np.linalg.norm(normal))
    return field((p.x - centre[0]) * n[0] + (p.y - centre[1]) * n[1] + (p.z - centre[2]) * n[2])


def union(a: Field, b: Field, blend_mm: float = 0.0) -> Field:
    """Both shapes; with `blend_mm` the seam is rounded (polynomial smooth minimum)."""
    if not blend_mm:
        return np.minimum(a, b)
    share = np.maximum(blend_mm - np.abs(a - b), 0)
    return field(np.minimum(a, b) - share * share / (4 * blend_mm))


def common(a: Field, b: Field, blend_mm: float = 0.0) -> Field:
    """What lies in both shapes."""
    return -union(-a, -b, blend_mm)


def rise(values: Field, middle: float, width: float) -> Field:
    """A smooth step from 0 to 1 around `middle`, `width` wide."""
    t = np.clip((values - middle) / width + 0.5, 0, 1)
    return field(t * t * (3 - 2 * t))


class Noise:
    """Band-limited noise, mean 0 and deviation 1, that repeats only after 64 steps.

    Parameters
    ----------
    rng : where it comes from.
    feature_mm : size of a bump.
    """

    _cells = 64

    def __init__(self, rng: np.random.Generator, feature_mm: float) -> None:
        self._step_mm = feature_mm / 4
        white = rng.standard_normal((self._cells,) * 3, dtype=np.float32)
        smooth = ndimage.gaussian_filter(white, 1.6, mode="wrap") - ndimage.gaussian_filter(white, 3.2, mode="wrap")
        self._grid: Field = field(smooth / smooth.std())

    def at(self, p: Points) -> Field:
        """Noise at the points, float32 of their shape."""
        where = np.stack([p.z, p.y, p.x]) / self._step_mm
        return self.at_cells(field(where))

    def at_cells(self, where: Field) -> Field:
        """Noise at coordinates (3, …) in steps of the grid."""
        where = np.mod(where, np.float32(self._cells))
        out = np.empty(where.shape[1:], dtype=np.float32)
        ndimage.map_coordinates(self._grid, where, order=1, mode="grid-wrap", prefilter=False, output=out)
        return out


class Waves:
    """Slow undulation from a few plane waves, deviation about 1: cheap where bumps are centimetres wide."""

    def __init__(self, rng: np.random.Generator, feature_mm: float, count: int = 3) -> None:
        direction = rng.standard_normal((count, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        self._k = (direction * (np.pi / feature_mm) * rng.uniform(0.7, 1.3, (count, 1))).astype(np.float32)
        self._phase = rng.uniform(0, 2 * np.pi, count).astype(np.float32)

    def at(self, p: Points) -> Field:
        """The undulation at the points."""
        total = np.zeros(p.shape, dtype=np.float32)
        for k, phase in zip(self._k, self._phase, strict=True):
            total += np.sin(p.x * k[0] + p.y * k[1] + p.z * k[2] + phase)
        return total * np.float32(np.sqrt(2 / len(self._k)))


@dataclass(frozen=True, kw_only=True)
class Pose:
    """How a body lies in the patient coordinate system: turned about x, y, z (radians), then moved (mm)."""

    turn: Vector = (0.0, 0.0, 0.0)
    shift_mm: Vector = (0.0, 0.0, 0.0)

    @property
    def matrix(self) -> NDArray[np.float64]:
        """(3, 3): body direction → patient direction."""
        matrix = np.eye(3)
        for axis, angle in enumerate(self.turn):
            i, j = [(1, 2), (2, 0), (0, 1)][axis]
            step = np.eye(3)
            step[i, i] = step[j, j] = np.cos(angle)
            step[i, j], step[j, i] = -np.sin(angle), np.sin(angle)
            matrix = step @ matrix
        return matrix


class Canvas:
    """Sample points of a stack of frames, in body coordinates, and the values painted there.

    Parameters
    ----------
    planes : one per frame, all parallel with the same spacing, evenly spaced along their normal.
    shape : (rows, columns) of a frame.
    pose : where the body lies.
    thickness_mm : of a frame; its value is the mean over `layers` sheets within it.
    layers : sheets per frame.
    """

    def __init__(
        self,
        planes: Sequence[ImagePlane],
        shape: tuple[int, int],
        *,
        pose: Pose,
        thickness_mm: float,
        layers: int,
    ) -> None:
        self.layers = layers
        self.frames = len(planes)
        self.shape = shape
        self.pixel_mm = float(np.mean(planes[0].spacing_mm))
        to_body = pose.matrix.T
        offsets = ((np.arange(layers) + 0.5) / layers - 0.5) * thickness_mm
        origins = np.array(
            [np.array(plane.position_mm) + offset * plane.normal for plane in planes for offset in offsets]
        )
        first = planes[0]
        down = to_body @ np.array(first.column_cosines) * first.spacing_mm[0]
        across = to_body @ np.array(first.row_cosines) * first.spacing_mm[1]
        origins = (origins - np.array(pose.shift_mm)) @ to_body.T
        rows = np.arange(shape[0], dtype=np.float32)[None, :, None]
        columns = np.arange(shape[1], dtype=np.float32)[None, None, :]
        axes = [
            field(
                origins[:, axis].astype(np.float32)[:, None, None]
                + rows * np.float32(down[axis])
                + columns * np.float32(across[axis])
            )
            for axis in range(3)
        ]
        self.points = Points(*axes)
        sheet = (origins[-1] - origins[0]) / max(len(origins) - 1, 1) if len(origins) > 1 else to_body @ first.normal
        self._to_index = np.linalg.inv(np.stack([sheet, down, across], axis=1))
        self._origin = origins[0]
        self.values: Field = np.zeros(self.points.shape, dtype=np.float32)

    def window(self, centre: Vector, reach: Vector | float) -> Window | None:
        """The part of the canvas within `reach` mm (a box) of `centre`, or None where it lies outside."""
        half = np.full(3, reach) if isinstance(reach, (int, float)) else np.asarray(reach)
        middle = self._to_index @ (np.asarray(centre) - self._origin)
        spread = np.abs(self._to_index) @ half + 1
        low = np.maximum(np.floor(middle - spread), 0).astype(int)
        high = np.minimum(np.ceil(middle + spread) + 1, self.points.shape).astype(int)
        if np.any(high <= low):
            return None
        return (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))

    def window_around(self, nodes: Iterable[Vector], margin_mm: float) -> Window | None:
        """The part of the canvas that holds all `nodes`, with a margin."""
        places = np.array(list(nodes))
        low, high = places.min(axis=0), places.max(axis=0)
        middle, half = (low + high) / 2, (high - low) / 2 + margin_mm
        return self.window((middle[0], middle[1], middle[2]), (half[0], half[1], half[2]))

    def part(self, window: Window) -> Canvas:
        """The canvas seen through a window: what is painted there is painted here."""
        part = copy(self)
        part.values, part.points = self.values[window], self.points[window]
        return part

    def cover(self, distance: Field, soft_mm: float | None = None) -> Field:
        """Share of each sample inside the shape, from its signed distance."""
        soft = soft_mm or self.pixel_mm
        return field(np.clip(0.5 - distance / soft, 0, 1))

    def paint(
        self,
        value: Field | float,
        distance: Field,
        window: Window | None = None,
        *,
        opacity: Field | float = 1.0,
        soft_mm: float | None = None,
    ) -> Field:
        """Lay `value` over what is there, where the shape is; returns the share of each sample that was covered."""
        part = self.values if window is None else self.values[window]
        cover = self.cover(distance, soft_mm) * opacity
        part += cover * (value - part)
        return field(cover)

    def frames_of(self, samples: Field) -> Field:
        """The mean over each frame's sheets: (frames, rows, columns)."""
        return field(samples.reshape(self.frames, self.layers, *self.shape).mean(axis=1))
