"""Five levels from the table: complete, sourced, monotone, and a site's changes are seen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.findings.reading import Finding, Reading
from radiolucent.findings.tables import InvalidTable
from radiolucent.findings.taxonomy import FINDINGS
from radiolucent.findings.urgency import (
    UrgencyContext,
    default_urgency,
    diff,
    effective_level,
    grade_urgency,
    level_number,
    site_urgency,
    study_urgency,
)

TABLE = default_urgency()
PACKAGED = resources.files("radiolucent.findings").joinpath("tables", "urgency.toml").read_text(encoding="utf-8")
MakeFinding = Callable[..., Finding]
MakeReading = Callable[..., Reading]
NAMES = st.sampled_from(sorted(FINDINGS))
AMOUNT = st.one_of(st.none(), st.floats(0, 200))


def level_of(finding: Finding, context: UrgencyContext) -> int:
    return level_number(grade_urgency(finding, context, TABLE))


@pytest.mark.parametrize("name", sorted(FINDINGS))
def test_every_finding_of_the_taxonomy_has_a_level(a_finding: MakeFinding, name: str) -> None:
    assert level_of(a_finding(name), UrgencyContext()) in {1, 2, 3, 4}


@pytest.mark.parametrize("name", sorted(name for name, row in FINDINGS.items() if row.critical))
def test_what_the_taxonomy_calls_critical_is_level_1(a_finding: MakeFinding, name: str) -> None:
    assert level_of(a_finding(name, probability=0.2), UrgencyContext()) == 1


@pytest.mark.parametrize("name", sorted(name for name, row in FINDINGS.items() if not row.critical))
def test_nothing_else_is_critical_without_a_reason_from_the_context(a_finding: MakeFinding, name: str) -> None:
    assert level_of(a_finding(name), UrgencyContext()) > 1


def test_a_finding_below_its_operating_point_is_level_5_and_never_called_normal(a_finding: MakeFinding) -> None:
    graded = grade_urgency(a_finding("glioma", positive=False), UrgencyContext(), TABLE)
    assert graded.level == "5 no finding above threshold"


def test_a_small_nodule_is_routine_and_says_why(a_finding: MakeFinding) -> None:
    graded = grade_urgency(a_finding("nodule"), UrgencyContext(size_mm=4.0), TABLE)
    assert graded.level == "4 routine"
    assert (
        "3 soon → 4 routine: under 6 mm: no routine follow-up at low risk (extent of the evidence 4 mm)"
        in (graded.reasons[1])
    )
    assert graded.table_version == TABLE.version


def test_an_unknown_size_is_said_and_changes_nothing(a_finding: MakeFinding) -> None:
    graded = grade_urgency(a_finding("nodule"), UrgencyContext(), TABLE)
    assert graded.level == "3 soon"
    assert any("extent of the evidence unknown" in reason for reason in graded.reasons)


def test_a_known_haemorrhage_is_only_lowered_when_shift_and_volume_are_measured(a_finding: MakeFinding) -> None:
    finding = a_finding("subdural-haemorrhage")
    measured = UrgencyContext(change="unchanged", midline_shift_mm=2.0, volume_ml=8.0)
    assert level_of(finding, measured) == 2
    assert level_of(finding, replace(measured, midline_shift_mm=None)) == 1
    assert level_of(finding, replace(measured, midline_shift_mm=6.0)) == 1


def test_a_pneumothorax_with_a_tension_sign_is_critical(a_finding: MakeFinding) -> None:
    assert level_of(a_finding("pneumothorax"), UrgencyContext(together_with=frozenset({"tension-pneumothorax"}))) == 1


def test_an_unlikely_finding_waits_one_level_but_a_critical_one_does_not(a_finding: MakeFinding) -> None:
    assert level_of(a_finding("meningioma", probability=0.2), UrgencyContext()) == 4
    assert level_of(a_finding("acute-infarct", probability=0.2), UrgencyContext()) == 1


@given(name=NAMES, low=st.floats(0, 1), high=st.floats(0, 1), size=AMOUNT, shift=AMOUNT)
def test_a_higher_probability_is_never_less_urgent(
    a_finding: MakeFinding, name: str, low: float, high: float, size: float | None, shift: float | None
) -> None:
    low, high = sorted((low, high))
    context = UrgencyContext(size_mm=size, midline_shift_mm=shift, change="unchanged")
    below, above = (
        level_of(a_finding(name, probability=value, positive=value >= 0.1), context) for value in (low, high)
    )
    assert above <= below


@given(
    name=NAMES,
    fact=st.sampled_from(["size_mm", "volume_ml", "midline_shift_mm", "age_years"]),
    low=st.floats(0, 200),
    high=st.floats(0, 200),
    others=st.fixed_dictionaries({}, optional={"size_mm": AMOUNT, "volume_ml": AMOUNT, "midline_shift_mm": AMOUNT}),
    change=st.sampled_from([None, "new", "larger", "unchanged", "smaller"]),
)
def test_more_of_a_severity_is_never_less_urgent(
    a_finding: MakeFinding, name: str, fact: str, low: float, high: float, others: dict[str, Any], change: None
) -> None:
    low, high = sorted((low, high))
    small = UrgencyContext(change=change, **(others | {fact: low}))
    large = UrgencyContext(change=change, **(others | {fact: high}))
    assert level_of(a_finding(name), large) <= level_of(a_finding(name), small)


@given(name=NAMES, others=st.frozensets(NAMES, max_size=4), one_more=NAMES)
def test_a_further_finding_is_never_less_urgent(
    a_finding: MakeFinding, name: str, others: frozenset[str], one_more: str
) -> None:
    alone = level_of(a_finding(name), UrgencyContext(together_with=others))
    assert level_of(a_finding(name), UrgencyContext(together_with=others | {one_more})) <= alone


@given(name=NAMES)
def test_a_growing_finding_is_never_less_urgent_than_a_shrinking_one(a_finding: MakeFinding, name: str) -> None:
    levels = [level_of(a_finding(name), UrgencyContext(change=change)) for change in ("larger", "unchanged", "smaller")]
    assert levels[0] <= levels[1]
    assert levels[0] <= levels[2]


def test_the_study_is_as_urgent_as_its_worst_finding(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    findings = [
        replace(finding, urgency=grade_urgency(finding, UrgencyContext(), TABLE))
        for finding in (a_finding("glioma", positive=False), a_finding("meningioma"), a_finding("acute-infarct"))
    ]
    graded = study_urgency(a_reading(*findings), TABLE)
    assert (graded.level, graded.reasons) == ("1 critical", ("worst finding: acute-infarct",))


def test_a_study_that_was_not_read_says_so(a_reading: MakeReading) -> None:
    graded = study_urgency(replace(a_reading(), series=()), TABLE)
    assert (graded.level, graded.reasons) == ("5 no finding above threshold", ("nothing was read",))


@given(level=st.integers(1, 5), waited=st.floats(0, 1e5), more=st.floats(0, 1e5))
def test_waiting_lifts_a_study_and_never_makes_it_critical(level: int, waited: float, more: float) -> None:
    now, later = effective_level(level, waited, TABLE), effective_level(level, waited + more, TABLE)
    assert later <= now <= level
    assert now == 1 if level == 1 else now >= 2


def test_every_study_climbs_to_level_2_in_the_end() -> None:
    assert [effective_level(level, 10_000, TABLE) for level in (1, 2, 3, 4, 5)] == [1, 2, 2, 2, 2]


@pytest.mark.parametrize(("level", "waited"), [(0, 0.0), (6, 0.0), (3, -1.0)])
def test_an_impossible_level_or_waiting_time_is_refused(level: int, waited: float) -> None:
    with pytest.raises(ValueError, match="level must be 1 to 5"):
        effective_level(level, waited, TABLE)


def site_file(folder: Path, before: str, after: str) -> Path:
    assert before in PACKAGED
    path = folder / "urgency.toml"
    path.write_text(PACKAGED.replace(before, after, 1), encoding="utf-8")
    return path


def test_the_packaged_table_differs_from_itself_in_nothing() -> None:
    assert diff(TABLE, TABLE) == ()


def test_a_sites_changes_are_listed(tmp_path: Path) -> None:
    path = site_file(tmp_path, 'name = "glioma"\nbase = 2', 'name = "glioma"\nbase = 3')
    path.write_text(path.read_text(encoding="utf-8").replace("below = { size_mm = 6 }", "below = { size_mm = 4 }"))
    assert diff(TABLE, site_urgency(path)) == (
        "glioma: base 2 urgent → 3 soon",
        "nodule: without 'under 6 mm: no routine follow-up at low risk'",
        "nodule: with 'under 6 mm: no routine follow-up at low risk'",
    )


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ('name = "fibrosis"', 'name = "fibroses"', "not in the taxonomy"),
        ('name = "fibrosis"', 'name = "glioma"', "listed twice"),
        ('source = "bullock-sdh-2006"', 'source = "somebody"', "not in sources.toml"),
        ("base = 1", "base = 5", "less than or equal to 4|Input should be"),
        ("below = { size_mm = 6 }", "at_least = { size_mm = 6 }", "can't ask for more"),
        ("at_least = { volume_ml = 30 }", "below = { volume_ml = 30 }", "can't ask for less"),
        ("at_least = { volume_ml = 30 }\n", "", "no condition"),
        ("raise_to = 1\n", "", "give one of"),
        ('"no finding above threshold"', '"normal"', "may not be called normal"),
        ('together_with = ["tension-pneumothorax"]', 'together_with = ["tension"]', "no finding of the taxonomy"),
        ("number = 3", "number = 4", "1 to 5, in order"),
        ("version =", "versoin =", "version: Field required"),
        ("[[levels]]", "[levels", "no valid TOML"),
    ],
)
def test_a_site_table_with_a_fault_is_refused(tmp_path: Path, before: str, after: str, why: str) -> None:
    with pytest.raises(InvalidTable, match=why):
        site_urgency(site_file(tmp_path, before, after))


def test_a_missing_site_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidTable, match="no such file"):
        site_urgency(tmp_path / "none.toml")


def test_a_finding_without_a_row_is_refused(a_finding: MakeFinding) -> None:
    with pytest.raises(InvalidTable, match="add a row"):
        grade_urgency(a_finding("unknown-thing"), UrgencyContext(), TABLE)
