"""Tables of the benchmark: the shipped engines are in them, and a missed goal is called missed."""

from __future__ import annotations

import pytest

from bench.sections import GOAL, _verdict, shipped
from bench.timing import Row, spread
from radiolucent.engines.registry import installed_bundles


def test_every_installed_engine_is_measured_without_torch() -> None:
    sections = shipped(rounds=2)
    assert len(sections) == len(installed_bundles()) > 0
    for section in sections:
        assert [len(row) for row in section.rows] == [len(section.header)] * 2
        assert f"Goal at most {GOAL}" in section.words


@pytest.mark.parametrize(("ratio", "word"), [(1.02, "met"), (1.021, "MISSED")])
def test_a_missed_goal_is_said_to_be_missed(ratio: float, word: str) -> None:
    one = spread([ratio])
    assert word in _verdict([Row(name="with evidence", milliseconds=one, wall=one, cpu=one)])
