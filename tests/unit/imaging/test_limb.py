"""Limb and bone on drawn films and on bone phantoms with a known fracture."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from radiolucent.imaging.limb import limb_fields
from radiolucent.phantom.studies import make_study

Film = NDArray[np.float32]


def forearm(*, air: float = 0.0) -> tuple[Film, NDArray[np.bool_], NDArray[np.bool_]]:
    """A limb of 100 columns with two bones of 20 in it, on air; the limb and the bones."""
    columns = np.arange(240)
    limb, bone = np.abs(columns - 120) < 50, np.abs(np.abs(columns - 120) - 22) < 10
    line = np.where(bone, 160.0, np.where(limb, 90.0, air))
    film = np.tile(line, (300, 1)) + np.random.default_rng(0).normal(0, 2, (300, 240))
    return film.astype(np.float32), np.tile(limb, (300, 1)), np.tile(bone, (300, 1))


def test_limb_and_bones_of_a_drawn_forearm_are_found() -> None:
    film, limb, bone = forearm()
    found = limb_fields(film)
    assert found.found
    assert (found.limb & limb).sum() / (found.limb | limb).sum() > 0.9
    assert (found.bone & bone).sum() / bone.sum() > 0.98
    assert not (found.bone & ~found.limb).any()
    assert found.bone.sum() < 0.9 * limb.sum()


def test_thin_parts_count_as_bone_whatever_their_brightness() -> None:
    film, _, _ = forearm()
    film[:, :60] = 0
    film[:, 30:40] = 60
    found = limb_fields(film)
    assert found.bone[100:200, 33:37].all()


def test_a_film_without_contrast_concludes_nothing() -> None:
    flat = np.full((80, 60), 7, dtype=np.float32)
    assert not limb_fields(flat).found
    assert limb_fields(flat).limb.all()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_fracture_of_a_phantom_lies_at_bone(seed: int) -> None:
    pixels, masks = fracture(seed)
    found = limb_fields(pixels)
    assert found.found
    assert (found.bone & masks).sum() / masks.sum() > 0.8


def fracture(seed: int) -> tuple[Film, NDArray[np.bool_]]:
    study = make_study("bone-xr", ("displaced-fracture",), seed=seed, rows=256)
    dataset = study.datasets[0]
    film = dataset.pixel_array.astype(np.float32)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        film = film.max() - film
    return film, study.lesions[0].mask[0]
