"""Line integrals through a scene, in closed form: what a ray meets of solids, tubes and plates.

A view looks along one body axis. In the picture, `u` grows to the right (frontal: the patient's left; lateral: the
back) and z grows upwards, both in mm. What lies along the ray is a depth in mm (frontal: y; lateral: x).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage
from scipy.interpolate import PchipInterpolator

from radiolucent.phantom.scene import Field, Vector, field

Direction = Literal["frontal", "lateral"]
Profile = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Span:
    """What each ray meets of one solid: from `low` to `high` in depth; empty where high <= low."""

    low: Field
    high: Field

    @property
    def length(self) -> Field:
        """Path length in mm."""
        return field(np.maximum(self.high - self.low, 0))

    def within(self, other: Span) -> Span:
        """The common part."""
        return Span(np.maximum(self.low, other.low), np.minimum(self.high, other.high))

    def length_without(self, *others: Span) -> Field:
        """Path length in mm that lies in none of `others`."""
        parts = [self.within(other) for other in others]
        parts = [Span(part.low, np.maximum(part.high, part.low)) for part in parts]
        lows, highs = np.stack([part.low for part in parts]), np.stack([part.high for part in parts])
        order = np.argsort(lows, axis=0)
        lows, highs = np.take_along_axis(lows, order, 0), np.take_along_axis(highs, order, 0)
        covered = np.zeros_like(self.low)
        reached = np.full_like(self.low, -np.inf)
        for low, high in zip(lows, highs, strict=True):
            covered += np.maximum(high - np.maximum(low, reached), 0)
            reached = np.maximum(reached, high)
        return field(np.maximum(self.length - covered, 0))


class View:
    """The rays of one radiograph: parallel, one per pixel.

    Parameters
    ----------
    shape : (rows, columns).
    spacing_mm : of a pixel, both ways.
    centre_mm : (u, z) of the middle of the picture.
    lean : how much the picture is sheared, u per z: a patient who stands slightly askew.
    yaw : how much u moves per mm of depth: a patient who is slightly turned.
    """

    def __init__(
        self,
        shape: tuple[int, int],
        *,
        spacing_mm: float,
        centre_mm: tuple[float, float],
        direction: Direction,
        lean: float = 0.0,
        yaw: float = 0.0,
    ) -> None:
        self.shape, self.spacing_mm, self.direction = shape, spacing_mm, direction
        self.lean, self.yaw = lean, yaw
        self._left = centre_mm[0] - spacing_mm * (shape[1] - 1) / 2
        self._top = centre_mm[1] + spacing_mm * (shape[0] - 1) / 2
        self.z: Field = field(self._top - spacing_mm * np.arange(shape[0], dtype=np.float32)[:, None])
        columns = np.arange(shape[1], dtype=np.float32)[None, :]
        self.u: Field = field(self._left + spacing_mm * columns + lean * self.z)

    def blank(self, value: float = 0.0) -> Field:
        """A picture of one value."""
        return np.full(self.shape, value, dtype=np.float32)

    def turned(self, place: Vector) -> Vector:
        """Body (x, y, z) → (u, depth, z)."""
        x, y, z = place
        if self.direction == "frontal":
            return (x + self.yaw * y, y, z)
        return (y + self.yaw * x, x, z)

    def pixel(self, place: Vector) -> tuple[float, float]:
        """Body (x, y, z) → (row, column)."""
        u, _, z = self.turned(place)
        return (self._top - z) / self.spacing_mm, (u - self.lean * z - self._left) / self.spacing_mm

    def along_z(self, profile: Profile) -> Field:
        """A value at each row from (z, value) pairs, smoothly: float32 (rows, 1)."""
        nodes = sorted(profile)
        curve = PchipInterpolator([z for z, _ in nodes], [value for _, value in nodes])
        return field(curve(np.clip(self.z, nodes[0][0], nodes[-1][0])))

    def column(self, *, x: Field, x_half: Field, y: Field, y_half: Field, power: float) -> Span:
        """A solid with a superellipse as section at every height: centres and half widths as (rows, 1)."""
        if self.direction == "lateral":
            x, x_half, y, y_half = y, y_half, x, x_half
        share = np.abs((self.u - x - self.yaw * y) / np.maximum(x_half, 1e-3))
        inside = np.maximum(1 - share**power, 0)
        half = y_half * inside ** (1 / power) - (share >= 1)
        return Span(field(y - half), field(y + half))

    def ellipsoid(self, centre: Vector, radii: Vector, *, tilt: float = 0.0) -> Span:
        """An ellipsoid, tilted within the picture by `tilt` radians (counter-clockwise)."""
        u, depth, z = self.turned(centre)
        across, deep = (radii[0], radii[1]) if self.direction == "frontal" else (radii[1], radii[0])
        du, dz = self.u - u, self.z - z
        if tilt:
            du, dz = du * np.cos(tilt) + dz * np.sin(tilt), dz * np.cos(tilt) - du * np.sin(tilt)
        inside = 1 - (du / across) ** 2 - (dz / radii[2]) ** 2
        half = deep * np.sqrt(np.maximum(inside, 0)) - (inside <= 0)
        return Span(field(depth - half), field(depth + half))

    def below_dome(self, centre: Vector, fall: tuple[float, float], *, depth_fall: float = 0.0) -> Span:
        """What lies under a dome whose top is at `centre` and that falls `fall` (x, y) mm per (mm/100)²."""
        u, depth, z = self.turned(centre)
        across, deep = fall if self.direction == "frontal" else (fall[1], fall[0])
        spare = z - across * ((self.u - u) / 100) ** 2 - self.z
        half = 100 * np.sqrt(np.maximum(spare, 0) / deep) - (spare <= 0)
        return Span(field(depth - half), field(depth + half + depth_fall))

    def strand(
        self,
        picture: Field,
        nodes: Sequence[Vector],
        radii: Sequence[float],
        *,
        wall_mm: float = 0.0,
        filling: float = 0.0,
        weights: Sequence[float] | None = None,
    ) -> None:
        """Draw a tube into `picture`: the path length through it, or through its wall; crossings take the larger.

        Parameters
        ----------
        nodes : body coordinates, mm.
        radii : at the nodes, mm.
        wall_mm : 0 for a solid tube.
        filling : what the inside of a walled tube counts, relative to its wall.
        weights : factor at each node.
        """
        weights = weights or [1.0] * len(nodes)
        places = [self.turned(node) for node in nodes]
        for index in range(len(nodes) - 1):
            start, end = places[index], places[index + 1]
            ends = (radii[index], radii[index + 1])
            window = self._window(start, end, max(ends))
            if window is None:
                continue
            u, z = self.u[window] - start[0], self.z[window[0]] - start[2]
            du, dz = end[0] - start[0], end[2] - start[2]
            along = np.clip((u * du + z * dz) / max(du * du + dz * dz, 1e-6), 0, 1)
            distance2 = (u - along * du) ** 2 + (z - along * dz) ** 2
            radius = ends[0] + (ends[1] - ends[0]) * along
            drawn = np.maximum(radius, 0.7 * self.spacing_mm)
            chord = 2 * np.sqrt(np.maximum(drawn * drawn - distance2, 0)) * (radius / drawn) ** 2
            if wall_mm:
                hollow = np.maximum(radius - wall_mm, 0.01)
                chord = chord - (1 - filling) * 2 * np.sqrt(np.maximum(hollow * hollow - distance2, 0))
            weight = weights[index] + (weights[index + 1] - weights[index]) * along
            np.maximum(picture[window], chord * weight, out=picture[window])

    def _window(self, start: Vector, end: Vector, margin: float) -> tuple[slice, slice] | None:
        rows = [(self._top - place[2]) / self.spacing_mm for place in (start, end)]
        columns = [(place[0] - self.lean * place[2] - self._left) / self.spacing_mm for place in (start, end)]
        extra = margin / self.spacing_mm * (1 + abs(self.lean)) + 2
        top, bottom = max(int(min(rows) - extra), 0), min(int(max(rows) + extra) + 1, self.shape[0])
        left, right = max(int(min(columns) - extra), 0), min(int(max(columns) + extra) + 1, self.shape[1])
        if bottom <= top or right <= left:
            return None
        return slice(top, bottom), slice(left, right)

    def outline(self, points: Sequence[tuple[float, float]]) -> Field:
        """Signed distance (mm) from a closed smooth outline through (u, z) points: negative inside."""
        curve = smooth_closed(points)
        rows = (self._top - curve[:, 1]) / self.spacing_mm
        columns = (curve[:, 0] - self.lean * curve[:, 1] - self._left) / self.spacing_mm
        margin = int(30 / self.spacing_mm)
        top, left = int(np.floor(rows.min())) - margin, int(np.floor(columns.min())) - margin
        height, width = int(rows.max()) + margin - top, int(columns.max()) + margin - left
        drawing = Image.new("1", (width, height))
        ImageDraw.Draw(drawing).polygon(list(zip(columns - left, rows - top, strict=True)), fill=1)
        local = np.array(drawing, dtype=np.bool_)
        inner, outer = ndimage.distance_transform_edt(local), ndimage.distance_transform_edt(~local)
        distance = (outer - inner - np.where(local, -0.5, 0.5)) * self.spacing_mm
        picture = self.blank(30.0)
        r0, r1, c0, c1 = max(top, 0), min(top + height, self.shape[0]), max(left, 0), min(left + width, self.shape[1])
        if r1 > r0 and c1 > c0:
            picture[r0:r1, c0:c1] = distance[r0 - top : r1 - top, c0 - left : c1 - left]
        return picture


def smooth_closed(
    points: Sequence[tuple[float, float]], per_span: int = 12
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """A closed centripetal-like Catmull-Rom curve through points, as (n, 2) float64."""
    nodes = np.asarray(points, dtype=np.float64)
    before, after, later = np.roll(nodes, 1, 0), np.roll(nodes, -1, 0), np.roll(nodes, -2, 0)
    t = np.linspace(0, 1, per_span, endpoint=False)[None, :, None]
    p0, p1, p2, p3 = (part[:, None, :] for part in (before, nodes, after, later))
    curve = 0.5 * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2 + (3 * p1 - p0 - 3 * p2 + p3) * t**3)
    return curve.reshape(-1, 2)


def grain(rng: np.random.Generator, shape: tuple[int, int], feature_pixels: float) -> Field:
    """Smooth noise, mean 0 and deviation 1; drawn coarse and enlarged where its bumps are wide."""
    step = max(1, int(feature_pixels / 4))
    coarse = rng.standard_normal((shape[0] // step + 3, shape[1] // step + 3), dtype=np.float32)
    smooth = ndimage.gaussian_filter(coarse, feature_pixels / step / 2.5, mode="wrap")
    if step > 1:
        zoom = (shape[0] / (smooth.shape[0] - 2), shape[1] / (smooth.shape[1] - 2))
        smooth = ndimage.zoom(smooth, [max(z, step) * 1.001 for z in zoom], order=1)
    smooth = smooth[: shape[0], : shape[1]]
    return field((smooth - smooth.mean()) / max(float(smooth.std()), 1e-6))
