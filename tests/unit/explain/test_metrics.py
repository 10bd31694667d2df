"""Every measure on cases counted by hand, on phantoms with exact masks, and against Quantus and scikit-learn."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as array_of
from numpy.typing import NDArray

from radiolucent.explain import metrics
from radiolucent.phantom.studies import arrays

MASK = np.array([[True, True, False], [False, False, False]])
MAP = np.array([[3.0, 1.0, 2.0], [-4.0, 0.0, 2.0]])
Drawn = tuple[NDArray[np.bool_], tuple[float, float]]


def test_counted_by_hand() -> None:
    assert metrics.pointing_game(MAP, MASK)
    assert metrics.relevance_mass(MAP, MASK) == 4 / 8
    assert metrics.relevance_rank(MAP, MASK) == 1 / 2  # 3 is inside, the first 2 is not
    assert metrics.top_share(MAP, MASK, 4) == 2 / 4
    assert metrics.overlap_at(MAP, MASK, 1.0) == (2 / 4, 4 / 6)
    # by level: {3}: 1 of 1; {3, 2, 2}: 1 of 3; {3, 2, 2, 1}: 2 of 4
    assert metrics.average_precision(MAP, MASK) == pytest.approx(0.5 * 1 + 0.5 * 2 / 4)
    assert metrics.peak_distance_mm(MAP, MASK, (5.0, 2.0)) == pytest.approx(1.0)
    assert metrics.peak_distance_mm(-MAP, MASK, (5.0, 2.0), to="edge") == 5.0
    # positive part: rows 0: 3, 1, 2; row 1: 0, 0, 2; centroid row 0.25, column (1 + 4 + 4) / 8
    distance = math.hypot(0.25 * 5, (9 / 8 - 0.5) * 2)
    assert metrics.centroid_distance_mm(MAP, MASK, (5.0, 2.0)) == pytest.approx(distance)


def test_an_empty_map_is_infinitely_far_and_holds_no_mass() -> None:
    assert metrics.centroid_distance_mm(-np.ones((2, 3)), MASK, (1, 1)) == math.inf
    assert metrics.relevance_mass(np.zeros((2, 3)), MASK) == 0


@pytest.mark.parametrize(
    ("values", "mask", "why"),
    [
        (np.zeros((2, 2)), MASK, "don't belong together"),
        (MAP, np.zeros_like(MASK), "empty"),
        (np.full((2, 3), np.nan), MASK, "no finite"),
    ],
)
def test_what_can_not_be_measured_is_refused(values: Any, mask: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        metrics.relevance_mass(values, mask)


def test_wrong_questions_are_refused() -> None:
    with pytest.raises(ValueError, match="between 1 and 6"):
        metrics.top_share(MAP, MASK, 0)
    with pytest.raises(ValueError, match="'edge'"):
        metrics.peak_distance_mm(MAP, MASK, (1, 1), to="corner")
    with pytest.raises(ValueError, match="masks of one shape"):
        metrics.mean_mask([])


def test_sparseness_and_complexity_at_their_ends() -> None:
    one = np.zeros((4, 4))
    one[1, 2] = -7
    assert metrics.gini(one) == pytest.approx(1 - 1 / 16)
    assert metrics.gini(np.ones((4, 4))) == pytest.approx(0)
    assert metrics.entropy(one) == 0
    assert metrics.entropy(np.ones((4, 4))) == pytest.approx(math.log(16))
    assert metrics.gini(np.zeros((2, 2))) == metrics.entropy(np.zeros((2, 2))) == 0


def test_the_baselines_are_where_they_should_be() -> None:
    centre = metrics.centre_prior((5, 7))
    assert int(centre.argmax()) == 2 * 7 + 3
    np.testing.assert_allclose(metrics.mean_mask([MASK, ~MASK]), 0.5)


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    _, spacing, masks = arrays("brain-mr", ["glioma"], seed=4, slices=9)
    mask = masks["glioma"]
    return mask[int(mask.sum(axis=(1, 2)).argmax())], spacing


def test_the_mask_itself_is_the_best_map_by_every_measure(drawn: Drawn) -> None:
    mask, spacing = drawn
    best = mask.astype(np.float32)
    assert metrics.pointing_game(best, mask)
    assert metrics.relevance_mass(best, mask) == 1
    assert metrics.relevance_rank(best, mask) == 1
    assert metrics.overlap_at(best, mask, 0.5) == (1, 1)
    assert metrics.average_precision(best, mask) == 1
    assert metrics.centroid_distance_mm(best, mask, spacing) == pytest.approx(0, abs=1e-6)
    assert metrics.peak_distance_mm(best, mask, spacing, to="edge") == 0


def test_a_mask_moved_by_known_millimetres_is_that_far_off(drawn: Drawn) -> None:
    mask, spacing = drawn
    moved = np.roll(mask, (3, -4), axis=(0, 1)).astype(np.float32)
    expected = math.hypot(3 * spacing[0], 4 * spacing[1])
    assert metrics.centroid_distance_mm(moved, mask, spacing) == pytest.approx(expected, rel=1e-6)


def test_the_opposite_of_the_mask_is_the_worst_map(drawn: Drawn) -> None:
    mask, _ = drawn
    worst = 1 - mask.astype(np.float32)
    assert not metrics.pointing_game(worst, mask)
    assert metrics.relevance_mass(worst, mask) == metrics.relevance_rank(worst, mask) == 0
    assert metrics.average_precision(worst, mask) == pytest.approx(mask.mean())


def test_a_volume_is_measured_as_a_whole() -> None:
    _, spacing, masks = arrays("brain-mr", ["meningioma"], seed=5, slices=9)
    mask = masks["meningioma"]
    assert metrics.relevance_rank(mask.astype(np.float32), mask) == 1
    up = np.roll(mask, 1, axis=0).astype(np.float32)
    assert metrics.centroid_distance_mm(up, mask, (8.0, *spacing)) == pytest.approx(8.0)


maps = array_of(np.float32, (6, 6), elements=st.floats(-8, 8, width=32))
masks_ = array_of(np.bool_, (6, 6)).filter(lambda mask: bool(mask.any()))


@given(values=maps, mask=masks_)
def test_every_share_lies_between_zero_and_one(values: Any, mask: Any) -> None:
    for share in (
        metrics.relevance_mass(values, mask),
        metrics.relevance_rank(values, mask),
        metrics.average_precision(values, mask),
        *metrics.overlap_at(values, mask, 0.5),
        metrics.gini(values),
    ):
        assert -1e-9 <= share <= 1 + 1e-9


@given(values=maps, mask=masks_)
def test_average_precision_is_that_of_scikit_learn(values: Any, mask: Any) -> None:
    oracle = pytest.importorskip("sklearn.metrics")
    expected = oracle.average_precision_score(mask.ravel(), values.ravel())
    assert metrics.average_precision(values, mask) == pytest.approx(expected, abs=1e-9)


def quantus_scores(
    name: str, values: NDArray[np.floating], mask: NDArray[np.bool_] | None, **options: Any
) -> list[float]:
    """What Quantus says of maps ``(n, h, w)``."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        quantus = pytest.importorskip("quantus", exc_type=ImportError)
        metric = getattr(quantus, name)(disable_warnings=True, display_progressbar=False, **options)
        found = metric(
            model=None,
            x_batch=np.zeros((len(values), 1, *values.shape[1:])),
            y_batch=np.zeros(len(values), dtype=int),
            a_batch=values[:, None],
            s_batch=None if mask is None else np.repeat(mask[None, None], len(values), axis=0),
        )
    return [float(np.squeeze(one)) for one in found]


def test_quantus_says_the_same() -> None:
    random = np.random.default_rng(0)
    values, mask = random.random((12, 16, 16)), np.zeros((16, 16), dtype=bool)
    mask[3:9, 4:12] = True
    plain: dict[str, Any] = {"abs": False, "normalise": False}
    oracles: dict[str, Any] = {
        "PointingGame": (metrics.pointing_game, plain),
        "RelevanceMassAccuracy": (metrics.relevance_mass, plain),
        "RelevanceRankAccuracy": (metrics.relevance_rank, plain),
        "TopKIntersection": (lambda v, m: metrics.top_share(v, m, 20), {"k": 20, **plain}),
    }
    for name, (ours, options) in oracles.items():
        theirs = quantus_scores(name, values, mask, **options)
        assert theirs == pytest.approx([float(ours(one, mask)) for one in values], abs=1e-9), name
    flat = {"abs": True, "normalise": False}
    assert quantus_scores("Complexity", values, None, **flat) == pytest.approx(
        [metrics.entropy(one) for one in values], abs=1e-6
    )
    # Quantus adds 1e-7 to every value before it sorts them
    assert quantus_scores("Sparseness", values, None, **flat) == pytest.approx(
        [metrics.gini(one) for one in values], abs=1e-5
    )
