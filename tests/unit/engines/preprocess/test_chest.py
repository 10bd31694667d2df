"""The chest network's input: the whole film, in one scale whatever the file's, and a way back to its pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from radiolucent.engines.manifest import InputSpec
from radiolucent.engines.preprocess import prepare

SPEC = InputSpec(recipe="chest", height=64, width=64)


def a_film(rows: int = 120, columns: int = 100) -> NDArray[np.float32]:
    down, across = np.mgrid[:rows, :columns].astype(np.float32)
    lungs = sum(
        np.exp(-(((down - 0.5 * rows) / (0.3 * rows)) ** 2) - ((across - c * columns) / (0.15 * columns)) ** 2)
        for c in (0.3, 0.7)
    )
    return np.asarray(200 - 150 * lungs, dtype=np.float32)


def test_what_lies_beside_the_film_is_0_and_the_film_is_between_0_and_2() -> None:
    batch, record = prepare(a_film()[None], None, SPEC)
    assert batch.shape == (1, 1, 64, 64)
    assert batch.dtype == np.float32
    assert (batch.min(), batch.max() <= 2.0) == (0.0, True)
    assert not batch[0, 0, :, :4].any()
    assert batch[0, 0, 32, 30:34].any()
    assert record.source_shape == (120, 100)


@given(gain=st.floats(0.2, 30))
def test_the_scale_of_the_file_does_not_matter(gain: float) -> None:
    film = a_film()
    first, _ = prepare(film[None], None, SPEC)
    second, _ = prepare((film * np.float32(gain))[None], None, SPEC)
    np.testing.assert_allclose(first, second, atol=0.05)


def test_a_place_leads_back_to_its_pixel() -> None:
    plain, record = prepare(a_film()[None], None, SPEC)
    film = a_film()
    film[58:64, 28:34] += 90  # within a lung
    changed = prepare(film[None], None, SPEC)[0][0, 0] - plain[0, 0]
    brightest = np.unravel_index(int(changed.argmax()), (64, 64))
    place = record.to_source(np.array([brightest], dtype=np.float64))[0]
    assert np.abs(place - (60.5, 30.5)).max() < 4


def test_with_a_margin_the_input_is_the_middle_of_a_larger_one() -> None:
    film = a_film()
    whole, _ = prepare(film[None], None, InputSpec(recipe="chest", height=72, width=72))
    middle, record = prepare(film[None], None, InputSpec(recipe="chest", height=64, width=64, margin=4))
    np.testing.assert_array_equal(middle, whole[:, :, 4:68, 4:68])
    np.testing.assert_allclose(record.to_source(np.array([[31.5, 31.5]])), [[59.5, 49.5]], atol=1.0)


@pytest.mark.parametrize("value", [0.0, 17.0])
def test_a_film_of_one_grey_gives_finite_numbers(value: float) -> None:
    batch, _ = prepare(np.full((1, 30, 40), value, dtype=np.float32), (0.2, 0.2), SPEC)
    assert np.isfinite(batch).all()
