"""How much fresh blood lies in a region of a head CT, in millilitres, counted in voxels of Hounsfield units.

A heatmap says where; its cells are too coarse for a volume. So the voxels in and beside the region are asked: inside
the skull, as dense as clot, smoothed against noise, and connected with the region.

Source
------
Acute blood of 60 to 80 HU: Bushberg, The Essential Physics of Medical Imaging, 3rd ed., ch. 10. The limit of 50 HU,
this project's own, lies in the middle between grey matter (about 38) and fresh clot.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.imaging.skull import Mask, Volume

CLOT_HU = (50.0, 110.0)
"""Fresh clot, after smoothing; denser is calcification or bone."""
BESIDE_MM = 8.0
"""So far beyond the region a clot is followed: cells of a map are coarser than its edge."""
_BLUR_MM = 0.8
_RIM_MM = 1.0


def clot(hu: Volume, inside: Mask, region: Mask, spacing_mm: tuple[float, float]) -> Mask:
    """The voxels of fresh blood that hang together with a region.

    Parameters
    ----------
    hu : float32 ``(slices, rows, columns)``, Hounsfield units.
    inside : of the same shape, from `skull.inside_of_skull`.
    region : of the same shape, e.g. where a heatmap reaches its floor.
    spacing_mm : (between rows, between columns).

    Returns
    -------
    bool of the same shape, within `region` and `BESIDE_MM` around it on the slice. The last `_RIM_MM` under the bone
    count only where something thicker reaches them, so that the skull's blurred inner table isn't taken for blood.
    """
    found = np.zeros(hu.shape, dtype=np.bool_)
    for index in np.flatnonzero(region.any(axis=(1, 2)) & inside.any(axis=(1, 2))):
        window = _around(region[index], round((BESIDE_MM + 4) / float(np.mean(spacing_mm))))
        found[index][window] = _on_slice(
            hu[index][window], inside[index][window], region[index][window], float(np.mean(spacing_mm))
        )
    labels, _ = ndimage.label(found)
    kept = np.unique(labels[found & region])
    return np.asarray(np.isin(labels, kept[kept > 0]))


def _on_slice(picture: NDArray[np.float32], inside: Mask, region: Mask, pixel_mm: float) -> Mask:
    """Dense pixels in and beside the region, without the rim under the bone where nothing thicker reaches it."""
    smooth = ndimage.gaussian_filter(picture, _BLUR_MM / pixel_mm)
    near = ndimage.distance_transform_edt(~region) * pixel_mm <= BESIDE_MM
    dense = (smooth >= CLOT_HU[0]) & (smooth <= CLOT_HU[1]) & inside & near
    core = dense & (ndimage.distance_transform_edt(inside) * pixel_mm > _RIM_MM + pixel_mm)
    core = ndimage.binary_opening(core, iterations=max(1, round(_RIM_MM / pixel_mm)))
    grown = ndimage.binary_dilation(core, iterations=max(1, round((_RIM_MM + 2 * pixel_mm) / pixel_mm)))
    return np.asarray(dense & grown)


def _around(region: Mask, margin: int) -> tuple[slice, slice]:
    """The window that holds the region with a margin in pixels."""
    (top, bottom), (left, right) = ((np.flatnonzero(region.any(axis=axis))[[0, -1]]) for axis in (1, 0))
    return slice(max(top - margin, 0), bottom + margin + 1), slice(max(left - margin, 0), right + margin + 1)


def volume_ml(mask: Mask, spacing_mm: tuple[float, float], slice_spacing_mm: float) -> float:
    """Volume of a mask.

    >>> volume_ml(np.ones((2, 10, 10), dtype=bool), (1.0, 1.0), 5.0)
    1.0
    """
    return float(mask.sum()) * spacing_mm[0] * spacing_mm[1] * slice_spacing_mm / 1000
