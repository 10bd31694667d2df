from __future__ import annotations

import struct
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pynetdicom.dsutils import decode, encode

from radiolucent.errors import BrokenProtocol
from radiolucent.ingest import commands
from radiolucent.ingest.commands import Command, Field


def store_request(**changes: object) -> Dataset:
    request = Dataset()
    request.AffectedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    request.CommandField = 1
    request.MessageID = 7
    request.Priority = 2
    request.CommandDataSetType = 1
    request.AffectedSOPInstanceUID = "1.2.3"
    for keyword, value in changes.items():
        setattr(request, keyword, value)
    return request


def _encoded(request: Dataset) -> bytes:
    encoded = encode(request, True, True)
    assert encoded is not None
    return encoded


def test_a_request_is_read_as_another_implementation_wrote_it() -> None:
    assert commands.decode_command(_encoded(store_request())) == Command(
        field=Field.C_STORE,
        message_id=7,
        has_data_set=True,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
        sop_instance_uid="1.2.3",
    )


@given(st.integers(0, 0xFFFF), st.integers(0, 0xFFFF), st.text("abc :", max_size=80))
def test_a_response_is_read_by_another_implementation_as_it_was_meant(status: int, message: int, comment: str) -> None:
    request = commands.decode_command(_encoded(store_request(MessageID=message)))
    encoded = commands.encode_response(request, status, comment)
    read = decode(BytesIO(encoded), True, True)
    assert read.CommandGroupLength == len(encoded) - 12
    assert (read.CommandField, read.MessageIDBeingRespondedTo, read.Status) == (0x8001, message, status)
    assert (read.AffectedSOPInstanceUID, read.CommandDataSetType) == ("1.2.3", 0x0101)
    assert read.get("ErrorComment", "") == comment[:64].rstrip()


@given(st.binary(max_size=200))
def test_any_bytes_are_a_command_or_refused(data: bytes) -> None:
    try:
        read = commands.decode_command(data)
    except BrokenProtocol:
        return
    assert 0 <= read.field <= 0xFFFF


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\x00",
        struct.pack("<HHL", 8, 0x100, 2) + b"\x01\x00",
        struct.pack("<HHL", 0, 0x100, 200) + b"\x01\x00",
        _encoded(store_request(CommandField=None)),
        _encoded(store_request())[:-4] + "é".encode() * 2,
    ],
    ids=["cut off", "another group", "too long", "no field", "not ASCII"],
)
def test_a_command_that_breaks_the_standard_is_refused(data: bytes) -> None:
    with pytest.raises(BrokenProtocol):
        commands.decode_command(data)
