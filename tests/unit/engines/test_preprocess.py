import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiolucent.engines.manifest import InputSpec
from radiolucent.engines.preprocess import prepare
from radiolucent.engines.preprocess.brain_mri import HEAD_LENGTH_MM
from radiolucent.errors import InvalidBundle

SPEC = InputSpec(recipe="brain-mri", height=192, width=192, spacing_mm=1.25)


def a_head(rows: int = 256, columns: int = 256, level: float = 80.0, top: int = 40) -> np.ndarray:
    lines, across = np.mgrid[0:rows, 0:columns]
    inside = ((lines - top - 90) / 90) ** 2 + ((across - 120) / 70) ** 2 < 1
    return np.where(inside, level, 0).astype(np.float32)


def test_tissue_becomes_0_and_air_becomes_minus_1() -> None:
    batch, _ = prepare(a_head()[None], (1.0, 1.0), SPEC)
    assert batch.shape == (1, 1, 192, 192)
    assert batch.dtype == np.float32
    assert pytest.approx(float(batch[0, 0, 96, 96]), abs=1e-5) == 0
    assert pytest.approx(float(batch[0, 0, 0, 0]), abs=1e-5) == -1


@settings(max_examples=20, deadline=None)
@given(st.floats(0.01, 100.0))
def test_the_scale_of_the_grey_values_does_not_matter(factor: float) -> None:
    head = a_head()
    head[100:110, 120:130] *= 2
    plain, _ = prepare(head[None], (1.0, 1.0), SPEC)
    scaled, _ = prepare((head * np.float32(factor))[None], (1.0, 1.0), SPEC)
    np.testing.assert_allclose(plain, scaled, atol=1e-4)


def test_the_head_lies_in_the_middle_wherever_it_was() -> None:
    centres = []
    for top in (5, 60):
        batch, record = prepare(a_head(top=top)[None], (1.0, 1.0), SPEC)
        centres.append(np.argwhere(batch[0, 0] > -0.5).mean(axis=0))
        np.testing.assert_allclose((95.5, 95.5), centres[-1], atol=1)
        np.testing.assert_allclose((top + 90, 120), record.to_source(centres[-1]), atol=1)


def test_a_pixel_is_as_many_mm_as_the_engine_wants() -> None:
    batch, _ = prepare(a_head()[None], (0.5, 1.0), SPEC)
    inside = batch[0, 0] > -0.5
    assert pytest.approx(inside.any(axis=1).sum(), abs=2) == 180 * 0.5 / 1.25
    assert pytest.approx(inside.any(axis=0).sum(), abs=2) == 140 * 1.0 / 1.25


def test_without_a_spacing_the_head_is_taken_to_be_of_the_usual_length() -> None:
    batch, _ = prepare(a_head()[None], None, SPEC)
    assert pytest.approx((batch[0, 0] > -0.5).any(axis=1).sum(), abs=4) == HEAD_LENGTH_MM / 1.25


def test_a_nearly_empty_slice_of_a_stack_stays_dark() -> None:
    faint = np.full((256, 256), 0.5, dtype=np.float32)
    faint[100:110, 100:110] = 3
    batch, _ = prepare(np.stack([a_head(), a_head(), faint]), (1.0, 1.0), SPEC)
    assert batch[2].max() < -0.9


def test_an_empty_image_gives_air_and_no_failure() -> None:
    batch, record = prepare(np.zeros((1, 64, 64), dtype=np.float32), (1.0, 1.0), SPEC)
    assert batch.max() == -1
    assert record.target_shape == (192, 192)


def test_the_record_replays_what_was_done() -> None:
    head = a_head()
    batch, record = prepare(head[None], (0.9, 0.9), SPEC)
    np.testing.assert_allclose(batch[0, 0], np.clip(record.apply(head) / 80, 0, 4) - 1, atol=1e-5)


def test_an_unknown_recipe_is_named() -> None:
    with pytest.raises(InvalidBundle, match=r"'knee' is not known; known: .*brain-mri"):
        prepare(a_head()[None], None, InputSpec(recipe="knee", height=8, width=8))


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((4, 4), dtype=np.float32), np.zeros((1, 4, 4), dtype=np.uint8), np.zeros((0, 4, 4), dtype=np.float32)],
)
def test_what_is_no_stack_is_refused(pixels: np.ndarray) -> None:
    with pytest.raises(ValueError, match="pixels must be float32"):
        prepare(pixels, (1.0, 1.0), SPEC)


def test_a_spacing_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="must be positive or None"):
        prepare(a_head()[None], (0.0, 1.0), SPEC)
