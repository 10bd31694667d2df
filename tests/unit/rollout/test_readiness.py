"""Criteria are checked against the careful end of the interval, and what isn't known doesn't hold."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from radiolucent.monitor.measures import wilson
from radiolucent.rollout.phases import PHASES, default_phases
from radiolucent.rollout.readiness import Experience, readiness, ready

GOOD = Experience(
    days_in_phase=60, readings=5000, failures=10, decisions=2000, accepted=1900, wrong_place=20, readers=10, trained=10
)
NOTHING = Experience(
    days_in_phase=0, readings=0, failures=0, decisions=0, accepted=0, wrong_place=0, readers=0, trained=0
)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_is_the_one_of_an_outside_program(case: tuple[int, int]) -> None:
    successes, n = case
    other = binomtest(successes, n).proportion_ci(0.95, method="wilson")
    own = wilson(successes, n)
    assert own.low == pytest.approx(other.low, abs=1e-9)
    assert own.high == pytest.approx(other.high, abs=1e-9)


def test_of_nothing_no_share_is_known() -> None:
    assert wilson(0, 0).value is None


def test_more_successes_than_cases_are_refused() -> None:
    with pytest.raises(ValueError, match="no share"):
        wilson(3, 2)


@pytest.mark.parametrize("phase", PHASES[:-1])
def test_good_experience_earns_the_next_phase(phase: str) -> None:
    criteria = next(row.criteria for row in default_phases().phase if row.name == phase)
    assert ready(readiness(GOOD, criteria))


@pytest.mark.parametrize("phase", PHASES)
def test_no_experience_earns_nothing(phase: str) -> None:
    criteria = next(row.criteria for row in default_phases().phase if row.name == phase)
    assert not ready(readiness(NOTHING, criteria))


@pytest.mark.parametrize(
    ("change", "metric"),
    [
        ({"days_in_phase": 27.9}, "days_in_phase"),
        ({"decisions": 200, "accepted": 190, "wrong_place": 2}, "decisions"),
        ({"accepted": 1500}, "agreement_low"),
        ({"wrong_place": 400}, "wrong_place_high"),
        ({"failures": 140}, "failure_rate_high"),
        ({"trained": 9}, "trained_share"),
    ],
)
def test_each_criterion_alone_can_hold_an_engine_back(change: dict[str, int], metric: str) -> None:
    checked = readiness(replace(GOOD, **change), default_phases().row("heatmaps").criteria)
    assert [one.criterion.metric for one in checked if not one.holds] == [metric]


def test_few_good_cases_do_not_pass_for_many() -> None:
    few = replace(GOOD, decisions=10, accepted=9, wrong_place=0)
    agreement = next(
        c for c in readiness(few, default_phases().row("heatmaps").criteria) if "agreement" in c.criterion.metric
    )
    assert (agreement.holds, agreement.n) == (False, 10)
