"""What a radiologist is told of each finding: change, urgency and confidence, filled into a reading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from radiolucent.findings.change import (
    Alignments,
    ChangeResult,
    ChangeTable,
    compare_readings,
    default_change,
    site_change,
)
from radiolucent.findings.confidence import (
    ConfidenceTable,
    Tissue,
    default_confidence,
    grade_confidence,
    site_confidence,
)
from radiolucent.findings.priors import Agreement, Prior, agreement, inside
from radiolucent.findings.reading import Finding, Localisation, Measurement, Reading, SeriesReading
from radiolucent.findings.tables import InvalidTable
from radiolucent.findings.urgency import (
    UrgencyContext,
    UrgencyTable,
    default_urgency,
    diff,
    grade_urgency,
    site_urgency,
)
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


def site_tables(folder: Path) -> Tables:
    """A site's own ``urgency.toml``, ``confidence.toml``, ``change.toml``; the packaged table where one isn't there.

    Raises
    ------
    InvalidTable
        If the folder holds none of them, holds another table, or a table is incomplete or contradicts itself.
    """
    given = sorted(path.name for path in folder.glob("*.toml"))
    unknown = [name for name in given if name not in ("urgency.toml", "confidence.toml", "change.toml")]
    if unknown or not given:
        what = f"{unknown[0]} is no rule table" if unknown else "there is no table in it"
        raise InvalidTable(f"{what}: give urgency.toml, confidence.toml or change.toml", table=folder.name)
    urgency, confidence, change = (folder / f"{name}.toml" for name in ("urgency", "confidence", "change"))
    return Tables(
        urgency=site_urgency(urgency) if urgency.exists() else default_urgency(),
        confidence=site_confidence(confidence) if confidence.exists() else default_confidence(),
        change=site_change(change) if change.exists() else default_change(),
    )


def table_diff(site: Tables) -> tuple[str, ...]:
    """What a site's tables change against the packaged ones, one line each; empty where they say the same."""
    lines = [f"urgency: {line}" for line in diff(default_urgency(), site.urgency)]
    for name, before, after in (
        ("confidence", default_confidence(), site.confidence),
        ("change", default_change(), site.change),
    ):
        old, new = _flat(before.model_dump()), _flat(after.model_dump())
        lines += [
            f"{name}: {key} {old.get(key, 'not there')} → {new.get(key, 'not there')}"
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key)
        ]
    return tuple(lines)


def _flat(value: object, path: str = "") -> dict[str, str]:
    """A table as single values by their path; rows go by their name where they have one."""
    if isinstance(value, dict):
        parts = [(str(key), part) for key, part in value.items()]
    elif isinstance(value, list | tuple) and any(isinstance(part, dict) for part in value):
        parts = [(str(part.get("name", number)), part) for number, part in enumerate(value)]
    else:
        return {path: ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)}
    return {name: text for key, part in parts for name, text in _flat(part, f"{path}.{key}".lstrip(".")).items()}


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
