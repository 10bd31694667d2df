"""FHIR Observations: one a finding, one a heatmap event (no focus is one as well), one for what was not read."""

from __future__ import annotations

from typing import Any, Final

from radiolucent.findings.reading import Graded, Region, UnreadSeries
from radiolucent.findings.taxonomy import Code
from radiolucent.findings.urgency import level_number
from radiolucent.imaging.study import Problem
from radiolucent.results import codes
from radiolucent.results.fhir_elements import (
    Resource,
    Telling,
    clean,
    coding,
    component,
    concept,
    engine_urn,
    identifier,
    narrative,
    orders,
    own,
    quantity,
    reference,
    software_urn,
    study,
    study_date,
    subject,
)
from radiolucent.results.statements import (
    BASES,
    HEATMAPS,
    NO_FINDING,
    PRESENT,
    Statement,
    change_code,
    confidence_code,
    reasons,
    rounded,
    urgency_code,
    viewer_link,
)

PROBABILITY: Final = Code(value=codes.PROBABILITY.value, scheme="DCM", meaning=codes.PROBABILITY.meaning)
SCORE: Final = own(codes.SCORE.value, "Uncalibrated score, not a probability")
INTERVAL: Final = own("prob-interval", "95 % interval of the probability")
OPERATING_POINT: Final = own(codes.OPERATING_POINT.value, codes.OPERATING_POINT.meaning)
URGENCY: Final = own("urgency", "Urgency")
CONFIDENCE: Final = own("confidence", "Confidence")
CHANGE: Final = own("change", "Change since the prior study")
BASIS: Final = own(codes.TRAINING_BASIS.value, codes.TRAINING_BASIS.meaning)
LATERALITY: Final = Code(value="272741003", scheme="SCT", meaning="Laterality")
EXPLANATION: Final = Code(value=codes.VISUAL_EXPLANATION.value, scheme="DCM", meaning=codes.VISUAL_EXPLANATION.meaning)
METHOD: Final = Code(value=codes.GRAD_CAM.value, scheme="DCM", meaning=codes.GRAD_CAM.meaning)
SERIES: Final = Code(value="112002", scheme="DCM", meaning="Series Instance UID")
TRACKING: Final = Code(value="112040", scheme="DCM", meaning="Tracking Unique Identifier")
NOT_READ: Final = own(codes.NOT_READ.value, codes.NOT_READ.meaning)
PLACE: Final = own("place", "Place of the evidence")
REGIONS: Final = own("regions", "Number of areas of evidence")
PEAK_IMAGE: Final = own("peak-image", "Image with the strongest evidence")
CENTROID: Final = own("centroid", "Centroid, patient coordinates (LPS)")
COMPLETE: Final = own("completeness", "The map gives the score back")
MAP_OBJECT: Final = own("map-object", "SOP Instance UID of the map")
VIEWER: Final = own("viewer", "Finding in the viewer")
AREA: Final = Code(value=codes.AREA.value, scheme="SCT", meaning=codes.AREA.meaning)
VOLUME: Final = Code(value=codes.VOLUME.value, scheme="SCT", meaning=codes.VOLUME.meaning)
_MEASURED: Final = {
    "blood-volume": own(codes.BLOOD_VOLUME.value, codes.BLOOD_VOLUME.meaning),
    "midline-shift": own(codes.MIDLINE_SHIFT.value, codes.MIDLINE_SHIFT.meaning),
}
_UCUM: Final = {"ml": "cm3", "mm": "mm"}
_INTERPRETATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/observation-category"


def finding_urn(statement: Statement, telling: Telling) -> str:
    """Identity of a finding's Observation: the same in every revision, so that a correction finds it again."""
    series = statement.series
    return telling.uuid("finding", series.key, series.engine.digest, statement.finding.name)


def heatmap_urn(statement: Statement, telling: Telling) -> str:
    """Identity of a heatmap's Observation."""
    series = statement.series
    return telling.uuid("heatmap", series.key, series.engine.digest, statement.finding.name)


def finding_observation(statement: Statement, telling: Telling, tracking: str, *, selection: str = "") -> Resource:
    """One finding, above its operating point (Present) or below it ("no finding above threshold", never absent).

    Parameters
    ----------
    tracking : Tracking UID of the finding in the structured report.
    selection : URN of the ImagingSelection that explains it (R5), or empty.
    """
    finding, series, mapping = statement.finding, statement.series, telling.mapping
    value = PRESENT if finding.positive else NO_FINDING
    words = "" if finding.positive else telling.words.urgency["5"]
    explained = [reference(selection, "ImagingSelection")] if selection else []
    made = _observation(
        finding_urn(statement, telling),
        telling,
        code=concept(mapping.finding_codes(finding.name), mapping, statement.label),
        value={"valueCodeableConcept": concept(value, mapping, words)},
        device=reference(engine_urn(series.engine), "Device"),
        derived_from=[study(telling), *explained],
        components=_finding_components(statement, telling, tracking),
        text=(f"{statement.label}: {words or value.meaning}", statement.place),
    )
    made["bodySite"] = concept(statement.kind.site, mapping)
    if finding.positive and not telling.withdrawn:
        flag = ("AA", "Critical abnormal") if level_number(finding.urgency) == 1 else ("A", "Abnormal")
        made["interpretation"] = [{"coding": [coding(_INTERPRETATION, *flag)]}]
    return made


def heatmap_observation(statement: Statement, telling: Telling, *, map_uid: str = "") -> Resource:
    """What became of a positive finding's heatmap: located, no focus, no explanation, withheld.

    Parameters
    ----------
    map_uid : SOP Instance UID of the parametric map, or empty where there is none.
    """
    series, mapping = statement.series, telling.mapping
    status = HEATMAPS[statement.heatmap_status]
    return _observation(
        heatmap_urn(statement, telling),
        telling,
        code=concept(EXPLANATION, mapping),
        value={
            "valueCodeableConcept": concept(status, mapping, telling.words.status.get(statement.heatmap_status, ""))
        },
        device=reference(engine_urn(series.engine), "Device"),
        derived_from=[study(telling)],
        components=_heatmap_components(statement, telling, map_uid),
        text=(f"{statement.label}: {status.meaning}", statement.place),
        extra={
            "focus": [reference(finding_urn(statement, telling), "Observation")],
            "method": concept(METHOD, mapping),
        },
    )


def unread_observation(unread: UnreadSeries | Problem, number: int, telling: Telling) -> Resource:
    """A series or object that was not read, with the reason as its value; made by the software, not by an engine."""
    uid = unread.series_instance_uid
    if isinstance(unread, Problem):
        parts: tuple[str, ...] = ("problem", str(number), unread.code, unread.source, uid, unread.sop_instance_uid)
        why, named = telling.words.words["original"] + unread.reason, ""
    else:
        parts = ("unread", str(number), uid, unread.modality)
        why, named = reasons(unread, telling.words), unread.description
    return _observation(
        telling.uuid(*parts),
        telling,
        code=concept(NOT_READ, telling.mapping),
        value={"valueString": clean(why) or NOT_READ.meaning},
        device=reference(software_urn(), "Device"),
        derived_from=[study(telling)],
        components=[component(SERIES, telling.mapping, valueString=uid)] if uid else [],
        text=(f"{NOT_READ.meaning}: {named}".rstrip(": "), why),
    )


def _observation(
    urn_uuid: str,
    telling: Telling,
    *,
    code: Resource,
    value: Resource,
    device: Resource,
    derived_from: list[Resource],
    components: list[Resource],
    text: tuple[str, ...],
    extra: Resource | None = None,
) -> Resource:
    made: Resource = {
        "resourceType": "Observation",
        "language": telling.language,
        "text": narrative(telling.withdrawn, *text, telling.words.disclaimer),
        "identifier": [identifier(urn_uuid)],
        "basedOn": orders(telling),
        "partOf": [study(telling)],
        "status": telling.code,
        "category": [{"coding": [coding(_CATEGORY, "imaging", "Imaging")]}],
        "code": code,
        "subject": subject(telling),
        **(extra or {}),
        "effectiveDateTime": study_date(telling.facts),
        "issued": telling.instant,
        **value,
        "note": [{"text": clean(text)} for text in (telling.withdrawn, telling.words.disclaimer) if text],
        "device": device,
        "derivedFrom": derived_from,
        "component": components,
    }
    return {name: part for name, part in made.items() if part not in ("", [])}


def _finding_components(statement: Statement, telling: Telling, tracking: str) -> list[Resource]:
    finding, mapping, words = statement.finding, telling.mapping, telling.words
    chance, code = finding.probability, PROBABILITY
    if chance is None:  # never a probability without calibration
        chance, code = finding.score, SCORE
    parts = [
        component(code, mapping, valueQuantity=quantity(rounded(chance), "no units", "1")),
        component(OPERATING_POINT, mapping, valueQuantity=quantity(rounded(finding.operating_point), "no units", "1")),
        component(BASIS, mapping, valueCodeableConcept=concept(BASES[finding.basis], mapping)),
    ]
    if finding.interval is not None:
        low, high = (quantity(rounded(bound), "no units", "1") for bound in finding.interval)
        parts.append(component(INTERVAL, mapping, valueRange={"low": low, "high": high}))
    if finding.positive and finding.urgency is not None:
        parts.append(_level(URGENCY, urgency_code(finding.urgency), finding.urgency, telling))
    if finding.positive and finding.confidence is not None:
        parts.append(_level(CONFIDENCE, confidence_code(finding.confidence), finding.confidence, telling))
    if statement.side is not None and finding.localisation is not None:
        side = words.side[finding.localisation.laterality]
        parts.append(component(LATERALITY, mapping, valueCodeableConcept=concept(statement.side, mapping, side)))
    if (change := change_code(finding)) is not None:
        parts.append(component(CHANGE, mapping, valueCodeableConcept=concept(change, mapping, statement.change)))
    if statement.place:
        parts.append(component(PLACE, mapping, valueString=clean(statement.place)))
    for one in finding.measurements:
        if one.value is not None:
            unit = _UCUM[one.unit]
            value = quantity(rounded(one.value), unit, unit)
            parts.append(component(_MEASURED[one.name], mapping, valueQuantity=value))
    parts.append(component(SERIES, mapping, valueString=statement.series.series_instance_uid))
    parts.append(component(TRACKING, mapping, valueString=tracking))
    if telling.viewer_url:
        study_uid, series_uid = telling.reading.study_instance_uid, statement.series.series_instance_uid
        link = viewer_link(telling.viewer_url, study_uid, series_uid, finding.name)
        parts.append(component(VIEWER, mapping, valueString=link))
    return parts


def _level(name: Code, code: Code, graded: Graded, telling: Telling) -> Resource:
    words = telling.words.urgency if name is URGENCY else telling.words.confidence
    shown = words.get(str(level_number(graded)) if name is URGENCY else graded.level, graded.level)
    return component(name, telling.mapping, valueCodeableConcept=concept(code, telling.mapping, shown))


def _heatmap_components(statement: Statement, telling: Telling, map_uid: str) -> list[Resource]:
    mapping, series, where = telling.mapping, statement.series, statement.finding.localisation
    parts = [component(COMPLETE, mapping, valueBoolean=series.completeness.holds)]
    if where is None or where.status != "located" or not where.regions:
        return parts
    parts.append(component(REGIONS, mapping, valueInteger=len(where.regions)))
    if statement.place:
        parts.append(component(PLACE, mapping, valueString=clean(statement.place)))
    if where.peak_frame is not None and 0 <= where.peak_frame < len(series.frames):
        frame = series.frames[where.peak_frame]
        parts.append(component(PEAK_IMAGE, mapping, valueString=f"{frame.sop_instance_uid}#{frame.number}"))
    parts += _sizes(where.regions[0], mapping)
    if map_uid:
        parts.append(component(MAP_OBJECT, mapping, valueString=map_uid))
    return parts


def _sizes(region: Region, mapping: Any) -> list[Resource]:
    """Size and place of the largest area; what isn't known is left out."""
    parts = []
    if region.area_mm2 is not None:
        parts.append(component(AREA, mapping, valueQuantity=quantity(rounded(region.area_mm2), "mm2", "mm2")))
    if region.volume_ml is not None:
        parts.append(component(VOLUME, mapping, valueQuantity=quantity(rounded(region.volume_ml), "cm3", "cm3")))
    if region.centroid_mm is not None:
        point = ", ".join(f"{value:.1f}" for value in region.centroid_mm)
        parts.append(component(CENTROID, mapping, valueString=f"({point}) mm"))
    return parts
