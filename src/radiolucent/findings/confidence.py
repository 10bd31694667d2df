"""How sure a finding is: calibrated probability, agreement with its usual place, shape and stability, in one table."""

from __future__ import annotations

from functools import cache
from itertools import product
from pathlib import Path
from typing import Literal, get_args

from pydantic import Field, model_validator

from radiolucent.findings.priors import Agreement
from radiolucent.findings.reading import Finding, Graded
from radiolucent.findings.tables import SourceKey, TableModel, read_table
from radiolucent.findings.taxonomy import FINDINGS

REVIEW = "review: "

Level = Literal["high", "moderate", "low"]
ProbabilityBand = Literal["high", "middle", "low", "unknown"]
AgreementBand = Literal["good", "partial", "poor", "unknown"]
FocalityBand = Literal["expected", "unexpected", "empty", "unknown"]
StabilityBand = Literal["stable", "unstable", "unknown"]
Combination = tuple[ProbabilityBand, AgreementBand, FocalityBand, StabilityBand]
Shape = Literal["focal", "multifocal", "diffuse"]
Tissue = Literal["lungs", "bone"]

COMBINATIONS: tuple[Combination, ...] = tuple(
    product(get_args(ProbabilityBand), get_args(AgreementBand), get_args(FocalityBand), get_args(StabilityBand))
)


class ProbabilityBands(TableModel):
    """Limits of the calibrated probability."""

    high: float = Field(gt=0, lt=1)
    middle: float = Field(gt=0, lt=1)
    source: SourceKey


class AgreementBands(TableModel):
    """Limits of the agreement with the prior."""

    good: float = Field(gt=0, le=1)
    partial: float = Field(gt=0, le=1)
    least_in_body: float = Field(ge=0, le=1)
    prior_threshold: float = Field(gt=0, lt=1)
    source: SourceKey


class TissueRule(TableModel):
    """Which findings belong into the lung fields or to bone, and how much of their evidence must lie there."""

    least: float = Field(ge=0, le=1)
    lungs: tuple[str, ...]
    bone: tuple[str, ...]
    source: SourceKey

    def of(self, finding: str) -> Tissue | None:
        """Where a finding's evidence belongs; None where nothing is asked."""
        return "lungs" if finding in self.lungs else "bone" if finding in self.bone else None


class StabilityBands(TableModel):
    """Limit of the stability."""

    stable: float = Field(gt=0, le=1)
    source: SourceKey


class Focality(TableModel):
    """Which shapes of evidence each finding usually gives."""

    default: tuple[Shape, ...]
    expected: dict[str, tuple[Shape, ...]]
    source: SourceKey


class Row(TableModel):
    """One row: the values of each factor that it covers, and what they mean together."""

    name: str
    probability: tuple[ProbabilityBand, ...] = get_args(ProbabilityBand)
    agreement: tuple[AgreementBand, ...] = get_args(AgreementBand)
    focality: tuple[FocalityBand, ...] = get_args(FocalityBand)
    stability: tuple[StabilityBand, ...] = get_args(StabilityBand)
    level: Level
    review: bool = False
    why: str
    source: SourceKey

    def covers(self, combination: Combination) -> bool:
        """True where each of the four values is listed."""
        probability, agreement, focality, stability = combination
        return (
            probability in self.probability
            and agreement in self.agreement
            and focality in self.focality
            and stability in self.stability
        )


class ConfidenceTable(TableModel):
    """Bands and rows. Every combination has exactly one row, and none with an unknown value is high."""

    version: str
    probability: ProbabilityBands
    agreement: AgreementBands
    stability: StabilityBands
    focality: Focality
    rows: tuple[Row, ...]
    outside: dict[str, str]
    unusual: dict[str, str]
    tissue: TissueRule | None = None
    away: dict[Tissue, str] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _each_combination_has_one_row(self) -> ConfidenceTable:
        for combination in COMBINATIONS:
            rows = [row for row in self.rows if row.covers(combination)]
            if len(rows) != 1:
                names = " and ".join(row.name for row in rows) or "no row"
                raise ValueError(f"{', '.join(combination)} must have exactly one row, but has {names}")
            if "unknown" in combination and rows[0].level == "high":
                raise ValueError(f"row {rows[0].name}: with an unknown value a finding can't be high")
        if self.probability.middle >= self.probability.high or self.agreement.partial >= self.agreement.good:
            raise ValueError("the limits of the bands must grow")
        asked = (*self.tissue.lungs, *self.tissue.bone) if self.tissue else ()
        unknown = [name for name in (*self.focality.expected, *asked) if name not in FINDINGS]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no finding of the taxonomy")
        if self.tissue and set(self.away) != set(get_args(Tissue)):
            raise ValueError("away needs words for lungs and bone")
        return self

    def row(self, combination: Combination) -> Row:
        """The only row that covers a combination."""
        return next(row for row in self.rows if row.covers(combination))


@cache
def default_confidence() -> ConfidenceTable:
    """The packaged table."""
    return read_table("confidence", ConfidenceTable)


def site_confidence(path: Path) -> ConfidenceTable:
    """A site's own table in place of the packaged one.

    Raises
    ------
    InvalidTable
        If a combination has no row or several, or an unknown value could give "high".
    """
    return read_table("confidence", ConfidenceTable, path=path)


def grade_confidence(
    finding: Finding, *, agreement: Agreement | None, stability: float | None, table: ConfidenceTable
) -> Graded:
    """Confidence in one finding that is above its operating point, with the path that led to it.

    Parameters
    ----------
    agreement : from `findings.priors.agreement`; None where there is no prior or no body.
    stability : similarity in [0, 1] of the result under small changes of the image; None where not measured.

    Returns
    -------
    Graded
        The first reason is the row. A reason that starts with ``review:`` asks a person to look at a disagreement.
    """
    combination = (
        _probability(finding, table),
        _agreement(agreement, table),
        _focality(finding, table),
        _stability(stability, table),
    )
    row = table.row(combination)
    reasons = [f"{row.name}: {row.why} [{row.source}]"]
    if row.review:
        reasons.append(REVIEW + _conflict(finding, agreement, combination, row, table))
    reasons += _factors(finding, agreement, stability, combination, table)
    return Graded(level=row.level, reasons=tuple(reasons), table_version=table.version)


def review_reason(graded: Graded | None) -> str:
    """What a person should look at because the parts of a result disagree; empty where they don't.

    >>> review_reason(Graded(level="low", reasons=("x", "review: evidence outside the head"), table_version="1"))
    'evidence outside the head'
    """
    if graded is None:
        return ""
    return next((reason.removeprefix(REVIEW) for reason in graded.reasons if reason.startswith(REVIEW)), "")


def _probability(finding: Finding, table: ConfidenceTable) -> ProbabilityBand:
    if finding.probability is None:
        return "unknown"
    bands = table.probability
    return "high" if finding.probability >= bands.high else "middle" if finding.probability >= bands.middle else "low"


def _agreement(agreement: Agreement | None, table: ConfidenceTable) -> AgreementBand:
    if agreement is None:
        return "unknown"
    bands = table.agreement
    if agreement.in_body < bands.least_in_body or _away(agreement, table):
        return "poor"
    return "good" if agreement.value >= bands.good else "partial" if agreement.value >= bands.partial else "poor"


def _away(agreement: Agreement, table: ConfidenceTable) -> bool:
    """Too little of the evidence lies in the tissue that the finding belongs to."""
    return table.tissue is not None and agreement.in_tissue is not None and agreement.in_tissue < table.tissue.least


def _focality(finding: Finding, table: ConfidenceTable) -> FocalityBand:
    place = finding.localisation
    if place is None or place.status in ("failed", "withheld"):
        return "unknown"
    if place.status == "empty" or place.focality == "none":
        return "empty"
    usual = table.focality.expected.get(finding.name, table.focality.default)
    return "expected" if place.focality in usual else "unexpected"


def _stability(stability: float | None, table: ConfidenceTable) -> StabilityBand:
    return "unknown" if stability is None else "stable" if stability >= table.stability.stable else "unstable"


def _conflict(
    finding: Finding, agreement: Agreement | None, combination: Combination, row: Row, table: ConfidenceTable
) -> str:
    """The disagreement in words: where the evidence lies, or else what the row says."""
    if combination[1] != "poor" or agreement is None:
        return row.why
    if agreement.in_body < table.agreement.least_in_body:
        anatomy = FINDINGS[finding.name].anatomy if finding.name in FINDINGS else ""
        return table.outside.get(anatomy, "evidence outside the body")
    where = table.tissue.of(finding.name) if table.tissue else None
    if where is not None and _away(agreement, table):
        return table.away[where]
    return table.unusual.get(finding.name, table.unusual["default"])


def _factors(
    finding: Finding,
    agreement: Agreement | None,
    stability: float | None,
    combination: Combination,
    table: ConfidenceTable,
) -> list[str]:
    probability, place, shape, stable = combination
    seen = finding.localisation.focality if finding.localisation else "not located"
    return [
        f"probability: {probability}" + ("" if finding.probability is None else f" ({finding.probability:.2f})"),
        f"agreement with the usual place: {place}{_shares(finding, agreement, table)}",
        f"shape: {shape} ({seen})",
        f"stability: {stable}" + ("" if stability is None else f" ({stability:.2f})"),
    ]


def _shares(finding: Finding, agreement: Agreement | None, table: ConfidenceTable) -> str:
    """The numbers behind the agreement, in brackets."""
    if agreement is None:
        return ""
    text = f"{agreement.value:.2f}; {agreement.in_body:.2f} inside the body"
    where = table.tissue.of(finding.name) if table.tissue else None
    if where is not None:
        place = {"lungs": "the lung fields", "bone": "bone"}[where]
        told = f"{place} not found" if agreement.in_tissue is None else f"{agreement.in_tissue:.2f} in {place}"
        text += f"; {told}"
    return f" ({text})"
