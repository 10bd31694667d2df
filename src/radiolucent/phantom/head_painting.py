"""How lesions of the head are painted over a painted head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from radiolucent.phantom.head_lesions import HeadLesion
from radiolucent.phantom.scene import Canvas, Field, Noise, Points, Vector, common, ellipsoid, field, rise, stream
from radiolucent.phantom.tissues import Contrast, signal


@dataclass(frozen=True)
class LesionPainter:
    """A painted head that lesions are laid over; every method returns the covered share of each sample."""

    canvas: Canvas
    contrast: Contrast
    skull: Points
    brain: Points
    inside: Field

    def paint(self, lesion: HeadLesion) -> Field:
        """Paint one lesion; the covered share of each sample of the whole canvas."""
        reach = _REACH.get(lesion.finding)
        if reach is None:
            return _PAINTERS[lesion.finding](self, lesion)
        covered = np.zeros_like(self.inside)
        window = self.canvas.window(lesion.centre, 1.06 * (reach[0] * lesion.radius_mm + reach[1]))
        if window is not None:
            here = LesionPainter(
                self.canvas.part(window), self.contrast, self.skull[window], self.brain[window], self.inside[window]
            )
            covered[window] = _PAINTERS[lesion.finding](here, lesion)
        return covered

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


#: how far a lesion and its surroundings reach from its centre: (factor on its radius, mm); the rest may be anywhere
_REACH: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "glioma": (1.7, 40),
        "meningioma": (1.7, 24),
        "pituitary-tumour": (1.5, 10),
        "epidural-haemorrhage": (1.8, 18),
        "intraparenchymal-haemorrhage": (1.6, 24),
    }
)
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
