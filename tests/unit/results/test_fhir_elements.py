"""Small parts: text that FHIR and XML accept, identifiers that follow from inputs, moments as exact as known."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.findings.taxonomy import Code
from radiolucent.results.fhir_elements import clean, concept, identifier, narrative, query, study_date, urn
from radiolucent.results.fhir_mapping import default_mapping
from radiolucent.results.order import OrderFacts


@given(st.text())
def test_clean_text_is_what_fhir_and_xml_accept(text: str) -> None:
    cleaned = clean(text)
    assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]", cleaned)
    assert clean(cleaned) == cleaned


@given(st.lists(st.text(), max_size=3))
def test_a_narrative_is_well_formed_and_shows_the_text(texts: list[str]) -> None:
    root = ElementTree.fromstring(narrative(*texts)["div"])
    assert len(root) == len([text for text in texts if clean(text)])


def test_control_characters_stay_visible() -> None:
    assert clean("a\x00b\x7f\ud800") == "a␀b␡\ufffd"


def test_an_identifier_follows_from_its_parts_alone() -> None:
    assert urn("a", "b") == urn("a", "b")
    assert len({urn("a", "b"), urn("ab"), urn("b", "a"), urn("a", "b", "")}) == 4
    assert query(identifier("urn:uuid:1")) == "identifier=urn:ietf:rfc:3986%7Curn:uuid:1"


def test_a_code_without_a_known_system_is_text_alone() -> None:
    code = Code(value="X1", scheme="99OTHER", meaning="Other")
    assert concept(code, default_mapping()) == {"text": "Other"}


@pytest.mark.parametrize(
    ("date", "time", "zone", "written"),
    [
        ("20261120", "131500.5", "+0100", "2026-11-20T13:15:00+01:00"),
        ("20261120", "1315", "-0330", "2026-11-20T13:15:00-03:30"),
        ("20261120", "131500", "", "2026-11-20"),
        ("20261120", "13", "+0100", "2026-11-20"),
        ("", "131500", "+0100", ""),
    ],
)
def test_the_date_of_a_study_is_as_exact_as_it_is_known(date: str, time: str, zone: str, written: str) -> None:
    assert study_date(OrderFacts(study_date=date, study_time=time, timezone=zone)) == written
