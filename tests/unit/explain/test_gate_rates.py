"""Rates of the gate: one row an engine version and policy, counts that add up, the checks that decided."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from radiolucent.explain.gate import CaseMeasures, judge_case
from radiolucent.explain.gate_rates import gate_rates, verdicts_of
from radiolucent.findings.reading import Reading

GOOD = CaseMeasures(completeness=1, in_body=1, in_prior=1, focality=1, stability=1, deletion_drop=5)
OUTSIDE = CaseMeasures(completeness=1, in_body=0.1, in_prior=1, focality=1, stability=1, deletion_drop=5)


def test_versions_and_policies_are_rows_of_their_own() -> None:
    kept = [
        ("brain-mri@2", "glioma", judge_case(GOOD)),
        ("brain-mri@1", "glioma", judge_case(GOOD, use_case="triage")),
        ("brain-mri@1", "glioma", judge_case(GOOD)),
    ]
    assert [(row.engine, row.use_case) for row in gate_rates(kept)] == [
        ("brain-mri@1", "second-reader"),
        ("brain-mri@1", "triage"),
        ("brain-mri@2", "second-reader"),
    ]


def test_what_was_held_back_is_counted_with_its_check() -> None:
    (row,) = gate_rates([("e@1", "glioma", judge_case(OUTSIDE)), ("e@1", "glioma", judge_case(GOOD))])
    assert (row.held_back_share, row.warned_share, row.by_check) == (0.5, 0.0, (("in-body", 1),))


def test_nothing_judged_gives_no_row_and_so_no_rate() -> None:
    assert gate_rates(verdicts_of([Reading(study_instance_uid="1.2", series=())])) == ()


@given(st.lists(st.sampled_from([GOOD, OUTSIDE, CaseMeasures(completeness=1)]), min_size=1))
def test_every_map_is_counted_once(measures: list[CaseMeasures]) -> None:
    (row,) = gate_rates([("e@1", "glioma", judge_case(one)) for one in measures])
    assert row.shown + row.warned + row.held_back == row.n == len(measures)
