"""What a notebook shows of a reading: every finding, each positive one's picture, what was not read, no patient."""

from __future__ import annotations

import re
from base64 import b64decode
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import radiolucent as rl
from radiolucent.errors import SetupError
from radiolucent.findings.reading import Localisation, Reading
from radiolucent.phantom.studies import make_study


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A phantom whose tumour the engine finds."""
    folder: Path = tmp_path_factory.mktemp("study")
    make_study("brain-mr", ["meningioma"], seed=1, slices=12).save(folder)
    return folder


@pytest.fixture(scope="module")
def reading(study: Path) -> Reading:
    found: Reading = rl.read(study, engines=["brain-mri"])
    return found


def pictures(html: str) -> list[np.ndarray]:
    coded = re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    return [np.asarray(Image.open(BytesIO(b64decode(one))).convert("RGB")).astype(int) for one in coded]


def test_every_positive_finding_stands_there_with_its_map_in_colour(study: Path, reading: Reading) -> None:
    html = rl.show(reading, study)._repr_html_()
    positives = [one for one in reading.findings if one.positive]
    assert len(pictures(html)) == len(positives) > 0
    assert np.ptp(pictures(html)[0], axis=2).max() > 60  # colour on grey
    assert "Meningioma: brain-mri@" in html
    assert "· show" in html
    assert all(one.name in html for one in reading.findings)
    assert "Not for clinical use" in html


def test_a_map_that_is_held_back_is_not_drawn_and_says_why(study: Path, reading: Reading) -> None:
    (series,) = reading.series
    held = Localisation(status="failed", reason="held back by the quality gate: <it>")
    findings = tuple(replace(one, localisation=held) if one.positive else one for one in series.findings)
    html = rl.show(replace(reading, series=(replace(series, findings=findings),)), study).html
    assert np.ptp(pictures(html)[0], axis=2).max() < 10  # grey alone
    assert "without its map" in html


def test_it_is_saved_as_a_page_that_names_no_patient(study: Path, reading: Reading, tmp_path: Path) -> None:
    page = rl.show(reading, study).save(tmp_path / "reading.html").read_text(encoding="utf-8")
    header = rl.load(study).studies[0].header
    assert page.startswith("<!doctype html>")
    assert str(header.PatientName) not in page
    assert str(header.PatientID) not in page
    assert reading.study_instance_uid not in page


def test_another_study_is_refused(reading: Reading, tmp_path: Path) -> None:
    make_study("brain-mr", [], seed=9, slices=3).save(tmp_path)
    with pytest.raises(SetupError, match="doesn't hold the study of this reading"):
        rl.show(reading, tmp_path)
