"""Text in a picture is found by its form; anatomy, noise and a lone side letter are none."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from radiolucent.imaging.burned_text import LEAST_GLYPHS, _running, burned_text
from radiolucent.phantom.studies import make_study

DATA = os.environ.get("RADIOLUCENT_DATA", "")
SIDE = 384


def a_field(seed: int = 0) -> np.ndarray:
    """A soft picture with grain, 20 to 180 of 255."""
    random = np.random.default_rng(seed)
    soft = ndimage.gaussian_filter(random.normal(size=(SIDE, SIDE)), 24)
    soft = (soft - soft.min()) / (soft.max() - soft.min())
    return np.asarray(30 + 140 * soft + random.normal(0, 3, soft.shape), dtype=np.float32)


def written(
    field: np.ndarray, text: str, *, size: int = 16, value: int = 255, at: tuple[int, int] = (8, 8)
) -> np.ndarray:
    picture = Image.fromarray(np.clip(field, 0, 254).astype(np.uint8))
    ImageDraw.Draw(picture).text((8, 8), text, fill=value, font=ImageFont.load_default(size))
    return np.asarray(picture, dtype=np.float32)


@pytest.mark.parametrize("size", [14, 20, 28])
@pytest.mark.parametrize("text", ["DOE JANE", "1961-04-03", "PORTABLE 08:15"])
def test_a_line_of_text_is_found_whatever_the_range_of_the_pixels(text: str, size: int) -> None:
    picture = written(a_field(), text, size=size)
    assert burned_text(picture) >= LEAST_GLYPHS
    assert burned_text(picture * 16 - 1000) == burned_text(picture)


def test_dark_text_on_a_bright_field_is_found_too() -> None:
    assert burned_text(written(a_field() + 70, "DOE JANE", size=20, value=0)) >= LEAST_GLYPHS


def test_a_large_film_is_looked_at_in_steps() -> None:
    small = written(a_field(), "DOE JANE 1961", size=20)
    assert burned_text(small.repeat(6, axis=0).repeat(6, axis=1)) >= LEAST_GLYPHS


@pytest.mark.parametrize("marker", ["L", "R", "AP", "LAT"])
def test_a_side_marker_is_no_text(marker: str) -> None:
    assert burned_text(written(a_field(), marker, size=24)) == 0


@given(seed=st.integers(0, 10_000), grain=st.floats(0, 40))
@example(seed=144, grain=31.0)
@example(seed=3774, grain=28.4)
@example(seed=5344, grain=34.0)
@settings(max_examples=20, deadline=None)
def test_grain_and_soft_shadows_are_no_text(seed: int, grain: float) -> None:
    noise = np.random.default_rng(seed).normal(0, grain, (SIDE, SIDE))
    assert burned_text(np.asarray(a_field(seed) + noise, dtype=np.float32)) == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 200), (3, 5), (40, 40)])
def test_the_smallest_and_the_emptiest_pictures_hold_none(shape: tuple[int, int]) -> None:
    assert burned_text(np.zeros(shape, dtype=np.float32)) == 0
    assert burned_text(np.random.default_rng(0).normal(size=shape).astype(np.float32)) == 0


@pytest.mark.parametrize("kind", ["brain-mr", "chest-xr", "bone-xr", "head-ct"])
def test_no_phantom_bears_text(kind: str) -> None:
    study = make_study(kind, (), seed=3)
    middle = study.datasets[len(study.datasets) // 2]
    assert burned_text(middle.pixel_array.astype(np.float32)) == 0


@pytest.mark.skipif(not DATA, reason="needs RADIOLUCENT_DATA: the folder of real images")
def test_real_films_with_and_without_text() -> None:
    images = Path(DATA) / "chest-nih" / "images"
    with_text = ("00020537_000.jpg", "00003382_009.jpg")  # both say PORTABLE
    for name in with_text:
        assert burned_text(np.asarray(Image.open(images / name).convert("L"), dtype=np.float32)) >= LEAST_GLYPHS
    heads = sorted((Path(DATA) / "brain-mri-cheng" / "images").iterdir())[:40]
    assert [burned_text(np.asarray(Image.open(path).convert("L"), dtype=np.float32)) for path in heads] == [0] * 40


@pytest.mark.parametrize("shape", [(64, 90), (9, 9), (31, 200)])
def test_opening_is_the_libraries_own(shape: tuple[int, int]) -> None:
    grey = np.random.default_rng(3).random(shape).astype(np.float32)
    expected = ndimage.grey_opening(grey, size=(9, 9))

    np.testing.assert_array_equal(_running(_running(grey, np.minimum), np.maximum), expected)
