import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiolucent.evaluate import classification as c

SEEDS = st.integers(0, 100_000)


def cases(seed: int, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    scores = random.random(50)
    truth = random.random(50) < 0.3 + 0.4 * scores
    truth[0], truth[1] = True, False
    return (scores.round(1) if ties else scores), truth


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_ranking_figures_equal_scikit_learn(seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics", reason="needs the torch extra: make torch")
    scores, truth = cases(seed)
    assert c.auroc(scores, truth) == pytest.approx(metrics.roc_auc_score(truth, scores))
    assert c.auprc(scores, truth) == pytest.approx(metrics.average_precision_score(truth, scores))


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_a_turned_ranking_has_the_rest_of_the_area(seed: int) -> None:
    scores, truth = cases(seed)
    assert c.auroc(scores, truth) == pytest.approx(1 - c.auroc(-scores, truth))


def test_figures_without_the_cases_they_need_are_nan() -> None:
    scores, none = np.array([0.1, 0.2]), np.array([False, False])
    empty = np.array([], dtype=np.intp)
    for value in (
        c.auroc(scores, none),
        c.auprc(scores, none),
        c.sensitivity(none, none),
        c.specificity(none, ~none),
        c.accuracy(empty, empty),
        c.balanced_accuracy(empty, empty),
        c.calibration_error(scores[:0], none[:0]),
    ):
        assert np.isnan(value)


def test_balanced_accuracy_gives_each_class_the_same_weight() -> None:
    truth = np.array([0] * 90 + [1] * 10)
    assert c.accuracy(np.zeros(100, dtype=int), truth) == 0.9
    assert c.balanced_accuracy(np.zeros(100, dtype=int), truth) == 0.5


def test_sensitivity_and_specificity_count_the_right_cases() -> None:
    called = np.array([True, True, False, False, False])
    truth = np.array([True, False, True, False, False])
    assert c.sensitivity(called, truth) == 0.5
    assert c.specificity(called, truth) == pytest.approx(2 / 3)


def test_a_probability_that_holds_has_no_calibration_error() -> None:
    probabilities = np.full(10, 0.3)
    truth = np.arange(10) < 3
    assert c.calibration_error(probabilities, truth) == pytest.approx(0)
    assert c.calibration_error(np.full(10, 0.9), truth) == pytest.approx(0.6)


def test_a_threshold_stands_in_the_middle_of_the_gap() -> None:
    assert c.choose_threshold(np.array([0.1, 0.2, 0.8, 0.9]), np.array([False, False, True, True])) == 0.5


def test_a_threshold_gives_up_specificity_for_the_least_sensitivity() -> None:
    probabilities = np.array([0.2, 0.9, 0.3, 0.4, 0.5])
    truth = np.array([True, True, False, False, False])
    assert c.choose_threshold(probabilities, truth, 0.9) == pytest.approx(0.1)
    assert c.choose_threshold(probabilities, truth, 0.5) == pytest.approx(0.7)


def test_a_threshold_needs_both_kinds_of_case() -> None:
    with pytest.raises(ValueError, match="positive and negative"):
        c.choose_threshold(np.array([0.1]), np.array([True]))
    with pytest.raises(ValueError, match="positive and negative"):
        c.balanced_threshold(np.array([0.1]), np.array([False]))


def test_a_balanced_threshold_lets_one_stray_positive_go() -> None:
    probabilities = np.array([0.001, 0.6, 0.7, 0.8, *np.linspace(0.01, 0.2, 20)])
    truth = np.arange(24) < 4
    assert c.balanced_threshold(probabilities, truth) == pytest.approx(0.4)
    assert c.choose_threshold(probabilities, truth, 0.9) < 0.001


def test_many_easy_negatives_of_one_folder_dont_speak_for_another() -> None:
    probabilities = np.array([0.05, *np.linspace(0.3, 0.9, 9), *np.full(10, 0.2), *np.full(1000, 0.001)])
    truth = np.arange(1020) < 10
    folders = np.array(["hard"] * 20 + ["easy"] * 1000)
    assert c.balanced_threshold(probabilities, truth) < 0.05
    assert c.balanced_threshold(probabilities, truth, folders) == pytest.approx(0.25)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000))
def test_no_threshold_is_better_balanced(seed: int) -> None:
    random = np.random.default_rng(seed)
    truth = np.arange(30) < 10
    probabilities = np.round(np.clip(random.normal(0.3, 0.2, 30) + 0.2 * truth, 0, 1), 2)

    def balance(threshold: float) -> float:
        called = probabilities >= threshold
        return c.sensitivity(called, truth) + c.specificity(called, truth)

    best = balance(c.balanced_threshold(probabilities, truth))
    assert best == pytest.approx(max(balance(level) for level in probabilities))
