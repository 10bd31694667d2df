"""What can be wrong in a head: tumours, bleeds, an infarct; where they sit and how they push."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from radiolucent.phantom.head import SIDES, cavity
from radiolucent.phantom.scene import Points, Vector


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
