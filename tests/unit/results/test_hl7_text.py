"""Text that goes into an HL7 field comes out of it unchanged, whatever it holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import hl7
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.errors import EncodingError
from radiolucent.findings.taxonomy import Code
from radiolucent.results.hl7_text import (
    CHARACTER_SETS,
    coded,
    components,
    entity,
    escaped,
    formatted,
    message_bytes,
    moment,
    person_names,
    segment,
    staff_name,
)

HEADER = "MSH|^~\\&|A"
AWKWARD = st.text(
    st.one_of(
        st.sampled_from("|^~\\&\r\n\t\x00\x0b\x1c\x7f\x85\u2028 äß肺\U0001f480"),
        st.characters(exclude_categories=["Cs"]),
    )
)


def _receive(field: str) -> hl7.Message:
    return hl7.parse(message_bytes([HEADER, f"OBX|1|ST|||{field}|end"], "UNICODE UTF-8"))


@given(AWKWARD)
def test_any_text_survives_the_round_trip_and_adds_no_segment(text: str) -> None:
    message = _receive(escaped(text))
    assert [str(part[0]) for part in message] == ["MSH", "OBX"]
    assert len(message[1]) == 7
    assert message.unescape(str(message[1][5])) == text


@given(AWKWARD)
def test_formatted_text_survives_with_each_line_break_as_one(text: str) -> None:
    message = _receive(formatted(text))
    assert [str(part[0]) for part in message] == ["MSH", "OBX"]
    assert message.unescape(str(message[1][5])) == text.replace("\r\n", "\n").replace("\n", "\r")


@given(st.lists(AWKWARD, min_size=1, max_size=6))
def test_components_stay_apart(parts: list[str]) -> None:
    message = _receive(components(*parts))
    read = [message.unescape(part) for part in str(message[1][5]).split("^")]
    assert read + [""] * (len(parts) - len(read)) == parts


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Phantom^Test", "Phantom^Test^^^^^L"),
        ("Phantom^Test^M^Dr^Jr", "Phantom^Test^M^Jr^Dr^^L"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada^Tarou^^^^^L^A~山田^太郎^^^^^L^I~やまだ^たろう^^^^^L^P"),
        ("=山田^太郎", "山田^太郎^^^^^L^I"),
        ("A&B|C", "A\\T\\B\\F\\C^^^^^^L"),
        ("", "^^^^^^U"),
        ("^^", "^^^^^^U"),
    ],
)
def test_a_name_is_written_in_hl7_order_and_an_unknown_one_as_unspecified(name: str, written: str) -> None:
    assert person_names(name) == written


def test_a_physician_is_named_without_an_invented_number() -> None:
    assert staff_name("Doe^Jane^^Dr") == "^Doe^Jane^^^Dr"
    assert staff_name("") == ""


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (datetime(2026, 3, 4, 5, 6, 7, 890123), "20260304050607.890"),
        (datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC), "20260304050607.000+0000"),
        (datetime(2026, 3, 4, tzinfo=timezone(timedelta(hours=-3, minutes=-30))), "20260304000000.000-0330"),
    ],
)
def test_a_moment_names_its_offset_where_it_is_known(value: datetime, written: str) -> None:
    assert moment(value) == written


def test_a_code_stands_beside_its_alternative_and_the_readers_words() -> None:
    code = Code(value="36118008", scheme="SCT", meaning="Pneumothorax")
    other = Code(value="RID5352", scheme="RADLEX", meaning="Pneumothorax")
    assert coded(code, schemes={}) == "36118008^Pneumothorax^SCT"
    assert (
        coded(code, other=other, original="Pneu", schemes={"SCT": "SNOMED-CT"})
        == "36118008^Pneumothorax^SNOMED-CT^RID5352^Pneumothorax^RADLEX^^^Pneu"
    )


def test_an_entity_without_an_identifier_is_empty() -> None:
    assert entity("", "SITE") == ""
    assert entity("1", "SITE") == "1^SITE"


def test_a_segment_ends_at_its_last_field() -> None:
    assert segment("PV1", {2: "U", 19: ""}) == "PV1||U"
    assert segment("PV1", {}) == "PV1"


@pytest.mark.parametrize("name", CHARACTER_SETS)
def test_a_message_is_written_in_the_character_set_that_it_names(name: str) -> None:
    assert message_bytes(["MSH", "PID"], name) == b"MSH\rPID\r"


@pytest.mark.parametrize(("text", "name"), [("Müller", "ASCII"), ("Łuk", "8859/1"), ("\ud800", "UNICODE UTF-8")])
def test_a_character_that_the_set_lacks_is_refused_and_not_replaced(text: str, name: str) -> None:
    with pytest.raises(EncodingError, match="character_set") as caught:
        message_bytes([text], name)
    assert text not in str(caught.value)
