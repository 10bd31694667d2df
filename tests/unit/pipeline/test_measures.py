"""A phantom's bleed where a map points: volume and shift in the reading, its urgency, and everything written of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from radiolucent.explain.localize import localise
from radiolucent.findings.judgement import judge
from radiolucent.findings.narrative import write
from radiolucent.findings.profile import Profile, apply
from radiolucent.findings.reading import Completeness, EngineRef, Finding, Measurement, Reading, SeriesReading
from radiolucent.imaging.geometry import PixelRecord
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.loading import load
from radiolucent.imaging.study import Study
from radiolucent.phantom.studies import PhantomStudy, make_study
from radiolucent.pipeline.measures import drawn, measured
from radiolucent.results.fhir import bundle
from radiolucent.results.hl7 import oru
from radiolucent.results.objects import encode_reading
from radiolucent.results.order import OrderFacts
from radiolucent.results.reading_json import readings_from_json, readings_to_json
from radiolucent.results.report import StudyFacts, render_report

MADE_AT = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
NAME, CELL = "intraparenchymal-haemorrhage", 8


@pytest.fixture(scope="module")
def phantom() -> PhantomStudy:
    return make_study("head-ct", (NAME,), seed=9, rows=192, slices=28)


@pytest.fixture(scope="module")
def study(phantom: PhantomStudy, tmp_path_factory: pytest.TempPathFactory) -> Study:
    folder = tmp_path_factory.mktemp("bleed")
    phantom.save(folder)
    return load(folder).studies[0]


def a_reading(phantom: PhantomStudy, study: Study) -> Reading:
    """A reading by an engine that points at the bleed with cells of 8 pixels, as a network does."""
    stack = study.stacks[0]
    order = {dataset.SOPInstanceUID: index for index, dataset in enumerate(phantom.datasets)}
    mask = phantom.lesions[0].mask[[order[frame.sop_instance_uid] for frame in stack.frames]]
    frames, rows, columns = mask.shape
    cells = mask.reshape(frames, rows // CELL, CELL, columns // CELL, CELL).mean(axis=(2, 4))
    record = PixelRecord(source_shape=(rows, columns))
    heatmap = Heatmap(evidence=(4 * cells).astype(np.float32), record=record, display_scale=4.0)
    finding = Finding(
        name=NAME,
        basis="real",
        logit=3.0,
        score=0.95,
        probability=0.95,
        operating_point=0.5,
        positive=True,
        frame_logits=(0.0,) * frames,
        heatmap=heatmap,
        localisation=localise(heatmap, stack.frames, slice_spacing_mm=stack.slice_spacing_mm, midline_mm=0.0),
    )
    other = replace(finding, name="acute-infarct", basis="phantom", positive=False, probability=0.1, localisation=None)
    series = SeriesReading(
        series_instance_uid=stack.series_instance_uid,
        modality="CT",
        kind="volume",
        description="head",
        frames=stack.frames,
        shape=(rows, columns),
        slice_spacing_mm=stack.slice_spacing_mm,
        engine=EngineRef(name="head-ct", version="1.0.0", digest="ab" * 32),
        record=record,
        findings=(finding, other),
        completeness=Completeness(pooling="mean", largest_difference=0.0, tolerance=1e-4),
        milliseconds={},
    )
    return Reading(study_instance_uid=study.study_instance_uid, series=(series,))


@pytest.fixture(scope="module")
def reading(phantom: PhantomStudy, study: Study) -> Reading:
    return judge(measured(study, a_reading(phantom, study)), bundle_priors={}, body_boxes={})


def one(reading: Reading, name: str) -> Measurement:
    series = reading.series[0]
    return next(found for found in (*series.measurements, *series.findings[0].measurements) if found.name == name)


def test_the_volume_is_that_of_the_bleed_within_an_eighth(phantom: PhantomStudy, reading: Reading) -> None:
    true = phantom.lesions[0].volume_ml
    assert true is not None
    assert one(reading, "blood-volume").value == pytest.approx(true, rel=0.12)


def test_the_shift_is_measured_towards_the_side_that_the_bleed_pushes_to(
    phantom: PhantomStudy, reading: Reading
) -> None:
    shift, where = one(reading, "midline-shift"), reading.series[0].findings[0].localisation
    assert shift.value == pytest.approx(phantom.lesions[0].extras["midline_shift_mm"], abs=2.0)
    assert where is not None
    assert {shift.side, where.laterality} == {"left", "right"}
    assert len(shift.points) == 3


def test_findings_that_are_no_located_bleed_and_series_that_are_no_head_ct_stay_as_they_are(
    phantom: PhantomStudy, study: Study
) -> None:
    plain = a_reading(phantom, study)
    assert measured(study, plain).series[0].findings[1] == plain.series[0].findings[1]
    for changed in ({"modality": "MR"}, {"kind": "frames"}, {"findings": ()}):
        other = replace(plain, series=(replace(plain.series[0], **changed),))
        assert measured(study, other) == other


def test_a_volume_without_hounsfield_units_gives_no_number_and_says_so(phantom: PhantomStudy, study: Study) -> None:
    stack = study.stacks[0]
    windowed = replace(stack, decode=lambda index: np.clip(stack.decode(index), 0, 80))
    found = measured(replace(study, stacks=(windowed,)), a_reading(phantom, study))
    for name in ("midline-shift", "blood-volume"):
        assert one(found, name).value is None
        assert "no Hounsfield units" in one(found, name).note


def test_the_map_is_drawn_at_the_size_of_the_image(reading: Reading) -> None:
    heatmap = reading.series[0].findings[0].heatmap
    mask = drawn(heatmap, reading.series[0].shape)
    cells = heatmap.evidence >= heatmap.floor * heatmap.display_scale
    assert mask.shape == (len(heatmap.evidence), *reading.series[0].shape)
    assert mask.sum() / CELL**2 == pytest.approx(cells.sum(), rel=0.35)
    assert set(np.flatnonzero(mask.any(axis=(1, 2)))) <= set(np.flatnonzero(cells.any(axis=(1, 2))))


def test_size_and_shift_reach_the_urgency_of_the_finding(reading: Reading) -> None:
    large = replace(one(reading, "blood-volume"), value=45.0)
    shifted = replace(one(reading, "midline-shift"), value=7.0)
    series = reading.series[0]
    bleed = replace(series.findings[0], name="subdural-haemorrhage", measurements=())
    for finding, measurements, words in (
        (replace(series.findings[0], measurements=(large,)), (), "45 ml"),
        (bleed, (shifted,), "midline shift 7 mm"),
    ):
        changed = replace(reading, series=(replace(series, findings=(finding,), measurements=measurements),))
        judged = judge(changed, bundle_priors={}, body_boxes={}).findings[0]
        assert judged.urgency is not None
        assert any(words in reason for reason in judged.urgency.reasons)


def items(dataset: Dataset) -> Iterator[Any]:
    for child in dataset.get("ContentSequence", []):
        yield child
        yield from items(child)


def test_json_sr_page_oru_and_diagnostic_report_tell_the_same_numbers(study: Study, reading: Reading) -> None:
    blood, shift = one(reading, "blood-volume").value, one(reading, "midline-shift").value
    assert blood is not None
    assert shift is not None
    document, maps = readings_to_json([reading], made_at=MADE_AT, software="radiolucent 0")
    assert one(readings_from_json(document, maps)[0], "blood-volume").value == blood

    objects = encode_reading(reading, {stack.key: stack for stack in study.stacks}, {}, made_at=MADE_AT)
    told = {
        (item.ConceptNameCodeSequence[0].CodeValue, value.MeasurementUnitsCodeSequence[0].CodeValue): value.NumericValue
        for made in objects
        for item in items(made.dataset)
        if item.ValueType == "NUM"
        for value in item.MeasuredValueSequence
    }
    assert float(told["blood-volume", "cm3"]) == pytest.approx(blood, rel=1e-5)
    assert float(told["midline-shift", "mm"]) == pytest.approx(shift, rel=1e-5)

    words = (
        f"{blood:.{1 if blood < 10 else 0}f} ml",
        f"shift about {shift:.0f} mm to the {one(reading, 'midline-shift').side}",
    )
    facts = StudyFacts(study_instance_uid=study.study_instance_uid)
    page = render_report([reading], facts={study.study_instance_uid: facts}, pictures=[], made_at=MADE_AT)
    order = OrderFacts(patient_id="P1")
    message = oru(reading, order, made_at=MADE_AT).decode("utf-8")
    made = bundle(reading, order, made_at=MADE_AT)
    parts = [part for entry in made["entry"] for part in entry["resource"].get("component", [])]
    measured_ml = [part["valueQuantity"] for part in parts if part["code"]["coding"][0]["code"] == "blood-volume"]
    assert [value["code"] for value in measured_ml] == ["cm3"]
    assert float(measured_ml[0]["value"]) == pytest.approx(blood, rel=1e-5)
    for text in (page, message, str(made), write(reading).findings_text):
        assert all(word in text for word in words)


def test_where_localisation_is_off_no_measurement_leaves(reading: Reading) -> None:
    off = Profile(version="1", site="test", default="case-level", findings={})
    limited = apply(reading, off)
    assert not limited.series[0].measurements
    assert not any(finding.measurements for finding in limited.findings)
    assert "ml of" not in write(limited).findings_text
    only_bleed = apply(reading, Profile(version="1", site="test", default="localise", findings={NAME: "notify"}))
    assert only_bleed.series[0].measurements == reading.series[0].measurements
    assert not only_bleed.findings[0].measurements
