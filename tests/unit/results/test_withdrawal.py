"""What takes a reading back names every object that went out, says so in every message, and is the same each time."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from radiolucent.errors import EncodingError
from radiolucent.results.objects import encode_reading
from radiolucent.results.withdrawal import name_predecessors, rejection_note, supersede, withdraw
from tests.unit.results.messages import FACTS, Received, readings, resources

if TYPE_CHECKING:
    from tests.unit.results.cases import Case

LATER = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
Make = Callable[..., "Case"]


@pytest.fixture(scope="module")
def delivered(cases: Any) -> dict[str, list[Dataset]]:
    found = {}
    for kind in ("cr", "ct", "mr"):
        case = cases.make_case(kind, patient="Müller^Zoë")
        made = encode_reading(case.reading, case.stacks, case.pictures, made_at=cases.MADE_AT)
        found[kind] = [item.dataset for item in made]
    return found


def listed(note: Dataset) -> set[tuple[str, str]]:
    """(SOP class, SOP instance) of each object in the content."""
    items = [item for item in note.ContentSequence if "ReferencedSOPSequence" in item]
    references = [item.ReferencedSOPSequence[0] for item in items]
    return {(str(one.ReferencedSOPClassUID), str(one.ReferencedSOPInstanceUID)) for one in references}


@pytest.mark.parametrize("kind", ["cr", "ct", "mr"])
@pytest.mark.parametrize("reason", ["rejected", "superseded", "wrong-patient"])
def test_the_note_rejects_every_object_that_went_out(
    delivered: dict[str, list[Dataset]], written: Callable[[Dataset], Dataset], kind: str, reason: Any
) -> None:
    objects = delivered[kind]
    note = written(rejection_note(objects, made_at=LATER, reason=reason))
    assert listed(note) == {(str(one.SOPClassUID), str(one.SOPInstanceUID)) for one in objects}
    evidence = note.CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert {str(one.SeriesInstanceUID) for one in evidence} == {str(one.SeriesInstanceUID) for one in objects}
    assert note.StudyInstanceUID == objects[0].StudyInstanceUID
    assert (note.Modality, note.SeriesNumber) == ("KO", 9502)
    assert str(note.PatientName) == "Müller^Zoë"
    assert note.PatientID == objects[0].PatientID


@pytest.mark.parametrize(
    ("reason", "title", "modifier"),
    [
        ("rejected", "113001", "reader-rejected"),
        ("superseded", "113001", "superseded"),
        ("wrong-patient", "113037", ""),
    ],
)
def test_the_title_says_why_in_the_words_of_the_standard(
    delivered: dict[str, list[Dataset]], reason: Any, title: str, modifier: str
) -> None:
    note = rejection_note(delivered["cr"], made_at=LATER, reason=reason)
    assert note.ConceptNameCodeSequence[0].CodeValue == title
    modifiers = [item for item in note.ContentSequence if item.ConceptNameCodeSequence[0].CodeValue == "113011"]
    assert [item.ConceptCodeSequence[0].CodeValue for item in modifiers] == ([modifier] if modifier else [])


def test_the_same_withdrawal_is_the_same_object_and_another_is_not(delivered: dict[str, list[Dataset]]) -> None:
    objects = delivered["cr"]
    first = rejection_note(objects, made_at=LATER, reason="rejected")
    assert rejection_note(objects, made_at=LATER, reason="rejected") == first
    others = [
        rejection_note(objects, made_at=LATER, reason="superseded"),
        rejection_note(objects, made_at=LATER, reason="rejected", revision=2),
        rejection_note(objects[:-1], made_at=LATER, reason="rejected"),
    ]
    assert len({first.SOPInstanceUID, *(other.SOPInstanceUID for other in others)}) == 4
    assert first.SOPInstanceUID not in {one.SOPInstanceUID for one in objects}


@pytest.mark.parametrize("kind", ["cr", "ct", "mr"])
@pytest.mark.parametrize("reason", ["rejected", "wrong-patient"])
def test_dciodvfy_finds_no_error_in_a_note(
    delivered: dict[str, list[Dataset]], tmp_path: Path, kind: str, reason: Any
) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("needs dciodvfy: run scripts/install-peers")
    path = tmp_path / "note.dcm"
    rejection_note(delivered[kind], made_at=LATER, reason=reason).save_as(path, enforce_file_format=True)
    done = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, timeout=120)
    assert [line for line in done.stderr.decode().splitlines() if line.startswith("Error")] == []


@pytest.mark.parametrize("kind", sorted(readings()))
def test_a_withdrawn_message_says_so_of_everything_that_it_told(kind: str) -> None:
    reading = readings()[kind]
    taken = withdraw(reading, FACTS, [], made_at=LATER, words="wrong side")
    message = Received.of(taken.oru)
    assert taken.note is None
    assert message.field("OBR", 25) == ("C",)
    assert {one.status for one in message.observations()} == {"W"}
    assert {one.flag for one in message.observations()} == {""}
    assert {one["status"] for one in resources(taken.fhir, "Observation")} <= {"entered-in-error"}
    (report,) = resources(taken.fhir, "DiagnosticReport")
    assert report["status"] == "entered-in-error"
    assert "wrong side" in report["conclusion"]


def test_a_later_revision_corrects_and_marks_what_only_the_earlier_one_said() -> None:
    earlier, reading = readings()["positive"], readings()["negative"]
    reading = replace(reading, study_instance_uid=earlier.study_instance_uid)
    taken = supersede(reading, earlier, FACTS, [], made_at=LATER, revision=2)
    message = Received.of(taken.oru)
    assert message.field("OBR", 25) == ("C",)
    assert {one.status for one in message.observations()} == {"C"}
    statuses = {one["status"] for one in resources(taken.fhir, "Observation")}
    assert statuses == {"amended", "entered-in-error"}
    with pytest.raises(ValueError, match="above 1"):
        supersede(reading, earlier, FACTS, [], made_at=LATER, revision=1)


def test_the_note_of_a_supersession_and_its_messages_go_together(cases: Any, delivered: dict[str, Any]) -> None:
    case = cases.make_case("cr", patient="Müller^Zoë")
    taken = supersede(case.reading, case.reading, FACTS, delivered["cr"], made_at=LATER, revision=2)
    assert taken.note is not None
    assert len(listed(taken.note)) == len(delivered["cr"])
    gone = withdraw(case.reading, FACTS, delivered["cr"], made_at=LATER)
    assert gone.note is not None
    with pytest.raises(EncodingError, match="another study"):
        withdraw(case.reading, FACTS, delivered["ct"], made_at=LATER)
    with pytest.raises(EncodingError, match="another study"):
        supersede(case.reading, case.reading, FACTS, delivered["ct"], made_at=LATER, revision=2)


def test_a_note_on_nothing_or_on_two_studies_is_refused(delivered: dict[str, list[Dataset]]) -> None:
    with pytest.raises(EncodingError, match="at least one"):
        rejection_note([], made_at=LATER, reason="rejected")
    with pytest.raises(EncodingError, match="several studies"):
        rejection_note([*delivered["cr"], *delivered["ct"]], made_at=LATER, reason="rejected")


def test_a_later_report_names_the_reports_that_it_replaces(
    cases: Any, delivered: dict[str, list[Dataset]], written: Callable[[Dataset], Dataset], tmp_path: Path
) -> None:
    case = cases.make_case("cr", patient="Müller^Zoë")
    later = encode_reading(case.reading, case.stacks, case.pictures, made_at=cases.MADE_AT, revision=2)
    made = [item.dataset for item in later]
    name_predecessors(made, delivered["cr"])
    old = {str(one.SOPInstanceUID) for one in delivered["cr"] if one.Modality == "SR"}
    for document in (written(one) for one in made if one.Modality == "SR"):
        (study,) = document.PredecessorDocumentsSequence
        items = [item for series in study.ReferencedSeriesSequence for item in series.ReferencedSOPSequence]
        assert {str(item.ReferencedSOPInstanceUID) for item in items} == old
        assert document.SOPInstanceUID not in old
    assert len(old) == 2
    with pytest.raises(EncodingError, match="another study"):
        name_predecessors(made, delivered["ct"])
    if shutil.which("dciodvfy"):
        path = tmp_path / "report.dcm"
        next(one for one in made if one.Modality == "SR").save_as(path, enforce_file_format=True)
        done = subprocess.run(["dciodvfy", "-new", str(path)], capture_output=True, timeout=120)
        assert [line for line in done.stderr.decode().splitlines() if line.startswith("Error")] == []


def test_headers_read_from_files_do_as_well_as_the_objects(delivered: dict[str, list[Dataset]], tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.dcm" for number in range(len(delivered["cr"]))]
    for path, one in zip(paths, delivered["cr"], strict=True):
        one.save_as(path, enforce_file_format=True)
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    note = rejection_note(headers, made_at=LATER, reason="rejected")
    assert note == rejection_note(delivered["cr"], made_at=LATER, reason="rejected")
