from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from radiolucent.errors import EncodingError
from radiolucent.findings.reading import Finding, Graded, Localisation
from radiolucent.findings.taxonomy import finding_type
from radiolucent.results.measurement_groups import finding_groups, statement_group
from radiolucent.results.parametric_map import encode_parametric_map
from radiolucent.results.presentation_state import graphic_points
from radiolucent.results.provenance import Provenance

if TYPE_CHECKING:
    from tests.unit.results.cases import Case

Make = Callable[..., "Case"]
Provenances = Callable[..., Provenance]


def items(group: Any, meaning: str) -> list[Dataset]:
    """Content items of a group under a concept name."""
    return [item for item in group[0].ContentSequence if item.ConceptNameCodeSequence[0].CodeMeaning == meaning]


def number(item: Dataset) -> float:
    return float(item.MeasuredValueSequence[0].NumericValue)


def _groups(case: Case, provenance: Provenance, finding: Finding | None = None, **options: Any) -> list[Any]:
    return finding_groups(finding or case.finding, case.series, case.stack, provenance, **options)


@pytest.mark.parametrize("kind", ["mr", "ct", "cr", "dx", "enhanced-mr"])
def test_a_region_is_a_closed_line_on_the_image_that_it_was_seen_on(
    make_case: Make, provenance_of: Provenances, kind: str
) -> None:
    case = make_case(kind)
    where = case.finding.localisation
    assert where is not None
    region = items(_groups(case, provenance_of(case))[0], "Image Region")[0]
    frame = case.stack.frames[where.regions[0].frame]
    selected = region.ContentSequence[0].ReferencedSOPSequence[0]

    points = np.array(region.GraphicData).reshape(-1, 2)
    np.testing.assert_allclose(points, graphic_points(where.regions[0], case.series.shape), rtol=1e-6)
    assert region.GraphicType == "POLYLINE"
    assert selected.ReferencedSOPInstanceUID == frame.sop_instance_uid
    assert selected.get("ReferencedFrameNumber", 1) == frame.number


def test_a_group_says_what_where_how_likely_and_who_says_so(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("ct")
    group = _groups(case, provenance_of(case))[0]
    kind = finding_type(case.finding.name)

    assert items(group, "Finding")[0].ConceptCodeSequence[0].CodeValue == kind.code.value
    site = items(group, "Finding Site")[0]
    assert site.ConceptCodeSequence[0].CodeValue == kind.site.value
    assert site.ContentSequence[0].ConceptCodeSequence[0].CodeMeaning == "Left"
    assert number(items(group, "Probability")[0]) == pytest.approx(0.912346)
    assert number(items(group, "Operating point")[0]) == 0.5
    assert items(group, "Algorithm Name")[0].TextValue == "test-engine"
    assert items(group, "Algorithm Version")[0].TextValue == "1.2.3"
    parameters = [item.TextValue for item in items(group, "Algorithm Parameters")]
    assert f"bundle-sha256={'ab' * 32}" in parameters


def test_sizes_are_given_where_the_spacing_is_known_and_only_there(make_case: Make, provenance_of: Provenances) -> None:
    known, unknown = make_case("mr"), make_case("cr")
    where = known.finding.localisation
    assert where is not None

    group = _groups(known, provenance_of(known))[0]
    assert number(items(group, "Area")[0]) == pytest.approx(where.regions[0].area_mm2)
    assert number(items(group, "Volume")[0]) == 1.25
    group = _groups(unknown, provenance_of(unknown))[0]
    assert not items(group, "Area")
    assert not items(group, "Volume")


def test_the_map_is_linked_as_the_visual_explanation(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")
    made = encode_parametric_map(case.finding, case.series, case.stack, provenance_of(case))

    link = items(_groups(case, provenance_of(case), map_object=made)[0], "Visual explanation")[0]

    assert link.ConceptNameCodeSequence[0].CodeValue == "130401"
    assert (link.ValueType, link.RelationshipType) == ("IMAGE", "CONTAINS")
    assert link.ReferencedSOPSequence[0].ReferencedSOPInstanceUID == made.SOPInstanceUID
    assert link.ReferencedSOPSequence[0].ReferencedSOPClassUID == made.SOPClassUID


def test_probability_and_explanation_stand_in_the_first_of_several_regions(
    make_case: Make, provenance_of: Provenances
) -> None:
    case = make_case("mr")
    where = case.finding.localisation
    assert where is not None
    two = replace(case.finding, localisation=replace(where, regions=where.regions * 2))
    made = encode_parametric_map(case.finding, case.series, case.stack, provenance_of(case))

    first, second = _groups(case, provenance_of(case), two, map_object=made)

    assert items(first, "Probability")
    assert items(first, "Visual explanation")
    assert not items(second, "Probability")
    assert not items(second, "Visual explanation")
    trackings = {items(group, "Tracking Unique Identifier")[0].UID for group in (first, second)}
    assert len(trackings) == 2


@pytest.mark.parametrize(
    ("localisation", "status", "words"),
    [
        (Localisation(status="empty"), "No focus above threshold", "No focus above threshold."),
        (Localisation(status="failed", reason="the map is off"), "No explanation", "No explanation: the map is off."),
        (Localisation(status="withheld", reason="not here"), "Localisation withheld", "Not located: not here."),
    ],
)
def test_a_positive_finding_without_region_stays_and_says_why(
    make_case: Make, provenance_of: Provenances, localisation: Localisation, status: str, words: str
) -> None:
    case = make_case("mr")
    groups = _groups(case, provenance_of(case), replace(case.finding, localisation=localisation))

    assert len(groups) == 1
    assert not items(groups[0], "Image Region")
    assert items(groups[0], "Presence of property")[0].ConceptCodeSequence[0].CodeMeaning == "Present"
    assert items(groups[0], "Localisation of evidence")[0].ConceptCodeSequence[0].CodeMeaning == status
    assert words in items(groups[0], "Comment")[0].TextValue


def test_a_finding_without_region_names_the_image_that_weighs_most(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("enhanced-mr")
    finding = replace(case.finding, localisation=Localisation(status="failed", reason="no"))
    source = items(_groups(case, provenance_of(case), finding)[0], "Source of Measurement")[0].ReferencedSOPSequence[0]

    assert source.ReferencedSOPInstanceUID == case.stack.header.SOPInstanceUID
    assert source.ReferencedFrameNumber == finding.heatmap.peak_frame + 1


def test_a_withheld_place_is_not_told_by_the_slice_either(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")
    blank = replace(case.finding.heatmap, evidence=np.zeros_like(case.finding.heatmap.evidence))
    finding = replace(
        case.finding, heatmap=blank, frame_logits=(), localisation=Localisation(status="withheld", reason="no")
    )
    group = _groups(case, provenance_of(case), finding)[0]

    assert not items(group, "Source of Measurement")
    assert not items(group, "Image Region")
    assert "ContentSequence" not in items(group, "Finding Site")[0]  # no side


def test_a_negative_finding_is_absent_but_not_ruled_out(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")
    group = _groups(case, provenance_of(case), case.series.findings[2])[0]

    assert items(group, "Presence of property")[0].ConceptCodeSequence[0].CodeMeaning == "Absent"
    assert "does not rule it out" in items(group, "Comment")[0].TextValue


def test_without_calibration_the_score_is_not_called_a_probability(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")
    group = _groups(case, provenance_of(case), replace(case.finding, probability=None))[0]

    assert not items(group, "Probability")
    assert number(items(group, "Uncalibrated score")[0]) == 0.88
    assert "probability" not in items(group, "Comment")[0].TextValue


@pytest.mark.parametrize(
    ("basis", "meaning"), [("real", "Real images"), ("phantom", "Synthetic images (phantom) only")]
)
def test_what_the_engine_learned_it_from_is_said(
    make_case: Make, provenance_of: Provenances, basis: Any, meaning: str
) -> None:
    case = make_case("mr")
    group = _groups(case, provenance_of(case), replace(case.finding, basis=basis))[0]

    assert items(group, "Training basis")[0].ConceptCodeSequence[0].CodeMeaning == meaning
    assert ("synthetic" in items(group, "Comment")[0].TextValue) == (basis == "phantom")


def test_the_comment_gives_place_grades_and_warning(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")
    graded = Graded(level="high", reasons=("because",), table_version="1")
    comment = items(_groups(case, provenance_of(case), replace(case.finding, urgency=graded))[0], "Comment")[
        0
    ].TextValue

    assert "Centroid of evidence at (" in comment
    assert "Urgency: high." in comment
    assert "Not for clinical use. AI result, not diagnostic" in comment


def test_a_statement_says_what_was_not_read(make_case: Make, provenance_of: Provenances) -> None:
    group = statement_group("Series not read: too dark.", "x", provenance_of(make_case("mr")))

    assert items(group, "Finding")[0].ConceptCodeSequence[0].CodeValue == "not-read"
    assert items(group, "Comment")[0].TextValue.startswith("Series not read: too dark. Not for clinical use.")


def test_a_contour_that_is_no_polygon_is_refused(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")
    where = case.finding.localisation
    assert where is not None
    region = replace(where.regions[0], contour=((1.0, 1.0),))

    with pytest.raises(EncodingError, match="at least three points"):
        _groups(case, provenance_of(case), replace(case.finding, localisation=replace(where, regions=(region,))))
