"""T1-weighted head slices as the brain network sees them: 1.25 mm a pixel, centred on the head, tissue at 0."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radiolucent.engines.manifest import InputSpec
from radiolucent.engines.preprocess.framing import Spacing, box, inside, resampled_and_centred
from radiolucent.imaging.geometry import Image, PixelRecord

# A head without known pixel spacing is taken to be this long: the median of the longer side of the head's box over
# the 2087 training slices of brain-mri-cheng (all three orientations, 0.98 mm per pixel).
HEAD_LENGTH_MM = 195.0
# Tissue level (median of the head) becomes 1; what is brighter than this many times tissue is clipped.
BRIGHTEST = 4.0


def brain_mri(pixels: Image, spacing_mm: Spacing | None, spec: InputSpec) -> tuple[Image, PixelRecord]:
    """T1-weighted head: `spec.spacing_mm` a pixel, centred on the head, tissue level 0, air −1.

    Where the spacing is unknown, the longer side of the head's box is taken to be `HEAD_LENGTH_MM`.
    """
    heads = np.stack([inside(frame) for frame in pixels])
    around = box(np.asarray(heads.any(axis=0)))
    target = spec.spacing_mm or 1.0
    if spacing_mm is None:
        assumed = HEAD_LENGTH_MM / max(around[2] - around[0], around[3] - around[1])
        spacing_mm = (assumed, assumed)
    record = resampled_and_centred(pixels.shape[1:], spacing_mm, target, around, (spec.height, spec.width))
    scale = _tissue_levels(pixels, heads)[:, None, None]
    batch = np.clip(record.apply(pixels) / scale, 0, BRIGHTEST) - 1
    return batch[:, None].astype(np.float32), record


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
