"""The head: its anatomy, drawn from a seed, and how it is painted (skull, face, brain, vessels).

Body coordinates: mm, x to the left, y to the back, z to the top; the origin lies between the thalami. Sizes are those
of an adult head, rounded; they make a picture that reads as a head and aren't measurements of anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from radiolucent.phantom.scene import (
    Canvas,
    Field,
    Noise,
    Points,
    Vector,
    Waves,
    Window,
    common,
    ellipsoid,
    field,
    rise,
    stream,
    tube,
    union,
)
from radiolucent.phantom.tissues import Contrast, signal

Push = Callable[[Points], Points]
SIDES = (1.0, -1.0)


@dataclass(frozen=True, kw_only=True)
class HeadAnatomy:
    """What differs from head to head; everything is relative to an average adult.

    Parameters
    ----------
    seed : of the noise that shapes sulci, sinuses and texture.
    age_years : widens sulci and ventricles.
    scale : (x, y, z) of the skull.
    skull_mm, scalp_mm : thickness.
    atrophy : 0 young, 1 old.
    ventricles : relative width.
    front : how much narrower the forehead is than the back.
    """

    seed: int
    age_years: int
    scale: Vector
    skull_mm: float
    scalp_mm: float
    atrophy: float
    ventricles: float
    front: float

    @classmethod
    def from_seed(cls, seed: int, age_years: int, sex: str) -> HeadAnatomy:
        """Draw an anatomy."""
        rng = stream(seed, "head")
        size = rng.normal(1.0, 0.025) - (0.03 if sex == "F" else 0.0)
        scale = [float(size * rng.normal(1, 0.02)) for _ in range(3)]
        atrophy = float(np.clip((age_years - 35) / 50 + rng.normal(0, 0.12), 0, 1))
        return cls(
            seed=seed,
            age_years=age_years,
            scale=(scale[0], scale[1], scale[2]),
            skull_mm=float(rng.uniform(5.0, 7.5)),
            scalp_mm=float(rng.uniform(4.5, 8.5)),
            atrophy=atrophy,
            ventricles=float(np.clip(rng.normal(0.85 + 0.45 * atrophy, 0.1), 0.65, 1.6)),
            front=float(rng.uniform(0.02, 0.09)),
        )


def skull_points(p: Points, anatomy: HeadAnatomy) -> Points:
    """Points in the average head's coordinates: scaled, tapered to the front, slightly undulating."""
    rng = stream(anatomy.seed, "shape")
    x, y, z = p.x / anatomy.scale[0], p.y / anatomy.scale[1], p.z / anatomy.scale[2]
    x = x / (1 + anatomy.front * np.clip(y / 70, -1.2, 1.0))
    q = Points(x.astype(np.float32), y.astype(np.float32), z.astype(np.float32))
    bend = [Waves(rng, 60, 2).at(q) for _ in range(2)]
    return q.shifted(x=1.4 * bend[0], y=1.4 * bend[1])


def cavity(q: Points) -> Field:
    """Signed distance (mm) from the inside of the skull."""
    dome = ellipsoid(q, (0, 2, 12), (67, 85, 66))
    lateral = rise(field(np.abs(q.x)), 18, 12)
    floor = (
        -15
        - 22 * rise(q.y, -30, 14) * (0.2 + 0.8 * lateral)
        - 30 * rise(field(q.y - 0.35 * np.abs(q.x)), 12, 30)
        + 5 * np.clip(1 - (q.x / 20) ** 2, 0, 1) * rise(-q.y, 30, 10)
    )
    cerebrum = common(dome, (floor - q.z).astype(np.float32), 5)
    posterior = ellipsoid(q, (0, 40, -34), (53, 44, 34))
    return union(cerebrum, common(posterior, (-18 - q.y).astype(np.float32), 4), 6)


def paint_head(canvas: Canvas, anatomy: HeadAnatomy, contrast: Contrast, push: Push) -> tuple[Points, Points, Field]:
    """Paint a healthy head.

    Parameters
    ----------
    canvas : is filled.
    push : moves points of the brain, as a mass does (inverse displacement, body mm).

    Returns
    -------
    (skull points, brain points, signed distance from the inside of the skull), all of the canvas's shape.
    """
    q = skull_points(canvas.points, anatomy)
    inside = cavity(q)
    painter = _Painter(canvas, anatomy, contrast, q, inside)
    painter.outside()
    brain = push(q)
    painter.brain(brain)
    return q, brain, inside


class _Painter:
    """One head on one canvas: the steps, from the skin inwards."""

    def __init__(self, canvas: Canvas, anatomy: HeadAnatomy, contrast: Contrast, q: Points, inside: Field) -> None:
        self.canvas, self.anatomy, self.contrast, self.q, self.inside = canvas, anatomy, contrast, q, inside
        self.b = q
        self.cells = Noise(stream(anatomy.seed, "cells"), 7.0)

    def tissue(self, name: str) -> float:
        return signal(name, self.contrast)

    def paint(self, name: str, distance: Field, window: Window | None = None, opacity: Field | float = 1.0) -> None:
        self.canvas.paint(self.tissue(name), distance, window, opacity=opacity)

    def small(self, name: str, centre: Vector, radii: Vector, *, on: Points | None = None, turn: float = 0.0) -> None:
        """An ellipsoid, evaluated only where it is."""
        window = self._window([centre], max(radii) + 12)
        if window is not None:
            self.paint(name, ellipsoid((on or self.q)[window], centre, radii, turn=turn), window)

    def chain(self, name: str, nodes: Sequence[Vector], radii: Sequence[float], *, on: Points | None = None) -> None:
        """A tube, evaluated only where it is."""
        window = self._window(nodes, max(radii) + 12)
        if window is not None:
            self.paint(name, tube((on or self.q)[window], nodes, radii), window)

    def _window(self, nodes: Sequence[Vector], margin: float) -> Window | None:
        scale = self.anatomy.scale
        return self.canvas.window_around([(n[0] * scale[0], n[1] * scale[1], n[2] * scale[2]) for n in nodes], margin)

    def outside(self) -> None:
        """Skin, fat, muscle, skull, face and sinuses."""
        q, scalp = self.q, self.anatomy.scalp_mm
        bone_mm = self.anatomy.skull_mm + 1.2 * Waves(stream(self.anatomy.seed, "bone"), 45, 2).at(q)
        vault = ellipsoid(q, (0, 2, 10), (67, 85, 68)) - (self.anatomy.skull_mm + scalp)
        face = ellipsoid(q, (0, -42, -62), (60, 55, 66))
        nose = ellipsoid(q, (0, -98, -46), (11, 14, 20))
        neck = tube(q, [(0, 22, -60), (0, 32, -150)], [58, 56])
        skin = union(union(union(vault, face, 18), neck, 18), nose, 10)
        self.canvas.values[...] = self.tissue("air")
        for side in SIDES:
            self.small("skin", (side * 79, 14, -34), (4, 13, 26), turn=side * 0.35)
        self.paint("skin", skin)
        self.paint("fat", (skin + 1.8).astype(np.float32))
        self.paint("muscle", np.maximum(skin + scalp * 0.85, (q.z - 8).astype(np.float32) * 0.5 + skin * 0.3))
        outer = (self.inside - bone_mm).astype(np.float32)
        self._face()
        self.paint("outer table", outer)
        self.paint("diploe", np.maximum(outer + 1.6, 1.6 - self.inside))
        self.paint("inner table", (self.inside - 1.7).astype(np.float32))
        self._skull_base()

    def _face(self) -> None:
        for side in SIDES:
            self.small("thin bone", (side * 33, -62, -22), (22, 29, 20))
            self.small("fat", (side * 33, -64, -22), (20, 29, 18))
            self.chain("white", [(side * 30, -66, -22), (side * 12, -32, -20)], [2.2, 2.2])
            for offset in (-9.0, 9.0):
                self.chain("muscle", [(side * 33 + offset, -72, -22), (side * 14, -34, -21)], [2.0, 1.5])
            self.small("skin", (side * 33, -79, -22), (12.6, 12.6, 12.6))
            self.small("vitreous", (side * 33, -79, -22), (11.4, 11.4, 11.4))
            self.small("lens", (side * 33, -87.5, -22), (4.5, 2.2, 4.5))
            self.chain(
                "outer table", [(side * 52, -64, -40), (side * 66, -40, -40), (side * 64, -10, -38)], [4, 2.6, 3]
            )
            self.chain("outer table", [(side * 44, -30, -112), (side * 52, -12, -88), (side * 51, -6, -52)], [5, 4, 5])
            self.small("thin bone", (side * 31, -62, -55), (18, 20, 19))
            self.small("air", (side * 31, -61, -54), (16, 18, 17))
        self.small("thin bone", (0, -60, -42), (15, 36, 28))
        self.small("mucosa", (0, -60, -42), (14, 34, 27))
        for side in SIDES:
            self.small("air", (side * 6, -64, -36), (5, 30, 17))
            self.small("mucosa", (side * 6.5, -60, -40), (2.6, 18, 4))
            self.small("mucosa", (side * 6.5, -60, -29), (2.4, 15, 4))
        self.small("muscle", (0, -55, -85), (28, 34, 18))
        self.small("air", (0, -22, -78), (12, 8, 26))

    def _skull_base(self) -> None:
        for side in SIDES:
            self.chain("petrous", [(side * 16, -2, -36), (side * 46, 22, -35), (side * 62, 32, -42)], [6, 9, 12])
            self._air_cells([(side * 60, 32, -46)], (15, 14, 18), share=0.1)
            self.small("air", (side * 46, 16, -38), (3, 3, 4))
            self.chain("air", [(side * 48, 15, -40), (side * 76, 12, -40)], [3, 3.5])
            self.chain("thin bone", [(side * 8, -34, -17), (side * 40, -30, -12)], [3, 2.5])
        self.small("outer table", (0, -24, -40), (22, 22, 14))
        self.small("diploe", (0, -4, -46), (12, 14, 14))
        self.small("air", (0, -32, -40), (13, 12, 9))
        self._air_cells([(0, -60, -22)], (11, 24, 12), share=0.35)
        frontal = 6 + 8 * float(stream(self.anatomy.seed, "sinus").random())
        self._air_cells([(0, -84, -2)], (frontal + 10, 5.5, frontal), share=0.6)
        self.chain("csf", [(0, 28, -58), (0, 32, -120)], [14, 11])
        self.chain("white", [(0, 26, -50), (0, 32, -120)], [8, 6])

    def _air_cells(self, centres: Sequence[Vector], radii: Vector, *, share: float) -> None:
        """A cluster of air cells with thin walls; `share` is how open they are (0 closed, 1 one cavity)."""
        for centre in centres:
            window = self._window([centre], max(radii) + 4)
            if window is None:
                continue
            part = self.q[window]
            hull = ellipsoid(part, centre, radii)
            wall = (0.55 - share - np.abs(self.cells.at(part))) * 3
            self.paint("thin bone", hull, window)
            self.paint("air", np.maximum(hull + 0.8, wall).astype(np.float32), window)

    def brain(self, brain: Points) -> None:
        """Everything within the skull."""
        self.b = brain
        window = self._window([(-66, -86, -66), (66, 88, 80)], 8)
        if window is None:
            return
        inside, q, b = self.inside[window], self.q[window], brain[window]
        self.paint("dura", inside, window)
        self.paint("csf", inside + 1.2, window)
        depth = (-inside - 1.6 - 2.2 * self.anatomy.atrophy).astype(np.float32)
        self._cerebrum(window, b, depth)
        self._deep()
        self._hindbrain(window, q, b, depth)
        self._vessels(window, q, inside)

    def _cerebrum(self, window: Window, b: Points, depth: Field) -> None:
        old = self.anatomy.atrophy
        rng = stream(self.anatomy.seed, "sulci")
        # noise on directions rather than places makes sheets that run inwards from the surface, as sulci do
        radius = np.sqrt(b.x**2 + (b.y * 0.8) ** 2 + (b.z - 8) ** 2) + 8
        toward = Points(*(((55 / radius + 0.25) * axis).astype(np.float32) for axis in (b.x, b.y, b.z)))
        folds = np.abs(Noise(rng, 13.0).at(toward)) * 2.6
        reach = np.clip(1 - depth / 19, 0, 1)
        sulcus = (folds - (0.45 + 0.85 * old) * np.sqrt(reach)).astype(np.float32)
        sulcus = np.where(reach > 0, sulcus, 9).astype(np.float32)
        arch = np.sqrt(((b.y - 2) / 41) ** 2 + ((b.z - 6) / 21) ** 2)
        fissure = np.where(arch > 1, np.abs(b.x) - 0.7 - 1.1 * old, 9).astype(np.float32)
        fissure = np.maximum(fissure, (-8 - b.z - 20 * (b.y < -20)).astype(np.float32))
        sylvian = self._sylvian(b)
        gap = np.minimum(np.minimum(sulcus, fissure), sylvian)
        cortex = np.minimum(np.minimum(depth, gap), np.where(arch > 1, np.abs(b.x), 9))
        self.paint("white", -depth, window)
        self.paint("grey", (cortex - 3.0).astype(np.float32), window, opacity=(depth > -1).astype(np.float32))
        self.paint("csf", np.maximum(gap, -depth - 2).astype(np.float32), window)

    def _sylvian(self, b: Points) -> Field:
        old = self.anatomy.atrophy
        across = np.abs(b.x)
        sheet = np.abs(-0.13 * (across - 38) - 0.42 * b.y + 0.9 * (b.z - 4)) - 0.7 - 1.1 * old
        sheet = np.maximum(np.maximum(sheet, 34 - across), np.maximum(-26 - b.y, b.y - 26))
        folded = Points(across, b.y, b.z)
        insula = tube(folded, [(33, -22, -8), (38, -4, 2), (39, 18, 9)], [2.4, 1.8 + old, 1.2])
        return field(np.minimum(sheet, insula))

    def _deep(self) -> None:
        wide = self.anatomy.ventricles
        for s in SIDES:
            self.small("deep grey", (s * 26, -2, 3), (7, 19, 10), on=self.b, turn=-s * 0.25)
            self.small("deep grey", (s * 11.5, 8, 4), (9.5, 15, 9), on=self.b, turn=-s * 0.35)
            self.small("deep grey", (s * 13.5, -24, 8), (6, 10, 9), on=self.b)
            horn = [(s * 15, -40, 9), (s * 7, -24, 15), (s * 6.5, -10, 19), (s * 11, 12, 23), (s * 22, 32, 15)]
            self.chain("csf", horn, [3.2 * wide, 4.6 * wide, 4.3 * wide, 5 * wide, 6.5 * wide], on=self.b)
            self.chain("csf", [(s * 22, 32, 15), (s * 22, 56, 9)], [6.5 * wide, 2.2 * wide], on=self.b)
            temporal = [(s * 23, 32, 12), (s * 31, 14, -8), (s * 31, -12, -18)]
            self.chain("csf", temporal, [4.5 * wide, 2.2 * wide, 2.6 * wide], on=self.b)
            self.small("choroid", (s * 20, 29, 16), (2.6, 6, 3.4), on=self.b)
        self.small("csf", (0, -1, -2), (2.0 * wide, 12, 9), on=self.b)
        self.small("calcium" if self.contrast == "ct" else "choroid", (0, 19, 5), (2.2, 2.6, 2.4), on=self.b)

    def _hindbrain(self, window: Window, q: Points, b: Points, depth: Field) -> None:
        hind = common(ellipsoid(b, (0, 44, -38), (50, 37, 27)), (b.z + 8 + 0.3 * np.abs(b.x)).astype(np.float32), 6)
        hind = np.maximum(hind, -depth - 0.5).astype(np.float32)
        self.paint("csf", hind - 1.6, window)
        self.paint("dura", np.abs(hind - 1.2) - 0.35, window, opacity=((b.z > -34) & (b.y > 12)).astype(np.float32))
        self.paint("grey", hind, window)
        folia = np.sin((hind + 0.5 * q.z) * (2 * np.pi / 4.2)) * 0.5
        self.paint("white", (hind + 6).astype(np.float32), window, opacity=np.clip(0.45 - 0.6 * folia, 0, 1))
        self.paint("csf", (np.abs(folia - 0.5) * 2.5 - 0.25).astype(np.float32), window, opacity=0.35 * (hind < -0.5))
        self.small("csf", (0, -12, -17), (14, 11, 7), on=self.b)
        self.small("csf", (0, 9, -13), (16.5, 18, 9), on=self.b)
        self.chain("csf", [(0, 0, -22), (0, 12, -52)], [14, 13], on=self.b)
        self.small("csf", (0, 25, -5), (11, 6, 6), on=self.b)
        self.small("white", (0, 6, -10), (13.5, 14, 9), on=self.b)
        self.chain("white", [(0, 6, -14), (0, 11, -30), (0, 22, -62)], [12, 14, 7.5], on=self.b)
        self.small("csf", (0, 31, -36), (7 * self.anatomy.ventricles, 4.5, 10), on=self.b)
        for s in SIDES:
            self.small("artery", (s * 12, -18, -20), (2.0, 2.0, 6))
        self.small("artery", (0, -5, -24), (1.8, 1.8, 12))

    def _vessels(self, window: Window, q: Points, inside: Field) -> None:
        """Falx, venous sinuses, sella; and cortical veins, which only contrast shows."""
        falx = np.maximum(np.abs(q.x) - 0.7, inside + 1)
        arch = np.sqrt(((q.y - 6) / 50) ** 2 + ((q.z - 2) / 32) ** 2)
        self.paint("dura", np.maximum(falx, (1 - arch) * 20), window, opacity=(q.z > -2).astype(np.float32))
        sagittal = np.maximum(np.abs(q.x) * 1.1 - inside * 0.75 - 5.2, inside)
        sagittal = np.maximum(sagittal, (4 - q.z - 0.4 * np.clip(q.y, -60, 30)).astype(np.float32))
        self.paint("vein", sagittal.astype(np.float32), window)
        for s in SIDES:
            self.chain(
                "vein", [(0, 82, -14), (s * 30, 74, -20), (s * 52, 48, -24), (s * 54, 32, -36)], [4, 3.5, 3.5, 4]
            )
            self.small("vein", (s * 12, -20, -29), (5.5, 11, 6))
            self.small("artery", (s * 12.5, -20, -29), (2.6, 4, 3.2))
        self.chain("vein", [(0, 34, 4), (0, 64, -6), (0, 80, -12)], [2, 2.4, 3])
        self.small("pituitary gland", (0, -22, -30), (6, 5, 4))
        self.chain("pituitary gland", [(0, -21, -26), (0, -17, -18)], [1.2, 1.0])
        if self.contrast == "t1post":
            near = (inside < -0.5) & (inside > -9)
            dots = Noise(stream(self.anatomy.seed, "veins"), 6.0).at(q)
            self.paint("vein", (2.25 - dots) * 2, window, opacity=(0.8 * near).astype(np.float32))
