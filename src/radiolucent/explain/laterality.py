"""Which side of the patient something lies on: from patient coordinates, or from the picture where there are none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from radiolucent.findings.reading import Laterality
from radiolucent.imaging.geometry import Float, Shape
from radiolucent.imaging.study import Frame

ImageLeft = Literal["patient-right", "patient-left"]

MIDLINE_MM = 5.0
"""A centre nearer to the midline than this is on it: an expert default, about a third ventricle and a margin."""
MIDLINE_WIDTH = 0.03
"""The same where millimetres aren't known, as a share of the image's width: an expert default."""
EACH_SIDE = 0.15
"""A diffuse region with more of its evidence than this on each side is on both."""


def towards_left(
    points: Float,
    frame: Frame,
    shape: Shape,
    *,
    midline_mm: float | None,
    image_left: ImageLeft | None,
) -> tuple[Float, float] | None:
    """How far points lie towards the patient's left of the midline, and how near counts as on it.

    Parameters
    ----------
    points : float64 ``(n, 2)``, (row, column) in pixels of `frame`.
    shape : (rows, columns) of the frame.
    midline_mm : patient x of the body's middle; used where the frame has a plane.
    image_left : which side of the patient is at the left of the picture; used where it has none.

    Returns
    -------
    (n,) float64 and the tolerance, both in mm or both in pixels; None where the side can't be known.
    """
    if frame.plane is not None:
        return None if midline_mm is None else (frame.plane.to_patient(points)[:, 0] - midline_mm, MIDLINE_MM)
    if image_left is None:
        return None
    sign = 1.0 if image_left == "patient-right" else -1.0
    return sign * (points[:, 1] - (shape[1] - 1) / 2), MIDLINE_WIDTH * shape[1]


def side(offsets: Float, weights: Float, tolerance: float, *, diffuse: bool) -> Laterality:
    """The side of one region.

    Parameters
    ----------
    offsets : ``(n,)`` of its cells towards the patient's left, as `towards_left` gives them.
    weights : ``(n,)`` evidence of the cells.
    diffuse : a diffuse region may be ``bilateral``; a focal one that crosses the midline is where its centre is.
    """
    share = weights / weights.sum()
    if diffuse and min(share[offsets > tolerance].sum(), share[offsets < -tolerance].sum()) > EACH_SIDE:
        return "bilateral"
    center = float((offsets * share).sum())
    if abs(center) <= tolerance:
        return "midline"
    return "left" if center > 0 else "right"


def combine(sides: Iterable[Laterality]) -> Laterality:
    """One word for several regions: both sides make ``bilateral``, a side outweighs the midline.

    >>> combine(["left", "midline"])
    'left'
    >>> combine(["left", "right"])
    'bilateral'
    """
    found = set(sides)
    if "bilateral" in found or {"left", "right"} <= found:
        return "bilateral"
    order: tuple[Laterality, ...] = ("left", "right", "midline")
    return next((word for word in order if word in found), "unknown")
