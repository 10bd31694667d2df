"""Bones on a radiograph: cortex, marrow and trabeculae within an outline; fractures; hardware; the flesh around."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.phantom.bone_shapes import Bone, Break, Metal, Point, SiteView
from radiolucent.phantom.projection import View, grain
from radiolucent.phantom.scene import Field, Vector, field, rise, stream

#: attenuation per mm at about 45 keV beyond what it replaces (NIST XCOM, rounded): flesh over air, bone over flesh
FLESH, CORTEX, MARROW = 0.0235, 0.052, 0.0105
Severity = Literal["displaced", "hairline", "occult"]
Mask = NDArray[np.bool_]
#: how far a bone is moved by (u mm, z mm, degrees), how dark the line is, how wide in mm
_LINE: dict[Severity, tuple[float, float]] = {"displaced": (1.0, 1.3), "hairline": (0.42, 0.75), "occult": (0.11, 0.9)}


@dataclass(frozen=True, kw_only=True)
class Fracture:
    """One fracture.

    Parameters
    ----------
    where : the bone and the place.
    tilt : degrees between the line and the bone's cross-section.
    shift_mm : (along, across) the bone that the far fragment moved.
    turn : degrees that the far fragment turned.
    size : factor on shift, turn and darkness.
    """

    where: Break
    severity: Severity
    tilt: float
    shift_mm: tuple[float, float]
    turn: float
    seed: int
    size: float = 1.0


class BonePicture:
    """One site under one view, with what is broken and what is screwed on.

    Parameters
    ----------
    mirror : -1 draws the left side as the mirror image of the right one.
    """

    def __init__(self, view: View, site: SiteView, *, seed: int, mirror: int, age_years: int) -> None:
        self.view, self.site, self.seed, self.mirror = view, site, seed, mirror
        rng = stream(seed, "bone")
        self.porosity = float(np.clip((age_years - 50) / 60 + rng.normal(0, 0.1), -0.2, 0.6))
        self.swollen: list[tuple[Point, float]] = []

    def attenuation(
        self, fractures: Sequence[Fracture], metal: Sequence[Metal]
    ) -> tuple[Field, list[Mask], list[Mask]]:
        """Line integrals, and a mask for each fracture and each piece of metal."""
        masks: list[Mask] = []
        total: Field = self.view.blank()
        for bone in self.site.bones:
            picture = self._bone(bone)
            for fracture in fractures:
                if fracture.where.bone == bone.name:
                    picture, mask = self._broken(picture, fracture)
                    masks.append(mask)
            total += picture
        flesh = self._flesh(fractures)
        metals = [self._metal(piece) for piece in metal]
        for piece in metals:
            total += piece
        return field(total + flesh), masks, [piece > 0.25 for piece in metals]

    def _place(self, point: Point) -> Point:
        return (self.mirror * point[0], point[1])

    def _distance(self, outline: Sequence[Point], seed_name: str, wobble_mm: float) -> Field:
        rng = stream(self.seed, seed_name)
        return self.view.outline(
            [
                self._place((u + d, z + e))
                for (u, z), (d, e) in zip(outline, rng.normal(0, wobble_mm, (len(outline), 2)), strict=True)
            ]
        )

    def _bone(self, bone: Bone) -> Field:
        distance = self.view.blank(30.0)
        for index, part in enumerate(bone.parts):
            distance = np.minimum(distance, self._distance(part, f"{bone.name} {index}", 0.25))
        if float(distance.min()) > 0:
            return self.view.blank()
        rows, columns = np.nonzero(distance < 6)
        window = (slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1))
        inside = -distance[window]
        z = np.broadcast_to(np.abs(self.view.z), self.view.shape)[window]
        cortex = 1.1 + (bone.cortex_mm - 1.1) * rise(field(z), 62, 60)
        cortex = cortex * (1 - 0.35 * max(self.porosity, 0))
        outer = _depth(inside, bone.deep_mm)
        inner = _depth(inside - cortex, bone.deep_mm - 2 * cortex)
        rng = stream(self.seed, bone.name, "trabeculae")
        spacing = self.view.spacing_mm
        fine = grain(rng, inside.shape, 1.7 / spacing)
        streaks = ndimage.gaussian_filter(
            rng.standard_normal(inside.shape, dtype=np.float32), (2.2 / spacing, 0.4 / spacing)
        )
        streaks /= max(float(streaks.std()), 1e-6)
        near_joint = 1 - 0.75 * rise(field(z), 62, 60) * (bone.cortex_mm > 2.5)
        marrow = MARROW * bone.marrow * near_joint * (1 - 0.5 * self.porosity)
        texture = 1 + 0.09 * fine + 0.10 * streaks
        picture = self.view.blank()
        picture[window] = CORTEX * np.maximum(outer - inner, 0) * 0.85 + marrow * inner * texture
        return picture

    def _flesh(self, fractures: Sequence[Fracture]) -> Field:
        outline, deep = self.site.soft
        distance = self._distance(outline, "flesh", 1.2)
        for fracture in fractures:
            u, z = self._place(fracture.where.place)
            swell = {"displaced": 7.0, "hairline": 3.5, "occult": 3.0}[fracture.severity] * fracture.size
            bump = np.exp(-((self.view.u - u) ** 2 + (self.view.z - z) ** 2) / (2 * 30**2))
            distance = field(distance - swell * bump)
        inside = field(-distance)
        muscle = 0.9 + 0.25 / max(deep, 30) * grain(
            stream(self.seed, "muscle"), self.view.shape, 22 / self.view.spacing_mm
        )
        skin_fat = 1 - 0.14 * np.exp(-np.maximum(inside, 0) / 5)
        inside = ndimage.gaussian_filter(inside, 5 / self.view.spacing_mm)
        inside = np.where(distance < -12, inside, -distance)
        return field(FLESH * _depth(field(inside), deep, 0.22 * deep + 12) * muscle * skin_fat)

    def _broken(self, picture: Field, fracture: Fracture) -> tuple[Field, Mask]:
        """Break a bone along a jagged line and move the far part."""
        u0, z0 = self._place(fracture.where.place)
        axis = fracture.where.axis if self.mirror > 0 else 180 - fracture.where.axis
        angle = np.radians(axis + fracture.tilt)
        along = (self.view.u - u0) * np.cos(angle) + (self.view.z - z0) * np.sin(angle)
        across = (self.view.z - z0) * np.cos(angle) - (self.view.u - u0) * np.sin(angle)
        along = along + _jagged(stream(fracture.seed, "line"), across, fracture.where.span_mm)
        # the smaller fragment moves; it widens away from the fracture, so that a line through a corner stays there
        beside = 1.2 * np.maximum(np.abs(across) - 0.6 * fracture.where.span_mm, 0)
        forth, back = field(along - beside), field(-along - beside)
        line = forth if float(picture[forth > 0].sum()) < float(picture[back > 0].sum()) else back
        near = np.hypot(self.view.u - u0, self.view.z - z0) < 1.1 * fracture.where.span_mm
        dark, wide = _LINE[fracture.severity]
        wide = max(wide, 1.2 * self.view.spacing_mm)
        part = np.clip(0.5 - line / (0.8 * wide), 0, 1)
        if fracture.severity == "displaced" and fracture.where.crushes:
            return self._crushed(picture, fracture, (u0, z0))
        if fracture.severity == "displaced":
            still, moving = field(picture * part), field(picture * (1 - part))
            broken = still + self._moved(moving, fracture, (u0, z0), np.radians(axis))
        else:
            cut = np.exp(-((line / wide) ** 2)) * near
            reach = np.clip(
                1.25 - np.abs(across + 0.12 * fracture.where.span_mm) / (0.62 * fracture.where.span_mm), 0, 1
            )
            broken = picture * (1 - min(dark * fracture.size, 0.8) * cut * np.clip(reach * 3, 0, 1))
            if fracture.severity == "occult":
                broken = broken * (1 + 0.1 * np.exp(-(((np.abs(line) - 3.5) / 2.5) ** 2)) * near)
        band = 5.0 if fracture.severity == "displaced" else 3.0
        grown = ndimage.binary_dilation(picture > 0.04, iterations=max(1, int(2 / self.view.spacing_mm)))
        mask = (np.abs(line) < band) & near & (grown | (broken > 0.04))
        return field(broken), np.asarray(mask, dtype=np.bool_)

    def _crushed(self, picture: Field, fracture: Fracture, middle: Point) -> tuple[Field, Mask]:
        """A vertebral body that has lost height, in front more than behind, with a dense band."""
        spacing, half = self.view.spacing_mm, 0.5 * fracture.where.span_mm
        row, _ = self.view.pixel((middle[0], 0.0, middle[1]))
        lost = min(0.32 + 0.015 * abs(fracture.turn), 0.6) * min(fracture.size, 1.3)
        front = np.clip(0.55 - (self.view.u - middle[0]) / (2.6 * half), 0.05, 1)
        body = np.abs(self.view.u - middle[0]) < half + 2
        kept = np.where(body, 1 - lost * front, 1)
        rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32)
        squeezed = np.where(
            body & (np.abs(rows - row) * spacing < 20), row + 0.25 * half + (rows - row - 0.25 * half) / kept, rows
        )
        out = np.empty_like(picture)
        ndimage.map_coordinates(picture, np.stack([squeezed, columns]), order=1, output=out)
        out = out * np.where(body, 1 + 0.5 * (1 / kept - 1), 1)
        band = np.exp(-(((rows - row - 0.25 * half) * spacing / 1.8) ** 2)) * body
        out = out * (1 + 0.35 * band)
        mask = body & (np.abs(rows - row) * spacing < 17) & ((picture > 0.04) | (out > 0.04))
        return field(out), np.asarray(mask, dtype=np.bool_)

    def _moved(self, picture: Field, fracture: Fracture, pivot: Point, axis: float) -> Field:
        """The fragment after its shift (along, across) and turn about the fracture."""
        spacing = self.view.spacing_mm
        row, column = self.view.pixel((pivot[0], 0.0, pivot[1]))
        away, aside = (fracture.size * value for value in fracture.shift_mm)
        du = (away * np.cos(axis) - aside * np.sin(axis)) / spacing
        dz = (away * np.sin(axis) + aside * np.cos(axis)) / spacing
        turn = np.radians(fracture.turn * fracture.size) * self.mirror
        back = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
        offset = np.array([row, column]) - back @ np.array([row - dz, column + du])
        out = np.empty_like(picture)
        ndimage.affine_transform(picture, back, offset, output=out, order=1)
        return out

    def _metal(self, piece: Metal) -> Field:
        points: list[Vector] = [(u, 0.0, z) for u, z in (self._place(point) for point in piece.points)]
        picture = self.view.blank()
        match piece.kind:
            case "plate":
                self._plate(picture, points[0], points[1])
            case "nail":
                self.view.strand(picture, points, [4.6] * len(points))
                picture *= 0.3
            case "wires":
                for start, end in zip(points[::2], points[1::2], strict=True):
                    self.view.strand(picture, [start, end], [0.85, 0.85])
                picture *= 0.9
            case "screws":
                for start, end in zip(points[::2], points[1::2], strict=True):
                    self._screw(picture, start, end, 2.4)
                picture *= 0.45
            case _:
                head, neck, tip = points
                self.view.strand(picture, [head, head], [21, 21])
                np.minimum(picture, 12, out=picture)
                self.view.strand(picture, [head, neck, tip], [7, 9, 5])
                picture *= 0.25
        return field(np.minimum(picture, 3.2))

    def _plate(self, picture: Field, start: Vector, end: Vector) -> None:
        strap = self.view.blank()
        self.view.strand(strap, [start, end], [4.6, 4.6])
        axis = np.subtract(end, start)
        length = float(np.hypot(axis[0], axis[2]))
        across = np.array([-axis[2], 0, axis[0]]) / length
        middle = self._place((0.0, 0.0))
        inward = across if float(across[0]) * (middle[0] - start[0]) > 0 else -across
        picture += 1.35 * np.clip(strap / 3, 0, 1)
        count = max(3, int(length / 11))
        for index in range(count):
            t = (index + 0.5) / count
            place = np.asarray(start) + axis * t
            deep = place + inward * (17 + 4 * ((index * 7) % 3))
            screw = self.view.blank()
            self._screw(screw, (place[0], 0.0, place[2]), (deep[0], 0.0, deep[2]), 1.7)
            picture += 0.45 * screw

    def _screw(self, picture: Field, start: Vector, end: Vector, radius: float) -> None:
        steps = max(4, int(np.hypot(end[0] - start[0], end[2] - start[2]) / 0.75))
        nodes = [
            (start[0] + (end[0] - start[0]) * t, 0.0, start[2] + (end[2] - start[2]) * t)
            for t in np.linspace(0, 1, steps)
        ]
        radii = [radius * (0.82 + 0.18 * (-1) ** index) for index in range(steps)]
        self.view.strand(picture, nodes, radii)
        self.view.strand(picture, [nodes[0], nodes[1]], [1.9 * radius, 1.7 * radius])


def _depth(inside_mm: Field, deep_mm: Field | float, edge_mm: float = 0.0) -> Field:
    """Path length through a solid with a round edge (half as wide as it is deep, or `edge_mm`)."""
    half = np.maximum(np.asarray(deep_mm, dtype=np.float32) / 2, 0.1)
    share = np.clip(inside_mm / (edge_mm or half), 0, 1)
    return field(2 * half * np.sqrt(np.maximum(1 - (1 - share) ** 2, 0)))


def _jagged(rng: np.random.Generator, across: Field, span_mm: float) -> Field:
    """A jagged offset (mm) as a function of the place across the bone."""
    nodes = np.linspace(-1.6 * span_mm, 1.6 * span_mm, 41)
    steps = np.cumsum(rng.normal(0, 0.035 * span_mm + 0.25, 41))
    steps -= np.linspace(steps[0], steps[-1], 41)
    steps -= steps[20]
    return field(np.interp(across, nodes, steps))
