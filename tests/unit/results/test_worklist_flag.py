"""Only what is urgent is flagged, in words a list can show, in an object that names no patient in its pixels."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydicom.dataset import Dataset

from radiolucent.findings.judgement import judge
from radiolucent.findings.urgency import level_number
from radiolucent.results.provenance import Provenance
from radiolucent.results.statements import most_urgent
from radiolucent.results.worklist_flag import encode_flag, flag_text
from tests.unit.results.messages import readings

if TYPE_CHECKING:
    from tests.unit.results.cases import Case

Make = Callable[..., "Case"]


@pytest.mark.parametrize("kind", sorted(readings()))
@pytest.mark.parametrize("language", ["en", "de"])
def test_a_flag_stands_for_levels_one_and_two_alone(kind: str, language: str) -> None:
    reading = readings()[kind]
    worst = most_urgent(reading)
    text = flag_text(reading, language=language)
    assert bool(text) == (worst is not None and level_number(worst) <= 2)
    assert len(text) <= 64
    if text and worst:
        assert text.startswith(f"AI {level_number(worst)} ")
    assert "normal" not in text.lower()


@pytest.mark.parametrize("kind", ["cr", "ct"])
def test_the_capture_is_valid_and_its_series_says_the_flag(
    make_case: Make,
    provenance_of: Callable[..., Provenance],
    written: Callable[[Dataset], Dataset],
    tmp_path: Path,
    kind: str,
) -> None:
    case = make_case(kind)
    reading = judge(case.reading, bundle_priors={}, body_boxes={})
    made = encode_flag(reading, case.stack, provenance_of(case))
    assert made is not None
    back = written(made)
    assert back.SeriesDescription == flag_text(reading)
    assert back.SeriesNumber == 9200
    assert back.pixel_array.max() > 100
    again = encode_flag(reading, case.stack, provenance_of(case))
    assert again is not None
    assert back == written(again)
    if shutil.which("dciodvfy"):
        made.save_as(tmp_path / "flag.dcm", enforce_file_format=True)
        done = subprocess.run(["dciodvfy", "-new", str(tmp_path / "flag.dcm")], capture_output=True, timeout=120)
        assert [line for line in done.stderr.decode().splitlines() if line.startswith("Error")] == []


def test_without_anything_urgent_there_is_no_flag(make_case: Make, provenance_of: Callable[..., Provenance]) -> None:
    case = make_case("cr")
    assert encode_flag(readings()["negative"], case.stack, provenance_of(case)) is None
