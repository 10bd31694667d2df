"""Structured assessments: filled only where an engine supplies what a scheme needs; shown with a synthetic engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.findings.lexicons import (
    LexiconField,
    LexiconMapping,
    Lexicons,
    assess,
    default_lexicons,
    load_mapping,
)
from radiolucent.findings.reading import EngineRef, Finding, Localisation, Region
from radiolucent.findings.tables import InvalidTable

MakeFinding = Callable[..., Finding]
LEXICONS = default_lexicons()
ENGINE = EngineRef(name="synthetic", version="1.0.0", digest="00")


def mapping(*fields: LexiconField, version: str = "1.0.0") -> LexiconMapping:
    return LexiconMapping(engine="synthetic", version=version, fields=fields)


BREAST = mapping(LexiconField(finding="mass", lexicon="bi-rads-style"))
LUNG = mapping(LexiconField(finding="nodule", lexicon="lung-rads-style"))
LIVER = mapping(
    LexiconField(finding="liver-probable", lexicon="li-rads-style", category="LR-4"),
    LexiconField(finding="liver-definite", lexicon="li-rads-style", category="LR-5"),
)


@pytest.mark.parametrize(
    ("probability", "category"),
    [(0.02, "3"), (0.021, "4A"), (0.1, "4A"), (0.101, "4B"), (0.5, "4B"), (0.51, "4C"), (0.949, "4C"), (0.95, "5")],
)
def test_likelihoods_fall_into_the_categories_of_the_atlas(
    a_finding: MakeFinding, probability: float, category: str
) -> None:
    (assessment,) = assess([a_finding("mass", probability=probability)], ENGINE, BREAST, LEXICONS)
    assert (assessment.lexicon, assessment.category, assessment.source) == ("bi-rads-style", category, "birads-2013")


def test_a_score_that_is_not_calibrated_gives_no_category(a_finding: MakeFinding) -> None:
    (assessment,) = assess([a_finding("mass", probability=None)], ENGINE, BREAST, LEXICONS)
    assert (assessment.category, assessment.basis) == ("", "mass is not calibrated")


@pytest.mark.parametrize(("size", "category"), [(5.9, "2"), (6.0, "3"), (8.0, "4A"), (14.9, "4A"), (15.0, "4B")])
def test_diameters_fall_into_the_categories_of_lung_rads(
    a_finding: MakeFinding,
    a_region: Callable[..., Region],
    a_localisation: Callable[..., Localisation],
    size: float,
    category: str,
) -> None:
    nodule = a_finding("nodule", localisation=a_localisation(a_region(extent_mm=(size, 1.0))))
    (assessment,) = assess([nodule], ENGINE, LUNG, LEXICONS)
    assert assessment.category == category
    assert "extent of the evidence" in assessment.basis


def test_without_a_size_there_is_no_category(a_finding: MakeFinding) -> None:
    (assessment,) = assess([a_finding("nodule", positive=False)], ENGINE, LUNG, LEXICONS)
    assert (assessment.category, assessment.basis) == ("", "nodule has no size")


def test_classes_stand_for_categories_and_the_likeliest_one_is_taken(a_finding: MakeFinding) -> None:
    findings = [a_finding("liver-probable", score=0.6), a_finding("liver-definite", score=0.9)]
    (assessment,) = assess(findings, ENGINE, LIVER, LEXICONS)
    assert (assessment.category, assessment.basis) == ("LR-5", "class liver-definite")
    (none,) = assess([a_finding("liver-probable", positive=False)], ENGINE, LIVER, LEXICONS)
    assert (none.category, none.basis) == ("", "no class is above its threshold")


def test_a_mapping_for_another_version_is_not_used(a_finding: MakeFinding) -> None:
    other = mapping(*BREAST.fields, version="2.0.0")
    assert assess([a_finding("mass")], ENGINE, other, LEXICONS) == ()
    assert assess([a_finding("glioma")], ENGINE, BREAST, LEXICONS) == ()


@given(low=st.floats(0, 1), high=st.floats(0, 1))
def test_a_higher_likelihood_never_gives_a_lower_category(a_finding: MakeFinding, low: float, high: float) -> None:
    low, high = sorted((low, high))
    order = [category.value for category in LEXICONS.lexicons[0].categories]
    ranks = [
        order.index(assess([a_finding("mass", probability=value)], ENGINE, BREAST, LEXICONS)[0].category)
        for value in (low, high)
    ]
    assert ranks[0] <= ranks[1]


@pytest.mark.parametrize(
    ("field", "why"),
    [
        (LexiconField(finding="mass", lexicon="pi-rads-style"), "no lexicon"),
        (LexiconField(finding="mass", lexicon="bi-rads-style", category="5"), "is given"),
        (LexiconField(finding="mass", lexicon="li-rads-style"), "is missing"),
        (LexiconField(finding="mass", lexicon="li-rads-style", category="LR-9"), "no category"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(a_finding: MakeFinding, field: LexiconField, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        assess([a_finding("mass")], ENGINE, mapping(field), LEXICONS)


def test_a_mapping_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "lexicon.toml"
    path.write_text(
        'engine = "synthetic"\nversion = "1.0.0"\nfields = [{ finding = "mass", lexicon = "bi-rads-style" }]'
    )
    assert load_mapping(path) == BREAST
    path.write_text('engine = "synthetic"')
    with pytest.raises(InvalidTable, match="Field required"):
        load_mapping(path)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"categories": []}, "no category"),
        ({"categories": [{"value": "1", "meaning": "", "at_least": 0.5}]}, "rise from 0"),
        ({"categories": [{"value": "1", "meaning": "", "at_least": 0}, {"value": "2", "meaning": ""}]}, "rise from 0"),
        ({"source": "hearsay"}, "not in sources"),
    ],
)
def test_a_scheme_with_a_fault_is_refused(change: dict[str, object], why: str) -> None:
    scheme = LEXICONS.lexicons[0].model_dump() | change
    with pytest.raises(ValueError, match=why):
        Lexicons.model_validate({"version": "1", "lexicons": [scheme]})
