"""The output folder: there as a whole or not at all, and never over something that isn't a reading."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from radiolucent.errors import EncodingError, OutputExists, SetupError
from radiolucent.phantom.studies import make_study
from radiolucent.pipeline import output
from radiolucent.pipeline.output import prepare_folder, write_readings
from radiolucent.pipeline.read_path import PathResult, read_path
from radiolucent.results.reading_json import dump

MADE_AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


@pytest.fixture
def result(tmp_path: Path, bright_spots: Callable[..., Any]) -> PathResult:
    make_study("brain-mr", ("meningioma",), seed=3, rows=96, slices=8).save(tmp_path / "study")
    return read_path(tmp_path / "study", [bright_spots()])


def test_the_folder_holds_report_json_maps_and_objects(result: PathResult, tmp_path: Path) -> None:
    document = write_readings(result, tmp_path / "out", made_at=MADE_AT)
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"report.html", "reading.json", "evidence.npz", "dicom", "insight"}
    assert (tmp_path / "out" / "reading.json").read_text(encoding="utf-8") == dump(document)
    assert list((tmp_path / "out" / "dicom").rglob("*.dcm"))
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_the_same_inputs_and_time_give_the_same_bytes(result: PathResult, tmp_path: Path) -> None:
    write_readings(result, tmp_path / "a", made_at=MADE_AT)
    write_readings(result, tmp_path / "b", made_at=MADE_AT)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) > 5
    assert [
        name for name in files if (tmp_path / "a" / name).read_bytes() != (tmp_path / "b" / name).read_bytes()
    ] == []


def test_no_patient_name_stands_in_the_page_the_json_or_a_file_name(
    tmp_path: Path, bright_spots: Callable[..., Any]
) -> None:
    study = make_study("brain-mr", ("meningioma",), seed=3, rows=96, slices=8)
    for dataset in study.datasets:
        dataset.PatientName = "HIDDENAWAY^ANN"
    study.save(tmp_path / "study")
    write_readings(read_path(tmp_path / "study", [bright_spots()]), tmp_path / "out", made_at=MADE_AT)
    text = "".join((tmp_path / "out" / name).read_text(encoding="utf-8") for name in ("report.html", "reading.json"))
    assert "hiddenaway" not in text.lower()
    assert not any("hiddenaway" in path.name.lower() for path in (tmp_path / "out").rglob("*"))


def test_an_existing_folder_is_left_alone(result: PathResult, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputExists, match="--force"):
        write_readings(result, tmp_path / "out", made_at=MADE_AT)
    with pytest.raises(OutputExists, match="isn't a reading"):
        write_readings(result, tmp_path / "out", made_at=MADE_AT, force=True)
    assert (tmp_path / "out" / "mine.txt").read_text(encoding="utf-8") == "mine"


def test_force_replaces_an_earlier_reading(result: PathResult, tmp_path: Path) -> None:
    write_readings(result, tmp_path / "out", made_at=MADE_AT)
    (tmp_path / "out" / "left-over.txt").write_text("old", encoding="utf-8")
    write_readings(result, tmp_path / "out", made_at=MADE_AT, force=True)
    assert not (tmp_path / "out" / "left-over.txt").exists()
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_an_encoder_that_refuses_leaves_nothing_behind(
    result: PathResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise EncodingError("the segmentation would be empty")

    monkeypatch.setattr(output, "encode_reading", refuse)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(EncodingError):
        write_readings(result, tmp_path / "out", made_at=MADE_AT)
    assert sorted(tmp_path.iterdir()) == before


def test_a_folder_that_cannot_be_made_is_said_before_anything_is_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(SetupError, match="can't be made"):
        prepare_folder(tmp_path / "file" / "deeper" / "out", force=False)


def test_a_folder_that_holds_what_is_read_is_never_replaced(result: PathResult, tmp_path: Path) -> None:
    write_readings(result, tmp_path / "out", made_at=MADE_AT)
    for path in (tmp_path / "out", tmp_path / "out" / "dicom"):
        with pytest.raises(OutputExists, match="to be read"):
            prepare_folder(tmp_path / "out", force=True, inputs=[path])


def test_a_link_is_not_replaced(result: PathResult, tmp_path: Path) -> None:
    write_readings(result, tmp_path / "out", made_at=MADE_AT)
    for name, target in {"link": "out", "broken": "nowhere"}.items():
        (tmp_path / name).symlink_to(tmp_path / target)
        with pytest.raises(OutputExists, match="is a link"):
            prepare_folder(tmp_path / name, force=True)


def test_an_earlier_reading_comes_back_where_the_new_one_cannot_take_its_place(
    result: PathResult, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_readings(result, tmp_path / "out", made_at=MADE_AT)
    (tmp_path / "out" / "mine.txt").write_text("old", encoding="utf-8")
    rename = Path.rename

    def refuse(self: Path, target: Path) -> Path:
        if target == tmp_path / "out" and self.name != "reading":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(OSError, match="Input/output"):
        write_readings(result, tmp_path / "out", made_at=MADE_AT, force=True)
    assert (tmp_path / "out" / "mine.txt").read_text(encoding="utf-8") == "old"
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []
