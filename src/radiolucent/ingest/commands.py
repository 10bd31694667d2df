"""DIMSE command sets (PS3.7 section 9.3 and annex E): the few that a Storage SCP reads and writes."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from radiolucent.errors import BrokenProtocol

MAX_COMMAND_BYTES: Final = 2**14
NO_DATA_SET: Final = 0x0101
SUCCESS: Final = 0x0000
SOP_CLASS_NOT_SUPPORTED: Final = 0x0122
UNRECOGNISED_OPERATION: Final = 0x0211
INVALID_ARGUMENT: Final = 0x0115
"""PS3.7 annex C."""
_RESPONSE: Final = 0x8000
_INVALID_PARAMETER: Final = 6
_AFFECTED_CLASS, _FIELD, _MESSAGE_ID, _RESPONDED_TO = 0x0002, 0x0100, 0x0110, 0x0120
_DATA_SET_TYPE, _STATUS, _COMMENT, _AFFECTED_INSTANCE = 0x0800, 0x0900, 0x0902, 0x1000


class Field(IntEnum):
    """Command Field (0000,0100) of the requests that are served (PS3.7 annex E)."""

    C_STORE = 0x0001
    C_ECHO = 0x0030
    C_CANCEL = 0x0FFF


@dataclass(frozen=True, kw_only=True)
class Command:
    """A request's command set; UIDs are empty where it has none."""

    field: int
    message_id: int
    has_data_set: bool
    sop_class_uid: str
    sop_instance_uid: str


def decode_command(data: bytes) -> Command:
    """Read a request's command set, Implicit VR Little Endian (PS3.7 section 6.3.1).

    Raises
    ------
    BrokenProtocol
        If an element ends outside of the data, isn't of group 0000, or a needed number is missing.
    """
    elements = _elements(data)
    return Command(
        field=_number(elements, _FIELD),
        message_id=_number(elements, _MESSAGE_ID) if _MESSAGE_ID in elements else 0,
        has_data_set=_number(elements, _DATA_SET_TYPE) != NO_DATA_SET,
        sop_class_uid=_uid(elements.get(_AFFECTED_CLASS, b"")),
        sop_instance_uid=_uid(elements.get(_AFFECTED_INSTANCE, b"")),
    )


def encode_response(request: Command, status: int, comment: str = "") -> bytes:
    """Make the command set that answers `request`.

    Parameters
    ----------
    comment : Error Comment, cut at 64 characters.
    """
    elements = [
        (_AFFECTED_CLASS, _even(request.sop_class_uid.encode("ascii"))),
        (_FIELD, struct.pack("<H", request.field | _RESPONSE)),
        (_RESPONDED_TO, struct.pack("<H", request.message_id)),
        (_DATA_SET_TYPE, struct.pack("<H", NO_DATA_SET)),
        (_STATUS, struct.pack("<H", status)),
        (_COMMENT, _even(comment[:64].encode("ascii", "replace"), b" ")),
        (_AFFECTED_INSTANCE, _even(request.sop_instance_uid.encode("ascii"))),
    ]
    body = b"".join(struct.pack("<HHL", 0, tag, len(value)) + value for tag, value in elements if value)
    return struct.pack("<HHLL", 0, 0, 4, len(body)) + body


def _elements(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        if at + 8 > len(data):
            raise _invalid("a command element is cut off")
        group, element, length = struct.unpack_from("<HHL", data, at)
        if group != 0 or at + 8 + length > len(data):
            raise _invalid("a command element ends outside of the command or isn't one")
        found[element] = data[at + 8 : at + 8 + length]
        at += 8 + length
    return found


def _number(elements: dict[int, bytes], element: int) -> int:
    value = elements.get(element, b"")
    if len(value) != 2:
        raise _invalid("a command lacks a number")
    return int(struct.unpack("<H", value)[0])


def _uid(value: bytes) -> str:
    try:
        return value.rstrip(b"\x00 ").decode("ascii").strip()
    except UnicodeDecodeError:
        raise _invalid("a command has text outside of the default repertoire") from None


def _even(value: bytes, padding: bytes = b"\x00") -> bytes:
    return value + padding if len(value) % 2 else value


def _invalid(what: str) -> BrokenProtocol:
    return BrokenProtocol(what, reason=_INVALID_PARAMETER)
