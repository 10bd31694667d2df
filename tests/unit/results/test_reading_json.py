"""reading.json and evidence.npz: what is written is read back, and a wrong file is refused."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import jsonschema
import numpy as np
import pytest

from radiolucent.errors import UnreadableFile
from radiolucent.findings.reading import (
    Completeness,
    EngineRef,
    Finding,
    Graded,
    Localisation,
    Reading,
    Refusal,
    Region,
    SeriesReading,
    UnreadSeries,
)
from radiolucent.imaging.geometry import Crop, Flip, ImagePlane, PixelRecord, Resize, Turn
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Frame, Problem
from radiolucent.results.reading_json import (
    dump,
    pack_evidence,
    readings_from_json,
    readings_to_json,
    unpack_evidence,
)

MADE_AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
SCHEMA = json.loads(files("radiolucent.results").joinpath("reading.schema.json").read_text(encoding="utf-8"))


def a_reading() -> Reading:
    record = PixelRecord(source_shape=(100, 120)).then(
        Crop(top=-3, left=2, height=110, width=110), Resize(height=64, width=64), Flip(axis="rows"), Turn(quarters=1)
    )
    evidence = np.random.default_rng(0).normal(size=(2, 8, 8)).astype(np.float32)
    region = Region(
        frame=1,
        peak=(10.25, 20.0),
        centroid=(10.0, 20.0),
        contour=((0.0, 0.0), (0.0, 5.0), (5.0, 5.0)),
        level=1.5,
        first_frame=0,
        last_frame=1,
        area_pixels=12.5,
        area_mm2=None,
        volume_ml=0.4,
        extent_mm=(3.0, 4.0),
        peak_mm=None,
        centroid_mm=(1.0, -2.0, 3.0),
        share=1.0,
    )
    finding = Finding(
        name="glioma",
        basis="real",
        logit=1.5,
        score=0.81,
        probability=0.9,
        operating_point=0.5,
        positive=True,
        frame_logits=(0.25, 1.5),
        heatmap=Heatmap(evidence=evidence, record=record, display_scale=4.0),
        localisation=Localisation(status="located", regions=(region,), laterality="left", focality="focal"),
        urgency=Graded(level="2", reasons=("a table row",), table_version="1"),
    )
    plane = ImagePlane(
        position_mm=(0.0, 0.0, 5.0),
        row_cosines=(1.0, 0.0, 0.0),
        column_cosines=(0.0, 1.0, 0.0),
        spacing_mm=(0.9, 1.1),
    )
    series = SeriesReading(
        series_instance_uid="1.2.3",
        modality="MR",
        kind="volume",
        description="AX T1 POST",
        frames=(
            Frame(sop_class_uid="1.2", sop_instance_uid="1.2.3.1", plane=plane, spacing_mm=(0.9, 1.1)),
            Frame(sop_class_uid="1.2", sop_instance_uid="1.2.3.2"),
        ),
        shape=(100, 120),
        slice_spacing_mm=6.5,
        engine=EngineRef(name="brain-mri", version="1.0.0", digest="0" * 64),
        record=record,
        findings=(finding, replace(finding, name="meningioma", probability=None, localisation=None, positive=False)),
        completeness=Completeness(pooling="log-sum-exp", largest_difference=2e-6, tolerance=1e-4),
        milliseconds={"engine": 12.5},
        notes=("one slice is missing",),
    )
    unread = UnreadSeries(
        series_instance_uid="1.2.4",
        modality="CT",
        description="",
        frames=3,
        refusals=(Refusal(code="modality", reason="reads MR, this is CT", engine="brain-mri@1.0.0"),),
    )
    problem = Problem(code="truncated", reason="b.dcm: PixelData: ends early", source="b.dcm")
    return Reading(study_instance_uid="1.2", series=(series,), unread=(unread,), problems=(problem,), software="x")


def written() -> tuple[dict[str, Any], dict[str, Any]]:
    document, maps = readings_to_json([a_reading()], problems=(), made_at=MADE_AT, software="radiolucent x")
    return json.loads(dump(document)), dict(unpack_evidence(pack_evidence(maps)))


def test_what_is_written_is_read_back_the_same() -> None:
    document, maps = written()
    again, maps_again = readings_to_json(
        readings_from_json(document, maps), problems=(), made_at=MADE_AT, software="radiolucent x"
    )
    assert document == json.loads(dump(again))
    assert all(np.array_equal(maps[key], maps_again[key]) for key in maps)


def test_the_document_follows_its_schema() -> None:
    document, _ = written()
    jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker()).validate(document)


def test_the_schema_refuses_a_document_without_the_notice() -> None:
    document, _ = written()
    del document["notice"]
    with pytest.raises(jsonschema.ValidationError, match="notice"):
        jsonschema.validate(document, SCHEMA)


def test_a_changed_map_is_refused() -> None:
    document, maps = written()
    key = next(iter(maps))
    maps[key] = maps[key] + np.float32(1e-3)
    with pytest.raises(UnreadableFile, match="digest differs"):
        readings_from_json(document, maps)


def test_a_missing_map_is_refused() -> None:
    document, _ = written()
    with pytest.raises(UnreadableFile, match="missing from evidence"):
        readings_from_json(document, {})


def test_another_schema_version_is_refused() -> None:
    document, maps = written()
    with pytest.raises(UnreadableFile, match="schema version 99"):
        readings_from_json({**document, "schema_version": 99}, maps)


def test_a_document_without_a_field_is_refused_with_the_fields_name() -> None:
    document, maps = written()
    del document["studies"][0]["series"][0]["engine"]
    with pytest.raises(UnreadableFile, match="engine"):
        readings_from_json(document, maps)


def test_bytes_that_are_no_archive_are_refused() -> None:
    with pytest.raises(UnreadableFile, match="no archive"):
        unpack_evidence(b"PK\x03\x04 not really")


def test_a_difference_that_is_no_number_is_null_and_fails_the_check_when_read_back() -> None:
    reading = a_reading()
    series = replace(
        reading.series[0],
        completeness=Completeness(pooling="mean", largest_difference=float("nan"), tolerance=1e-4),
    )
    document, maps = readings_to_json([replace(reading, series=(series,))], made_at=MADE_AT, software="x")
    completeness = readings_from_json(json.loads(dump(document)), maps)[0].series[0].completeness
    assert document["studies"][0]["series"][0]["completeness"]["largest_difference"] is None
    assert not completeness.holds


def test_numbers_stand_on_one_line_and_strings_are_left_alone() -> None:
    text = dump({"a": [1.5, -2e-05], "b": "[1,2]"})
    assert '"a": [1.5, -2e-05]' in text
    assert json.loads(text) == {"a": [1.5, -2e-05], "b": "[1,2]"}
