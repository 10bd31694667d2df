from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.ingest.assembly import (
    RULES,
    ExpectedSeries,
    Patience,
    SeriesProgress,
    StudyProgress,
    decide,
    elapsed_s,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PATIENCE = Patience(quiet_s=20, partial_quiet_s=120, longest_wait_s=600)
STUDY = StudyProgress(series=(SeriesProgress(modality="CT", description="Head", instances=10),), quiet_s=5, waited_s=30)
WITH_BONE = replace(PATIENCE, expected=(ExpectedSeries(modality="CT", descriptions=("*head*", "*bone*")),))


@pytest.mark.parametrize(
    ("changes", "patience", "rule", "complete", "ask_again_s"),
    [
        ({"series": ()}, PATIENCE, "nothing-yet", False, 20),
        ({"waited_s": 600.0}, PATIENCE, "longest-wait", True, None),
        ({"waited_s": 600.0, "open_associations": 1}, PATIENCE, "longest-wait", True, None),
        ({"waited_s": 600.0, "quiet_s": 0.0}, PATIENCE, "quiet", False, 1.0),
        ({"open_associations": 1, "quiet_s": 100.0}, PATIENCE, "association-open", False, 570),
        ({"expected_instances": 10}, PATIENCE, "all-instances", True, None),
        ({"expected_instances": 9}, PATIENCE, "all-instances", True, None),
        ({"expected_instances": 10, "open_associations": 1}, PATIENCE, "association-open", False, 570),
        ({"expected_instances": 11, "quiet_s": 100.0}, PATIENCE, "instances-missing", False, 570),
        ({"expected_instances": 0, "quiet_s": 100.0}, PATIENCE, "quiet", True, None),
        ({"quiet_s": 100.0}, WITH_BONE, "series-missing", False, 570),
        ({}, PATIENCE, "quiet", False, 15),
        ({"quiet_s": 20.0}, PATIENCE, "quiet", True, None),
        ({"quiet_s": 20.0, "partial": True}, PATIENCE, "quiet", False, 100),
        ({"quiet_s": 120.0, "partial": True}, PATIENCE, "quiet", True, None),
    ],
)
def test_each_rule_decides_as_the_table_says(
    changes: dict[str, object], patience: Patience, rule: str, complete: bool, ask_again_s: float | None
) -> None:
    decision = decide(replace(STUDY, **changes), patience)  # type: ignore[arg-type]
    assert (decision.rule, decision.complete, decision.ask_again_s) == (rule, complete, ask_again_s)


def test_each_rule_has_a_code_of_its_own() -> None:
    assert len({rule.code for rule in RULES}) == len(RULES)


STUDIES = st.builds(
    StudyProgress,
    series=st.lists(
        st.builds(
            SeriesProgress,
            modality=st.sampled_from(["CT", "MR"]),
            description=st.sampled_from(["Head", "Bone", ""]),
            instances=st.integers(0, 50),
        ),
        max_size=4,
    ).map(tuple),
    quiet_s=st.floats(0, 5000),
    waited_s=st.floats(0, 5000),
    open_associations=st.integers(0, 3),
    partial=st.booleans(),
    expected_instances=st.none() | st.integers(0, 100),
)


@given(STUDIES, st.sampled_from([PATIENCE, WITH_BONE]))
def test_no_study_waits_for_ever_if_nothing_more_comes(study: StudyProgress, patience: Patience) -> None:
    if not study.instances:
        return
    steps = 0
    while not (decision := decide(study, patience)).complete:
        assert decision.ask_again_s is not None
        assert 0 < decision.ask_again_s <= patience.longest_wait_s
        passed = decision.ask_again_s + 1e-6
        study = replace(study, quiet_s=study.quiet_s + passed, waited_s=study.waited_s + passed)
        steps += 1
        assert steps <= 3


@given(STUDIES, st.floats(0.001, 1000))
def test_time_alone_never_makes_a_complete_study_incomplete(study: StudyProgress, later: float) -> None:
    if study.instances and decide(study, PATIENCE).complete:
        after = replace(study, quiet_s=study.quiet_s + later, waited_s=study.waited_s + later)
        assert decide(after, PATIENCE).complete


@given(STUDIES)
def test_a_study_with_an_open_association_is_complete_only_after_the_longest_wait(study: StudyProgress) -> None:
    decision = decide(replace(study, open_associations=1), PATIENCE)
    assert not decision.complete or decision.rule == "longest-wait"


@pytest.mark.parametrize("order", list(permutations(["Head 5mm", "HEAD BONE", "scout"])))
def test_each_expected_series_is_met_by_one_of_its_own_in_any_order(order: tuple[str, ...]) -> None:
    series = [SeriesProgress(modality="CT", description=name, instances=5) for name in order]
    rule = ExpectedSeries(modality="CT", descriptions=("*head*", "*bone*"))
    assert rule.is_met(series)
    assert not rule.is_met([one for one in series if one.description != "HEAD BONE"])
    assert not rule.is_met([one for one in series if one.description != "Head 5mm"])
    assert not replace(rule, minimum_instances=6).is_met(series)


def test_a_rule_on_another_modality_does_not_apply() -> None:
    rule = ExpectedSeries(modality="MR", descriptions=("*t1*",))
    assert rule.is_met(STUDY.series)


@pytest.mark.parametrize(
    ("jump", "counted_s"),
    [
        (timedelta(seconds=7), 7),
        (timedelta(0), 0),
        (timedelta(hours=-1), 600),
        (timedelta(seconds=-2), 2),
        (timedelta(days=400), 600),
        (timedelta(days=-400), 600),
    ],
)
def test_a_clock_that_jumps_strands_no_study(jump: timedelta, counted_s: float) -> None:
    assert elapsed_s(NOON, NOON + jump, longest_s=600) == counted_s


@given(st.integers(-(10**7), 10**7), st.integers(0, 10**4))
def test_after_any_jump_of_the_clock_a_study_is_complete_within_twice_the_longest_wait(jump_s: int, age_s: int) -> None:
    received, patience = NOON, Patience(quiet_s=20, longest_wait_s=600)
    jumped = received + timedelta(seconds=age_s + jump_s)
    for passed in range(0, 1300, 10):
        now = jumped + timedelta(seconds=passed)
        gone = elapsed_s(received, now, longest_s=600)
        if decide(replace(STUDY, quiet_s=gone, waited_s=gone), patience).complete:
            return
    pytest.fail("the study is stranded")
