"""Words for people in each language: names, probability, places, what to check, what a finding is mistaken for."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pydantic import Field, model_validator

from radiolucent.findings.confidence import default_confidence
from radiolucent.findings.tables import InvalidTable, SourceKey, TableModel, read_table
from radiolucent.findings.taxonomy import FINDINGS

LANGUAGES = ("en", "de")


class ProbabilityPhrase(TableModel):
    """Words for a calibrated probability from `at_least` up; `of_things` where nobody suspects a disease."""

    at_least: float = Field(ge=0, lt=1)
    phrase: str
    of_things: str = ""
    source: SourceKey


class Phrases(TableModel):
    """One language. Every finding of the taxonomy has a name, signs to check and mimics."""

    version: str
    decimal: str
    disclaimer: str
    probability: tuple[ProbabilityPhrase, ...]
    things: tuple[str, ...]
    words: dict[str, str]
    urgency: dict[str, str]
    confidence: dict[str, str]
    change: dict[str, str]
    side: dict[str, str]
    place: dict[str, str]
    status: dict[str, str]
    confidence_rows: dict[str, str]
    review: dict[str, str]
    names: dict[str, str]
    verify: dict[str, tuple[str, ...]]
    mimics: dict[str, tuple[str, ...]]

    @model_validator(mode="after")
    def _complete(self) -> Phrases:
        limits = [band.at_least for band in self.probability]
        if limits != sorted(set(limits), reverse=True) or not limits or limits[-1] != 0:
            raise ValueError("probability phrases must fall to a last one at 0")
        rows = {row.name for row in default_confidence().rows}
        for what, given, wanted in (
            ("names", set(self.names), set(FINDINGS)),
            ("verify", set(self.verify), set(FINDINGS)),
            ("mimics", set(self.mimics), set(FINDINGS)),
            ("confidence_rows", set(self.confidence_rows), rows),
            ("things", set(self.things) | set(FINDINGS), set(FINDINGS)),
        ):
            if given != wanted:
                raise ValueError(f"{what}: missing or unknown {', '.join(sorted(given ^ wanted))}")
        return self

    def name(self, finding: str) -> str:
        """A finding as it stands in a sentence."""
        return self.names.get(finding, finding)

    def likelihood(self, probability: float | None) -> str:
        """Words for a calibrated probability; None gives the word for a score that isn't calibrated."""
        if probability is None:
            return self.words["uncalibrated"]
        return self._band(probability).phrase

    def claim(self, finding: str, probability: float | None) -> str:
        """A finding with how likely it is; hardware and devices are things, which nobody suspects.

        >>> phrases("en").claim("fracture", 0.7), phrases("en").claim("hardware", 0.7)
        ('suspicious for fracture', 'probable metal hardware')
        """
        words = self.likelihood(probability)
        if finding in self.things and probability is not None:
            words = self._band(probability).of_things or words
        return f"{words} {self.name(finding)}"

    def _band(self, probability: float) -> ProbabilityPhrase:
        return next(band for band in self.probability if probability >= band.at_least)

    def number(self, value: float, digits: int) -> str:
        """A number with the language's decimal sign."""
        return f"{value:.{digits}f}".replace(".", self.decimal)

    def percent(self, probability: float) -> str:
        """A calibrated probability, whole per cent; never 0 % or 100 %."""
        percent = round(100 * probability)
        if percent < 1:
            return f"{self.words['under']} 1 %"
        return f"{self.words['over']} 99 %" if percent > 99 else f"{percent} %"

    def interval(self, bounds: tuple[float, float]) -> str:
        """The 95 % interval of a calibrated probability, in words.

        >>> phrases("en").interval((0.714, 0.93))
        '95 % interval 71 % to 93 %'
        """
        return self.words["interval"].format(low=self.percent(bounds[0]), high=self.percent(bounds[1]))


@cache
def phrases(language: str) -> Phrases:
    """The packaged words of a language.

    >>> phrases("de").name("glioma")
    'Gliom'

    Raises
    ------
    InvalidTable
        If there is no such language.
    """
    if language not in LANGUAGES:
        raise InvalidTable(f"no such language; use one of {', '.join(LANGUAGES)}", table=f"phrases.{language}")
    return read_table(f"phrases.{language}", Phrases)


def site_phrases(path: Path) -> Phrases:
    """A site's own words.

    Raises
    ------
    InvalidTable
        If a finding or a key has no words.
    """
    return read_table("phrases", Phrases, path=path)
