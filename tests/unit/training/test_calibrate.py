import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs the torch extra: make torch")

from radiolucent.training.calibrate import EVEN, LEAST_SENSITIVITY, RULE, choose_point, fit_scaling, spread_of_scaling


def test_scaling_finds_the_numbers_that_made_the_labels() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(0, 3, size=20_000)
    truth = random.random(20_000) < 1 / (1 + np.exp(-(0.7 * logits - 1.2)))
    scaling = fit_scaling(logits, truth)
    assert pytest.approx(scaling.slope, abs=0.05) == 0.7
    assert pytest.approx(scaling.intercept, abs=0.08) == -1.2


def test_separable_cases_get_no_endless_slope() -> None:
    scaling = fit_scaling(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([False, False, True, True]))
    assert 0 < scaling.slope < 10


def test_scores_that_point_the_wrong_way_are_flattened_and_never_turned() -> None:
    scaling = fit_scaling(np.array([-2.0, -1.0, 1.0, 2.0]), np.array([True, True, False, False]))
    assert scaling.slope == 1e-3


@pytest.mark.parametrize("truth", [np.zeros(4, dtype=bool), np.ones(4, dtype=bool)])
def test_scaling_and_points_need_both_kinds_of_case(truth: np.ndarray) -> None:
    with pytest.raises(ValueError, match="positive and negative"):
        fit_scaling(np.arange(4.0), truth)
    with pytest.raises(ValueError, match="positive and negative"):
        choose_point(np.linspace(0, 1, 4), truth)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_the_chosen_point_keeps_its_promise(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = np.arange(60) < 20
    probabilities = np.clip(random.normal(0.4, 0.2, 60) + 0.2 * truth, 0.01, 0.99)
    point = choose_point(probabilities, truth)
    assert point.sensitivity >= LEAST_SENSITIVITY
    assert point.n == 60
    called = probabilities >= point.probability
    assert point.specificity == (~called[~truth]).mean()


def test_the_point_keeps_its_promise_in_every_folder_that_shows_the_finding_often_enough() -> None:
    truth = np.array([True] * 60 + [False] * 40 + [True] * 5 + [False] * 5)
    probabilities = np.concatenate([np.linspace(0.4, 0.45, 60), np.linspace(0, 0.05, 40), [0.15] * 5, [0.01] * 5])
    folders = np.array(["large"] * 100 + ["small"] * 10)
    assert choose_point(probabilities, truth).probability > 0.2
    point = choose_point(probabilities, truth, folders)
    assert 0.01 < point.probability < 0.15
    assert (point.sensitivity, point.specificity) == (1.0, 1.0)
    # four cases are too few to have a say
    truth[104] = False
    assert choose_point(probabilities, truth, folders).probability > 0.2


def test_what_is_more_likely_than_not_is_never_negative() -> None:
    truth = np.arange(40) < 20
    probabilities = np.where(truth, np.linspace(0.99, 0.6, 40), 0.05)
    point = choose_point(probabilities, truth)
    assert point.probability == EVEN
    assert (point.sensitivity, point.specificity) == (1.0, 1.0)


def test_the_rule_states_the_least_sensitivity_and_the_highest_threshold() -> None:
    assert f"{LEAST_SENSITIVITY:.2f}" in RULE
    assert f"{EVEN:.2f}" in RULE


def made_cases(seed: int, patients: int = 60, each: int = 5) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, patients * each)
    truth = random.random(patients * each) < 1 / (1 + np.exp(-(0.8 * logits - 0.3)))
    return logits, truth, np.repeat(np.arange(patients), each)


def test_the_spread_is_that_of_sets_drawn_from_the_same_world() -> None:
    fitted = [fit_scaling(*made_cases(seed)[:2]) for seed in range(200)]
    spread = spread_of_scaling(*made_cases(1000))
    assert spread is not None
    assert (spread.groups, spread.draws) == (60, 500)
    assert spread.slope == pytest.approx(np.var([one.slope for one in fitted]), rel=0.6)
    assert spread.intercept == pytest.approx(np.var([one.intercept for one in fitted]), rel=0.6)


def test_cases_that_repeat_each_other_widen_the_spread_where_they_are_one_group() -> None:
    logits, truth, _ = made_cases(3, patients=60, each=1)
    logits, truth = np.repeat(logits, 4), np.repeat(truth, 4)
    apart = spread_of_scaling(logits, truth, np.arange(240))
    together = spread_of_scaling(logits, truth, np.repeat(np.arange(60), 4))
    assert apart is not None
    assert together is not None
    assert together.slope > 2 * apart.slope
    assert together.intercept > 2 * apart.intercept


def test_one_group_or_one_kind_of_case_tells_no_spread() -> None:
    logits, truth, _ = made_cases(4)
    assert spread_of_scaling(logits, truth, np.zeros(len(logits))) is None
    assert spread_of_scaling(logits, np.ones(len(logits), dtype=bool), np.arange(len(logits))) is None


def test_the_table_of_a_spread_holds_whole_numbers_whole() -> None:
    spread = spread_of_scaling(*made_cases(5), draws=20)
    assert spread is not None
    assert spread.table["groups"] == 60
    assert isinstance(spread.table["draws"], int)
    assert spread.table["slope"] == pytest.approx(spread.slope, rel=1e-5)
