"""What the insight sheet shows of a reading, cut to one page: every cut says how much is missing and where it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from radiolucent.findings.hierarchy import Ranked, open_heatmaps, ranked
from radiolucent.findings.location import full_place, short_place
from radiolucent.findings.narrative import FindingNotes, Narrative, write
from radiolucent.findings.phrases import phrases
from radiolucent.findings.reading import Finding, Graded, Localisation, Reading, SeriesReading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.findings.urgency import default_urgency, level_number, study_urgency
from radiolucent.results.charts import PAPER, value_bar
from radiolucent.results.report_view import (
    CHANGES,
    Album,
    StudyFacts,
    completeness_words,
    day,
    picture_view,
)

MOST_PICTURED = 2
"""Findings with pictures on the sheet; all further ones are one line each."""
CUT, SHORT_CUT = "… (cut, see the report)", "… (cut)"

_NO_INTERVAL = "Interval of this probability: none is known for this engine."
_NOT_CALIBRATED = "Not calibrated: how likely the finding is, is not known, and there is no interval."


@dataclass(frozen=True, kw_only=True)
class _Room:
    """Lines that each list of a finding may take; characters of its first line, of any other, and of the place."""

    reasons: int
    notes: int
    first: int
    line: int
    place: int


_ALONE = _Room(reasons=5, notes=4, first=112, line=78, place=150)
_PAIR = _Room(reasons=2, notes=2, first=68, line=68, place=130)
_SPARE = _Room(reasons=3, notes=2, first=130, line=68, place=190)
"""Of a pair on a page that little else fills."""
_OTHERS, _LIMITS, _UNREAD, _ENGINES, _LOOKED_FOR = 3, 3, 2, 2, 24
_FULL_LINE = 130
"""Characters that surely fit on a line over the whole page."""
_SOURCE = re.compile(r" \[[\w-]+\]$")


def first_of(lines: Sequence[str], most: int) -> list[str]:
    """At most `most` lines; where there are more, the last one says how many are missing.

    >>> first_of(["a", "b", "c"], 2)
    ['a', '… and 2 more, see the report']
    """
    if len(lines) <= most:
        return list(lines)
    return [*lines[: most - 1], _more(len(lines) - most + 1)]


def cut(text: str, most: int, mark: str = CUT) -> str:
    """The text with at most `most` characters; where it is longer, `mark` at its end says so.

    >>> cut("word " * 10, 33)
    'word word… (cut, see the report)'
    """
    return text if len(text) <= most else text[: most - len(mark)].rstrip() + mark


def whole_parts(text: str, most: int) -> str:
    """As many parts between semicolons as fit into `most` characters; "…" stands for the rest.

    >>> whole_parts("left, upper zone; slice 4 of 10; evidence over 20 mm", 36)
    'left, upper zone; slice 4 of 10; …'
    """
    parts, kept = text.split("; "), text
    while len(kept) > most and len(parts) > 1:
        parts = parts[:-1]
        kept = "; ".join([*parts, "…"])
    return cut(kept, most)


def in_one_line(parts: Sequence[str], most: int) -> str:
    """As many parts as fit into `most` characters, then how many are missing.

    >>> in_one_line(["glioma", "meningioma", "pituitary tumour", "metastasis"], 45)
    'glioma, … and 3 more, see the report'
    """
    text = ", ".join(parts)
    if len(text) <= most:
        return text
    for kept in range(len(parts) - 1, 0, -1):
        text = ", ".join([*parts[:kept], _more(len(parts) - kept)])
        if len(text) <= most:
            return text
    return _more(len(parts))


def _more(missing: int) -> str:
    return f"… and {missing} more, see the report"


def sheet_view(
    reading: Reading, facts: StudyFacts, album: Album, limits: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """One study, as ``insight.html.j2`` shows it."""
    order = ranked(reading)
    leading = _leading(reading, order)
    others = [entry for entry in order if entry not in leading]
    unread = _unread(reading)
    spare = len(leading) == MOST_PICTURED and len(others) <= 1 and not unread
    room = _ALONE if len(leading) < MOST_PICTURED else _SPARE if spare else _PAIR
    narrative = write(reading) if reading.series else None
    below = [finding for finding in reading.findings if not finding.positive]
    # a page that nothing else fills has room for more of them
    most_limits = _LIMITS if others or len(leading) == MOST_PICTURED else _LIMITS + 2
    return {
        "title": cut(facts.description or (f"{facts.modality} study" if facts.modality else "Study"), 60),
        "facts": [(name, cut(value, 22, SHORT_CUT)) for name, value in _facts(facts)],
        "uid": reading.study_instance_uid,
        "state": reading.state,
        "urgency": _study_urgency(reading, order),
        "leading": [_leading_view(entry, album, facts, narrative, room) for entry in leading],
        "others": [_other(entry) for entry in others[: _OTHERS if len(others) <= _OTHERS else _OTHERS - 1]],
        "more_others": "" if len(others) <= _OTHERS else _more(len(others) - _OTHERS + 1),
        "below": in_one_line([_below(finding) for finding in below], 2 * _FULL_LINE - 90),
        "below_count": len(below),
        "looked_for": [_value(finding) for finding in below[:_LOOKED_FOR]] if not order else [],
        "more_looked_for": _more(len(below) - _LOOKED_FOR) if len(below) > _LOOKED_FOR else "",
        "spare": spare,
        "unread": first_of(unread, _UNREAD if order else 5 * _UNREAD),
        "limits": first_of(_limits(reading, limits), most_limits),
        "engines": first_of(_engines(reading), _ENGINES),
        "checks": _checks(reading),
    }


def _leading(reading: Reading, order: Sequence[Ranked]) -> tuple[Ranked, ...]:
    """The most critical finding, wherever its map is, and what the report would open beside it."""
    opened = open_heatmaps(reading)
    return tuple(entry for entry in order if entry.rank == 1 or entry in opened)[:MOST_PICTURED]


def _facts(facts: StudyFacts) -> list[tuple[str, str]]:
    rows = [
        ("Patient ID", facts.patient_id or "not given"),
        ("Study date", day(facts.study_date) or "not given"),
        ("Modality", facts.modality or "not given"),
        ("Accession number", facts.accession_number or "not given"),
        ("Compared with", f"prior of {day(facts.prior_study_date)}" if facts.prior_study_date else "no prior"),
    ]
    return rows


def _study_urgency(reading: Reading, order: Sequence[Ranked]) -> dict[str, Any]:
    graded = study_urgency(reading, default_urgency())
    judged = [entry for entry in order if entry.finding.urgency is not None]
    if reading.state == "not-read":
        return {"label": "not graded", "number": 0, "reasons": "Nothing was read, so nothing is said about urgency."}
    if order and not judged:
        return {"label": "not graded", "number": 0, "reasons": "The findings were not judged."}
    if not order:
        reasons = "No finding above threshold in what was read. This rules nothing out."
        return {"label": graded.level, "number": level_number(graded), "reasons": reasons}
    worst = min(judged, key=lambda entry: level_number(entry.finding.urgency)).finding
    assert worst.urgency is not None
    own = _applied(worst.urgency)
    reasons = f"Most urgent finding: {finding_type(worst.name).label}" + (f" ({own[0]})." if own else ".")
    return {"label": worst.urgency.level, "number": level_number(worst.urgency), "reasons": cut(reasons, 190)}


def _applied(graded: Graded | None) -> list[str]:
    """Reasons without their source; what could not be tried comes last."""
    reasons = [_SOURCE.sub("", reason) for reason in graded.reasons] if graded else []
    return sorted(reasons, key=lambda reason: reason.startswith("not applied"))


def _because(graded: Graded | None) -> list[str]:
    """Reasons of a confidence: the row of the table in its words, without its name, then the factors."""
    reasons = _applied(graded)
    return [reasons[0].partition(": ")[2] or reasons[0], *reasons[1:]] if reasons else []


def _leading_view(
    entry: Ranked, album: Album, facts: StudyFacts, narrative: Narrative | None, room: _Room
) -> dict[str, Any]:
    finding, series, where = entry.finding, entry.series, entry.finding.localisation
    status = where.status if where else "missing"
    notes = _notes(finding, narrative)
    place = full_place(finding, series, phrases("en"))
    # withheld: not even the slice that the map peaks on may be seen
    picture = None if status == "withheld" else picture_view(finding, series, album)
    if picture and status in ("failed", "missing"):
        picture = {**picture, "overlay": None}
    return {
        **_value(finding),
        "rank": entry.rank,
        "series": cut(f"{series.description} ({series.modality})", 26, SHORT_CUT),
        "urgency": finding.urgency.level if finding.urgency else "urgency not graded",
        "urgency_number": level_number(finding.urgency) if finding.urgency else 0,
        "level": finding.confidence.level if finding.confidence else "not judged",
        "change": CHANGES[finding.change] if finding.change else "",
        "prior_date": cut(day(facts.prior_study_date), 16, SHORT_CUT),
        "basis": finding.basis,
        "interval": _interval(finding),
        "place": whole_parts(place[:1].upper() + place[1:], room.place),
        "status": status,
        "reason": cut(_sentence(where.reason if where else ""), 200),
        "picture": picture,
        "legend": "" if picture is None else _legend(finding, where),
        "quality": _quality(finding, where, series),
        "confidence": _lines(_because(finding.confidence), room),
        "urgency_reasons": _lines(_applied(finding.urgency), room),
        "verify": first_of([cut(sign, room.line) for sign in notes.verify], room.notes) if notes else [],
        "mimics": first_of([cut(other, room.line) for other in notes.mimics], room.notes) if notes else [],
        "verify_line": in_one_line(notes.verify, room.place) if notes else "",
        "mimics_line": in_one_line(notes.mimics, room.line) if notes else "",
    }


def _interval(finding: Finding) -> str:
    """How well the calibrated probability is known."""
    if finding.probability is None:
        return _NOT_CALIBRATED
    if finding.interval is None:
        return _NO_INTERVAL
    return f"{phrases('en').interval(finding.interval)}: how well the cases it was calibrated on fix it."


def _lines(reasons: Sequence[str], room: _Room) -> list[str]:
    kept = [cut(reason, room.line if index else room.first, SHORT_CUT) for index, reason in enumerate(reasons)]
    return first_of(kept, room.reasons)


def _sentence(reason: str) -> str:
    text = reason.strip().rstrip(".") or "no reason was recorded"
    return f"{text[:1].upper()}{text[1:]}."


def _notes(finding: Finding, narrative: Narrative | None) -> FindingNotes | None:
    return next((note for note in narrative.notes if note.name == finding.name), None) if narrative else None


def _value(finding: Finding) -> dict[str, Any]:
    """Value and threshold; per cent only of what is calibrated."""
    label, calibrated = finding_type(finding.name).label, finding.probability is not None
    number = finding.score if finding.probability is None else finding.probability
    value, threshold = (_number(part, calibrated) for part in (number, finding.operating_point))
    kind = "calibrated probability" if calibrated else "score, not calibrated"
    short = value if calibrated else f"score {value}"
    words = f"{label}: {kind} {value}, threshold {threshold}"
    bar = value_bar(number, finding.operating_point, words, colours=PAPER)
    return {"label": label, "value": value, "short": short, "kind": kind, "threshold": threshold, "bar": bar}


def _number(value: float, calibrated: bool) -> str:
    return phrases("en").percent(value) if calibrated else f"{value:.2f}"


def _below(finding: Finding) -> str:
    value = _value(finding)
    return f"{value['label']} {value['short']} ({value['threshold']})"


def _other(entry: Ranked) -> dict[str, Any]:
    finding = entry.finding
    return {
        **_value(finding),
        "rank": entry.rank,
        "urgency": finding.urgency.level if finding.urgency else "not graded",
        "urgency_number": level_number(finding.urgency) if finding.urgency else 0,
        "level": finding.confidence.level if finding.confidence else "not judged",
        "place": cut(short_place(finding, entry.series, phrases("en")), 36, SHORT_CUT),
    }


def _legend(finding: Finding, where: Localisation | None) -> str:
    """The overlay's legend in words that can be read at any size."""
    heatmap = finding.heatmap
    if where is None or where.status == "failed":
        return "No overlay: there is no explanation to draw."
    if where.status == "empty":
        return f"Nothing is drawn: the map stays under {heatmap.floor * heatmap.display_scale:.1f} logits everywhere."
    rows, columns = heatmap.grid
    return (
        f"Colour: model attention from {heatmap.floor * heatmap.display_scale:.1f} to "
        f"{heatmap.display_scale:.1f} logits, same scale for all studies; line at {where.contour_level:.1f}; "
        f"map of {rows} × {columns} cells."
    )


def _quality(finding: Finding, where: Localisation | None, series: SeriesReading) -> list[tuple[str, str]]:
    """Figures on how good the explanation is."""
    check = series.completeness
    figures = f"{check.largest_difference:.1g} logits, limit {check.tolerance:.0e}"
    if check.pooling == "gradient":
        figures += " (first order, no sum)"
    stable = "not measured" if finding.stability is None else f"{finding.stability:.2f} of 1"
    rows = [("Completeness difference", figures), ("Stability", stable)]
    if where is not None and where.status == "located" and where.regions:
        count = len(where.regions)
        focality = f"{where.focality}, {count} {'focus' if count == 1 else 'foci'}"
        share = f"{100 * where.regions[0].share:.0f} % of the map"
        rows += [("Focality", focality), ("Largest focus", share)]
    elif where is not None and where.status == "withheld":
        rows.append(("Focality", "withheld"))
    else:
        empty = where is not None and where.status == "empty"
        rows.append(("Focality", "no focus" if empty else "unknown, there is no explanation"))
    return rows


def _unread(reading: Reading) -> list[str]:
    lines = []
    for series in reading.unread:
        reasons = list(dict.fromkeys(refusal.reason.rstrip(".") for refusal in series.refusals))
        images = "one image" if series.frames == 1 else f"{series.frames} images"
        lines.append(f"{series.description} ({series.modality}, {images}): {'; '.join(reasons) or 'no engine took it'}")
    for problem in reading.problems:
        named = problem.source or problem.sop_instance_uid or problem.series_instance_uid
        lines.append(f"{named}: {problem.reason}" if named else problem.reason)
    return [cut(line, _FULL_LINE) for line in lines]


def _limits(reading: Reading, limits: Mapping[str, Sequence[str]]) -> list[str]:
    """Each engine's limits; the engine is named where there are several."""
    labels = list(dict.fromkeys(series.engine.label for series in reading.series))
    lines = []
    for label in labels:
        named = f"{label}: " if len(labels) > 1 else ""
        given = limits.get(label, ()) or ("no limits are recorded for this engine, which is a limit itself",)
        lines += [cut(f"{named}{limit[:1].upper()}{limit[1:]}", _FULL_LINE) for limit in given]
    return lines


def _engines(reading: Reading) -> list[str]:
    engines = dict.fromkeys(series.engine for series in reading.series)
    return [f"{engine.label} sha256 {engine.digest}" for engine in engines]


def _checks(reading: Reading) -> list[str]:
    """What the completeness check says: of every series that failed it, or else once for all."""
    checks = [series.completeness for series in reading.series]
    failed = [check for check in checks if not check.holds]
    if not failed:
        return [completeness_words(max(checks, key=lambda check: check.largest_difference))] if checks else []
    return [cut(f"{len(failed)} of {len(checks)} series: {completeness_words(failed[0])}", _FULL_LINE)]
