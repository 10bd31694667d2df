"""Narrowing loose boxes down to what they are about, in network units, so that evidence learns the right cells."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.engines.preprocess.head_ct import BRAIN_HU, WINDOW_HU
from radiolucent.imaging.geometry import Image

# clotted blood is at least this much denser than brain
_DENSER_HU = 7.0
# a box whose bright part is smaller than this share holds no fresh clot: then all of it that is brain counts
_LEAST = 0.08
# parts smaller than this share of the largest are noise
_PART = 0.15


def blood(image: Image, inside: Image) -> Image:
    """The clot inside boxes: what is denser than brain, within the skull, in parts of some size.

    Old or thin bleeds that are no denser keep their box, less bone and what lies beyond it.

    Parameters
    ----------
    image : float32 (rows, columns) as `engines.preprocess.head_ct` makes it: −1 is 0 HU, 1 is 80 HU.
    inside : float32 (rows, columns), 1 inside a box.

    Returns
    -------
    float32 (rows, columns), 1 inside the core.
    """
    boxes = inside >= 0.5
    if not boxes.any():
        return inside
    units = (ndimage.gaussian_filter(image, 0.6) + 1) * (WINDOW_HU / 2)
    within = boxes & _within_skull(image)
    if not within.any():
        return boxes.astype(np.float32)
    core = np.zeros_like(boxes)
    parts, count = ndimage.label(boxes)
    for part in range(1, count + 1):
        place = within & (parts == part)
        bright = _large_parts(place & (units > BRAIN_HU + _DENSER_HU))
        core |= bright if bright.sum() >= _LEAST * max(int(place.sum()), 1) else place
    return core.astype(np.float32)


def _within_skull(image: Image) -> NDArray[np.bool_]:
    """Inside the bone's ring, bone left out; everything but bone where the ring isn't closed."""
    bone = image > 0.95
    closed = ndimage.binary_closing(np.pad(bone, 8), iterations=4)[8:-8, 8:-8]
    filled = ndimage.binary_fill_holes(closed) & ~bone
    return np.asarray(filled if filled.sum() > 0.1 * bone.size else ~bone)


def _large_parts(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    parts, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(np.isin(parts, np.flatnonzero(sizes >= _PART * sizes.max())))


CORES: dict[str, Callable[[Image, Image], Image]] = {"blood": blood}
