"""What each tissue looks like: HU in CT, relative signal in MR.

HU are textbook ranges' middles (Bushberg, *The Essential Physics of Medical Imaging*, 3rd ed., ch. 10; acute blood
60-80 HU). MR signals are relative to white matter = 1, chosen by eye to look like spin-echo T1 with and without
contrast and FLAIR at 1.5-3 T: they order the tissues as a scanner does and claim no quantity.
"""

from __future__ import annotations

from typing import Literal

Contrast = Literal["ct", "t1post", "t1", "flair"]
CONTRASTS: tuple[Contrast, ...] = ("ct", "t1post", "t1", "flair")

#: name: (HU, T1 after contrast, T1, FLAIR)
_TISSUES: dict[str, tuple[float, float, float, float]] = {
    "air": (-1000, 0.02, 0.02, 0.02),
    "skin": (35, 1.10, 0.95, 0.70),
    "fat": (-95, 1.85, 1.85, 1.05),
    "muscle": (55, 0.80, 0.70, 0.55),
    "mucosa": (45, 1.70, 0.85, 1.10),
    "outer table": (1350, 0.07, 0.07, 0.05),
    "inner table": (1500, 0.07, 0.07, 0.05),
    "diploe": (620, 0.85, 0.85, 0.45),
    "petrous": (1700, 0.12, 0.12, 0.08),
    "thin bone": (700, 0.15, 0.15, 0.10),
    "csf": (6, 0.30, 0.28, 0.12),
    "grey": (38, 0.84, 0.80, 1.00),
    "white": (29, 1.00, 1.00, 0.82),
    "deep grey": (38, 0.88, 0.86, 0.92),
    "dura": (48, 1.35, 0.75, 0.55),
    "vein": (52, 2.00, 0.55, 0.25),
    "artery": (45, 0.25, 0.15, 0.08),
    "choroid": (55, 1.75, 0.85, 0.90),
    "calcium": (220, 0.40, 0.45, 0.30),
    "vitreous": (8, 0.30, 0.28, 0.15),
    "lens": (75, 0.75, 0.70, 0.40),
    "pituitary gland": (45, 1.65, 0.95, 0.95),
    "glioma rim": (42, 1.95, 0.78, 1.25),
    "glioma solid": (40, 1.55, 0.74, 1.35),
    "glioma core": (16, 0.42, 0.42, 0.70),
    "oedema": (19, 0.74, 0.72, 1.75),
    "meningioma": (56, 1.85, 0.86, 1.15),
    "adenoma": (50, 1.50, 0.82, 1.05),
    "acute blood": (70, 1.05, 1.05, 0.85),
    "old blood": (30, 1.30, 1.25, 1.30),
    "infarct": (20, 0.78, 0.78, 1.45),
}


def signal(name: str, contrast: Contrast) -> float:
    """The value of a tissue: HU for ``ct``, otherwise a signal relative to white matter."""
    return _TISSUES[name][CONTRASTS.index(contrast)]
