"""What every way in hands over, what it is answered, and the one table from outcome to DICOM and HTTP status.

Ways in (listener, STOW-RS, watched folder, watched PACS, fetched priors) write each object into a file, `identify` it
and give it to a `Receiver`. They tell the sender "stored" only when the receiver says so.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

from radiolucent.imaging.archive import file_source
from radiolucent.imaging.header import text
from radiolucent.imaging.instance import fault, read_instance

_UID: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
"""PS3.5 9.1, but leading zeros are let pass: they are frequent and do no harm."""
_UID_BYTES: Final = 64
_IDENTIFIERS: Final = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


class Way(Enum):
    """How an instance came in."""

    C_STORE = "c-store"
    STOW_RS = "stow-rs"
    WATCHED_FOLDER = "watched-folder"
    WATCHED_PACS = "watched-pacs"
    PRIOR = "prior"
    UPLOAD = "upload"


class Outcome(Enum):
    """What became of one instance that was offered."""

    STORED = "stored"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"
    OUT_OF_SPACE = "out-of-space"
    NOT_UNDERSTOOD = "not-understood"
    FAILED = "failed"


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the sender of an instance is told.

    Parameters
    ----------
    accepted : the instance is safe here; the sender may delete it.
    dimse_status : Status (0000,0900) of the C-STORE response, and Failure Reason (0008,1197) of a STOW-RS response.
    http_status : of a STOW-RS request in which all instances have this outcome.
    comment : Error Comment (0000,0902), at most 64 characters; names no patient.
    """

    accepted: bool
    dimse_status: int
    http_status: int
    comment: str = ""


ANSWERS: Final[Mapping[Outcome, Answer]] = MappingProxyType(
    {
        Outcome.STORED: Answer(accepted=True, dimse_status=0x0000, http_status=200),
        Outcome.DUPLICATE: Answer(accepted=True, dimse_status=0x0000, http_status=200),
        Outcome.CONFLICT: Answer(
            accepted=False,
            dimse_status=0xC001,
            http_status=409,
            comment="another object with this SOP Instance UID is stored already",
        ),
        Outcome.OUT_OF_SPACE: Answer(
            accepted=False, dimse_status=0xA700, http_status=503, comment="the archive is full: send again later"
        ),
        Outcome.NOT_UNDERSTOOD: Answer(
            accepted=False, dimse_status=0xC000, http_status=409, comment="the data set can't be understood"
        ),
        Outcome.FAILED: Answer(
            accepted=False,
            dimse_status=0x0110,
            http_status=500,
            comment="not stored, a fault here: send again",
        ),
    }
)
"""Outcome → what the sender is told. Source: PS3.4 table B.2-1, PS3.7 annex C, PS3.18 10.5.3."""

_FAILED_PARTLY: Final = 202
_NOTHING_SENT: Final = 400


def http_status(outcomes: Iterable[Outcome]) -> int:
    """Status of a STOW-RS response (PS3.18 table 10.5.3-1).

    Several kinds of failure without one success give the status that asks the sender to try again, where one does.

    >>> http_status([Outcome.STORED, Outcome.DUPLICATE]), http_status([Outcome.STORED, Outcome.CONFLICT])
    (200, 202)
    >>> http_status([Outcome.OUT_OF_SPACE]), http_status([Outcome.CONFLICT, Outcome.OUT_OF_SPACE]), http_status([])
    (503, 503, 400)
    """
    answers = [ANSWERS[outcome] for outcome in outcomes]
    if not answers:
        return _NOTHING_SENT
    if all(answer.accepted for answer in answers):
        return 200
    if any(answer.accepted for answer in answers):
        return _FAILED_PARTLY
    return max(answer.http_status for answer in answers)


@dataclass(frozen=True, kw_only=True)
class ReceivedInstance:
    """One instance in a file of its own, with what its header says it is and where it came from.

    Parameters
    ----------
    path : a complete DICOM file (PS3.10) that nobody else writes to. The receiver may move it away; whoever made it
        removes it afterwards if it is still there.
    digest : SHA-256 of the encoded data set, without the file meta information, which differs from sender to sender.
    size_bytes : of the file.
    association_id : of the DICOM association, request or sweep that it came in; see `Receiver.association_ended`.
    calling_ae, called_ae : AE titles, empty where the way in has none.
    peer_address : of the sender, or empty.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    digest: str
    size_bytes: int
    way: Way
    association_id: str
    calling_ae: str = ""
    called_ae: str = ""
    peer_address: str = ""


class Receiver(Protocol):
    """Keeps what comes in. Called from many threads at once."""

    def receive(self, instance: ReceivedInstance) -> Outcome:
        """Keep one instance, and return only when its fate is decided.

        `Outcome.STORED` promises that the instance survives a power cut from now on. An instance with the same SOP
        Instance UID and digest as one that is kept is a `DUPLICATE`, with another digest a `CONFLICT`. An exception
        counts as `Outcome.FAILED`.
        """

    def association_ended(self, association_id: str, *, aborted: bool) -> None:
        """Note that nothing more comes in this association; `aborted` if it ended early, so that more was to come."""


def identify(
    path: Path,
    *,
    way: Way,
    association_id: str,
    calling_ae: str = "",
    called_ae: str = "",
    peer_address: str = "",
    expected: Mapping[str, str] = MappingProxyType({}),
) -> ReceivedInstance:
    """Read what a file holds, down to the start of its pixels, and check that it can be filed.

    Parameters
    ----------
    expected : keyword of a UID → what the sender said it would be; the header must agree.

    Raises
    ------
    UnreadableFile
        If the file is no complete DICOM object, or one of its UIDs is missing, has another form than PS3.5 9.1 gives
        (a path, markup), or isn't the expected one. Names no patient.
    """
    source = file_source(path, name="instance")
    instance = read_instance(source)
    uids = {}
    for keyword in _IDENTIFIERS:
        value = text(instance.header, keyword)
        if not is_uid(value):
            raise fault("no-identity", "is missing or not a valid UID; send the object again", source, keyword)
        if expected.get(keyword, value) != value:
            raise fault("other-identity", "isn't what the sender announced", source, keyword)
        uids[keyword] = value
    return ReceivedInstance(
        path=path,
        sop_class_uid=uids["SOPClassUID"],
        sop_instance_uid=uids["SOPInstanceUID"],
        study_instance_uid=uids["StudyInstanceUID"],
        series_instance_uid=uids["SeriesInstanceUID"],
        transfer_syntax_uid=str(instance.transfer_syntax),
        digest=data_set_digest(path),
        size_bytes=source.size,
        way=way,
        association_id=association_id,
        calling_ae=calling_ae,
        called_ae=called_ae,
        peer_address=peer_address,
    )


def is_uid(value: str) -> bool:
    """True for digits and single dots, 64 at most: safe in a path, a page and a query.

    >>> is_uid("1.2.840.10008.1.1"), is_uid("../../etc"), is_uid("1..2"), is_uid("")
    (True, False, False, False)
    """
    return len(value) <= _UID_BYTES and _UID.fullmatch(value) is not None


def data_set_digest(path: Path) -> str:
    """SHA-256 of a DICOM file's data set, hexadecimal: what follows the preamble and the group 0002."""
    with path.open("rb") as stream:
        stream.seek(_data_set_offset(stream.read(144)))
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _data_set_offset(start: bytes) -> int:
    """Where the data set begins, by File Meta Information Group Length (0002,0000); 0 for a file without."""
    if start[128:132] != b"DICM":
        return 0
    if start[132:140] != b"\x02\x00\x00\x00UL\x04\x00":
        return 132
    return 144 + int.from_bytes(start[140:144], "little")
