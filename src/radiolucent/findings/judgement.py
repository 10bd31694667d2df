"""What a radiologist is told of each finding: change, urgency and confidence, filled into a reading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from radiolucent.findings.change import Alignments, ChangeResult, ChangeTable, compare_readings, default_change
from radiolucent.findings.confidence import ConfidenceTable, Tissue, default_confidence, grade_confidence
from radiolucent.findings.priors import Agreement, Prior, agreement, inside
from radiolucent.findings.reading import Finding, Localisation, Measurement, Reading, SeriesReading
from radiolucent.findings.urgency import UrgencyContext, UrgencyTable, default_urgency, grade_urgency
from radiolucent.imaging.body import Box


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The three rule tables that a reading is judged with; each result names the version of its own."""

    urgency: UrgencyTable
    confidence: ConfidenceTable
    change: ChangeTable


def default_tables() -> Tables:
    """The packaged tables."""
    return Tables(urgency=default_urgency(), confidence=default_confidence(), change=default_change())


def judge(
    reading: Reading,
    *,
    bundle_priors: Mapping[tuple[str, str], Prior],
    body_boxes: Mapping[str, Box],
    tissues: Mapping[str, Mapping[Tissue, NDArray[np.bool_]]] | None = None,
    tables: Tables | None = None,
    prior: Reading | None = None,
    alignments: Alignments | None = None,
    age_years: float | None = None,
    midline_shift_mm: float | None = None,
) -> Reading:
    """The same reading with urgency, confidence and change of all its findings.

    Parameters
    ----------
    bundle_priors : prior map by (engine name, finding name), as the engines' bundles carry them (`findings.priors`); a
        finding without one has an unknown agreement, which can't give high confidence.
    body_boxes : (top, left, height, width) of the body in frame pixels, by `SeriesReading.key`.
    tissues : lung fields and bone on the films where they were found, by `SeriesReading.key`; bool ``(rows, columns)``.
    prior : reading of the prior study, or None: then nothing is said of change.
    alignments : of the volumes of both studies, where they were registered (`imaging.registration`).
    age_years : of this study, where known.
    midline_shift_mm : of this study; None takes the largest that its series measured, if any.

    Returns
    -------
    Reading
        Below its operating point a finding is at urgency level 5 and has no confidence.

    Raises
    ------
    InvalidTable
        If a table has no row for a finding.
    """
    tables = tables or default_tables()
    changes = compare_readings(reading, prior, table=tables.change, alignments=alignments) if prior else {}
    if midline_shift_mm is None:
        midline_shift_mm = _largest(
            m for series in reading.series for m in series.measurements if m.name == "midline-shift"
        )
    positives = frozenset(finding.name for series in reading.series for finding in series.positives)
    judged = []
    for series in reading.series:
        findings = []
        for finding in series.findings:
            key = (series.key, series.engine.name, finding.name)
            findings.append(
                _judged(
                    finding,
                    change=changes.get(key, ChangeResult(level=None)),
                    agreement=_agreement(
                        finding, series, bundle_priors, body_boxes, (tissues or {}).get(series.key, {}), tables
                    ),
                    context=UrgencyContext(
                        age_years=age_years,
                        midline_shift_mm=midline_shift_mm,
                        together_with=positives - {finding.name},
                    ),
                    tables=tables,
                )
            )
        judged.append(replace(series, findings=tuple(findings)))
    uid = prior.study_instance_uid if prior else reading.prior_study_instance_uid
    return replace(reading, series=tuple(judged), prior_study_instance_uid=uid)


def _judged(
    finding: Finding,
    *,
    change: ChangeResult,
    agreement: Agreement | None,
    context: UrgencyContext,
    tables: Tables,
) -> Finding:
    size_mm, volume_ml = _size(finding.localisation)
    measured_ml = _largest(one for one in finding.measurements if one.name == "blood-volume")
    volume_ml = volume_ml if measured_ml is None else measured_ml
    context = replace(context, size_mm=size_mm, volume_ml=volume_ml, change=change.level)
    confidence = (
        grade_confidence(finding, agreement=agreement, stability=finding.stability, table=tables.confidence)
        if finding.positive
        else None
    )
    return replace(
        finding,
        urgency=grade_urgency(finding, context, tables.urgency),
        confidence=confidence,
        change=change.level,
        change_note=change.note,
    )


def _agreement(
    finding: Finding,
    series: SeriesReading,
    priors: Mapping[tuple[str, str], Prior],
    boxes: Mapping[str, Box],
    tissues: Mapping[Tissue, NDArray[np.bool_]],
    tables: Tables,
) -> Agreement | None:
    prior, box = priors.get((series.engine.name, finding.name)), boxes.get(series.key)
    if not finding.positive or prior is None or box is None:
        return None
    found = agreement(finding.heatmap, prior, box, threshold=tables.confidence.agreement.prior_threshold)
    where = tables.confidence.tissue.of(finding.name) if tables.confidence.tissue else None
    if found is None or where is None or where not in tissues:
        return found
    return replace(found, in_tissue=inside(finding.heatmap, tissues[where]))


def _largest(measurements: Iterable[Measurement]) -> float | None:
    """The largest value among measurements, None where nothing could be measured."""
    return max((one.value for one in measurements if one.value is not None), default=None)


def _size(place: Localisation | None) -> tuple[float | None, float | None]:
    """Largest extent (mm) of one region, and volume (ml) of all of them; None where unknown."""
    regions = place.regions if place else ()
    extents = [max(region.extent_mm) for region in regions if region.extent_mm is not None]
    volumes = [region.volume_ml for region in regions if region.volume_ml is not None]
    return (
        max(extents, default=None),
        sum(volumes) if volumes and len(volumes) == len(regions) else None,
    )
