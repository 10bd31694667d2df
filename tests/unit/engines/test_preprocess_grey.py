"""Networks from elsewhere are fed grey images in a frame, or the middle square of a film, on the scale they know."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from radiolucent.engines.manifest import InputSpec
from radiolucent.engines.preprocess import prepare

XRV = InputSpec(recipe="chest-xrv", height=224, width=224)


def a_film(rows: int = 300, columns: int = 400, low: float = 100.0, high: float = 3000.0) -> np.ndarray:
    """A ramp from left to right."""
    return np.broadcast_to(np.linspace(low, high, columns, dtype=np.float32), (rows, columns)).copy()


def test_a_chest_film_is_scaled_from_minus_1024_to_1024() -> None:
    batch, _ = prepare(a_film(400, 400)[None], (0.2, 0.2), XRV)
    assert batch.shape == (1, 1, 224, 224)
    assert batch.dtype == np.float32
    assert (float(batch.min()), float(batch.max())) == pytest.approx((-1024, 1024), abs=1)
    assert float(batch[0, 0, 112, 112]) == pytest.approx(0, abs=10)


def test_a_window_in_the_manifest_takes_the_place_of_percentiles() -> None:
    spec = XRV.model_copy(update={"window": (0.0, 4000.0)})
    batch, _ = prepare(a_film(400, 400)[None], None, spec)
    assert float(batch.max()) == pytest.approx((2 * 3000 / 4000 - 1) * 1024, abs=10)


def test_the_middle_square_of_a_chest_film_is_kept_and_its_place_is_known() -> None:
    _, record = prepare(a_film()[None], None, XRV)
    np.testing.assert_allclose(record.to_source(np.array([-0.5, -0.5])), (-0.5, 49.5), atol=1e-9)
    np.testing.assert_allclose(record.to_source(np.array([223.5, 223.5])), (299.5, 349.5), atol=1e-9)


@given(st.integers(8, 90), st.integers(8, 90))
def test_the_frame_holds_the_whole_image_whatever_its_shape(rows: int, columns: int) -> None:
    image = np.ones((1, rows, columns), dtype=np.float32)
    image[:, 0, 0] = 0
    batch, record = prepare(image, None, InputSpec(recipe="grey", height=32, width=48, window=(0, 1)))
    assert batch.shape == (1, 1, 32, 48)
    corners = record.to_target(np.array([[-0.5, -0.5], [rows - 0.5, columns - 0.5]]))
    assert corners.min() >= -0.5 - 1e-9
    assert (corners[1] <= np.array([31.5, 47.5]) + 1e-9).all()
    assert 0 <= batch.min() <= batch.max() <= 1


def test_pixels_that_are_not_square_are_made_square() -> None:
    spec = InputSpec(recipe="grey", height=64, width=64, window=(0, 1))
    batch, _ = prepare(np.ones((1, 100, 100), dtype=np.float32), (0.5, 1.0), spec)
    inside = batch[0, 0] > 0.5
    assert (inside.any(axis=1).sum(), inside.any(axis=0).sum()) == (32, 64)


def test_every_channel_of_a_colour_network_gets_the_same_image() -> None:
    batch, _ = prepare(a_film()[None], None, InputSpec(recipe="grey", height=32, width=32, channels=3))
    assert batch.shape == (1, 3, 32, 32)
    assert (batch[:, 0] == batch[:, 2]).all()


def test_an_image_of_one_value_does_not_divide_by_nothing() -> None:
    batch, _ = prepare(np.full((1, 64, 64), 7, dtype=np.float32), None, InputSpec(recipe="grey", height=32, width=32))
    assert np.isfinite(batch).all()


def test_a_window_without_a_width_is_refused() -> None:
    with pytest.raises(ValidationError, match="from a smaller to a larger value"):
        InputSpec(recipe="grey", height=32, width=32, window=(5.0, 5.0))
