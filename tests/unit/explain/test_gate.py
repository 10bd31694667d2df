"""What the gate decides, check by check, and which tables it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.errors import SetupError
from radiolucent.explain.gate import (
    CASE_CHECKS,
    EMPTY_CHECKS,
    ENGINE_CHECKS,
    CaseMeasures,
    default_gate,
    judge_case,
    judge_engine,
    site_gate,
)
from radiolucent.findings import tables
from radiolucent.findings.tables import InvalidTable

GOOD = CaseMeasures(completeness=1, focus=1, in_body=1, in_prior=1, focality=1, stability=1, deletion_drop=5)
NO_STABILITY = replace(GOOD, stability=None)
USE_CASES = sorted(default_gate().use_cases)
PACKAGED = Path(tables.__file__).parent / "tables" / "gate.toml"


@pytest.mark.parametrize("use_case", USE_CASES)
def test_a_map_with_nothing_against_it_is_shown(use_case: str) -> None:
    verdict = judge_case(GOOD, use_case=use_case)
    assert (verdict.decision, verdict.reasons, verdict.use_case) == ("show", (), use_case)
    assert [check.name for check in verdict.checks] == list(CASE_CHECKS)


@pytest.mark.parametrize("use_case", USE_CASES)
@pytest.mark.parametrize(
    "broken",
    [
        replace(GOOD, completeness=0),
        replace(GOOD, completeness=None),
        replace(GOOD, in_body=0.3),
        replace(GOOD, deletion_drop=-0.1),
        replace(GOOD, in_body=float("nan")),
    ],
)
def test_these_are_never_shown(broken: CaseMeasures, use_case: str) -> None:
    verdict = judge_case(broken, use_case=use_case)
    assert verdict.decision == "do-not-show"
    assert len(verdict.reasons) == 1


@pytest.mark.parametrize("use_case", USE_CASES)
def test_an_unusual_place_is_shown_with_a_warning(use_case: str) -> None:
    assert judge_case(replace(GOOD, in_prior=0.0), use_case=use_case).decision == "show-with-warning"


@pytest.mark.parametrize("use_case", USE_CASES)
def test_a_map_without_a_focus_orders_a_list_and_explains_nothing(use_case: str) -> None:
    empty = CaseMeasures(completeness=1, focus=0)
    verdict = judge_case(empty, use_case=use_case, checks=EMPTY_CHECKS)
    assert verdict.decision == ("show-with-warning" if use_case == "triage" else "do-not-show")
    assert verdict.reasons == ("no focus: the score has no place",)
    assert [check.name for check in verdict.checks] == list(EMPTY_CHECKS)


def test_the_gravest_check_decides_and_comes_first() -> None:
    verdict = judge_case(replace(GOOD, stability=0.3, in_body=0.2), use_case="second-reader")
    assert verdict.decision == "do-not-show"
    assert verdict.reasons == (
        "20% of the evidence lies in the body",
        "30% similar under small changes of the image",
    )


def test_a_use_case_in_which_more_depends_on_the_map_asks_for_more() -> None:
    decisions = [judge_case(NO_STABILITY, use_case=name).decision for name in ("triage", "diagnosis-support")]
    assert decisions == ["show", "show-with-warning"]
    shaky = replace(GOOD, stability=0.15)
    assert [judge_case(shaky, use_case=name).decision for name in ("triage", "second-reader", "diagnosis-support")] == [
        "show-with-warning",
        "show-with-warning",
        "do-not-show",
    ]


ORDER = ("do-not-show", "show-with-warning", "show")
shares = st.floats(0, 1)


@given(
    use_case=st.sampled_from(USE_CASES), body=shares, prior=shares, stable=shares, drop=st.floats(-3, 9), more=shares
)
def test_a_better_value_never_makes_the_decision_worse(
    use_case: str, body: float, prior: float, stable: float, drop: float, more: float
) -> None:
    low = replace(GOOD, in_body=body, in_prior=prior, stability=stable, deletion_drop=drop)
    high = replace(low, in_body=min(1, body + more), stability=min(1, stable + more), deletion_drop=drop + more)
    first, second = (ORDER.index(judge_case(one, use_case=use_case).decision) for one in (low, high))
    assert second >= first


def test_an_unknown_use_case_is_refused_with_those_that_exist() -> None:
    with pytest.raises(SetupError, match="there are triage, second-reader, diagnosis-support"):
        judge_case(GOOD, use_case="screening")


def test_an_engine_passes_at_its_limits_and_not_beyond() -> None:
    at = {
        "randomisation": 0.5,
        "random-logit": 0.9,
        "focus-share": 0.5,
        "pointing-game": 0.5,
        "centre-margin": 0.1,
        "median-mm": 15.0,
    }
    assert set(at) == set(ENGINE_CHECKS)
    assert judge_engine(at).passes
    for name, step in (("randomisation", 0.1), ("pointing-game", -0.1), ("median-mm", 1.0)):
        assert judge_engine({**at, name: at[name] + step}).failed == (name,)
    assert judge_engine({"median-mm": float("nan")}).failed == ("median-mm",)
    assert judge_engine({"median-mm": float("inf")}).failed == ("median-mm",)


def test_an_engine_is_not_judged_by_nothing_or_by_an_unknown_check() -> None:
    for values in ({}, {"beauty": 1.0}):
        with pytest.raises(SetupError, match="an engine is judged by"):
            judge_engine(values)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ('default = "second-reader"', 'default = "screening"', "is no use case"),
        (
            "in-body = { fail_below = 0.5, warn_below = 0.8",
            "in-body = { fail_below = 0.9, warn_below = 0.8",
            "not lie above",
        ),
        ('focality = { fail_below = 0.0, warn_below = 0.0, unknown = "pass" }\n', "", "exactly one limit"),
        ("median-mm = { most = 15.0 }", "median-mm = { most = 15.0, least = 1.0 }", "either least or most"),
        ("random-logit = { most = 0.9 } ", "random-logits = { most = 0.9 } ", "each engine check needs a limit"),
    ],
)
def test_a_sites_table_that_contradicts_itself_is_refused(tmp_path: Path, old: str, new: str, why: str) -> None:
    text = PACKAGED.read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "gate.toml").write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InvalidTable, match=why):
        site_gate(tmp_path / "gate.toml")


def test_a_sites_own_table_is_used(tmp_path: Path) -> None:
    text = PACKAGED.read_text(encoding="utf-8").replace(default_gate().version, "site 7")
    (tmp_path / "gate.toml").write_text(text, encoding="utf-8")
    assert judge_case(GOOD, table=site_gate(tmp_path / "gate.toml")).table_version == "site 7"


def test_what_other_methods_said_stands_behind_the_share() -> None:
    said = replace(GOOD, agreement=0.02, notes={"agreement": "occlusion overlap 2%, rank correlation 0.10"})
    verdict = judge_case(said, use_case="diagnosis-support")
    assert verdict.decision == "show-with-warning"
    assert verdict.reasons == (
        "2% of the strongest tenth is shared with others: occlusion overlap 2%, rank correlation 0.10",
    )
