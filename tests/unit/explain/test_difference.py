"""What has changed between two maps: 0 where both agree through the registration, the whole focus where one is new."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from radiolucent.explain.difference import difference
from radiolucent.findings.reading import Finding, SeriesReading
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.registration import Alignment
from tests.unit.findings.conftest import RECORD, SLICES, make_finding, make_series


def moved_by(*shift_mm: float) -> Alignment:
    matrix = np.eye(4)
    matrix[:3, 3] = shift_mm
    return Alignment(to_current=matrix, correlation=1.0, turn_degrees=0.0, shift_mm=0.0)


def a_map(*cells: tuple[int, int, int]) -> NDArray[np.float32]:
    values = np.full((SLICES, 8, 8), -1, dtype=np.float32)
    for cell in cells:
        values[cell] = 4.0
    return values


def a_pair(evidence: NDArray[np.float32]) -> tuple[Finding, SeriesReading]:
    finding = make_finding(heatmap=Heatmap(evidence=evidence, record=RECORD, display_scale=4.0))
    return finding, make_series(finding)


def test_the_same_map_has_not_changed() -> None:
    same = a_pair(a_map((4, 3, 3)))
    assert np.abs(difference(same, same, moved_by(0, 0, 0))).max() == 0


def test_a_new_focus_is_its_whole_evidence_and_one_that_is_gone_is_negative() -> None:
    now, before = a_pair(a_map((4, 3, 3))), a_pair(a_map((4, 6, 6)))
    found = difference(now, before, moved_by(0, 0, 0))
    assert found[4, 3, 3] == pytest.approx(4.0)
    assert found[4, 6, 6] == pytest.approx(-4.0)
    assert np.count_nonzero(found) == 2


@given(st.integers(0, 3), st.integers(0, 3), st.integers(0, 3))
def test_a_prior_that_lay_elsewhere_is_brought_back(slices: int, rows: int, columns: int) -> None:
    # slices are 6 mm apart, a cell is 8 pixels of 2.5 mm
    now, before = a_pair(a_map((5, 4, 4))), a_pair(a_map((5 - slices, 4 - rows, 4 - columns)))
    found = difference(now, before, moved_by(20.0 * columns, 20.0 * rows, 6.0 * slices))
    assert np.abs(found).max() == pytest.approx(0, abs=1e-5)


def test_where_the_prior_does_not_reach_nothing_is_said() -> None:
    now, before = a_pair(a_map((9, 3, 3))), a_pair(a_map())
    found = difference(now, before, moved_by(0, 0, -30.0))
    assert np.abs(found).max() == 0


def test_maps_of_two_versions_do_not_compare() -> None:
    finding, series = a_pair(a_map((4, 3, 3)))
    other = replace(series, engine=replace(series.engine, version="2.0.0"))
    with pytest.raises(ValueError, match="don't compare"):
        difference((finding, series), (finding, other), moved_by(0, 0, 0))


def test_slices_without_a_place_do_not_compare() -> None:
    finding, series = a_pair(a_map((4, 3, 3)))
    lost = replace(series, frames=tuple(replace(frame, plane=None) for frame in series.frames))
    with pytest.raises(ValueError, match="placed slices"):
        difference((finding, lost), (finding, series), moved_by(0, 0, 0))
