"""Which findings alert, in which tier, in which words; when a message may go out and when it is escalated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from string import Formatter
from typing import Literal

from pydantic import Field, model_validator

from radiolucent.findings.confidence import review_reason
from radiolucent.findings.hierarchy import Ranked, ranked
from radiolucent.findings.location import short_place
from radiolucent.findings.phrases import Phrases, phrases
from radiolucent.findings.reading import Finding, Reading
from radiolucent.findings.tables import InvalidTable, SourceKey, TableModel, read_table
from radiolucent.findings.urgency import level_number

Tier = Literal["A", "B", "C"]
FIELDS = frozenset({"urgency", "finding", "claim", "place", "confidence", "why", "verify", "mimics", "review"})


class Message(TableModel):
    """Subject and text; the fields in braces are those of `FIELDS`."""

    subject: str
    message: str

    @model_validator(mode="after")
    def _fields_are_known(self) -> Message:
        try:
            used = {name for text in (self.subject, self.message) for _, name, _, _ in Formatter().parse(text) if name}
        except ValueError as error:
            raise ValueError(f"braces in {self.subject!r}: {error}") from None
        if used - FIELDS:
            raise ValueError(f"unknown field {sorted(used - FIELDS)[0]!r}; use some of {', '.join(sorted(FIELDS))}")
        if "{verify}" not in self.message:
            raise ValueError("a message must say what to verify")
        return self


class AlertTable(TableModel):
    """Tiers, words and limits."""

    version: str
    least_urgent_level: Literal[1, 2, 3, 4]
    source: SourceKey
    per_hour: int = Field(gt=0)
    escalate_after_minutes: dict[int, int]
    tiers: dict[Tier, str]
    en: dict[Tier, Message]
    de: dict[Tier, Message]

    @model_validator(mode="after")
    def _every_tier_has_words(self) -> AlertTable:
        for what, given in (("tiers", self.tiers), ("en", self.en), ("de", self.de)):
            if set(given) != {"A", "B", "C"}:
                raise ValueError(f"{what}: must hold A, B and C")
        if set(self.escalate_after_minutes) != set(range(1, self.least_urgent_level + 1)):
            raise ValueError("escalate_after_minutes: one entry for each level that alerts")
        return self


@dataclass(frozen=True, kw_only=True)
class Alert:
    """One message about one finding; no patient identity in it. `engine` is the label of who found it."""

    tier: Tier
    level: int
    study_instance_uid: str
    finding: str
    language: str
    subject: str
    message: str
    disclaimer: str
    table_version: str
    engine: str = ""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What happened to an alert: sent, acknowledged, escalated (aware datetimes; None: not yet)."""

    level: int
    sent_at: datetime
    acknowledged_at: datetime | None = None
    escalated_at: datetime | None = None


@cache
def default_alerts() -> AlertTable:
    """The packaged table."""
    return read_table("alerts", AlertTable)


def site_alerts(path: Path) -> AlertTable:
    """A site's own table.

    Raises
    ------
    InvalidTable
        If a tier has no words, a field in braces is unknown, or a message doesn't say what to verify.
    """
    return read_table("alerts", AlertTable, path=path)


def tier(finding: Finding, table: AlertTable) -> Tier | None:
    """C where the result disagrees with itself, A where it is focal and high, else B; None where it doesn't alert."""
    if not finding.positive or level_number(finding.urgency) > table.least_urgent_level:
        return None
    if review_reason(finding.confidence):
        return "C"
    focal = finding.localisation is not None and finding.localisation.focality == "focal"
    high = finding.confidence is not None and finding.confidence.level == "high"
    return "A" if focal and high else "B"


def alerts(
    reading: Reading, *, language: str = "en", table: AlertTable | None = None, words: Phrases | None = None
) -> tuple[Alert, ...]:
    """The alerts of a judged reading, most critical finding first.

    Raises
    ------
    InvalidTable
        If there is no such language.
    """
    table, words = table or default_alerts(), words or phrases(language)
    texts = {"en": table.en, "de": table.de}.get(language)
    if texts is None:
        raise InvalidTable(f"no alert texts in {language!r}; use en or de", table=table.version)
    found = []
    for entry in ranked(reading):
        kind = tier(entry.finding, table)
        if kind:
            values = _values(entry, words)
            found.append(
                Alert(
                    tier=kind,
                    level=level_number(entry.finding.urgency),
                    study_instance_uid=reading.study_instance_uid,
                    finding=entry.finding.name,
                    language=language,
                    subject=texts[kind].subject.format(**values),
                    message=texts[kind].message.format(**values),
                    disclaimer=words.disclaimer,
                    table_version=table.version,
                    engine=entry.series.engine.label,
                )
            )
    return tuple(found)


def may_send(now: datetime, sent: Sequence[Sent], table: AlertTable) -> bool:
    """Whether a channel may carry one more message now. One that may not is kept and goes out later, never dropped."""
    return sum(now - timedelta(hours=1) < entry.sent_at <= now for entry in sent) < table.per_hour


def must_escalate(now: datetime, entry: Sent, table: AlertTable) -> bool:
    """Whether an alert is due for its only escalation: nobody acknowledged it in time."""
    minutes = table.escalate_after_minutes.get(entry.level)
    waiting = entry.acknowledged_at is None and entry.escalated_at is None
    return waiting and minutes is not None and now - entry.sent_at >= timedelta(minutes=minutes)


def _values(entry: Ranked, words: Phrases) -> dict[str, str]:
    finding = entry.finding
    level = level_number(finding.urgency)
    review = review_reason(finding.confidence)
    row, _, own = finding.confidence.reasons[0].partition(": ") if finding.confidence else ("", "", "")
    why = words.confidence_rows.get(row, own)
    values = {
        "urgency": f"{level} {words.urgency[str(level)]}",
        "finding": words.name(finding.name),
        "claim": words.claim(finding.name, finding.probability),
        "place": short_place(finding, entry.series, words),
        "confidence": words.confidence[finding.confidence.level] if finding.confidence else words.side["unknown"],
        "why": why,
        "verify": "; ".join(words.verify.get(finding.name, ())),
        "mimics": "; ".join(words.mimics.get(finding.name, ())),
        "review": words.review.get(review, why),
    }
    for name in ("claim", "place", "urgency"):
        values[name] = values[name][:1].upper() + values[name][1:]
    return values
