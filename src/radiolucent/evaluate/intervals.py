"""How sure a figure is: bootstrap intervals, drawn by group so that slices of one patient don't count as many."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.intp]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A measured value with its 95 % interval.

    Parameters
    ----------
    value, low, high : NaN where it can't be measured (no positives, say).
    n : cases it was measured on.
    """

    value: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, float | int | None]:
        """Plain values; what isn't finite becomes None."""
        values = {"value": self.value, "low": self.low, "high": self.high}
        return {**{name: float(v) if np.isfinite(v) else None for name, v in values.items()}, "n": self.n}

    def __str__(self) -> str:
        return f"{self.value:.3g} ({self.low:.3g} to {self.high:.3g})"


def bootstrap(
    measure: Callable[[Index], float],
    cases: int,
    *,
    groups: Sequence[str] | None = None,
    draws: int = 1000,
    seed: int = 0,
    n: int | None = None,
) -> Figure:
    """Percentile bootstrap: whole groups are drawn with replacement.

    Parameters
    ----------
    measure : figure of the cases with these indices; may give NaN where a draw can't be measured.
    groups : one name per case; None makes each case its own group.
    n : how many cases count, where not all do.

    Raises
    ------
    ValueError
        If there is no case, or `groups` has another length.

    Source
    ------
    Efron & Tibshirani, An Introduction to the Bootstrap, 1993, chapters 8 and 13.
    """
    names = tuple(str(index) for index in range(cases)) if groups is None else tuple(groups)
    if cases < 1 or len(names) != cases:
        raise ValueError(f"{cases} cases and {len(names)} groups")
    values = np.array([measure(index) for index in _resampled(names, draws, seed)])
    value = measure(np.arange(cases))
    finite = values[~np.isnan(values)]
    if np.isnan(value) or len(finite) == 0:
        return Figure(value=float("nan"), low=float("nan"), high=float("nan"), n=n if n is not None else cases)
    low, high = np.quantile(finite, [0.025, 0.975], method="nearest")
    return Figure(value=float(value), low=float(low), high=float(high), n=n if n is not None else cases)


@lru_cache(maxsize=8)
def _resampled(names: tuple[str, ...], draws: int, seed: int) -> tuple[Index, ...]:
    """Case indices of each draw; kept, since every figure of one report is drawn alike."""
    _, inverse = np.unique(np.array(names), return_inverse=True)
    members = [np.flatnonzero(inverse == group) for group in range(int(inverse.max()) + 1)]
    random = np.random.default_rng(seed)
    picks = random.integers(len(members), size=(draws, len(members)))
    return tuple(np.concatenate([members[group] for group in pick]) for pick in picks)
