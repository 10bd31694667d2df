"""The findings table: complete, coded only as far as codes are known, and documented."""

import re
from pathlib import Path
from typing import cast

import pytest
from pydicom.sr._concepts_dict import concepts

from radiolucent.errors import InvalidBundle
from radiolucent.findings.taxonomy import (
    FINDINGS,
    LOCAL_SCHEME,
    TORCHXRAYVISION,
    Code,
    FindingType,
    as_markdown,
    finding_type,
    study_code,
)

TABLES = cast("dict[str, dict[str, dict[str, object]]]", concepts)  # every code that pydicom carries from PS3.16
PS3_16 = {(scheme, value) for scheme, words in TABLES.items() for meanings in words.values() for value in meanings}
ROWS = pytest.mark.parametrize("row", FINDINGS.values(), ids=FINDINGS.keys())


@ROWS
def test_names_are_kebab_case_ascii_and_british(row: FindingType) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", row.name)
    assert not re.search(r"hemorrhage|edema(?<!oedema)|tumor(?!u)", f"{row.name} {row.label} {row.noun} {row.phrase}")


@ROWS
def test_a_grade_a_code_stands_in_the_tables_of_ps3_16(row: FindingType) -> None:
    assert ((row.code.scheme, row.code.value) in PS3_16) or row.grade != "A"


@ROWS
def test_a_code_is_local_exactly_where_no_graded_one_is_known(row: FindingType) -> None:
    assert (row.code.scheme == LOCAL_SCHEME) == (row.grade == "local")


@ROWS
def test_every_site_stands_in_the_tables_of_ps3_16(row: FindingType) -> None:
    assert (row.site.scheme, row.site.value) in PS3_16


@ROWS
def test_the_phrase_holds_the_noun(row: FindingType) -> None:
    article = row.phrase.removesuffix(row.noun).strip()
    assert article in {"", "a", "an"}
    assert (article == "an") <= (row.noun[0] in "aeiou")
    assert (article == "a") <= (row.noun[0] not in "aeiou")


def test_code_and_site_together_are_unique() -> None:
    pairs = [(row.code.scheme, row.code.value, row.site.value) for row in FINDINGS.values()]
    assert len(set(pairs)) == len(pairs)


def test_codes_known_to_be_wrong_or_in_conflict_are_not_used() -> None:
    used = {row.code.value for row in FINDINGS.values()}
    conflicting = {"287272002", "267038008", "95436003", "51615001", "7713009", "35486000", "712832005", "83329005"}
    assert used.isdisjoint(conflicting | {"95457006", "71186008", "23276006", "95455008"})


def test_every_study_of_a_bleed_is_critical() -> None:
    bleeds = [row for row in FINDINGS.values() if row.name.endswith("haemorrhage")]
    assert len(bleeds) == 7
    assert all(row.critical and row.anatomy == "head" for row in bleeds)


def test_an_unknown_finding_is_refused_with_the_names_that_are_known() -> None:
    with pytest.raises(InvalidBundle, match=r"'edema' is not in the taxonomy; use one of glioma, meningioma"):
        finding_type("edema")


def test_all_eighteen_names_of_torchxrayvision_lead_to_a_row_of_their_own() -> None:
    assert len(TORCHXRAYVISION) == 18
    assert len({finding_type(ours).name for ours in TORCHXRAYVISION.values()}) == 18


def test_eighteen_chest_findings_are_there_beside_the_extra_names_of_torchxrayvision() -> None:
    extra = {"lung-lesion", "lung-opacity", "enlarged-cardiomediastinum"}
    chest = {row.name for row in FINDINGS.values() if row.anatomy == "chest"}
    assert extra < chest
    assert len(chest - extra) == 18


@pytest.mark.parametrize(
    "parts",
    [
        {"value": "x" * 17, "scheme": "SCT", "meaning": "long"},
        {"value": "", "scheme": "SCT", "meaning": "empty"},
        {"value": "1", "scheme": "x" * 17, "meaning": "long"},
        {"value": "1", "scheme": "SCT", "meaning": "x" * 65},
    ],
)
def test_a_code_that_dicom_could_not_hold_is_refused(parts: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="must have 1 to"):
        Code(**parts)


def test_a_study_without_a_code_of_its_own_is_a_diagnostic_imaging_report() -> None:
    assert study_code("CT", "head").value == "24725-4"
    assert study_code("CR", "chest").value == "18748-4"


def test_the_documented_table_is_up_to_date() -> None:
    page = Path(__file__).parents[3] / "docs" / "findings.md"
    assert page.read_text(encoding="utf-8") == as_markdown(), (
        "run: python -m radiolucent.findings.taxonomy > docs/findings.md"
    )
