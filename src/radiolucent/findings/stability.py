"""How stable a result is: the same image a little shifted and a little noisier, and what map and score then say."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Images = NDArray[np.float32]
Run = Callable[[Images], tuple[NDArray[np.float32], NDArray[np.float32]]]

SHIFT_CELLS = 0.5
"""Shift in cells of the map, along rows and along columns: a whole cell would be no test of a strided network."""
NOISE_SHARE = 0.05
"""Standard deviation of the added noise, as a share of the image's own."""


def stability(run: Run, image: Images, finding: int, *, grid: tuple[int, int], seed: int = 0) -> float:
    """Similarity in [0, 1] of one finding's map and score on an image and on three changed copies of it.

    The copies are shifted by half a cell down, by half a cell to the right, and noisy. The maps of shifted copies are
    shifted back before they are compared. Four images go through the network in one batch.

    Parameters
    ----------
    run : images float32 ``(N, C, H, W)`` → logits ``(N, K)`` and evidence ``(N, K, h, w)``.
    image : float32 ``(C, H, W)``, network input of the peak frame.
    finding : index k of the finding.
    grid : (h, w) of the maps.
    seed : of the noise.

    Returns
    -------
    The smallest over the copies of ``min(map similarity, 1 - difference of the scores)``.
    """
    (_, height, width), (rows, columns) = image.shape, grid
    down = max(round(SHIFT_CELLS * height / rows), 1)
    right = max(round(SHIFT_CELLS * width / columns), 1)
    noise = np.random.default_rng(seed).standard_normal(image.shape).astype(np.float32)
    copies = np.stack(
        [
            image,
            _shift(image, down, 0),
            _shift(image, 0, right),
            image + NOISE_SHARE * np.float32(image.std()) * noise,
        ]
    )
    logits, evidence = run(copies)
    scores = 1 / (1 + np.exp(-logits[:, finding].astype(np.float64)))
    maps = evidence[:, finding]
    back = [(0.0, 0.0), (-down * rows / height, 0.0), (0.0, -right * columns / width), (0.0, 0.0)]
    return min(
        min(map_similarity(maps[0], maps[copy], back[copy]), 1 - float(abs(scores[0] - scores[copy])))
        for copy in (1, 2, 3)
    )


def map_similarity(
    first: NDArray[np.float32], second: NDArray[np.float32], back: tuple[float, float] = (0.0, 0.0)
) -> float:
    """Overlap in [0, 1] of the positive evidence of two maps ``(h, w)``: shared over total, in logit units.

    Parameters
    ----------
    back : (rows, columns) in cells by which `second` is moved first. Both maps are blurred by one cell, so that a
        move by part of a cell doesn't count as a difference.

    Returns
    -------
    1 where both are the same, 0 where they share nothing; 1 where neither holds any evidence.
    """
    blurred = [ndimage.gaussian_filter(np.maximum(part, 0), 1.0, mode="nearest") for part in (first, second)]
    moved = ndimage.shift(blurred[1], back, order=1, mode="nearest")
    total = float(np.maximum(blurred[0], moved).sum())
    return float(np.minimum(blurred[0], moved).sum()) / total if total > 1e-6 else 1.0


def _shift(image: Images, rows: int, columns: int) -> Images:
    """The image moved down and to the right by whole pixels; the border is repeated."""
    padded = np.pad(image, ((0, 0), (rows, 0), (columns, 0)), mode="edge")
    return padded[:, : image.shape[1], : image.shape[2]]
