"""Comparison with the prior: the same engine only, tolerances from the table, and numbers in the note."""

from __future__ import annotations

from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.findings.change import (
    ChangeResult,
    compare_readings,
    default_change,
    grew,
    site_change,
    three_digits,
)
from radiolucent.findings.reading import EngineRef, Finding, Localisation, Reading, Region
from radiolucent.findings.tables import InvalidTable
from radiolucent.imaging.registration import Alignment

MakeFinding = Callable[..., Finding]
MakeReading = Callable[..., Reading]
MakeRegion = Callable[..., Region]
MakeLocalisation = Callable[..., Localisation]
TABLE = default_change()
AMOUNT = st.floats(0.1, 500)


@pytest.fixture(scope="session")
def sized(a_finding: MakeFinding, a_region: MakeRegion, a_localisation: MakeLocalisation) -> MakeFinding:
    def make(name: str = "glioma", place: dict[str, Any] | None = None, **region: Any) -> Finding:
        return a_finding(name, localisation=a_localisation(a_region(**region), **(place or {})))

    return make


def changed(current: Reading, prior: Reading, *, alignment: Alignment | None = None) -> ChangeResult:
    keys = (current.series[0].key, prior.series[0].key)
    results = compare_readings(current, prior, table=TABLE, alignments={keys: alignment} if alignment else None)
    assert len(results) == 1
    return next(iter(results.values()))


@pytest.mark.parametrize(
    ("before", "now", "level"),
    [(10.0, 14.0, "larger"), (10.0, 13.9, "unchanged"), (14.0, 10.0, "smaller"), (14.0, 10.1, "unchanged")],
)
def test_a_tumour_grows_from_forty_per_cent_of_volume(
    sized: MakeFinding, a_reading: MakeReading, before: float, now: float, level: str
) -> None:
    result = changed(a_reading(sized(volume_ml=now)), a_reading(sized(volume_ml=before)))
    assert result.level == level
    assert f"{three_digits(before)} → {three_digits(now)} ml" in result.note
    assert "[wen-2023]" in result.note


@pytest.mark.parametrize(("now", "level"), [(750.0, "unchanged"), (1250.0, "larger"), (790.0, "unchanged")])
def test_without_volumes_areas_are_compared(sized: MakeFinding, a_reading: MakeReading, now: float, level: str) -> None:
    before = a_reading(sized(volume_ml=None, area_mm2=700.0))
    result = changed(a_reading(sized(volume_ml=None, area_mm2=now)), before)
    assert result.level == level
    assert "mm²" in result.note


def test_a_difference_within_one_cell_of_the_map_is_no_change(sized: MakeFinding, a_reading: MakeReading) -> None:
    # one of 8 x 8 cells over 64 pixels of 2.5 mm is 400 mm²
    result = changed(a_reading(sized(volume_ml=None, area_mm2=900.0)), a_reading(sized(volume_ml=None, area_mm2=600.0)))
    assert result.level == "unchanged"
    assert "within one cell of the map (4e+02 mm²)" in result.note


def test_a_haematoma_grows_by_six_millilitres_as_well(sized: MakeFinding, a_reading: MakeReading) -> None:
    name = "intraparenchymal-haemorrhage"
    before = a_reading(sized(name, volume_ml=40.0))
    assert changed(a_reading(sized(name, volume_ml=46.0)), before).level == "larger"
    assert changed(a_reading(sized(name, volume_ml=45.0)), before).level == "unchanged"


def test_without_a_size_on_both_nothing_is_compared(sized: MakeFinding, a_reading: MakeReading) -> None:
    unsized = a_reading(sized(volume_ml=None, area_mm2=None))
    assert changed(unsized, unsized).level == "not-compared"


def test_new_and_resolved_say_how_far_below_the_threshold(
    sized: MakeFinding, a_finding: MakeFinding, a_reading: MakeReading
) -> None:
    absent = a_reading(a_finding(positive=False, probability=0.31))
    present = a_reading(sized())
    assert changed(present, absent) == ChangeResult(
        level="new", note="before below its threshold (probability 0.31, threshold 0.50)"
    )
    assert changed(absent, present) == ChangeResult(
        level="resolved", note="above its threshold before, now below its threshold (probability 0.31, threshold 0.50)"
    )
    assert changed(absent, absent) == ChangeResult(level=None)


def test_just_below_the_threshold_is_neither_new_nor_resolved(
    sized: MakeFinding, a_finding: MakeFinding, a_reading: MakeReading
) -> None:
    nearly, present = a_reading(a_finding(positive=False, probability=0.45)), a_reading(sized())
    appeared, gone = changed(present, nearly), changed(nearly, present)
    assert (appeared.level, gone.level) == ("not-compared", "not-compared")
    assert "just below its threshold (probability 0.45, threshold 0.50), so that it is not clearly new" in appeared.note
    assert gone.note.endswith("so that it is not clearly resolved")


def test_an_uncalibrated_finding_is_compared_by_score_and_says_so(
    sized: MakeFinding, a_finding: MakeFinding, a_reading: MakeReading
) -> None:
    absent = a_reading(a_finding(positive=False, probability=None, score=0.3))
    assert "score 0.30" in changed(a_reading(sized()), absent).note


@pytest.mark.parametrize(
    ("engine", "words"),
    [
        (EngineRef(name="brain-mri", version="0.9.0", digest="ab" * 32), "prior by brain-mri@0.9.0, this study by"),
        (EngineRef(name="brain-mri", version="1.0.0", digest="cd" * 32), "with other weights"),
    ],
)
def test_another_engine_version_is_stated_and_not_compared(
    sized: MakeFinding, a_finding: MakeFinding, a_reading: MakeReading, engine: EngineRef, words: str
) -> None:
    prior = a_reading(sized(), series_changes={"engine": engine})
    result = changed(a_reading(sized()), prior)
    assert result.level == "not-compared"
    assert words in result.note
    assert changed(a_reading(a_finding(positive=False)), prior).level is None


def test_a_prior_that_was_not_read_for_it_is_stated(sized: MakeFinding, a_reading: MakeReading) -> None:
    result = changed(a_reading(sized()), a_reading(sized("meningioma")))
    assert result == ChangeResult(level="not-compared", note="the prior study was not read for this finding")
    other_modality = a_reading(sized(), series_changes={"modality": "CT"})
    assert changed(a_reading(sized()), other_modality).level == "not-compared"


def test_the_other_side_is_a_new_finding(sized: MakeFinding, a_reading: MakeReading) -> None:
    before = a_reading(sized(place={"laterality": "right"}))
    assert changed(a_reading(sized()), before) == ChangeResult(level="new", note="left now, right before")


def an_alignment(shift_mm: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Alignment:
    to_current = np.eye(4)
    to_current[:3, 3] = shift_mm
    return Alignment(to_current=to_current, correlation=0.9, turn_degrees=0.0, shift_mm=float(np.linalg.norm(shift_mm)))


def test_another_place_counts_only_when_the_studies_are_registered(sized: MakeFinding, a_reading: MakeReading) -> None:
    before, now = a_reading(sized(centroid_mm=(35.0, -30.0, 60.0))), a_reading(sized())
    result = changed(now, before, alignment=an_alignment())
    assert result.level == "new"
    assert result.note == "40 mm from its place before; registered: turned 0°, moved 0 mm, correlation 0.90"
    unregistered = changed(now, before)
    assert unregistered.level == "unchanged"
    assert unregistered.note.endswith("not registered: total size compared")


def test_the_place_before_is_moved_along_with_the_head(sized: MakeFinding, a_reading: MakeReading) -> None:
    before, now = a_reading(sized(centroid_mm=(35.0, -30.0, 60.0))), a_reading(sized())
    (here,) = (region.centroid_mm for region in now.findings[0].localisation.regions)  # type: ignore[union-attr]
    shift = tuple(float(a - b) for a, b in zip(here or (), (35.0, -30.0, 60.0), strict=True))
    result = changed(now, before, alignment=an_alignment(shift))  # type: ignore[arg-type]
    assert result.level == "unchanged"
    assert "registered: turned 0°, moved 40 mm" in result.note


def test_the_series_with_the_same_description_is_compared(sized: MakeFinding, a_reading: MakeReading) -> None:
    first = a_reading(sized(volume_ml=50.0), series_changes={"description": "T1 other"})
    prior = a_reading(series=(*first.series, *a_reading(sized()).series))
    assert changed(a_reading(sized()), prior).level == "unchanged"


@given(before=AMOUNT, now=AMOUNT, relative=st.floats(0.05, 2), noise=st.floats(0, 5))
def test_swapping_both_studies_swaps_larger_and_smaller(
    before: float, now: float, relative: float, noise: float
) -> None:
    for absolute in (None, 6.0):
        forth = grew(before, now, relative=relative, absolute=absolute, noise=noise)
        assert forth == -grew(now, before, relative=relative, absolute=absolute, noise=noise)
        assert forth in {-1, 0, 1}
        assert forth * (now - before) >= 0


@given(before=AMOUNT, growth=st.floats(0, 100), more=st.floats(0, 100))
def test_more_growth_is_never_less_of_a_change(before: float, growth: float, more: float) -> None:
    small = grew(before, before + growth, relative=0.25, absolute=None, noise=0.5)
    assert grew(before, before + growth + more, relative=0.25, absolute=None, noise=0.5) >= small


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ('findings = ["*"]', 'findings = ["nodule"]', "last row"),
        ('"meningioma"', '"glioma"', "twice or unknown: glioma"),
        ('"meningioma"', '"menigioma"', "twice or unknown: menigioma"),
    ],
)
def test_a_site_table_with_a_fault_is_refused(tmp_path: Path, before: str, after: str, why: str) -> None:
    packaged = resources.files("radiolucent.findings").joinpath("tables", "change.toml").read_text(encoding="utf-8")
    path = tmp_path / "change.toml"
    path.write_text(packaged.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(InvalidTable, match=why):
        site_change(path)


def test_a_large_size_is_written_out() -> None:
    assert [three_digits(value) for value in (17012.0, 999.9, 0.5, 0.0)] == ["17000", "1000", "0.5", "0"]
