"""The measure behind the doubt: the middle of a chest film against the lungs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from radiolucent.imaging.polarity import mediastinal_excess


def film(rows: int = 300, columns: int = 260) -> NDArray[np.float32]:
    image = np.full((rows, columns), 90, dtype=np.float32)
    image[:, int(0.15 * columns) : int(0.4 * columns)] = 30
    image[:, int(0.6 * columns) : int(0.85 * columns)] = 30
    return image


def test_a_true_film_is_positive_and_its_inverse_the_negative() -> None:
    assert mediastinal_excess(film()) == pytest.approx(1)
    assert mediastinal_excess(-film()) == pytest.approx(-1)


@given(st.floats(0.1, 100), st.floats(-1000, 1000))
def test_brightness_and_contrast_change_nothing(gain: float, offset: float) -> None:
    scaled = (film().astype(np.float64) * gain + offset).astype(np.float32)
    assert mediastinal_excess(scaled) == pytest.approx(1, abs=1e-3)


def test_size_changes_nothing_and_a_blank_film_is_zero() -> None:
    assert mediastinal_excess(film(1200, 1500)) == pytest.approx(1)
    assert mediastinal_excess(np.full((64, 64), 5, dtype=np.float32)) == 0
