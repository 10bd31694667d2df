"""A bundle is valid, refers to itself without gaps, can be sent twice, and never claims to be final."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from fhir.resources.bundle import Bundle as R5Bundle
from fhir.resources.R4B.bundle import Bundle as R4BBundle
from hypothesis import given, settings
from hypothesis import strategies as st

from radiolucent.errors import EncodingError
from radiolucent.findings.reading import EngineRef, Refusal
from radiolucent.findings.tables import InvalidTable
from radiolucent.results.objects import encode_reading
from tests.unit.results.messages import (
    FACTS,
    UNREAD,
    bundled,
    component_values,
    of_findings,
    of_heatmaps,
    readings,
    resources,
)
from tests.unit.results.pages import finding, reading, series

if TYPE_CHECKING:
    from tests.unit.results.cases import Case

EVERY = pytest.mark.parametrize("kind", readings())
RELEASES = pytest.mark.parametrize("release", ["R4B", "R5"])
STATUSES = pytest.mark.parametrize("status", ["preliminary", "corrected", "withdrawn"])
URN = re.compile(r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "reference" in value:
            yield value["reference"]
        for part in value.values():
            yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)


@EVERY
@RELEASES
def test_what_is_sent_is_read_back_by_the_models_as_it_was_written(kind: str, release: Any) -> None:
    made = bundled(readings()[kind], release=release)
    model = R4BBundle if release == "R4B" else R5Bundle
    read = json.loads(model.model_validate_json(json.dumps(made)).model_dump_json())
    assert read == json.loads(json.dumps(made).replace("+00:00", "Z").replace(".000Z", "Z"))


@EVERY
@RELEASES
def test_every_reference_inside_the_bundle_is_an_entry_of_it(kind: str, release: Any) -> None:
    for status in ("preliminary", "corrected", "withdrawn"):
        made = bundled(readings()[kind], release=release, status=status)
        known = {entry["fullUrl"] for entry in made["entry"]}
        assert set(_references(made)) <= known
        assert all(URN.fullmatch(url) for url in known)
        assert len(known) == len(made["entry"])


@EVERY
def test_the_same_inputs_give_the_same_bundle(kind: str) -> None:
    assert bundled(readings()[kind]) == bundled(readings()[kind])


def _search(entry: dict[str, Any]) -> str:
    return str(entry["request"].get("ifNoneExist") or entry["request"]["url"].partition("?")[2])


@EVERY
@RELEASES
@STATUSES
def test_a_resend_finds_each_resource_by_an_identifier_that_it_holds(kind: str, release: Any, status: Any) -> None:
    made = bundled(readings()[kind], release=release, status=status)
    for entry in made["entry"]:
        (key, (token,)) = next(iter(parse_qs(_search(entry)).items()))
        system, value = token.split("|")
        held = (
            entry["resource"]["identifier"]
            if key == "identifier"
            else [one["what"].get("identifier") for one in entry["resource"]["entity"]]
        )
        assert {"system": system, "value": value} in held
        assert value == entry["fullUrl"]


def test_a_first_result_creates_and_a_later_one_updates_what_was_created() -> None:
    value = readings()["partly-read"]
    first, corrected, withdrawn = (
        bundled(value, status=status) for status in ("preliminary", "corrected", "withdrawn")
    )
    assert {entry["request"]["method"] for entry in first["entry"]} == {"POST"}
    kept = {"DiagnosticReport", "Observation"}
    for later in (corrected, withdrawn):
        for entry in later["entry"]:
            kind = entry["resource"]["resourceType"]
            assert entry["request"]["method"] == ("PUT" if kind in kept else "POST")
    urls = [
        {entry["fullUrl"] for entry in made["entry"] if entry["resource"]["resourceType"] in {*kept, "Device"}}
        for made in (first, corrected, withdrawn)
    ]
    assert urls[0] == urls[1] == urls[2]
    events = [
        {entry["fullUrl"] for entry in made["entry"]} - urls[0]
        for made in (first, corrected, withdrawn, bundled(value, status="corrected", revision=2))
    ]
    assert [len(event) for event in events] == [2, 2, 2, 2]
    assert len(set().union(*events)) == 8


@EVERY
@RELEASES
@pytest.mark.parametrize(
    ("status", "code"), [("preliminary", "preliminary"), ("corrected", "amended"), ("withdrawn", "entered-in-error")]
)
def test_nothing_is_ever_final_and_no_person_has_interpreted_it(
    kind: str, release: Any, status: Any, code: str
) -> None:
    made = bundled(readings()[kind], release=release, status=status)
    told = [*resources(made, "DiagnosticReport"), *resources(made, "Observation")]
    assert {one["status"] for one in told} == {code}
    assert '"final"' not in json.dumps(made)
    assert not [one for one in told if {"performer", "resultsInterpreter"} & set(one)]


@EVERY
def test_every_observation_has_one_device_and_stems_from_the_study(kind: str) -> None:
    made = bundled(readings()[kind])
    devices = {one["identifier"][0]["value"] for one in resources(made, "Device")}
    for one in resources(made, "Observation"):
        assert one["device"]["reference"] in devices
        assert one["derivedFrom"][0]["identifier"]["value"] == "urn:oid:2.25.1"
        assert one["subject"] == {"type": "Patient", "identifier": {"value": "SYN-7", "assigner": {"display": "SITE"}}}
    assert resources(made, "Patient") == []


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("positive", "located"),
        ("empty", "no-focus"),
        ("failed", "no-explanation"),
        ("withheld", "withheld"),
        ("not-located", "not-determined"),
    ],
)
def test_every_heatmap_is_an_event_and_no_focus_is_one_as_well(kind: str, status: str) -> None:
    made = bundled(readings()[kind])
    (heatmap,) = of_heatmaps(made)
    assert heatmap["valueCodeableConcept"]["coding"][0]["code"] == status
    (positive,) = [one for one in of_findings(made) if one["valueCodeableConcept"]["coding"][0]["code"] == "52101004"]
    assert heatmap["focus"] == [{"reference": positive["identifier"][0]["value"], "type": "Observation"}]
    place = {"regions", "peak-image", "centroid", "map-object", "place"} & set(component_values(heatmap))
    assert (len(place) == 5) == (status == "located")


def test_a_negative_finding_has_no_heatmap_event() -> None:
    assert of_heatmaps(bundled(readings()["negative"])) == []


@pytest.mark.parametrize("kind", ["mr", "cr"])
def test_the_map_that_is_pointed_to_is_the_dicom_object(kind: str, make_case: Callable[..., Case], cases: Any) -> None:
    case = make_case(kind)
    objects = encode_reading(case.reading, case.stacks, case.pictures, made_at=cases.MADE_AT, revision=2)
    maps = [one.dataset for one in objects if one.name.endswith("parametric-map")]
    for release in ("R4B", "R5"):
        made = bundled(case.reading, release=release, revision=2)
        pointed = [component_values(one).get("map-object") for one in of_heatmaps(made)]
        assert [uid for uid in pointed if uid] == [str(one.SOPInstanceUID) for one in maps]
    selected = resources(made, "ImagingSelection")
    assert [one["instance"][0]["uid"] for one in selected] == [str(one.SOPInstanceUID) for one in maps]
    assert [one["seriesUid"] for one in selected] == [str(one.SeriesInstanceUID) for one in maps]
    sop_classes = {one["instance"][0]["sopClass"]["code"] for one in selected}
    assert sop_classes == {f"urn:oid:{one.SOPClassUID}" for one in maps}


def test_an_r5_finding_stems_from_the_selection_that_explains_it() -> None:
    made = bundled(readings()["positive"], release="R5")
    (selection,) = resources(made, "ImagingSelection")
    assert selection["code"]["coding"][0]["code"] == "130401"
    explained = [one for one in of_findings(made) if len(one["derivedFrom"]) == 2]
    assert [one["derivedFrom"][1]["reference"] for one in explained] == [selection["identifier"][0]["value"]]
    assert resources(bundled(readings()["positive"]), "ImagingSelection") == []
    assert resources(bundled(readings()["empty"], release="R5"), "ImagingSelection") == []
    (gone,) = resources(bundled(readings()["positive"], release="R5", status="withdrawn"), "ImagingSelection")
    assert gone["status"] == "entered-in-error"


@RELEASES
def test_a_correction_marks_what_only_the_earlier_reading_said(release: Any) -> None:
    old = EngineRef(name="brain-mri", version="1.1.0", digest="cd" * 32)
    earlier = reading(series(finding(), finding("meningioma"), engine=old))
    made = bundled(readings()["positive"], status="corrected", earlier=earlier, release=release)
    states = sorted(one["status"] for one in resources(made, "Observation"))
    assert states == ["amended"] * 3 + ["entered-in-error"] * 4
    assert set(_references(made)) <= {entry["fullUrl"] for entry in made["entry"]}
    assert len(resources(made, "DiagnosticReport")) == len(resources(made, "Provenance")) == 1
    same = bundled(readings()["positive"], status="corrected", earlier=readings()["positive"], release=release)
    assert same == bundled(readings()["positive"], status="corrected", release=release)


def test_a_correction_can_not_replace_a_reading_of_another_study() -> None:
    with pytest.raises(EncodingError, match="another study"):
        bundled(readings()["positive"], status="corrected", earlier=reading(study_instance_uid="2.25.9"))


def test_two_equal_findings_of_one_engine_on_one_series_are_refused() -> None:
    with pytest.raises(EncodingError, match="twice"):
        bundled(reading(series(finding()), series(finding())))


def test_the_time_of_a_result_needs_a_zone() -> None:
    with pytest.raises(EncodingError, match="time zone"):
        bundled(readings()["positive"], made_at=datetime(2026, 1, 1))
    west = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=-5)))
    assert bundled(readings()["positive"], made_at=west)["timestamp"] == "2026-01-01T00:00:00.000-05:00"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"facts": replace(FACTS, patient_id=" ")}, "patient ID"),
        ({"facts": replace(FACTS, study_date="20261399")}, "FHIR bundle"),
        ({"viewer_url": "javascript:x"}, "viewer"),
        ({"value": reading(study_instance_uid="x")}, "UID"),
        ({"value": reading(series(finding(probability=float("nan"))))}, "number"),
    ],
    ids=["patient", "date", "viewer", "uid", "number"],
)
def test_what_can_not_be_sent_is_refused(options: dict[str, Any], match: str) -> None:
    with pytest.raises(EncodingError, match=match):
        bundled(**{"value": readings()["positive"], **options})


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(InvalidTable):
        bundled(readings()["positive"], language="tlh")


AWKWARD = st.text(
    st.one_of(st.sampled_from("<>&\"'|\r\n\t\x00\x0b\x1c\x7f\x85\u2028\ufffe äß肺"), st.characters()), max_size=40
)


@settings(max_examples=25, deadline=None)
@given(AWKWARD, AWKWARD)
def test_any_text_of_a_sender_gives_a_valid_bundle(description: str, reason: str) -> None:
    refusal = replace(UNREAD, description=description, refusals=(Refusal(code="x", reason=reason),))
    value = reading(series(finding(), description=description), unread=(refusal,))
    made = bundled(value, replace(FACTS, patient_id=f"x{reason}", accession_number=description))
    assert R4BBundle.model_validate_json(json.dumps(made).encode())
    kinds = [entry["resource"]["resourceType"] for entry in made["entry"]]
    assert kinds.count("Observation") == 3
