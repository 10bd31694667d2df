"""The page of all rules is current, and it hides no rule."""

from __future__ import annotations

from pathlib import Path

from radiolucent.findings.rule_docs import as_markdown
from radiolucent.findings.tables import sources
from radiolucent.findings.taxonomy import FINDINGS
from radiolucent.findings.urgency import default_urgency

PAGE = Path(__file__).parents[3] / "docs" / "clinical-rules.md"


def test_the_page_is_current() -> None:
    fresh = "run: python -m radiolucent.findings.rule_docs > docs/clinical-rules.md"
    assert PAGE.read_text(encoding="utf-8") == as_markdown(), fresh


def test_every_finding_rule_and_source_is_on_it() -> None:
    page = as_markdown()
    assert [name for name in FINDINGS if f"`{name}`" not in page] == []
    assert [key for key in sources() if f"**{key}**" not in page] == []
    rules = [rule.why for entry in default_urgency().findings for rule in entry.rules]
    assert [why for why in rules if why not in page] == []


def test_every_source_that_is_listed_is_used() -> None:
    body = as_markdown().split("## Sources")[0]
    assert [key for key in sources() if key not in body] == []
