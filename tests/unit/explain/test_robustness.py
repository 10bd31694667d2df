"""Eight small changes on maps whose behaviour is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from radiolucent.explain.robustness import COPIES, eight_changes, max_sensitivity, stability_of_eight

Image = NDArray[np.float32]
GRID = (16, 16)


def blob(row: float = 30, column: float = 34) -> Image:
    rows, columns = np.indices((64, 64))
    return np.asarray(np.exp(-((rows - row) ** 2 + (columns - column) ** 2) / 120.0), dtype=np.float32)[None]


def follows(images: Image) -> Image:
    return np.asarray(images[:, 0].reshape(len(images), 16, 4, 16, 4).mean(axis=(2, 4)), dtype=np.float32)


def test_a_map_that_follows_the_image_is_stable_and_one_that_does_not_is_not() -> None:
    copies, back = eight_changes(blob(), grid=GRID)
    assert len(copies) == COPIES
    assert stability_of_eight(follows(np.concatenate([blob()[None], copies])), back) > 0.85
    jumping = np.stack([follows(blob(8 + 5 * index, 8 + 5 * index)[None])[0] for index in range(9)])
    assert stability_of_eight(jumping, back) < 0.05


def test_the_copies_are_moved_by_half_a_cell_and_come_back_by_as_much() -> None:
    copies, back = eight_changes(blob(), grid=GRID)
    assert back[:4] == [(-0.5, 0.0), (0.5, 0.0), (0.0, -0.5), (0.0, 0.5)]
    np.testing.assert_array_equal(copies[0][0, 2:], blob()[0, :-2])
    np.testing.assert_array_equal(copies[3][0, :, :-2], blob()[0, :, 2:])


def test_the_same_seed_makes_the_same_copies() -> None:
    np.testing.assert_array_equal(eight_changes(blob(), grid=GRID)[0], eight_changes(blob(), grid=GRID)[0])


def test_a_map_is_missing_or_too_many() -> None:
    with pytest.raises(ValueError, match="give 9 maps"):
        stability_of_eight(np.zeros((4, 2, 2), dtype=np.float32), [(0.0, 0.0)] * 8)


def test_sensitivity_of_a_linear_map_is_the_noise_over_the_image() -> None:
    image = np.full((1, 8, 8), 2.0, dtype=np.float32)
    found = max_sensitivity(lambda images: images[:, 0], image, radius=0.2, samples=32)
    # uniform noise of that radius has a standard deviation of 0.2 / sqrt(3): 5.8 % of 2
    assert found == pytest.approx(0.058, abs=0.01)


def test_a_map_that_never_changes_has_no_sensitivity() -> None:
    zeros = max_sensitivity(lambda images: 0 * images[:, 0], blob(), radius=0.1)
    assert zeros == 0
    grows = max_sensitivity(lambda images: np.where(images[:, 0] > 1.001, 1, 0), 0 * blob() + 1, radius=0.1)
    assert grows == float("inf")
