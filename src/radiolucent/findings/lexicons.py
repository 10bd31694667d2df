"""Assessment categories in the style of BI-RADS, Lung-RADS and LI-RADS, where an engine supplies what they need."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import model_validator

from radiolucent.findings.reading import EngineRef, Finding
from radiolucent.findings.tables import SourceKey, TableModel, read_table

Input = Literal["probability", "size_mm", "class"]


class Category(TableModel):
    """One category: from `at_least` up, or strictly above it."""

    value: str
    meaning: str
    at_least: float | None = None
    above: bool = False

    def reached(self, value: float) -> bool:
        """True where `value` is in this category or a higher one."""
        limit = self.at_least if self.at_least is not None else 0.0
        return value > limit if self.above else value >= limit


class Lexicon(TableModel):
    """One scheme; its categories rise."""

    name: str
    title: str
    source: SourceKey
    input: Input
    categories: tuple[Category, ...]

    @model_validator(mode="after")
    def _categories_rise(self) -> Lexicon:
        values = [category.value for category in self.categories]
        if not values or len(set(values)) != len(values):
            raise ValueError(f"{self.name}: no category, or one that is listed twice")
        if self.input == "class":
            return self
        limits = [(category.at_least, category.above) for category in self.categories if category.at_least is not None]
        if len(limits) != len(values) or limits != sorted(set(limits)) or limits[0] != (0.0, False):
            raise ValueError(f"{self.name}: categories must rise from 0, each with at_least")
        return self


class Lexicons(TableModel):
    """All schemes."""

    version: str
    lexicons: tuple[Lexicon, ...]

    def of(self, name: str) -> Lexicon | None:
        """The scheme with this name, or None."""
        return next((lexicon for lexicon in self.lexicons if lexicon.name == name), None)


class LexiconField(TableModel):
    """How one finding of an engine fills an assessment.

    Parameters
    ----------
    finding : key of the engine's finding.
    lexicon : name of the scheme.
    category : only for schemes that take classes: the category which this finding stands for.
    """

    finding: str
    lexicon: str
    category: str = ""


class LexiconMapping(TableModel):
    """One engine version's fields."""

    engine: str
    version: str
    fields: tuple[LexiconField, ...]

    def check(self, lexicons: Lexicons) -> None:
        """Compare the mapping with the schemes.

        Raises
        ------
        ValueError
            If a scheme or a category doesn't exist, or a category is given where the scheme works it out itself.
        """
        for field in self.fields:
            lexicon = lexicons.of(field.lexicon)
            if lexicon is None:
                raise ValueError(f"{field.finding}: no lexicon {field.lexicon!r}")
            known = {category.value for category in lexicon.categories}
            if (lexicon.input == "class") != bool(field.category):
                raise ValueError(f"{field.finding}: a category is given for {lexicon.input!r} input, or is missing")
            if field.category and field.category not in known:
                raise ValueError(f"{field.finding}: {lexicon.name} has no category {field.category!r}")


@dataclass(frozen=True, kw_only=True)
class Assessment:
    """A category, what it means and what it was worked out from; empty `category` says why there is none."""

    lexicon: str
    title: str
    category: str
    meaning: str
    basis: str
    source: str


@cache
def default_lexicons() -> Lexicons:
    """The packaged schemes."""
    return read_table("lexicons", Lexicons)


def load_mapping(path: Path) -> LexiconMapping:
    """Read an engine's mapping.

    Raises
    ------
    InvalidTable
        If the file is missing or a field is unknown.
    """
    return read_table("lexicon-mapping", LexiconMapping, path=path)


def assess(
    findings: Iterable[Finding], engine: EngineRef, mapping: LexiconMapping, lexicons: Lexicons
) -> tuple[Assessment, ...]:
    """All assessments that an engine's findings support; empty where the mapping is for another engine or version.

    A probability scheme takes calibrated probabilities only, a size scheme the largest extent of a located positive
    finding, a class scheme the most likely positive class.

    Raises
    ------
    ValueError
        If the mapping doesn't fit the schemes.
    """
    mapping.check(lexicons)
    if (mapping.engine, mapping.version) != (engine.name, engine.version):
        return ()
    by_name = {finding.name: finding for finding in findings}
    pairs = [(field, by_name[field.finding]) for field in mapping.fields if field.finding in by_name]
    results: list[Assessment] = []
    for lexicon in lexicons.lexicons:
        own = [(field, finding) for field, finding in pairs if field.lexicon == lexicon.name]
        if lexicon.input == "class":
            results += _by_class(lexicon, own)
        else:
            results += [_by_value(lexicon, finding) for _, finding in own]
    return tuple(results)


def _by_value(lexicon: Lexicon, finding: Finding) -> Assessment:
    if lexicon.input == "probability":
        value, what = finding.probability, "calibrated probability"
        missing = f"{finding.name} is not calibrated"
    else:
        value, what = _size_mm(finding), "extent of the evidence in mm"
        missing = f"{finding.name} has no size"
    if value is None:
        return _none(lexicon, missing)
    category = next(category for category in reversed(lexicon.categories) if category.reached(value))
    return _assessment(lexicon, category, f"{finding.name}: {what} {value:.3g}")


def _by_class(lexicon: Lexicon, pairs: list[tuple[LexiconField, Finding]]) -> list[Assessment]:
    if not pairs:
        return []
    positive = [(finding.score, field) for field, finding in pairs if finding.positive]
    if not positive:
        return [_none(lexicon, "no class is above its threshold")]
    best = max(positive, key=lambda pair: pair[0])[1]
    category = next(category for category in lexicon.categories if category.value == best.category)
    return [_assessment(lexicon, category, f"class {best.finding}")]


def _size_mm(finding: Finding) -> float | None:
    place = finding.localisation
    if not finding.positive or place is None:
        return None
    return max((max(region.extent_mm) for region in place.regions if region.extent_mm is not None), default=None)


def _assessment(lexicon: Lexicon, category: Category, basis: str) -> Assessment:
    return Assessment(
        lexicon=lexicon.name,
        title=lexicon.title,
        category=category.value,
        meaning=category.meaning,
        basis=basis,
        source=lexicon.source,
    )


def _none(lexicon: Lexicon, why: str) -> Assessment:
    return Assessment(
        lexicon=lexicon.name, title=lexicon.title, category="", meaning="", basis=why, source=lexicon.source
    )
