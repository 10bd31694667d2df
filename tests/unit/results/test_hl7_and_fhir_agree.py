"""reading.json, ORU, FHIR, structured report and narrative tell the same of every finding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from radiolucent.findings.narrative import write
from radiolucent.findings.phrases import phrases
from radiolucent.findings.reading import Reading
from radiolucent.findings.taxonomy import FINDINGS
from radiolucent.results.objects import encode_reading
from radiolucent.results.reading_json import readings_to_json
from tests.unit.results.messages import (
    Received,
    bundled,
    component_values,
    first_code,
    of_findings,
    of_heatmaps,
    readings,
    received,
    resources,
)
from tests.unit.results.pages import MADE_AT

if TYPE_CHECKING:
    from tests.unit.results.cases import Case

EVERY = pytest.mark.parametrize("kind", readings())
NAMES = {(row.code.value, row.site.value): name for name, row in FINDINGS.items()}
SIDES = {"7771000": "left", "24028007": "right", "51440002": "bilateral", "261129000": "midline"}
HEATMAPS = {
    "located": "located",
    "no-focus": "empty",
    "no-explanation": "failed",
    "withheld": "withheld",
    "not-determined": "missing",
}


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a format tells of one finding."""

    series: str
    engine: str
    name: str
    positive: bool
    probability: float | None
    score: float | None
    operating_point: float
    basis: str
    urgency: str = ""
    confidence: str = ""
    side: str = ""
    heatmap: str = ""
    change: str = ""


def _key(told: Told) -> tuple[str, ...]:
    return told.series, told.engine, told.name


def _number(value: float) -> float:
    return float(f"{value:.6g}")


def _of_json(value: Reading) -> list[Told]:
    document, _ = readings_to_json([value], made_at=MADE_AT, software="test")
    return told_by_json(document)


def told_by_json(document: dict[str, Any]) -> list[Told]:
    """Of the first study."""
    found = []
    for series in document["studies"][0]["series"]:
        for one in series["findings"]:
            where, positive = one["localisation"], one["positive"]
            located = (
                positive and where is not None and where["status"] == "located" and where["laterality"] != "unknown"
            )
            calibrated = one["probability"] is not None
            found.append(
                Told(
                    series=series["series_instance_uid"],
                    engine=f"{series['engine']['name']}@{series['engine']['version']}",
                    name=one["name"],
                    positive=positive,
                    probability=_number(one["probability"]) if calibrated else None,
                    score=None if calibrated else _number(one["score"]),
                    operating_point=_number(one["operating_point"]),
                    basis=one["basis"],
                    urgency=one["urgency"]["level"][0] if one["urgency"] and positive else "",
                    confidence=one["confidence"]["level"] if one["confidence"] else "",
                    side=where["laterality"] if located else "",
                    heatmap=(where["status"] if where else "missing") if positive else "",
                    change=one["change"] or "",
                )
            )
    return sorted(found, key=_key)


def _of_oru(value: Reading) -> list[Told]:
    return told_by_oru(received(value))


def told_by_oru(message: Received) -> list[Told]:
    found = []
    for group in message.groups():
        if "not-read" in group:
            continue
        positive = "121071" in group
        code = group["121071"][0] if positive else next(iter(group))
        found.append(
            Told(
                series=group["112002"][1],
                engine=group["engine"][0],
                name=NAMES[code, group["site"][0]],
                positive=positive,
                probability=float(group["122157"][0]) if "122157" in group else None,
                score=float(group["score"][0]) if "score" in group else None,
                operating_point=float(group["operating-point"][0]),
                basis=group["training-basis"][0],
                urgency=group.get("urgency", ("",))[0].removeprefix("urgency-"),
                confidence=group.get("confidence", ("",))[0].removeprefix("conf-"),
                side=SIDES.get(group.get("272741003", ("",))[0], ""),
                heatmap=HEATMAPS.get(group.get("130401", ("",))[0], ""),
                change=group.get("change", ("",))[0].removeprefix("chg-"),
            )
        )
    return sorted(found, key=_key)


def _of_fhir(value: Reading, release: str) -> list[Told]:
    return told_by_fhir(bundled(value, release=release))


def told_by_fhir(made: dict[str, Any]) -> list[Told]:
    engines = {
        one["identifier"][0]["value"]: f"{_device_name(one)}@{one['version'][0]['value']}"
        for one in resources(made, "Device")
    }
    maps = {one["focus"][0]["reference"]: first_code(one["valueCodeableConcept"]) for one in of_heatmaps(made)}
    found = []
    for one in of_findings(made):
        parts = component_values(one)
        found.append(
            Told(
                series=parts["112002"],
                engine=engines[one["device"]["reference"]],
                name=NAMES[first_code(one["code"]), first_code(one["bodySite"])],
                positive=first_code(one["valueCodeableConcept"]) == "52101004",
                probability=parts.get("122157"),
                score=parts.get("score"),
                operating_point=parts["operating-point"],
                basis=parts["training-basis"],
                urgency=parts.get("urgency", "").removeprefix("urgency-"),
                confidence=parts.get("confidence", "").removeprefix("conf-"),
                side=SIDES.get(parts.get("272741003", ""), ""),
                heatmap=HEATMAPS.get(maps.get(one["identifier"][0]["value"], ""), ""),
                change=parts.get("change", "").removeprefix("chg-"),
            )
        )
    return sorted(found, key=_key)


def _device_name(device: dict[str, Any]) -> str:
    return str(device["deviceName"][0]["name"] if "deviceName" in device else device["name"][0]["value"])


@EVERY
def test_oru_and_fhir_tell_what_the_json_tells(kind: str) -> None:
    value = readings()[kind]
    expected = _of_json(value)
    assert _of_oru(value) == expected
    assert _of_fhir(value, "R4B") == expected
    assert _of_fhir(value, "R5") == expected


def test_the_readings_tell_apart_what_must_agree() -> None:
    told = [one for value in readings().values() for one in _of_json(value)]
    assert {one.heatmap for one in told} == {"located", "empty", "failed", "withheld", "missing", ""}
    assert {one.side for one in told} == {"left", "right", ""}
    assert {one.urgency for one in told} >= {"1", "2", "3", ""}
    assert {one.confidence for one in told} >= {"moderate", "low", ""}
    assert {one.positive for one in told} == {True, False}
    assert {one.probability is None for one in told} == {True, False}
    assert {one.change for one in told} >= {"unchanged", "resolved", ""}


@EVERY
def test_what_was_not_read_is_the_same_in_every_format(kind: str) -> None:
    value = readings()[kind]
    document, _ = readings_to_json([value], made_at=MADE_AT, software="test")
    study = document["studies"][0]
    expected = [refusal["reason"] for one in study["unread"] for refusal in one["refusals"]]
    expected += [one["reason"] for one in study["problems"]]
    oru = [group["not-read"][0].rstrip(".") for group in received(value).groups() if "not-read" in group]
    made = resources(bundled(value), "Observation")
    fhir = [one["valueString"].rstrip(".") for one in made if first_code(one["code"]) == "not-read"]
    assert expected == oru == fhir
    assert received(value).study()["state"][0] == study["state"]
    for reason in expected:
        assert reason in write(value).not_read_text


@EVERY
@pytest.mark.parametrize("language", ["en", "de"])
def test_the_narrative_tells_the_same_in_words(kind: str, language: str) -> None:
    value, words = readings()[kind], phrases(language)
    text = write(value, language).findings_text.lower()
    for one in _of_oru(value):
        assert words.name(one.name).lower() in text
        if one.probability is not None:
            assert words.percent(one.probability) in text
        else:
            assert one.score is not None
            assert f"{words.words['score']} {words.number(one.score, 2)}".lower() in text
        if one.positive:
            assert words.urgency[one.urgency or "5"].lower() in text
            if one.confidence:
                assert words.confidence[one.confidence].lower() in text
            if one.side:
                assert words.side[one.side].lower() in text
            if one.heatmap != "located":
                assert words.status[one.heatmap].lower() in text


@pytest.mark.parametrize("kind", ["mr", "cr"])
def test_the_structured_report_tracks_the_same_findings(kind: str, make_case: Callable[..., Case], cases: Any) -> None:
    case = make_case(kind)
    objects = encode_reading(case.reading, case.stacks, {}, made_at=cases.MADE_AT)
    tracked = {
        str(item.UID)
        for one in objects
        if one.name.endswith("-report")
        for item in _items(one.dataset)
        if "UID" in item and item.ConceptNameCodeSequence[0].CodeValue == "112040"
    }
    sent = {group["112040"][1] for group in received(case.reading).groups() if "112040" in group}
    bundle = {component_values(one)["112040"] for one in of_findings(bundled(case.reading))}
    assert sent <= bundle <= tracked
    assert len(sent) == 2


def _items(dataset: Any) -> list[Any]:
    inner = [item for child in dataset.get("ContentSequence", []) for item in _items(child)]
    return [child for child in dataset.get("ContentSequence", [])] + inner


def test_both_tell_the_interval_of_a_probability_where_there_is_one_and_nothing_where_there_is_none() -> None:
    said = [
        group["prob-interval"][0] for group in received(readings()["partly-read"]).groups() if "not-read" not in group
    ]
    assert said == ["95 % interval 80 % to 96 %", "95 % interval under 1 % to 25 %"]
    ranges = [
        (part["valueRange"]["low"]["value"], part["valueRange"]["high"]["value"])
        for one in of_findings(bundled(readings()["partly-read"]))
        for part in one["component"]
        if "valueRange" in part
    ]
    assert [tuple(map(float, one)) for one in ranges] == [(0.8, 0.96), (0.004, 0.25)]
    assert all("prob-interval" not in group for group in received(readings()["positive"]).groups())
    assert "valueRange" not in str(bundled(readings()["positive"]))
