"""How two ways of doing the same thing are compared: interleaved rounds, ratios within a round, medians over rounds."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A median with its quartiles, over `n` rounds."""

    median: float
    lower: float
    upper: float
    n: int

    def __str__(self) -> str:
        """``1.02 (1.01 to 1.03)``."""
        digits = 2 if self.median < 10 else 1
        return f"{self.median:.{digits}f} ({self.lower:.{digits}f} to {self.upper:.{digits}f})"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way, against the baseline of its table.

    Parameters
    ----------
    name : what was run.
    milliseconds : wall time of one run.
    wall, cpu : time of a run divided by the baseline's in the same round, by the clock and by processor time.
    """

    name: str
    milliseconds: Spread
    wall: Spread
    cpu: Spread


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles.

    >>> print(spread([1.0, 3.0, 2.0]))
    2.00 (1.50 to 2.50)
    """
    if len(values) == 1:
        return Spread(median=values[0], lower=values[0], upper=values[0], n=1)
    lower, middle, upper = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median=middle, lower=lower, upper=upper, n=len(values))


def compare(ways: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int = 2) -> list[Row]:
    """Run every way once a round, each round beginning with another; the first of `ways` is the baseline.

    Whatever else the machine does slows neighbours alike, so ratios are taken inside a round.
    """
    names = list(ways)
    for way in ways.values():
        for _ in range(warm_up):
            way()
    wall: dict[str, list[float]] = {name: [] for name in names}
    cpu: dict[str, list[float]] = {name: [] for name in names}
    for index in range(rounds):
        shift = index % len(names)
        for name in names[shift:] + names[:shift]:
            wall_start, cpu_start = time.perf_counter(), time.process_time()
            ways[name]()
            wall[name].append(time.perf_counter() - wall_start)
            cpu[name].append(time.process_time() - cpu_start)
    return [
        Row(
            name=name,
            milliseconds=spread([1000 * seconds for seconds in wall[name]]),
            wall=spread([own / base for own, base in zip(wall[name], wall[names[0]], strict=True)]),
            cpu=spread([own / base for own, base in zip(cpu[name], cpu[names[0]], strict=True)]),
        )
        for name in names
    ]


def pin_to_one_core() -> None:
    """Keep this process on one core, where the system allows it, so that it doesn't wander during a round."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
