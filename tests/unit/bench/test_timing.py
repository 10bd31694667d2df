"""Interleaved comparison: who runs when, and what the ratios are."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.timing import compare, spread


def test_every_way_runs_once_a_round_and_each_begins_in_turn() -> None:
    calls: list[str] = []
    ways = {name: (lambda name=name: calls.append(name)) for name in ("a", "b", "c")}
    compare(ways, rounds=3, warm_up=0)
    assert ["".join(calls[index : index + 3]) for index in (0, 3, 6)] == ["abc", "bca", "cab"]


def test_the_baseline_has_ratio_one_and_slower_work_a_larger_one() -> None:
    def work(amount: int) -> int:
        return sum(range(amount))

    rows = compare({"short": lambda: work(20_000), "long": lambda: work(400_000)}, rounds=9)
    assert (rows[0].wall.median, rows[0].cpu.median) == (1.0, 1.0)
    assert rows[1].wall.median > 4
    assert rows[1].wall.n == 9


def test_warm_up_rounds_are_run_but_not_counted() -> None:
    count: Counter[str] = Counter()
    rows = compare({"only": lambda: count.update(["only"])}, rounds=4, warm_up=3)
    assert count["only"] == 7
    assert rows[0].milliseconds.n == 4


@given(st.lists(st.floats(0.001, 1000), min_size=1, max_size=30))
def test_a_spread_is_ordered_and_inside_its_values(values: list[float]) -> None:
    found = spread(values)
    assert min(values) <= found.lower <= found.median <= found.upper <= max(values)
    assert found.n == len(values)


@pytest.mark.parametrize(("value", "text"), [(1.02, "1.02 (1.02 to 1.02)"), (52.91, "52.9 (52.9 to 52.9)")])
def test_a_spread_is_written_with_the_digits_that_matter(value: float, text: str) -> None:
    assert str(spread([value])) == text
