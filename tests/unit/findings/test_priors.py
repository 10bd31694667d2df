"""Agreement of evidence with a prior map: what counts, where the body ends, and through which geometry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from radiolucent.findings.priors import Agreement, agreement, inside, learn_prior
from radiolucent.imaging.geometry import Crop, Flip, PixelRecord, Resize
from radiolucent.imaging.heatmap import Heatmap

WHOLE = (0, 0, 64, 64)
LEFT_HALF = np.repeat(np.array([[1, 0]], dtype=np.float32), 8, axis=0).repeat(4, axis=1)


def heatmap(evidence: NDArray[np.float32], *, record: PixelRecord | None = None) -> Heatmap:
    return Heatmap(evidence=evidence, record=record or PixelRecord(source_shape=(64, 64)), display_scale=4.0)


def spot(row: int, column: int, *, frames: int = 1, frame: int = 0, grid: int = 8) -> NDArray[np.float32]:
    evidence = np.zeros((frames, grid, grid), dtype=np.float32)
    evidence[frame, row, column] = 4.0
    return evidence


def test_evidence_where_the_prior_is_agrees_and_elsewhere_does_not() -> None:
    assert agreement(heatmap(spot(3, 1)), LEFT_HALF, WHOLE) == Agreement(value=1.0, in_body=1.0)
    assert agreement(heatmap(spot(3, 6)), LEFT_HALF, WHOLE) == Agreement(value=0.0, in_body=1.0)


def test_shares_are_weighted_by_the_evidence() -> None:
    evidence = spot(3, 1) * 3 + spot(3, 6)
    found = agreement(heatmap(evidence), LEFT_HALF, WHOLE)
    assert found is not None
    assert found.value == pytest.approx(0.75)


def test_evidence_outside_the_body_does_not_agree_wherever_the_prior_reaches() -> None:
    found = agreement(heatmap(spot(0, 0)), np.ones((4, 4), dtype=np.float32), (24, 24, 30, 30))
    assert found == Agreement(value=0.0, in_body=0.0)


def test_a_cell_on_the_border_of_the_body_counts_as_inside() -> None:
    found = agreement(heatmap(spot(2, 4)), np.ones((4, 4), dtype=np.float32), (22, 20, 30, 30))
    assert found == Agreement(value=1.0, in_body=1.0)


def test_what_is_not_drawn_does_not_count() -> None:
    assert agreement(heatmap(spot(3, 6) * np.float32(0.29)), LEFT_HALF, WHOLE) is None
    assert agreement(heatmap(spot(3, 1) - spot(3, 6)), LEFT_HALF, WHOLE) == Agreement(value=1.0, in_body=1.0)


def test_the_way_back_through_flip_crop_and_resize_is_taken() -> None:
    record = PixelRecord(
        source_shape=(64, 128),
        steps=(Crop(top=0, left=64, height=64, width=64), Resize(height=32, width=32), Flip(axis="columns")),
    )
    # the left of the flipped crop is the far right of the source
    prior = np.zeros((1, 8), dtype=np.float32)
    prior[0, 7] = 1
    assert agreement(heatmap(spot(3, 0), record=record), prior, (0, 0, 64, 128)) == Agreement(value=1.0, in_body=1.0)
    assert agreement(heatmap(spot(3, 7), record=record), prior, (0, 0, 64, 128)) == Agreement(value=0.0, in_body=1.0)


def test_a_prior_in_three_dimensions_follows_the_frames() -> None:
    prior = np.zeros((2, 1, 1), dtype=np.float32)
    prior[1] = 1
    low, high = (agreement(heatmap(spot(3, 3, frames=9, frame=frame)), prior, WHOLE) for frame in (1, 7))
    assert (low, high) == (Agreement(value=0.0, in_body=1.0), Agreement(value=1.0, in_body=1.0))


@given(
    evidence=arrays.arrays(np.float32, (2, 6, 6), elements=st.floats(-8, 8, width=32)),
    prior=arrays.arrays(np.float32, (5, 5), elements=st.floats(0, 1, width=32)),
    top=st.integers(-5, 40),
    left=st.integers(-5, 40),
    size=st.integers(1, 64),
)
def test_agreement_is_a_share_and_never_above_the_share_in_the_body(
    evidence: NDArray[np.float32], prior: NDArray[np.float32], top: int, left: int, size: int
) -> None:
    found = agreement(heatmap(evidence), prior, (top, left, size, size))
    if found is None:
        assert evidence.max() < 0.3 * 4.0
    else:
        assert 0 <= found.value <= found.in_body <= 1 + 1e-9


@given(prior=arrays.arrays(np.float32, (5, 5), elements=st.floats(0, 1, width=32)), more=st.floats(0, 1))
def test_a_wider_prior_never_lowers_the_agreement(prior: NDArray[np.float32], more: float) -> None:
    evidence = np.random.default_rng(3).normal(0, 4, (1, 8, 8)).astype(np.float32)
    narrow = agreement(heatmap(evidence), prior, WHOLE)
    wide = agreement(heatmap(evidence), np.maximum(prior, np.float32(more)), WHOLE)
    assert narrow is not None
    assert wide is not None
    assert wide.value >= narrow.value


@pytest.mark.parametrize(("prior", "box"), [(np.zeros(3), WHOLE), (np.ones((2, 2)), (0, 0, 0, 5))])
def test_a_prior_without_a_plane_or_an_empty_body_is_refused(
    prior: NDArray[np.float32], box: tuple[int, int, int, int]
) -> None:
    with pytest.raises(ValueError, match="must"):
        agreement(heatmap(spot(1, 1)), prior.astype(np.float32), box)


def test_a_learned_prior_lies_where_the_lesions_lay_in_the_body() -> None:
    outline = np.zeros((100, 100), dtype=bool)
    outline[30:40, 60:70] = True
    prior = learn_prior([outline, outline], [(20, 20, 60, 60), (20, 20, 60, 60)], shape=(12, 12))
    assert prior.max() == 1.0
    assert prior[2, 8] == 1.0
    assert prior[10, 2] == 0.0
    moved = learn_prior([np.roll(outline, 20, axis=0)], [(40, 20, 60, 60)], shape=(12, 12))
    np.testing.assert_array_equal(moved, prior)


def test_a_prior_without_lesions_is_empty() -> None:
    assert learn_prior([], [], shape=(4, 4)).max() == 0.0


def test_evidence_in_a_mask_is_weighed_by_its_size_with_half_a_cell_of_tolerance() -> None:
    record = PixelRecord(source_shape=(64, 64))
    evidence = np.zeros((1, 8, 8), dtype=np.float32)
    evidence[0, 2, 2], evidence[0, 2, 6], evidence[0, 6, 6] = 3.0, 1.0, 0.1
    made = Heatmap(evidence=evidence, record=record, display_scale=1.0)
    left, beside = np.zeros((64, 64), dtype=bool), np.zeros((64, 64), dtype=bool)
    left[:, :32] = True
    beside[:, :17] = True  # the cell's centre lies at column 19.5, half a cell is 4 pixels
    assert inside(made, left) == pytest.approx(0.75)
    assert inside(made, beside) == pytest.approx(0.75)
    assert inside(made, np.zeros((64, 64), dtype=bool)) == 0.0
    assert inside(replace(made, evidence=np.zeros_like(evidence)), left) is None
