import numpy as np
import pytest

from radiolucent.engines.manifest import InputSpec
from radiolucent.engines.preprocess import prepare
from radiolucent.engines.preprocess.bone import (
    RANGE,
    equalise,
    is_negative,
    limb_region,
    upright_polarity,
    windowed,
)
from radiolucent.imaging.geometry import Image

SPEC = InputSpec(recipe="bone", height=128, width=128)


def a_film(rows: int = 100, columns: int = 60) -> Image:
    """A bright bone in a dim limb on dark air."""
    line, column = np.indices((rows, columns))
    away = np.abs(column - columns / 2)
    film = np.where(away < columns / 4, 60.0, 5.0) + 120.0 * np.clip(1 - away / (columns / 8), 0, 1)
    return np.asarray(film + 10 * np.sin(line / 7), dtype=np.float32)


def test_a_film_fills_the_longer_side_and_lies_in_the_middle_of_air() -> None:
    batch, record = prepare(a_film()[None], None, SPEC)
    assert batch.shape == (1, 1, 128, 128)
    assert batch.dtype == np.float32
    assert float(batch.min()) == 0
    assert float(batch.max()) <= RANGE
    np.testing.assert_allclose(record.to_target(np.array([49.5, 29.5])), (63.5, 63.5), atol=0.51)
    left = (128 - 77) // 2
    assert batch[0, 0, :, :left].max() == 0
    assert batch[0, 0, :, left + 77 :].max() == 0


def test_places_on_the_film_come_back_from_the_input() -> None:
    _, record = prepare(a_film(200, 340)[None], None, SPEC)
    points = np.array([[0.0, 0.0], [199.0, 339.0], [17.0, 250.0]])
    np.testing.assert_allclose(record.to_source(record.to_target(points)), points, atol=1e-9)


def test_a_negative_is_read_as_its_positive() -> None:
    film = a_film()
    negative = film.max() + film.min() - film
    assert not is_negative(film)
    assert is_negative(negative)
    np.testing.assert_allclose(upright_polarity(negative), film, atol=1e-4)
    batch, _ = prepare(np.stack([film]), None, SPEC)
    turned, _ = prepare(np.stack([negative]), None, SPEC)
    assert float(np.abs(turned - batch).mean()) < 0.01


def test_bright_rims_that_no_x_ray_met_do_not_make_a_negative() -> None:
    film = a_film(100, 100)
    film[:, :30] = film[:, -30:] = 255
    assert not is_negative(film)


def test_a_film_without_a_picture_is_no_negative() -> None:
    assert not is_negative(np.full((20, 20), 3, dtype=np.float32))


@pytest.mark.parametrize(("gain", "shift"), [(0.1, 0.0), (16.0, 300.0)])
def test_the_scanners_scale_does_not_matter(gain: float, shift: float) -> None:
    film = a_film()
    batch, _ = prepare(film[None], None, SPEC)
    other, _ = prepare((film * gain + shift).astype(np.float32)[None], None, SPEC)
    assert float(np.abs(other - batch).mean()) < 0.02


def test_a_saturated_band_does_not_take_the_window() -> None:
    film = a_film()
    film[:4] = 4095
    bone = windowed(film)[50, 29:31]
    assert float(bone.min()) > 0.8


def test_a_film_of_one_grey_stays_empty() -> None:
    batch, _ = prepare(np.full((1, 50, 40), 7, dtype=np.float32), None, SPEC)
    assert float(np.abs(batch).max()) == 0


def test_equalising_raises_the_contrast_inside_a_dim_region() -> None:
    random = np.random.default_rng(0)
    film = np.full((64, 64), 0.1, dtype=np.float32) + random.normal(0, 0.01, (64, 64)).astype(np.float32)
    film[:, 32:] = 0.9
    film = np.clip(film, 0, 1)
    assert float(equalise(film)[:, :16].std()) > 1.5 * float(film[:, :16].std())


@pytest.mark.parametrize("negative", [False, True])
def test_a_limb_on_a_large_film_is_cut_out_and_comes_to_the_size_that_was_learned(negative: bool) -> None:
    large = np.full((400, 400), 5.0, dtype=np.float32)
    large[250:350, 40:100] = a_film()
    film = large.max() + large.min() - large if negative else large
    region = limb_region(film)
    assert region is not None
    top, left, bottom, right = region
    assert 235 <= top <= 250
    assert 350 <= bottom <= 365
    assert 40 <= left <= 55
    assert 85 <= right <= 105
    batch, record = prepare(film[None], None, SPEC)
    rows = np.flatnonzero(batch[0, 0].max(axis=1) > 0.3 * RANGE)
    assert rows[-1] - rows[0] > 0.8 * 128
    middle = np.array([300.0, 70.0])
    np.testing.assert_allclose(record.to_source(record.to_target(middle)), middle, atol=1e-9)
    np.testing.assert_allclose(record.to_target(middle), (63.5, 63.5), atol=6)


def test_a_film_that_the_limb_fills_stays_whole() -> None:
    assert limb_region(a_film()) is None


def test_a_marker_alone_is_no_limb() -> None:
    film = np.full((400, 400), 5.0, dtype=np.float32)
    film[10:40, 10:30] = 200
    assert limb_region(film) is None
    assert limb_region(np.full((50, 50), 7.0, dtype=np.float32)) is None
