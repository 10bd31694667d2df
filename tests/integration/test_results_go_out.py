"""From a phantom study to PACS, RIS and EHR: all of it arrives under the study, and tells what the JSON tells."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

import pydicom
import pytest

from radiolucent.errors import DeliveryError
from radiolucent.results.destinations import Destination, Package, Receipt
from radiolucent.results.destinations.commitment import Commitment
from radiolucent.results.destinations.cstore import CStore
from radiolucent.results.destinations.fhir_rest import FhirRest
from radiolucent.results.destinations.http import HttpPeer
from radiolucent.results.destinations.mllp import Mllp
from radiolucent.results.destinations.package import dicom_file
from radiolucent.results.destinations.retry import next_step
from radiolucent.results.withdrawal import withdraw
from tests.integration.outgoing import FhirServer, free_port, ris, web
from tests.integration.phantom_route import PHANTOMS, Gone, read_phantom
from tests.unit.results.messages import Received, resources
from tests.unit.results.test_hl7_and_fhir_agree import told_by_fhir, told_by_json, told_by_oru

if TYPE_CHECKING:
    from tests.integration.peers import Orthanc

# pynetdicom leaves the socket of a connection that was refused to the garbage collector
pytestmark = pytest.mark.filterwarnings(r"ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning")
EACH = pytest.mark.parametrize("modality", sorted(PHANTOMS))
READ: dict[str, Gone] = {}


@pytest.fixture
def gone(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Gone]:
    def read(modality: str) -> Gone:
        if modality not in READ:
            READ[modality] = read_phantom(modality, tmp_path_factory.mktemp(modality))
        return READ[modality]

    return read


def to_orthanc(orthanc: Orthanc, **options: Any) -> CStore:
    return CStore(name="pacs", host="127.0.0.1", port=orthanc.dicom_port, called_ae="ORTHANC", **options)


def send_sources(orthanc: Orthanc, sources: tuple[Path, ...]) -> None:
    program = shutil.which("storescu")
    if program is None:
        pytest.skip("needs DCMTK: run scripts/install-peers")
    command = [program, "-R", "-aec", "ORTHANC", "127.0.0.1", str(orthanc.dicom_port), *map(str, sources)]
    assert subprocess.run(command, capture_output=True, timeout=120).returncode == 0


@EACH
def test_orthanc_holds_every_object_under_the_original_study(
    orthanc: Orthanc, gone: Callable[[str], Gone], modality: str, tmp_path: Path
) -> None:
    study = gone(modality)
    uid = study.reading.study_instance_uid
    send_sources(orthanc, study.sources)
    commitment = Commitment(need="require", wait_s=60.0, report_port=orthanc.our_port)
    receipt = to_orthanc(orthanc, commitment=commitment).deliver(study.package)
    assert receipt.commitment == "committed"

    assert len(orthanc.ask(f"/dicom-web/studies?StudyInstanceUID={uid}")) == 1
    found = orthanc.ask(f"/dicom-web/studies/{uid}/instances")
    held = {one["00080018"]["Value"][0] for one in found}
    ours = {item.sop_instance_uid for item in study.package.objects}
    originals = {dicom_file(path).sop_instance_uid for path in study.sources}
    assert held == ours | originals
    kinds = {item.kind for item in study.package.objects}
    assert kinds == {
        "parametric-map",
        "segmentation",
        "secondary-capture",
        "presentation-state",
        "report",
        "key-objects",
    }

    if shutil.which("dciodvfy") is None:
        pytest.skip("needs dciodvfy: run scripts/install-peers")
    errors = []
    for item in study.package.objects:
        (instance,) = orthanc.ask(
            "/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": item.sop_instance_uid}}
        )
        back = tmp_path / f"{item.sop_instance_uid}.dcm"
        back.write_bytes(orthanc.ask(f"/instances/{instance}/file"))
        assert pydicom.dcmread(back) == pydicom.dcmread(item.path)
        said = subprocess.run(["dciodvfy", "-new", str(back)], capture_output=True, timeout=120).stderr.decode()
        errors += [f"{item.kind}: {line}" for line in said.splitlines() if line.startswith("Error")]
    assert errors == []


@EACH
def test_ris_and_ehr_hold_what_reading_json_holds(gone: Callable[[str], Gone], modality: str) -> None:
    study, server = gone(modality), FhirServer()
    with ris() as receiver, web(server.answer) as ehr:
        Mllp(name="ris", host="127.0.0.1", port=receiver.port).deliver(study.package)
        FhirRest(peer=HttpPeer(name="ehr", url=ehr.url)).deliver(study.package)
    (message,) = receiver.kept.values()
    kept = {"entry": [{"resource": resource} for resource in server.resources.values()]}
    expected = told_by_json(study.document)
    assert sum(one.positive for one in expected) == 1
    assert told_by_oru(Received.of(message)) == expected
    assert told_by_fhir(kept) == expected
    (report,) = resources(kept, "DiagnosticReport")
    assert report["status"] == "preliminary"
    assert len(resources(kept, "AuditEvent")) == len(resources(kept, "Provenance")) == 1
    assert Received.of(message).field("OBR", 25) == ("P",)


def test_a_rejected_reading_is_taken_back_everywhere(
    orthanc: Orthanc, gone: Callable[[str], Gone], tmp_path: Path
) -> None:
    study, server = gone("mr"), FhirServer()
    headers = [pydicom.dcmread(item.path, stop_before_pixels=True) for item in study.package.objects]
    taken = withdraw(
        study.reading, study.facts, headers, made_at=datetime(2026, 11, 22, tzinfo=UTC), words="not confirmed"
    )
    assert taken.note is not None
    taken.note.save_as(tmp_path / "note.dcm", enforce_file_format=True)
    package = Package(
        study_instance_uid=study.reading.study_instance_uid,
        status="withdrawn",
        objects=(dicom_file(tmp_path / "note.dcm"),),
        oru=taken.oru,
        fhir=json.dumps(taken.fhir),
    )
    with ris() as receiver, web(server.answer) as ehr:
        for one in (study.package, package):
            to_orthanc(orthanc).deliver(one)
            Mllp(name="ris", host="127.0.0.1", port=receiver.port).deliver(one)
            FhirRest(peer=HttpPeer(name="ehr", url=ehr.url)).deliver(one)
    first, second = [Received.of(data) for data in receiver.kept.values()]
    assert first.field("OBR", 3) == second.field("OBR", 3)
    assert {one.status for one in second.observations()} == {"W"}
    assert {one["status"] for one in server.of_type("Observation")} == {"entered-in-error"}
    assert [one["status"] for one in server.of_type("DiagnosticReport")] == ["entered-in-error"]
    where = f"/dicom-web/studies/{package.study_instance_uid}/instances"
    found = orthanc.ask(f"{where}?SOPInstanceUID={taken.note.SOPInstanceUID}")
    assert len(found) == 1


def delivered_in_the_end(
    destination: Destination, package: Package, *, tried: list[datetime], on_attempt: Callable[[datetime], None]
) -> tuple[Receipt | None, str]:
    """Attempts at the times that the policy gives, on a clock that nobody waits for."""
    now = start = datetime(2026, 11, 20, 8, 0, tzinfo=UTC)
    while True:
        tried.append(now)
        on_attempt(now)
        try:
            return destination.deliver(package), ""
        except DeliveryError as error:
            step = next_step(error, attempt=len(tried), first_tried_at=start, now=now, random=Random(len(tried)))
            if step.at is None:
                return None, step.reason
            now = step.at


@pytest.mark.parametrize("faults", [["hang", "close", "garbage", "AR", "half"], ["noise", "other", "AE:206", "close"]])
def test_after_hours_of_trouble_a_message_is_there_once(gone: Callable[[str], Gone], faults: list[str]) -> None:
    package, tried = gone("mr").package, list[datetime]()
    with ris("down") as receiver:
        back = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)

        def weather(now: datetime) -> None:
            receiver.mode = "AA" if now >= back else faults[len(tried) % len(faults)]

        sender = Mllp(name="ris", host="127.0.0.1", port=receiver.port, timeout_s=1.0)
        # the strict validator of the receiver takes its time with the message that counts
        patient = Mllp(name="ris", host="127.0.0.1", port=receiver.port, timeout_s=60.0)

        class Weathered:
            name = "ris"

            def deliver(self, package: Package) -> Receipt:
                return (patient if receiver.mode == "AA" else sender).deliver(package)

        receipt, _ = delivered_in_the_end(Weathered(), package, tried=tried, on_attempt=weather)
    assert receipt is not None
    assert list(receiver.kept) == list(receipt.delivered)
    assert back <= tried[-1] <= back + timedelta(hours=4)
    assert 10 < len(tried) < 40


def test_a_pacs_that_is_down_for_four_days_leaves_a_dead_letter_and_harms_no_other(gone: Callable[[str], Gone]) -> None:
    package, tried, server = gone("mr").package, list[datetime](), FhirServer()
    away = CStore(name="pacs", host="127.0.0.1", port=free_port(), called_ae="PACS", timeout_s=1.0)
    receipt, reason = delivered_in_the_end(away, package, tried=tried, on_attempt=lambda now: None)
    assert receipt is None
    assert "given up after" in reason
    assert tried[-1] - tried[0] >= timedelta(hours=72)
    with web(server.answer) as ehr:
        assert FhirRest(peer=HttpPeer(name="ehr", url=ehr.url)).deliver(package).delivered
