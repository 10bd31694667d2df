"""Why a finding got its level: the path through the tables, line by line, as ``radiolucent explain-rule`` prints it."""

from __future__ import annotations

from typing import Any

from radiolucent.errors import SetupError
from radiolucent.findings.judgement import Tables, default_tables
from radiolucent.findings.phrases import phrases
from radiolucent.findings.quantities import in_words
from radiolucent.findings.reading import Finding, Graded, Reading, SeriesReading
from radiolucent.findings.tables import sources


class NoSuchFinding(SetupError):
    """The reading holds no finding of this name: another one must be asked for."""


def explain_rule(reading: Reading, finding: str, *, tables: Tables | None = None) -> tuple[str, ...]:
    """The path of one finding through threshold, change, urgency and confidence, for each series that holds it.

    Parameters
    ----------
    finding : key of the taxonomy.
    tables : the tables in use now; a line says where the reading was judged with other ones.

    Raises
    ------
    NoSuchFinding
        If no series of the reading holds it.
    """
    tables = tables or default_tables()
    found = [(series, entry) for series in reading.series for entry in series.findings if entry.name == finding]
    if not found:
        names = sorted({entry.name for entry in reading.findings})
        raise NoSuchFinding(f"no finding {finding!r} in this reading; it holds {', '.join(names) or 'none'}")
    lines: list[str] = []
    for series, entry in found:
        lines += _path(series, entry, tables)
    return (*lines, *_cited(lines))


def rule_path(reading: Reading, finding: str, *, tables: Tables | None = None) -> list[dict[str, Any]]:
    """The same path as plain values, one entry for each series that holds the finding.

    Raises
    ------
    NoSuchFinding
        If no series of the reading holds it.
    """
    tables, lines = tables or default_tables(), explain_rule(reading, finding, tables=tables)
    return [
        {
            "study_instance_uid": reading.study_instance_uid,
            "series_instance_uid": series.series_instance_uid,
            "engine": series.engine.label,
            "digest": series.engine.digest,
            "finding": entry.name,
            "positive": entry.positive,
            "probability": entry.probability,
            "score": entry.score,
            "operating_point": entry.operating_point,
            "change": {"level": entry.change, "note": entry.change_note},
            "measurements": [
                {"name": one.name, "value": one.value, "unit": one.unit, "note": one.note}
                for one in (*entry.measurements, *series.measurements)
            ],
            "urgency": _as_values(entry.urgency, tables.urgency.version),
            "confidence": _as_values(entry.confidence, tables.confidence.version),
            "sources": {
                key: source.citation for key, source in sources().items() if any(f"[{key}]" in x for x in lines)
            },
        }
        for series in reading.series
        for entry in series.findings
        if entry.name == finding
    ]


def _as_values(graded: Graded | None, version: str) -> dict[str, Any] | None:
    if graded is None:
        return None
    return {
        "level": graded.level,
        "reasons": list(graded.reasons),
        "table": graded.table_version,
        "table_in_use": version,
    }


def _path(series: SeriesReading, finding: Finding, tables: Tables) -> list[str]:
    value = finding.score if finding.probability is None else finding.probability
    what = "score (not calibrated)" if finding.probability is None else "calibrated probability"
    sign, verdict = ("≥", "positive") if finding.positive else ("<", "below threshold")
    engine = f"{series.engine.label} {series.engine.digest[:12]}"
    lines = [
        f"{finding.name} in {series.description} ({series.modality}), {engine}",
        f"  threshold: {what} {value:.3f} {sign} {finding.operating_point:.3f}: {verdict}",
        f"  change: {finding.change or 'nothing to compare'}"
        + (f": {finding.change_note}" if finding.change_note else ""),
    ]
    told = [in_words(one, phrases("en")) for one in (*finding.measurements, *series.measurements)]
    lines += [f"  measured: {text}" for text in told]
    lines += _graded("urgency", finding.urgency, tables.urgency.version)
    return lines + _graded("confidence", finding.confidence, tables.confidence.version)


def _graded(what: str, graded: Graded | None, version: str) -> list[str]:
    if graded is None:
        return [f"  {what}: not graded"]
    other = "" if graded.table_version == version else f"; the table in use now is {version}"
    return [
        f"  {what}: {graded.level} (table {graded.table_version}{other})",
        *(f"    {number}. {reason}" for number, reason in enumerate(graded.reasons, start=1)),
    ]


def _cited(lines: list[str]) -> list[str]:
    """The sources that the path names, in full."""
    text = "\n".join(lines)
    cited = [(key, source) for key, source in sources().items() if f"[{key}]" in text]
    return ["sources:", *(f"  [{key}] {source.citation}" for key, source in cited)] if cited else []
