"""Lung fields on chest phantoms whose lungs are known exactly, and where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.imaging.lungs import lung_fields
from radiolucent.phantom.chest import SIDES, ChestAnatomy, ChestScene
from radiolucent.phantom.projection import View
from radiolucent.phantom.render import radiograph

ROWS, DEPTH = 256, 80


def film(seed: int, *, lean: float = 0.0) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """A frontal film and its exact lung fields: rays that meet 80 mm of lung or more, which is what looks dark."""
    view = View((ROWS, ROWS), spacing_mm=380 / ROWS, centre_mm=(0.0, -28.0), direction="frontal", lean=lean, yaw=0.0)
    scene = ChestScene(view, ChestAnatomy.from_seed(seed, 30 + seed, "MF"[seed % 2]))
    rng = np.random.default_rng(seed)
    picture = radiograph(
        scene.attenuation(),
        rng,
        spacing_mm=view.spacing_mm,
        photons=3e4,
        scatter=0.5,
        blur_mm=0.2,
        low=0.9,
        high=3.7,
        equalise=0.3,
    )
    return picture, np.max([scene.lung_length(side) for side in SIDES], axis=0) > DEPTH


def overlap(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    return float((one & other).sum() / (one | other).sum())


@pytest.fixture(scope="module")
def films() -> list[tuple[NDArray[np.float32], NDArray[np.bool_]]]:
    return [film(seed, lean=0.02 * (seed - 2)) for seed in range(5)]


def test_most_of_the_true_lungs_is_found_and_little_else(
    films: list[tuple[NDArray[np.float32], NDArray[np.bool_]]],
) -> None:
    for picture, lungs in films:
        found = lung_fields(picture)
        assert found.found, found.confidence
        assert found.mask.shape == picture.shape
        assert (found.mask & lungs).sum() / lungs.sum() > 0.8
        assert overlap(found.mask, lungs) > 0.65


def test_a_white_lung_is_completed_by_the_mirror_image_of_the_other_one(
    films: list[tuple[NDArray[np.float32], NDArray[np.bool_]]],
) -> None:
    picture, lungs = films[1]
    left = np.arange(ROWS)[None, :] > ROWS / 2
    white = np.where(lungs & left, np.percentile(picture, 90), picture).astype(np.float32)
    found = lung_fields(white)
    assert found.completed
    assert (found.mask & lungs & left).sum() / (lungs & left).sum() > 0.7


@pytest.mark.parametrize(
    "picture",
    [
        np.zeros((64, 64), dtype=np.float32),
        np.random.default_rng(0).normal(100, 5, (128, 96)).astype(np.float32),
        ndimage.gaussian_filter(np.eye(120, dtype=np.float32), 6),
    ],
    ids=["constant", "noise", "a band"],
)
def test_a_picture_without_lungs_gives_none_that_anything_is_concluded_from(picture: NDArray[np.float32]) -> None:
    assert not lung_fields(picture).found


def test_size_and_brightness_of_the_film_make_no_difference(
    films: list[tuple[NDArray[np.float32], NDArray[np.bool_]]],
) -> None:
    picture, _ = films[0]
    small, large = lung_fields(picture), lung_fields((3 * picture + 50).repeat(3, axis=0).repeat(3, axis=1))
    assert overlap(small.mask.repeat(3, axis=0).repeat(3, axis=1), large.mask) > 0.9
