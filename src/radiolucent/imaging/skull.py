"""The inside of the skull on a head CT: where it is, and the plane that halves it.

Everything works on HU: bone is what is denser than `BONE_HU`, and the inside is what bone closes off on a slice. Slices
that bone doesn't close (the face, the skull base) hold no inside. Places are in millimetres of the slice: u grows with
columns, v with rows, w with slices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

BONE_HU = 250.0
"""Bone from here up: above clots (under 100 HU) and below what a thin inner table keeps in a slice of 5 mm."""
SMALLEST_CM2 = 25.0
"""A smaller inside is no slice through the brain."""
_GAP_MM, _WORKING_MM = 3.0, 0.9
_AIR_HU = -300.0
_CLOSED = 0.6
_BIN_MM = 2.0
_STEPS = 6

Mask = NDArray[np.bool_]
Volume = NDArray[np.float32]
Float = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class MiddlePlane:
    """The plane ``u = offset + across_rows * v + across_slices * w`` that halves the inside of the skull.

    Parameters
    ----------
    offset : mm, at v = w = 0.
    across_rows, across_slices : slopes, mm per mm; small where the head lies straight.
    spread_mm : root mean square distance of the midpoints between left and right bone from the plane.
    """

    offset: float
    across_rows: float
    across_slices: float
    spread_mm: float

    def distance(self, u: Float, v: Float, w: Float | float) -> Float:
        """Signed distance (mm) from the plane, positive where u is larger."""
        size = np.sqrt(1 + self.across_rows**2 + self.across_slices**2)
        return np.asarray((u - self.offset - self.across_rows * v - self.across_slices * w) / size)


def inside_of_skull(hu: Volume, spacing_mm: tuple[float, float]) -> Mask:
    """The inside of the skull on every slice that bone closes.

    Parameters
    ----------
    hu : float32 ``(slices, rows, columns)``, Hounsfield units.
    spacing_mm : (between rows, between columns).

    Returns
    -------
    bool of the same shape; all False on a slice whose inside is under `SMALLEST_CM2` or not closed by bone.
    """
    step = max(1, round(_WORKING_MM / float(np.mean(spacing_mm))))
    pixel_mm = float(np.mean(spacing_mm)) * step
    pixel_cm2 = spacing_mm[0] * spacing_mm[1] * step**2 / 100
    found = np.zeros(hu.shape, dtype=np.bool_)
    for index, picture in enumerate(hu[:, ::step, ::step]):
        part = _closed_off(picture, pixel_mm)
        if part.sum() * pixel_cm2 >= SMALLEST_CM2:
            whole = part.repeat(step, axis=0).repeat(step, axis=1)
            found[index] = whole[: hu.shape[1], : hu.shape[2]]
    return found & (hu <= BONE_HU)


def _closed_off(picture: NDArray[np.float32], pixel_mm: float) -> Mask:
    """The largest part that bone closes off, all False where there is none; a sinus full of air counts as wall."""
    bone = picture > BONE_HU
    nothing: Mask = np.zeros_like(bone)
    if not bone.any():
        return nothing
    border, reach = 8, max(1, round(_GAP_MM / 2 / pixel_mm))
    wall = np.pad(bone | (picture < _AIR_HU), border, mode="edge")
    wall = ndimage.binary_closing(wall, iterations=reach, border_value=1)[border:-border, border:-border]
    labels, count = ndimage.label(~wall)
    if not count:
        return nothing
    part: Mask = ndimage.binary_fill_holes(labels == int(np.argmax(np.bincount(labels.ravel())[1:])) + 1)
    part = ndimage.binary_dilation(part, iterations=1) & ~bone
    rim = ndimage.binary_dilation(part, iterations=2) & ~part
    return part if bone[rim].mean() >= _CLOSED else nothing


def middle_plane(inside: Mask, spacing_mm: tuple[float, float], slice_spacing_mm: float) -> MiddlePlane | None:
    """The plane through the midpoints between left and right bone: a shift of the brain doesn't move it.

    Midpoints are taken across the plane found so far, in strips of 2 mm, and the plane is fitted again, so that a head
    that lies turned (up to about 30°) or tilted is met; far midpoints count less (Huber weights).

    Returns
    -------
    None where fewer than two slices hold an inside.
    """
    used = np.flatnonzero(inside.any(axis=(1, 2)))
    if len(used) < 2:
        return None
    edges = [_edge(inside[index], spacing_mm, index * slice_spacing_mm) for index in used]
    points = np.concatenate(edges)
    offset = float(points[:, 0].mean())
    slopes: Float = np.zeros(2)
    spread = 0.0
    for _ in range(_STEPS):
        middles = _midpoints(points, slopes, offset)
        design = np.column_stack([np.ones(len(middles)), middles[:, 1:]])
        weights = np.ones(len(middles))
        for _ in range(4):
            solved = np.linalg.lstsq(design * weights[:, None], middles[:, 0] * weights, rcond=None)[0]
            rest = np.abs(middles[:, 0] - design @ solved)
            weights = np.sqrt(np.minimum(1, 2.0 / np.maximum(rest, 1e-6)))
        offset, slopes = float(solved[0]), solved[1:].astype(np.float64)
        spread = float(np.sqrt(np.mean(rest**2)))
    return MiddlePlane(offset=offset, across_rows=float(slopes[0]), across_slices=float(slopes[1]), spread_mm=spread)


def _edge(mask: Mask, spacing_mm: tuple[float, float], w: float) -> Float:
    """(n, 3) u, v, w in mm of the outermost pixels of a mask."""
    rows, columns = np.nonzero(mask & ~ndimage.binary_erosion(mask))
    return np.column_stack([columns * spacing_mm[1], rows * spacing_mm[0], np.full(len(rows), w)])


def _midpoints(points: Float, slopes: Float, offset: float) -> Float:
    """(n, 3) u, v, w of midpoints across the plane, one for each strip of each slice; the ends of the head left out."""
    size = np.sqrt(1 + slopes[0] ** 2)
    base = offset + slopes[1] * points[:, 2]
    across = (points[:, 0] - base - slopes[0] * points[:, 1]) / size
    along = (points[:, 1] + slopes[0] * (points[:, 0] - base)) / size
    found = []
    for w in np.unique(points[:, 2]):
        here = np.flatnonzero(points[:, 2] == w)
        low, high = np.percentile(along[here], [6, 94])
        strips = np.floor(along[here] / _BIN_MM)
        for strip in np.unique(strips):
            chosen = here[strips == strip]
            left, right, where = across[chosen].min(), across[chosen].max(), along[chosen].mean()
            if low <= where <= high and left < 0 < right:
                middle = (left + right) / 2
                u = offset + slopes[1] * w + (middle + slopes[0] * where) / size
                found.append((u, (where - slopes[0] * middle) / size, w))
    return np.array(found)
