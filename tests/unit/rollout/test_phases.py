"""The table of phases is complete, and a site's own is checked."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from radiolucent.errors import SetupError
from radiolucent.rollout.phases import PHASES, default_phases, following, preceding, site_phases


def test_every_phase_but_the_last_says_what_must_hold_before_the_next() -> None:
    table = default_phases()
    assert [bool(table.row(phase).criteria) for phase in PHASES] == [True, True, True, False]


def test_the_phases_follow_each_other_there_and_back() -> None:
    for before, after in pairwise(PHASES):
        assert (following(before), preceding(after)) == (after, before)


def test_a_table_without_a_phase_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    path.write_text('version = "2"\nphase = []\n')
    with pytest.raises(SetupError, match="in this order"):
        site_phases(path)


def test_a_criterion_with_two_bounds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    text = Path(__file__).parents[3].joinpath("src/radiolucent/rollout/phases.toml").read_text()
    path.write_text(text.replace("at_least = 14", "at_least = 14\nat_most = 20", 1))
    with pytest.raises(SetupError, match="either"):
        site_phases(path)


def test_a_table_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match=r"none\.toml"):
        site_phases(tmp_path / "none.toml")


def test_a_sites_own_table_is_read(tmp_path: Path) -> None:
    path = tmp_path / "own.toml"
    text = Path(__file__).parents[3].joinpath("src/radiolucent/rollout/phases.toml").read_text()
    path.write_text(text.replace("at_least = 14", "at_least = 3", 1))
    assert site_phases(path).row("shadow").criteria[0].at_least == 3
