"""More detail for who trusts little: what else was considered, similar accepted findings, known failures."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from radiolucent.findings.reading import Finding, SeriesReading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.store.room import Decision, Room
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import Gate, Premises
from radiolucent.web.pages import number, threshold
from radiolucent.web.sources import Summary

MOST: Final = 3
LOOKED_AT: Final = 50
"""So many of the latest accepted findings are compared."""
DAYS: Final = 365


@dataclass(frozen=True, kw_only=True)
class Similar:
    """An accepted finding of another study, and in which way it is alike."""

    study_instance_uid: str
    study_date: str
    reader: str
    words: str
    distance: float


@dataclass(frozen=True, kw_only=True)
class Detail:
    """What a reader's rules add to one finding; `similar` is None where it isn't asked for."""

    considered: tuple[tuple[str, str, str], ...] = ()
    mimics: tuple[str, ...] = ()
    similar: tuple[Similar, ...] | None = None
    failures: tuple[str, ...] = ()


def considered(finding: Finding, series: SeriesReading) -> list[tuple[str, str, str]]:
    """The engine's next candidates on the same series: label, score or probability, threshold; likeliest first."""
    others = [one for one in series.findings if one.name != finding.name]
    others.sort(key=lambda one: one.score if one.probability is None else one.probability, reverse=True)
    return [(finding_type(one.name).label, number(one), threshold(one)) for one in others[:MOST]]


def decisions_on(here: Premises, work: Work, finding: Finding, series: SeriesReading) -> list[Decision]:
    """What readers here decided on this finding by this engine, any version, within a year; oldest first."""
    made = Room(work).decisions_since(here.clock() - timedelta(days=DAYS))
    return [one for one in made if one.finding == finding.name and _engine(one) == series.engine.name]


def failures(here: Premises, series: SeriesReading, made: Sequence[Decision], reasons: dict[str, str]) -> list[str]:
    """The limits on the engine's card, and why this finding of it was rejected here, with counts."""
    told = list(here.limits.get(series.engine.label, ()))
    rejected = [one for one in made if one.outcome == "reject"]
    if made:
        counts = Counter(one.reason for one in rejected).most_common()
        why = ", ".join(f"{count} × {reasons.get(reason, reason)}" for reason, count in counts)
        told.append(f"rejected here: {len(rejected)} of {len(made)} decisions{': ' + why if why else ''}")
    else:
        told.append("no decision on this finding here yet")
    return told


def similar(
    here: Premises, seen: Gate, summary: Summary, finding: Finding, series: SeriesReading, made: Sequence[Decision]
) -> list[Similar]:
    """Accepted findings of other studies that are nearest in score, size and side.

    Only the numbers of the readings are compared, not the images; "similar" says no more than that.
    """
    found: dict[str, Similar] = {}
    accepted = [one for one in made if one.outcome == "accept" and one.study_instance_uid != summary.study_instance_uid]
    for one in reversed(accepted[-LOOKED_AT:]):
        other = here.source.summary(one.study_instance_uid)
        reading = other.reading if other else None
        if other is None or reading is None or one.study_instance_uid in found:
            continue
        for candidate in reading.series:
            old = next((entry for entry in candidate.findings if entry.name == finding.name), None)
            if old is not None and old.positive and seen.allows("text", candidate.engine):
                found[one.study_instance_uid] = _alike(other, one, finding, old)
    return sorted(found.values(), key=lambda one: one.distance)[:MOST]


def _alike(other: Summary, decision: Decision, finding: Finding, old: Finding) -> Similar:
    sizes = _size(finding), _size(old)
    apart = abs(finding.logit - old.logit) / 4
    words = [f"{number(old)}, threshold {threshold(old)}"]
    if sizes[0] and sizes[1]:
        apart += abs(math.log(sizes[1] / sizes[0]))
        words.append(f"{sizes[1] / sizes[0]:.1f} × the size")
    sides = [where.laterality if (where := one.localisation) else "" for one in (finding, old)]
    if sides[0] and sides[1]:
        apart += 0.0 if sides[0] == sides[1] else 0.5
        words.append("same side" if sides[0] == sides[1] else "other side")
    return Similar(
        study_instance_uid=other.study_instance_uid,
        study_date=other.study_date,
        reader=decision.reader,
        words=", ".join(words),
        distance=apart,
    )


def _size(finding: Finding) -> float:
    """Pixels of all regions; 0 where there is none."""
    return sum(region.area_pixels for region in finding.localisation.regions) if finding.localisation else 0.0


def _engine(decision: Decision) -> str:
    return decision.engine.partition("@")[0]
