"""How a finding compares with the prior reading: new, larger, smaller, unchanged, resolved, or not compared."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from radiolucent.findings.reading import Finding, Reading, Region, SeriesReading
from radiolucent.findings.tables import SourceKey, TableModel, read_table
from radiolucent.findings.taxonomy import FINDINGS
from radiolucent.imaging.registration import Alignment

ANY = "*"
Alignments = Mapping[tuple[str, str], Alignment]
"""What `imaging.registration` found, by (`SeriesReading.key` of the current series, of the prior series)."""
ChangeLevel = Literal["new", "larger", "smaller", "unchanged", "resolved", "not-compared"]


class ToleranceRow(TableModel):
    """From which relative (and absolute) difference these findings count as changed."""

    findings: tuple[str, ...]
    area: float = Field(gt=0)
    volume: float = Field(gt=0)
    volume_ml: float | None = Field(default=None, gt=0)
    source: SourceKey
    why: str


class Place(TableModel):
    """Up to which distance two regions of registered volumes are the same place."""

    same_within_mm: float = Field(gt=0)
    source: SourceKey


class Threshold(TableModel):
    """Under which share of its threshold a finding is clearly absent."""

    clearly_below: float = Field(gt=0, le=1)
    source: SourceKey


class ChangeTable(TableModel):
    """Tolerances; the last row is for every finding that no other names."""

    version: str
    threshold: Threshold
    place: Place
    rows: tuple[ToleranceRow, ...]

    @model_validator(mode="after")
    def _covers_every_finding_once(self) -> ChangeTable:
        named = [name for row in self.rows for name in row.findings]
        doubled = sorted({name for name in named if named.count(name) > 1})
        unknown = sorted(set(named) - set(FINDINGS) - {ANY})
        if doubled or unknown:
            raise ValueError(f"findings listed twice or unknown: {', '.join(doubled + unknown)}")
        if not self.rows or self.rows[-1].findings != (ANY,):
            raise ValueError(f"the last row must be for {ANY!r}")
        return self

    def of(self, name: str) -> ToleranceRow:
        """The row for a finding."""
        return next((row for row in self.rows if name in row.findings), self.rows[-1])


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A finding and the series that it was found in."""

    finding: Finding
    series: SeriesReading


@dataclass(frozen=True, kw_only=True)
class ChangeResult:
    """The comparison and a sentence with its numbers. `level` is None where there is nothing to compare."""

    level: ChangeLevel | None
    note: str = ""


@cache
def default_change() -> ChangeTable:
    """The packaged table."""
    return read_table("change", ChangeTable)


def site_change(path: Path) -> ChangeTable:
    """A site's own table in place of the packaged one.

    Raises
    ------
    InvalidTable
        If a finding stands in two rows or the row for all others is missing.
    """
    return read_table("change", ChangeTable, path=path)


def compare(
    current: Sighting, prior: Sighting | None, *, table: ChangeTable, alignment: Alignment | None = None
) -> ChangeResult:
    """Compare one finding with the same finding of the prior study.

    Parameters
    ----------
    prior : None where the prior study was not read for this finding.
    alignment : brings the prior's patient coordinates onto the current ones; only with it are places compared.

    Returns
    -------
    ChangeResult
        ``not-compared`` where the engine's version or weights differ, or where both show it without a size.
        None where neither study shows the finding.

    Source
    ------
    The rows of ``tables/change.toml`` and their sources.
    """
    now = current.finding
    if prior is None:
        return _not_compared(now, "the prior study was not read for this finding")
    if (current.series.engine.label, current.series.engine.digest) != (
        prior.series.engine.label,
        prior.series.engine.digest,
    ):
        old, new = prior.series.engine.label, current.series.engine.label
        versions = f"prior by {old}, this study by {new}" if old != new else f"both by {old}, with other weights"
        return _not_compared(now, f"{versions}: scores of different engines don't compare")
    before = prior.finding
    if now.positive != before.positive:
        return _appeared(now, before, table) if now.positive else _disappeared(now, before, table)
    if not now.positive:
        return ChangeResult(level=None)
    elsewhere = _elsewhere(current, prior, table, alignment)
    return ChangeResult(level="new", note=elsewhere) if elsewhere else _by_size(current, prior, table, alignment)


def compare_readings(
    current: Reading, prior: Reading, *, table: ChangeTable, alignments: Alignments | None = None
) -> dict[tuple[str, str, str], ChangeResult]:
    """`compare` for every finding of a study.

    Returns
    -------
    By (`SeriesReading.key`, engine name, finding name).
    """
    results: dict[tuple[str, str, str], ChangeResult] = {}
    for series in current.series:
        for finding in series.findings:
            sighting = Sighting(finding=finding, series=series)
            key = (series.key, series.engine.name, finding.name)
            before = _counterpart(sighting, prior)
            alignment = (alignments or {}).get((series.key, before.series.key)) if before else None
            results[key] = compare(sighting, before, table=table, alignment=alignment)
    return results


def grew(before: float, now: float, *, relative: float, absolute: float | None, noise: float) -> int:
    """1 larger, -1 smaller, 0 within the tolerance. Swapping `before` and `now` swaps the sign.

    >>> grew(10, 14, relative=0.4, absolute=None, noise=0), grew(14, 10, relative=0.4, absolute=None, noise=0)
    (1, -1)
    """
    small, large = sorted((before, now))
    if large - small <= noise or large == small:
        return 0
    # a hair of slack, so that exactly the tolerance counts in spite of rounding
    far = large >= small * (1 + relative) * (1 - 1e-9) or (absolute is not None and large - small >= absolute)
    return (1 if now > before else -1) if far else 0


def _counterpart(current: Sighting, prior: Reading) -> Sighting | None:
    """The prior sighting to compare with: same modality, and if possible the same engine and series description."""
    found = [
        Sighting(finding=finding, series=series)
        for series in prior.series
        for finding in series.findings
        if finding.name == current.finding.name and series.modality == current.series.modality
    ]
    engine, description = current.series.engine.label, current.series.description
    return max(
        found,
        key=lambda old: (old.series.engine.label == engine, old.series.description == description, old.finding.logit),
        default=None,
    )


def _appeared(now: Finding, before: Finding, table: ChangeTable) -> ChangeResult:
    if _value(before) < table.threshold.clearly_below * before.operating_point:
        return ChangeResult(level="new", note=f"before {_below(before)}")
    return _not_compared(now, f"before just {_below(before)}, so that it is not clearly new")


def _disappeared(now: Finding, before: Finding, table: ChangeTable) -> ChangeResult:
    if _value(now) < table.threshold.clearly_below * now.operating_point:
        return ChangeResult(level="resolved", note=f"above its threshold before, now {_below(now)}")
    note = f"above its threshold before, now just {_below(now)}, so that it is not clearly resolved"
    return ChangeResult(level="not-compared", note=note)


def _by_size(current: Sighting, prior: Sighting, table: ChangeTable, alignment: Alignment | None) -> ChangeResult:
    row = table.of(current.finding.name)
    cell_mm2, cell_ml = _cell(current.series, current.finding)
    old_cell_mm2, old_cell_ml = _cell(prior.series, prior.finding)
    volumes, areas = (
        (_volume_ml(prior.finding), _volume_ml(current.finding)),
        (
            _area_mm2(prior.finding),
            _area_mm2(current.finding),
        ),
    )
    if volumes[0] is not None and volumes[1] is not None:
        before, now, unit, relative, noise = volumes[0], volumes[1], "ml", row.volume, max(cell_ml, old_cell_ml)
    elif areas[0] is not None and areas[1] is not None:
        before, now, unit, relative, noise = areas[0], areas[1], "mm²", row.area, max(cell_mm2, old_cell_mm2)
    else:
        return ChangeResult(level="not-compared", note="present on both, but its size is not known on both")
    sign = grew(before, now, relative=relative, absolute=row.volume_ml if unit == "ml" else None, noise=noise)
    level: ChangeLevel = "larger" if sign > 0 else "smaller" if sign < 0 else "unchanged"
    percent = f" ({100 * (now / before - 1):+.0f} %)" if before > 0 else ""
    sizes = f"{three_digits(before)} → {three_digits(now)} {unit}{percent}"
    note = f"{sizes} of evidence, tolerance +{100 * relative:.0f} % [{row.source}]"
    if not sign and abs(now - before) <= noise and now != before:
        note += f"; the difference is within one cell of the map ({noise:.2g} {unit})"
    how = alignment.note if alignment else "not registered: total size compared"
    return ChangeResult(level=level, note=f"{note}; {how}")


def _elsewhere(current: Sighting, prior: Sighting, table: ChangeTable, alignment: Alignment | None) -> str:
    """Why the finding is not the one of before; empty where it may be."""
    now, before = current.finding.localisation, prior.finding.localisation
    if now is None or before is None:
        return ""
    if {now.laterality, before.laterality} == {"left", "right"}:
        return f"{now.laterality} now, {before.laterality} before"
    places, old_places = _centroids(now.regions), _centroids(before.regions)
    if alignment is None or not places or not old_places:
        return ""
    moved = alignment.move(np.array(old_places))
    nearest = min(float(np.linalg.norm(there - np.array(here))) for here in places for there in moved)
    far = nearest > table.place.same_within_mm
    return f"{nearest:.0f} mm from its place before; {alignment.note}" if far else ""


def _centroids(regions: tuple[Region, ...]) -> list[tuple[float, float, float]]:
    return [region.centroid_mm for region in regions if region.centroid_mm is not None]


def _volume_ml(finding: Finding) -> float | None:
    volumes = [region.volume_ml for region in finding.localisation.regions] if finding.localisation else []
    return None if not volumes or None in volumes else sum(volume for volume in volumes if volume is not None)


def three_digits(value: float) -> str:
    """A size rounded to three digits, never written with an exponent.

    >>> three_digits(7762.4), three_digits(17012.0), three_digits(0.1234)
    ('7760', '17000', '0.123')
    """
    return f"{float(f'{value:.3g}'):f}".rstrip("0").rstrip(".")


def _area_mm2(finding: Finding) -> float | None:
    areas = [region.area_mm2 for region in finding.localisation.regions] if finding.localisation else []
    return None if not areas or None in areas else sum(area for area in areas if area is not None)


def _cell(series: SeriesReading, finding: Finding) -> tuple[float, float]:
    """Area (mm²) and volume (ml) of one cell of the map; 0 where the spacing is unknown."""
    spacing = series.frames[0].spacing_mm if series.frames else None
    if spacing is None:
        return 0.0, 0.0
    to_source = finding.heatmap.record.grid_to_source(finding.heatmap.grid)
    area = float(abs(np.linalg.det(to_source[:2, :2]))) * spacing[0] * spacing[1]
    return area, area * (series.slice_spacing_mm or 0.0) / 1000


def _not_compared(now: Finding, why: str) -> ChangeResult:
    return ChangeResult(level="not-compared" if now.positive else None, note=why if now.positive else "")


def _value(finding: Finding) -> float:
    return finding.score if finding.probability is None else finding.probability


def _below(finding: Finding) -> str:
    word = "score" if finding.probability is None else "probability"
    return f"below its threshold ({word} {_value(finding):.2f}, threshold {finding.operating_point:.2f})"
