"""A site's own thresholds, bound to one version of an engine, and what other ones would have changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from pydantic import Field, model_validator

from radiolucent.errors import SetupError
from radiolucent.findings.reading import EngineRef, Finding, Reading, SeriesReading
from radiolucent.findings.tables import TableModel, read_table


class StaleOperatingPoints(SetupError):
    """A site has thresholds for an engine, but for another version of it: the old ones are not used.

    Parameters
    ----------
    engine : name@version that is to read.
    bound_to : name@version (and weights) that the thresholds were set for.
    """

    def __init__(self, *, engine: str, bound_to: str) -> None:
        self.engine, self.bound_to = engine, bound_to
        super().__init__(
            f"{engine}: the site's thresholds were set for {bound_to}; validate and set new ones "
            f"('radiolucent thresholds set'), or remove them to use the engine's own"
        )


class EnginePoints(TableModel):
    """Thresholds for one engine version, with who set them and why.

    Parameters
    ----------
    digest : of the bundle; empty where the site binds to name and version only.
    thresholds : by finding: calibrated probability, or score where the engine is not calibrated, in (0, 1).
    """

    name: str
    version: str
    digest: str = ""
    purpose: str
    set_by: str
    set_on: date
    reason: str
    thresholds: dict[str, float] = Field(min_length=1)

    @model_validator(mode="after")
    def _thresholds_are_shares(self) -> EnginePoints:
        for finding, value in self.thresholds.items():
            if not 0 < value < 1:
                raise ValueError(f"threshold of {finding} must lie between 0 and 1, not {value}")
        return self

    @property
    def label(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"


class OperatingPoints(TableModel):
    """All thresholds of a site; at most one entry for each engine name."""

    site: str
    engines: tuple[EnginePoints, ...] = ()

    @model_validator(mode="after")
    def _one_entry_per_engine(self) -> OperatingPoints:
        names = [entry.name for entry in self.engines]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"{doubled[0]} is listed twice; keep the entry of the version in use")
        return self

    def thresholds(self, engine: EngineRef) -> dict[str, float]:
        """The site's thresholds for this engine; empty where the site has none and the engine's own hold.

        Raises
        ------
        StaleOperatingPoints
            If the site has some for another version, or for other weights of the same version.
        """
        for entry in self.engines:
            if entry.name != engine.name:
                continue
            if entry.version != engine.version or (entry.digest and entry.digest != engine.digest):
                weights = f" with weights {entry.digest[:12]}" if entry.digest else ""
                raise StaleOperatingPoints(engine=engine.label, bound_to=f"{entry.label}{weights}")
            return dict(entry.thresholds)
        return {}


@dataclass(frozen=True, kw_only=True)
class SimulatedFinding:
    """What other thresholds would have changed for one finding, over `n` readings of it."""

    engine: str
    finding: str
    n: int
    old_thresholds: tuple[float, ...]
    new_threshold: float
    positive_before: int
    positive_after: int
    became_positive: int
    became_negative: int


@dataclass(frozen=True, kw_only=True)
class Simulation:
    """`rows` by engine and finding; `skipped` readings came from engines that these thresholds are not bound to."""

    rows: tuple[SimulatedFinding, ...]
    skipped: int


def load_operating_points(path: Path) -> OperatingPoints:
    """Read a site's file.

    Raises
    ------
    InvalidTable
        If it is missing, or a threshold isn't between 0 and 1, or an engine is listed twice.
    """
    return read_table("operating-points", OperatingPoints, path=path)


def is_positive(finding: Finding, operating_point: float) -> bool:
    """Whether a finding counts as present at this threshold.

    The calibrated probability is compared, or the score where there is none.
    """
    return (finding.score if finding.probability is None else finding.probability) >= operating_point


def with_threshold(
    points: OperatingPoints,
    engine: EngineRef,
    finding: str,
    value: float,
    *,
    purpose: str,
    set_by: str,
    set_on: date,
    reason: str,
) -> OperatingPoints:
    """The same thresholds with one of them set. Those of another version of the engine are dropped, never taken over.

    Raises
    ------
    ValueError
        If the value isn't between 0 and 1.
    """
    try:
        kept = points.thresholds(engine)
    except StaleOperatingPoints:
        kept = {}
    entry = EnginePoints(
        name=engine.name,
        version=engine.version,
        digest=engine.digest,
        purpose=purpose,
        set_by=set_by,
        set_on=set_on,
        reason=reason,
        thresholds=kept | {finding: value},
    )
    others = tuple(other for other in points.engines if other.name != engine.name)
    return OperatingPoints(site=points.site, engines=(*others, entry))


def simulate(readings: Iterable[Reading], points: OperatingPoints) -> Simulation:
    """What these thresholds would have changed on stored readings; nothing is stored.

    A reading by an engine without thresholds here, or of another version, is skipped and counted.
    """
    cases: dict[tuple[str, str], list[tuple[Finding, float]]] = {}
    skipped = 0
    for reading in readings:
        used = False
        for series in reading.series:
            for finding, threshold in _bound(series, points):
                cases.setdefault((series.engine.label, finding.name), []).append((finding, threshold))
                used = True
        skipped += not used
    rows = tuple(_row(engine, name, found) for (engine, name), found in sorted(cases.items(), key=lambda item: item[0]))
    return Simulation(rows=rows, skipped=skipped)


def rethreshold(series: SeriesReading, thresholds: dict[str, float]) -> SeriesReading:
    """The series with these thresholds in place of its own; a finding without one keeps its own.

    A finding that becomes negative loses place and grades. One that becomes positive has no place yet: locate it next.
    """
    findings = []
    for finding in series.findings:
        threshold = thresholds.get(finding.name, finding.operating_point)
        positive = is_positive(finding, threshold)
        changed = replace(finding, operating_point=threshold, positive=positive)
        if positive != finding.positive:
            changed = replace(changed, localisation=None, urgency=None, confidence=None, change=None, change_note="")
        findings.append(changed)
    return replace(series, findings=tuple(findings))


def as_toml(points: OperatingPoints) -> str:
    """The file that `load_operating_points` reads back."""
    lines = [f"site = {_text(points.site)}"]
    for entry in points.engines:
        lines += ["", "[[engines]]"]
        lines += [f"{key} = {_text(getattr(entry, key))}" for key in ("name", "version", "digest", "purpose", "set_by")]
        lines += [f"set_on = {entry.set_on.isoformat()}", f"reason = {_text(entry.reason)}", "", "[engines.thresholds]"]
        lines += [f"{_text(finding)} = {float(value)!r}" for finding, value in entry.thresholds.items()]
    return "\n".join(lines) + "\n"


def _bound(series: SeriesReading, points: OperatingPoints) -> list[tuple[Finding, float]]:
    try:
        thresholds = points.thresholds(series.engine)
    except StaleOperatingPoints:
        return []
    return [(finding, thresholds[finding.name]) for finding in series.findings if finding.name in thresholds]


def _row(engine: str, name: str, cases: list[tuple[Finding, float]]) -> SimulatedFinding:
    after = [is_positive(finding, threshold) for finding, threshold in cases]
    before = [finding.positive for finding, _ in cases]
    return SimulatedFinding(
        engine=engine,
        finding=name,
        n=len(cases),
        old_thresholds=tuple(sorted({finding.operating_point for finding, _ in cases})),
        new_threshold=cases[0][1],
        positive_before=sum(before),
        positive_after=sum(after),
        became_positive=sum(new and not old for old, new in zip(before, after, strict=True)),
        became_negative=sum(old and not new for old, new in zip(before, after, strict=True)),
    )


def _text(value: str) -> str:
    """A TOML basic string."""
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return (
        '"' + "".join(char if ord(char) >= 32 and ord(char) != 127 else f"\\u{ord(char):04x}" for char in escaped) + '"'
    )
