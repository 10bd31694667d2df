"""A heatmap keeps its absolute scale and lies where the network looked."""

import numpy as np
import pytest

from radiolucent.imaging.geometry import Crop, PixelRecord, Resize
from radiolucent.imaging.heatmap import Heatmap

RECORD = PixelRecord(
    source_shape=(40, 60), steps=(Crop(top=0, left=10, height=40, width=40), Resize(height=80, width=80))
)


def heatmap(*peaks: float, scale: float = 2.0, floor: float = 0.3) -> Heatmap:
    evidence = np.full((len(peaks), 8, 8), -1, dtype=np.float32)
    evidence[:, 2, 5] = peaks
    return Heatmap(evidence=evidence, record=RECORD, display_scale=scale, floor=floor)


def test_the_peak_frame_holds_the_largest_evidence() -> None:
    found = heatmap(0.5, 3, 1)
    assert (found.peak_frame, found.frame_peaks.tolist(), found.grid) == (1, [0.5, 3, 1], (8, 8))


@pytest.mark.parametrize(("peak", "empty"), [(0.59, True), (0.61, False), (-1, True)])
def test_a_map_below_the_floor_is_empty(peak: float, empty: bool) -> None:
    assert heatmap(peak).empty is empty


def test_relative_values_are_cut_at_the_fixed_scale_and_never_stretched() -> None:
    assert heatmap(0.01).relative(0).max() == pytest.approx(0.005)
    assert heatmap(9).relative(0).max() == 1
    assert heatmap(9).relative(0).min() == 0


def test_evidence_lands_on_the_pixels_that_its_cell_covers() -> None:
    drawn = heatmap(4).at_pixels(0)
    row, column = np.unravel_index(np.argmax(drawn), drawn.shape)
    # cell (2, 5) of 8 covers rows 10-14 and columns 10 + 25-29 of the source
    assert drawn.shape == (40, 60)
    assert 10 <= row <= 14
    assert 35 <= column <= 39


def test_pixels_outside_the_crop_carry_no_evidence() -> None:
    drawn = heatmap(4).at_pixels(0)
    assert not drawn[:, :10].any()
    assert not drawn[:, 50:].any()
    assert (drawn[:, 10:50] != 0).all()


def test_the_peak_lies_between_cells_where_the_evidence_leans() -> None:
    # cell (2, 5) covers 5 × 5 pixels, its middle is (12, 37)
    assert heatmap(4).peak_pixel(0) == pytest.approx([12, 37])
    leaning = heatmap(4)
    leaning.evidence[0, 2, 6] = 3
    row, column = leaning.peak_pixel(0)
    assert row == pytest.approx(12)
    assert 37 < column <= 39.5


def test_of_a_cell_and_its_neighbours_the_strongest_counts() -> None:
    found = heatmap(4)
    found.evidence[0, 6, 1] = 2
    assert found.peak_pixel(0, near=(7, 0)) == pytest.approx([32, 17])
    assert found.peak_pixel(0, near=(1, 4)) == pytest.approx(found.peak_pixel(0))


@pytest.mark.parametrize("cell", [(0, 0), (7, 7), (0, 7)])
def test_a_peak_in_a_corner_stays_in_its_cell_and_in_the_image(cell: tuple[int, int]) -> None:
    found = heatmap(-1)
    found.evidence[0][cell] = 1
    row, column = found.peak_pixel(0)
    assert (row, column) == pytest.approx((cell[0] * 5 + 2, 10 + cell[1] * 5 + 2))
    assert 0 <= row < 40
    assert 0 <= column < 60


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"evidence": np.zeros((8, 8), dtype=np.float32)}, "float32"),
        ({"evidence": np.zeros((1, 8, 8))}, "float32"),
        ({"display_scale": 0.0}, "display_scale"),
        ({"floor": 1.0}, "floor"),
    ],
)
def test_an_impossible_heatmap_is_refused(values: dict[str, object], words: str) -> None:
    good = {"evidence": np.zeros((1, 8, 8), dtype=np.float32), "record": RECORD, "display_scale": 1.0}
    with pytest.raises(ValueError, match=words):
        Heatmap(**{**good, **values})  # type: ignore[arg-type]
