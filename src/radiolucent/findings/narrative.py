"""The report in words: Findings, Impression, what was not read and what was not looked for, in each language."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, FileSystemLoader, PackageLoader, StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from radiolucent.findings.confidence import review_reason
from radiolucent.findings.hierarchy import Ranked, ranked
from radiolucent.findings.location import full_place, short_place
from radiolucent.findings.phrases import Phrases, phrases
from radiolucent.findings.quantities import in_words
from radiolucent.findings.reading import Finding, Reading, UnreadSeries
from radiolucent.findings.tables import InvalidTable
from radiolucent.findings.urgency import level_number

_SCOPE = {"MR": "mr", "CT": "ct", "CR": "radiograph", "DX": "radiograph", "RG": "radiograph"}
_NUMBERS = re.compile(r"[\d.]+ → [\d.]+ (?:ml|mm²)(?: \([+-]\d+ %\))?")


@dataclass(frozen=True, kw_only=True)
class Voice:
    """How a site has its readings told: the language, and a folder of its own templates (`findings.site_templates`)."""

    language: str = "en"
    templates: Path | None = None


PLAIN = Voice()
"""English, by the packaged templates."""


@dataclass(frozen=True, kw_only=True)
class FindingNotes:
    """What helps a person to check one positive finding.

    Parameters
    ----------
    name, label : key of the taxonomy, and words.
    verify : clinical signs to look for.
    mimics : what is easily taken for it.
    failure_modes : what the engine is known to get wrong, from its card, in the card's language.
    """

    name: str
    label: str
    verify: tuple[str, ...]
    mimics: tuple[str, ...]
    failure_modes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Narrative:
    """The sections of the report, plain text; `not_read_text` is empty where everything was read.

    `version` names the phrase table. `notes` come in the order of the report, most critical finding first.
    """

    language: str
    version: str
    findings_text: str
    impression_text: str
    not_read_text: str
    scope_text: str
    disclaimer: str
    notes: tuple[FindingNotes, ...] = ()


def write(
    reading: Reading,
    language: str = "en",
    *,
    limits: Mapping[str, Sequence[str]] | None = None,
    failure_modes: Mapping[str, Sequence[str]] | None = None,
    templates: Path | None = None,
    words: Phrases | None = None,
) -> Narrative:
    """Put a judged reading into words.

    Parameters
    ----------
    limits : sentences on what an engine can't do, by ``name@version`` (the manifest's scope limits).
    failure_modes : known failure modes by ``name@version``.
    templates : a site's own folder, laid out like the packaged one (``en/findings.j2``, ``en/scope/mr.j2``, ...);
        what it doesn't hold is taken from the package.
    words : a site's own phrases, instead of the packaged ones of `language`.

    Raises
    ------
    InvalidTable
        If there is no such language, or a site's template can't be used.
    """
    words = words or phrases(language)
    order = ranked(reading)
    looked_for = _looked_for(reading, words)
    positives = [_positive(entry, words) for entry in order]
    common: dict[str, Any] = {"looked_for": looked_for, "state": reading.state}
    draw = _Drawer(language, templates)
    return Narrative(
        language=language,
        version=words.version,
        findings_text=draw("findings", **common, series=_series(reading, order, words)),
        impression_text=draw("impression", **common, positives=positives),
        not_read_text=draw(
            "not_read",
            **common,
            unread=[_unread(series) for series in reading.unread],
            problems=[problem.reason.rstrip(".") for problem in reading.problems],
        )
        if reading.unread or reading.problems
        else "",
        scope_text=_scope_text(reading, draw, words, limits or {}),
        disclaimer=words.disclaimer,
        notes=tuple(_notes(entry, words, failure_modes or {}) for entry in order),
    )


class _Drawer:
    """Fills one language's templates; a site's come first."""

    def __init__(self, language: str, folder: Path | None) -> None:
        self._language, self._environment = language, _environment(folder)

    def __call__(self, template: str, /, **values: Any) -> str:
        name = f"{self._language}/{template}.j2"
        try:
            text = self._environment.get_template(name).render(**values)
        except TemplateError as error:
            raise InvalidTable(f"template can't be used: {error}", table=name) from error
        return "\n".join(line.rstrip() for line in text.strip().splitlines())


@cache
def _environment(folder: Path | None) -> SandboxedEnvironment:
    packaged = PackageLoader("radiolucent.findings", "templates")
    loader = ChoiceLoader([FileSystemLoader(folder), packaged]) if folder else packaged
    # plain text, never HTML: a page escapes what it shows
    environment = SandboxedEnvironment(loader=loader, undefined=StrictUndefined, autoescape=False)
    environment.filters["sentence"] = _sentence
    return environment


def _series(reading: Reading, order: Sequence[Ranked], words: Phrases) -> list[dict[str, Any]]:
    """One part for each series, the one with the most critical finding first."""
    best = {id(entry.series): entry.rank for entry in reversed(order)}
    parts = []
    for series in sorted(reading.series, key=lambda series: best.get(id(series), len(order) + 1)):
        notes = [note.rstrip(".") for note in series.notes]
        parts.append(
            {
                "description": series.description,
                "modality": series.modality,
                "images": len(series.frames),
                "engine": series.engine.label,
                "positives": [_positive(entry, words) for entry in order if entry.series is series],
                "below": [_below(finding, words) for finding in series.findings if not finding.positive],
                "notes": notes,
                "measures": [in_words(one, words) for one in series.measurements],
            }
        )
    return parts


def _positive(entry: Ranked, words: Phrases) -> dict[str, Any]:
    finding, series = entry.finding, entry.series
    change = words.change[finding.change] if finding.change else ""
    review = review_reason(finding.confidence)
    return {
        "rank": entry.rank,
        "name": finding.name,
        "label": _sentence(words.name(finding.name)),
        "urgency": _urgency(finding, words),
        "claim": words.claim(finding.name, finding.probability),
        "figures": _figures(finding, words)
        + ("" if finding.probability is not None else f"; {words.words['not_calibrated']}"),
        "place": full_place(finding, series, words),
        "short_place": short_place(finding, series, words),
        "change": _change(finding, words),
        "change_word": change,
        "confidence": words.confidence[finding.confidence.level] if finding.confidence else "",
        "confidence_why": _row_words(finding, words),
        "review": words.review.get(review, "") or _row_words(finding, words) if review else "",
        "synthetic": words.words["synthetic"] if finding.basis == "phantom" else "",
        "verify": words.verify.get(finding.name, ()),
        "mimics": words.mimics.get(finding.name, ()),
    }


def _below(finding: Finding, words: Phrases) -> dict[str, Any]:
    return {
        "label": words.name(finding.name),
        "figures": _figures(finding, words),
        "change": words.change["resolved"] if finding.change == "resolved" else "",
    }


def _figures(finding: Finding, words: Phrases) -> str:
    if finding.probability is None:
        value, threshold = words.number(finding.score, 2), words.number(finding.operating_point, 2)
        return f"{words.words['score']} {value}, {words.words['threshold']} {threshold}"
    value, threshold = words.percent(finding.probability), words.percent(finding.operating_point)
    if finding.interval is not None and finding.positive:
        value += f" ({words.interval(finding.interval)})"
    return f"{words.words['probability']} {value}, {words.words['threshold']} {threshold}"


def _urgency(finding: Finding, words: Phrases) -> str:
    number = level_number(finding.urgency)
    return f"{number} {words.urgency[str(number)]}"


def _change(finding: Finding, words: Phrases) -> str:
    if not finding.change:
        return ""
    text = words.change[finding.change]
    if finding.change == "not-compared" and finding.change_note:
        return f"{text} ({words.words['original']}{finding.change_note})"
    numbers = _NUMBERS.search(finding.change_note)
    return f"{text}: {numbers.group().replace('.', words.decimal)}" if numbers else text


def _row_words(finding: Finding, words: Phrases) -> str:
    """The confidence row in words; a site's own row speaks for itself."""
    if finding.confidence is None or not finding.confidence.reasons:
        return ""
    name, _, text = finding.confidence.reasons[0].partition(": ")
    return words.confidence_rows.get(name, text)


def _notes(entry: Ranked, words: Phrases, failure_modes: Mapping[str, Sequence[str]]) -> FindingNotes:
    name = entry.finding.name
    return FindingNotes(
        name=name,
        label=_sentence(words.name(name)),
        verify=words.verify.get(name, ()),
        mimics=words.mimics.get(name, ()),
        failure_modes=tuple(failure_modes.get(entry.series.engine.label, ())),
    )


def _looked_for(reading: Reading, words: Phrases) -> list[str]:
    names = [words.name(finding.name) for series in reading.series for finding in series.findings]
    return list(dict.fromkeys(names))


def _scope_text(reading: Reading, draw: _Drawer, words: Phrases, limits: Mapping[str, Sequence[str]]) -> str:
    """One paragraph for each engine and modality: what was looked for, and the engine's own limits."""
    lines: dict[tuple[str, str], str] = {}
    for series in reading.series:
        kind = _SCOPE.get(series.modality, "other")
        text = draw(f"scope/{kind}", looked_for=[words.name(finding.name) for finding in series.findings])
        own = " ".join(limit.rstrip(".") + "." for limit in limits.get(series.engine.label, ()))
        own = f"{words.words['original']}{own}" if own else ""
        lines[(series.engine.label, kind)] = f"{series.engine.label}: {text} {own}".rstrip()
    return "\n".join(lines.values())


def _unread(series: UnreadSeries) -> dict[str, Any]:
    reasons = [refusal.reason.rstrip(".") for refusal in series.refusals]
    return {
        "description": series.description,
        "modality": series.modality,
        "images": series.frames,
        "reasons": list(dict.fromkeys(reasons)),
    }


def _sentence(text: str) -> str:
    """The same with a capital first letter."""
    return text[:1].upper() + text[1:]


def texts(narrative: Narrative) -> tuple[str, ...]:
    """All sections that hold text, in the order of a report."""
    sections = (narrative.findings_text, narrative.impression_text, narrative.not_read_text, narrative.scope_text)
    return (*(section for section in sections if section), narrative.disclaimer)
