"""In which order findings are told: most urgent first, then the surer one, and which heatmaps open by themselves."""

from __future__ import annotations

from dataclasses import dataclass

from radiolucent.findings.reading import Finding, Reading, SeriesReading
from radiolucent.findings.urgency import level_number

MOST_OPEN_HEATMAPS = 2
"""At most this many heatmaps open by default where several findings compete (a second one only if it is urgent)."""
GENERIC = frozenset({"any-haemorrhage", "lung-opacity", "lung-lesion"})
"""Umbrella findings: told after the specific one that they contain, at the same urgency."""

_CONFIDENCE = {"high": 0, "moderate": 1, "low": 2}


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """A positive finding with its series and its place in the report, from 1."""

    rank: int
    finding: Finding
    series: SeriesReading


def ranked(reading: Reading) -> tuple[Ranked, ...]:
    """All findings at or above their operating point, most critical first.

    Order: urgency level, specific before umbrella findings, confidence, probability (or score), then as read.
    """
    pairs = [(finding, series) for series in reading.series for finding in series.positives]
    pairs.sort(key=lambda pair: _order(pair[0]))
    return tuple(
        Ranked(rank=rank, finding=finding, series=series) for rank, (finding, series) in enumerate(pairs, start=1)
    )


def open_heatmaps(reading: Reading) -> tuple[Ranked, ...]:
    """The findings whose heatmap a page shows first: the first located one, and a second if it is critical or urgent.

    A reading without urgency (not judged yet) opens the first located one.
    """
    located = [
        entry
        for entry in ranked(reading)
        if entry.finding.localisation is not None and entry.finding.localisation.status == "located"
    ]
    further = [entry for entry in located[1:] if level_number(entry.finding.urgency) <= 2]
    return (*located[:1], *further)[:MOST_OPEN_HEATMAPS]


def _order(finding: Finding) -> tuple[int, bool, int, float]:
    confidence = _CONFIDENCE.get(finding.confidence.level, 3) if finding.confidence else 3
    likely = finding.score if finding.probability is None else finding.probability
    return level_number(finding.urgency), finding.name in GENERIC, confidence, -likely
