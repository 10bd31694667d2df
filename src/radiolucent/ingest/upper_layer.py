"""The DICOM upper layer protocol (PS3.8 section 9) as bytes: what an acceptor reads and writes, strictly bounded.

pynetdicom's server (3.0) isn't used to listen: it polls with two threads per association, shakes hands with TLS clients
one after the other, takes a PDU of any announced length, and waits without limit inside one.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from radiolucent.errors import BrokenProtocol

APPLICATION_CONTEXT: Final = "1.2.840.10008.3.1.1.1"
HEADER_BYTES: Final = 6
MAX_ASSOCIATE_BYTES: Final = 2**20
"""128 presentation contexts with 100 transfer syntaxes each fit in."""
MAX_CONTEXTS: Final = 128


class Pdu(IntEnum):
    """PDU types (PS3.8 section 9.3.1)."""

    ASSOCIATE_RQ = 1
    ASSOCIATE_AC = 2
    ASSOCIATE_RJ = 3
    P_DATA = 4
    RELEASE_RQ = 5
    RELEASE_RP = 6
    ABORT = 7


class AbortReason(IntEnum):
    """Why the service provider aborts (PS3.8 table 9-26)."""

    NOT_SPECIFIED = 0
    UNRECOGNISED_PDU = 1
    UNEXPECTED_PDU = 2
    UNRECOGNISED_PARAMETER = 4
    UNEXPECTED_PARAMETER = 5
    INVALID_PARAMETER = 6


@dataclass(frozen=True, kw_only=True)
class Rejection:
    """Result, source and reason of an A-ASSOCIATE-RJ (PS3.8 table 9-21)."""

    result: int
    source: int
    reason: int
    text: str


CONTEXT_NOT_SUPPORTED: Final = Rejection(result=1, source=1, reason=2, text="application context not supported")
CALLING_AE_UNKNOWN: Final = Rejection(result=1, source=1, reason=3, text="calling AE title not recognised")
CALLED_AE_UNKNOWN: Final = Rejection(result=1, source=1, reason=7, text="called AE title not recognised")
VERSION_NOT_SUPPORTED: Final = Rejection(result=1, source=2, reason=2, text="protocol version not supported")
TOO_MANY: Final = Rejection(result=2, source=3, reason=2, text="local limit exceeded")


@dataclass(frozen=True, kw_only=True)
class ProposedContext:
    """One presentation context of an A-ASSOCIATE-RQ; its id is odd, 1 to 255."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class AssociateRequest:
    """What an A-ASSOCIATE-RQ asks for.

    Parameters
    ----------
    version_1 : True where the requestor knows protocol version 1, the only one.
    maximum_length : of the P-DATA PDUs that the requestor takes, bytes after their header; 0 means any.
    titles : the two AE title fields as sent, to be echoed.
    """

    version_1: bool
    called_ae: str
    calling_ae: str
    titles: bytes
    application_context: str
    contexts: tuple[ProposedContext, ...]
    maximum_length: int
    implementation_class_uid: str


@dataclass(frozen=True, kw_only=True)
class ContextAnswer:
    """Result of one proposed context (PS3.8 table 9-18): 0 accepted, 3 abstract, 4 transfer syntaxes not supported."""

    id: int
    result: int
    transfer_syntax: str


@dataclass(frozen=True, kw_only=True)
class Fragment:
    """One presentation data value (PS3.8 annex E)."""

    context_id: int
    is_command: bool
    is_last: bool
    data: memoryview


def read_header(header: bytes | bytearray) -> tuple[Pdu, int]:
    """Type and length of what follows.

    Raises
    ------
    BrokenProtocol
        If there is no such type.
    """
    kind, length = struct.unpack(">BxL", header)
    try:
        return Pdu(kind), length
    except ValueError:
        raise BrokenProtocol("the peer sent an unknown kind of PDU", reason=AbortReason.UNRECOGNISED_PDU) from None


def decode_associate_request(body: bytes) -> AssociateRequest:
    """Read an A-ASSOCIATE-RQ (PS3.8 section 9.3.2), without its header. Items this acceptor has no use for are skipped.

    Raises
    ------
    BrokenProtocol
        If an item ends outside of its parent, a context id is even or given twice, there are more than 128 contexts, or
        text isn't in the default repertoire.
    """
    if len(body) < 68:
        raise _invalid("the association request is too short")
    version = struct.unpack(">H", body[:2])[0]
    context_name, contexts, user = "", [], {}
    for kind, item in _items(body[68:]):
        if kind == 0x10:
            context_name = _uid(item)
        elif kind == 0x20:
            contexts.append(_proposed(item))
        elif kind == 0x50:
            user = dict(_items(item))
    numbers = [context.id for context in contexts]
    if len(numbers) > MAX_CONTEXTS or len(set(numbers)) != len(numbers):
        raise _invalid("presentation context ids are given twice, or there are too many")
    length = user.get(0x51, b"\x00\x00\x00\x00")
    if len(length) != 4:
        raise _invalid("the maximum length has another size than 4 bytes")
    return AssociateRequest(
        version_1=bool(version & 1),
        called_ae=_text(body[4:20]),
        calling_ae=_text(body[20:36]),
        titles=bytes(body[4:36]),
        application_context=context_name,
        contexts=tuple(contexts),
        maximum_length=struct.unpack(">L", length)[0],
        implementation_class_uid=_uid(user.get(0x52, b"")),
    )


def encode_associate_accept(
    request: AssociateRequest,
    answers: tuple[ContextAnswer, ...],
    *,
    maximum_length: int,
    implementation_class_uid: str,
    implementation_version: str,
) -> bytes:
    """Make the A-ASSOCIATE-AC (PS3.8 section 9.3.3) that answers `request`."""
    contexts = b"".join(
        _item(0x21, bytes((answer.id, 0, answer.result, 0)) + _item(0x40, answer.transfer_syntax.encode("ascii")))
        for answer in answers
    )
    user = _item(0x51, struct.pack(">L", maximum_length))
    user += _item(0x52, implementation_class_uid.encode("ascii")) + _item(0x55, implementation_version.encode("ascii"))
    body = struct.pack(">HH", 1, 0) + request.titles + bytes(32)
    body += _item(0x10, APPLICATION_CONTEXT.encode("ascii")) + contexts + _item(0x50, user)
    return _pdu(Pdu.ASSOCIATE_AC, body)


def encode_rejection(rejection: Rejection) -> bytes:
    """Make an A-ASSOCIATE-RJ (PS3.8 section 9.3.4)."""
    return _pdu(Pdu.ASSOCIATE_RJ, bytes((0, rejection.result, rejection.source, rejection.reason)))


def encode_release_response() -> bytes:
    """Make an A-RELEASE-RP (PS3.8 section 9.3.7)."""
    return _pdu(Pdu.RELEASE_RP, bytes(4))


def encode_abort(reason: AbortReason) -> bytes:
    """Make an A-ABORT by the service provider (PS3.8 section 9.3.8)."""
    return _pdu(Pdu.ABORT, bytes((0, 0, 2, reason)))


def read_fragments(body: memoryview) -> Iterator[Fragment]:
    """Read the presentation data values of a P-DATA-TF (PS3.8 section 9.3.5), without its header.

    Raises
    ------
    BrokenProtocol
        If a value ends outside of the PDU or has no message control header.
    """
    at = 0
    while at < len(body):
        if at + 6 > len(body):
            raise _invalid("a data value is cut off")
        length, context_id, control = struct.unpack_from(">LBB", body, at)
        end = at + 4 + length
        if length < 2 or end > len(body):
            raise _invalid("a data value ends outside of its PDU")
        yield Fragment(
            context_id=context_id,
            is_command=bool(control & 1),
            is_last=bool(control & 2),
            data=body[at + 6 : end],
        )
        at = end


def encode_command(context_id: int, command: bytes, *, maximum_length: int) -> bytes:
    """Make the P-DATA-TF PDUs of one command, none longer after its header than `maximum_length` (0: any)."""
    room = max(1, maximum_length - 6) if maximum_length else len(command)
    pdus = []
    for start in range(0, len(command), room):
        part = command[start : start + room]
        control = 1 | (2 if start + room >= len(command) else 0)
        pdus.append(_pdu(Pdu.P_DATA, struct.pack(">LBB", len(part) + 2, context_id, control) + part))
    return b"".join(pdus)


def _proposed(item: bytes) -> ProposedContext:
    if len(item) < 4 or item[0] % 2 == 0:
        raise _invalid("a presentation context has no odd id")
    parts = list(_items(item[4:]))
    abstract = [_uid(value) for kind, value in parts if kind == 0x30]
    if len(abstract) != 1:
        raise _invalid("a presentation context has no single abstract syntax")
    syntaxes = tuple(_uid(value) for kind, value in parts if kind == 0x40)
    return ProposedContext(id=item[0], abstract_syntax=abstract[0], transfer_syntaxes=syntaxes)


def _items(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        if at + 4 > len(data):
            raise _invalid("an item is cut off")
        kind, length = struct.unpack_from(">BxH", data, at)
        if at + 4 + length > len(data):
            raise _invalid("an item ends outside of its parent")
        yield kind, data[at + 4 : at + 4 + length]
        at += 4 + length


def _uid(value: bytes) -> str:
    return _text(value.rstrip(b"\x00"))


def _text(value: bytes) -> str:
    try:
        text = value.decode("ascii").strip()
    except UnicodeDecodeError:
        raise _invalid("text outside of the default repertoire") from None
    if not text.isprintable():
        raise _invalid("control characters in text")
    return text


def _item(kind: int, value: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(value)) + value


def _pdu(kind: Pdu, body: bytes) -> bytes:
    return struct.pack(">BxL", kind, len(body)) + body


def _invalid(what: str) -> BrokenProtocol:
    return BrokenProtocol(what, reason=AbortReason.INVALID_PARAMETER)
