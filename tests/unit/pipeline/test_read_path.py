"""What is read beside what: the prior must fit, the order of files must not matter, no failed engine goes unsaid."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.uid import UID

from radiolucent.phantom.studies import make_study
from radiolucent.pipeline.output import write_readings
from radiolucent.pipeline.read_path import read_path


def save(folder: Path, *, first: int = 0, root: str = "", **changes: str) -> Path:
    """A small study whose files are named from `first` on; with another study's UIDs where a root is given."""
    folder.mkdir(exist_ok=True)
    for index, dataset in enumerate(make_study("brain-mr", ("meningioma",), seed=3, rows=96, slices=8).datasets):
        if root:
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = UID(root), UID(f"{root}.1")
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = UID(f"{root}.1.{index}")
        for keyword, content in changes.items():
            setattr(dataset, keyword, content)
        dataset.save_as(folder / f"{first + index:03d}.dcm", enforce_file_format=True)
    return folder


@pytest.mark.parametrize(
    "changes",
    [{}, {"root": "1.2.9", "PatientID": "SOMEBODY-ELSE"}, {"root": "1.2.9", "StudyDate": "20991231"}],
    ids=["the same study", "another patient", "a later study"],
)
def test_a_prior_that_does_not_fit_is_not_used_and_said(
    changes: dict[str, Any], tmp_path: Path, bright_spots: Callable[..., Any]
) -> None:
    result = read_path(save(tmp_path / "now"), [bright_spots()], prior=save(tmp_path / "prior", **changes))
    assert result.results[0].prior_study is None
    assert [problem.code for problem in result.readings[0].problems] == ["prior-not-used"]
    assert "SOMEBODY" not in result.readings[0].problems[0].reason


def test_an_earlier_study_of_the_patient_is_used(tmp_path: Path, bright_spots: Callable[..., Any]) -> None:
    prior = save(tmp_path / "prior", root="1.2.9", StudyDate="19500101")
    result = read_path(save(tmp_path / "now"), [bright_spots()], prior=prior)
    assert result.results[0].prior_study is not None
    assert result.readings[0].problems == ()


def test_the_order_of_studies_does_not_hang_on_file_names(tmp_path: Path, bright_spots: Callable[..., Any]) -> None:
    for name, (one, other) in {"a": (0, 50), "b": (50, 0)}.items():
        save(save(tmp_path / name, first=one), first=other, root="1.2.9")
    orders = [
        [reading.study_instance_uid for reading in read_path(tmp_path / name, [bright_spots()]).readings]
        for name in ("a", "b")
    ]
    assert len(orders[0]) == 2
    assert orders[0] == orders[1]


def test_an_engine_that_fails_where_another_reads_is_said(tmp_path: Path, bright_spots: Callable[..., Any]) -> None:
    reading = read_path(save(tmp_path / "now"), [bright_spots(), bright_spots(broken=True)]).readings[0]
    assert len(reading.series) == 1
    assert [problem.code for problem in reading.problems] == ["engine-failed"]
    assert "bright-spots" in reading.problems[0].reason


def test_two_engines_on_one_series_each_write_their_own_pictures(
    tmp_path: Path, bright_spots: Callable[..., Any]
) -> None:
    one, other = bright_spots(), bright_spots()
    manifest = other.bundle.manifest
    other.bundle = replace(other.bundle, manifest=manifest.model_copy(update={"name": "other-engine"}))
    result = read_path(save(tmp_path / "now"), [one, other])
    write_readings(result, tmp_path / "out", made_at=datetime(2026, 11, 21, tzinfo=UTC))
    drawn = [pydicom.dcmread(path) for path in sorted((tmp_path / "out" / "dicom").rglob("*-overlay-*.dcm"))]
    assert len(drawn) >= 2
    assert len({item.PixelData for item in drawn}) == len(drawn)  # the legend names the engine
