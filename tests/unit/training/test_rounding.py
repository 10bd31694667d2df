import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiolucent.training.rounding import images_of, round_images


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 1000), count=st.integers(1, 3), channels=st.integers(1, 3), side=st.integers(1, 40))
def test_noise_comes_back_within_the_rounding(seed: int, count: int, channels: int, side: int) -> None:
    images = np.random.default_rng(seed).integers(0, 256, (count, channels, side, side)).astype(np.uint8)
    back = images_of(round_images(images, 1), 1, side)
    assert back.shape == images.shape
    # 64 coefficients of a block, each off by 1 at most, whose squares add up to those of its pixels
    assert int(np.abs(back.astype(int) - images).max()) <= 8


@pytest.mark.parametrize("step", [4, 16, 64])
def test_even_images_come_back_as_they_were_but_for_the_rounding_of_their_level(step: int) -> None:
    images = np.full((1, 1, 24, 24), 200, dtype=np.uint8)
    kept = round_images(images, step)
    assert np.count_nonzero(kept) == 9
    assert np.abs(images_of(kept, step, 24).astype(int) - 200).max() <= step / 16 + 1


def test_more_images_than_are_done_at_once_stay_in_order() -> None:
    images = np.zeros((150, 1, 8, 8), dtype=np.uint8)
    images += np.arange(150, dtype=np.uint8)[:, None, None, None]
    back = images_of(round_images(images, 1), 1, 8)
    assert np.abs(back.astype(int) - images).max() <= 1


def test_a_coarser_step_is_further_off_and_has_more_zeros() -> None:
    images = np.random.default_rng(0).normal(128, 20, (4, 1, 64, 64)).clip(0, 255).astype(np.uint8)
    off, zeros = [], []
    for step in (4, 16, 48):
        kept = round_images(images, step)
        zeros.append(int((kept == 0).sum()))
        off.append(float(np.abs(images_of(kept, step, 64).astype(int) - images).mean()))
    assert off == sorted(off)
    assert zeros == sorted(zeros)
