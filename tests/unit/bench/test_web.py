"""The section of the reading room: what is shipped is counted, and the page keeps every section."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from pydicom import dcmread

from bench.__main__ import other_sections
from bench.web import GOAL_KB, a_radiograph, page, shipped, spread, write


def test_our_scripts_are_counted_and_stay_below_their_goal() -> None:
    counted = shipped()
    own, vendored, styles = (row[0] for row in counted.rows)
    assert (own, vendored, styles) == ("our scripts", "htmx", "our styles")
    assert counted.data["met"] is True
    assert 0 < float(counted.rows[0][3]) < GOAL_KB


def test_a_section_takes_its_own_place_and_no_other(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.md"
    explained = "<!-- bench-explain -->\nmaps\n<!-- /bench-explain -->\n"
    path.write_text(f"# Benchmarks\n\n{explained}", encoding="utf-8")
    for text in ("first", "second"):
        write(path, text)
    told = path.read_text(encoding="utf-8")
    assert "first" not in told
    assert told.count("second") == told.count("maps") == 1


def test_the_other_benchmark_keeps_the_section(tmp_path: Path) -> None:
    path = tmp_path / "benchmarks.md"
    write(path, page([shipped()], {"cores": "2"}))
    kept = other_sections(path)
    assert "## The reading room in a browser" in kept
    assert kept.rstrip().endswith("<!-- /bench-web -->")


def test_each_radiograph_is_a_study_of_its_own() -> None:
    first, second = (dcmread(io.BytesIO(a_radiograph())) for _ in range(2))
    assert first.StudyInstanceUID != second.StudyInstanceUID
    assert first.file_meta.MediaStorageSOPInstanceUID == first.SOPInstanceUID
    assert first.PixelData == second.PixelData


@pytest.mark.parametrize(
    ("values", "words"), [([1.0], "1.00"), ([1.0, 2.0, 3.0], "2.00 (1.50 to 2.50)")], ids=["one", "three"]
)
def test_a_spread_is_median_and_quartiles(values: list[float], words: str) -> None:
    assert spread(values) == words
