"""``radiolucent read`` as a person runs it: a study in, a folder out; or a clear error and no folder at all."""

import json
import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pydicom
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from radiolucent.cli.main import app
from radiolucent.phantom.studies import PhantomStudy, make_study

SCHEMA = json.loads(files("radiolucent.results").joinpath("reading.schema.json").read_text(encoding="utf-8"))
SMALL: dict[str, Any] = {"slices": 10}
runner = CliRunner()


def read(*arguments: str | Path) -> Result:
    return runner.invoke(app, ["read", *[str(argument) for argument in arguments]])


@pytest.fixture(scope="module")
def phantom() -> PhantomStudy:
    return make_study("brain-mr", ("glioma",), seed=5, **SMALL)


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory, phantom: PhantomStudy) -> Path:
    folder = tmp_path_factory.mktemp("phantom") / "study"
    phantom.save(folder)
    for other in [path for path in folder.iterdir() if path.suffix != ".dcm"]:
        other.unlink()
    return folder


@pytest.fixture(scope="module")
def done(study: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    out = tmp_path_factory.mktemp("out") / "reading"
    return read(study, "-o", out), out


def test_a_study_gives_report_json_maps_and_objects(done: tuple[Result, Path]) -> None:
    result, out = done
    assert result.exit_code == 0, result.stderr
    assert {path.name for path in out.iterdir()} == {"report.html", "reading.json", "evidence.npz", "dicom", "insight"}
    document = json.loads((out / "reading.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, SCHEMA)
    assert document["studies"][0]["state"] == "read"


def test_every_finding_has_a_line_with_its_threshold(done: tuple[Result, Path]) -> None:
    result, _ = done
    for name in ("Glioma", "Meningioma", "Pituitary tumour"):
        lines = [line for line in result.stdout.splitlines() if line.strip().startswith(name)]
        assert len(lines) == 1
        assert "threshold" in lines[0]
    assert "Not for clinical use." in result.stdout


def test_the_maps_add_up_to_the_scores(done: tuple[Result, Path]) -> None:
    document = json.loads((done[1] / "reading.json").read_text(encoding="utf-8"))
    completeness = document["studies"][0]["series"][0]["completeness"]
    assert completeness["largest_difference"] <= completeness["tolerance"] == 1e-4


def test_every_object_is_readable_and_belongs_to_the_study(done: tuple[Result, Path], phantom: PhantomStudy) -> None:
    objects = [pydicom.dcmread(path) for path in sorted((done[1] / "dicom").rglob("*.dcm"))]
    assert {item.StudyInstanceUID for item in objects} == {phantom.datasets[0].StudyInstanceUID}
    assert len({item.SOPInstanceUID for item in objects}) == len(objects) >= 2
    assert {item.Modality for item in objects} >= {"SR", "KO"}


def test_a_zip_reads_like_its_folder(study: Path, done: tuple[Result, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
        for path in study.iterdir():
            archive.write(path, path.name)
    result = read(tmp_path / "study.zip", "-o", tmp_path / "out", "--json")
    assert result.exit_code == 0
    folder = json.loads((done[1] / "reading.json").read_text(encoding="utf-8"))
    logits = [
        [finding["logit"] for finding in one["studies"][0]["series"][0]["findings"]]
        for one in (folder, json.loads(result.stdout))
    ]
    assert logits[0] == logits[1]


def test_json_goes_to_stdout_alone(study: Path, tmp_path: Path) -> None:
    result = read(study, "-o", tmp_path / "out", "--json")
    assert json.loads(result.stdout) == json.loads((tmp_path / "out" / "reading.json").read_text(encoding="utf-8"))


def test_one_broken_file_is_said_and_the_rest_is_read(study: Path, tmp_path: Path) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    for path in study.iterdir():
        (mixed / path.name).write_bytes(path.read_bytes())
    (mixed / "broken.dcm").write_bytes(next(study.iterdir()).read_bytes()[:700])
    result = read(mixed, "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert "broken.dcm" in result.stderr
    assert "broken.dcm" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_a_series_without_contrast_is_not_read_and_says_why_with_exit_0(phantom: PhantomStudy, tmp_path: Path) -> None:
    for index, dataset in enumerate(make_study("brain-mr", ("glioma",), seed=5, **SMALL).datasets):
        dataset.ContrastBolusAgent = ""
        dataset.SeriesDescription = "AX T1 PRE"
        (tmp_path / "study").mkdir(exist_ok=True)
        dataset.save_as(tmp_path / "study" / f"{index}.dcm", enforce_file_format=True)
    result = read(tmp_path / "study", "-o", tmp_path / "out")
    assert result.exit_code == 0
    assert "not read" in result.stdout
    assert "contrast" in result.stdout
    text = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Not read" in text
    assert "normal" not in text.lower()


def test_another_body_part_is_not_read_and_says_why_with_exit_0(tmp_path: Path) -> None:
    make_study("head-ct", ("subdural-haemorrhage",), seed=2, slices=16).save(tmp_path / "study")
    result = read(tmp_path / "study", "-o", tmp_path / "out", "--engine", "brain-mri")
    assert result.exit_code == 0
    assert "reads MR; this is CT" in result.stdout


def save_as_part(study: PhantomStudy, part: str, folder: Path) -> Path:
    """Write a study whose header names another part of the body than its pixels show."""
    folder.mkdir()
    for index, dataset in enumerate(study.datasets):
        for keyword in ("AnatomicRegionSequence", "StudyDescription", "SeriesDescription"):
            if keyword in dataset:
                delattr(dataset, keyword)
        dataset.BodyPartExamined = part
        dataset.save_as(folder / f"{index}.dcm", enforce_file_format=True)
    return folder


@pytest.mark.parametrize(("kind", "site"), [("bone-xr", {"site": "spine"}), ("chest-xr", {})])
def test_a_film_of_the_trunk_under_the_header_of_a_limb_is_not_read(
    kind: str, site: dict[str, Any], tmp_path: Path
) -> None:
    study = save_as_part(make_study(kind, (), seed=7, rows=512, **site), "KNEE", tmp_path / "study")
    result = read(study, "-o", tmp_path / "out")
    assert result.exit_code == 0
    shown = site.get("site", "chest")
    assert f"looks like a film of the {shown}" in " ".join(result.stdout.split())
    document = json.loads((tmp_path / "out" / "reading.json").read_text(encoding="utf-8"))
    assert document["studies"][0]["series"] == []
    codes = {refusal["code"] for refusal in document["studies"][0]["unread"][0]["refusals"]}
    assert "site" in codes


def test_a_limb_under_another_limbs_header_is_read_and_the_difference_stands_in_the_report(tmp_path: Path) -> None:
    knee = make_study("bone-xr", ("displaced-fracture",), seed=7, rows=512, site="knee")
    result = read(save_as_part(knee, "WRIST", tmp_path / "study"), "-o", tmp_path / "out")
    assert result.exit_code == 0, result.stderr
    note = "the header says wrist, the picture looks like a film of the leg"
    [series] = json.loads((tmp_path / "out" / "reading.json").read_text(encoding="utf-8"))["studies"][0]["series"]
    assert any(line.startswith(note) for line in series["notes"])
    assert note in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    right = read(save_as_part(knee, "KNEE", tmp_path / "right"), "-o", tmp_path / "knee")
    assert right.exit_code == 0
    assert note not in (tmp_path / "knee" / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["empty", "text", "truncated", "photo", "one-pixel", "missing", "empty-folder"])
def test_what_is_no_study_ends_in_a_clear_error_and_leaves_no_folder(kind: str, study: Path, tmp_path: Path) -> None:
    path = tmp_path / "input"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("Dear colleague,\n" * 40, encoding="utf-8")
    elif kind == "truncated":
        path.write_bytes(next(study.iterdir()).read_bytes()[:3000])
    elif kind == "photo":
        noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path, format="JPEG")
    elif kind == "one-pixel":
        dataset = pydicom.dcmread(next(study.iterdir()))
        dataset.Rows, dataset.Columns, dataset.PixelData = 1, 1, b"\x01\x00"
        dataset.save_as(path, enforce_file_format=True)
    elif kind == "empty-folder":
        path.mkdir()
    result = read(path, "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.strip().splitlines()) == 1
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "out").exists()
    assert [item.name for item in tmp_path.iterdir() if item.name.startswith(".")] == []


def test_an_existing_folder_is_wrong_use_and_is_left_alone(study: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    result = read(study, "-o", tmp_path / "out")
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_an_unknown_engine_is_wrong_use_and_says_which_there_are(study: Path, tmp_path: Path) -> None:
    result = read(study, "-o", tmp_path / "out", "--engine", "no-such")
    assert result.exit_code == 2
    assert "brain-mri" in result.stderr


def test_thresholds_of_another_version_stop_everything_before_anything_is_read(study: Path, tmp_path: Path) -> None:
    (tmp_path / "thresholds.toml").write_text(
        'site = "north"\n[[engines]]\nname = "brain-mri"\nversion = "0.0.1"\ndigest = ""\npurpose = "triage"\n'
        'set_by = "lead"\nset_on = 2026-11-01\nreason = "old"\n[engines.thresholds]\nglioma = 0.4\n',
        encoding="utf-8",
    )
    result = read(study, "-o", tmp_path / "out", "--thresholds", tmp_path / "thresholds.toml")
    assert result.exit_code == 2
    assert "0.0.1" in result.stderr
    assert not (tmp_path / "out").exists()


def test_where_localisation_is_off_no_map_leaves_in_any_format(study: Path, tmp_path: Path) -> None:
    (tmp_path / "profile.toml").write_text(
        'version = "1"\nsite = "north"\ndefault = "case-level"\n[findings]\n', encoding="utf-8"
    )
    result = read(study, "-o", tmp_path / "out", "--profile", tmp_path / "profile.toml")
    assert result.exit_code == 0, result.stderr
    with np.load(tmp_path / "out" / "evidence.npz") as maps:
        assert all(not maps[name].any() for name in maps.files)
    modalities = {pydicom.dcmread(path).SOPClassUID.name for path in (tmp_path / "out" / "dicom").rglob("*.dcm")}
    assert not any("Parametric Map" in name or "Segmentation" in name for name in modalities)
    assert not any("Secondary Capture" in name or "Presentation State" in name for name in modalities)
