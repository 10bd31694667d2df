"""Reliability in bins, and the calibration error that follows from them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.monitor.calibration import reliability


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=60))
def test_every_finding_is_in_one_bin_and_the_error_is_a_share(judged: list[tuple[float, bool]]) -> None:
    found = reliability(judged)
    assert sum(one.right.n for one in found.bins) == found.n == len(judged)
    assert all(one.low - 1e-9 <= one.told <= one.high + 1e-9 for one in found.bins)
    assert (found.error is None) is (not judged)
    assert found.error is None or 0 <= found.error <= 1


def test_told_too_sure_is_seen() -> None:
    found = reliability([(0.95, index < 5) for index in range(10)])
    assert found.error == pytest.approx(0.45)
    assert found.bins[0].right.value == 0.5
