"""The chest: its anatomy, drawn from a seed, and what a ray meets of it.

Body coordinates: mm, x to the left, y to the back, z to the head; the origin lies in front of the spine, a little below
the carina. Attenuation is per mm at about 65 keV (NIST XCOM: water 0.0193, cortical bone 0.05), rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from radiolucent.phantom.projection import Span, View, grain
from radiolucent.phantom.scene import Field, Vector, field, stream

SOFT, FAT, BONE = 0.0205, 0.0180, 0.036
SIDES = (-1, 1)
_RIB_REACH = (50, 80, 102, 118, 129, 137, 142, 146, 147, 142, 124, 92)
_RIB_DEPTH = (52, 68, 80, 88, 93, 96, 98, 98, 96, 92, 86, 80)
_RIB_DROP = (38, 52, 66, 78, 88, 96, 102, 106, 104, 92, 58, 36)
_RIB_END = (150, 152, 152, 150, 148, 146, 142, 136, 128, 118, 80, 58)


@dataclass(frozen=True, kw_only=True)
class ChestAnatomy:
    """What differs from chest to chest, and what a disease changes of it; 1 is average unless a unit is given.

    Parameters
    ----------
    width, depth : of body and rib cage.
    fat_mm : added around.
    heart : width of the heart.
    heart_shift_mm, upper_shift_mm : of heart and upper mediastinum, to the left.
    mediastinum : width of the upper mediastinum.
    dome_mm : (right, left) height of the diaphragm above average.
    dome_fall : how strongly the diaphragm is domed.
    lung : attenuation of aerated lung, per mm.
    vessels : strength of the lung vessels; `upper_vessels` of those above the hila.
    """

    seed: int
    sex: str
    age_years: int
    width: float
    depth: float
    fat_mm: float
    heart: float
    heart_shift_mm: float = 0.0
    upper_shift_mm: float = 0.0
    mediastinum: float = 1.0
    dome_mm: tuple[float, float] = (0.0, 0.0)
    dome_fall: float = 1.0
    lung: float = 0.0052
    vessels: float = 1.0
    upper_vessels: float = 1.0

    @classmethod
    def from_seed(cls, seed: int, age_years: int, sex: str) -> ChestAnatomy:
        """Draw an anatomy."""
        rng = stream(seed, "chest")
        small = 0.06 if sex == "F" else 0.0
        return cls(
            seed=seed,
            sex=sex,
            age_years=age_years,
            width=float(np.clip(rng.normal(1.0 - small, 0.035), 0.88, 1.09)),
            depth=float(np.clip(rng.normal(1.0 - small / 2, 0.06), 0.85, 1.18)),
            fat_mm=float(rng.gamma(2.0, 4.0)),
            heart=float(np.clip(rng.normal(1.0, 0.05), 0.88, 1.1)),
            mediastinum=float(np.clip(rng.normal(0.98, 0.05) + 0.0012 * (age_years - 50), 0.85, 1.15)),
            dome_mm=(float(rng.normal(0, 5)), float(rng.normal(0, 5))),
            lung=float(rng.uniform(0.0046, 0.0056)),
        )


class ChestScene:
    """One chest under one view: what every ray meets, and what lesions add to it.

    Lesions fill `obstacles` (what takes the place of lung), `collapsed` (what is left of a lung beside free air) and
    `added` (attenuation beyond the healthy chest).
    """

    def __init__(self, view: View, anatomy: ChestAnatomy) -> None:
        self.view, self.anatomy = view, anatomy
        self.body = self._body()
        self.heart = self._heart()
        self.mediastinum = self._mediastinum()
        self.domes = {side: self._dome(side) for side in SIDES}
        self.lungs = {side: self._lung(side) for side in SIDES}
        self.obstacles: dict[int, list[Span]] = {side: [] for side in SIDES}
        self.collapsed: dict[int, Span] = {}
        self.added = view.blank()
        self.cleared = view.blank(1.0)
        self.broken_ribs: list[tuple[int, int, float, float]] = []

    def lung_length(self, side: int, *, hollow: bool = True) -> Field:
        """Path length (mm) through one lung's place; `hollow` leaves out what lesions put there."""
        others = [self.heart, self.mediastinum, self.domes[side]]
        return self.lungs[side].length_without(*others, *(self.obstacles[side] if hollow else []))

    def attenuation(self) -> Field:
        """The line integral of every ray, float32 (rows, columns)."""
        anatomy = self.anatomy
        free, aerated = {}, {}
        for side in SIDES:
            free[side] = self.lung_length(side)
            aerated[side] = free[side]
            if side in self.collapsed:
                rest = self.collapsed[side].within(self.lungs[side])
                others = [self.heart, self.mediastinum, self.domes[side], *self.obstacles[side]]
                aerated[side] = rest.length_without(*others)
        hollow = free[-1] + free[1]
        air = aerated[-1] + aerated[1]
        total = SOFT * np.maximum(self.body.length - hollow, 0) + anatomy.lung * air
        skin = np.minimum(self.body.length, 2 * anatomy.fat_mm)
        total = total - (SOFT - FAT) * skin
        density = np.clip(air / 120, 0, 1)
        rng = stream(anatomy.seed, "texture")
        texture = grain(rng, self.view.shape, 2.2 / self.view.spacing_mm)
        total = total + density * (0.012 * texture + self._vessels() * self.cleared)
        total = total + self._bones() + self._breasts() - self._airways() + self.added
        return field(np.maximum(total, 0))

    # --- soft parts ---------------------------------------------------------------------------------------------------

    def _x(self, profile: Sequence[tuple[float, float]], factor: float = 1.0) -> Field:
        return field(self.view.along_z(profile) * np.float32(factor))

    def _body(self) -> Span:
        a = self.anatomy
        wide = self._x([(185, 62), (150, 78), (138, 112), (122, 158), (100, 180), (0, 174), (-230, 166)], a.width)
        deep = self._x([(185, 58), (150, 68), (130, 84), (100, 102), (0, 112), (-230, 112)], a.depth)
        none = self._x([(0, 0), (1, 0)])
        return self.view.column(x=none, x_half=field(wide + a.fat_mm), y=none, y_half=field(deep + a.fat_mm), power=2.6)

    def _heart(self) -> Span:
        a = self.anatomy
        right = self._x([(34, -8), (10, -27), (-20, -37), (-50, -44), (-80, -43), (-105, -36), (-128, -20), (-142, 8)])
        left = self._x([(34, 12), (10, 38), (-20, 54), (-50, 69), (-80, 81), (-105, 85), (-128, 76), (-142, 20)])
        middle, half = (left + right) / 2, (left - right) / 2
        grown = (half * a.heart - half) * 0.55
        span = self._x([(34, 0), (25, 1), (-135, 1), (-142, 0)])
        middle = middle * a.width + grown + a.heart_shift_mm
        deep = self._x([(34, 20), (0, 38), (-80, 48), (-128, 42), (-142, 10)], a.depth * (0.6 + 0.4 * a.heart))
        back = self._x([(34, -25), (-80, -28), (-142, -40)])
        return self.view.column(
            x=field(middle), x_half=field(half * a.heart * a.width * (span > 0)), y=back, y_half=deep, power=2.0
        )

    def _mediastinum(self) -> Span:
        a = self.anatomy
        right = [(185, -20), (130, -23), (90, -26), (50, -27), (10, -26), (-30, -18), (-230, -18)]
        left = [(185, 20), (130, 24), (80, 27), (60, 34), (45, 40), (30, 35), (14, 30), (-2, 36), (-20, 33), (-50, 22)]
        wider = self._x([(140, 1), (110, a.mediastinum), (20, a.mediastinum), (-30, 1)])
        shift = self._x([(170, 0), (90, 0.7), (40, 1), (-60, 1), (-230, 0)], a.upper_shift_mm)
        low, high = self._x(right) * wider + shift, self._x([*left, (-230, 20)]) * wider + shift
        deep = self._x([(185, 36), (60, 38), (0, 34), (-50, 23), (-230, 23)], a.depth)
        back = self._x([(185, 20), (40, 14), (-20, 32), (-60, 60), (-230, 60)])
        return self.view.column(
            x=field((low + high) / 2), x_half=field((high - low) / 2), y=back, y_half=deep, power=2.6
        )

    def _dome(self, side: int) -> Span:
        a = self.anatomy
        height = (-90 if side < 0 else -106) + a.dome_mm[0 if side < 0 else 1]
        centre = (side * 68 * a.width, -8.0, height)
        return self.view.below_dome(centre, (98 * a.dome_fall, 78 * a.dome_fall))

    def _lung(self, side: int, inward_mm: float = 0.0, apex_mm: float = 0.0) -> Span:
        """One lung's place; `inward_mm` and `apex_mm` draw its outer border and its top in."""
        a = self.anatomy
        inner = [(128, 55), (124, 42), (116, 32), (104, 22), (80, 10), (40, 5), (-230, 4)]
        outer = [(128, 57), (124, 72), (116, 84), (104, 95), (80, 110), (40, 127), (0, 137), (-50, 143), (-230, 148)]
        back = [(128, 30), (104, 28), (80, 20), (40, 12), (0, 8), (-100, 6), (-230, 10)]
        deep = [(128, 2), (124, 24), (104, 46), (80, 62), (40, 78), (0, 88), (-100, 94), (-230, 96)]
        raised = {name: [(z - apex_mm, value) for z, value in nodes] for name, nodes in (("i", inner), ("o", outer))}
        low, high = self._x(raised["i"], a.width), self._x(raised["o"], a.width) - inward_mm
        half = np.where(self.view.z > 129 - apex_mm, 0, np.maximum(high - low, 0) / 2)
        y_half = self._x([(z - apex_mm, value) for z, value in deep], a.depth) - 0.4 * inward_mm
        return self.view.column(
            x=field(side * (low + high) / 2),
            x_half=field(half),
            y=self._x(back),
            y_half=field(np.maximum(y_half, 1)),
            power=2.4,
        )

    def shrunken_lung(self, side: int, inward_mm: float, apex_mm: float) -> Span:
        """What is left of a lung beside a pneumothorax."""
        return self._lung(side, inward_mm, apex_mm)

    def _breasts(self) -> Field:
        if self.anatomy.sex != "F":
            return self.view.blank()
        rng = stream(self.anatomy.seed, "breasts")
        size, low = float(rng.uniform(0.8, 1.25)), float(rng.uniform(-95, -60))
        total = self.view.blank()
        for side in SIDES:
            length = self.view.ellipsoid((side * 80, -108, low), (58 * size, 30 * size, 50 * size)).length
            total += length * length / (60 * size)
        return field(total * FAT * 0.5)

    def _airways(self) -> Field:
        a = self.anatomy
        picture = self.view.blank()
        high, low = 0.7 * a.upper_shift_mm, a.upper_shift_mm
        self.view.strand(picture, [(0, 20, 180), (high, 30, 70), (3 + low, 28, 22)], [7.5, 8, 8.5])
        self.view.strand(picture, [(3 + low, 28, 22), (-30 + low, 22, -2), (-42 + low, 20, -22)], [7, 6, 4])
        self.view.strand(picture, [(3 + low, 28, 22), (36 + low, 24, -6), (50 + low, 22, -20)], [6.5, 5.5, 3.5])
        bubble = self.view.ellipsoid((58 * a.width, -12, -158), (28, 26, 14))
        return field((SOFT - 0.001) * (picture + 0.9 * bubble.length))

    def _vessels(self) -> Field:
        rng = stream(self.anatomy.seed, "vessels")
        arteries, veins = self.view.blank(), self.view.blank()
        for side in SIDES:
            for picture, twigs in ((arteries, 7), (veins, 5)):
                self._tree(rng, picture, side, twigs)
        return field((arteries + veins) * 0.034 * self.anatomy.vessels)

    def _tree(self, rng: np.random.Generator, picture: Field, side: int, twigs: int) -> None:
        """Grow a vessel tree from the hilum outwards."""
        a = self.anatomy
        root = np.array([side * 30.0 + a.upper_shift_mm, 14.0, (2.0 if side < 0 else 12.0)])
        x, y, z = (float(value) for value in root)
        self.view.strand(picture, [(x, y, z + 22), (x, y, z), (x + side * 6, y + 4, z - 38)], [2.0, 6.5, 3.0])
        angles = np.linspace(-1.45, 1.15, twigs) + rng.normal(0, 0.12, twigs)
        grow = []
        for angle in angles:
            heading = np.array([side * np.cos(angle), rng.normal(0, 0.5), np.sin(angle)])
            grow.append((root, heading / np.linalg.norm(heading), float(rng.uniform(3.0, 4.6)), 0))
        while grow:
            place, heading, radius, depth = grow.pop()
            length = float(rng.uniform(19, 31)) * (0.9**depth)
            turn = heading + rng.normal(0, 0.16, 3)
            heading = turn / np.linalg.norm(turn)
            middle = place + heading * length / 2 + rng.normal(0, 0.8, 3)
            end = place + heading * length
            thinner = radius * 0.86
            factor = a.upper_vessels if end[2] > 15 else 1.0
            self.view.strand(
                picture,
                [tuple(place), tuple(middle), tuple(end)],
                [radius * factor, 0.9 * radius * factor, thinner * factor],
            )
            inside = abs(end[0]) < 138 * a.width and -175 < end[2] < 118 and abs(end[1] - 8) < 88
            if depth >= 6 or thinner < 0.45 or not inside:
                continue
            for _ in range(2):
                branch = heading + rng.normal(0, 0.42, 3)
                grow.append((end, branch / np.linalg.norm(branch), thinner * float(rng.uniform(0.72, 0.95)), depth + 1))

    # --- bones --------------------------------------------------------------------------------------------------------

    def rib_path(self, number: int, side: int) -> tuple[list[Vector], np.ndarray[tuple[int], np.dtype[np.float64]]]:
        """The middle of rib `number` (1-12) from the spine forwards, and the angle (degrees) at each node."""
        a, index = self.anatomy, number - 1
        last = _RIB_END[index]
        angle = np.linspace(6, last, 22)
        theta = np.radians(angle)
        x = (_RIB_REACH[index] * np.sin(theta) + 12 * np.cos(theta)) * a.width
        x = np.where(angle > 90, np.maximum(x, 22), x)
        y = (6 + _RIB_DEPTH[index] * np.cos(theta)) * a.depth
        share = (1 - np.cos(theta)) / (1 - np.cos(np.radians(last)))
        top = 116 - 21.8 * index
        z = top + 7 * np.sin(np.clip(theta * 1.6, 0, np.pi)) - _RIB_DROP[index] * share**0.95
        return [(side * float(i), float(j), float(k)) for i, j, k in zip(x, y, z, strict=True)], angle

    def _bones(self) -> Field:
        total = self._ribs() + self._spine()
        shoulders, flesh = self.view.blank(), self.view.blank()
        for s in SIDES:
            nodes: list[Vector] = [(s * 15, -58, 80), (s * 45, -72, 90), (s * 88, -55, 104), (s * 130, -22, 112)]
            w = self.anatomy.width
            nodes = [(x * w, y, z) for x, y, z in [*nodes, (s * 158, -5, 110)]]
            self.view.strand(shoulders, nodes, [8, 6, 5.5, 6, 7], wall_mm=1.7, filling=0.4)
            if self.view.direction == "frontal":
                arm: list[Vector] = [(s * 178 * w, 10, 98), (s * 186 * w, 10, 66), (s * 206 * w, 10, -60)]
                self.view.strand(shoulders, arm, [23, 14, 12], wall_mm=2.2, filling=0.35)
                self.view.strand(flesh, [(s * 182 * w, 10, 92), (s * 212 * w, 10, -60)], [36, 44])
        return field(total + 0.036 * shoulders + 0.5 * SOFT * flesh + self._scapulae())

    def _scapulae(self) -> Field:
        total = self.view.blank()
        if self.view.direction == "lateral":
            return total
        w = self.anatomy.width
        shape = [(116, 92), (146, 116), (176, 106), (174, 80), (160, 28), (147, -28), (138, -40), (131, -18), (122, 36)]
        for side in SIDES:
            points = [((side * x + 6 * side) * w, float(z)) for x, z in shape]
            distance = self.view.outline(points)
            plate = np.clip(-distance / 1.0, 0, 1) * 0.075 + 0.16 * np.exp(-(((distance + 1.6) / 1.3) ** 2))
            total += plate
        return field(total)

    def _ribs(self) -> Field:
        behind, before = self.view.blank(), self.view.blank()
        for side in SIDES:
            for number in range(1, 13):
                nodes, angle = self.rib_path(number, side)
                pieces = self._pieces(number, side, nodes, angle)
                for part, angles in pieces:
                    strong = 0.85 + 0.3 * np.exp(-(((angles - 90) / 25) ** 2))
                    strong = strong * np.where(angles > 100, np.clip((_RIB_END[number - 1] - angles) / 14, 0.15, 1), 1)
                    cut = int(np.searchsorted(angles, 93))
                    size = 6.0 if number < 11 else 4.6
                    for picture, first, last in ((behind, 0, cut + 1), (before, max(cut - 1, 0), len(part))):
                        run = part[first:last]
                        if len(run) > 1:
                            fade = np.clip((angles - 92) / 20, 0, 1) if picture is before else np.ones_like(angles)
                            weights = [float(value) for value in (strong * fade)[first:last]]
                            radii = [size] * len(run)
                            self.view.strand(picture, run, radii, wall_mm=1.3, filling=0.3, weights=weights)
        return field(0.036 * behind + 0.027 * before)

    def _pieces(
        self, number: int, side: int, nodes: list[Vector], angle: np.ndarray[tuple[int], np.dtype[np.float64]]
    ) -> list[tuple[list[Vector], np.ndarray[tuple[int], np.dtype[np.float64]]]]:
        """A rib in one piece, or in two where it is broken: the front piece drops and a gap opens."""
        for broken, broken_side, where, step in self.broken_ribs:
            if (broken, broken_side) != (number, side):
                continue
            cut = int(np.argmin(np.abs(angle - where)))
            back, front = nodes[:cut], nodes[cut:]
            along = np.subtract(nodes[cut], nodes[cut - 1])
            gap = 0.45 * along
            moved = [
                (x + gap[0], y + gap[1], z + gap[2] - step * max(0.3, 1 - 0.06 * index))
                for index, (x, y, z) in enumerate(front)
            ]
            return [(back, angle[:cut]), (moved, angle[cut:])]
        return [(nodes, angle)]

    def _spine(self) -> Field:
        z = self.view.z
        column = self.view.column(
            x=field(np.zeros_like(z)),
            x_half=self.view.along_z([(180, 13), (0, 16), (-230, 20)]),
            y=field(np.zeros_like(z) + 62),
            y_half=field(np.zeros_like(z) + 17),
            power=5.0,
        )
        level = np.mod(z - 106, 22.5)
        disc = np.clip(1 - np.abs(level - 11.25) / 2.6, 0, 1)
        plate = np.exp(-(((np.abs(level - 11.25) - 3.6) / 0.9) ** 2))
        total = column.length * field(0.0055 * (1 - disc) + 0.008 * plate)
        rings = self.view.blank()
        for index in range(14):
            top = 106 - 22.5 * (index - 2)
            for side in SIDES:
                oval: list[Vector] = [(side * 10.5, 84, top + 4), (side * 10.5, 84, top - 2)]
                self.view.strand(rings, oval, [4.2, 4.2], wall_mm=1.4, filling=0.3)
            tip: list[Vector] = [(0, 88, top - 4), (0, 106, top - 12)]
            self.view.strand(rings, tip, [2.5, 3.2], wall_mm=1.2, filling=0.4)
        return field(total + 0.03 * rings)
