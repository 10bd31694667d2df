"""The parts of the benchmark that can be known by hand: places, the page, the same code on any device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.__main__ import other_sections
from bench.explain import PARTS, write
from bench.pointing import figures
from bench.sections import Section
from radiolucent.evaluate.explanation_release import ReleaseCase
from radiolucent.imaging.geometry import PixelRecord


def case(row: int, column: int) -> ReleaseCase:
    mask = np.zeros((32, 32), dtype=bool)
    mask[row : row + 8, column : column + 8] = True
    image = mask[None].astype(np.float32)
    record = PixelRecord(source_shape=(32, 32))
    return ReleaseCase(finding="glioma", image=image, record=record, mask=mask, centre=(16, 16), spacing_mm=(2.0, 2.0))


def test_a_map_that_is_the_outline_hits_at_no_distance_with_full_overlap() -> None:
    found = figures(lambda one, _: one.image[0], [case(2, 2), case(20, 16)], ["glioma"])
    assert found.hits == (True, True)
    assert found.mm == pytest.approx((0, 0))
    assert found.overlaps == (1.0, 1.0)
    assert found.masses == (1.0, 1.0)


def test_a_map_that_lies_eight_cells_to_the_right_is_off_by_as_many_millimetres() -> None:
    found = figures(lambda one, _: np.roll(one.image[0], 8, axis=1), [case(2, 2)], ["glioma"])
    assert (found.hits, found.overlaps) == ((False,), (0.0,))
    assert found.mm == pytest.approx((16.0,))


def test_an_empty_map_hits_nothing_and_is_nowhere() -> None:
    found = figures(lambda one, _: -one.image[0], [case(2, 2)], ["glioma"])
    assert (found.hits, found.overlaps, found.mm) == ((False,), (0.0,), (float("inf"),))


def test_the_sections_are_written_between_their_marks_and_the_rest_stays(tmp_path: Path) -> None:
    page = tmp_path / "benchmarks.md"
    page.write_text("# Benchmarks\n\nhead\n", encoding="utf-8")
    write(page, "first")
    write(page, "second")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("# Benchmarks\n\nhead\n")
    assert "first" not in text
    assert text.count("second") == 1
    assert other_sections(page).strip().splitlines()[1] == "second"


def test_a_section_without_rows_is_its_words() -> None:
    section = Section(title="On a GPU", words="Not measured.", header=(), rows=(), data={})
    assert section.lines(3) == ["### On a GPU", "", "Not measured."]


def test_the_series_on_a_gpu_runs_the_same_code_on_any_device() -> None:
    pytest.importorskip("torch", reason="needs torch: make torch")
    from bench import cuda

    found = cuda.measure("cpu", rounds=1, slices=4, side=64, full=96, batch=2)
    assert [len(row) for row in found.rows] == [3, 3, 3]
    assert "4 slices of 64 × 64, 6 classes" in found.words
    assert "cuda" in PARTS
