"""How good a map is against a known outline, and how compact it is: each measure one function on plain arrays.

Maps and masks have one shape, ``(h, w)`` for an image or ``(frames, h, w)`` for a volume, at any resolution: nothing is
enlarged or thresholded on the way in. Bootstrap intervals of means are in `evaluate.intervals`, the truth about the
network (deletion, insertion, ROAD) in `explain.faithfulness` and `explain.faithfulness_pixels`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.floating]
Mask = NDArray[np.bool_]


def pointing_game(values: Map, mask: Mask) -> bool:
    """True where the largest value lies inside the mask; of several largest ones the first counts.

    Source: Zhang 2018, doi:10.1007/s11263-017-1059-x, without its tolerance of 15 pixels.
    """
    _check(values, mask)
    return bool(mask.ravel()[int(np.argmax(values))])


def relevance_mass(values: Map, mask: Mask) -> float:
    """Share of the positive values inside the mask, in [0, 1]; 0 for a map without any.

    Source: Arras 2022, doi:10.1016/j.inffus.2021.11.008, equation 1.

    >>> relevance_mass(np.array([[3.0, 1.0]]), np.array([[True, False]]))
    0.75
    """
    _check(values, mask)
    positive = np.maximum(values, 0).astype(np.float64)
    total = float(positive.sum())
    return float(positive[mask].sum()) / total if total > 0 else 0.0


def relevance_rank(values: Map, mask: Mask) -> float:
    """Of as many strongest cells as the mask has, the share inside it, in [0, 1].

    Source: Arras 2022, doi:10.1016/j.inffus.2021.11.008, equation 2.
    """
    _check(values, mask)
    return top_share(values, mask, int(mask.sum()))


def top_share(values: Map, mask: Mask, count: int) -> float:
    """Share of the `count` strongest cells that lie inside the mask.

    Raises
    ------
    ValueError
        If `count` isn't between 1 and the number of cells.
    """
    _check(values, mask)
    if not 1 <= count <= values.size:
        raise ValueError(f"count must lie between 1 and {values.size}, not {count}")
    strongest = np.argsort(-values, axis=None, kind="stable")[:count]
    return float(mask.ravel()[strongest].mean())


def overlap_at(values: Map, mask: Mask, level: float) -> tuple[float, float]:
    """(intersection over union, Dice) of the mask and the cells at or above an absolute level; 0 where they don't meet.

    >>> overlap_at(np.array([[2.0, 2.0, 0.0]]), np.array([[True, False, False]]), 1.0)
    (0.5, 0.6666666666666666)
    """
    _check(values, mask)
    found = values >= level
    both, either = int((found & mask).sum()), int((found | mask).sum())
    return both / either, 2 * both / (both + either)


def average_precision(values: Map, mask: Mask) -> float:
    """Area under precision against recall of "this cell is inside", over all levels; equal values count together.

    A map without information gives the mask's share of the image: read it beside that.

    Source: Saito 2015, doi:10.1371/journal.pone.0118432; the step-wise sum of scikit-learn.
    """
    _check(values, mask)
    order = np.argsort(-values, axis=None, kind="stable")
    inside, sorted_values = mask.ravel()[order], values.ravel()[order]
    last = np.append(np.flatnonzero(np.diff(sorted_values)), values.size - 1)
    hits = np.cumsum(inside)[last]
    precision, recall = hits / (last + 1), hits / hits[-1]
    return float((np.diff(recall, prepend=0.0) * precision).sum())


def centroid_distance_mm(values: Map, mask: Mask, spacing_mm: Sequence[float], *, level: float = 0.0) -> float:
    """From the centroid of the values above a level to that of the mask; infinite where none is above.

    Parameters
    ----------
    spacing_mm : of the cells, one number an axis.
    """
    _check(values, mask)
    weights = np.maximum(values.astype(np.float64) - level, 0)
    if not weights.sum() > 0:
        return float("inf")
    return _length(_centroid(weights) - _centroid(mask), spacing_mm)


def peak_distance_mm(values: Map, mask: Mask, spacing_mm: Sequence[float], *, to: str = "centroid") -> float:
    """From the strongest cell to the mask's centroid, or (``to="edge"``) to the nearest cell of the mask: 0 inside.

    Raises
    ------
    ValueError
        If `to` is neither.
    """
    _check(values, mask)
    peak = np.array(np.unravel_index(int(np.argmax(values)), values.shape), dtype=np.float64)
    if to == "centroid":
        return _length(peak - _centroid(mask), spacing_mm)
    if to != "edge":
        raise ValueError(f"a distance goes to the 'centroid' or to the 'edge', not to {to!r}")
    return min(_length(peak - cell, spacing_mm) for cell in np.argwhere(mask))


def gini(values: Map) -> float:
    """Sparseness of the absolute values: 0 where all are alike (or 0), near 1 where one holds everything.

    Source: Chalasani 2020, arXiv:1810.06583; Hurley 2009, doi:10.1109/TIT.2009.2027527.
    """
    sizes = np.sort(np.abs(values.astype(np.float64)), axis=None)
    total, n = float(sizes.sum()), sizes.size
    if total == 0:
        return 0.0
    return float(1 - 2 * ((n - np.arange(1, n + 1) + 0.5) * sizes).sum() / (total * n))


def entropy(values: Map) -> float:
    """Complexity: entropy (nats) of the cells' shares of absolute value; 0 for one cell, ``ln(cells)`` for all alike.

    Source: Bhatt 2020, arXiv:2005.00631, section 4.
    """
    sizes = np.abs(values.astype(np.float64)).ravel()
    total = float(sizes.sum())
    if total == 0:
        return 0.0
    shares = sizes[sizes > 0] / total
    return float(-(shares * np.log(shares)).sum())


def centre_prior(shape: Sequence[int]) -> NDArray[np.float32]:
    """The map of a network that always points at the middle: what each measure must beat."""
    axes = [np.linspace(-1, 1, size) if size > 1 else np.zeros(1) for size in shape]
    distance = sum(axis**2 for axis in np.meshgrid(*axes, indexing="ij"))
    return np.asarray(np.exp(-2 * np.asarray(distance)), dtype=np.float32)


def mean_mask(masks: Sequence[Mask]) -> NDArray[np.float32]:
    """How often each cell was inside: the map of a network that only knows where such findings usually are.

    Raises
    ------
    ValueError
        If there is no mask, or their shapes differ.
    """
    if not masks or len({mask.shape for mask in masks}) > 1:
        raise ValueError("a mean needs masks of one shape")
    return np.asarray(np.stack(masks).mean(axis=0), dtype=np.float32)


def _check(values: Map, mask: Mask) -> None:
    if values.shape != mask.shape:
        raise ValueError(f"map {values.shape} and mask {mask.shape} don't belong together")
    if not mask.any():
        raise ValueError("the mask is empty: where nothing is, a map can't be right")
    if not np.isfinite(values).all():
        raise ValueError("the map holds values that are no finite numbers")


def _centroid(weights: NDArray[np.floating] | Mask) -> NDArray[np.float64]:
    cells = np.indices(weights.shape).reshape(weights.ndim, -1)
    return np.asarray(np.average(cells, axis=1, weights=weights.ravel().astype(np.float64)))


def _length(offset: NDArray[np.float64], spacing_mm: Sequence[float]) -> float:
    return float(np.linalg.norm(offset * np.asarray(spacing_mm)))
