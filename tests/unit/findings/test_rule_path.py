"""The path through the tables, as a person reads it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from radiolucent.findings.judgement import default_tables, judge
from radiolucent.findings.reading import Finding, Reading
from radiolucent.findings.rule_path import NoSuchFinding, explain_rule
from radiolucent.findings.tables import sources

MakeFinding = Callable[..., Finding]
MakeReading = Callable[..., Reading]


def test_the_path_names_threshold_change_levels_tables_and_sources(
    a_finding: MakeFinding, a_reading: MakeReading
) -> None:
    before = a_reading(a_finding("subdural-haemorrhage"))
    reading = judge(
        a_reading(a_finding("subdural-haemorrhage", stability=0.9)),
        bundle_priors={},
        body_boxes={},
        prior=before,
        midline_shift_mm=7.0,
    )
    text = "\n".join(explain_rule(reading, "subdural-haemorrhage"))
    for words in (
        "subdural-haemorrhage in T1 post (MR), brain-mri@1.0.0 abababababab",
        "calibrated probability 0.900 ≥ 0.500: positive",
        "change: unchanged: 9 → 9 ml",
        "urgency: 1 critical (table urgency 1.0.0)",
        "1. base 1 critical",
        "stays 1 critical: shift of 5 mm or more",
        "midline shift 7 mm) [bullock-sdh-2006]",
        "confidence: moderate (table confidence 1.1.0)",
        "1. likely-place-open: ",
        "stability: stable (0.90)",
        f"[bullock-sdh-2006] {sources()['bullock-sdh-2006'].citation}",
    ):
        assert words in text
    assert "[wen-2023]" not in text


def test_a_finding_below_threshold_has_a_path_as_well(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    reading = judge(a_reading(a_finding(positive=False, probability=None, score=0.2)), bundle_priors={}, body_boxes={})
    lines = explain_rule(reading, "glioma")
    assert lines[1] == "  threshold: score (not calibrated) 0.200 < 0.500: below threshold"
    assert lines[2] == "  change: nothing to compare"
    assert lines[-1] == "  confidence: not graded"


def test_a_reading_judged_with_another_table_says_so(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    reading = judge(a_reading(a_finding()), bundle_priors={}, body_boxes={})
    tables = default_tables()
    newer = replace(tables, urgency=tables.urgency.model_copy(update={"version": "urgency 2.0.0"}))
    assert "(table urgency 1.0.0; the table in use now is urgency 2.0.0)" in "\n".join(
        explain_rule(reading, "glioma", tables=newer)
    )


def test_a_finding_that_was_not_read_is_refused(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    with pytest.raises(NoSuchFinding, match="it holds glioma"):
        explain_rule(a_reading(a_finding()), "meningioma")
    with pytest.raises(NoSuchFinding, match="it holds none"):
        explain_rule(a_reading(), "meningioma")
