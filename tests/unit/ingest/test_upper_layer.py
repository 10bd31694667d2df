"""The upper layer's bytes, against pynetdicom's own codec as the oracle, and against bytes that are wrong."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pynetdicom import build_context
from pynetdicom.pdu import A_ABORT_RQ, A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ, A_RELEASE_RP, P_DATA_TF
from pynetdicom.pdu_primitives import (
    A_ASSOCIATE,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    UserIdentityNegotiation,
)

from radiolucent.errors import BrokenProtocol
from radiolucent.ingest import upper_layer
from radiolucent.ingest.upper_layer import AbortReason, ContextAnswer, Pdu, Rejection

UIDS = st.lists(st.integers(0, 10**6), min_size=2, max_size=8).map(lambda parts: ".".join(map(str, parts)))
TITLES = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_ -", min_size=1, max_size=16).filter(lambda text: text.strip())


def request_bytes(
    contexts: Sequence[tuple[str, Sequence[str]]],
    *,
    called: str = "RADIOLUCENT",
    calling: str = "PEER",
    maximum_length: int = 16382,
) -> bytes:
    """An A-ASSOCIATE-RQ as pynetdicom writes it."""
    primitive = A_ASSOCIATE()
    primitive.application_context_name = "1.2.840.10008.3.1.1.1"
    primitive.calling_ae_title, primitive.called_ae_title = calling, called
    length, implementation = MaximumLengthNotification(), ImplementationClassUIDNotification()
    length.maximum_length_received = maximum_length
    implementation.implementation_class_uid = "1.2.3.4"
    version, window, identity = (
        ImplementationVersionNameNotification(),
        AsynchronousOperationsWindowNegotiation(),
        UserIdentityNegotiation(),
    )
    version.implementation_version_name = "PEER_1"
    window.maximum_number_operations_invoked = 5
    identity.user_identity_type, identity.primary_field = 1, b"someone"
    primitive.user_information = [length, implementation, version, window, identity]
    proposed = [build_context(abstract, list(syntaxes)) for abstract, syntaxes in contexts]
    for index, context in enumerate(proposed):
        context.context_id = 2 * index + 1
    primitive.presentation_context_definition_list = proposed
    pdu = A_ASSOCIATE_RQ()
    pdu.from_primitive(primitive)
    return bytes(pdu.encode())


@settings(max_examples=40)
@given(
    st.lists(st.tuples(UIDS, st.lists(UIDS, min_size=1, max_size=5, unique=True)), min_size=1, max_size=20),
    TITLES,
    TITLES,
    st.integers(0, 2**32 - 1),
)
def test_a_request_is_read_as_it_was_written(
    contexts: list[tuple[str, list[str]]], called: str, calling: str, length: int
) -> None:
    data = request_bytes(contexts, called=called, calling=calling, maximum_length=length)
    kind, size = upper_layer.read_header(data[:6])
    assert (kind, size) == (Pdu.ASSOCIATE_RQ, len(data) - 6)
    read = upper_layer.decode_associate_request(data[6:])
    assert (read.called_ae, read.calling_ae) == (called.strip(), calling.strip())
    assert [(one.abstract_syntax, list(one.transfer_syntaxes)) for one in read.contexts] == contexts
    assert [one.id for one in read.contexts] == list(range(1, 2 * len(contexts), 2))
    assert (read.maximum_length, read.implementation_class_uid, read.version_1) == (length, "1.2.3.4", True)


def test_the_acceptance_is_understood_by_another_implementation() -> None:
    request = upper_layer.decode_associate_request(request_bytes([("1.2.840.10008.1.1", ["1.2.840.10008.1.2"])])[6:])
    answers = (
        ContextAnswer(id=1, result=0, transfer_syntax="1.2.840.10008.1.2"),
        ContextAnswer(id=3, result=4, transfer_syntax="1.2.840.10008.1.2"),
    )
    encoded = upper_layer.encode_associate_accept(
        request,
        answers,
        maximum_length=131072,
        implementation_class_uid="1.2.3",
        implementation_version="RADIOLUCENT_0.1",
    )
    pdu = A_ASSOCIATE_AC()
    pdu.decode(encoded)
    accepted = pdu.to_primitive()
    contexts = {one.context_id: one for one in accepted.presentation_context_definition_results_list}
    assert (contexts[1].result, contexts[3].result) == (0, 4)
    assert contexts[1].transfer_syntax == ["1.2.840.10008.1.2"]
    assert accepted.maximum_length_received == 131072
    assert accepted.implementation_class_uid == "1.2.3"
    assert (accepted.called_ae_title, accepted.calling_ae_title) == ("RADIOLUCENT", "PEER")


@pytest.mark.parametrize(
    ("rejection", "said"),
    [
        (upper_layer.CONTEXT_NOT_SUPPORTED, "Application context name not supported"),
        (upper_layer.CALLING_AE_UNKNOWN, "Calling AE title not recognised"),
        (upper_layer.CALLED_AE_UNKNOWN, "Called AE title not recognised"),
        (upper_layer.VERSION_NOT_SUPPORTED, "Protocol version not supported"),
        (upper_layer.TOO_MANY, "Local limit exceeded"),
    ],
)
def test_every_rejection_has_the_reason_of_the_standard(rejection: Rejection, said: str) -> None:
    pdu = A_ASSOCIATE_RJ()
    pdu.decode(upper_layer.encode_rejection(rejection))
    assert pdu.reason_str.replace("recognized", "recognised") == said
    assert pdu.result == (2 if rejection is upper_layer.TOO_MANY else 1)


@pytest.mark.parametrize("reason", AbortReason)
def test_every_abort_is_by_the_provider(reason: AbortReason) -> None:
    pdu = A_ABORT_RQ()
    pdu.decode(bytes(upper_layer.encode_abort(reason)))
    assert (pdu.source, pdu.reason_diagnostic) == (2, reason)


def test_the_release_response_is_the_one_of_the_standard() -> None:
    assert upper_layer.encode_release_response() == bytes(A_RELEASE_RP().encode())


@given(st.binary(min_size=1, max_size=500), st.one_of(st.just(0), st.integers(8, 200)), st.integers(1, 255))
def test_a_command_is_cut_to_what_the_peer_takes(command: bytes, maximum: int, context: int) -> None:
    encoded = upper_layer.encode_command(context, command, maximum_length=maximum)
    got, at, last = b"", 0, []
    while at < len(encoded):
        kind, length = upper_layer.read_header(encoded[at : at + 6])
        assert kind is Pdu.P_DATA
        assert not maximum or length <= maximum
        P_DATA_TF().decode(bytes(encoded[at : at + 6 + length]))
        (fragment,) = upper_layer.read_fragments(memoryview(encoded)[at + 6 : at + 6 + length])
        assert (fragment.context_id, fragment.is_command) == (context, True)
        got += bytes(fragment.data)
        last.append(fragment.is_last)
        at += 6 + length
    assert got == command
    assert last == [False] * (len(last) - 1) + [True]


@given(st.binary(max_size=400))
def test_any_bytes_are_read_as_fragments_or_refused(body: bytes) -> None:
    try:
        fragments = list(upper_layer.read_fragments(memoryview(body)))
    except BrokenProtocol:
        return
    assert sum(6 + len(fragment.data) for fragment in fragments) == len(body)


@settings(max_examples=300)
@given(st.data())
def test_a_damaged_request_is_read_or_refused_and_nothing_else(data: st.DataObject) -> None:
    good = bytearray(request_bytes([("1.2.840.10008.1.1", ["1.2.840.10008.1.2"])] * 3)[6:])
    for _ in range(data.draw(st.integers(1, 6))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(good)))
    try:
        read = upper_layer.decode_associate_request(bytes(good[:cut]))
    except BrokenProtocol:
        return
    assert len({context.id for context in read.contexts}) == len(read.contexts) <= 128


@pytest.mark.parametrize("kind", [0, 8, 99, 255])
def test_an_unknown_kind_of_pdu_is_refused(kind: int) -> None:
    with pytest.raises(BrokenProtocol) as refused:
        upper_layer.read_header(struct.pack(">BxL", kind, 4))
    assert refused.value.reason == AbortReason.UNRECOGNISED_PDU


def _body(items: bytes) -> bytes:
    return struct.pack(">HH", 1, 0) + b"RADIOLUCENT     PEER            " + bytes(32) + items


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"\x00\x01", "too short"),
        (_body(b"\x10\x00"), "cut off"),
        (_body(b"\x10\x00\x00\xff1.2"), "outside of its parent"),
        (_body(_item(0x20, bytes((2, 0, 0, 0)))), "odd id"),
        (_body(_item(0x20, bytes((1, 0, 0, 0)))), "single abstract syntax"),
        (_body(_item(0x20, bytes((1, 0, 0, 0)) + _item(0x30, b"1.2")) * 2), "given twice"),
        (_body(_item(0x50, _item(0x51, b"\x00\x01"))), "4 bytes"),
        (_body(_item(0x10, "1.2é".encode())), "default repertoire"),
        (_body(_item(0x10, b"1.2\x07")), "control characters"),
    ],
)
def test_a_request_that_breaks_the_standard_is_refused_with_the_reason(body: bytes, what: str) -> None:
    with pytest.raises(BrokenProtocol, match=what):
        upper_layer.decode_associate_request(body)


@pytest.mark.parametrize("body", [b"\x00\x00", b"\x00\x00\x00\x01\x01\x01", b"\x00\x00\x00\x09\x01\x03ab"])
def test_a_data_value_that_breaks_the_standard_is_refused(body: bytes) -> None:
    with pytest.raises(BrokenProtocol):
        list(upper_layer.read_fragments(memoryview(body)))
