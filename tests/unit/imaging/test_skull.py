"""The inside of the skull on drawn heads, and the plane that halves it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from radiolucent.imaging.skull import BONE_HU, inside_of_skull, middle_plane

SPACING = (1.0, 1.0)
GAP = 5.0


def head(*, turned: float = 0.0, moved: float = 0.0, tilt: float = 0.0, sinus: bool = False) -> NDArray[np.float32]:
    """A skull of 1000 HU, 6 mm thick, around brain of 35 HU; 12 slices that shrink towards the top."""
    rows, columns = np.mgrid[0:200, 0:180].astype(np.float64)
    slices = []
    for index in range(12):
        size = np.sqrt(max(1 - (index / 12.5) ** 2, 0.05))
        u, v = columns - 90 - moved - tilt * index * GAP, rows - 100
        across, along = u * np.cos(turned) - v * np.sin(turned), v * np.cos(turned) + u * np.sin(turned)
        outer = np.hypot(across / (71 * size), along / (89 * size))
        inner = np.hypot(across / (65 * size), along / (83 * size))
        hu = np.where(outer <= 1, np.where(inner <= 1, 35.0, 1000.0), -1000.0)
        if sinus:
            hu[(inner > 1) & (outer <= 1) & (np.abs(across) < 15) & (along < 0)] = -900
        slices.append(hu)
    return np.stack(slices).astype(np.float32)


@pytest.mark.parametrize("sinus", [False, True])
def test_the_inside_is_what_bone_closes_off_even_beside_an_open_sinus(sinus: bool) -> None:
    hu = head(sinus=sinus)
    inside = inside_of_skull(hu, SPACING)
    true = hu == 35
    assert (inside & true).sum() >= 0.99 * true.sum()
    assert (inside & ~true).sum() <= 0.03 * true.sum()


def test_a_slice_without_bone_has_no_inside() -> None:
    assert not inside_of_skull(np.full((3, 64, 64), 35, dtype=np.float32), SPACING).any()


def test_soft_tissue_that_bone_does_not_surround_is_no_inside() -> None:
    neck = np.full((1, 128, 128), -1000, dtype=np.float32)
    neck[:, 20:108, 20:108] = 50
    neck[:, 60:75, 55:75] = 700
    assert not inside_of_skull(neck, SPACING).any()


def test_fine_pixels_give_the_same_inside_as_coarse_ones() -> None:
    coarse = head()
    fine = coarse.repeat(2, axis=1).repeat(2, axis=2)
    found = inside_of_skull(fine, (0.5, 0.5))
    assert found.shape == fine.shape
    assert found.sum() / 4 == pytest.approx(inside_of_skull(coarse, SPACING).sum(), rel=0.02)
    assert float(fine[found].max()) <= BONE_HU


@pytest.mark.parametrize(("turned", "moved", "tilt"), [(0.0, 0.0, 0.0), (0.2, 7.5, 0.0), (-0.35, -4.0, 0.05)])
def test_the_plane_follows_a_head_that_lies_turned_moved_and_tilted(turned: float, moved: float, tilt: float) -> None:
    hu = head(turned=turned, moved=moved, tilt=tilt)
    plane = middle_plane(inside_of_skull(hu, SPACING), SPACING, GAP)
    assert plane is not None
    for index in (0, 6, 10):
        for along in (-50.0, 0.0, 50.0):
            u = 90 + moved + tilt * index * GAP + along * np.sin(turned)
            v = 100 + along * np.cos(turned)
            assert abs(float(plane.distance(np.array(u), np.array(v), index * GAP))) < 1.2
    assert plane.spread_mm < 1.0


def test_one_slice_gives_no_plane() -> None:
    assert middle_plane(inside_of_skull(head()[:1], SPACING), SPACING, GAP) is None
