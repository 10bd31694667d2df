"""How far two maps agree, on cases that can be counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from radiolucent.explain.agreement import agreement_of, common, rank_correlation, top_overlap
from radiolucent.explain.explanation import METHODS, Explanation
from radiolucent.imaging.geometry import PixelRecord

RAMP = np.arange(144, dtype=np.float32).reshape(12, 12)


def made(method: str, values: np.ndarray, **changes: object) -> Explanation:
    facts: dict[str, object] = {"finding": "glioma", "frame": 0, "logit": 1.0, "display_scale": 1.0}
    record = PixelRecord(source_shape=(48, 48))
    return Explanation(method=METHODS[method], values=values, record=record, **{**facts, **changes})  # type: ignore[arg-type]


def test_a_map_agrees_with_itself_and_not_with_its_reverse() -> None:
    (same,) = agreement_of([made("rise", RAMP), made("shap", RAMP * 2)])
    assert (same.first, same.second) == ("rise", "shap")
    assert same.rank_correlation == pytest.approx(1)
    assert same.overlap == 1
    (other,) = agreement_of([made("rise", RAMP), made("shap", RAMP.max() - RAMP)])
    assert other.rank_correlation == pytest.approx(-1)
    assert other.overlap == 0


def test_what_speaks_against_the_finding_plays_no_part() -> None:
    faded = np.where(RAMP > 100, RAMP - 100, (100 - RAMP) * np.float32(-1e-3)).astype(np.float32)
    fallen = np.where(RAMP > 100, RAMP - 100, RAMP - 200).astype(np.float32)
    assert rank_correlation(faded, fallen) == 1
    assert rank_correlation(faded, np.where(RAMP > 100, RAMP - 100, -RAMP)) == 1
    assert math.isnan(rank_correlation(RAMP, -RAMP))


def test_the_overlap_is_that_of_the_strongest_tenth() -> None:
    first, second = np.zeros((4, 5)), np.zeros((4, 5))
    first[0, :2], second[0, 1:3] = 1, 1  # two cells each, one in common: 1 of 3
    assert top_overlap(first, second) == pytest.approx(1 / 3)


def test_a_flat_map_has_no_rank() -> None:
    assert math.isnan(rank_correlation(np.ones((2, 2)), np.eye(2)))


def test_grids_of_different_sizes_meet_on_a_common_one() -> None:
    large = np.kron(RAMP, np.ones((4, 4), dtype=np.float32))
    np.testing.assert_allclose(common(large), RAMP)
    small = np.array([[0, 1], [2, 3]], dtype=np.float32)
    assert common(small)[0].tolist() == [0] * 6 + [1] * 6


def test_maps_of_two_findings_or_frames_are_not_compared() -> None:
    with pytest.raises(ValueError, match="one finding on one frame"):
        agreement_of([made("rise", RAMP), made("shap", RAMP, frame=1)])
