import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiolucent.evaluate.localisation import distance, is_inside, mass_within, overlap, place
from radiolucent.imaging.geometry import PixelRecord, Resize
from radiolucent.imaging.heatmap import Heatmap

RECORD = PixelRecord(source_shape=(64, 64), steps=(Resize(height=32, width=32),))


def a_heatmap(cells: list[tuple[int, int]], value: float = 10.0) -> Heatmap:
    evidence = np.full((1, 8, 8), -5.0, dtype=np.float32)
    for cell in cells:
        evidence[0][cell] = value
    return Heatmap(evidence=evidence, record=RECORD, display_scale=10.0)


def a_mask(top: int, left: int, size: int = 8) -> np.ndarray:
    mask = np.zeros((64, 64), dtype=np.bool_)
    mask[top : top + size, left : left + size] = True
    return mask


def test_a_map_on_the_outline_hits_and_lies_close() -> None:
    spot = place(a_heatmap([(2, 3), (2, 4), (3, 3), (3, 4)]), 0, a_mask(16, 24, size=16), (0.5, 0.5))
    assert spot.hit
    assert not spot.empty
    assert spot.distance_px == pytest.approx(0, abs=0.5)
    assert spot.distance_mm == pytest.approx(spot.distance_px / 2)
    assert spot.mass > 0.9
    assert spot.dice > 0.7


def test_a_map_beside_the_outline_misses_by_as_much() -> None:
    spot = place(a_heatmap([(2, 6)]), 0, a_mask(16, 24), (2.0, 2.0))
    assert not spot.hit
    assert spot.distance_px == pytest.approx(24, abs=0.5)
    assert spot.distance_mm == pytest.approx(48, abs=1)
    assert spot.mass == 0
    assert spot.iou == 0


def test_a_faint_map_is_empty_and_infinitely_far_away() -> None:
    spot = place(a_heatmap([(2, 3)], value=1.0), 0, a_mask(16, 24), None)
    assert spot.empty
    assert np.isinf(spot.distance_px)
    assert np.isnan(spot.distance_mm)
    assert spot.dice == 0


@pytest.mark.parametrize("mask", [np.zeros((64, 64), dtype=np.bool_), np.ones((32, 32), dtype=np.bool_)])
def test_an_empty_mask_or_one_of_another_shape_is_refused(mask: np.ndarray) -> None:
    with pytest.raises(ValueError, match="the mask is"):
        place(a_heatmap([(2, 3)]), 0, mask, None)


def test_a_peak_that_leans_towards_a_neighbour_hits_what_lies_there() -> None:
    # the cell's centre is in row 19.5, the evidence leans upwards
    leaning = a_heatmap([(2, 3)])
    leaning.evidence[0, 1, 3] = 9.0
    upper = a_mask(12, 24, size=7)
    assert place(leaning, 0, upper, None).hit
    assert not place(a_heatmap([(2, 3)]), 0, upper, None).hit


def test_a_point_beyond_the_image_is_outside() -> None:
    everything = np.ones((4, 4), dtype=np.bool_)
    assert is_inside((3.4, 0.0), everything)
    assert not is_inside((3.6, 0.0), everything)
    assert not is_inside((-1.0, 0.0), everything)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_overlap_is_symmetric_and_dice_follows_from_iou(seed: int) -> None:
    random = np.random.default_rng(seed)
    first, second = random.random((2, 9, 9)) < 0.4
    iou, dice = overlap(first, second)
    assert overlap(second, first) == (iou, dice)
    assert dice == pytest.approx(2 * iou / (1 + iou))
    assert overlap(first, first)[1] == 1


def test_the_distance_counts_each_axis_in_its_own_spacing() -> None:
    assert distance((19.5, 27.5), a_mask(16, 24), (3.0, 1.0)) == pytest.approx(0)
    assert distance((20.5, 27.5), a_mask(16, 24), (3.0, 1.0)) == pytest.approx(3)
    assert np.isinf(distance(None, a_mask(16, 24), (3.0, 1.0)))


def test_mass_is_the_share_inside() -> None:
    values = np.ones((64, 64))
    assert mass_within(values, a_mask(0, 0, 32)) == 0.25
    assert mass_within(np.zeros((64, 64)), a_mask(0, 0)) == 0
