"""Is it in the right place: the map's peak, mass, overlap and centroid against an outline, in image pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radiolucent.explain.localize import localise
from radiolucent.imaging.geometry import Float
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Frame

Mask = NDArray[np.bool_]
Spacing = tuple[float, float]
_FRAME = Frame(sop_class_uid="1.2", sop_instance_uid="1.2")


@dataclass(frozen=True, kw_only=True)
class Placement:
    """One map against one outline.

    Parameters
    ----------
    hit : the map's peak, as a reading gives it (`Heatmap.peak_pixel`), lies inside the outline (pointing game, Zhang
        et al. 2018).
    mass : share of the positive evidence inside the outline; 0 for a map without any.
    iou, dice : of the pixels at or above half of the map's peak, as the contour is drawn, but never below the floor.
    distance_px, distance_mm : from the centroid of the region that holds most evidence to the outline's centroid;
        infinite where the map is empty, NaN in mm where the spacing is unknown.
    empty : no cell reaches the display floor.
    """

    hit: bool
    mass: float
    iou: float
    dice: float
    distance_px: float
    distance_mm: float
    empty: bool


def place(heatmap: Heatmap, frame: int, mask: Mask, spacing_mm: Spacing | None) -> Placement:
    """Compare one frame's map with the outline of what is there.

    Parameters
    ----------
    mask : bool (rows, columns) of the source frame, True inside.

    Raises
    ------
    ValueError
        If the mask is empty or isn't of the frame's shape.
    """
    if mask.shape != heatmap.record.source_shape or not mask.any():
        raise ValueError(
            f"the mask is {mask.shape} with {int(mask.sum())} pixels, the frame {heatmap.record.source_shape}"
        )
    one = Heatmap(
        evidence=heatmap.evidence[frame : frame + 1],
        record=heatmap.record,
        display_scale=heatmap.display_scale,
        floor=heatmap.floor,
    )
    drawn = np.maximum(one.at_pixels(0), 0)
    total = float(drawn.sum())
    found = localise(one, [_FRAME], slice_spacing_mm=None)
    level = found.contour_level if found.regions else np.inf
    iou, dice = overlap(drawn >= level, mask)
    centroid = found.regions[0].centroid if found.regions else None
    return Placement(
        hit=is_inside(one.peak_pixel(0), mask),
        mass=float(drawn[mask].sum()) / total if total > 0 else 0.0,
        iou=iou,
        dice=dice,
        distance_px=distance(centroid, mask, (1.0, 1.0)),
        distance_mm=distance(centroid, mask, spacing_mm) if spacing_mm else float("nan"),
        empty=not found.regions,
    )


def is_inside(point: Sequence[float] | Float, mask: Mask) -> bool:
    """True where the pixel nearest to the point lies inside the mask; False beyond the image."""
    row, column = round(point[0]), round(point[1])
    return bool(0 <= row < mask.shape[0] and 0 <= column < mask.shape[1] and mask[row, column])


def overlap(found: Mask, mask: Mask) -> tuple[float, float]:
    """(intersection over union, Dice) of two areas; 0 where they don't meet.

    >>> overlap(np.array([[True, True]]), np.array([[True, False]]))
    (0.5, 0.6666666666666666)
    """
    both, either = int((found & mask).sum()), int((found | mask).sum())
    return (both / either, 2 * both / (both + either)) if either else (0.0, 0.0)


def distance(point: tuple[float, float] | None, mask: Mask, spacing: Spacing) -> float:
    """From a point to the centroid of the mask, in the spacing's unit; infinite where there is no point."""
    if point is None:
        return float("inf")
    centre = np.argwhere(mask).mean(axis=0)
    return float(np.hypot((point[0] - centre[0]) * spacing[0], (point[1] - centre[1]) * spacing[1]))


def mass_within(values: NDArray[np.floating], mask: Mask) -> float:
    """Share of a non-negative map inside the mask; 0 for a map of zeros."""
    total = float(values.sum())
    return float(values[mask].sum()) / total if total > 0 else 0.0
