"""The one value in the middle: what was read from a study, by which engine, with which evidence.

Encoders, reports and pages are functions of a `Reading` (and of the source headers), so they can't disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from radiolucent.imaging.geometry import PixelRecord
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Frame, Problem, stack_key

SCHEMA_VERSION = 1
NOT_FOR_CLINICAL_USE = "Not for clinical use. AI result, not diagnostic, not reviewed by a person."

Laterality = Literal["left", "right", "midline", "bilateral", "unknown"]
Basis = Literal["real", "phantom"]


@dataclass(frozen=True, kw_only=True)
class EngineRef:
    """Which engine spoke: name, version and the SHA-256 over its whole bundle (hex)."""

    name: str
    version: str
    digest: str

    @property
    def label(self) -> str:
        """``name@version``."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, kw_only=True)
class Region:
    """One connected area of evidence above the contour level, on the frames of its series.

    Parameters
    ----------
    frame : index of the frame that holds the region's peak.
    peak : (row, column) of the largest evidence, in that frame's pixels.
    centroid : (row, column), weighted by evidence, in that frame's pixels.
    contour : closed polygon of (row, column) points on that frame.
    level : evidence (logit units) at which the contour lies: the region is what is connected above it.
    first_frame, last_frame : frames that the region spans, inclusive.
    area_mm2 : on the peak frame; None where the pixel spacing is unknown.
    volume_ml : over all its frames; None unless the series is a volume.
    extent_mm : (height, width) of its bounding box on the peak frame; None where the spacing is unknown.
    peak_mm, centroid_mm : patient coordinates (LPS); None where the image has no plane.
    share : this region's part of all positive evidence above the contour level, in (0, 1].
    """

    frame: int
    peak: tuple[float, float]
    centroid: tuple[float, float]
    contour: tuple[tuple[float, float], ...]
    level: float
    first_frame: int
    last_frame: int
    area_pixels: float
    area_mm2: float | None
    volume_ml: float | None
    extent_mm: tuple[float, float] | None
    peak_mm: tuple[float, float, float] | None
    centroid_mm: tuple[float, float, float] | None
    share: float


@dataclass(frozen=True, kw_only=True)
class Localisation:
    """Where the evidence of a positive finding lies. No region at all is a result: EMPTY.

    `status` is ``located``, ``empty`` (no focus above threshold), ``failed`` (no explanation; `reason` says why) or
    ``withheld`` (the site's intended-use profile allows no localisation; then no place and no map leaves the server).
    `regions` come largest share first. `contour_level` is in logit units.
    """

    status: Literal["located", "empty", "failed", "withheld"]
    regions: tuple[Region, ...] = ()
    laterality: Laterality = "unknown"
    focality: Literal["focal", "diffuse", "multifocal", "none"] = "none"
    peak_frame: int | None = None
    frames_involved: tuple[int, ...] = ()
    contour_level: float = 0.0
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """One quantity measured on the image itself, not on the map (`pipeline.measures`).

    Parameters
    ----------
    name : ``midline-shift`` (of a series) or ``blood-volume`` (of a finding).
    value : in `unit`; None where it couldn't be measured. Never negative: a direction stands in `side`.
    note : how it was measured, or why not.
    frame : index of the frame that shows it best, or None.
    side : towards which side; ``unknown`` where that has no meaning.
    points : (row, column) on `frame`: for a shift the brain's midline, then the front and back end of the skull's.
    """

    name: Literal["midline-shift", "blood-volume"]
    value: float | None
    unit: Literal["mm", "ml"]
    note: str
    frame: int | None = None
    side: Laterality = "unknown"
    points: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Graded:
    """A level with the path that led to it, for "why this urgency", "why this confidence"."""

    level: str
    reasons: tuple[str, ...]
    table_version: str


@dataclass(frozen=True, kw_only=True)
class ExplanationCheck:
    """One question to an explanation. `value` is None where it wasn't measured; `words` say what was found."""

    name: str
    value: float | None
    result: Literal["pass", "warn", "fail"]
    words: str


@dataclass(frozen=True, kw_only=True)
class ExplanationVerdict:
    """Whether a finding's map may be shown (`explain.gate`), by the policy of a use case, with every check.

    `reasons` are the words of the checks that did not pass, the gravest first.
    """

    decision: Literal["show", "show-with-warning", "do-not-show"]
    use_case: str
    checks: tuple[ExplanationCheck, ...]
    reasons: tuple[str, ...]
    table_version: str


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One class of an engine on one series, above its operating point or not.

    Parameters
    ----------
    name : key of `findings.taxonomy`.
    logit : raw output of the graph, after the study rule.
    probability : calibrated, or None where the bundle has no calibration for it; then no % is ever shown.
    interval : 95 % interval of `probability`, from the cases it was calibrated on; None where none is known.
    operating_point : probability (or, uncalibrated, score) from which it counts as present.
    positive : at or above the operating point.
    frame_logits : logit of every frame of the series.
    heatmap : the evidence, for positive findings and for others alike; drawn only when positive.
    localisation : None below the operating point.
    stability : similarity in [0, 1] of map and score under small changes of the peak frame (`findings.stability`);
        None where it wasn't measured.
    explanation : whether the map may be shown; None below the operating point, and where no gate was asked.
    measurements : quantities measured on the image where the map points.
    change : against the prior reading: new, larger, smaller, unchanged, resolved; with its numbers in `change_note`.
    """

    name: str
    basis: Basis
    logit: float
    score: float
    probability: float | None
    operating_point: float
    positive: bool
    frame_logits: tuple[float, ...]
    heatmap: Heatmap
    localisation: Localisation | None = None
    stability: float | None = None
    explanation: ExplanationVerdict | None = None
    measurements: tuple[Measurement, ...] = ()
    urgency: Graded | None = None
    confidence: Graded | None = None
    change: Literal["new", "larger", "smaller", "unchanged", "resolved", "not-compared"] | None = None
    change_note: str = ""
    interval: tuple[float, float] | None = None

    def _repr_html_(self) -> str:
        """One line for a notebook."""
        return _table([_cells(self)])


@dataclass(frozen=True, kw_only=True)
class Completeness:
    """The check that the stored map gives the logit back: largest difference over all findings and frames."""

    pooling: str
    largest_difference: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """True where the map adds up."""
        return self.largest_difference <= self.tolerance


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why an engine did not read a series: a result that is shown, never silence and never "normal"."""

    code: str
    reason: str
    engine: str = ""


@dataclass(frozen=True, kw_only=True)
class SeriesReading:
    """One engine's reading of one stack."""

    series_instance_uid: str
    modality: str
    kind: Literal["volume", "image", "frames"]
    description: str
    frames: tuple[Frame, ...]
    shape: tuple[int, int]
    slice_spacing_mm: float | None
    engine: EngineRef
    record: PixelRecord
    findings: tuple[Finding, ...]
    completeness: Completeness
    milliseconds: dict[str, float]
    notes: tuple[str, ...] = ()
    part: int = 1
    measurements: tuple[Measurement, ...] = ()

    @property
    def key(self) -> str:
        """Key of the stack that was read (`imaging.study.Stack.key`)."""
        return stack_key(self.series_instance_uid, self.part)

    @property
    def positives(self) -> tuple[Finding, ...]:
        """Findings at or above their operating point, in order."""
        return tuple(finding for finding in self.findings if finding.positive)


@dataclass(frozen=True, kw_only=True)
class UnreadSeries:
    """A series that no engine read, with the reason of each engine that was asked."""

    series_instance_uid: str
    modality: str
    description: str
    frames: int
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, kw_only=True)
class Reading:
    """One study's result.

    Parameters
    ----------
    study_instance_uid : the study.
    series : what was read. Empty together with non-empty `unread` or `problems` means "not read", never "normal".
    unread : series that no engine may read, each with its reasons.
    problems : files and objects that could not be read.
    prior_study_instance_uid : the prior that it was compared with, or empty.
    """

    study_instance_uid: str
    series: tuple[SeriesReading, ...]
    unread: tuple[UnreadSeries, ...] = ()
    problems: tuple[Problem, ...] = ()
    prior_study_instance_uid: str = ""
    software: str = ""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings of all series: positives first, then by probability (or score), largest first."""
        every = [finding for series in self.series for finding in series.findings]
        return tuple(sorted(every, key=lambda finding: (not finding.positive, -_rank(finding))))

    def _repr_html_(self) -> str:
        """All findings as a table for a notebook, and what was not read: that is never "normal"."""
        unread = [f"{one.modality}: {'; '.join(refusal.reason for refusal in one.refusals)}" for one in self.unread]
        unread += [problem.reason for problem in self.problems]
        missed = "".join(f"<li>not read: {escape(line)}</li>" for line in unread)
        return f"<p>{escape(self.state)}</p>{_table([_cells(one) for one in self.findings])}<ul>{missed}</ul>"

    @property
    def state(self) -> Literal["read", "partly-read", "not-read"]:
        """Whether all, some or none of the series were read."""
        if not self.series:
            return "not-read"
        return "partly-read" if self.unread or self.problems else "read"


_HEAD = ("finding", "probability", "above threshold", "where", "explanation", "urgency")


def _cells(finding: Finding) -> tuple[str, ...]:
    where, verdict = finding.localisation, finding.explanation
    chance = f"score {finding.score:.2f}" if finding.probability is None else f"{finding.probability:.1%}"
    place = "" if where is None else where.laterality if where.status == "located" else where.status
    shown = "" if verdict is None else ": ".join([verdict.decision, "; ".join(verdict.reasons)]).removesuffix(": ")
    urgency = finding.urgency.level if finding.urgency else ""
    return finding.name, chance, "yes" if finding.positive else "no", place, shown, urgency


def _table(rows: Sequence[tuple[str, ...]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in _HEAD)
    lines = ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    return f"<table><tr>{head}</tr>{''.join(lines)}</table><p>{escape(NOT_FOR_CLINICAL_USE)}</p>"


def _rank(finding: Finding) -> float:
    return finding.score if finding.probability is None else finding.probability
