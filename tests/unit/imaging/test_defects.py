"""Exposure, blur, metal and cover of drawn pictures."""

from __future__ import annotations

import numpy as np
import pytest
from pydicom.dataset import Dataset
from scipy import ndimage

from radiolucent.imaging.defects import defects, sharpness
from radiolucent.imaging.study import Frame, Stack

PICTURE = np.random.default_rng(0).normal(1000, 100, (12, 10)).repeat(20, axis=0).repeat(20, axis=1).astype(np.float32)


def film(picture: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Stack:
    return Stack(
        study_instance_uid="1",
        series_instance_uid="1.1",
        modality="DX",
        kind="image",
        frames=(Frame(sop_class_uid="1", sop_instance_uid="1.2"),),
        headers=(Dataset(),),
        decode=lambda index: picture,
    )


@pytest.mark.parametrize("blur", [1.0, 2.0, 4.0])
def test_blur_makes_a_film_less_sharp_and_brightness_does_not(blur: float) -> None:
    assert sharpness(ndimage.gaussian_filter(PICTURE, blur)) < sharpness(PICTURE)
    assert sharpness(3 * PICTURE + 7) == pytest.approx(sharpness(PICTURE), rel=1e-4)


def test_the_size_of_the_pixels_hardly_matters() -> None:
    smooth = ndimage.gaussian_filter(np.pad(PICTURE, 160), 4)
    assert sharpness(smooth.repeat(4, axis=0).repeat(4, axis=1)) == pytest.approx(sharpness(smooth), rel=0.3)


def test_what_is_burnt_out_or_black_is_counted_in_the_middle_of_the_film() -> None:
    picture = PICTURE.copy()
    picture[:, :20] = 0  # a black border
    found = defects(film(picture))
    assert found.clipped_dark == pytest.approx(0.0, abs=0.001)
    picture[100:150, 80:130] = picture.max()
    assert defects(film(picture)).clipped_bright == pytest.approx(2500 / (192 * 160), rel=0.05)
    assert (found.metal_ml, found.covered_mm) == (None, None)


def test_a_constant_film_is_neither() -> None:
    found = defects(film(np.ones((50, 50), dtype=np.float32)))
    assert (found.clipped_bright, found.clipped_dark, found.sharpness) == (0.0, 0.0, 0.0)
