"""One row for every combination, nothing high with a value missing, and never more sure when agreement falls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.findings.confidence import (
    COMBINATIONS,
    Combination,
    Row,
    default_confidence,
    grade_confidence,
    review_reason,
    site_confidence,
)
from radiolucent.findings.priors import Agreement
from radiolucent.findings.reading import Finding, Localisation
from radiolucent.findings.tables import InvalidTable
from radiolucent.findings.taxonomy import FINDINGS

MakeFinding = Callable[..., Finding]
MakeLocalisation = Callable[..., Localisation]
TABLE = default_confidence()
PACKAGED = resources.files("radiolucent.findings").joinpath("tables", "confidence.toml").read_text(encoding="utf-8")
RANK = {"low": 0, "moderate": 1, "high": 2}
GOOD = Agreement(value=0.95, in_body=1.0)
SHARES = st.floats(0, 1)


@pytest.mark.parametrize("combination", COMBINATIONS, ids="-".join)
def test_each_combination_has_exactly_one_row(combination: Combination) -> None:
    assert len([row for row in TABLE.rows if row.covers(combination)]) == 1


@pytest.mark.parametrize(
    "combination", [combination for combination in COMBINATIONS if "unknown" in combination], ids="-".join
)
def test_a_missing_input_never_gives_high(combination: Combination) -> None:
    assert TABLE.row(combination).level != "high"


@pytest.mark.parametrize("row", [row for row in TABLE.rows if "unknown" in row.agreement], ids=lambda row: row.name)
def test_a_place_that_could_not_be_judged_is_not_held_against_the_finding(row: Row) -> None:
    for words in ("place does not", "neither place", "nor place"):
        assert words not in row.why


@pytest.mark.parametrize("combination", COMBINATIONS, ids="-".join)
def test_a_worse_value_of_any_factor_never_gives_more_confidence(combination: Combination) -> None:
    better = {"middle": "high", "low": "middle", "partial": "good", "poor": "partial", "unstable": "stable"}
    better |= {"unexpected": "expected", "empty": "unexpected"}
    here = RANK[TABLE.row(combination).level]
    for factor, value in enumerate(combination):
        if value in better:
            other: list[str] = list(combination)
            other[factor] = better[value]
            assert RANK[TABLE.row(tuple(other)).level] >= here  # type: ignore[arg-type]


def test_all_four_in_agreement_is_high(a_finding: MakeFinding) -> None:
    graded = grade_confidence(a_finding(probability=0.9), agreement=GOOD, stability=0.9, table=TABLE)
    assert (graded.level, review_reason(graded), graded.table_version) == ("high", "", TABLE.version)
    assert graded.reasons[0].startswith("all-agree: ")


@pytest.mark.parametrize(
    ("probability", "agreement", "stability", "level"),
    [
        (None, GOOD, 0.9, "moderate"),
        (0.9, None, 0.9, "moderate"),
        (0.9, GOOD, None, "moderate"),
        (None, None, None, "low"),
        (0.6, GOOD, 0.9, "moderate"),
        (0.3, GOOD, 0.9, "low"),
        (0.9, GOOD, 0.5, "moderate"),
        (0.9, Agreement(value=0.5, in_body=1.0), 0.9, "moderate"),
        (0.99, Agreement(value=0.1, in_body=1.0), 1.0, "low"),
        (0.99, Agreement(value=0.5, in_body=0.5), 1.0, "low"),
    ],
)
def test_what_is_missing_or_disagrees_lowers_it(
    a_finding: MakeFinding, probability: float | None, agreement: Agreement | None, stability: float | None, level: str
) -> None:
    finding = a_finding(probability=probability)
    assert grade_confidence(finding, agreement=agreement, stability=stability, table=TABLE).level == level


def test_a_place_without_focus_is_low_and_a_diffuse_one_is_unexpected_for_a_tumour(
    a_finding: MakeFinding, a_localisation: MakeLocalisation
) -> None:
    empty = a_finding(localisation=Localisation(status="empty"))
    diffuse = a_finding(localisation=a_localisation(focality="diffuse"))
    graded = [grade_confidence(finding, agreement=GOOD, stability=0.9, table=TABLE) for finding in (empty, diffuse)]
    assert [result.level for result in graded] == ["low", "moderate"]
    assert review_reason(graded[0]) == "above threshold, but no place in the image stands out"


def test_a_diffuse_oedema_is_as_expected(a_finding: MakeFinding, a_localisation: MakeLocalisation) -> None:
    finding = a_finding("oedema", localisation=a_localisation(focality="diffuse"))
    assert grade_confidence(finding, agreement=GOOD, stability=0.9, table=TABLE).level == "high"


@pytest.mark.parametrize("status", ["failed", "withheld"])
def test_a_place_that_is_not_known_is_no_support(a_finding: MakeFinding, status: str) -> None:
    finding = a_finding(localisation=Localisation(status=status))  # type: ignore[arg-type]
    assert grade_confidence(finding, agreement=GOOD, stability=0.9, table=TABLE).level == "moderate"


@pytest.mark.parametrize(
    ("name", "agreement", "words"),
    [
        ("glioma", Agreement(value=0.1, in_body=0.2), "evidence outside the head"),
        ("pneumonia", Agreement(value=0.1, in_body=0.2), "evidence outside the chest"),
        ("pneumonia", Agreement(value=0.1, in_body=1.0), "outside the lung fields"),
        ("fracture", Agreement(value=0.1, in_body=1.0), "fracture evidence away from bone"),
        ("glioma", Agreement(value=0.1, in_body=1.0), "unexpected site"),
    ],
)
def test_a_disagreement_is_flagged_with_where_the_evidence_lies(
    a_finding: MakeFinding, name: str, agreement: Agreement, words: str
) -> None:
    graded = grade_confidence(a_finding(name), agreement=agreement, stability=0.9, table=TABLE)
    assert review_reason(graded) == words


def test_a_finding_that_was_not_graded_needs_no_review() -> None:
    assert review_reason(None) == ""


@given(
    name=st.sampled_from(sorted(FINDINGS)),
    probability=st.one_of(st.none(), SHARES),
    stability=st.one_of(st.none(), SHARES),
    focality=st.sampled_from(["focal", "multifocal", "diffuse", "none"]),
    shares=st.tuples(SHARES, SHARES, SHARES, SHARES),
)
def test_confidence_never_rises_when_agreement_falls(
    a_finding: MakeFinding,
    a_localisation: MakeLocalisation,
    name: str,
    probability: float | None,
    stability: float | None,
    focality: str,
    shares: tuple[float, float, float, float],
) -> None:
    value, in_body = sorted(shares[:2])
    less = Agreement(value=value * shares[2], in_body=max(in_body * shares[3], value * shares[2]))
    finding = replace(a_finding(name, probability=probability), localisation=a_localisation(focality=focality))
    ranks = [
        RANK[grade_confidence(finding, agreement=given, stability=stability, table=TABLE).level]
        for given in (Agreement(value=value, in_body=in_body), less)
    ]
    assert ranks[1] <= ranks[0]


@pytest.mark.parametrize(
    ("name", "words"),
    [("mass", "evidence outside the lung fields"), ("fracture", "fracture evidence away from bone")],
)
def test_evidence_beside_its_tissue_is_low_and_says_which(a_finding: MakeFinding, name: str, words: str) -> None:
    finding = a_finding(name, probability=0.95)
    away, there = (replace(GOOD, in_tissue=share) for share in (0.2, 0.9))
    grades = [grade_confidence(finding, agreement=one, stability=1.0, table=TABLE) for one in (away, there)]
    assert [grade.level for grade in grades] == ["low", "high"]
    assert review_reason(grades[0]) == words
    assert not review_reason(grades[1])


def test_a_finding_that_belongs_to_no_tissue_is_not_asked_for_it(a_finding: MakeFinding) -> None:
    for name in ("glioma", "cardiomegaly", "support-device"):
        assert TABLE.tissue is not None
        assert TABLE.tissue.of(name) is None
    graded = grade_confidence(a_finding(probability=0.95), agreement=GOOD, stability=1.0, table=TABLE)
    assert not any("lung" in reason or "bone" in reason for reason in graded.reasons)


@given(name=st.sampled_from(["mass", "fracture"]), shares=st.tuples(SHARES, SHARES))
def test_confidence_never_rises_when_less_of_the_evidence_lies_in_its_tissue(
    a_finding: MakeFinding, name: str, shares: tuple[float, float]
) -> None:
    finding = a_finding(name, probability=0.95)
    ranks = [
        RANK[grade_confidence(finding, agreement=replace(GOOD, in_tissue=share), stability=1.0, table=TABLE).level]
        for share in sorted(shares)
    ]
    assert ranks[0] <= ranks[1]


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ('name = "all-agree"\nagreement = ["good"]', 'name = "all-agree"\nagreement = ["partial"]', "exactly one row"),
        ('stability = ["unknown"]\nlevel = "moderate"', 'stability = ["unknown"]\nlevel = "high"', "can't be high"),
        ("middle = 0.5", "middle = 0.9", "must grow"),
        ('bone = ["fracture"]', 'bone = ["break"]', "no finding of the taxonomy"),
        ('bone = "fracture evidence', 'limb = "fracture evidence', "bone"),
        ('oedema = ["diffuse"', 'edema = ["diffuse"', "no finding of the taxonomy"),
        ('source = "saporta-2022"', 'source = "nobody"', "not in sources.toml"),
    ],
)
def test_a_site_table_with_a_fault_is_refused(tmp_path: Path, before: str, after: str, why: str) -> None:
    assert before in PACKAGED
    path = tmp_path / "confidence.toml"
    path.write_text(PACKAGED.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(InvalidTable, match=why):
        site_confidence(path)


def test_the_packaged_table_can_be_given_as_a_sites_own(tmp_path: Path) -> None:
    path = tmp_path / "confidence.toml"
    path.write_text(PACKAGED, encoding="utf-8")
    assert site_confidence(path) == TABLE
