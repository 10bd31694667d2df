"""All rules that a reading is judged with, as ``docs/clinical-rules.md`` holds them."""

from __future__ import annotations

import sys
from typing import get_args

from radiolucent.findings.alerts import default_alerts
from radiolucent.findings.change import default_change
from radiolucent.findings.confidence import (
    AgreementBand,
    ConfidenceTable,
    FocalityBand,
    ProbabilityBand,
    StabilityBand,
    default_confidence,
)
from radiolucent.findings.lexicons import default_lexicons
from radiolucent.findings.phrases import phrases
from radiolucent.findings.tables import EXPERT_DEFAULT, sources
from radiolucent.findings.urgency import FindingRules, Rule, default_urgency


def as_markdown() -> str:
    """The whole page."""
    parts = [_head(), _urgency(), _confidence(), _change(), _words(), _alerts(), _lexicons(), _sources()]
    return "\n\n".join(parts) + "\n"


def _head() -> str:
    entries = default_urgency().findings
    keys = [entry.source for entry in entries] + [rule.source for entry in entries for rule in entry.rules]
    unsourced = keys.count(EXPERT_DEFAULT)
    return "\n".join(
        [
            "# Clinical rules",
            "",
            "Made by `python -m radiolucent.findings.rule_docs > docs/clinical-rules.md`; a test fails when it is",
            "out of date. The rules are TOML files in `src/radiolucent/findings/tables/`. A site replaces a file with",
            "its own; it is checked when it is read, and refused with a reason. Every grade in a reading names the",
            "version of its table.",
            "",
            "Not for clinical use. These rules were written by engineers from the literature named below; no clinical",
            f"board has signed them off. Of the {len(keys)} urgency rules {unsourced} are marked *{EXPERT_DEFAULT}*:",
            "they have no source, and a site should look at them first. A source stands for how grave a finding is or",
            "for the number in a condition; that this makes it level 2 and not 3 is this project's own reading.",
            "",
            "Sizes are extents of the evidence on the network's grid. They are coarse, mostly larger than the lesion,",
            "and no measurement of it.",
        ]
    )


def _urgency() -> str:
    table = default_urgency()
    lines = [
        f"## Urgency ({table.version})",
        "",
        "The study is as urgent as its worst finding. A rule that raises asks for *at least*, one that lowers for",
        "*below*; this is checked, so that more of a severity is never less urgent. A raise wins over every lowering.",
        "A value that isn't known applies no rule, and the reading says so.",
        "",
        "| level | meaning | ordered like the next one up after | source |",
        "|---|---|---|---|",
    ]
    for level in table.levels:
        wait = f"{level.next_level_after_minutes} min" if level.next_level_after_minutes else "never"
        lines.append(f"| {table.label(level.number)} | {level.meaning} | {wait} | {level.source} |")
    lines += ["", "| finding | base level or change | condition | why | source |", "|---|---|---|---|---|"]
    for entry in table.findings:
        lines += _finding_rows(entry, table.label(entry.base))
    lines += [
        f"| *every finding* | {_effect(rule)} | {_condition(rule)} | {rule.why} | {rule.source} |"
        for rule in table.general
    ]
    return "\n".join(lines)


def _finding_rows(entry: FindingRules, base: str) -> list[str]:
    rows = [f"| `{entry.name}` | **{base}** | above threshold | {entry.why} | {entry.source} |"]
    rows += [f"| | {_effect(rule)} | {_condition(rule)} | {rule.why} | {rule.source} |" for rule in entry.rules]
    return rows


def _effect(rule: Rule) -> str:
    if rule.raise_to is not None:
        return f"at least as urgent as {rule.raise_to}"
    if rule.lower_to is not None:
        return f"at most as urgent as {rule.lower_to}"
    return "one level less urgent" + (f", not from {', '.join(map(str, rule.keep))}" if rule.keep else "")


def _condition(rule: Rule) -> str:
    parts = [f"{name} ≥ {limit:g}" for name, limit in rule.at_least.items()]
    parts += [f"{name} < {limit:g}" for name, limit in rule.below.items()]
    parts += [f"change is {' or '.join(rule.change)}"] if rule.change else []
    parts += [f"together with {' or '.join(rule.together_with)}"] if rule.together_with else []
    return " and ".join(parts)


def _confidence() -> str:
    table = default_confidence()
    lines = [
        f"## Confidence ({table.version})",
        "",
        "For findings above threshold. Every one of the 192 combinations has exactly one row (checked); with an",
        "unknown value a finding is never high; confidence never rises when the agreement falls (property test).",
        "",
        *_bands(table),
        *_tissue(table),
        "",
        "| row | probability | agreement | shape | stability | level | look closely | why | source |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in table.rows:
        cells = [
            "any" if len(given) == len(every) else ", ".join(given)
            for given, every in (
                (row.probability, get_args(ProbabilityBand)),
                (row.agreement, get_args(AgreementBand)),
                (row.focality, get_args(FocalityBand)),
                (row.stability, get_args(StabilityBand)),
            )
        ]
        review = "yes" if row.review else "–"
        lines.append(f"| {row.name} | {' | '.join(cells)} | **{row.level}** | {review} | {row.why} | {row.source} |")
    lines += ["", "| where the evidence disagrees | words |", "|---|---|"]
    lines += [f"| `{name}`, outside the body | {text} |" for name, text in table.outside.items()]
    lines += [f"| `{name}`, unusual place | {text} |" for name, text in table.unusual.items()]
    return "\n".join(lines)


def _bands(table: ConfidenceTable) -> list[str]:
    place, odds = table.agreement, table.probability
    usual = table.focality.expected
    return [
        f"- probability (calibrated): high ≥ {odds.high:g}, middle ≥ {odds.middle:g}, else low [{odds.source}]",
        f"- agreement: good ≥ {place.good:g}, partial ≥ {place.partial:g}, else poor; poor as well where less than",
        f"  {place.least_in_body:g} of the evidence lies inside the body; a place is usual from",
        f"  {place.prior_threshold:g} of the prior map's maximum [{place.source}]",
        f"- stability: stable ≥ {table.stability.stable:g} [{table.stability.source}]",
        f"- shape: expected is {' or '.join(table.focality.default)}, except "
        + "; ".join(f"`{name}` {' or '.join(shapes)}" for name, shapes in usual.items())
        + f" [{table.focality.source}]",
    ]


def _tissue(table: ConfidenceTable) -> list[str]:
    rule = table.tissue
    if rule is None:
        return []
    lines = [f"- tissue: poor as well where less than {rule.least:g} of the evidence lies where these findings belong,"]
    lines += ["  as far as lungs and bone were found on the film [" + rule.source + "]:"]
    for name, findings in (("lungs", rule.lungs), ("bone", rule.bone)):
        words = table.away["lungs" if name == "lungs" else "bone"]
        lines.append(f"  {', '.join(f'`{finding}`' for finding in findings)}: {name} (*{words}*)")
    return lines


def _change() -> str:
    table = default_change()
    clear, near = table.threshold, table.place
    lines = [
        f"## Change against the prior ({table.version})",
        "",
        "Only readings by the same engine version and weights are compared. Smaller mirrors larger: +25 % and -20 %",
        "are the same step. A difference within one cell of the map is no change. New or resolved needs the other",
        f"study under {clear.clearly_below:g} of its threshold [{clear.source}]. Places are compared only",
        f"where the studies are registered: regions more than {near.same_within_mm:g} mm apart are different ones",
        f"[{near.source}].",
        "",
        "| findings | area | volume | or | why | source |",
        "|---|---|---|---|---|---|",
    ]
    for row in table.rows:
        names = "all others" if row.findings == ("*",) else ", ".join(f"`{name}`" for name in row.findings)
        absolute = f"{row.volume_ml:g} ml" if row.volume_ml else "–"
        lines.append(
            f"| {names} | +{100 * row.area:.0f} % | +{100 * row.volume:.0f} % | {absolute} | {row.why} | {row.source} |"
        )
    return "\n".join(lines)


def _words() -> str:
    words = phrases("en")
    things = " and ".join(words.name(name) for name in words.things)
    lines = [
        f"## Words ({words.version})",
        "",
        "| calibrated probability from | words | source |",
        "|---|---|---|",
        *(
            f"| {100 * band.at_least:g} % | {band.phrase}"
            f"{f' ({band.of_things} of {things})' if band.of_things else ''} | {band.source} |"
            for band in words.probability
        ),
        "",
        f"A score that isn't calibrated is called *{words.words['uncalibrated']}* and never shown in per cent. Signs",
        "to check and mimics are expert defaults without a source.",
        "",
        "| finding | to check | may be mistaken for |",
        "|---|---|---|",
    ]
    lines += [
        f"| {name} | {'; '.join(words.verify[key])} | {'; '.join(words.mimics[key])} |"
        for key, name in words.names.items()
    ]
    return "\n".join(lines)


def _alerts() -> str:
    table = default_alerts()
    lines = [
        f"## Alerts ({table.version})",
        "",
        f"Findings at level {table.least_urgent_level} or more urgent alert [{table.source}]. At most {table.per_hour}",
        "messages an hour on a channel; an alert that nobody acknowledges is escalated once, after "
        + ", ".join(f"{minutes} min at level {level}" for level, minutes in table.escalate_after_minutes.items())
        + ".",
        "",
        "| tier | when | message |",
        "|---|---|---|",
    ]
    lines += [f"| {tier} | {when} | {table.en[tier].message} |" for tier, when in table.tiers.items()]
    return "\n".join(lines)


def _lexicons() -> str:
    table = default_lexicons()
    lines = [
        f"## Structured lexicons ({table.version})",
        "",
        "Filled only where an engine's own mapping says so and supplies the input; a reader gives the final category.",
        "BI-RADS, Lung-RADS and LI-RADS are marks of the American College of Radiology, which has not reviewed this.",
        "",
        "| scheme | input | categories | source |",
        "|---|---|---|---|",
    ]
    for lexicon in table.lexicons:
        categories = "; ".join(f"{category.value}: {category.meaning}" for category in lexicon.categories)
        lines.append(f"| {lexicon.title} | {lexicon.input} | {categories} | {lexicon.source} |")
    return "\n".join(lines)


def _sources() -> str:
    lines = ["## Sources", ""]
    for key, source in sources().items():
        lines.append(f"- **{key}**: {source.citation}" + (f" doi:{source.doi}" if source.doi else ""))
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(as_markdown())
