"""How far a map stays the same when the image changes a little: eight small changes, and the largest relative one."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.findings.stability import map_similarity

Image = NDArray[np.float32]
Evidence = Callable[[Image], NDArray[np.float32]]
"""float32 ``(N, C, H, W)`` → float32 ``(N, h, w)``: the network's map of the finding."""

COPIES = 8
_NOISE = 0.05
_CONTRAST = 0.05


def eight_changes(image: Image, *, grid: tuple[int, int], seed: int = 0) -> tuple[Image, list[tuple[float, float]]]:
    """Eight copies of an image: moved half a cell up, down, left and right; noisy twice; darker and brighter.

    Parameters
    ----------
    image : float32 ``(C, H, W)``

    Returns
    -------
    float32 ``(8, C, H, W)``, and for each copy (rows, columns) in cells that move its map back.
    """
    height, width = image.shape[1:]
    down, right = max(1, round(height / grid[0] / 2)), max(1, round(width / grid[1] / 2))
    random = np.random.default_rng(seed)
    copies, back = [], []
    for rows, columns in ((down, 0), (-down, 0), (0, right), (0, -right)):
        copies.append(ndimage.shift(image, (0, rows, columns), order=0, mode="nearest"))
        back.append((-rows * grid[0] / height, -columns * grid[1] / width))
    level = np.float32(np.median(image))
    for _ in range(2):
        noise = random.standard_normal(image.shape).astype(np.float32)
        copies.append(image + np.float32(_NOISE * image.std()) * noise)
    for factor in (1 - _CONTRAST, 1 + _CONTRAST):
        copies.append((image - level) * np.float32(factor) + level)
    return np.stack(copies).astype(np.float32), back + [(0.0, 0.0)] * 4


def stability_of_eight(maps: NDArray[np.float32], back: list[tuple[float, float]]) -> float:
    """The smallest similarity in [0, 1] of a map with those of eight changed copies.

    Parameters
    ----------
    maps : float32 ``(9, h, w)``, the image's own map first.
    back : from `eight_changes`.

    Raises
    ------
    ValueError
        If there aren't as many maps as copies, and one more.
    """
    if len(maps) != len(back) + 1:
        raise ValueError(f"{len(back)} copies and the image give {len(back) + 1} maps, not {len(maps)}")
    return min(map_similarity(maps[0], other, shift) for other, shift in zip(maps[1:], back, strict=True))


def max_sensitivity(explain: Evidence, image: Image, *, radius: float, samples: int = 8, seed: int = 0) -> float:
    """The largest relative change of the map under uniform noise of at most `radius` in every pixel.

    0 is best; it has no upper end. A map of zeros that stays one gives 0.

    Source: Yeh 2019, arXiv:1901.09392, equation 1.
    """
    random = np.random.default_rng(seed)
    noise = random.uniform(-radius, radius, size=(samples, *image.shape)).astype(np.float32)
    maps = explain(np.concatenate([image[None], image[None] + noise])).astype(np.float64)
    size = float(np.linalg.norm(maps[0]))
    changes = [float(np.linalg.norm(other - maps[0])) for other in maps[1:]]
    return max(changes) / size if size > 0 else (0.0 if max(changes) == 0 else float("inf"))
