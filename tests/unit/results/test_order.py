"""Facts of patient and order come from the header as they are, and nothing is filled in."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from pydicom.dataset import Dataset

from radiolucent.errors import EncodingError
from radiolucent.findings.taxonomy import Code
from radiolucent.results.order import OrderFacts, facts_of

if TYPE_CHECKING:
    from tests.unit.results.cases import Case


def _procedure(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def test_the_facts_of_a_header_are_taken_over(make_case: Callable[..., Case]) -> None:
    stack = make_case("cr", seed=77).stack
    stack.header.ProcedureCodeSequence = [_procedure("P1", "99SITE", "Chest")]
    stack.header.TimezoneOffsetFromUTC = "+0100"
    stack.header.IssuerOfPatientID = "SITE"
    assert facts_of(stack) == OrderFacts(
        patient_id="PHANTOM-1",
        patient_id_issuer="SITE",
        patient_name="Phantom^Test",
        birth_date="19700101",
        sex="O",
        accession_number="ACC1",
        procedure=Code(value="P1", scheme="99SITE", meaning="Chest"),
        study_date="20260301",
        study_time="101500",
        timezone="+0100",
    )


def test_a_bare_header_gives_no_facts(make_case: Callable[..., Case]) -> None:
    assert facts_of(make_case("cr", bare=True).stack) == OrderFacts()


def test_values_without_a_valid_form_are_left_out(make_case: Callable[..., Case]) -> None:
    stack = make_case("cr", seed=78).stack
    stack.header.ProcedureCodeSequence = [_procedure("", "99SITE", "Chest")]
    stack.header.TimezoneOffsetFromUTC = "later"
    facts = facts_of(stack)
    assert (facts.procedure, facts.timezone) == (None, "")


def test_a_header_without_a_study_uid_is_refused(make_case: Callable[..., Case], cases: Any) -> None:
    from dataclasses import replace

    with pytest.raises(EncodingError, match="Study Instance UID"):
        facts_of(replace(make_case("cr").stack, study_instance_uid="none"))


@pytest.mark.parametrize(
    "wrong",
    [{"birth_date": "1970"}, {"study_date": "yesterday"}, {"study_time": "25h"}, {"timezone": "CET"}, {"sex": "X"}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_facts_have_a_valid_form(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        OrderFacts(**wrong)


@pytest.mark.parametrize(
    ("date", "time", "zone", "written"),
    [
        ("20260301", "101500.123", "+0100", "20260301101500+0100"),
        ("20260301", "1015", "", "202603011015"),
        ("20260301", "10", "+0100", "20260301"),
        ("20260301", "", "+0100", "20260301"),
        ("", "101500", "", ""),
    ],
)
def test_the_moment_of_a_study_is_as_exact_as_it_is_known(date: str, time: str, zone: str, written: str) -> None:
    assert OrderFacts(study_date=date, study_time=time, timezone=zone).study_moment == written


def test_facts_do_not_name_the_patient_when_printed() -> None:
    text = repr(OrderFacts(patient_id="ID-5", patient_name="Doe^Jane"))
    assert "patient_name" in text
    assert "Doe" not in text
    assert "ID-5" not in text
