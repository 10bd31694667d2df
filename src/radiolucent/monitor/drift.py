"""Whether an engine's scores are spread as they were: stability index, and how large it is by chance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

BINS: Final = 10
FEWEST: Final = 30
"""So many scores on both sides are needed for a figure."""


@dataclass(frozen=True, kw_only=True)
class Drift:
    """How far the scores of now lie from those of before.

    Parameters
    ----------
    index : population stability index; None where there are too few scores or all are alike.
    by_chance : it is below this in 95 % of cases where nothing has changed; None with `index`.
    edges : of the bins, in scores.
    before, now : share of the scores in each bin.
    n_before, n_now : how many scores.
    """

    index: float | None
    by_chance: float | None
    edges: tuple[float, ...]
    before: tuple[float, ...]
    now: tuple[float, ...]
    n_before: int
    n_now: int

    @property
    def has_drifted(self) -> bool | None:
        """Whether it is more than chance; None where that isn't known."""
        return None if self.index is None or self.by_chance is None else self.index > self.by_chance


def drift(before: Sequence[float], now: Sequence[float]) -> Drift:
    """Compare two samples of one finding's scores, in bins that hold a tenth of `before` each.

    A share of 0 counts as half a score, so that an empty bin gives no infinite index.

    >>> drift([k / 100 for k in range(100)], [k / 100 for k in range(100)]).index
    0.0
    >>> drift([0.1, 0.2], [0.9]).index is None
    True

    Source
    ------
    Yurdakul, Statistical Properties of Population Stability Index, 2018: without a change the index is distributed as
    (1/n + 1/m) times chi-squared with one degree of freedom less than there are bins.
    """
    old, new = np.asarray(before, dtype=np.float64), np.asarray(now, dtype=np.float64)
    inner = _inner_edges(old)
    edges = np.concatenate([[-np.inf], inner, [np.inf]])
    counts = [np.histogram(side, edges)[0].astype(np.float64) for side in (old, new)]
    shares = [side / max(1.0, side.sum()) for side in counts]
    index = limit = None
    if min(len(old), len(new)) >= FEWEST and len(inner):
        one, two = (np.maximum(side, 0.5) / max(1.0, side.sum()) for side in counts)
        index = float(((two - one) * np.log(two / one)).sum())
        limit = float((1 / len(old) + 1 / len(new)) * chi2.ppf(0.95, len(inner)))
    return Drift(
        index=index,
        by_chance=limit,
        edges=tuple(float(edge) for edge in inner),
        before=tuple(float(share) for share in shares[0]),
        now=tuple(float(share) for share in shares[1]),
        n_before=len(old),
        n_now=len(new),
    )


def _inner_edges(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """Between the bins: deciles; a value that many scores share has a bin of its own."""
    if not len(scores):
        return np.empty(0)
    deciles, times = np.unique(np.quantile(scores, np.linspace(0, 1, BINS + 1)[1:-1]), return_counts=True)
    return np.unique(np.concatenate([deciles, np.nextafter(deciles[times > 1], np.inf)]))
