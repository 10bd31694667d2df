"""Shares and quantiles, each with its 95 % interval and n; what isn't known is None, never 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

Z95: Final = 1.959963984540054
"""Of a two-sided 95 % interval."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """A share or a quantile with its 95 % interval; all None where n is 0: unknown, not 0.

    The ends of a quantile's interval are None too where there are too few values for one.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int


def wilson(successes: int, n: int) -> Measured:
    """A share with its 95 % score interval.

    >>> share = wilson(8, 10)
    >>> round(share.low, 3), share.value, round(share.high, 3)
    (0.49, 0.8, 0.943)

    Raises
    ------
    ValueError
        If there are more successes than cases, or less than none.

    Source
    ------
    Wilson 1927, doi:10.1080/01621459.1927.10502953
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n} is no share")
    if n == 0:
        return Measured(value=None, low=None, high=None, n=0)
    share = successes / n
    centre = (share + Z95**2 / (2 * n)) / (1 + Z95**2 / n)
    half = Z95 * math.sqrt(share * (1 - share) / n + Z95**2 / (4 * n**2)) / (1 + Z95**2 / n)
    return Measured(value=share, low=max(0.0, centre - half), high=min(1.0, centre + half), n=n)


def quantile(values: Sequence[float], q: float) -> Measured:
    """A quantile with the 95 % interval that two of the values themselves give: no shape of their spread is assumed.

    Parameters
    ----------
    values : in any order.
    q : in (0, 1); 0.5 is the median.

    >>> middle = quantile([3, 1, 2, 5, 4, 7, 6, 9, 8, 10], 0.5)
    >>> middle.value, middle.low, middle.high
    (5.5, 2, 9)
    >>> quantile([1, 2, 3], 0.95).high is None
    True

    Raises
    ------
    ValueError
        If `q` isn't between 0 and 1.

    Source
    ------
    Order statistics with binomial coverage: David and Nagaraja, Order Statistics, 3rd ed., 7.1.
    """
    if not 0 < q < 1:
        raise ValueError(f"q lies between 0 and 1, not at {q}")
    ranked, n = sorted(values), len(values)
    if n == 0:
        return Measured(value=None, low=None, high=None, n=0)
    place = q * (n - 1)
    below = math.floor(place)
    value = ranked[below] + (place - below) * (ranked[min(below + 1, n - 1)] - ranked[below])
    low, high = _ranks(n, q)
    return Measured(
        value=value,
        low=ranked[low - 1] if low >= 1 else None,
        high=ranked[high - 1] if high <= n else None,
        n=n,
    )


def _ranks(n: int, q: float) -> tuple[int, int]:
    """The ranks, from 1, of the largest value that is surely low enough and the smallest that is surely high enough.

    0 and n + 1 stand for none: then the interval has no end there.
    """
    low, high, below = 0, n + 1, 0.0
    for count in range(n + 1):  # so many of n values lie below the quantile
        if below <= 0.025:
            low = count
        if below >= 0.975:
            high = count
            break
        log = math.lgamma(n + 1) - math.lgamma(count + 1) - math.lgamma(n - count + 1)
        below += math.exp(log + count * math.log(q) + (n - count) * math.log1p(-q))
    return low, high
