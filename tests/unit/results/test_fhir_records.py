"""Report, devices, provenance and audit event say who made the result, from what, and what became of it."""

from __future__ import annotations

from base64 import b64decode
from typing import Any
from xml.etree import ElementTree

import pytest

from radiolucent import __version__
from radiolucent.findings.narrative import texts, write
from tests.unit.results.messages import bundled, readings, resources

RELEASES = pytest.mark.parametrize("release", ["R4B", "R5"])


@pytest.mark.parametrize("kind", readings())
@pytest.mark.parametrize("language", ["en", "de"])
def test_the_report_holds_the_text_of_the_narrative(kind: str, language: str) -> None:
    (report,) = resources(bundled(readings()[kind], language=language), "DiagnosticReport")
    narrative = write(readings()[kind], language)
    assert report["conclusion"].startswith(narrative.impression_text)
    assert report["conclusion"].endswith(narrative.disclaimer)
    assert narrative.not_read_text in report["conclusion"]
    assert b64decode(report["presentedForm"][0]["data"]).decode() == "\n\n".join(texts(narrative))
    shown = ElementTree.fromstring(report["text"]["div"].replace("<br/>", "\n"))
    assert "\n\n".join(part.text or "" for part in shown) == "\n\n".join(texts(narrative))


@RELEASES
def test_a_withdrawn_report_says_so_and_nothing_else(release: Any) -> None:
    made = bundled(readings()["positive"], status="withdrawn", reason="wrong patient", release=release)
    (report,) = resources(made, "DiagnosticReport")
    assert report["conclusion"] == "This AI result is withdrawn. Do not use it: wrong patient."
    assert "presentedForm" not in report
    assert "glioma" not in report["text"]["div"].lower()


@RELEASES
def test_the_report_refers_to_study_order_and_every_observation(release: Any) -> None:
    made = bundled(readings()["partly-read"], release=release)
    (report,) = resources(made, "DiagnosticReport")
    assert [one["reference"] for one in report["result"]] == [
        one["identifier"][0]["value"] for one in resources(made, "Observation")
    ]
    study = report["imagingStudy" if release == "R4B" else "study"]
    assert study[0]["identifier"] == {"system": "urn:dicom:uid", "value": "urn:oid:2.25.1"}
    assert [one["identifier"]["value"] for one in report["basedOn"]] == ["ACC-1", "PL-9"]
    assert report["effectiveDateTime"] == "2026-11-20T13:15:00+00:00"
    assert report["code"]["coding"][0]["code"] == "24590-2"


@RELEASES
def test_there_is_one_device_an_engine_version_and_one_for_the_software(release: Any) -> None:
    devices = resources(bundled(readings()["several-series"], release=release), "Device")
    named = [
        ((one["deviceName"][0]["name"] if release == "R4B" else one["name"][0]["value"]), one["version"][0]["value"])
        for one in devices
    ]
    assert named == [("radiolucent", __version__), ("brain-mri", "1.2.0"), ("chest", "2.0.0")]
    digests = [one["property"][0] for one in devices[1:]]
    told = [one["valueCode"][0]["text"] if release == "R4B" else one["valueString"] for one in digests]
    assert told == ["ab" * 32, "cd" * 32]


def test_an_engine_is_the_same_device_in_every_study() -> None:
    urls = [
        {one["identifier"][0]["value"] for one in resources(bundled(readings()[kind]), "Device")}
        for kind in ("positive", "negative")
    ]
    assert urls[0] == urls[1]


@RELEASES
@pytest.mark.parametrize(
    ("status", "activity", "action", "interaction"),
    [
        ("preliminary", "CREATE", "C", "create"),
        ("corrected", "UPDATE", "U", "update"),
        ("withdrawn", "NULLIFY", "U", "update"),
    ],
)
def test_provenance_and_audit_event_tell_what_was_done(
    status: Any, activity: str, action: str, interaction: str, release: Any
) -> None:
    made = bundled(readings()["several-series"], status=status, reason="wrong patient", release=release)
    (provenance,), (audit,) = resources(made, "Provenance"), resources(made, "AuditEvent")
    assert provenance["activity"]["coding"][0]["code"] == activity
    assert ("wrong patient" in provenance["activity"].get("text", "")) == (status == "withdrawn")
    roles = [agent["type"]["coding"][0]["code"] for agent in provenance["agent"]]
    assert roles == ["author", "author", "assembler"]
    about = {one["reference"] for one in provenance["target"]}
    made_here = ("DiagnosticReport", "Observation", "ImagingSelection")
    assert about == {
        one["resource"]["identifier"][0]["value"]
        for one in made["entry"]
        if one["resource"]["resourceType"] in made_here
    }
    assert audit["action"] == action
    done = audit["subtype"][0] if release == "R4B" else audit["code"]["coding"][0]
    assert done["code"] == interaction
    assert [agent["type"]["coding"][0]["code"] for agent in audit["agent"]] == ["110153", "110152"]
    patient = [one["what"] for one in audit["entity"] if one["what"].get("type") == "Patient"]
    assert patient[0]["identifier"]["value"] == "SYN-7"
