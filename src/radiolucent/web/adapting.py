"""What a reader's own record changes for this reader: the rules that apply, and whether the AI comes afterwards."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Final

from radiolucent.audit.reading_events import AdaptationApplied
from radiolucent.findings.reading import Reading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.findings.urgency import level_number
from radiolucent.rollout.trust import (
    WORDS,
    Effect,
    Record,
    TrustRule,
    TrustTable,
    applying,
    default_trust,
    drawn,
    parse_trust,
    record_of,
)
from radiolucent.store.adaptation import Adaptations, Adapted
from radiolucent.store.audit import AuditTrail
from radiolucent.store.room import Decision, Room
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import Premises, Visitor
from radiolucent.web.sources import Summary

DECIDERS: Final = ("radiologist", "lead", "admin")
"""Who decides in clinical work has a record; the validation role sees everything as it is."""
URGENT: Final = 2
"""Levels up to this one are never withheld."""


@dataclass(frozen=True, kw_only=True)
class Adaptation:
    """What the rules do for one reader and one reading, with the figures that they apply for.

    `withheld` is True while the AI waits for the reader's own reading, which `kept` then holds.
    """

    rules: tuple[TrustRule, ...]
    record: Record
    withheld: bool = False
    kept: Adapted | None = None

    def has(self, effect: Effect) -> bool:
        """Whether any rule has this effect."""
        return any(effect in rule.effects for rule in self.rules)

    @property
    def effects(self) -> list[str]:
        """Every effect in words, once."""
        return [WORDS[one] for one in dict.fromkeys(effect for rule in self.rules for effect in rule.effects)]


NOTHING: Final = Adaptation(rules=(), record=record_of(()))


class Adapting:
    """The rules for one visitor, as one transaction sees them."""

    def __init__(self, here: Premises, who: Visitor, work: Work) -> None:
        self._here, self._who, self._work = here, who, work

    @cached_property
    def table(self) -> TrustTable:
        """The site's rules, or the packaged ones."""
        text = Adaptations(self._work).rules()
        return parse_trust(text) if text else default_trust()

    @cached_property
    def _kept(self) -> dict[tuple[str, str], Adapted]:
        return Adaptations(self._work).of_reader(self._who.name)

    @cached_property
    def _decisions(self) -> list[Decision]:
        since = self._here.clock() - timedelta(days=self.table.days)
        return [one for one in Room(self._work).decisions_since(since) if one.reader == self._who.name]

    def record(self, engines: Iterable[str]) -> Record:
        """The visitor's own latest decisions on what these engines (by name) said."""
        names = set(engines)
        mine = [one for one in self._decisions if one.engine.partition("@")[0] in names]
        return record_of([(one.outcome, one.trust) for one in mine[-self.table.decisions :]])

    def withholds(self, study: str, digest: str, engines: Iterable[str], *, urgent: bool) -> bool:
        """Whether the AI of this reading waits for the visitor's own reading.

        What was so at the first opening stays so; before it the rules and the draw say it, each time alike.
        """
        kept = self._kept.get((study, digest))
        if urgent or self._who.role not in DECIDERS or not digest:
            return False
        if kept is not None:
            return kept.withheld and kept.revealed_at is None
        if any(one.study_instance_uid == study and one.reading_digest == digest for one in self._decisions):
            return False
        rules = applying(self.record(engines), self.table)
        return any(drawn(rule, study=study, reader=self._who.name, digest=digest) for rule in rules)

    def hides(self, study: str, engines: Iterable[str]) -> bool:
        """Whether a list must not tell of this study's AI either; reads it only where a rule may withhold."""
        if self._who.role not in DECIDERS:
            return False
        waits = any(one.withheld and one.revealed_at is None for (uid, _), one in self._kept.items() if uid == study)
        rules = applying(self.record(engines), self.table)
        if not waits and not any("withhold" in rule.effects for rule in rules):
            return False
        summary = self._here.source.summary(study)
        return summary is not None and self.of(summary).withheld

    def of(self, summary: Summary) -> Adaptation:
        """What holds now for one study."""
        reading = summary.reading
        if reading is None or not reading.series or self._who.role not in DECIDERS:
            return NOTHING
        engines = engine_names(reading)
        record = self.record(engines)
        uid = summary.study_instance_uid
        return Adaptation(
            rules=applying(record, self.table),
            record=record,
            withheld=self.withholds(uid, summary.digest, engines, urgent=is_urgent(reading)),
            kept=self._kept.get((uid, summary.digest)),
        )

    def opened(self, summary: Summary) -> Adaptation:
        """As `of`; the first time it is kept, and written into the trail where a rule applies."""
        found, now = self.of(summary), self._here.clock()
        if found is NOTHING or found.kept is not None:
            return found
        names = " ".join(rule.name for rule in found.rules)
        Adaptations(self._work).keep(
            Adapted(
                study_instance_uid=summary.study_instance_uid,
                reader=self._who.name,
                reading_digest=summary.digest,
                rules=names,
                figures=found.record.words,
                withheld=found.withheld,
                at=now,
            )
        )
        if found.rules:
            AuditTrail(self._work).append(
                self._who.signs(
                    AdaptationApplied,
                    at=now,
                    study=summary.study_instance_uid,
                    rules=names,
                    figures=found.record.words,
                    withheld=found.withheld,
                    digest=summary.digest,
                )
            )
        return found


def engine_names(reading: Reading) -> list[str]:
    """The engines that read it, by name."""
    return list(dict.fromkeys(series.engine.name for series in reading.series))


def is_urgent(reading: Reading) -> bool:
    """Whether anything in it is critical or urgent: such a reading is never withheld."""
    return any(
        level_number(finding.urgency) <= URGENT or finding_type(finding.name).critical
        for finding in reading.findings
        if finding.positive
    )
