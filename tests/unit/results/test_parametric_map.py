from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from radiolucent.errors import EncodingError
from radiolucent.imaging.geometry import PixelRecord, Resize
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.results.parametric_map import encode_parametric_map, evidence_frames, map_values
from radiolucent.results.provenance import Provenance

if TYPE_CHECKING:
    from tests.unit.results.cases import Case

Make = Callable[..., "Case"]
Write = Callable[[Dataset], Dataset]
Provenances = Callable[..., Provenance]


def _encode(case: Case, provenance: Provenance) -> Dataset:
    return encode_parametric_map(case.finding, case.series, case.stack, provenance)


def _floats(made: Dataset) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.frombuffer(made.FloatPixelData, dtype="<f4").reshape(made.NumberOfFrames, made.Rows, made.Columns)


def _source(group: Dataset) -> Dataset:
    found: Dataset = group.DerivationImageSequence[0].SourceImageSequence[0]
    return found


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("mr", {}),
        ("ct", {}),
        ("cr", {}),
        ("dx", {}),
        ("enhanced-mr", {}),
        ("mr", {"orientation": (0, 1, 0, 0, 0, -1)}),
        ("mr", {"shape": (5, 37, 51), "spacing_mm": (0.3, 1.7)}),
        ("cr", {"bare": True, "monochrome1": True}),
    ],
)
def test_every_frame_holds_the_evidence_of_the_frame_it_names_bit_for_bit(
    make_case: Make, written: Write, provenance_of: Provenances, kind: str, options: dict[str, Any]
) -> None:
    case = make_case(kind, **options)
    made = written(_encode(case, provenance_of(case)))
    by_reference = {(frame.sop_instance_uid, frame.number): index for index, frame in enumerate(case.stack.frames)}

    indexes = []
    for group, plane in zip(made.PerFrameFunctionalGroupsSequence, _floats(made), strict=True):
        source = _source(group)
        index = by_reference[source.ReferencedSOPInstanceUID, source.get("ReferencedFrameNumber", 1)]
        np.testing.assert_array_equal(map_values(case.finding.heatmap, index), plane)
        assert case.stack.frames[index].sop_class_uid == source.ReferencedSOPClassUID
        indexes.append(index)

    assert sorted(indexes) == list(evidence_frames(case.finding))


def test_a_frame_lies_where_its_source_lies(make_case: Make, written: Write, provenance_of: Provenances) -> None:
    case = make_case("ct", spacing_mm=(0.4, 0.7))
    made = written(_encode(case, provenance_of(case)))
    positions = {frame.sop_instance_uid: frame.plane.position_mm for frame in case.stack.frames if frame.plane}

    for group in made.PerFrameFunctionalGroupsSequence:
        expected = positions[_source(group).ReferencedSOPInstanceUID]
        np.testing.assert_allclose(group.PlanePositionSequence[0].ImagePositionPatient, expected, atol=1e-6)
    shared = made.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    assert [float(value) for value in shared.PixelSpacing] == [0.4, 0.7]
    assert case.stack.header.FrameOfReferenceUID == made.FrameOfReferenceUID


def test_values_under_the_display_floor_are_zero_and_negative_evidence_never_shows(make_case: Make) -> None:
    heatmap = make_case("mr").finding.heatmap
    values = map_values(heatmap, heatmap.peak_frame)

    assert values.dtype == np.float32
    assert ((values == 0) | (values >= heatmap.floor * heatmap.display_scale)).all()
    assert (values > 0).any()


def test_the_window_is_the_fixed_scale_and_the_quantity_is_grad_cam(
    make_case: Make, written: Write, provenance_of: Provenances
) -> None:
    case = make_case("mr")
    made = written(_encode(case, provenance_of(case)))
    shared = made.SharedFunctionalGroupsSequence[0]
    window, mapping = shared.FrameVOILUTSequence[0], shared.RealWorldValueMappingSequence[0]

    assert (window.WindowCenter, window.WindowWidth) == (2.5, 5.0)
    assert (mapping.RealWorldValueSlope, mapping.RealWorldValueIntercept) == (1.0, 0.0)
    assert mapping.DoubleFloatRealWorldValueLastValueMapped >= _floats(made).max()
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "1"
    quantity = mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0]
    assert (quantity.CodeValue, quantity.CodingSchemeDesignator) == ("130403", "DCM")
    assert made.ContentQualification == "RESEARCH"


def test_frames_without_evidence_are_left_out(make_case: Make) -> None:
    case = make_case("mr")

    assert evidence_frames(case.finding) == range(10, 15)


def test_a_finding_without_focus_gets_no_map(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")

    with pytest.raises(EncodingError, match="nothing was located"):
        encode_parametric_map(case.series.findings[1], case.series, case.stack, provenance_of(case))


def test_what_the_library_refuses_is_an_encoding_error(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")

    with pytest.raises(EncodingError, match=r"the parametric map can't be written"):
        encode_parametric_map(case.finding, replace(case.series, shape=(10, 10)), case.stack, provenance_of(case))


@given(
    rows=st.integers(3, 40),
    columns=st.integers(3, 40),
    grid=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    scale=st.floats(0.1, 100),
    seed=st.integers(0, 9),
)
@settings(max_examples=40, deadline=None)
def test_a_map_is_never_stretched(rows: int, columns: int, grid: tuple[int, int], scale: float, seed: int) -> None:
    evidence = np.random.default_rng(seed).normal(0, scale, (1, *grid)).astype(np.float32)
    record = PixelRecord(source_shape=(rows, columns)).then(Resize(height=16, width=16))
    values = map_values(Heatmap(evidence=evidence, record=record, display_scale=scale), 0)

    assert (rows, columns) == values.shape
    assert values.min() >= 0
    assert values.max() <= max(float(evidence.max()), 0) * (1 + 1e-5)
