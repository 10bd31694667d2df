"""Volumes of drawn clots, counted in HU where a coarse region points."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from radiolucent.imaging.clot import clot, volume_ml
from radiolucent.imaging.skull import inside_of_skull

SPACING, GAP = (1.0, 1.0), 5.0
Mask = NDArray[np.bool_]


def bleed(radius: float, *, at_bone: bool = False, noise: float = 3.0) -> tuple[NDArray[np.float32], Mask]:
    """A head of 8 slices with a round clot of 68 HU, inside the brain or against the bone; and the clot's mask."""
    rows, columns = np.mgrid[0:200, 0:180].astype(np.float64)
    inner = np.hypot((columns - 90) / 65, (rows - 100) / 83)
    outer = np.hypot((columns - 90) / 71, (rows - 100) / 89)
    slices, masks = [], []
    for index in range(8):
        hu = np.where(outer <= 1, np.where(inner <= 1, 33.0, 1000.0), -1000.0)
        reach = np.sqrt(max(radius**2 - ((index - 3.5) * GAP) ** 2, 0))
        mask = (np.hypot(columns - (150 if at_bone else 120), rows - 100) <= reach) & (inner <= 1)
        hu[mask] = 68
        slices.append(hu)
        masks.append(mask)
    rng = np.random.default_rng(1)
    return (np.stack(slices) + rng.normal(0, noise, (8, 200, 180))).astype(np.float32), np.stack(masks)


def coarse(mask: Mask, cell: int = 8) -> Mask:
    """The mask on a map's cells: every cell of which a quarter is covered."""
    frames, rows, columns = mask.shape
    cut = mask[:, : rows // cell * cell, : columns // cell * cell]
    cells = cut.reshape(frames, rows // cell, cell, columns // cell, cell).mean(axis=(2, 4)) > 0.25
    whole = np.zeros_like(mask)
    whole[:, : cells.shape[1] * cell, : cells.shape[2] * cell] = cells.repeat(cell, 1).repeat(cell, 2)
    return whole


@pytest.mark.parametrize(("radius", "at_bone"), [(12.0, False), (18.0, False), (18.0, True)])
def test_a_drawn_clot_is_counted_within_a_tenth_whatever_the_cells(radius: float, at_bone: bool) -> None:
    hu, mask = bleed(radius, at_bone=at_bone)
    found = clot(hu, inside_of_skull(hu, SPACING), coarse(mask), SPACING)
    assert volume_ml(found, SPACING, GAP) == pytest.approx(volume_ml(mask, SPACING, GAP), rel=0.1)


def test_a_region_over_healthy_brain_and_bone_holds_no_blood() -> None:
    hu, mask = bleed(15.0)
    elsewhere = np.zeros_like(mask)
    elsewhere[:, 80:120, 15:60] = True
    assert volume_ml(clot(hu, inside_of_skull(hu, SPACING), elsewhere, SPACING), SPACING, GAP) < 0.2


def test_blood_that_does_not_hang_together_with_the_region_is_left_out() -> None:
    hu, mask = bleed(12.0)
    far = np.zeros_like(mask)
    far[:, 140:160, 80:100] = True
    assert not clot(hu, inside_of_skull(hu, SPACING), far, SPACING).any()
