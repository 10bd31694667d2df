"""Asking and fetching from a real archive, by DIMSE and by DICOMweb, and orders from a real worklist."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE

from radiolucent.errors import QueryFailed
from radiolucent.ingest.dimse_peer import DimsePeer
from radiolucent.ingest.listener import Listener, Terms
from radiolucent.ingest.pacs import Pacs, StudyMatch, StudyQuery
from radiolucent.ingest.pacs_dimse import DimsePacs
from radiolucent.ingest.pacs_web import WebPacs
from radiolucent.ingest.priors import fetch_priors
from radiolucent.ingest.receiving import Outcome, Way
from radiolucent.ingest.spool import Spool
from radiolucent.ingest.watched_pacs import Criteria, PacsWatcher
from radiolucent.ingest.worklist import find_orders, order_of
from radiolucent.phantom.studies import PhantomStudy, make_study
from tests.unit.ingest.receivers import FolderReceiver
from tests.unit.ingest.test_watched_pacs import MemoryLedger

if TYPE_CHECKING:
    from tests.integration.peers import Orthanc

MakePacs = Callable[["Orthanc", Path], Pacs]


def _dimse(server: Orthanc, folder: Path) -> Pacs:
    peer = DimsePeer(name="pacs", host="127.0.0.1", port=server.dicom_port, called_ae="ORTHANC")
    return DimsePacs(peer=peer, spool=Spool(folder / "spool"))


def _web(server: Orthanc, folder: Path) -> Pacs:
    return WebPacs(name="pacs", url=f"http://127.0.0.1:{server.http_port}/dicom-web", spool=Spool(folder / "spool"))


EITHER = pytest.mark.parametrize("make_pacs", [_dimse, _web], ids=["C-FIND, C-GET", "QIDO, WADO"])


def _send(server: Orthanc, datasets: Sequence[Dataset]) -> None:
    ours = AE(ae_title="RADIOLUCENT")
    for uid in {dataset.SOPClassUID for dataset in datasets}:
        ours.add_requested_context(uid, ExplicitVRLittleEndian)
    association = ours.associate("127.0.0.1", server.dicom_port, ae_title="ORTHANC")
    assert association.is_established
    assert {association.send_c_store(dataset).Status for dataset in datasets} == {0}
    association.release()


@pytest.fixture(scope="module")
def studies() -> tuple[PhantomStudy, PhantomStudy]:
    """A CT of the head and an earlier one of the same patient."""
    now = make_study("head-ct", ("subdural-haemorrhage",), seed=41, slices=3, rows=64)
    return now, make_study("head-ct", seed=42, prior_of=now, slices=3, rows=64)


def _match(study: PhantomStudy) -> StudyMatch:
    header = study.datasets[0]
    return StudyMatch(
        study_instance_uid=header.StudyInstanceUID,
        patient_id=header.PatientID,
        study_date=header.StudyDate,
        study_time=header.StudyTime,
        modalities=("CT",),
        body_parts=("HEAD",),
    )


@EITHER
def test_the_priors_of_a_study_are_found_and_brought_bit_for_bit(
    orthanc: Orthanc, tmp_path: Path, studies: tuple[PhantomStudy, PhantomStudy], make_pacs: MakePacs
) -> None:
    now, before = studies
    _send(orthanc, [*now.datasets, *before.datasets])
    receiver, pacs = FolderReceiver(tmp_path / "kept"), make_pacs(orthanc, tmp_path)
    brought = fetch_priors(pacs, _match(now), receiver, is_here=lambda _: False)
    assert [one.study_instance_uid for one, _ in brought] == [before.datasets[0].StudyInstanceUID]
    prior, fetched = brought[0]
    assert (prior.instances, prior.modalities) == (3, ("CT",))
    assert fetched is not None
    assert (fetched.completed, fetched.failed, fetched.outcomes) == (3, 0, {Outcome.STORED: 3})
    for sent in before.datasets:
        assert dcmread(receiver.stored(sent.SOPInstanceUID)).PixelData == sent.PixelData
    assert {one.way for one in receiver.received} == {Way.PRIOR}
    assert receiver.ended == [(receiver.received[0].association_id, False)]
    assert list((tmp_path / "spool").iterdir()) == []


@EITHER
def test_the_series_say_what_they_show(
    orthanc: Orthanc, tmp_path: Path, studies: tuple[PhantomStudy, PhantomStudy], make_pacs: MakePacs
) -> None:
    _send(orthanc, studies[0].datasets)
    (series,) = make_pacs(orthanc, tmp_path).find_series(studies[0].datasets[0].StudyInstanceUID)
    assert (series.modality, series.instances) == ("CT", 3)
    assert series.body_part == studies[0].datasets[0].BodyPartExamined


@EITHER
def test_who_is_not_there_is_not_found(orthanc: Orthanc, tmp_path: Path, make_pacs: MakePacs) -> None:
    assert make_pacs(orthanc, tmp_path).find_studies(StudyQuery(patient_id="NOBODY-AT-ALL")) == ()


@EITHER
def test_a_watched_pacs_gives_what_is_new_once(
    orthanc: Orthanc, tmp_path: Path, studies: tuple[PhantomStudy, PhantomStudy], make_pacs: MakePacs
) -> None:
    _send(orthanc, studies[0].datasets)
    receiver = FolderReceiver(tmp_path / "kept")

    @dataclass
    class Ledger(MemoryLedger):
        def held(self, study_instance_uid: str) -> int:
            return sum(one.study_instance_uid == study_instance_uid for one in receiver.received)

    ledger = Ledger()
    day = studies[0].datasets[0].StudyDate
    watcher = PacsWatcher(
        pacs=make_pacs(orthanc, tmp_path),
        criteria=Criteria(modalities=("CT",), body_parts=("HEAD",), days=0),
        receiver=receiver,
        ledger=ledger,
        today=lambda: datetime.strptime(day, "%Y%m%d").date(),
    )
    assert watcher.sweep().growing == 1
    assert [one.study_instance_uid for one in watcher.sweep().fetched] == [studies[0].datasets[0].StudyInstanceUID]
    assert len(receiver.received) == 3
    last = watcher.sweep()
    assert (last.found, last.growing, last.fetched) == (1, 0, ())


def test_c_move_brings_a_study_to_the_listener(
    orthanc: Orthanc, tmp_path: Path, studies: tuple[PhantomStudy, PhantomStudy]
) -> None:
    _send(orthanc, studies[0].datasets)
    receiver = FolderReceiver(tmp_path / "kept")
    peer = DimsePeer(name="pacs", host="127.0.0.1", port=orthanc.dicom_port, called_ae="ORTHANC")
    pacs = DimsePacs(peer=peer, spool=Spool(tmp_path / "get"), fetch_by="move", move_to="RADIOLUCENT")
    terms = Terms(ae_title="RADIOLUCENT", calling_ae_titles=frozenset({"ORTHANC"}))
    with Listener(receiver, Spool(tmp_path / "spool"), terms=terms, port=11112):
        fetched = pacs.fetch(studies[0].datasets[0].StudyInstanceUID, receiver, way=Way.PRIOR)
        assert (fetched.completed, fetched.failed) == (3, 0)
    assert len(receiver.received) == 3


def test_c_move_without_an_ae_title_to_move_to_is_refused(tmp_path: Path) -> None:
    peer = DimsePeer(name="pacs", host="127.0.0.1", port=1, called_ae="PACS")
    with pytest.raises(ValueError, match="AE title"):
        DimsePacs(peer=peer, spool=Spool(tmp_path), fetch_by="move")


def test_a_move_to_a_listener_that_is_away_fails_loud(
    orthanc: Orthanc, tmp_path: Path, studies: tuple[PhantomStudy, PhantomStudy]
) -> None:
    _send(orthanc, studies[0].datasets)
    peer = DimsePeer(name="pacs", host="127.0.0.1", port=orthanc.dicom_port, called_ae="ORTHANC")
    pacs = DimsePacs(peer=peer, spool=Spool(tmp_path / "get"), fetch_by="move", move_to="UNKNOWN")
    with pytest.raises(QueryFailed, match="status 0x"):
        pacs.fetch(studies[0].datasets[0].StudyInstanceUID, FolderReceiver(tmp_path), way=Way.PRIOR)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


# pynetdicom leaves a socket that never connected to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_pacs_that_is_away_is_a_clear_error_that_names_nobody(tmp_path: Path) -> None:
    port = _free_port()
    peer = DimsePeer(name="pacs", host="127.0.0.1", port=port, called_ae="PACS", timeout_s=2)
    both: list[Pacs] = [
        DimsePacs(peer=peer, spool=Spool(tmp_path)),
        WebPacs(name="pacs", url=f"http://127.0.0.1:{port}/dicom-web", spool=Spool(tmp_path), timeout_s=2),
    ]
    for pacs in both:
        with pytest.raises(QueryFailed) as failed:
            pacs.find_studies(StudyQuery(patient_id="SECRET"))
        assert "SECRET" not in str(failed.value)


def test_what_is_no_dicomweb_is_a_clear_error(orthanc: Orthanc, tmp_path: Path) -> None:
    wrong = WebPacs(name="pacs", url=f"http://127.0.0.1:{orthanc.http_port}/app", spool=Spool(tmp_path / "spool"))
    receiver = FolderReceiver(tmp_path / "kept")
    with pytest.raises(QueryFailed, match="HTTP 404"):
        wrong.find_studies(StudyQuery(patient_id="7"))
    with pytest.raises(QueryFailed):
        wrong.fetch("1.2.3", receiver, way=Way.PRIOR)
    assert [aborted for _, aborted in receiver.ended] == [True]


# --- the worklist ---


@pytest.fixture
def worklist(tmp_path: Path) -> Iterator[DimsePeer]:
    """DCMTK's worklist server with two orders."""
    program = shutil.which("wlmscpfs")
    if program is None:
        pytest.skip("needs wlmscpfs: run scripts/install-peers")
    folder = tmp_path / "worklists" / "RIS"
    folder.mkdir(parents=True)
    (folder / "lockfile").touch()
    for number, priority in (("A1", "STAT"), ("A2", "ROUTINE")):
        _order(number, priority).save_as(folder / f"{number}.wl", enforce_file_format=True)
    port = _free_port()
    server = subprocess.Popen(
        [program, "-dfr", "-dfp", str(folder.parent), str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        _wait_for(port)
        yield DimsePeer(name="ris", host="127.0.0.1", port=port, called_ae="RIS")
    finally:
        server.terminate()
        server.wait(10)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    pytest.fail("the worklist server doesn't answer")


def _order(number: str, priority: str) -> Dataset:
    order, step, code = Dataset(), Dataset(), Dataset()
    order.file_meta = FileMetaDataset()
    order.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    order.file_meta.MediaStorageSOPClassUID = UID("1.2.276.0.7230010.3.1.0.1")
    order.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    order.PatientName, order.PatientID, order.PatientBirthDate, order.PatientSex = "Secret^Name", "7", "19600101", "F"
    order.AccessionNumber, order.StudyInstanceUID = number, f"1.2.{number[1]}"
    order.ReferringPhysicianName, order.AdmissionID = "Doctor^Who", "V1"
    order.PlacerOrderNumberImagingServiceRequest, order.FillerOrderNumberImagingServiceRequest = f"P{number}", "F1"
    order.RequestedProcedureID, order.RequestedProcedureDescription = "RP1", "CT head"
    order.RequestedProcedurePriority = priority
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "24725-4", "LN", "CT Head"
    order.RequestedProcedureCodeSequence = [code]
    step.Modality, step.ScheduledStationAETitle = "CT", "CT1"
    step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = "20260301", "1200"
    step.ScheduledProcedureStepID = "S1"
    order.ScheduledProcedureStepSequence = [step]
    return order


def test_the_order_of_a_study_is_found_on_the_worklist(worklist: DimsePeer, caplog: pytest.LogCaptureFixture) -> None:
    orders = find_orders(worklist, patient_id="7")
    assert {order.accession_number for order in orders} == {"A1", "A2"}
    order = order_of(orders, accession_number="A1", patient_id="7", study_instance_uid="1.2.1")
    assert order is not None
    assert (order.placer_order_number, order.visit_number, order.urgent) == ("PA1", "V1", True)
    assert (order.procedure_code, order.modality) == (("24725-4", "LN", "CT Head"), "CT")
    assert order.referring_physician == "Doctor^Who"
    assert find_orders(worklist, accession_number="A2")[0].urgent is False
    assert "Secret" not in caplog.text


def test_an_unknown_number_has_no_order(worklist: DimsePeer) -> None:
    assert find_orders(worklist, accession_number="A9") == ()


def test_a_worklist_that_does_not_know_us_is_a_clear_error(worklist: DimsePeer) -> None:
    with pytest.raises(QueryFailed, match="rejects"):
        find_orders(replace(worklist, called_ae="OTHER"), patient_id="7")
