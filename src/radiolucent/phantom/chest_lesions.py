"""What can be wrong in a chest: where it sits and what it changes of the anatomy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np

from radiolucent.phantom.chest import SIDES, ChestAnatomy
from radiolucent.phantom.scene import Vector


@dataclass(frozen=True, kw_only=True)
class ChestLesion:
    """One lesion.

    Parameters
    ----------
    side : -1 right, 1 left.
    centre : body mm, where it has one.
    size : 1 as drawn; larger is more of it.
    amount : what `size` scales, in the finding's own unit (mm, or a factor).
    """

    finding: str
    variant: str = ""
    side: int
    centre: Vector = (0.0, 0.0, 0.0)
    amount: float = 0.0
    size: float = 1.0
    seed: int
    extras: Mapping[str, float] = field(default_factory=dict)

    def scaled(self, volume: float) -> ChestLesion:
        """The same lesion with about `volume` times its volume."""
        return replace(self, size=self.size * volume ** (1 / 3), amount=self.amount * volume ** (1 / 2))


def place(finding: str, rng: np.random.Generator) -> ChestLesion:
    """Draw the lesion that stands for a finding."""
    side = SIDES[int(rng.integers(2))]
    low, high = _AMOUNTS[finding]
    variants = _VARIANTS.get(finding, ("",))
    variant = variants[int(rng.integers(len(variants)))]
    centre = (side * float(rng.uniform(55, 105)), float(rng.uniform(-20, 45)), float(rng.uniform(-45, 70)))
    if finding in ("pneumonia", "infiltration"):
        centre = (side * float(rng.uniform(62, 92)), float(rng.uniform(-10, 30)), float(rng.uniform(-55, 45)))
    return ChestLesion(
        finding=finding,
        variant=variant,
        side=side,
        centre=centre,
        amount=float(rng.uniform(low, high)),
        seed=int(rng.integers(2**31)),
    )


#: what `amount` is, and its range: mm unless it is a factor
_AMOUNTS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "atelectasis": (12, 20),  # rise of the diaphragm
        "cardiomegaly": (0.3, 0.5),  # added share of the heart's width
        "consolidation": (0.75, 0.92),  # share of the air replaced
        "oedema": (0.3, 0.5),
        "effusion": (48, 130),  # height above the bottom of the pleural space
        "emphysema": (0.8, 1.2),
        "fibrosis": (0.8, 1.2),
        "hernia": (27, 40),  # radius
        "infiltration": (0.28, 0.42),
        "mass": (17, 32),  # radius
        "nodule": (6, 12),  # radius
        "pleural-thickening": (7, 12),
        "pneumonia": (0.45, 0.65),
        "pneumothorax": (14, 34),  # gap at the side
        "tension-pneumothorax": (20, 34),  # shift of the mediastinum
        "widened-mediastinum": (0.7, 1.05),  # added share of its width
        "rib-fracture": (5, 9),  # step
        "support-device": (1, 1),
    }
)
CHEST_FINDINGS: tuple[str, ...] = tuple(_AMOUNTS)
_VARIANTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "atelectasis": ("plates", "lower lobe"),
        "consolidation": ("upper lobe", "lower lobe"),
        "pleural-thickening": ("lateral", "apical"),
        "support-device": ("pacemaker", "endotracheal tube", "central line", "gastric tube"),
    }
)


def adjusted(anatomy: ChestAnatomy, lesion: ChestLesion) -> ChestAnatomy:
    """The anatomy as the lesion changes it."""
    side, amount = lesion.side, lesion.amount
    right, left = anatomy.dome_mm
    raised = (right + amount, left) if side < 0 else (right, left + amount)
    match lesion.finding:
        case "atelectasis":
            much = 1.0 if lesion.variant == "lower lobe" else 0.35
            shift = anatomy.heart_shift_mm + side * 0.5 * amount * much
            return replace(anatomy, dome_mm=raised, heart_shift_mm=shift)
        case "cardiomegaly":
            return replace(anatomy, heart=anatomy.heart * (1 + amount))
        case "oedema":
            return replace(anatomy, heart=anatomy.heart * 1.1, vessels=anatomy.vessels * 1.25, upper_vessels=1.6)
        case "effusion" if amount > 90:
            push = -side * (amount - 90) * 0.4
            return replace(
                anatomy,
                heart_shift_mm=anatomy.heart_shift_mm + push,
                upper_shift_mm=anatomy.upper_shift_mm + 0.5 * push,
            )
        case "emphysema":
            return replace(
                anatomy,
                lung=anatomy.lung * (1 - 0.33 * amount),
                dome_mm=(right - 22 * amount, left - 20 * amount),
                dome_fall=max(anatomy.dome_fall * (1 - 0.55 * amount), 0.3),
                heart=anatomy.heart * (1 - 0.14 * amount),
                vessels=anatomy.vessels * (1 - 0.35 * amount),
            )
        case "fibrosis":
            return replace(anatomy, dome_mm=(right + 14 * amount, left + 12 * amount))
        case "tension-pneumothorax":
            lowered = (right - amount, left) if side < 0 else (right, left - amount)
            return replace(
                anatomy,
                dome_mm=lowered,
                heart_shift_mm=anatomy.heart_shift_mm - side * amount,
                upper_shift_mm=anatomy.upper_shift_mm - side * 0.8 * amount,
            )
        case "widened-mediastinum":
            return replace(anatomy, mediastinum=anatomy.mediastinum * (1 + amount))
    return anatomy


def measured(lesion: ChestLesion) -> dict[str, float]:
    """What is known of the lesion in numbers."""
    name = {
        "tension-pneumothorax": "mediastinal_shift_mm",
        "pneumothorax": "gap_mm",
        "rib-fracture": "step_mm",
        "nodule": "radius_mm",
        "mass": "radius_mm",
    }.get(lesion.finding)
    return {name: round(lesion.amount, 2)} if name else {}
