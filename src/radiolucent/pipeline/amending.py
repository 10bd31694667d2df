"""A reading without what a reader found wrong in it: the rest of the result stays, and what was taken out is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from radiolucent.findings.reading import Finding, Localisation, Reading, SeriesReading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.pipeline.read_path import PathResult
from radiolucent.store.amendments import FINDING, Amendment, Amendments
from radiolucent.store.unit_of_work import Store

SAME_LOGIT: Final = 1e-3
"""Two readings of the same images by the same engine differ by less, also from machine to machine."""


def as_amended(store: Store, result: PathResult) -> PathResult:
    """What was just read, without what readers had taken out of an earlier reading of the same images."""
    with store.read() as work:
        known = Amendments(work)
        results = tuple(
            replace(one, reading=amended(one.reading, known.of(one.reading.study_instance_uid)))
            for one in result.results
        )
    return replace(result, results=results)


def amended(reading: Reading, amendments: Sequence[Amendment]) -> Reading:
    """The reading without findings that are wrong, and without the place where only that is.

    A finding that is taken out is neither positive nor negative any more: the series' notes name it. An amendment that
    doesn't meet its finding (other images, another version of the engine) changes nothing.
    """
    if not amendments:
        return reading
    return replace(reading, series=tuple(_series(one, amendments) for one in reading.series))


def meets(amendment: Amendment, finding: Finding, series: SeriesReading) -> bool:
    """Whether the amendment is about this finding, as it stands."""
    return (
        (amendment.series_key, amendment.finding, amendment.engine) == (series.key, finding.name, series.engine.label)
        and finding.positive
        and abs(amendment.logit - finding.logit) < SAME_LOGIT
    )


def _series(series: SeriesReading, amendments: Sequence[Amendment]) -> SeriesReading:
    kept, notes = [], list(series.notes)
    for finding in series.findings:
        by = next((one for one in reversed(amendments) if meets(one, finding, series)), None)
        label = finding_type(finding.name).label
        if by is None:
            kept.append(finding)
        elif by.what == FINDING:
            notes.append(f"{label}: taken out of this result, a reader found it wrong")
        else:
            nowhere = Localisation(status="failed", reason="a reader found its place wrong")
            kept.append(replace(finding, localisation=nowhere, measurements=(), explanation=None))
            notes.append(f"{label}: without its place, a reader found it wrong")
    return replace(series, findings=tuple(kept), notes=tuple(notes)) if notes != list(series.notes) else series
