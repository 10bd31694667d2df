"""What a network is fed: one recipe per kind of image, used in training and in reading alike.

A recipe takes a stack of frames and gives a batch together with the `PixelRecord` that leads from the frames'
pixels to the network's input, so that evidence can be placed back on the image. Only numpy and scipy.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.engines.manifest import InputSpec
from radiolucent.errors import InvalidBundle
from radiolucent.imaging.geometry import Crop, Image, PixelRecord, Resize, Shape

Spacing = tuple[float, float]
Recipe = Callable[[Image, Spacing | None, InputSpec], tuple[Image, PixelRecord]]

# A head without known pixel spacing is taken to be this long: the median of the longer side of the head's box over
# the 2087 training slices of brain-mri-cheng (all three orientations, 0.98 mm per pixel).
HEAD_LENGTH_MM = 195.0
# Share of the 99.5th percentile above which a pixel belongs to the head rather than to air.
AIR = 0.12
# Tissue level (median of the head) becomes 1; what is brighter than this many times tissue is clipped.
BRIGHTEST = 4.0


def prepare(pixels: Image, spacing_mm: Spacing | None, spec: InputSpec) -> tuple[Image, PixelRecord]:
    """Turn the frames of one stack into the network's input.

    Parameters
    ----------
    pixels : float32 ``(frames, rows, columns)``, brighter is more signal (MONOCHROME2), any scale.
    spacing_mm : (between rows, between columns) in mm, or None where it isn't known: each recipe says what it does
        then.
    spec : the manifest's input table; `spec.recipe` names the recipe.

    Returns
    -------
    batch : float32 ``(frames, channels, height, width)``
    record : the steps from a frame's pixels to the input, the same for all frames of the stack.

    Raises
    ------
    InvalidBundle
        If no recipe has the name that `spec` gives.
    ValueError
        If `pixels` isn't a float32 stack with at least one frame and one pixel, or a spacing isn't positive.
    """
    if spec.recipe not in RECIPES:
        raise InvalidBundle(f"input recipe {spec.recipe!r} is not known; known: {', '.join(sorted(RECIPES))}")
    if pixels.ndim != 3 or pixels.dtype != np.float32 or pixels.size == 0:
        raise ValueError(f"pixels must be float32 (frames, rows, columns), not {pixels.dtype} {pixels.shape}")
    if spacing_mm is not None and min(spacing_mm) <= 0:
        raise ValueError(f"spacing_mm must be positive or None, not {spacing_mm}")
    return RECIPES[spec.recipe](pixels, spacing_mm, spec)


def brain_mri(pixels: Image, spacing_mm: Spacing | None, spec: InputSpec) -> tuple[Image, PixelRecord]:
    """T1-weighted head: `spec.spacing_mm` a pixel, centred on the head, tissue level 0, air −1.

    Where the spacing is unknown, the longer side of the head's box is taken to be `HEAD_LENGTH_MM`.
    """
    heads = np.stack([_inside(frame) for frame in pixels])
    box = _box(np.asarray(heads.any(axis=0)))
    target = spec.spacing_mm or 1.0
    if spacing_mm is None:
        assumed = HEAD_LENGTH_MM / max(box[2] - box[0], box[3] - box[1])
        spacing_mm = (assumed, assumed)
    record = _resampled_and_centred(pixels.shape[1:], spacing_mm, target, box, (spec.height, spec.width))
    scale = _tissue_levels(pixels, heads)[:, None, None]
    batch = np.clip(record.apply(pixels) / scale, 0, BRIGHTEST) - 1
    return batch[:, None].astype(np.float32), record


RECIPES: dict[str, Recipe] = {"brain-mri": brain_mri}


def _inside(frame: Image) -> NDArray[np.bool_]:
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


def _box(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """(top, left, bottom, right), right and bottom excluded; the whole image where the mask is empty."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if len(rows) == 0:
        return (0, 0, mask.shape[0], mask.shape[1])
    return (int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def _resampled_and_centred(
    shape: Shape, spacing_mm: Spacing, target_mm: float, box: tuple[int, int, int, int], size: Shape
) -> PixelRecord:
    scaled = tuple(max(1, round(side * mm / target_mm)) for side, mm in zip(shape, spacing_mm, strict=True))
    height, width = scaled
    centre = ((box[0] + box[2]) / 2 * height / shape[0], (box[1] + box[3]) / 2 * width / shape[1])
    top, left = round(centre[0] - size[0] / 2), round(centre[1] - size[1] / 2)
    return PixelRecord(
        source_shape=(shape[0], shape[1]),
        steps=(Resize(height=height, width=width), Crop(top=top, left=left, height=size[0], width=size[1])),
    )


def _tissue_levels(pixels: Image, heads: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(frames,) median of each head slice, kept within 0.7 to 1.4 of the stack's: near-empty slices stay dark."""
    levels = np.array(
        [np.median(frame[mask]) if mask.any() else 0.0 for frame, mask in zip(pixels, heads, strict=True)]
    )
    weights = heads.sum(axis=(1, 2))
    large = levels[weights >= 0.3 * max(int(weights.max()), 1)]
    stack = float(np.median(large)) if len(large) else 0.0
    if stack <= 0:
        return np.ones(len(levels), dtype=np.float32)
    return np.asarray(np.clip(levels, 0.7 * stack, 1.4 * stack), dtype=np.float32)
