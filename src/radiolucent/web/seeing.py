"""What one visitor may see of one study's reading: text, findings, maps; and what a refusal says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from radiolucent.audit.events import HeatmapSent
from radiolucent.findings.hierarchy import Ranked, open_heatmaps, ranked
from radiolucent.findings.reading import EngineRef, Finding, Reading, SeriesReading
from radiolucent.findings.urgency import level_number
from radiolucent.results.reading_json import evidence_digest
from radiolucent.store.audit import AuditTrail
from radiolucent.store.room import Decision, Room
from radiolucent.store.site import Site
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import Gate, Premises, Refused, Visitor, deny, gate
from radiolucent.web.adapting import Adapting
from radiolucent.web.sources import OpenStudy, Summary

HELD: Final = {
    "look_first": "Look at the images first: this site asks for it.",
    "own_reading_first": "This study is read without the AI first: say what you see, then it is shown.",
}
"""Why nothing of the AI is told yet, and what to do."""


@dataclass(frozen=True, kw_only=True)
class Shown:
    """One positive finding as this reader may see it; `heat` is empty where its map is, else the code why not."""

    entry: Ranked
    heat: str
    number: int
    opens: bool

    @property
    def finding(self) -> Finding:
        """The finding."""
        return self.entry.finding

    @property
    def series(self) -> SeriesReading:
        """Its series."""
        return self.entry.series

    @property
    def level(self) -> int:
        """Urgency, 1 to 5."""
        return level_number(self.finding.urgency)


def limited(reading: Reading | None, seen: Gate) -> Reading | None:
    """The reading without the series whose engine's text this visitor may not see; None where nothing is left."""
    if reading is None or seen.stopped:
        return None
    series = tuple(one for one in reading.series if seen.allows("text", one.engine))
    if reading.series and not series:
        return None
    return replace(reading, series=series)


def visible(decisions: Sequence[Decision], seen: Gate) -> list[Decision]:
    """The decisions on results that this visitor may see."""
    kept = []
    for one in decisions:
        name, _, version = one.engine.partition("@")
        if seen.allows("text", EngineRef(name=name, version=version, digest="")):
            kept.append(one)
    return kept


def shown(reading: Reading, seen: Gate) -> list[Shown]:
    """The positive findings in the order of the report."""
    opens = {(one.series.key, one.finding.name) for one in open_heatmaps(reading)}
    return [
        Shown(
            entry=entry,
            heat=_heat_code(entry.finding, seen.verdict("heat", entry.series.engine, entry.finding.name).code),
            number=number,
            opens=(entry.series.key, entry.finding.name) in opens,
        )
        for number, entry in enumerate(ranked(reading), start=1)
    ]


def _heat_code(finding: Finding, code: str) -> str:
    where = finding.localisation
    if code or where is None:
        return code or "failed"
    return {"located": "", "empty": ""}.get(where.status, where.status)


def held_back(here: Premises, who: Visitor, work: Work, summary: Summary) -> str:
    """Why this reader isn't told of the AI's result yet (a key of `HELD`), or empty."""
    uid = summary.study_instance_uid
    if Site(work).setting("read_first") == "forced" and not Room(work).has_looked(uid, who.name):
        return "look_first"
    return "own_reading_first" if Adapting(here, who, work).of(summary).withheld else ""


def shows_map(finding: Finding) -> bool:
    """Whether the finding has a map that is shown at all: it is above its threshold and its explanation holds."""
    return finding.positive and not _heat_code(finding, "")


def may_draw(
    here: Premises, who: Visitor, opened: OpenStudy, series: str, finding: str
) -> tuple[Finding, SeriesReading]:
    """A finding whose map this visitor may have, and its series. Or `Refused`."""
    uid = opened.summary.study_instance_uid
    with here.store.begin() as work:
        seen, held = gate(here, who, work), held_back(here, who, work, opened.summary)
    candidates = [
        (found, one)
        for one in (opened.summary.reading.series if opened.summary.reading else ())
        for found in one.findings
        if found.name == finding and series in ("", one.key)
    ]
    if not candidates:
        raise Refused(404, "not_found")
    found, read = max(candidates, key=lambda pair: pair[0].positive)
    code = seen.verdict("heat", read.engine, found.name).code
    if code:
        deny(here, who, "heat", code, study=uid)
    if held:
        raise Refused(403, held, HELD[held])
    if not shows_map(found):
        raise Refused(404, "no_heatmap", "There is no heatmap of a finding below its threshold.")
    return found, read


def drawable(
    here: Premises, who: Visitor, opened: OpenStudy, series: str, finding: str, *, form: str, frame: int = -1
) -> tuple[Finding, SeriesReading]:
    """As `may_draw`; that it was sent is in the trail."""
    found, read = may_draw(here, who, opened, series, finding)
    note_sent(here, who, opened, found, read, sha256=evidence_digest(found.heatmap.evidence), form=form, frame=frame)
    return found, read


def note_sent(
    here: Premises,
    who: Visitor,
    opened: OpenStudy,
    found: Finding,
    read: SeriesReading,
    *,
    sha256: str,
    form: str,
    frame: int = -1,
) -> None:
    """Write down that a map is sent: by its digest, scale and floor it can be drawn again."""
    uid = opened.summary.study_instance_uid
    with here.store.begin() as work:
        Room(work).overlay_opened(uid, who.name)
        AuditTrail(work).append(
            who.signs(
                HeatmapSent,
                at=here.clock(),
                study=uid,
                finding=found.name,
                series=read.key,
                sha256=sha256,
                display_scale=found.heatmap.display_scale,
                floor=found.heatmap.floor,
                form=form,
                frame=frame,
            )
        )


def opened_study(here: Premises, uid: str) -> OpenStudy:
    """The study, or `Refused`."""
    opened = here.source.open(uid)
    if opened is None:
        raise Refused(404, "not_found")
    return opened
