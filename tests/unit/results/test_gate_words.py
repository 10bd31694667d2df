"""What the quality gate decided, in the words of the report and of the structured report."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from radiolucent.explain.gate import CaseMeasures, judge_case
from radiolucent.findings.reading import Localisation
from tests.unit.results.pages import LOCATED, finding, page, picture, reading, series, text_of

pytest.importorskip("highdicom", reason="needs highdicom")
from radiolucent.results.measurement_groups import _comment

GOOD = CaseMeasures(completeness=1, focus=1, in_body=1, in_prior=1, focality=1, stability=1, deletion_drop=5)
UNUSUAL = judge_case(replace(GOOD, in_prior=0.1))
OUTSIDE = judge_case(replace(GOOD, in_body=0.1))
HELD_BACK = Localisation(status="failed", reason=f"held back by the quality gate: {OUTSIDE.reasons[0]}")


def words_of(**changes: Any) -> str:
    return text_of(page(reading(series(finding(**changes))), pictures=[picture()]))


def test_the_report_shows_a_doubtful_map_with_its_warning() -> None:
    words = words_of(localisation=LOCATED, explanation=UNUSUAL)
    assert "Explanation with a warning. 10% lies where this finding usually is." in words
    assert "AI overlay" in words


def test_the_report_says_of_every_check_what_it_found_and_by_whose_policy() -> None:
    words = words_of(localisation=LOCATED, explanation=UNUSUAL)
    assert "Explanation: show with warning" in words
    for check in UNUSUAL.checks:
        assert check.words in words
    assert f"policy: second-reader, {UNUSUAL.table_version}" in words


def test_a_map_that_is_shown_brings_no_warning() -> None:
    assert "with a warning" not in words_of(localisation=LOCATED, explanation=judge_case(GOOD))


def test_the_report_says_why_a_map_was_held_back_and_keeps_the_finding() -> None:
    held_back = finding(localisation=HELD_BACK, explanation=OUTSIDE)
    words = text_of(page(reading(series(held_back)), pictures=[picture(overlay_png=None)]))
    assert "held back by the quality gate: 10% of the evidence lies in the body" in words
    assert "Glioma" in words
    assert "AI overlay" not in words


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"localisation": LOCATED, "explanation": UNUSUAL},
            "Explanation shown with a warning: 10% lies where this finding usually is.",
        ),
        (
            {"localisation": HELD_BACK, "explanation": OUTSIDE},
            "No explanation: held back by the quality gate: 10% of the evidence lies in the body.",
        ),
    ],
)
def test_the_structured_report_says_the_same(changes: dict[str, Any], said: str) -> None:
    one = finding(**changes)
    assert said in _comment(one, series(one))


def test_the_structured_report_says_nothing_of_a_map_that_passed() -> None:
    one = finding(localisation=LOCATED, explanation=judge_case(GOOD))
    assert "xplanation" not in _comment(one, series(one))
