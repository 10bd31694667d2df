import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("torch", reason="needs the torch extra: make torch")

from radiolucent.training.calibrate import LEAST_SENSITIVITY, RULE, choose_point, fit_scaling


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


def test_the_rule_states_the_least_sensitivity() -> None:
    assert f"{LEAST_SENSITIVITY:.2f}" in RULE
