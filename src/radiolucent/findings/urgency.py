"""How urgent a finding is: five levels from a table of base levels and of what raises or lowers them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from radiolucent.findings.reading import Finding, Graded, Reading
from radiolucent.findings.tables import InvalidTable, SourceKey, TableModel, read_table
from radiolucent.findings.taxonomy import FINDINGS

NONE_ABOVE_THRESHOLD = 5

Level = Literal[1, 2, 3, 4, 5]
PositiveLevel = Literal[1, 2, 3, 4]
Fact = Literal["probability", "size_mm", "volume_ml", "midline_shift_mm", "age_years"]
Change = Literal["new", "larger", "smaller", "unchanged", "resolved", "not-compared"]

_UNITS: dict[str, str] = {
    "probability": "",
    "size_mm": " mm",
    "volume_ml": " ml",
    "midline_shift_mm": " mm",
    "age_years": " years",
}
_WORDS: dict[str, str] = {
    "probability": "calibrated probability",
    "size_mm": "extent of the evidence",
    "volume_ml": "volume of the evidence",
    "midline_shift_mm": "midline shift",
    "age_years": "age",
}


class Rule(TableModel):
    """One modifier: all its conditions must hold. It raises on "at least" and lowers on "below", never the reverse."""

    at_least: dict[Fact, float] = Field(default_factory=dict)
    below: dict[Fact, float] = Field(default_factory=dict)
    change: tuple[Change, ...] = ()
    together_with: tuple[str, ...] = ()
    raise_to: PositiveLevel | None = None
    lower_to: PositiveLevel | None = None
    lower_by: Literal[1] | None = None
    keep: tuple[Level, ...] = ()
    why: str
    source: SourceKey

    @model_validator(mode="after")
    def _more_severe_is_never_less_urgent(self) -> Rule:
        given = [self.raise_to, self.lower_to, self.lower_by]
        if sum(value is not None for value in given) != 1:
            raise ValueError(f"rule {self.why!r}: give one of raise_to, lower_to and lower_by")
        if self.raise_to is not None and self.below:
            raise ValueError(f"rule {self.why!r}: a rule that raises can't ask for less of something")
        if self.raise_to is None and (self.at_least or self.together_with):
            raise ValueError(f"rule {self.why!r}: a rule that lowers can't ask for more of something")
        if not (self.at_least or self.below or self.change or self.together_with):
            raise ValueError(f"rule {self.why!r}: it has no condition")
        unknown = [name for name in self.together_with if name not in FINDINGS]
        if unknown:
            raise ValueError(f"rule {self.why!r}: {unknown[0]!r} is no finding of the taxonomy")
        return self


class FindingRules(TableModel):
    """Base level of one positive finding, and its modifiers."""

    name: str
    base: PositiveLevel
    why: str
    source: SourceKey
    rules: tuple[Rule, ...] = ()


class LevelRow(TableModel):
    """One level. After `next_level_after_minutes` a waiting study is ordered like the next one up; 0: never."""

    number: Level
    name: str
    meaning: str
    source: SourceKey
    next_level_after_minutes: int = Field(default=0, ge=0)


class UrgencyTable(TableModel):
    """All levels and rules. `findings` holds exactly one entry for every finding of the taxonomy."""

    version: str
    levels: tuple[LevelRow, ...]
    general: tuple[Rule, ...] = ()
    findings: tuple[FindingRules, ...]

    @model_validator(mode="after")
    def _complete(self) -> UrgencyTable:
        if [row.number for row in self.levels] != [1, 2, 3, 4, 5]:
            raise ValueError("levels must be 1 to 5, in order")
        if any("normal" in row.name.lower() for row in self.levels):
            raise ValueError("a level may not be called normal: nothing here can say so")
        names = [entry.name for entry in self.findings]
        doubled = {name for name in names if names.count(name) > 1}
        unknown, missing = set(names) - set(FINDINGS), set(FINDINGS) - set(names)
        for fault, what in ((doubled, "listed twice"), (unknown, "not in the taxonomy"), (missing, "without a row")):
            if fault:
                raise ValueError(f"findings {what}: {', '.join(sorted(fault))}")
        return self

    def of(self, name: str) -> FindingRules:
        """The entry of a finding.

        Raises
        ------
        InvalidTable
            If the table has none.
        """
        for entry in self.findings:
            if entry.name == name:
                return entry
        raise InvalidTable(f"no urgency rule for finding {name!r}; add a row", table=self.version)

    def label(self, number: int) -> str:
        """Number and word, as people see it: ``1 critical``."""
        return f"{number} {self.levels[number - 1].name}"


@dataclass(frozen=True, kw_only=True)
class UrgencyContext:
    """What is known beside the finding itself. None means unknown: a rule that asks for it does not apply.

    Parameters
    ----------
    size_mm : largest extent of one region of evidence.
    volume_ml : of all regions of evidence together.
    midline_shift_mm : where something measured it.
    change : against the prior reading.
    together_with : names of the other positive findings of the study.
    """

    size_mm: float | None = None
    volume_ml: float | None = None
    midline_shift_mm: float | None = None
    age_years: float | None = None
    change: Change | None = None
    together_with: frozenset[str] = frozenset()


@cache
def default_urgency() -> UrgencyTable:
    """The packaged table."""
    return read_table("urgency", UrgencyTable)


def site_urgency(path: Path) -> UrgencyTable:
    """A site's own table in place of the packaged one.

    Raises
    ------
    InvalidTable
        If it is incomplete or a rule would make something more severe less urgent.
    """
    return read_table("urgency", UrgencyTable, path=path)


def grade_urgency(finding: Finding, context: UrgencyContext, table: UrgencyTable) -> Graded:
    """Level of one finding with the path that led to it.

    Returns
    -------
    Graded
        `level` is number and word (``1 critical``); `level_number` gives the number back.

    Raises
    ------
    InvalidTable
        If the table has no row for the finding.
    """
    entry = table.of(finding.name)
    if not finding.positive:
        reason = "below its operating point"
        return Graded(level=table.label(NONE_ABOVE_THRESHOLD), reasons=(reason,), table_version=table.version)
    level: int = entry.base
    reasons = [f"base {table.label(level)}: {entry.why} [{entry.source}]"]
    matched: list[Rule] = []
    for rule in (*entry.rules, *table.general):
        unknown = _unknown_facts(rule, finding, context)
        if unknown:
            reasons.append(f"not applied ({rule.why}): {' and '.join(unknown)} unknown")
        elif _holds(rule, finding, context):
            matched.append(rule)
    for rule in sorted(matched, key=_lower_to_then_by_then_raise):
        after = _apply(rule, level)
        step = f"{table.label(level)} → {table.label(after)}" if after != level else f"stays {table.label(level)}"
        reasons.append(f"{step}: {rule.why}{_numbers(rule, finding, context)} [{rule.source}]")
        level = after
    return Graded(level=table.label(level), reasons=tuple(reasons), table_version=table.version)


def level_number(graded: Graded | None) -> int:
    """Number of an urgency level; 5 where the finding was not graded.

    >>> level_number(Graded(level="2 urgent", reasons=(), table_version="1"))
    2
    """
    return NONE_ABOVE_THRESHOLD if graded is None else int(graded.level.split(" ", 1)[0])


def study_urgency(reading: Reading, table: UrgencyTable) -> Graded:
    """The most urgent level of all findings, and which findings stand at it."""
    graded = [finding for finding in reading.findings if finding.urgency is not None]
    worst = min((level_number(finding.urgency) for finding in graded), default=NONE_ABOVE_THRESHOLD)
    names = [finding.name for finding in graded if finding.positive and level_number(finding.urgency) == worst]
    if names:
        reason = f"worst finding: {', '.join(dict.fromkeys(names))}"
    else:
        reason = "nothing was read" if reading.state == "not-read" else "no finding above threshold"
    return Graded(level=table.label(worst), reasons=(reason,), table_version=table.version)


def effective_level(level: int, waited_minutes: float, table: UrgencyTable) -> int:
    """Level at which a waiting study is ordered: it climbs one level at a time and never to 1 by waiting alone.

    >>> table = default_urgency()
    >>> effective_level(4, 0, table), effective_level(4, 16 * 60, table), effective_level(4, 24 * 60, table)
    (4, 3, 2)

    Raises
    ------
    ValueError
        If the level isn't 1 to 5 or the waiting time is negative.
    """
    if level not in range(1, 6) or waited_minutes < 0:
        raise ValueError(f"level must be 1 to 5 and waiting not negative, not {level} and {waited_minutes}")
    left = waited_minutes
    while level > 1:
        needed = table.levels[level - 1].next_level_after_minutes
        if needed == 0 or left < needed or level == 2:
            break
        left -= needed
        level -= 1
    return level


def diff(default: UrgencyTable, site: UrgencyTable) -> tuple[str, ...]:
    """What a site changed, one line each; empty where both tables say the same."""
    lines: list[str] = []
    for before, after in zip(default.levels, site.levels, strict=True):
        if before != after:
            lines.append(f"level {before.number}: {_changed(before, after)}")
    lines += _rule_lines("every finding", default.general, site.general)
    for entry in default.findings:
        other = site.of(entry.name)
        if entry.base != other.base:
            lines.append(f"{entry.name}: base {default.label(entry.base)} → {site.label(other.base)}")
        lines += _rule_lines(entry.name, entry.rules, other.rules)
    return tuple(lines)


def _rule_lines(name: str, before: Iterable[Rule], after: Iterable[Rule]) -> list[str]:
    old, new = list(before), list(after)
    gone = [f"{name}: without '{rule.why}'" for rule in old if rule not in new]
    return gone + [f"{name}: with '{rule.why}'" for rule in new if rule not in old]


def _changed(before: TableModel, after: TableModel) -> str:
    old, new = before.model_dump(), after.model_dump()
    return ", ".join(f"{key} {old[key]!r} → {new[key]!r}" for key in old if old[key] != new[key])


def _fact(name: str, finding: Finding, context: UrgencyContext) -> float | None:
    if name == "probability":
        return finding.probability
    value: float | None = getattr(context, name)
    return value


def _unknown_facts(rule: Rule, finding: Finding, context: UrgencyContext) -> list[str]:
    """Words for what a rule would need; empty where a known condition already fails (then nothing is missing)."""
    if rule.change and context.change not in rule.change:
        return []
    facts = [*rule.at_least, *rule.below]
    known = {name: value for name in facts if (value := _fact(name, finding, context)) is not None}
    if any(value < rule.at_least[name] for name, value in known.items() if name in rule.at_least):
        return []
    if any(value >= rule.below[name] for name, value in known.items() if name in rule.below):
        return []
    return [_WORDS[name] for name in facts if name not in known]


def _holds(rule: Rule, finding: Finding, context: UrgencyContext) -> bool:
    if rule.change and context.change not in rule.change:
        return False
    if rule.together_with and not context.together_with.intersection(rule.together_with):
        return False
    for name, limit in rule.at_least.items():
        value = _fact(name, finding, context)
        if value is None or value < limit:
            return False
    for name, limit in rule.below.items():
        value = _fact(name, finding, context)
        if value is None or value >= limit:
            return False
    return True


def _apply(rule: Rule, level: int) -> int:
    if rule.raise_to is not None:
        return min(level, rule.raise_to)
    if rule.lower_to is not None:
        return max(level, rule.lower_to)
    return level if level in rule.keep else min(level + 1, NONE_ABOVE_THRESHOLD - 1)


def _lower_to_then_by_then_raise(rule: Rule) -> int:
    return 2 if rule.raise_to is not None else 1 if rule.lower_by is not None else 0


def _numbers(rule: Rule, finding: Finding, context: UrgencyContext) -> str:
    facts = [(name, _fact(name, finding, context)) for name in (*rule.at_least, *rule.below)]
    parts = [f"{_WORDS[name]} {value:.3g}{_UNITS[name]}" for name, value in facts if value is not None]
    if rule.change and context.change is not None:
        parts.append(context.change)
    return f" ({', '.join(parts)})" if parts else ""
