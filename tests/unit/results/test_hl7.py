"""An ORU message says what the reading says, is valid by an independent validator, and never claims to be final."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.exceptions import HL7apyException
from hl7apy.parser import parse_components, parse_message
from hypothesis import given, settings
from hypothesis import strategies as st

from radiolucent.errors import EncodingError
from radiolucent.findings.narrative import write
from radiolucent.findings.reading import Refusal
from radiolucent.findings.tables import InvalidTable
from radiolucent.findings.taxonomy import Code
from radiolucent.results.hl7 import filler_order_number
from radiolucent.results.order import OrderFacts
from radiolucent.results.provenance import Provenance
from tests.unit.results.messages import FACTS, UNREAD, Received, readings, received, send
from tests.unit.results.pages import MADE_AT, finding, reading, series

EVERY = pytest.mark.parametrize("kind", readings())
VIEWER = "https://viewer.example/read?study={study}&series={series}&finding={finding}"


def _strictly_valid(data: bytes) -> bool:
    """hl7apy takes every OBX-5 for ST when it reads a message, so values are validated by their own type."""
    segments = []
    for line in data.decode().split("\r")[:-1]:
        fields = line.split("|")
        if fields[0] == "OBX":
            assert parse_components(fields[5], fields[2], "2.5.1", validation_level=VALIDATION_LEVEL.STRICT)
            fields[5] = "x" if fields[2] in ("TX", "FT") else fields[5]
        segments.append("|".join(fields))
    message = parse_message("\r".join(segments), validation_level=VALIDATION_LEVEL.STRICT, find_groups=True)
    return bool(message.validate())


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("compared", "preliminary"),
        ("compared", "corrected"),
        ("partly-read", "withdrawn"),
        ("uncalibrated", "preliminary"),
        ("several-series", "preliminary"),
        ("not-read", "preliminary"),
    ],
)
def test_hl7apy_finds_a_message_strictly_valid(kind: str, status: Any) -> None:
    assert _strictly_valid(send(readings()[kind], status=status, viewer_url=VIEWER, reason="wrong patient"))


def test_the_validator_would_see_a_field_in_the_wrong_place() -> None:
    data = send(readings()["positive"]).replace(b"ORC|RE", b"ORC|RE|||||||||||||||||||||||||||||||||x")
    with pytest.raises(HL7apyException):
        _strictly_valid(data)


@EVERY
def test_the_same_inputs_give_the_same_message(kind: str) -> None:
    assert send(readings()[kind]) == send(readings()[kind])


def test_another_input_gives_another_control_id() -> None:
    value = readings()["positive"]
    options: list[dict[str, Any]] = [{}, {"status": "corrected"}, {"status": "withdrawn"}, {"language": "de"}]
    options += [{"revision": 2}, {"viewer_url": VIEWER}, {"made_at": datetime(2026, 1, 1, tzinfo=UTC)}]
    identifiers = [received(value, **option).field("MSH", 10)[0] for option in options]
    assert len(set(identifiers)) == len(options)
    assert {len(identifier) for identifier in identifiers} == {20}


def test_segments_come_in_the_order_of_the_message_structure() -> None:
    names = received(readings()["partly-read"]).names()
    assert names[:6] == ["MSH", "PID", "PV1", "ORC", "OBR", "TQ1"]
    assert set(names[6:]) == {"OBX"}


def test_header_patient_and_order_stand_where_a_ris_looks_for_them() -> None:
    message = received(readings()["critical"], replace(FACTS, referring_physician="Doe^Jane", visit_number="V1"))
    assert message.field("MSH", 9) == ("ORU", "R01", "ORU_R01")
    assert message.field("MSH", 12) == ("2.5.1",)
    assert message.field("MSH", 18) == ("UNICODE UTF-8",)
    assert message.field("PID", 3) == ("SYN-7", "", "", "SITE")
    assert message.field("PID", 5) == ("Phantom", "Test", "", "Jr", "Dr", "", "L")
    assert (message.field("PID", 7), message.field("PID", 8)) == (("19700101",), ("O",))
    assert message.field("PV1", 8) == ("", "Doe", "Jane")
    assert message.field("PV1", 19) == ("V1",)
    assert message.field("OBR", 2) == message.field("ORC", 2) == ("PL-9",)
    assert message.field("OBR", 3) == message.field("ORC", 3)
    assert message.field("OBR", 7) == ("20261120131500+0000",)
    assert message.field("OBR", 18) == ("ACC-1",)
    assert message.field("OBR", 22) == ("20261120140200.000+0000",)
    assert message.field("OBR", 25) == ("P",)


def test_nothing_is_said_of_a_patient_that_the_facts_do_not_say() -> None:
    message = received(readings()["positive"], OrderFacts(patient_id="SYN-7"))
    assert [message.field("PID", number)[0] for number in (1, 3, 7, 8)] == ["1", "SYN-7", "", ""]
    assert message.field("PID", 5) == ("", "", "", "", "", "", "U")
    assert message.field("PV1", 2) == ("U",)
    assert (message.field("OBR", 2), message.field("OBR", 7), message.field("OBR", 18)) == (("",), ("",), ("",))


def test_the_procedure_is_the_ordered_one_where_it_is_known() -> None:
    ordered = Code(value="IMG1", scheme="99SITE", meaning="MR head")
    assert received(readings()["positive"]).field("OBR", 4) == ("24590-2", "Brain MRI", "LN")
    assert received(readings()["not-read"]).field("OBR", 4)[0] == "18748-4"
    message = received(readings()["positive"], replace(FACTS, procedure=ordered))
    assert message.field("OBR", 4) == ("IMG1", "MR head", "99SITE")


def test_a_positive_finding_is_one_group_with_all_that_the_reading_knows() -> None:
    value = readings()["compared"]
    group = received(value, viewer_url=VIEWER).groups()[0]
    provenance = Provenance(made_at=MADE_AT, study_instance_uid="2.25.1")
    assert group["121071"] == ("RL0101", "Glioma", "99RADIOLUCENT", "", "", "", "", "", "glioma")
    assert group["122157"] == ("0.91",)
    assert group["operating-point"] == ("0.5",)
    assert "score" not in group
    assert group["urgency"][:2] == ("urgency-3", "3 soon")
    assert group["confidence"][:2] == ("conf-moderate", "moderate")
    assert group["272741003"][:3] == ("7771000", "Left", "SCT")
    assert group["130401"][0] == "located"
    assert group["change"][0] == "chg-unchanged"
    assert group["training-basis"][0] == "real"
    assert group["engine"] == ("brain-mri@1.2.0",)
    assert group["110180"] == ("", "2.25.1", "ISO")
    assert group["112002"] == ("", "1.2.3", "ISO")
    assert group["112040"][1] == provenance.tracking_uid("glioma", value.series[0], "1")
    assert group["viewer"] == ("https://viewer.example/read?study=2.25.1&series=1.2.3&finding=glioma",)


def test_a_finding_below_its_threshold_says_so_and_never_normal() -> None:
    data = send(readings()["negative"])
    message = Received.of(data)
    group = message.groups()[0]
    assert group["RL0102"][:3] == ("no-finding", "No finding above threshold", "99RADIOLUCENT")
    assert group["RL0102"][8] == "meningioma: no finding above threshold"
    assert group["122157"] == ("0.123457",)
    assert {one.flag for one in message.observations()} == {""}
    assert b"normal" not in data.lower()
    assert b"Present" not in data


def test_a_score_that_is_not_calibrated_is_never_a_probability() -> None:
    data = send(readings()["uncalibrated"])
    message = Received.of(data)
    for group in message.groups():
        assert "122157" not in group
        assert group["score"] == ("0.88",)
    named = {one.code[1] for one in message.observations() if one.code[0] == "score"}
    assert named == {"Uncalibrated score, not a probability"}
    assert message.groups()[0]["training-basis"][1] == "Synthetic images (phantom) only"
    assert b"%" not in data


def test_what_was_not_read_is_told_with_its_reasons() -> None:
    message = received(readings()["partly-read"])
    first, second = message.groups()[2:]
    assert first["not-read"] == ("it has no contrast agent.",)
    assert (first["reason-code"], first["modality"], first["series"]) == (("no-contrast",), ("MR",), ("PD",))
    assert second["not-read"] == ("the file ends early",)
    assert message.study()["state"][0] == "partly-read"


@pytest.mark.parametrize("kind", ["not-read", "only-problems"])
def test_a_study_that_was_not_read_gets_no_priority_and_no_statement(kind: str) -> None:
    message = received(readings()[kind])
    assert "TQ1" not in message.names()
    assert message.study()["state"][0] == "not-read"
    assert message.study()["19005-8"] == ("Not read. This is no statement about the study.",)


def test_an_unread_series_without_a_reason_says_that_no_engine_reads_it() -> None:
    bare = replace(UNREAD, refusals=())
    twice = replace(UNREAD, refusals=(Refusal(code="a", reason="too dark."), Refusal(code="a", reason="too dark.")))
    groups = received(reading(unread=(bare, twice))).groups()
    assert [group["not-read"][0] for group in groups] == ["no engine reads it.", "too dark."]


@pytest.mark.parametrize(
    ("kind", "priority"), [("critical", "S"), ("positive", "A"), ("negative", "R"), ("several-series", "A")]
)
def test_the_priority_follows_the_most_urgent_finding(kind: str, priority: str) -> None:
    assert received(readings()[kind]).field("TQ1", 9)[0] == priority
    assert received(readings()[kind]).field("TQ1", 9)[2] == "HL70485"


def test_a_critical_finding_is_flagged_as_such() -> None:
    flags = {one.code[0]: one.flag for one in received(readings()["critical"]).observations() if one.flag}
    assert flags == {"121071": "AA"}
    flags = {one.code[0]: one.flag for one in received(readings()["positive"]).observations() if one.flag}
    assert flags == {"121071": "A"}


@EVERY
@pytest.mark.parametrize(
    ("status", "order", "result"), [("preliminary", "P", "P"), ("corrected", "C", "C"), ("withdrawn", "C", "W")]
)
def test_every_observation_has_the_status_of_the_message_and_none_is_final(
    kind: str, status: Any, order: str, result: str
) -> None:
    message = received(readings()[kind], status=status)
    assert message.field("OBR", 25) == (order,)
    assert {one.status for one in message.observations()} == {result}


@EVERY
def test_a_withdrawal_repeats_the_observations_but_no_text_no_flag_and_no_urgency(kind: str) -> None:
    first = received(readings()[kind])
    last = received(readings()[kind], status="withdrawn", reason="wrong patient")
    sentence = "This AI result is withdrawn. Do not use it: wrong patient."
    assert last.field("OBR", 3) == first.field("OBR", 3)
    before = {(one.code, one.group) for one in first.observations()}
    after = {(one.code, one.group) for one in last.observations()}
    assert after - before == {(("withdrawal", "Withdrawn", "99RADIOLUCENT"), "")}
    assert before - after == set()
    assert last.study()["withdrawal"] == (sentence,)
    assert {last.study()[text] for text in ("19005-8", "59776-5")} == {(sentence,)}
    assert {one.flag for one in last.observations()} == {""}
    if "TQ1" in last.names():
        assert last.field("TQ1", 9)[0] == "R"


def test_a_correction_goes_under_the_earlier_filler_number() -> None:
    value, other = readings()["positive"], readings()["several-series"]
    number = filler_order_number(value, FACTS)
    assert received(value, status="preliminary").field("OBR", 3) == (number, "RADIOLUCENT")
    assert received(other, status="corrected", revision=2).field("OBR", 3) == (number, "RADIOLUCENT")
    assert filler_order_number(replace(value, study_instance_uid="2.25.2"), FACTS) != number
    known = replace(FACTS, filler_order_number="RIS-7")
    assert received(value, known, status="withdrawn").field("OBR", 3)[0] == "RIS-7"
    assert len(number) == 20


@EVERY
@pytest.mark.parametrize("language", ["en", "de"])
def test_the_text_is_that_of_the_narrative(kind: str, language: str) -> None:
    narrative = write(readings()[kind], language)
    study = received(readings()[kind], language=language).study()
    assert study["19005-8"][0].replace("\r", "\n") == narrative.impression_text
    assert study["59776-5"][0].replace("\r", "\n") == narrative.findings_text
    assert study.get("not-read-text", ("",))[0].replace("\r", "\n") == narrative.not_read_text
    assert study["notice"] == (narrative.disclaimer,)


AWKWARD = st.text(
    st.one_of(st.sampled_from("|^~\\&\r\n\t\x00\x0b\x1c\x7f\x85\u2028 äß肺"), st.characters(exclude_categories=["Cs"])),
    max_size=60,
)


@settings(max_examples=40, deadline=None)
@given(AWKWARD, AWKWARD, AWKWARD)
def test_no_text_of_a_sender_can_add_a_segment_or_get_lost(description: str, reason: str, name: str) -> None:
    refusal = replace(UNREAD, description=description, refusals=(Refusal(code="x", reason=reason),))
    value = reading(series(finding(), description=description), unread=(refusal,))
    plain = received(reading(series(finding(), description="x"), unread=(replace(UNREAD, description="x"),)))
    message = received(value, replace(FACTS, patient_name=f"{name}^T".replace("=", ""), accession_number=name))
    groups = message.groups()
    assert len(message.names()) == len(plain.names()) - 2 * (not description)
    if description:
        assert groups[0]["series"] == groups[1]["series"] == (description,)
    assert groups[1]["not-read"] == (f"{reason.rstrip('.')}.",)
    assert message.field("OBR", 18) == (name,)


@pytest.mark.parametrize("patient_id", ["", "  "])
def test_a_message_without_a_patient_is_refused(patient_id: str) -> None:
    with pytest.raises(EncodingError, match="patient ID"):
        send(readings()["positive"], replace(FACTS, patient_id=patient_id))


@pytest.mark.parametrize(
    "broken",
    [
        reading(series(finding(probability=float("nan")))),
        reading(series(finding()), study_instance_uid="no uid"),
        reading(series(finding(), series_instance_uid="")),
        reading(series(finding(), engine=replace(series().engine, name="e" * 200))),
    ],
    ids=["no-number", "study-uid", "series-uid", "engine"],
)
def test_what_can_not_be_sent_is_refused(broken: Any) -> None:
    with pytest.raises(EncodingError):
        send(broken)


@pytest.mark.parametrize("address", ["javascript:alert(1)", "https://", "viewer", "https://a b/"])
def test_a_viewer_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(EncodingError, match="viewer"):
        send(readings()["positive"], viewer_url=address)


def test_an_unknown_language_is_refused() -> None:
    with pytest.raises(InvalidTable):
        send(readings()["positive"], language="tlh")


def test_an_accession_number_is_needed_where_results_are_filed_under_it() -> None:
    from radiolucent.results.hl7_mapping import default_mapping

    mapping = default_mapping()
    mapping = mapping.model_copy(update={"message": mapping.message.model_copy(update={"filler": "accession"})})
    with pytest.raises(EncodingError, match="accession"):
        send(readings()["positive"], replace(FACTS, accession_number=""), mapping=mapping)
