"""Quantiles with intervals that hold without a shape of the spread; shares are tested with the readiness of phases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.monitor.measures import Measured, quantile, wilson


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60), st.floats(0.05, 0.95))
def test_a_quantile_lies_in_its_interval_and_is_that_of_numpy(values: list[float], q: float) -> None:
    found = quantile(values, q)
    assert found.n == len(values)
    assert found.value is not None
    assert found.value == pytest.approx(float(np.quantile(values, q)), abs=1e-6)
    assert found.low is None or found.low <= found.value + 1e-6
    assert found.high is None or found.high >= found.value - 1e-6


@pytest.mark.parametrize(("n", "q"), [(10, 0.5), (60, 0.5), (200, 0.95)])
def test_the_interval_holds_as_often_as_it_says(n: int, q: float) -> None:
    random = np.random.default_rng(1)
    true = -math.log(1 - q)
    drawn = random.exponential(size=(400, n)).tolist()
    holds = 0
    for values in drawn:
        found = quantile(values, q)
        holds += (found.low is None or found.low <= true) and (found.high is None or true <= found.high)
    assert holds / len(drawn) >= 0.93


def test_too_few_values_give_no_end_and_none_give_nothing() -> None:
    assert quantile([], 0.5) == wilson(0, 0) == Measured(value=None, low=None, high=None, n=0)
    assert quantile([1.0, 2.0], 0.5).low is None


@pytest.mark.parametrize("q", [0.0, 1.0, -1.0])
def test_what_is_no_quantile_is_refused(q: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        quantile([1.0], q)


def test_more_successes_than_cases_are_no_share() -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson(2, 1)
