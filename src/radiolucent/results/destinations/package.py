"""What is handed to a destination, what it gives back, and what every destination promises.

A package names files and holds messages that are finished: nothing is encoded on the way out, so that each attempt
sends the same UIDs, the same message control ID and the same bundle identifier.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, Protocol

import pydicom
from pydicom.errors import InvalidDicomError

from radiolucent.errors import EncodingError
from radiolucent.results.order import Status

Kind = Literal[
    "parametric-map",
    "segmentation",
    "secondary-capture",
    "presentation-state",
    "report",
    "key-objects",
    "worklist-flag",
]
KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {  # SOP Class UID (PS3.6 annex A) → what presets call it
        "1.2.840.10008.5.1.4.1.1.30": "parametric-map",
        "1.2.840.10008.5.1.4.1.1.66.4": "segmentation",
        "1.2.840.10008.5.1.4.1.1.7": "secondary-capture",
        "1.2.840.10008.5.1.4.1.1.11.1": "presentation-state",
        "1.2.840.10008.5.1.4.1.1.88.34": "report",
        "1.2.840.10008.5.1.4.1.1.88.59": "key-objects",
    }
)
_UID: Final = re.compile(r"(?=.{1,64}\Z)[0-9]+(\.[0-9]+)*")
_IDENTITY: Final = ("SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID")


@dataclass(frozen=True, kw_only=True)
class DicomFile:
    """One encoded object on disk.

    Parameters
    ----------
    path : a complete DICOM file (PS3.10). The UIDs are those of its data set.
    is_flag : the capture that carries the worklist flag in its series description; a result it is not.
    """

    path: Path
    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
    transfer_syntax_uid: str
    is_flag: bool = False

    @property
    def kind(self) -> Kind | None:
        """What presets call it, or None for a class that this project doesn't write."""
        return "worklist-flag" if self.is_flag else KINDS.get(self.sop_class_uid)


@dataclass(frozen=True, kw_only=True)
class Package:
    """All that goes out for one revision of a reading.

    Parameters
    ----------
    status : what the messages say; a withdrawal holds the rejection note alone as DICOM.
    objects : in the order in which they are sent; the flag comes first, key objects come last.
    oru : one HL7 v2 message without MLLP framing, or empty.
    fhir : one transaction Bundle as JSON text, or empty.
    flag : what a list shows before the study is opened (`results.worklist_flag.flag_text`); empty takes a flag away.

    Raises
    ------
    ValueError
        If the study's UID is none, an object belongs to another study, two have the same UID, or the revision is
        below 1.
    """

    study_instance_uid: str
    revision: int = 1
    status: Status = "preliminary"
    objects: tuple[DicomFile, ...] = ()
    oru: bytes = b""
    fhir: str = ""
    flag: str = ""

    def __post_init__(self) -> None:
        if not _UID.fullmatch(self.study_instance_uid):
            raise ValueError("the study has no valid UID: nothing can be filed under it")
        if self.revision < 1:
            raise ValueError("revisions count from 1")
        if any(item.study_instance_uid != self.study_instance_uid for item in self.objects):
            raise ValueError("an object belongs to another study than its package")
        if len({item.sop_instance_uid for item in self.objects}) != len(self.objects):
            raise ValueError("two objects of a package have the same SOP Instance UID")

    @property
    def key(self) -> str:
        """SHA-256 over what identifies the package; the same for each attempt, another one for other content."""
        told = (
            self.study_instance_uid,
            str(self.revision),
            self.status,
            *(item.sop_instance_uid for item in self.objects),
            hashlib.sha256(self.oru).hexdigest(),
            hashlib.sha256(self.fhir.encode()).hexdigest(),
            *([self.flag] if self.flag else []),
        )
        return hashlib.sha256("\n".join(told).encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Receipt:
    """That a destination has it.

    Parameters
    ----------
    destination : its name in the settings.
    delivered : SOP Instance UIDs, message control ID or bundle identifier that the peer confirmed; empty where the
        package held nothing for this destination.
    left_out : SOP Instance UID → why it wasn't sent to this destination.
    warnings : what the peer remarked, one sentence each, without patient identity.
    commitment : what the peer says of keeping the objects (PS3.4 annex J): ``committed``, ``unknown`` (no report came
        in time) or ``not-asked``.
    """

    destination: str
    delivered: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    commitment: Literal["committed", "unknown", "not-asked"] = "not-asked"


class Destination(Protocol):
    """A place that results go to. It may be called again with the same package, and then does no harm."""

    @property
    def name(self) -> str:
        """Its name in the settings."""

    def deliver(self, package: Package) -> Receipt:
        """Hand over what of the package belongs here, and return only when the peer has confirmed it.

        Raises
        ------
        RetriableDelivery
            If the same may succeed later.
        FinalDelivery
            If a person must act first.
        """


def dicom_file(path: Path) -> DicomFile:
    """What the header of one encoded object says it is.

    Raises
    ------
    EncodingError
        If it is no complete DICOM file.
    """
    try:
        found = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(_IDENTITY))
        uids = {keyword: str(found[keyword].value) for keyword in _IDENTITY}
        syntax = str(found.file_meta.TransferSyntaxUID)
    except (OSError, InvalidDicomError, KeyError, AttributeError, EOFError, ValueError) as error:
        raise EncodingError(f"{path.name} is no complete DICOM file: encode the reading again") from error
    return DicomFile(
        path=path,
        sop_class_uid=uids["SOPClassUID"],
        sop_instance_uid=uids["SOPInstanceUID"],
        study_instance_uid=uids["StudyInstanceUID"],
        series_instance_uid=uids["SeriesInstanceUID"],
        transfer_syntax_uid=syntax,
    )


def package_files(
    paths: Iterable[Path],
    *,
    study_instance_uid: str,
    revision: int = 1,
    status: Status = "preliminary",
    oru: bytes = b"",
    fhir: Mapping[str, object] | None = None,
    flag: str = "",
    flag_file: Path | None = None,
) -> Package:
    """A package of encoded files, key objects last, so that nothing is listed before it can be there.

    Parameters
    ----------
    flag_file : the capture that carries the flag, where there is one; it goes before everything else.

    Raises
    ------
    EncodingError
        If a file is no complete DICOM object.
    ValueError
        If an object belongs to another study, or two have the same UID.
    """
    objects = sorted((dicom_file(path) for path in paths), key=lambda item: (item.kind == "key-objects", item.path))
    first = [replace(dicom_file(flag_file), is_flag=True)] if flag_file else []
    return Package(
        study_instance_uid=study_instance_uid,
        revision=revision,
        status=status,
        objects=(*first, *objects),
        oru=oru,
        fhir=json.dumps(fhir, ensure_ascii=False) if fhir else "",
        flag=flag,
    )
