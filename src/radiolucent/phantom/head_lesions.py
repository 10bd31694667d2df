"""What can be wrong in a head: tumours, bleeds, an infarct; where they sit, how they push, how they are painted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from radiolucent.phantom.head import SIDES, cavity
from radiolucent.phantom.scene import Canvas, Field, Noise, Points, Vector, common, ellipsoid, field, rise, stream
from radiolucent.phantom.tissues import Contrast, signal


@dataclass(frozen=True, kw_only=True)
class HeadLesion:
    """One lesion in the coordinates of the average head.

    Parameters
    ----------
    finding : name in the table of findings.
    variant : ``ring``, ``solid``, ``convexity``, ``falx``, ``basal ganglia`` …; one of those that the finding has.
    centre : mm.
    inward : unit vector from the skull towards the brain, for what lies on the surface.
    radius_mm : half its size; thickness for a crescent.
    shift_mm : how far the midline is pushed, signed, towards +x (the patient's left).
    seed : of its shape.
    """

    finding: str
    variant: str
    centre: Vector
    inward: Vector = (0.0, 0.0, 0.0)
    radius_mm: float
    shift_mm: float = 0.0
    seed: int

    def scaled(self, volume: float) -> HeadLesion:
        """The same lesion with about `volume` times its volume."""
        thin = self.finding in ("subdural-haemorrhage",)
        return replace(
            self,
            radius_mm=self.radius_mm * (volume if thin else volume ** (1 / 3)),
            shift_mm=self.shift_mm * min(volume, 1.5),
        )


def pushed(lesions: Sequence[HeadLesion]) -> Callable[[Points], Points]:
    """How the lesions displace the brain: maps where a point is to where it would be in the healthy head."""

    def push(p: Points) -> Points:
        for lesion in lesions:
            p = _push(p, lesion)
        return p

    return push


def _push(p: Points, lesion: HeadLesion) -> Points:
    x = p.x
    if lesion.shift_mm:
        reach = np.exp(-(((p.z - 14) / 38) ** 2) - ((p.y - 2) / 52) ** 2) * np.clip(1 - (p.x / 64) ** 2, 0, 1)
        x = (x - lesion.shift_mm * reach).astype(np.float32)
    p = Points(x, p.y, p.z)
    if lesion.finding in ("glioma", "meningioma", "intraparenchymal-haemorrhage"):
        away = [p.x - lesion.centre[0], p.y - lesion.centre[1], p.z - lesion.centre[2]]
        distance = np.sqrt(away[0] ** 2 + away[1] ** 2 + away[2] ** 2) + 1e-3
        radius = lesion.radius_mm
        amount = 0.32 * radius * np.minimum(distance / radius, 1) * np.exp(-np.maximum(distance - radius, 0) / 22)
        amount = amount / distance
        p = p.shifted(*((-amount * axis).astype(np.float32) for axis in away))
    return p


def midline_shift_mm(lesions: Sequence[HeadLesion]) -> float:
    """How far the septum between the lateral ventricles is pushed, mm, positive to the patient's left."""
    x = np.linspace(-25, 25, 1001, dtype=np.float32)
    line = Points(x, np.full_like(x, -15), np.full_like(x, 16))
    return float(np.interp(0.0, pushed(lesions)(line).x, x))


# --- where lesions are put -------------------------------------------------------------------------------------------


def place(finding: str, rng: np.random.Generator) -> list[HeadLesion]:
    """Draw the lesions that stand for a finding; ``mixed-haemorrhage`` is three bleeds of different kinds."""
    return _PLACES[finding](rng)


def _seed(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _side(rng: np.random.Generator) -> float:
    return SIDES[int(rng.integers(2))]


def _surface(direction: Vector) -> tuple[Vector, Vector]:
    """Where a ray from the middle of the head meets the skull, and the inward normal there."""
    unit = np.asarray(direction) / np.linalg.norm(direction)
    steps = np.linspace(5, 110, 421)
    ray = np.array([0.0, 4.0, 10.0]) + steps[:, None] * unit
    distance = cavity(Points(*(ray[:, axis].astype(np.float32) for axis in range(3))))
    point = ray[max(int(np.argmax(distance > 0)) - 1, 0)]
    around = point + np.concatenate([np.eye(3), -np.eye(3)])
    values = cavity(Points(*(around[:, axis].astype(np.float32) for axis in range(3))))
    normal = (values[3:] - values[:3]).astype(np.float64)
    normal /= np.linalg.norm(normal)
    return (point[0], point[1], point[2]), (normal[0], normal[1], normal[2])


def _glioma(rng: np.random.Generator) -> list[HeadLesion]:
    side = _side(rng)
    radius = float(rng.uniform(11, 21))
    centre = (side * float(rng.uniform(22, 36)), float(rng.uniform(-42, 44)), float(rng.uniform(2, 36)))
    variant = "ring" if rng.random() < 0.6 else "solid"
    shift = -side * radius * float(rng.uniform(0.05, 0.3))
    return [
        HeadLesion(finding="glioma", variant=variant, centre=centre, radius_mm=radius, shift_mm=shift, seed=_seed(rng))
    ]


def _meningioma(rng: np.random.Generator) -> list[HeadLesion]:
    side = _side(rng)
    radius = float(rng.uniform(10, 19))
    if rng.random() < 0.25:
        centre = (side * 0.55 * radius, float(rng.uniform(-50, 55)), float(rng.uniform(38, 58)))
        return [HeadLesion(finding="meningioma", variant="falx", centre=centre, radius_mm=radius, seed=_seed(rng))]
    direction = (side * float(rng.uniform(0.25, 1)), float(rng.uniform(-0.9, 0.9)), float(rng.uniform(-0.15, 0.75)))
    point, inward = _surface(direction)
    middle = np.asarray(point) + 0.62 * radius * np.asarray(inward)
    return [
        HeadLesion(
            finding="meningioma",
            variant="convexity",
            centre=(middle[0], middle[1], middle[2]),
            inward=inward,
            radius_mm=radius,
            shift_mm=-side * float(rng.uniform(0, 0.12)) * radius,
            seed=_seed(rng),
        )
    ]


def _pituitary(rng: np.random.Generator) -> list[HeadLesion]:
    radius = float(rng.uniform(7, 12.5))
    centre = (float(rng.uniform(-2, 2)), -21.0, -29 + 0.75 * radius)
    variant = "solid" if rng.random() < 0.7 else "cystic"
    return [HeadLesion(finding="pituitary-tumour", variant=variant, centre=centre, radius_mm=radius, seed=_seed(rng))]


def _epidural(rng: np.random.Generator) -> list[HeadLesion]:
    side = _side(rng)
    direction = (side, float(rng.uniform(-0.5, 0.4)), float(rng.uniform(0, 0.45)))
    point, inward = _surface(direction)
    depth = float(rng.uniform(11, 20))
    shift = -side * max(0.0, (depth - 9) * float(rng.uniform(0.3, 0.6)))
    return [
        HeadLesion(
            finding="epidural-haemorrhage",
            variant="lens",
            centre=point,
            inward=inward,
            radius_mm=depth,
            shift_mm=shift,
            seed=_seed(rng),
        )
    ]


def _subdural(rng: np.random.Generator) -> list[HeadLesion]:
    side = _side(rng)
    point, inward = _surface((side, float(rng.uniform(-0.3, 0.3)), float(rng.uniform(0.25, 0.6))))
    thick = float(rng.uniform(7, 14))
    variant = "acute" if rng.random() < 0.75 else "mixed density"
    return [
        HeadLesion(
            finding="subdural-haemorrhage",
            variant=variant,
            centre=point,
            inward=inward,
            radius_mm=thick,
            shift_mm=-side * thick * float(rng.uniform(0.4, 0.8)),
            seed=_seed(rng),
        )
    ]


def _subarachnoid(rng: np.random.Generator) -> list[HeadLesion]:
    variant = "basal cisterns" if rng.random() < 0.7 else "convexity"
    side = _side(rng)
    if variant == "basal cisterns":
        centre, radius = (side * float(rng.uniform(0, 12)), -10.0, -10.0), float(rng.uniform(46, 60))
    else:
        point, _ = _surface((side, float(rng.uniform(-0.6, 0.6)), 0.5))
        centre, radius = point, float(rng.uniform(38, 52))
    return [
        HeadLesion(
            finding="subarachnoid-haemorrhage", variant=variant, centre=centre, radius_mm=radius, seed=_seed(rng)
        )
    ]


def _intraparenchymal(rng: np.random.Generator) -> list[HeadLesion]:
    side = _side(rng)
    variant = str(rng.choice(["basal ganglia", "thalamus", "lobar"], p=[0.5, 0.2, 0.3]))
    middle = {
        "basal ganglia": (27.0, -2.0, 5.0),
        "thalamus": (14.0, 8.0, 6.0),
        "lobar": (float(rng.uniform(26, 40)), float(rng.uniform(-45, 45)), float(rng.uniform(12, 40))),
    }[variant]
    radius = float(rng.uniform(9, 13) if variant == "thalamus" else rng.uniform(11, 20))
    return [
        HeadLesion(
            finding="intraparenchymal-haemorrhage",
            variant=variant,
            centre=(side * middle[0], middle[1], middle[2]),
            radius_mm=radius,
            shift_mm=-side * radius * float(rng.uniform(0.1, 0.3)),
            seed=_seed(rng),
        )
    ]


def _intraventricular(rng: np.random.Generator) -> list[HeadLesion]:
    variant = "layering" if rng.random() < 0.5 else "cast"
    centre = (_side(rng) * 14.0, float(rng.uniform(5, 30)), 14.0)
    radius = float(rng.uniform(30, 55))
    return [
        HeadLesion(
            finding="intraventricular-haemorrhage", variant=variant, centre=centre, radius_mm=radius, seed=_seed(rng)
        )
    ]


def _infarct(rng: np.random.Generator) -> list[HeadLesion]:
    side = _side(rng)
    centre = (side * 20.0, float(rng.uniform(-10, 12)), float(rng.uniform(6, 16)))
    return [
        HeadLesion(
            finding="acute-infarct",
            variant="middle cerebral artery",
            centre=centre,
            inward=(-side, 0.0, 0.0),
            radius_mm=float(rng.uniform(26, 38)),
            shift_mm=-side * float(rng.uniform(0, 2.5)),
            seed=_seed(rng),
        )
    ]


def _mixed(rng: np.random.Generator) -> list[HeadLesion]:
    second = _intraventricular(rng) if rng.random() < 0.6 else _subdural(rng)
    return [*_intraparenchymal(rng), *second, *_subarachnoid(rng)]


_PLACES: Mapping[str, Callable[[np.random.Generator], list[HeadLesion]]] = MappingProxyType(
    {
        "glioma": _glioma,
        "meningioma": _meningioma,
        "pituitary-tumour": _pituitary,
        "epidural-haemorrhage": _epidural,
        "subdural-haemorrhage": _subdural,
        "subarachnoid-haemorrhage": _subarachnoid,
        "intraparenchymal-haemorrhage": _intraparenchymal,
        "intraventricular-haemorrhage": _intraventricular,
        "mixed-haemorrhage": _mixed,
        "acute-infarct": _infarct,
        "midline-shift": _subdural,
    }
)


# --- how they are painted --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class LesionPainter:
    """A painted head that lesions are laid over; every method returns the covered share of each sample."""

    canvas: Canvas
    contrast: Contrast
    skull: Points
    brain: Points
    inside: Field

    def paint(self, lesion: HeadLesion) -> Field:
        """Paint one lesion."""
        return _PAINTERS[lesion.finding](self, lesion)

    def _value(self, name: str) -> float:
        return signal(name, self.contrast)

    def _noise(self, lesion: HeadLesion, name: str, feature_mm: float) -> Field:
        return Noise(stream(lesion.seed, name), feature_mm).at(self.skull)

    def _only(self, name: str, tolerance: float) -> Field:
        """1 where the canvas holds this tissue now, falling to 0 within a share of the white-to-CSF step."""
        step = abs(self._value("white") - self._value("csf")) * tolerance
        return field(np.clip(1 - np.abs(self.canvas.values - self._value(name)) / step, 0, 1))

    def _blob(self, lesion: HeadLesion, rough: float, radii: Vector = (1.0, 1.0, 1.0)) -> Field:
        r = lesion.radius_mm
        smooth = ellipsoid(self.skull, lesion.centre, (r * radii[0], r * radii[1], r * radii[2]))
        if not rough:
            return smooth
        bumps = self._noise(lesion, "outline", max(r, 6.0)) + 0.4 * self._noise(lesion, "detail", max(r / 3, 3.0))
        return (smooth + rough * r * np.clip(bumps, -1.6, 1.6)).astype(np.float32)

    def _oedema(self, lesion: HeadLesion, shape: Field, width_mm: float, strength: float) -> None:
        spread = self._noise(lesion, "oedema", 16.0)
        reach = shape - width_mm * (1 + 0.5 * spread)
        kept = np.maximum(self._only("white", 0.35), self._only("deep grey", 0.1)) * strength
        self.canvas.paint(self._value("oedema"), reach.astype(np.float32), opacity=field(kept), soft_mm=5.0)

    def glioma(self, lesion: HeadLesion) -> Field:
        rng = stream(lesion.seed, "glioma")
        radii = (float(rng.uniform(0.8, 1.1)), float(rng.uniform(0.85, 1.25)), float(rng.uniform(0.8, 1.1)))
        shape = np.maximum(self._blob(lesion, 0.2, radii), self.inside + 2.5)
        self._oedema(lesion, shape, float(rng.uniform(6, 18)), 0.95)
        patches = self._noise(lesion, "patches", 6.0)
        if lesion.variant == "ring":
            cover = self.canvas.paint(self._value("glioma rim") + 0.12 * patches * _unit(self.contrast), shape)
            rim = lesion.radius_mm * float(rng.uniform(0.16, 0.3)) + 1.0
            core = shape + rim * (1 + 0.35 * np.clip(patches, -1.5, 1.5))
            self.canvas.paint(self._value("glioma core"), core.astype(np.float32))
            return cover
        mixture = rise(patches, 0.1, 2.2)
        value = self._value("glioma solid") * mixture + self._value("oedema") * (1 - mixture)
        return self.canvas.paint(value.astype(np.float32), shape, opacity=0.97)

    def meningioma(self, lesion: HeadLesion) -> Field:
        shape = np.maximum(self._blob(lesion, 0.05), self.inside + 0.6)
        if lesion.variant == "falx":
            side = float(np.sign(lesion.centre[0]))
            shape = common(shape, (0.8 - side * self.skull.x).astype(np.float32), 2)
        else:
            near = self._blob(replace(lesion, radius_mm=lesion.radius_mm * 1.45), 0.0)
            tail = np.maximum(np.abs(self.inside + 1.4) - 1.3, near)
            self.canvas.paint(self._value("meningioma"), tail.astype(np.float32), opacity=0.9)
        if lesion.seed % 3 == 0:
            self._oedema(lesion, shape, 6.0, 0.7)
        self.canvas.paint(self._value("csf"), shape - 1.3, opacity=field(0.55 * (self.inside < -2)))
        grain = self._noise(lesion, "grain", 5.0)
        return self.canvas.paint(self._value("meningioma") + 0.03 * grain * _unit(self.contrast), shape)

    def pituitary(self, lesion: HeadLesion) -> Field:
        shape = self._blob(lesion, 0.07, (1.1, 0.9, 1.0))
        self.canvas.paint(self._value("csf"), shape - 1.5, opacity=field(0.5 * (self.inside < -1)))
        grain = self._noise(lesion, "grain", 4.0)
        cover = self.canvas.paint(self._value("adenoma") + 0.05 * grain * _unit(self.contrast), shape)
        if lesion.variant == "cystic":
            core = shape + lesion.radius_mm * 0.28
            self.canvas.paint(self._value("glioma core"), core.astype(np.float32), opacity=0.75)
        return cover

    def _blood(self, lesion: HeadLesion, shape: Field, opacity: Field | float = 1.0, soft_mm: float = 0.0) -> Field:
        clot = self._value("acute blood") + (3.0 if self.contrast == "ct" else 0.05) * self._noise(lesion, "clot", 8.0)
        return self.canvas.paint(clot, shape, opacity=opacity, soft_mm=soft_mm or None)

    def epidural(self, lesion: HeadLesion) -> Field:
        deep = lesion.radius_mm
        wide = 1.75 * deep + 4
        radius = (wide**2 + deep**2) / (2 * deep)
        middle = np.asarray(lesion.centre) - np.asarray(lesion.inward) * (radius - deep)
        lens = ellipsoid(self.skull, (middle[0], middle[1], middle[2]), (radius, radius, radius))
        lens = lens + 0.7 * np.clip(self._noise(lesion, "outline", 14.0), -1, 1)
        self.canvas.paint(self._value("dura"), np.maximum(lens - 0.8, self.inside).astype(np.float32))
        return self._blood(lesion, np.maximum(lens, self.inside + 0.3).astype(np.float32))

    def subdural(self, lesion: HeadLesion) -> Field:
        side = np.sign(lesion.centre[0])
        along = np.sqrt(((self.skull.y - lesion.centre[1]) / 66) ** 2 + ((self.skull.z - lesion.centre[2]) / 46) ** 2)
        thick = lesion.radius_mm * np.clip(1.25 - along**2 * 1.25, 0, 1) * (1 + 0.1 * self._noise(lesion, "edge", 22.0))
        crescent = np.maximum(-self.inside - thick, self.inside + 0.4)
        crescent = np.maximum(crescent, np.maximum(3.5 - side * self.skull.x, -14 - self.skull.z))
        cover = self._blood(lesion, crescent.astype(np.float32))
        if lesion.variant == "mixed density":
            layer = rise(self.skull.y + 9 * self._noise(lesion, "level", 18.0), lesion.centre[1] - 5, 30)
            old = cover * (1 - layer) * 0.75
            self.canvas.values += old * (self._value("old blood") + 12 - self.canvas.values)
        return cover

    def subarachnoid(self, lesion: HeadLesion) -> Field:
        wide = (1.0, 0.75, 0.5) if lesion.variant == "basal cisterns" else (1.0, 1.0, 1.0)
        region = self._blob(lesion, 0.12, wide)
        ventricle = (self.inside < -24) & (self.skull.z > -6)
        brain, csf = self._value("white"), self._value("csf")
        fluid = np.clip((0.9 - (self.canvas.values - csf) / (brain - csf)) / 0.35, 0, 1)
        only = fluid * (self.inside < -0.6) * ~ventricle
        ragged = 0.72 + 0.28 * np.tanh(self._noise(lesion, "clot", 10.0) + 0.8)
        return self._blood(lesion, region, (only * ragged).astype(np.float32), soft_mm=10.0)

    def intraparenchymal(self, lesion: HeadLesion) -> Field:
        rng = stream(lesion.seed, "bleed")
        radii = (float(rng.uniform(0.7, 0.95)), float(rng.uniform(0.95, 1.3)), float(rng.uniform(0.8, 1.1)))
        shape = np.maximum(self._blob(lesion, 0.13, radii), self.inside + 2)
        rim = shape - float(rng.uniform(3.5, 6.5)) * (1 + 0.3 * self._noise(lesion, "rim", 12.0))
        brain = np.clip(self._only("white", 0.8) + self._only("grey", 0.8), 0, 1) * (self.inside < -3)
        self.canvas.paint(self._value("oedema"), rim.astype(np.float32), opacity=field(0.9 * brain), soft_mm=3.0)
        return self._blood(lesion, shape)

    def intraventricular(self, lesion: HeadLesion) -> Field:
        hull = ellipsoid(self.brain, (0, 8, 8), (44, 68, 34))
        deep = np.maximum(hull, self.inside + 15)
        only = np.clip(self._only("csf", 0.9) * 1.6, 0, 1)
        if lesion.variant == "layering":
            level = (40 - 0.5 * lesion.radius_mm - self.skull.y).astype(np.float32)
            return self._blood(lesion, np.maximum(deep, level).astype(np.float32), only)
        cast = ellipsoid(self.brain, lesion.centre, (lesion.radius_mm,) * 3)
        return self._blood(lesion, np.maximum(deep, cast).astype(np.float32), only, soft_mm=6.0)

    def infarct(self, lesion: HeadLesion) -> Field:
        side = -lesion.inward[0]
        out = side * self.skull.x - 16
        spread = np.sqrt((self.skull.y - lesion.centre[1]) ** 2 + 1.2 * (self.skull.z - lesion.centre[2] - 6) ** 2)
        wedge = spread - lesion.radius_mm * np.clip(0.3 + out / 55, 0, 1) + 3.5 * self._noise(lesion, "edge", 12.0)
        wedge = np.maximum(np.maximum(wedge, -out), self.inside + 1.4).astype(np.float32)
        swollen = self._value("infarct") + (1.0 if self.contrast == "ct" else 0.02) * self._noise(lesion, "in", 9.0)
        return self.canvas.paint(swollen, wedge, opacity=0.9, soft_mm=2.5)

    def shift(self, lesions: Sequence[HeadLesion]) -> Field:
        """Where the brain's midline was pushed to: what lies between the skull's midline and the brain's."""
        span = ellipsoid(self.skull, (0, -5, 18), (30, 45, 22))
        between = np.maximum(np.minimum(self.skull.x, self.brain.x), -np.maximum(self.skull.x, self.brain.x))
        return self.canvas.cover(np.maximum(between, span).astype(np.float32))


def _unit(contrast: Contrast) -> float:
    """Size of a relative signal of 1 in the contrast's own unit."""
    return 40.0 if contrast == "ct" else 1.0


_PAINTERS: Mapping[str, Callable[[LesionPainter, HeadLesion], Field]] = MappingProxyType(
    {
        "glioma": LesionPainter.glioma,
        "meningioma": LesionPainter.meningioma,
        "pituitary-tumour": LesionPainter.pituitary,
        "epidural-haemorrhage": LesionPainter.epidural,
        "subdural-haemorrhage": LesionPainter.subdural,
        "subarachnoid-haemorrhage": LesionPainter.subarachnoid,
        "intraparenchymal-haemorrhage": LesionPainter.intraparenchymal,
        "intraventricular-haemorrhage": LesionPainter.intraventricular,
        "acute-infarct": LesionPainter.infarct,
    }
)
