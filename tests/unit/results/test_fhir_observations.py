"""Each Observation says what the reading says of a finding, of its heatmap, or of what was not read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from radiolucent.results.provenance import Provenance
from tests.unit.results.messages import (
    bundled,
    component_values,
    first_code,
    of_findings,
    of_heatmaps,
    readings,
    resources,
)
from tests.unit.results.pages import MADE_AT, finding, reading, series


def _positive(kind: str, **options: Any) -> dict[str, Any]:
    return of_findings(bundled(readings()[kind], **options))[0]


def test_a_positive_finding_is_present_with_all_that_the_reading_knows() -> None:
    value = readings()["compared"]
    one = _positive("compared", viewer_url="https://v.example/{finding}")
    parts = component_values(one)
    tracking = Provenance(made_at=MADE_AT, study_instance_uid="2.25.1").tracking_uid("glioma", value.series[0], "1")
    assert first_code(one["valueCodeableConcept"]) == "52101004"
    assert one["code"]["coding"][0]["code"] == "RL0101"
    assert first_code(one["bodySite"]) == "12738006"
    assert parts["122157"] == 0.91
    assert parts["operating-point"] == 0.5
    assert (parts["urgency"], parts["confidence"]) == ("urgency-3", "conf-moderate")
    assert parts["272741003"] == "7771000"
    assert parts["change"] == "chg-unchanged"
    assert (parts["112002"], parts["112040"]) == ("1.2.3", tracking)
    assert parts["viewer"] == "https://v.example/glioma"
    assert first_code(one["interpretation"][0]) == "A"


def test_a_finding_below_its_threshold_says_so_and_never_absent_or_normal() -> None:
    (one,) = of_findings(bundled(readings()["negative"]))
    assert one["valueCodeableConcept"]["coding"][0]["display"] == "No finding above threshold"
    assert first_code(one["code"]) == "RL0102"
    assert component_values(one)["122157"] == 0.123457
    assert "interpretation" not in one
    assert not {"urgency", "confidence", "place"} & set(component_values(one))
    text = str(one).lower()
    assert "absent" not in text
    assert "normal" not in text


def test_a_score_that_is_not_calibrated_is_never_a_probability() -> None:
    for one in of_findings(bundled(readings()["uncalibrated"])):
        parts = component_values(one)
        assert parts["score"] == 0.88
        assert "122157" not in parts
        named = next(part["code"] for part in one["component"] if first_code(part["code"]) == "score")
        assert named["text"] == "Uncalibrated score, not a probability"
        assert "%" not in str(one)


def test_a_critical_finding_is_flagged_until_it_is_withdrawn() -> None:
    assert first_code(_positive("critical")["interpretation"][0]) == "AA"
    assert "interpretation" not in _positive("critical", status="withdrawn")


def test_words_are_in_the_readers_language_and_codes_are_not() -> None:
    one = _positive("positive", language="de")
    assert one["code"]["text"] == "Gliom"
    assert one["language"] == "de"
    urgency = next(part for part in one["component"] if first_code(part["code"]) == "urgency")
    assert urgency["valueCodeableConcept"]["text"] == "dringend"
    assert urgency["valueCodeableConcept"]["coding"][0]["display"] == "2 urgent"
    assert "Nicht für die klinische Anwendung" in one["note"][0]["text"]


def test_a_located_heatmap_tells_where_and_how_large() -> None:
    (heatmap,) = of_heatmaps(bundled(readings()["right"]))
    parts = component_values(heatmap)
    assert (parts["regions"], parts["peak-image"]) == (1, "1.2.2#1")
    assert (parts["42798000"], parts["118565006"]) == (80.0, 12.34)
    assert parts["centroid"] == "(21.0, 31.0, 10.0) mm"
    assert parts["completeness"] is True
    assert first_code(heatmap["method"]) == "130403"


def test_a_size_that_is_not_known_is_left_out() -> None:
    value = readings()["positive"]
    where = value.series[0].findings[0].localisation
    assert where is not None
    region = replace(where.regions[0], area_mm2=None, volume_ml=None, centroid_mm=None)
    unknown = replace(where, regions=(region,), peak_frame=None)
    (heatmap,) = of_heatmaps(bundled(reading(series(finding(localisation=unknown)))))
    assert not {"42798000", "118565006", "centroid", "peak-image"} & set(component_values(heatmap))


def test_what_was_not_read_is_told_with_its_reason_by_the_software() -> None:
    made = bundled(readings()["partly-read"])
    missing = [one for one in resources(made, "Observation") if first_code(one["code"]) == "not-read"]
    assert [one["valueString"] for one in missing] == ["it has no contrast agent.", "the file ends early"]
    software = resources(made, "Device")[0]["identifier"][0]["value"]
    assert {one["device"]["reference"] for one in missing} == {software}
    assert component_values(missing[0]) == {"112002": "1.2.5"}


@pytest.mark.parametrize("kind", ["not-read", "only-problems"])
def test_a_study_that_was_not_read_has_no_finding(kind: str) -> None:
    made = bundled(readings()[kind])
    assert of_findings(made) == []
    assert len(resources(made, "Observation")) == 1
    assert "normal" not in str(made).lower()
