"""What each row of an ORU mapping tells of a reading, as a value that a field can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeAlias

from radiolucent.errors import EncodingError
from radiolucent.findings.narrative import Narrative
from radiolucent.findings.phrases import Phrases
from radiolucent.findings.reading import Graded, Reading, UnreadSeries
from radiolucent.findings.taxonomy import Code
from radiolucent.imaging.study import Problem
from radiolucent.results.hl7_mapping import OruMapping, ValueType
from radiolucent.results.hl7_text import coded, components, escaped, formatted
from radiolucent.results.provenance import Provenance
from radiolucent.results.statements import (
    BASES,
    HEATMAPS,
    NO_FINDING,
    STATES,
    Statement,
    change_code,
    checked_uid,
    confidence_code,
    most_urgent,
    reasons,
    rounded,
    tracking_uid,
    urgency_code,
    viewer_link,
    withdrawal,
)

LONGEST_STRING = 199
"""Longest ST (2A.74)."""


@dataclass(frozen=True, kw_only=True)
class Coded:
    """A code, another code for the same, and the words of the reader's language."""

    code: Code
    other: Code | None = None
    words: str = ""


@dataclass(frozen=True)
class Uid:
    """A DICOM UID."""

    value: str


@dataclass(frozen=True)
class Link:
    """An address in the viewer."""

    value: str


Value: TypeAlias = Coded | Uid | Link | Decimal | str
Values: TypeAlias = Mapping[str, Value | None]


@dataclass(frozen=True, kw_only=True)
class Telling:
    """What all values of one message share.

    Parameters
    ----------
    withdrawn : the sentence that takes the result back, or empty; no text of the report is sent then.
    viewer_url : address with ``{study}``, ``{series}`` and ``{finding}``, or None.
    """

    reading: Reading
    narrative: Narrative
    words: Phrases
    mapping: OruMapping
    provenance: Provenance
    withdrawn: str = ""
    viewer_url: str | None = None

    def link(self, series: str = "", finding: str = "") -> Link | None:
        """Where the viewer shows it."""
        if self.viewer_url is None:
            return None
        return Link(viewer_link(self.viewer_url, self.reading.study_instance_uid, series, finding))


def told(language: str, status: str, reason: str) -> str:
    """The sentence of a withdrawal, empty for any other message."""
    return withdrawal(language, reason) if status == "withdrawn" else ""


def study_values(telling: Telling) -> Values:
    """What can be said of the study as a whole; None where there is nothing to say."""
    reading, narrative, words = telling.reading, telling.narrative, telling.words
    texts = {
        "findings-text": narrative.findings_text,
        "impression-text": narrative.impression_text,
        "not-read-text": narrative.not_read_text,
        "scope-text": narrative.scope_text,
    }
    if telling.withdrawn:
        texts = {name: telling.withdrawn if text else "" for name, text in texts.items()}
    return {
        **{name: text or None for name, text in texts.items()},
        "disclaimer": narrative.disclaimer,
        "state": Coded(code=STATES[reading.state]),
        "withdrawal": telling.withdrawn or None,
        "urgency": _urgency(most_urgent(reading), words),
        "study-uid": Uid(checked_uid(reading.study_instance_uid)),
        "viewer-link": telling.link(),
    }


def finding_values(statement: Statement, telling: Telling) -> Values:
    """What can be said of one finding, above its threshold or below."""
    finding, series, words = statement.finding, statement.series, telling.words
    code, other = telling.mapping.finding_codes(finding.name)
    change = change_code(finding)
    sure = confidence_code(finding.confidence) if finding.confidence else None
    side = finding.localisation.laterality if finding.localisation else ""
    values: dict[str, Value | None] = {
        "probability": None if finding.probability is None else rounded(finding.probability),
        "score": rounded(finding.score) if finding.probability is None else None,
        "interval": None if finding.interval is None else words.interval(finding.interval),
        "operating-point": rounded(finding.operating_point),
        "change": Coded(code=change, words=statement.change) if change else None,
        "basis": Coded(code=BASES[finding.basis]),
        "site": Coded(code=statement.kind.site),
        "engine": series.engine.label,
        "engine-digest": series.engine.digest or None,
        "series": series.description or None,
        "study-uid": Uid(checked_uid(telling.reading.study_instance_uid)),
        "series-uid": Uid(checked_uid(series.series_instance_uid)),
        "tracking-uid": Uid(tracking_uid(statement, telling.provenance)),
        "viewer-link": telling.link(series.series_instance_uid, finding.name),
    }
    if not finding.positive:
        return {**values, "result": Coded(code=NO_FINDING, words=f"{statement.label}: {words.urgency['5']}")}
    return {
        **values,
        "finding": Coded(code=code, other=other, words=statement.label),
        "urgency": _urgency(finding.urgency, words),
        "urgency-reasons": _sentences(finding.urgency),
        "confidence": Coded(code=sure, words=words.confidence.get(sure.meaning, sure.meaning)) if sure else None,
        "confidence-reasons": _sentences(finding.confidence),
        "laterality": Coded(code=statement.side, words=words.side[side]) if statement.side and side else None,
        "heatmap": Coded(code=HEATMAPS[statement.heatmap_status], words=words.status.get(statement.heatmap_status, "")),
        "place": statement.place or None,
    }


def unread_values(unread: UnreadSeries | Problem, telling: Telling) -> Values:
    """What can be said of a series or object that was not read."""
    if isinstance(unread, Problem):
        return {
            "reasons": telling.words.words["original"] + unread.reason,
            "code": unread.code,
            "series-uid": Uid(checked_uid(unread.series_instance_uid)) if unread.series_instance_uid else None,
        }
    return {
        "reasons": reasons(unread, telling.words),
        "code": ",".join(dict.fromkeys(refusal.code for refusal in unread.refusals)) or None,
        "series": unread.description or None,
        "modality": unread.modality or None,
        "series-uid": Uid(checked_uid(unread.series_instance_uid)),
    }


def encoded(value: Value, kind: ValueType, schemes: Mapping[str, str]) -> str:
    """OBX-5 for a value in the type that the mapping asks for.

    Raises
    ------
    EncodingError
        If a text is longer than ST allows.
    """
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, Coded):
        if kind == "CWE":
            return coded(value.code, other=value.other, original=value.words, schemes=schemes)
        value = value.words or value.code.meaning
    elif isinstance(value, Uid):
        if kind == "HD":
            return components("", value.value, "ISO")
        value = value.value
    elif isinstance(value, Link):
        if kind == "RP":
            return components(value.value)
        value = value.value
    if kind == "ST" and len(value) > LONGEST_STRING:
        raise EncodingError(f"a text of {len(value)} characters is too long for ST: say it as TX in the mapping")
    return formatted(value) if kind == "FT" else escaped(value)


def _urgency(graded: Graded | None, words: Phrases) -> Coded | None:
    if graded is None:
        return None
    code = urgency_code(graded)
    return Coded(code=code, words=words.urgency.get(code.value[-1], ""))


def _sentences(graded: Graded | None) -> str | None:
    return "; ".join(graded.reasons) or None if graded else None
