"""How far methods agree on one image: rank correlation and overlap of the strongest cells, one more sign of trust."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from radiolucent.explain.explanation import Explanation
from radiolucent.imaging.geometry import Shape, resample, resize_matrix

Map = NDArray[np.float32]
GRID: Shape = (12, 12)
TOP = 0.1


@dataclass(frozen=True, kw_only=True)
class PairAgreement:
    """Two maps of one finding.

    Parameters
    ----------
    first, second : names of the methods.
    rank_correlation : Spearman's, of what speaks for the finding, in [-1, 1]; NaN where a map is flat or has no such.
    overlap : intersection over union of the strongest tenth of the cells, in [0, 1].
    """

    first: str
    second: str
    rank_correlation: float
    overlap: float


def agreement_of(explanations: Sequence[Explanation]) -> tuple[PairAgreement, ...]:
    """Every pair of methods, on a common grid of 12 × 12.

    Raises
    ------
    ValueError
        If the maps are not of one finding on one frame.
    """
    if len({(one.finding, one.frame, one.record) for one in explanations}) > 1:
        raise ValueError("only maps of one finding on one frame can agree")
    maps = [common(one.values) for one in explanations]
    return tuple(
        PairAgreement(
            first=explanations[a].method.key,
            second=explanations[b].method.key,
            rank_correlation=rank_correlation(maps[a], maps[b]),
            overlap=top_overlap(maps[a], maps[b]),
        )
        for a in range(len(maps))
        for b in range(a + 1, len(maps))
    )


def common(values: Map, grid: Shape = GRID) -> Map:
    """A map on another grid over the same image: the mean of the cells that fall into each, or the nearest one."""
    fine = (values.shape[0] * grid[0], values.shape[1] * grid[1])
    large = resample(values, resize_matrix(fine, (values.shape[0], values.shape[1])), fine, mode="nearest", order=0)
    return np.asarray(large.reshape(grid[0], values.shape[0], grid[1], values.shape[1]).mean(axis=(1, 3)))


def rank_correlation(first: NDArray[np.floating], second: NDArray[np.floating]) -> float:
    """Spearman's correlation of what speaks for the finding in two maps of one shape; NaN where one of them is flat.

    Values below 0 count as 0: most cells speak against a finding, more or less, and methods differ there by design
    (HiRes-CAM lets what is far below fade away), so that their order would drown that of the few that matter.

    >>> rank_correlation(np.array([[-5.0, 1.0, 2.0]]), np.array([[-1.0, 5.0, 9.0]]))
    1.0
    """
    one, two = np.maximum(first, 0), np.maximum(second, 0)
    if np.ptp(one) == 0 or np.ptp(two) == 0:
        return float("nan")
    return round(float(stats.spearmanr(one, two, axis=None).statistic), 12)


def top_overlap(first: NDArray[np.floating], second: NDArray[np.floating], *, share: float = TOP) -> float:
    """Intersection over union of the strongest `share` of the cells of two maps of one shape."""
    count = max(1, round(share * first.size))
    one, two = (set(np.argsort(-part, axis=None, kind="stable")[:count].tolist()) for part in (first, second))
    return len(one & two) / len(one | two)
