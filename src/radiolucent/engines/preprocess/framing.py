"""Where a subject lies in its image, and the steps that bring it to a network's input at a stated scale."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.imaging.geometry import Crop, Image, PixelRecord, Resize, Shape

Spacing = tuple[float, float]
Box = tuple[int, int, int, int]

# Share of the 99.5th percentile above which a pixel belongs to the head rather than to air.
AIR = 0.12


def inside(frame: Image) -> NDArray[np.bool_]:
    """Pixels of the head: above the air level after light smoothing, largest part only."""
    smooth = ndimage.gaussian_filter(frame, 1.0)
    level = AIR * float(np.percentile(smooth, 99.5))
    mask = np.asarray(smooth > max(level, 0.0))
    parts, count = ndimage.label(mask)
    if count < 2:
        return mask
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    return np.asarray(parts == int(sizes.argmax()))


def box(mask: NDArray[np.bool_]) -> Box:
    """(top, left, bottom, right), right and bottom excluded; the whole image where the mask is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return (0, 0, mask.shape[0], mask.shape[1])
    return (int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def resampled_and_centred(shape: Shape, spacing_mm: Spacing, target_mm: float, around: Box, size: Shape) -> PixelRecord:
    """Resize to `target_mm` a pixel, then cut `size` pixels around the middle of `around` (source pixels)."""
    scaled = tuple(max(1, round(side * mm / target_mm)) for side, mm in zip(shape, spacing_mm, strict=True))
    height, width = scaled
    centre = ((around[0] + around[2]) / 2 * height / shape[0], (around[1] + around[3]) / 2 * width / shape[1])
    top, left = round(centre[0] - size[0] / 2), round(centre[1] - size[1] / 2)
    return PixelRecord(
        source_shape=(shape[0], shape[1]),
        steps=(Resize(height=height, width=width), Crop(top=top, left=left, height=size[0], width=size[1])),
    )


def whole_film(shape: Shape, size: Shape, region: Box | None = None) -> tuple[PixelRecord, tuple[slice, slice]]:
    """Bring a whole film into an input of `size`: its longer side fills it, the film lies in the middle.

    Parameters
    ----------
    shape : (rows, columns) of the film in pixels.
    size : (height, width) of the input in pixels.
    region : only this part of the film; None takes all of it.

    Returns
    -------
    record : the steps.
    film : where the film lies in the input, (rows, columns); what lies beside it is padding.
    """
    first, start, last, stop = region or (0, 0, *shape)
    part = (last - first, stop - start)
    factor = min(size[0] / part[0], size[1] / part[1])
    height, width = (max(1, round(side * factor)) for side in part)
    top, left = (size[0] - height) // 2, (size[1] - width) // 2
    cut = (Crop(top=first, left=start, height=part[0], width=part[1]),) if region else ()
    record = PixelRecord(
        source_shape=shape,
        steps=(
            *cut,
            Resize(height=height, width=width),
            Crop(top=-top, left=-left, height=size[0], width=size[1]),
        ),
    )
    return record, np.s_[top : top + height, left : left + width]
