"""Whether "80 %" is right in 80 of 100 cases here: probabilities in bins against what readers decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from radiolucent.monitor.measures import Measured, wilson

BINS: Final = 10


@dataclass(frozen=True, kw_only=True)
class Bin:
    """The findings whose probability lies in [`low`, `high`): mean of the probabilities, and share found right."""

    low: float
    high: float
    told: float
    right: Measured


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Bins that hold anything, and the mean distance of told and right, weighted by their n (None without any)."""

    bins: tuple[Bin, ...]
    error: float | None
    n: int


def reliability(judged: Sequence[tuple[float, bool]]) -> Reliability:
    """Compare told probabilities with what was right.

    Parameters
    ----------
    judged : (probability, 0 to 1; whether the finding was there), of findings that someone decided on.

    >>> found = reliability([(0.72, True), (0.78, True), (0.74, False), (0.76, True)])
    >>> [(one.told, one.right.value) for one in found.bins], found.error
    ([(0.75, 0.75)], 0.0)

    Source
    ------
    Expected calibration error: Naeini, Cooper and Hauskrecht, AAAI 2015.
    """
    held: dict[int, list[tuple[float, bool]]] = {}
    for probability, right in judged:
        held.setdefault(min(BINS - 1, int(probability * BINS)), []).append((probability, right))
    bins = []
    for place, inside in sorted(held.items()):
        bins.append(
            Bin(
                low=place / BINS,
                high=(place + 1) / BINS,
                told=sum(probability for probability, _ in inside) / len(inside),
                right=wilson(sum(right for _, right in inside), len(inside)),
            )
        )
    n = len(judged)
    apart = sum(one.right.n * abs(one.told - (one.right.value or 0.0)) for one in bins)
    return Reliability(bins=tuple(bins), error=apart / n if n else None, n=n)
