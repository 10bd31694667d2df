"""Whether a map's order of pixels is the network's: pixel flipping, and ROAD, which leaves no shape of holes behind."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import spsolve

from radiolucent.explain.faithfulness import Curve, Score

Image = NDArray[np.float32]
_NEAR = ((0, 1, 1 / 6), (0, -1, 1 / 6), (1, 0, 1 / 6), (-1, 0, 1 / 6))
_DIAGONAL = ((1, 1, 1 / 12), (1, -1, 1 / 12), (-1, 1, 1 / 12), (-1, -1, 1 / 12))
ROAD_SHARES = (0.01, 0.05, 0.1, 0.2, 0.3, 0.5)


def pixel_flipping(score: Score, image: Image, values: Image, *, value: float, steps: int = 16) -> Curve:
    """The score while pixels take a fixed value, the strongest of the map first.

    Parameters
    ----------
    image, values : float32 ``(rows, columns)``.
    value : what a flipped pixel holds, e.g. air.

    Raises
    ------
    ValueError
        If map and image differ in shape.

    Source
    ------
    Bach 2015, doi:10.1371/journal.pone.0130140.
    """
    order = _order(image, values)
    shares = np.linspace(0, 1, steps + 1)
    batch = np.repeat(image[None], steps + 1, axis=0)
    for index, share in enumerate(shares):
        batch[index].ravel()[order[: round(share * image.size)]] = value
    return Curve(shares=shares, scores=np.asarray(score(batch), dtype=np.float64))


def road(
    score: Score,
    image: Image,
    values: Image,
    *,
    shares: Sequence[float] = ROAD_SHARES,
    noise: float = 0.01,
    seed: int = 0,
) -> Curve:
    """The score after the strongest pixels were replaced by what their neighbours suggest.

    Linear imputation hides the shape of the hole, which blur and constants show: a network can't take it for a sign.

    Parameters
    ----------
    shares : of the pixels, growing.
    noise : standard deviation added to what was imputed.

    Raises
    ------
    ValueError
        If map and image differ in shape, or a share isn't in [0, 1).

    Source
    ------
    Rong 2022, arXiv:2202.00449.
    """
    if not all(0 <= share < 1 for share in shares):
        raise ValueError(f"shares must lie in [0, 1), not {tuple(shares)}")
    order = _order(image, values)
    random = np.random.default_rng(seed)
    batch = [imputed(image, order[: round(share * image.size)], noise=noise, random=random) for share in shares]
    return Curve(
        shares=np.asarray(shares, dtype=np.float64), scores=np.asarray(score(np.stack(batch)), dtype=np.float64)
    )


def imputed(
    image: Image, pixels: NDArray[np.intp], *, noise: float = 0.0, random: np.random.Generator | None = None
) -> Image:
    """The image with these pixels replaced by the weighted mean of their eight neighbours, solved for all at once.

    Parameters
    ----------
    pixels : flat indices.

    Source
    ------
    Rong 2022, arXiv:2202.00449, equation 5: direct neighbours weigh 1/6, diagonal ones 1/12; at an edge those that
    exist share the weight.
    """
    if len(pixels) == 0:
        return image.copy()
    rows, columns = np.unravel_index(pixels, image.shape)
    number = np.full(image.shape, -1)
    number[rows, columns] = np.arange(len(pixels))
    across, down, held = [], [], []
    right, weight_sum = np.zeros(len(pixels)), np.zeros(len(pixels))
    for row_step, column_step, weight in (*_NEAR, *_DIAGONAL):
        r, c = rows + row_step, columns + column_step
        there = (r >= 0) & (r < image.shape[0]) & (c >= 0) & (c < image.shape[1])
        own = np.flatnonzero(there)
        other = number[r[there], c[there]]
        weight_sum[own] += weight
        hidden = other >= 0
        across.append(own[hidden])
        down.append(other[hidden])
        held.append(np.full(int(hidden.sum()), -weight))
        np.add.at(right, own[~hidden], weight * image[r[there][~hidden], c[there][~hidden]])
    size = len(pixels)
    matrix = sparse.csr_matrix((np.concatenate(held), (np.concatenate(across), np.concatenate(down))), (size, size))
    solved = spsolve((matrix + sparse.diags(weight_sum)).tocsc(), right)
    out = image.copy()
    added = noise * (random or np.random.default_rng(0)).standard_normal(size) if noise else 0.0
    out[rows, columns] = solved + added
    return out


def _order(image: Image, values: Image) -> NDArray[np.intp]:
    if image.shape != values.shape or image.ndim != 2:
        raise ValueError(f"map {values.shape} and image {image.shape} must be (rows, columns) of one size")
    return np.argsort(-values, axis=None, kind="stable")
