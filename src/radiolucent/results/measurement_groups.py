"""One finding as SR content items: what it is, how likely, where, seen by which engine, and what it is not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes as dicom_codes

from radiolucent.findings.phrases import phrases
from radiolucent.findings.quantities import in_words
from radiolucent.findings.reading import NOT_FOR_CLINICAL_USE, Finding, Region, SeriesReading
from radiolucent.findings.reading import Measurement as Quantity
from radiolucent.findings.taxonomy import finding_type
from radiolucent.imaging.study import Stack
from radiolucent.results import codes
from radiolucent.results.presentation_state import graphic_points
from radiolucent.results.provenance import MANUFACTURER, Provenance
from radiolucent.results.source import image_reference

if TYPE_CHECKING:
    from highdicom.sr import (
        AlgorithmIdentification,
        ImageRegion,
        Measurement,
        MeasurementsAndQualitativeEvaluations,
        PlanarROIMeasurementsAndQualitativeEvaluations,
        QualitativeEvaluation,
        SourceImageForMeasurementGroup,
    )

Group: TypeAlias = "PlanarROIMeasurementsAndQualitativeEvaluations | MeasurementsAndQualitativeEvaluations"
_SIDES = {"left": dicom_codes.SCT.Left, "right": dicom_codes.SCT.Right, "bilateral": dicom_codes.SCT.Bilateral}
_STATUS = {
    "located": codes.LOCATED,
    "empty": codes.NO_FOCUS,
    "failed": codes.NO_EXPLANATION,
    "withheld": codes.WITHHELD,
}


_QUANTITIES = {
    "midline-shift": (codes.MIDLINE_SHIFT, codes.MILLIMETRE),
    "blood-volume": (codes.BLOOD_VOLUME, codes.CUBIC_CENTIMETRE),
}


def finding_groups(
    finding: Finding,
    series: SeriesReading,
    stack: Stack,
    provenance: Provenance,
    *,
    map_object: Dataset | None = None,
) -> list[Group]:
    """A located finding gives one planar ROI group (TID 1410) per region, any other one group without (TID 1501).

    Probability and visual explanation belong to the finding, not to a region: they stand in its first group.
    """
    from highdicom.sr import (
        MeasurementsAndQualitativeEvaluations,
        PlanarROIMeasurementsAndQualitativeEvaluations,
    )

    where = finding.localisation
    regions = where.regions if where is not None and where.status == "located" else ()
    if not regions:
        whole = MeasurementsAndQualitativeEvaluations(
            **_shared(finding, series, provenance),
            measurements=[*_chances(finding), *_quantities(finding.measurements)],
            qualitative_evaluations=_evaluations(finding),
            source_images=_peak_image(finding, stack),
        )
        _append_comment(whole, _comment(finding, series))
        return [whole]
    groups: list[Group] = []
    for number, region in enumerate(regions, start=1):
        group = PlanarROIMeasurementsAndQualitativeEvaluations(
            **_shared(finding, series, provenance, part=str(number)),
            referenced_region=_region(region, series, stack),
            measurements=[*(_of_finding(finding) if number == 1 else []), *_sizes(region)],
            qualitative_evaluations=_evaluations(finding),
        )
        if number == 1 and map_object is not None:
            _append_explanation(group, map_object)
        _append_comment(group, _comment(finding, series, region))
        groups.append(group)
    return groups


def series_group(series: SeriesReading, provenance: Provenance) -> Group | None:
    """A group (TID 1501) for what was measured on a series as a whole, such as the midline shift; None without one."""
    from highdicom.sr import FindingSite, MeasurementsAndQualitativeEvaluations, TrackingIdentifier

    if not series.measurements:
        return None
    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(
            uid=provenance.uid("tracking", f"measured-{series.key}-{series.engine.digest}"), identifier="measured"
        ),
        finding_type=codes.sr_code(finding_type("midline-shift").code),
        finding_sites=[FindingSite(anatomic_location=codes.sr_code(finding_type("midline-shift").site))],
        measurements=_quantities(series.measurements) or None,
    )
    told = "; ".join(in_words(one, phrases("en")) for one in series.measurements)
    _append_comment(group, f"{told[:1].upper()}{told[1:]}. {NOT_FOR_CLINICAL_USE}")
    return group


def statement_group(statement: str, tracking: str, provenance: Provenance) -> Group:
    """A group that says one thing about what was not read."""
    from highdicom.sr import MeasurementsAndQualitativeEvaluations, TrackingIdentifier

    group = MeasurementsAndQualitativeEvaluations(
        tracking_identifier=TrackingIdentifier(uid=provenance.uid("tracking", tracking), identifier="not-read"),
        finding_type=codes.NOT_READ,
    )
    _append_comment(group, f"{statement} {NOT_FOR_CLINICAL_USE}")
    return group


def _shared(finding: Finding, series: SeriesReading, provenance: Provenance, *, part: str = "") -> dict[str, Any]:
    from highdicom.sr import FindingSite, TrackingIdentifier

    kind = finding_type(finding.name)
    side = _SIDES.get(finding.localisation.laterality) if finding.localisation is not None else None
    return {
        "tracking_identifier": TrackingIdentifier(
            uid=provenance.tracking_uid(finding.name, series, part),
            identifier=f"{finding.name} {part}".strip(),
        ),
        "finding_type": codes.sr_code(kind.code),
        "finding_sites": [FindingSite(anatomic_location=codes.sr_code(kind.site), laterality=side)],
        "algorithm_id": _algorithm(finding, series),
    }


def _algorithm(finding: Finding, series: SeriesReading) -> AlgorithmIdentification:
    from highdicom.sr import AlgorithmIdentification

    engine, check = series.engine, series.completeness
    return AlgorithmIdentification(
        name=engine.name,
        version=engine.version,
        manufacturer=MANUFACTURER,
        family=codes.AI,
        parameters=[
            f"bundle-sha256={engine.digest}",
            f"operating-point={finding.operating_point:.6g}",
            f"pooling={check.pooling}",
            f"completeness-difference={check.largest_difference:.3g} (tolerance {check.tolerance:.3g})",
            f"display-scale-logit={finding.heatmap.display_scale:.6g}",
        ],
    )


def _chances(finding: Finding) -> list[Measurement]:
    from highdicom.sr import Measurement

    name, value = codes.PROBABILITY, finding.probability
    if value is None:  # never a probability without calibration
        name, value = codes.SCORE, finding.score
    return [
        Measurement(name=name, value=_short(value), unit=codes.NO_UNITS),
        Measurement(name=codes.OPERATING_POINT, value=_short(finding.operating_point), unit=codes.NO_UNITS),
    ]


def _of_finding(finding: Finding) -> list[Measurement]:
    return [*_chances(finding), *_quantities(finding.measurements)]


def _quantities(measurements: Sequence[Quantity]) -> list[Measurement]:
    """What was measured on the image; what couldn't be measured is told in the comment alone."""
    from highdicom.sr import Measurement

    return [
        Measurement(name=_QUANTITIES[one.name][0], value=_short(one.value), unit=_QUANTITIES[one.name][1])
        for one in measurements
        if one.value is not None
    ]


def _sizes(region: Region) -> list[Measurement]:
    from highdicom.sr import Measurement

    sizes = []
    if region.area_mm2 is not None:
        sizes.append(Measurement(name=codes.AREA, value=_short(region.area_mm2), unit=codes.SQUARE_MILLIMETRE))
    if region.volume_ml is not None:
        sizes.append(Measurement(name=codes.VOLUME, value=_short(region.volume_ml), unit=codes.CUBIC_CENTIMETRE))
    return sizes


def _evaluations(finding: Finding) -> list[QualitativeEvaluation]:
    from highdicom.sr import QualitativeEvaluation

    found = [
        QualitativeEvaluation(codes.PRESENCE, codes.PRESENT if finding.positive else codes.ABSENT),
        QualitativeEvaluation(
            codes.TRAINING_BASIS, codes.PHANTOM_IMAGES if finding.basis == "phantom" else codes.REAL_IMAGES
        ),
    ]
    if finding.localisation is not None:
        found.append(QualitativeEvaluation(codes.LOCALISATION, _STATUS[finding.localisation.status]))
    return found


def _region(region: Region, series: SeriesReading, stack: Stack) -> ImageRegion:
    from highdicom.sr import ImageRegion, SourceImageForRegion

    source = image_reference(stack, region.frame)
    numbers = [source.ReferencedFrameNumber] if "ReferencedFrameNumber" in source else None
    return ImageRegion(
        graphic_type="POLYLINE",
        graphic_data=graphic_points(region, series.shape),
        source_image=SourceImageForRegion(
            referenced_sop_class_uid=source.ReferencedSOPClassUID,
            referenced_sop_instance_uid=source.ReferencedSOPInstanceUID,
            referenced_frame_numbers=numbers,
        ),
    )


def _peak_image(finding: Finding, stack: Stack) -> list[SourceImageForMeasurementGroup] | None:
    """The image that weighs most; None where the map was blanked, because not even the slice may be told then."""
    from highdicom.sr import SourceImageForMeasurementGroup

    if not finding.heatmap.evidence.any():
        return None
    source = image_reference(stack, finding.heatmap.peak_frame)
    numbers = [source.ReferencedFrameNumber] if "ReferencedFrameNumber" in source else None
    return [SourceImageForMeasurementGroup(source.ReferencedSOPClassUID, source.ReferencedSOPInstanceUID, numbers)]


def _comment(finding: Finding, series: SeriesReading, region: Region | None = None) -> str:
    kind, where, parts = finding_type(finding.name), finding.localisation, []
    chance = f"score {finding.score:.3f}" if finding.probability is None else f"probability {finding.probability:.3f}"
    side = "at or above" if finding.positive else "below"
    parts.append(f"{kind.label}: {chance}, {side} the operating point {finding.operating_point:.3f}.")
    if finding.interval is not None:
        low, high = finding.interval
        parts.append(f"95 % interval of this probability: {low:.3f} to {high:.3f}, from the calibration cases.")
    if not finding.positive:
        parts.append("Not found by this engine; that does not rule it out.")
    if region is not None and region.centroid_mm is not None:
        x, y, z = region.centroid_mm
        parts.append(f"Centroid of evidence at ({x:.1f}, {y:.1f}, {z:.1f}) mm, patient coordinates (LPS).")
    if where is not None and where.status == "empty":
        parts.append("No focus above threshold.")
    if where is not None and where.status == "failed":
        parts.append(f"No explanation: {where.reason}.")
    if where is not None and where.status == "withheld":
        parts.append(f"Not located: {where.reason}.")
    if finding.explanation is not None and finding.explanation.decision == "show-with-warning":
        parts.append(f"Explanation shown with a warning: {'; '.join(finding.explanation.reasons)}.")
    parts += [f"{(told := in_words(one, phrases('en')))[:1].upper()}{told[1:]}." for one in finding.measurements]
    for name, graded in (("Urgency", finding.urgency), ("Confidence", finding.confidence)):
        if graded is not None:
            parts.append(f"{name}: {graded.level}.")
    if finding.change is not None:
        note = f" ({finding.change_note})" if finding.change_note else ""
        parts.append(f"Against the prior study: {finding.change}{note}.")
    if finding.basis == "phantom":
        parts.append("Known from synthetic images (phantom) only.")
    parts.append(f"Engine {series.engine.label}. {NOT_FOR_CLINICAL_USE}")
    return " ".join(parts)


def _append_comment(group: Group, comment: str) -> None:
    from highdicom.sr import CodedConcept, TextContentItem

    group[0].ContentSequence.append(
        TextContentItem(CodedConcept.from_code(codes.COMMENT), comment, relationship_type="CONTAINS")
    )


def _append_explanation(group: Group, map_object: Dataset) -> None:
    """CONTAINS IMAGE (130401, DCM, "Visual explanation"): TID 1410 has it, the library has no argument for it."""
    from highdicom.sr import CodedConcept, ImageContentItem

    group[0].ContentSequence.append(
        ImageContentItem(
            CodedConcept.from_code(codes.VISUAL_EXPLANATION),
            map_object.SOPClassUID,
            map_object.SOPInstanceUID,
            relationship_type="CONTAINS",
        )
    )


def _short(value: float) -> float:
    """Six significant digits: a decimal string holds 16 characters, and no more is known."""
    return float(f"{value:.6g}")
