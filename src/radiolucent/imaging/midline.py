"""Midline shift on a head CT: how far the ventricles' axis of symmetry lies from the plane that halves the skull.

The reference is the skull's own middle (`skull.middle_plane`), which a shift of the brain doesn't move. The brain's
midline is found where the lateral and third ventricles mirror each other best: fluid left of an axis is laid over fluid
right of it, on the slices 45 to 75 mm below the top of the inside of the skull and in the front half of the head, where
the septum and the foramina of Monro lie. The axis is looked for twice, in fluid alone and in fluid and clot; where the
two disagree, blood in or beside the ventricles misleads at least one of them, and nothing is measured.

Source
------
The definition (septum against the line between the falx's attachments, at the foramen of Monro): Brain Trauma
Foundation guidelines, Bullock et al. 2006. The method is this project's own; what it is worth on synthetic heads stands
in docs/dicom-input.md, and no real scan in HU was there to check it on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.imaging.skull import BONE_HU, Float, Mask, MiddlePlane, Volume, inside_of_skull, middle_plane
from radiolucent.imaging.study import Stack

LARGEST_MM = 15.0
"""A larger shift than this isn't looked for: the ventricles are no guide to it any more."""
LEVELS_MM = (45.0, 75.0)
"""Below the top of the inside of the skull: lateral ventricles to third ventricle in an adult."""
FRONT = (0.25, 0.6)
"""Part of the head's length, from the front, in which the septum and the third ventricle lie."""
AGREE_MM = 2.5
"""The two searches may differ by this much."""
LEAST_FLUID_ML = 1.0
"""Fluid that has to mirror itself: with less, the ventricles are empty or weren't imaged."""
LARGEST_SPREAD_MM = 4.0
_FLUID_HU, _CLOT_HU, _RAMP_HU = 22.0, 48.0, 16.0
_STEP_MM, _HALF_MM, _BLUR_MM = 0.25, 16.0, 0.8
_RELUCTANCE_MM = 25.0


@dataclass(frozen=True, kw_only=True)
class MidlineShift:
    """What was found; `mm` is None where it couldn't be measured, and `reason` says why.

    Parameters
    ----------
    mm : signed, positive towards the patient's left; the number that people quote is its size.
    frame : the slice with most ventricle, on which `septum` and `line` lie.
    septum : (row, column) of the brain's midline at the middle of the searched part.
    line : two (row, column) points, front and back, where the skull's middle plane meets the inside of the skull.
    spread_mm : how far the midpoints between left and right bone scatter about that plane.
    """

    mm: float | None
    reason: str = ""
    frame: int | None = None
    septum: tuple[float, float] | None = None
    line: tuple[tuple[float, float], tuple[float, float]] | None = None
    spread_mm: float | None = None


@dataclass(frozen=True, kw_only=True)
class _Sheet:
    """One slice cut along the skull's middle: HU at (rows along the plane, distance from it), with its place."""

    frame: int
    values: NDArray[np.float32]
    along: Float
    ends: tuple[float, float]


def midline_shift(stack: Stack, inside: Mask | None = None) -> MidlineShift:
    """Measure the shift of one head CT.

    Parameters
    ----------
    stack : an axial CT volume in HU, from foot to head.
    inside : bool ``(slices, rows, columns)`` from `skull.inside_of_skull`, where that is at hand.

    Raises
    ------
    UnreadablePixels
        If a frame can't be decoded.
    """
    plane, spacing, gap = stack.frames[0].plane, stack.spacing_mm, stack.slice_spacing_mm
    if stack.modality != "CT" or plane is None or spacing is None or gap is None or plane.orientation != "axial":
        return MidlineShift(mm=None, reason="only an axial CT volume with known spacing is measured")
    hu = stack.pixels
    if float(hu.max()) <= BONE_HU:
        return MidlineShift(mm=None, reason="no value is as dense as bone: these are no Hounsfield units")
    inside = inside_of_skull(hu, spacing) if inside is None else inside
    middle = middle_plane(inside, spacing, gap)
    if middle is None or not _covers_the_top(inside):
        return MidlineShift(mm=None, reason="the inside of the skull isn't covered up to its top")
    if middle.spread_mm > LARGEST_SPREAD_MM:
        return MidlineShift(mm=None, reason="left and right bone share no middle plane: turned, cut off or operated on")
    sheets = _sheets(hu, inside, middle, spacing, gap)
    fluid = [np.clip((_FLUID_HU - sheet.values) / _RAMP_HU, 0, 1) for sheet in sheets]
    if sum(float(part.sum()) for part in fluid) * _STEP_MM * gap / 1000 < LEAST_FLUID_ML:
        return MidlineShift(mm=None, reason="too little fluid in the ventricles to find their middle")
    clotted = [
        part + np.clip((sheet.values - _CLOT_HU) / _RAMP_HU, 0, 1) for part, sheet in zip(fluid, sheets, strict=True)
    ]
    found, other = _axis(fluid, strict=0.5), _axis(clotted, strict=0.0)
    if abs(found - other) > AGREE_MM:
        return MidlineShift(mm=None, reason="blood in or beside the ventricles hides their middle")
    best = sheets[int(np.argmax([part.sum() for part in fluid]))]
    towards_left = 1.0 if plane.row_cosines[0] > 0 else -1.0
    return MidlineShift(
        mm=towards_left * found,
        frame=best.frame,
        septum=_pixel(found, float(best.along.mean()), best.frame, middle, spacing, gap),
        line=(
            _pixel(0.0, best.ends[0], best.frame, middle, spacing, gap),
            _pixel(0.0, best.ends[1], best.frame, middle, spacing, gap),
        ),
        spread_mm=middle.spread_mm,
    )


def _covers_the_top(inside: Mask) -> bool:
    """True where the uppermost slice through the brain is clearly smaller than the largest one."""
    areas = inside.sum(axis=(1, 2))
    used = np.flatnonzero(areas)
    return bool(areas[used[-1]] < 0.75 * areas.max())


def _sheets(hu: Volume, inside: Mask, middle: MiddlePlane, spacing_mm: tuple[float, float], gap: float) -> list[_Sheet]:
    """The slices at the level of the ventricles, each cut along the middle plane in steps of 1 mm by 0.25 mm."""
    used = np.flatnonzero(inside.any(axis=(1, 2)))
    reach = LARGEST_MM + _HALF_MM
    across = np.arange(-reach, reach + _STEP_MM / 2, _STEP_MM)
    found = []
    for frame in used:
        if not LEVELS_MM[0] <= (used[-1] - frame) * gap <= LEVELS_MM[1]:
            continue
        rows = np.flatnonzero(inside[frame].any(axis=1)) * spacing_mm[0]
        along = rows[0] + np.arange(FRONT[0] * np.ptp(rows), FRONT[1] * np.ptp(rows), 1.0)
        u, v = _place(across[None], along[:, None], frame * gap, middle)
        picture = ndimage.gaussian_filter(hu[frame], _BLUR_MM / np.array(spacing_mm))
        values = ndimage.map_coordinates(picture, [v / spacing_mm[0], u / spacing_mm[1]], order=1, mode="nearest")
        found.append(_Sheet(frame=int(frame), values=values, along=along, ends=(float(rows[0]), float(rows[-1]))))
    return found


def _place(across: Float, along: Float, w: float, middle: MiddlePlane) -> tuple[Float, Float]:
    """(u, v) in mm of points `across` mm from the plane, beside the point of the plane whose v is `along`."""
    size = np.sqrt(1 + middle.across_rows**2)
    u = middle.offset + middle.across_slices * w + middle.across_rows * along + across / size
    return u, np.asarray(along - middle.across_rows * across / size)


def _pixel(
    across: float, along: float, frame: int, middle: MiddlePlane, spacing_mm: tuple[float, float], gap: float
) -> tuple[float, float]:
    u, v = _place(np.asarray(across), np.asarray(along), frame * gap, middle)
    return float(v) / spacing_mm[0], float(u) / spacing_mm[1]


def _axis(sheets: list[NDArray[np.float32]], *, strict: float) -> float:
    """Where the sheets mirror themselves best, in mm from their middle; `strict` counts what has no mirror image."""
    shifts = np.arange(-LARGEST_MM, LARGEST_MM + _STEP_MM / 2, _STEP_MM)
    centre, half = round((LARGEST_MM + _HALF_MM) / _STEP_MM), round(_HALF_MM / _STEP_MM)
    total = np.zeros(len(shifts))
    for sheet in sheets:
        for index in range(len(shifts)):
            column = centre + round(shifts[index] / _STEP_MM)
            right = sheet[:, column : column + half + 1 : 2]
            left = sheet[:, column - half : column + 1 : 2][:, ::-1]
            total[index] += 2 * (right * left).sum() - strict * ((right - left) ** 2).sum()
    size = sum(float((sheet[:, ::2] ** 2).sum()) for sheet in sheets) / 2
    score = total / max(size, 1e-6) - (shifts / _RELUCTANCE_MM) ** 2 / 2
    return float(shifts[int(np.argmax(score))])
