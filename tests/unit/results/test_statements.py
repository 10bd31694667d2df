"""What messages say of a finding, before any format is chosen."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.errors import EncodingError
from radiolucent.findings.phrases import LANGUAGES, phrases
from radiolucent.findings.reading import Finding, Graded, Localisation
from radiolucent.findings.taxonomy import FINDINGS
from radiolucent.results import codes
from radiolucent.results.measurement_groups import _SIDES
from radiolucent.results.statements import (
    BASES,
    HEATMAPS,
    NO_FINDING,
    SIDES,
    STATES,
    change_code,
    check,
    confidence_code,
    is_urgent,
    most_urgent,
    rounded,
    statements,
    urgency_code,
    viewer_link,
    withdrawal,
)
from tests.unit.results.messages import readings
from tests.unit.results.pages import finding, reading, series

WORDS = phrases("en")


def test_positives_come_first_and_every_finding_once() -> None:
    value = readings()["several-series"]
    told = statements(value, WORDS)
    assert [entry.number for entry in told] == [1, 2, 3, 4]
    assert [entry.finding.positive for entry in told] == [True, True, True, False]
    assert sorted(id(entry.finding) for entry in told) == sorted(id(one) for one in value.findings)


def test_sides_are_the_codes_of_the_structured_report() -> None:
    for side, code in _SIDES.items():
        assert (SIDES[side].value, SIDES[side].scheme) == (code.value, code.scheme_designator)


def test_a_side_is_told_only_of_what_was_located() -> None:
    place = Localisation(status="located", laterality="unknown")
    for where in (place, Localisation(status="withheld", laterality="left"), None):
        value = reading(series(finding(localisation=where)))
        assert statements(value, WORDS)[0].side is None


@pytest.mark.parametrize("status", get_args(get_type_hints(Localisation)["status"]))
def test_every_status_of_a_heatmap_has_a_code(status: str) -> None:
    assert HEATMAPS[status].scheme == "99RADIOLUCENT"


def test_every_own_code_has_a_meaning_of_its_own() -> None:
    every = [NO_FINDING, *HEATMAPS.values(), *BASES.values()]
    assert len({code.value for code in every}) == len(every)
    assert set(STATES) == {"read", "partly-read", "not-read"}
    assert codes.NO_FOCUS.value == HEATMAPS["empty"].value


@pytest.mark.parametrize("change", ["new", "larger", "smaller", "unchanged", "resolved", "not-compared"])
def test_every_change_has_a_code(change: str) -> None:
    code = change_code(finding(change=change))
    assert code is not None
    assert code.value == f"chg-{change}"


def test_levels_become_codes() -> None:
    assert urgency_code(Graded(level="1 critical", reasons=(), table_version="1")).value == "urgency-1"
    for level in ("high", "moderate", "low"):
        assert confidence_code(Graded(level=level, reasons=(), table_version="1")).value == f"conf-{level}"


def test_the_most_urgent_level_speaks_for_the_study() -> None:
    worst = most_urgent(readings()["critical"])
    assert worst is not None
    assert worst.level.startswith("1")
    assert is_urgent(worst)
    assert not is_urgent(most_urgent(readings()["negative"]))
    assert most_urgent(readings()["not-judged"]) is None
    assert not is_urgent(None)


@given(st.floats(min_value=0, max_value=1))
def test_a_rounded_number_is_close_and_fits_a_number_field(value: float) -> None:
    number = rounded(value)
    assert math.isclose(float(number), value, rel_tol=1e-5, abs_tol=1e-14)
    assert len(f"{number:f}") <= 16
    assert "e" not in f"{number:f}".lower()


def test_numbers_keep_no_zeros_and_no_exponent() -> None:
    assert [f"{rounded(value):f}" for value in (0.0, 1.0, 100.0, -3.5)] == ["0", "1", "100", "-3.5"]
    assert rounded(0.5) == Decimal("0.5")


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(EncodingError, match="not a number"):
        rounded(value)


def _wrong(**changes: object) -> Finding:
    return replace(finding(), **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "broken",
    [
        reading(series(_wrong(score=math.nan))),
        reading(series(_wrong(operating_point=math.inf))),
        reading(series(finding(), series_instance_uid="1.2.x")),
        reading(study_instance_uid=""),
    ],
    ids=["score", "operating-point", "series", "study"],
)
def test_a_reading_that_can_not_be_sent_is_refused(broken: object) -> None:
    with pytest.raises(EncodingError):
        check(broken)  # type: ignore[arg-type]


def test_the_viewers_address_is_filled_in_and_quoted() -> None:
    assert viewer_link("http://v/{study}/{finding}", "1.2", "", "a b&c") == "http://v/1.2/a%20b%26c"
    for address in ("ftp://v/", "//v/", "http:///x", "http://v/\n", "http://vü/"):
        with pytest.raises(EncodingError, match="viewer"):
            viewer_link(address, "1.2")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_withdrawal_is_worded_in_every_language(language: str) -> None:
    assert withdrawal(language, "").endswith(".")
    assert withdrawal(language, "wrong patient.").endswith(": wrong patient.")


def test_every_finding_of_the_taxonomy_can_be_told() -> None:
    value = reading(series(*(finding(name) for name in FINDINGS)))
    assert {entry.kind.name for entry in statements(value, WORDS)} == set(FINDINGS)
