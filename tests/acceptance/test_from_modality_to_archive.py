"""`radiolucent serve` between real peers: a modality sends, and PACS, RIS and EHR hold what reading.json says."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
import pytest

from radiolucent.findings.taxonomy import finding_type
from radiolucent.phantom.studies import make_study
from radiolucent.pipeline.demo import CASES
from tests.acceptance.test_one_reading_everywhere import groups, items, value
from tests.integration.gateways import DONE_WITHIN_S, RunningGateway, wait_for
from tests.integration.outgoing import FhirServer, Ris, ris, web
from tests.integration.peers import Orthanc, PeerMissing, start_orthanc
from tests.unit.results.messages import Received, resources
from tests.unit.results.test_hl7_and_fhir_agree import told_by_fhir, told_by_json, told_by_oru

SENT = {"CR": "effusion", "CT": "bleed"}
CLASSES = {
    "1.2.840.10008.5.1.4.1.1.7": "SC",
    "1.2.840.10008.5.1.4.1.1.30": "PM",
    "1.2.840.10008.5.1.4.1.1.66.4": "SEG",
    "1.2.840.10008.5.1.4.1.1.11.1": "GSPS",
    "1.2.840.10008.5.1.4.1.1.88.34": "SR",
    "1.2.840.10008.5.1.4.1.1.88.59": "KOS",
}
EXCEPTIONS: tuple[str, ...] = ()
"""Errors of dciodvfy that stand, each with its reason in docs/conformance.md. None at present."""
EACH = pytest.mark.parametrize("modality", SENT)


@dataclass(frozen=True, kw_only=True)
class Site:
    """What a hospital has around the gateway, after both studies went through."""

    gateway: RunningGateway
    orthanc: Orthanc
    ris: Ris
    ehr: FhirServer
    studies: dict[str, str]
    originals: dict[str, set[str]]

    def document(self, modality: str) -> dict[str, Any]:
        path = self.gateway.data / "readings" / self.studies[modality] / "1" / "reading.json"
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return document

    def findings(self, modality: str) -> list[dict[str, Any]]:
        return [one for series in self.document(modality)["studies"][0]["series"] for one in series["findings"]]

    def made(self, modality: str) -> dict[str, Path]:
        folder = self.gateway.data / "readings" / self.studies[modality] / "1" / "dicom"
        return {
            str(pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID): path for path in folder.rglob("*.dcm")
        }

    def qido(self, modality: str) -> dict[str, str]:
        """SOP Instance UID → SOP Class UID of everything that the PACS finds under the original study."""
        found = self.orthanc.ask(f"/dicom-web/studies/{self.studies[modality]}/instances")
        return {one["00080018"]["Value"][0]: one["00080016"]["Value"][0] for one in found}

    def file(self, sop_instance_uid: str) -> bytes:
        (instance,) = self.orthanc.ask(
            "/tools/find", {"Level": "Instance", "Query": {"SOPInstanceUID": sop_instance_uid}}
        )
        content: bytes = self.orthanc.ask(f"/instances/{instance}/file")
        return content

    def message(self, modality: str) -> bytes:
        (message,) = [one for one in self.ris.kept.values() if self.studies[modality].encode() in one]
        return message

    def resources(self, modality: str) -> dict[str, Any]:
        """What the EHR holds of one study: the resources of the one transaction that names it."""
        (sent,) = [one for one in self.ehr.bundles if self.studies[modality] in json.dumps(one)]
        return {"entry": [{"resource": self.ehr.resources[entry["fullUrl"]]} for entry in sent["entry"]]}


def destinations(orthanc: Orthanc, ris_port: int, ehr_url: str) -> str:
    return (
        f'[[destinations]]\nname = "pacs"\nkind = "cstore"\nhost = "127.0.0.1"\nport = {orthanc.dicom_port}\n'
        'called_ae = "ORTHANC"\nfirst_retry_s = 0.5\n'
        f'[[destinations]]\nname = "ris"\nkind = "mllp"\nhost = "127.0.0.1"\nport = {ris_port}\nfirst_retry_s = 0.5\n'
        f'[[destinations]]\nname = "ehr"\nkind = "fhir"\nurl = "{ehr_url}"\nfirst_retry_s = 0.5\n'
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    storescu = shutil.which("storescu")
    if storescu is None:
        pytest.skip("needs storescu: run scripts/install-peers")
    try:
        orthanc = start_orthanc(tmp_path_factory.mktemp("orthanc"))
    except PeerMissing:
        pytest.skip("needs Orthanc: run scripts/install-peers")
    ehr, home = FhirServer(), tmp_path_factory.mktemp("site")
    try:
        with orthanc.inside(), ris() as receiver, web(ehr.answer) as http:
            gateway = RunningGateway(
                home=home,
                quiet_s=0.2,
                work='engines = ["chest", "head-ct"]\n',
                extra=destinations(orthanc, receiver.port, http.url),
            )
            gateway.start()
            studies, originals = {}, {}
            for modality, name in SENT.items():
                case = next(one for one in CASES if one.name == name)
                phantom = make_study(case.kind, case.findings, seed=case.seed)
                phantom.save(home / modality)
                files = sorted((home / modality).glob("*.dcm"))
                for called, port in (("ORTHANC", orthanc.dicom_port), ("RADIOLUCENT", gateway.port)):
                    command = [storescu, "-R", "-aec", called, "127.0.0.1", str(port), *map(str, files)]
                    assert subprocess.run(command, capture_output=True, timeout=120).returncode == 0
                studies[modality] = str(phantom.datasets[0].StudyInstanceUID)
                originals[modality] = {str(one.SOPInstanceUID) for one in phantom.datasets}
            for study in studies.values():
                wait_for(lambda study=study: gateway.is_done(study), DONE_WITHIN_S, "all to be delivered")  # type: ignore[misc]
            yield Site(gateway=gateway, orthanc=orthanc, ris=receiver, ehr=ehr, studies=studies, originals=originals)
            assert gateway.stop() == 0
    finally:
        orthanc.stop()


@EACH
def test_the_pacs_finds_every_object_under_the_original_study(site: Site, modality: str) -> None:
    held, made = site.qido(modality), site.made(modality)
    assert set(held) == site.originals[modality] | set(made)
    counts = [CLASSES[held[uid]] for uid in made]
    assert set(counts) == set(CLASSES.values())
    positive = [one for one in site.findings(modality) if one["positive"]]
    located = [one for one in positive if (one["localisation"] or {}).get("regions")]
    assert located
    shown = [one for one in positive if one["explanation"]["decision"] != "do-not-show"]
    assert (counts.count("PM"), counts.count("SEG")) == (len(shown), len(located))
    sys.stdout.write(f"{modality}: { ({kind: counts.count(kind) for kind in sorted(set(counts))}) }\n")


@EACH
def test_what_the_pacs_gives_back_is_what_was_made_and_dciodvfy_finds_no_error(
    site: Site, modality: str, tmp_path: Path
) -> None:
    if shutil.which("dciodvfy") is None:
        pytest.skip("needs dciodvfy: run scripts/install-peers")
    errors = []
    for uid, path in site.made(modality).items():
        back = tmp_path / f"{uid}.dcm"
        back.write_bytes(site.file(uid))
        assert pydicom.dcmread(back) == pydicom.dcmread(path)
        said = subprocess.run(["dciodvfy", "-new", str(back)], capture_output=True, timeout=120).stderr.decode()
        errors += [f"{path.name}: {line}" for line in said.splitlines() if line.startswith("Error")]
    assert [line for line in errors if not any(known in line for known in EXCEPTIONS)] == []


@EACH
def test_the_reports_in_the_pacs_tell_what_reading_json_tells(site: Site, modality: str, tmp_path: Path) -> None:
    told: dict[str, set[float]] = {}  # probabilities by finding; of its regions one group holds it
    for uid, sop_class in site.qido(modality).items():
        if CLASSES.get(sop_class) == "SR":
            (tmp_path / uid).write_bytes(site.file(uid))
            for group in groups(pydicom.dcmread(tmp_path / uid)):
                said = {item.ConceptNameCodeSequence[0].CodeMeaning for item in group}
                found = told.setdefault(value(group, "Finding"), set())
                found |= {round(value(group, "Probability"), 4)} if "Probability" in said else set()
    expected = {
        finding_type(one["name"]).code.value: {round(one["probability"], 4)}
        for one in site.findings(modality)
        if one["probability"] is not None
    }
    assert expected
    assert {code: found for code, found in told.items() if found} == expected
    assert {finding_type(one["name"]).code.value for one in site.findings(modality)} <= set(told)


@EACH
def test_the_key_objects_name_every_object_of_a_finding(site: Site, modality: str, tmp_path: Path) -> None:
    (note,) = [uid for uid, sop_class in site.qido(modality).items() if CLASSES.get(sop_class) == "KOS"]
    (tmp_path / note).write_bytes(site.file(note))
    named = {
        str(item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
        for item in items(pydicom.dcmread(tmp_path / note))
        if "ReferencedSOPSequence" in item
    }
    assert named
    assert named <= set(site.qido(modality))


@EACH
def test_ris_and_ehr_hold_what_reading_json_holds(site: Site, modality: str) -> None:
    expected = told_by_json(site.document(modality))
    assert told_by_oru(Received.of(site.message(modality))) == expected
    kept = site.resources(modality)
    assert told_by_fhir(kept) == expected
    (report,) = resources(kept, "DiagnosticReport")
    assert report["status"] == "preliminary"
    assert Received.of(site.message(modality)).field("OBR", 25) == ("P",)


def test_every_instance_ended_in_a_state_that_is_explained(site: Site) -> None:
    rows = site.gateway.rows("select state, reason from instances")
    assert len(rows) == sum(len(uids) for uids in site.originals.values())
    assert all(state == "read" or (state == "refused" and reason) for state, reason in rows)
    owed = site.gateway.rows("select destination, state, attempts from deliveries order by id")
    assert {(state, attempts) for _, state, attempts in owed if _ != "out"} == {("delivered", 1)}
    assert len(owed) == len(SENT) * 4
