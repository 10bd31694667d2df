"""Pixel flipping and ROAD on networks that are one line of algebra, and imputation against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from radiolucent.explain.faithfulness_pixels import ROAD_SHARES, imputed, pixel_flipping, road

Image = NDArray[np.float32]
WEIGHTS = np.zeros((16, 16), dtype=np.float32)
WEIGHTS[4:8, 8:12] = 1 / 16


def mean_of_a_square(images: Image) -> Image:
    return np.asarray((images * WEIGHTS).sum(axis=(1, 2)), dtype=np.float32)


def ones() -> Image:
    return np.ones((16, 16), dtype=np.float32)


def test_flipping_the_pixels_that_count_takes_the_score_away_at_once() -> None:
    best = pixel_flipping(mean_of_a_square, ones(), WEIGHTS, value=0.0)
    assert best.scores[1] == pytest.approx(0)
    assert best.area == pytest.approx(1 / 32)
    worst = pixel_flipping(mean_of_a_square, ones(), -WEIGHTS, value=0.0)
    assert worst.area == pytest.approx(1 - 1 / 32)


def test_imputation_solves_the_weighted_mean_of_the_neighbours() -> None:
    image = np.arange(25, dtype=np.float32).reshape(5, 5)
    out = imputed(image, np.array([12]))
    # a plane is its own mean
    np.testing.assert_allclose(out, image, atol=1e-5)
    flat = np.zeros((5, 5), dtype=np.float32)
    flat[2, 1] = 6.0
    assert imputed(flat, np.array([12]))[2, 2] == pytest.approx(1.0)  # one direct neighbour of 6, weight 1/6
    flat[2, 1], flat[1, 1] = 0.0, 6.0
    assert imputed(flat, np.array([12]))[2, 2] == pytest.approx(0.5)  # a diagonal one, weight 1/12


def test_a_hole_in_a_plane_is_filled_with_the_plane() -> None:
    rows, columns = np.indices((12, 12))
    plane = (2 * rows - columns).astype(np.float32)
    hole = np.flatnonzero(np.pad(np.ones((5, 5), dtype=bool), ((3, 4), (3, 4))))
    np.testing.assert_allclose(imputed(plane, hole), plane, atol=1e-4)


def test_what_is_hidden_plays_no_part_in_what_is_put_there() -> None:
    image = np.random.default_rng(0).random((10, 10)).astype(np.float32)
    other = image.copy()
    other[4:6, 4:6] = 99
    hole = np.flatnonzero(np.pad(np.ones((2, 2), dtype=bool), 4))
    np.testing.assert_allclose(imputed(image, hole), imputed(other, hole), atol=1e-6)


def test_road_falls_for_a_map_that_is_right_and_stays_for_one_that_is_wrong() -> None:
    image = np.where(WEIGHTS > 0, np.float32(1), np.float32(0))
    right = road(mean_of_a_square, image, WEIGHTS, noise=0.0)
    wrong = road(mean_of_a_square, image, -WEIGHTS, noise=0.0, shares=(0.0, 0.1))
    assert right.scores[-1] < 0.05
    assert wrong.scores.tolist() == pytest.approx([1, 1])
    assert right.shares.tolist() == list(ROAD_SHARES)


def test_the_same_seed_gives_the_same_noise() -> None:
    image = np.random.default_rng(1).random((16, 16)).astype(np.float32)
    first, again, other = (road(mean_of_a_square, image, WEIGHTS, noise=0.1, seed=seed).scores for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_maps_of_another_size_and_impossible_shares_are_refused() -> None:
    with pytest.raises(ValueError, match="of one size"):
        pixel_flipping(mean_of_a_square, ones(), WEIGHTS[:4], value=0.0)
    with pytest.raises(ValueError, match="shares must lie"):
        road(mean_of_a_square, ones(), WEIGHTS, shares=(0.5, 1.0))


def test_quantus_imputes_the_same() -> None:
    pytest.importorskip("quantus", exc_type=ImportError)
    from quantus.functions.perturb_func import noisy_linear_imputation

    image = np.random.default_rng(2).random((1, 1, 8, 8))
    pixels = np.array([9, 10, 18, 36, 37, 45, 7, 63])
    theirs = noisy_linear_imputation(image[0], pixels, noise=0.0)
    ours = imputed(image[0, 0].astype(np.float32), pixels)
    np.testing.assert_allclose(np.asarray(theirs).reshape(8, 8), ours, atol=1e-5)
