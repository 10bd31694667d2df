from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import highdicom.sr
import pytest
from highdicom.sr import CodedConcept
from pydicom.dataset import Dataset

from radiolucent.errors import EncodingError
from radiolucent.findings.reading import Reading
from radiolucent.results.parametric_map import encode_parametric_map
from radiolucent.results.provenance import Provenance
from radiolucent.results.structured_report import encode_negative_report, encode_positive_report

if TYPE_CHECKING:
    from tests.unit.results.cases import Case

Make = Callable[..., "Case"]
Write = Callable[[Dataset], Dataset]
Provenances = Callable[..., Provenance]


def tree(item: Dataset) -> Iterator[Dataset]:
    """Every content item under `item`."""
    for child in item.get("ContentSequence", []):
        yield child
        yield from tree(child)


def texts(report: Dataset) -> str:
    return "\n".join(item.TextValue for item in tree(report) if item.ValueType == "TEXT")


def positive(case: Case, provenance: Provenance) -> Dataset:
    made = encode_parametric_map(case.finding, case.series, case.stack, provenance)
    report = encode_positive_report(case.reading, case.stacks, {(0, case.finding.name): made}, provenance)
    assert report is not None
    return report


def negative(case: Case, provenance: Provenance) -> Dataset:
    report = encode_negative_report(case.reading, case.stacks, provenance)
    assert report is not None
    return report


def test_it_is_a_measurement_report_complete_preliminary_and_unverified(
    make_case: Make, written: Write, provenance_of: Provenances
) -> None:
    case = make_case("mr")
    for report in (positive(case, provenance_of(case)), negative(case, provenance_of(case))):
        read = written(report)

        assert read.SOPClassUID.name == "Comprehensive 3D SR Storage"
        assert read.ContentTemplateSequence[0].TemplateIdentifier == "1500"
        assert (read.CompletionFlag, read.PreliminaryFlag, read.VerificationFlag) == (
            "COMPLETE",
            "PRELIMINARY",
            "UNVERIFIED",
        )
        assert "Not for clinical use" in texts(read)


def test_the_library_finds_the_region_by_what_was_found(
    make_case: Make, written: Write, provenance_of: Provenances
) -> None:
    case = make_case("cr")
    read = highdicom.sr.Comprehensive3DSR.from_dataset(written(positive(case, provenance_of(case))))

    content: Any = read.content
    groups = content.get_planar_roi_measurement_groups(
        finding_type=CodedConcept("36118008", "SCT", "Pneumothorax"),
        graphic_type=highdicom.sr.GraphicTypeValues.POLYLINE,
        referenced_sop_instance_uid=case.stack.frames[0].sop_instance_uid,
    )
    probabilities = [group.get_measurements(CodedConcept("122157", "DCM", "Probability")) for group in groups]

    assert [[float(found.value) for found in one] for one in probabilities] == [[0.912346]]


def test_positives_and_negatives_are_in_documents_of_their_own(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")
    found, rest = positive(case, provenance_of(case)), negative(case, provenance_of(case))

    assert found.SeriesInstanceUID == rest.SeriesInstanceUID
    assert found.SOPInstanceUID != rest.SOPInstanceUID
    assert "Pituitary" not in texts(found)
    assert "Glioma" not in texts(rest)
    assert "Pituitary" in texts(rest)


def test_every_image_that_was_read_is_evidence(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("ct")
    study = positive(case, provenance_of(case)).CurrentRequestedProcedureEvidenceSequence[0]
    named = {
        instance.ReferencedSOPInstanceUID
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }

    assert study.StudyInstanceUID == case.reading.study_instance_uid
    assert {frame.sop_instance_uid for frame in case.stack.frames} < named


@pytest.mark.parametrize("kind", ["cr", "ct", "mr"])
def test_whatever_a_report_names_is_among_its_evidence(
    kind: str, make_case: Make, written: Write, provenance_of: Provenances
) -> None:
    case = make_case(kind)
    for report in (positive(case, provenance_of(case)), negative(case, provenance_of(case))):
        read = written(report)
        named = {
            reference.ReferencedSOPInstanceUID
            for item in tree(read)
            for reference in item.get("ReferencedSOPSequence", [])
        }
        evidence = {
            reference.ReferencedSOPInstanceUID
            for study in read.CurrentRequestedProcedureEvidenceSequence
            for series in study.ReferencedSeriesSequence
            for reference in series.ReferencedSOPSequence
        }

        assert named
        assert named <= evidence


def test_what_was_not_read_is_said_with_its_reason_and_never_called_normal(
    make_case: Make, provenance_of: Provenances
) -> None:
    case = make_case("mr")
    words = texts(negative(case, provenance_of(case)))

    assert "the engine reads CT, not SR" in words
    assert "Not read does not mean normal." in words
    assert "truncated (1)" in words
    assert "x.dcm" not in words  # a file name may hold a patient's


def test_a_study_of_which_nothing_was_read_gets_the_second_report_alone(
    make_case: Make, provenance_of: Provenances
) -> None:
    case = make_case("mr")
    unread = replace(case.reading, series=())

    assert encode_positive_report(unread, case.stacks, {}, provenance_of(case)) is None
    report = encode_negative_report(unread, case.stacks, provenance_of(case))
    assert report is not None
    assert "not read" in texts(report)


def test_nothing_to_say_gives_no_document(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")
    series = replace(case.series, findings=(case.finding,))
    reading = Reading(study_instance_uid=case.reading.study_instance_uid, series=(series,))

    assert encode_negative_report(reading, case.stacks, provenance_of(case)) is None
    none_positive = replace(reading, series=(replace(series, findings=case.series.findings[2:]),))
    assert encode_positive_report(none_positive, case.stacks, {}, provenance_of(case)) is None


@pytest.mark.parametrize(("kind", "code"), [("ct", "25045-6"), ("mr", "25056-3"), ("cr", "43468-8"), ("dx", "43468-8")])
def test_the_procedure_is_named_after_the_modality(
    make_case: Make, provenance_of: Provenances, kind: str, code: str
) -> None:
    case = make_case(kind)
    named = [
        item.ConceptCodeSequence[0].CodeValue
        for item in positive(case, provenance_of(case)).ContentSequence
        if item.ConceptNameCodeSequence[0].CodeMeaning == "Procedure reported"
    ]

    assert named == [code]


def test_a_series_without_its_images_is_refused(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")

    with pytest.raises(EncodingError, match="weren't handed over"):
        encode_positive_report(case.reading, {}, {}, provenance_of(case))
    with pytest.raises(EncodingError, match="weren't handed over"):
        encode_negative_report(case.reading, {}, provenance_of(case))


def test_what_the_library_refuses_is_an_encoding_error(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")
    wrong = Dataset()  # no SOP Class, no SOP Instance

    with pytest.raises(EncodingError, match="can't be written as a valid object"):
        encode_positive_report(case.reading, case.stacks, {(0, case.finding.name): wrong}, provenance_of(case))
