"""The messages of a revision: the flag, what a later revision says of those before it, and what takes it back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from radiolucent.findings.judgement import judge
from radiolucent.imaging.study import Study
from radiolucent.pipeline.messages import (
    FLAG,
    FOLDER,
    SUPERSEDES,
    Outgoing,
    delivered_headers,
    load_order,
    load_outgoing,
    load_withdrawal,
    settle_messages,
    write_messages,
)
from radiolucent.pipeline.read_path import PathResult, StudyResult
from radiolucent.results.destinations.presets import preset, select
from radiolucent.results.objects import encode_reading
from radiolucent.results.withdrawal import Wording
from radiolucent.store.deliveries import Deliveries
from radiolucent.store.records import ReadingRecord, RevisionRecord
from radiolucent.store.revisions import Readings, Revisions
from radiolucent.store.unit_of_work import Store
from tests.unit.pipeline.kept import NOW, keep, open_kept
from tests.unit.results.messages import Received

if TYPE_CHECKING:
    from tests.unit.results.cases import Case

WORDING = Wording(viewer_url="https://viewer.example/?study={study}", language="de", release="R5")


def _cases() -> Any:
    from tests.unit.results import cases

    return cases


@pytest.fixture(scope="module")
def case() -> Case:
    made: Case = _cases().make_case("ct", shape=(2, 64, 64))
    return made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_kept(tmp_path)
    yield made
    made.close()


@pytest.fixture
def read(store: Store, case: Case) -> Callable[..., ReadingRecord]:
    """Read the study anew, as this revision: objects and messages are on disk."""
    reading = judge(case.reading, bundle_priors={}, body_boxes={})
    study = Study(study_instance_uid=reading.study_instance_uid, stacks=tuple(case.stacks.values()))

    def make(number: int, wording: Wording | None = None) -> ReadingRecord:
        kept = keep(store, reading, number, at=NOW + timedelta(hours=number))
        place = store.folder / kept.folder
        objects = place / "dicom" / reading.study_instance_uid
        objects.mkdir(parents=True)
        revision = record_of(store, kept)
        for item in encode_reading(reading, case.stacks, case.pictures, made_at=revision.made_at, revision=number):
            item.dataset.save_as(objects / f"{item.name}.dcm", enforce_file_format=True)
        result = PathResult(results=(StudyResult(study=study, reading=reading),), problems=())
        write_messages(store, result, revision, place, wording=wording)
        return kept

    return make


def record_of(store: Store, kept: ReadingRecord) -> RevisionRecord:
    with store.read() as work:
        return Revisions(work).get(kept.study_instance_uid, kept.revision)


def went_out(store: Store, kept: ReadingRecord) -> None:
    with store.begin() as work:
        (owed,) = Deliveries(work).owe(kept.study_instance_uid, kept.revision, ["pacs"], at=NOW)
        Deliveries(work).take(owed.id)


def reports(store: Store, kept: ReadingRecord) -> list[Dataset]:
    return [one for one in delivered_headers(store.folder / kept.folder) if one.Modality == "SR"]


def rejected(outgoing: Outgoing) -> set[str]:
    """SOP Instance UIDs that the package's rejection note lists."""
    notes = [one for one in outgoing.package.objects if one.path.name == SUPERSEDES]
    return {
        str(item.ReferencedSOPInstanceUID)
        for note in notes
        for study in pydicom.dcmread(note.path).CurrentRequestedProcedureEvidenceSequence
        for series in study.ReferencedSeriesSequence
        for item in series.ReferencedSOPSequence
    }


def uids(store: Store, kept: ReadingRecord) -> set[str]:
    return {str(one.SOPInstanceUID) for one in delivered_headers(store.folder / kept.folder)}


def test_an_urgent_reading_carries_its_flag_first_and_only_where_it_is_asked_for(
    store: Store, read: Callable[..., ReadingRecord]
) -> None:
    package = load_outgoing(store, read(1)).package
    assert package.flag.startswith("AI ")
    assert package.objects[0].kind == "worklist-flag"
    flagged = select(package, preset("everything-and-flag"))
    assert flagged.objects[0].kind == "worklist-flag"
    assert flagged.left_out == {}
    header = pydicom.dcmread(flagged.objects[0].path, stop_before_pixels=True)
    assert header.SeriesDescription == package.flag
    plain = select(package, preset("everything"))
    assert [one.kind for one in plain.objects] == [one.kind for one in flagged.objects][1:]
    assert (plain.left_out, [one.kind for one in plain.objects][-1]) == ({}, "key-objects")


def test_messages_are_written_as_the_site_wants(store: Store, read: Callable[..., ReadingRecord]) -> None:
    kept = read(1, WORDING)
    package = load_outgoing(store, kept).package
    message = Received.of(package.oru)
    assert message.field("MSH", 19)[0] == "de"
    assert "https://viewer.example/?study=" in package.oru.decode()
    kinds = {one["resource"]["resourceType"] for one in json.loads(package.fhir)["entry"]}
    assert "ImagingSelection" in kinds
    assert load_order(store, kept).patient_id


def test_a_later_revision_names_rejects_and_corrects_what_went_out_before(
    store: Store, read: Callable[..., ReadingRecord]
) -> None:
    first = read(1)
    went_out(store, first)
    second = read(2)
    outgoing = load_outgoing(store, second)
    assert outgoing.package.status == "corrected"
    assert rejected(outgoing) == uids(store, first)
    assert not uids(store, first) & uids(store, second)
    earlier = {str(one.SOPInstanceUID) for one in reports(store, first)}
    for report in reports(store, second):
        (study,) = report.PredecessorDocumentsSequence
        named = {
            str(item.ReferencedSOPInstanceUID)
            for series in study.ReferencedSeriesSequence
            for item in series.ReferencedSOPSequence
        }
        assert named == earlier
    assert Received.of(outgoing.package.oru).field("OBR", 25) == ("C",)
    assert Received.of(outgoing.package.oru).field("OBR", 3) == Received.of(
        load_outgoing(store, first).package.oru
    ).field("OBR", 3)


def test_what_never_went_out_is_neither_named_nor_rejected(store: Store, read: Callable[..., ReadingRecord]) -> None:
    read(1)
    second = read(2)
    outgoing = load_outgoing(store, second)
    assert (outgoing.package.status, rejected(outgoing)) == ("preliminary", set())
    assert all("PredecessorDocumentsSequence" not in one for one in reports(store, second))


def test_what_went_out_between_reading_and_delivery_is_corrected_after_all(
    store: Store, read: Callable[..., ReadingRecord]
) -> None:
    first = read(1)
    second = read(2)
    before = uids(store, second)
    went_out(store, first)
    assert settle_messages(store, second, record_of(store, second), wording=Wording())
    assert not settle_messages(store, second, record_of(store, second), wording=Wording())
    outgoing = load_outgoing(store, second)
    assert (outgoing.package.status, rejected(outgoing)) == ("corrected", uids(store, first))
    assert uids(store, second) == before


def test_a_revision_that_was_overtaken_unsent_does_not_hide_the_one_before_it(
    store: Store, read: Callable[..., ReadingRecord]
) -> None:
    first = read(1)
    went_out(store, first)
    second = read(2)
    third = load_outgoing(store, read(3))
    assert third.package.status == "corrected"
    assert rejected(third) == uids(store, first)
    assert not rejected(third) & uids(store, second)


def test_a_withdrawal_takes_back_objects_flag_and_messages(store: Store, read: Callable[..., ReadingRecord]) -> None:
    read(1, WORDING)
    with store.begin() as work:
        kept = Readings(work).withdraw(next(iter(store_uid(store))), reason="wrong side", at=NOW)
    package = load_withdrawal(store, kept, wording=WORDING).package
    assert (package.status, package.flag) == ("withdrawn", "")
    (note,) = package.objects
    listed = pydicom.dcmread(note.path).CurrentRequestedProcedureEvidenceSequence[0].ReferencedSeriesSequence
    assert {str(item.ReferencedSOPInstanceUID) for one in listed for item in one.ReferencedSOPSequence} == uids(
        store, kept
    )
    assert (store.folder / kept.folder / FOLDER / FLAG).exists()
    message = Received.of(package.oru)
    assert {one.status for one in message.observations()} == {"W"}
    assert message.field("MSH", 19)[0] == "de"
    assert b"wrong side" in package.oru
    reports_ = [
        one["resource"] for one in json.loads(package.fhir)["entry"]
        if one["resource"]["resourceType"] == "DiagnosticReport"
    ]  # fmt: skip
    assert [one["status"] for one in reports_] == ["entered-in-error"]


def store_uid(store: Store) -> set[str]:
    return {path.name for path in (store.folder / "readings").iterdir()}
