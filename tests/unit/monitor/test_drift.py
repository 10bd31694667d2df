"""The stability index: none where nothing moved, as large as chance allows where it didn't, more where it did."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.monitor.drift import BINS, FEWEST, drift

SCORES = st.lists(st.floats(0, 1), min_size=0, max_size=80)


@given(SCORES, SCORES)
def test_shares_add_up_and_the_index_is_never_negative(before: list[float], now: list[float]) -> None:
    found = drift(before, now)
    assert len(found.before) == len(found.now) == len(found.edges) + 1 <= 2 * BINS
    for scores, shares in ((before, found.before), (now, found.now)):
        assert sum(shares) == pytest.approx(1.0 if scores else 0.0)
    assert found.index is None or found.index >= -1e-12
    if min(len(before), len(now)) < FEWEST:
        assert found.index is found.by_chance is found.has_drifted is None


def test_chance_alone_passes_its_limit_in_about_one_of_twenty() -> None:
    rng = np.random.default_rng(1)
    moved = [drift(rng.normal(size=300).tolist(), rng.normal(size=200).tolist()).has_drifted for _ in range(400)]
    assert 0.02 <= sum(map(bool, moved)) / 400 <= 0.09


def test_scores_that_moved_are_found() -> None:
    rng = np.random.default_rng(2)
    found = drift(rng.normal(size=300).tolist(), (rng.normal(size=200) + 1).tolist())
    assert found.has_drifted
    assert found.now[-1] > 2 * found.before[-1]


def test_scores_that_are_all_alike_can_move_too() -> None:
    assert drift([0.5] * 100, [0.5] * 100).has_drifted is False
    assert drift([0.5] * 100, [0.9] * 100).has_drifted is True
