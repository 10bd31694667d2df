"""One study read against its prior; every file that comes out is read back and tells the same of every finding."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from radiolucent.cli.main import app
from radiolucent.findings.reading import Reading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.phantom.studies import make_study
from radiolucent.results.fhir import bundle
from radiolucent.results.hl7 import oru
from radiolucent.results.order import OrderFacts
from radiolucent.results.reading_json import readings_from_json, unpack_evidence

SIDES = {"24028007": "right", "7771000": "left", "51440002": "bilateral", "260528009": "midline"}


class Words(HTMLParser):
    """Text of a page without its styles and scripts, white space as single blanks."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("style", "script")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("style", "script")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(data)


def words(path: Path) -> str:
    parser = Words()
    parser.feed(path.read_text(encoding="utf-8"))
    return re.sub(r"\s+", " ", " ".join(parser.parts))


def only_images(folder: Path) -> Path:
    for other in [path for path in folder.iterdir() if path.suffix != ".dcm"]:
        other.unlink()
    return folder


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("everywhere")
    current = make_study("brain-mr", ("glioma",), seed=5, slices=14)
    current.save(folder / "current")
    make_study("brain-mr", seed=5, prior_of=current, change="smaller").save(folder / "prior")
    only_images(folder / "current"), only_images(folder / "prior")
    asked = ["read", folder / "current", "--prior", folder / "prior", "--engine", "brain-mri", "-o", folder / "out"]
    result = CliRunner().invoke(app, [str(word) for word in asked])
    assert result.exit_code == 0, result.stderr
    return folder / "out"


@pytest.fixture(scope="module")
def findings(out: Path) -> list[dict[str, Any]]:
    document = json.loads((out / "reading.json").read_text(encoding="utf-8"))
    found = [one for series in document["studies"][0]["series"] for one in series["findings"]]
    assert {one["positive"] for one in found} == {True, False}
    assert any(one["change"] for one in found)
    assert all(one["interval"] for one in found)
    return found


def test_every_field_of_a_finding_is_compared_here_or_named_as_inner(findings: list[dict[str, Any]]) -> None:
    """A field that is added has to be told somewhere, or be said to be of no use outside."""
    compared = {
        "name", "positive", "probability", "interval", "operating_point", "urgency", "confidence", "change",
        "change_note", "localisation", "explanation", "stability", "heatmap", "basis",
    }  # fmt: skip
    inner = {"logit", "score", "frame_logits"}  # told as probability; a score only where there is none
    elsewhere = {"measurements"}  # on head CT alone: tests/unit/results, each encoder
    assert set(findings[0]) == compared | inner | elsewhere


def dicom(out: Path, ending: str) -> list[pydicom.Dataset]:
    found: list[pydicom.Dataset] = [pydicom.dcmread(path) for path in sorted((out / "dicom").rglob(f"*{ending}"))]
    assert found
    return found


def items(dataset: Any) -> list[Any]:
    own = list(dataset.get("ContentSequence", []))
    return own + [item for child in own for item in items(child)]


def groups(report: pydicom.Dataset) -> list[list[Any]]:
    containers = [one for one in items(report) if one.ValueType == "CONTAINER"]
    return [items(one) for one in containers if one.ConceptNameCodeSequence[0].CodeMeaning == "Measurement Group"]


def value(group: list[Any], meaning: str) -> Any:
    item = next(one for one in group if one.ConceptNameCodeSequence[0].CodeMeaning == meaning)
    if item.ValueType == "NUM":
        return float(item.MeasuredValueSequence[0].NumericValue)
    return item.ConceptCodeSequence[0].CodeValue if item.ValueType == "CODE" else item.TextValue


def test_the_structured_reports_tell_every_finding(out: Path, findings: list[dict[str, Any]]) -> None:
    told = {value(group, "Finding"): group for report in dicom(out, "-report.dcm") for group in groups(report)}
    assert len(told) == len(findings)
    for one in findings:
        group = told[finding_type(one["name"]).code.value]
        assert value(group, "Probability") == pytest.approx(one["probability"], abs=1e-5)
        assert value(group, "Operating point") == pytest.approx(one["operating_point"], abs=1e-5)
        comment = value(group, "Comment")
        low, high = one["interval"]
        assert f"interval of this probability: {low:.3f} to {high:.3f}" in comment
        assert one["name"] == "glioma" or one["positive"] == ("at or above" in comment)
        assert one["basis"] == "real"
        assert "synthetic" not in comment
        shown = [item.ConceptCodeSequence[0].CodeMeaning for item in group if item.ValueType == "CODE"]
        assert ("Present" in shown) == one["positive"]
        assert ("Absent" in shown) == (not one["positive"])
        assert f"Urgency: {one['urgency']['level']}." in comment
        assert (f"Confidence: {one['confidence']['level']}." if one["confidence"] else "Not found") in comment
        assert (f"Against the prior study: {one['change']}" in comment) == bool(one["change"])
        assert one["change_note"] in comment
        if one["positive"]:
            region = one["localisation"]["regions"][0]
            assert value(group, "Volume") == pytest.approx(region["volume_ml"], rel=1e-4)
            site = next(item for item in group if item.ConceptNameCodeSequence[0].CodeMeaning == "Laterality")
            assert SIDES[site.ConceptCodeSequence[0].CodeValue] == one["localisation"]["laterality"]
            points = next(item.GraphicData for item in group if item.ValueType == "SCOORD")
            contour = [(column, row) for row, column in region["contour"]]
            assert len(points) // 2 >= 3
            distances = [
                min(abs(x - u) + abs(y - v) for u, v in contour) for x, y in zip(*[iter(points)] * 2, strict=True)
            ]
            assert max(distances) < 1.5  # half a pixel of PS3.3 C.18.6, and closed


def test_the_presentation_state_labels_what_is_positive_and_nothing_else(
    out: Path, findings: list[dict[str, Any]]
) -> None:
    labels = {
        text.UnformattedTextValue
        for state in dicom(out, "presentation-state.dcm")
        for graphic in state.GraphicAnnotationSequence
        for text in graphic.get("TextObjectSequence", [])
    }
    assert labels == {
        f"{finding_type(one['name']).label} {100 * one['probability']:.0f}% - AI, not diagnostic"
        for one in findings
        if one["positive"]
    }


@pytest.mark.parametrize("page", ["report.html", "insight"])
def test_the_pages_tell_every_finding(out: Path, findings: list[dict[str, Any]], page: str) -> None:
    path = out / page if page.endswith(".html") else next((out / page).glob("*.html"))
    text = words(path)
    for one in findings:
        assert finding_type(one["name"]).label in text
        assert f"{100 * one['probability']:.0f}" in text
        if page == "report.html":
            low, high = one["interval"]
            assert not one["positive"] or f"95 % interval {low:.2f} to {high:.2f}" in text
            assert f"{one['operating_point']:.2f}" in text
        if one["positive"]:
            assert one["urgency"]["level"][2:].lower() in text.lower()
            assert one["confidence"]["level"] in text.lower()
            assert one["localisation"]["laterality"] in text.lower()
            # the sheet has one page's room: it leaves the comparison to the report
            assert page == "insight" or one["change_note"].split(";")[0] in text
            assert one["explanation"]["decision"] != "do-not-show"
            if page == "report.html":
                assert f"{one['stability']:.0%}" in text or f"{one['stability']:.2f}" in text
                assert all(check["words"] in text for check in one["explanation"]["checks"])
                assert all(reason.split(" [")[0] in text for reason in one["urgency"]["reasons"])
                assert f"slice {one['localisation']['peak_frame'] + 1}" in text


def evidence(out: Path, name: str) -> list[np.ndarray[Any, np.dtype[np.float32]]]:
    """The stored maps of a finding."""
    document = json.loads((out / "reading.json").read_text(encoding="utf-8"))
    maps = unpack_evidence((out / "evidence.npz").read_bytes())
    series = document["studies"][0]["series"]
    return [maps[one["heatmap"]["evidence"]] for part in series for one in part["findings"] if one["name"] == name]


def test_every_positive_finding_has_its_map_its_area_and_its_picture(out: Path, findings: list[dict[str, Any]]) -> None:
    positive = {one["name"] for one in findings if one["positive"]}
    for ending in ("-parametric-map.dcm", "-segmentation.dcm"):
        assert {path.name.removesuffix(ending) for path in (out / "dicom").rglob(f"*{ending}")} == positive
        for path in (out / "dicom").rglob(f"*{ending}"):
            made, name = pydicom.dcmread(path), path.name.removesuffix(ending)
            region = next(one for one in findings if one["name"] == name)["localisation"]["regions"][0]
            if ending == "-segmentation.dcm":
                assert made.pixel_array.any()
            else:
                largest = max(float(np.max(one)) for one in evidence(out, name))
                peak = float(np.frombuffer(made.FloatPixelData, dtype="<f4").max())
                assert 0.9 * largest < peak <= largest + 1e-4  # interpolated between the map's cells, never stretched
                assert largest > region["level"] > 0
    pictures = {path.name.split("-overlay")[0] for path in (out / "dicom").rglob("*-overlay*.dcm")}
    assert pictures == positive


@pytest.fixture(scope="module")
def reading(out: Path) -> Reading:
    document = json.loads((out / "reading.json").read_text(encoding="utf-8"))
    return readings_from_json(document, unpack_evidence((out / "evidence.npz").read_bytes()))[0]


def test_the_oru_message_tells_every_finding(reading: Reading, findings: list[dict[str, Any]]) -> None:
    message = oru(reading, OrderFacts(patient_id="P1"), made_at=datetime(2026, 11, 21, tzinfo=UTC)).decode("utf-8")
    groups: dict[str, list[list[str]]] = {}
    for line in message.split("\r"):
        fields = line.split("|")
        if fields[0] == "OBX" and fields[4]:
            groups.setdefault(fields[4], []).append(fields)
    assert len(groups) == len(findings)
    for one in findings:
        code = finding_type(one["name"]).code.value
        (group,) = [rows for rows in groups.values() if any(code in row[3] + row[5] for row in rows)]
        numbers = [float(row[5]) for row in group if row[2] == "NM"]
        assert pytest.approx(one["probability"], abs=1e-5) in numbers
        assert pytest.approx(one["operating_point"], abs=1e-5) in numbers
        told = " ".join(row[5] for row in group)
        low, high = (
            f"{100 * bound:.0f} %" if 1 <= round(100 * bound) <= 99 else " 1 %" if bound < 0.5 else " 99 %"
            for bound in one["interval"]
        )
        assert re.search(rf"95 % interval .*{low} to .*{high}", told)
        assert ("no-finding" in told) == (not one["positive"])
        if one["positive"]:
            assert f"urgency-{one['urgency']['level'][0]}" in told
            assert f"conf-{one['confidence']['level']}" in told
            assert f"chg-{one['change']}" in told
            assert one["localisation"]["laterality"] in told.lower()


def test_the_diagnostic_report_tells_every_finding(reading: Reading, findings: list[dict[str, Any]]) -> None:
    made = bundle(reading, OrderFacts(patient_id="P1"), made_at=datetime(2026, 11, 21, tzinfo=UTC))
    resources = [entry["resource"] for entry in made["entry"]]
    (heading,) = [one for one in resources if one["resourceType"] == "DiagnosticReport"]
    observations = [one for one in resources if one["resourceType"] == "Observation"]
    assert len(heading["result"]) == len(observations)
    for one in findings:
        code = finding_type(one["name"]).code.value
        (told,) = [x for x in observations if code in {coding["code"] for coding in x["code"]["coding"]}]
        quantities = [float(part["valueQuantity"]["value"]) for part in told["component"] if "valueQuantity" in part]
        assert pytest.approx(one["probability"], abs=1e-5) in quantities
        assert pytest.approx(one["operating_point"], abs=1e-5) in quantities
        ranges = [part["valueRange"] for part in told["component"] if "valueRange" in part]
        assert [(float(x["low"]["value"]), float(x["high"]["value"])) for x in ranges] == [
            pytest.approx(tuple(one["interval"]), rel=1e-4)
        ]
        codes = {
            coding["code"]
            for part in told["component"]
            for coding in part.get("valueCodeableConcept", {}).get("coding", [])
        }
        if one["positive"]:
            assert {f"urgency-{one['urgency']['level'][0]}", f"conf-{one['confidence']['level']}"} <= codes
            assert f"chg-{one['change']}" in codes
            assert one["localisation"]["laterality"] in str(told).lower()
        else:
            assert "no-finding" in str(told["valueCodeableConcept"])
