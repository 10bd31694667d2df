"""Real studies through the command: the map sits on the tumour, what is out of scope says why, the zoo is survived."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from PIL import Image
from scipy import ndimage
from typer.testing import CliRunner

from radiolucent.cli.main import app
from radiolucent.cli.rules import stored_readings
from radiolucent.findings.reading import Reading

DATA = os.environ.get("RADIOLUCENT_DATA", "")
SAMPLES = Path(DATA) / "dicom-samples"
pytestmark = pytest.mark.skipif(not DATA or not SAMPLES.is_dir(), reason="needs real images: set RADIOLUCENT_DATA")
runner = CliRunner()


def read(*arguments: str | Path) -> Any:
    return runner.invoke(app, ["read", *[str(argument) for argument in arguments]])


def distance_to_outline_mm(reading: Reading, folder: Path) -> float:
    """From the glioma map's peak to the nearest outlined pixel of the same slice, in mm; 0 inside the outline."""
    series = reading.series[0]
    finding = next(finding for finding in series.findings if finding.name == "glioma")
    assert finding.localisation is not None
    region = finding.localisation.regions[0]
    uid = series.frames[region.frame].sop_instance_uid
    for path in folder.glob("*.dcm"):
        if pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID == uid:
            mask_path = path.with_name(path.name.replace(".dcm", ".mask.png"))
            assert mask_path.exists(), f"the map peaks on slice {path.name}, where nothing is outlined"
            outline = np.asarray(Image.open(mask_path).convert("L")) > 0
            spacing = series.frames[region.frame].spacing_mm
            distances = ndimage.distance_transform_edt(~outline, sampling=spacing)
            row, column = (round(value) for value in region.peak)
            return float(distances[row, column])
    raise AssertionError(f"no file of {folder} holds {uid}")


def test_the_map_of_a_real_glioma_sits_on_the_outlined_tumour(
    tmp_path: Path, record_property: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = SAMPLES / "brain-mr-t1post" / "01" / "19960813"
    result = read(folder, "-o", tmp_path / "x")
    assert result.exit_code == 0, result.stderr
    reading = stored_readings(tmp_path / "x")[0]
    assert reading.findings[0].name == "glioma"
    distance = distance_to_outline_mm(reading, folder)
    record_property("distance_to_outline_mm", distance)
    with capsys.disabled():
        sys.stdout.write(f"\nglioma 01/19960813: peak of the map {distance:.1f} mm from the outlined tumour\n")
    assert distance <= 10


def test_with_its_prior_the_report_shows_both_dates(tmp_path: Path) -> None:
    patient = SAMPLES / "brain-mr-t1post" / "01"
    result = read(patient / "19970117", "-o", tmp_path / "x", "--prior", patient / "19960813")
    assert result.exit_code == 0, result.stderr
    reading = stored_readings(tmp_path / "x")[0]
    assert reading.prior_study_instance_uid
    glioma = next(finding for finding in reading.findings if finding.name == "glioma")
    assert glioma.change in ("larger", "unchanged", "smaller")
    page = (tmp_path / "x" / "report.html").read_text(encoding="utf-8")
    assert "1997-01-17" in page
    assert "1996-08-13" in page
    assert "same absolute scale" in page


def test_a_proton_density_series_without_contrast_is_refused_with_the_reason(tmp_path: Path) -> None:
    result = read(SAMPLES / "brain-mr", "-o", tmp_path / "x")
    assert result.exit_code == 0
    document = json.loads((tmp_path / "x" / "reading.json").read_text(encoding="utf-8"))
    study = document["studies"][0]
    assert study["state"] == "not-read"
    codes = {refusal["code"] for refusal in study["unread"][0]["refusals"]}
    assert "weighting" in codes
    assert any(code.startswith("contrast") for code in codes)
    assert "no finding above threshold" not in result.stdout


def test_the_whole_zoo_is_survived_with_a_reason_for_each_object(tmp_path: Path) -> None:
    result = read(SAMPLES, "-o", tmp_path / "y", "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    read_series = [series for study in document["studies"] for series in study["series"]]
    unread = [series for study in document["studies"] for series in study["unread"]]
    problems = document["problems"] + [problem for study in document["studies"] for problem in study["problems"]]
    assert sum(series["engine"]["name"] == "brain-mri" for series in read_series) == 6
    assert all(series["refusals"] for series in unread)
    assert all(problem["reason"] for problem in problems)
    # every file is accounted for: as a frame of a read or unread series, or by name in a problem
    named = {problem["source"] for problem in problems}
    files = [path for path in SAMPLES.rglob("*") if path.is_file()]
    accounted = sum(len(series["frames"]) for series in read_series) + sum(series["frames"] for series in unread)
    unnamed = [path for path in files if path.relative_to(SAMPLES).as_posix() not in named]
    assert accounted >= len(unnamed)
