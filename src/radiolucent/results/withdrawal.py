"""A reading taken back wherever it went: a rejection note for its objects, a correction, statuses that say so.

IHE IOCM: the objects stay in the archive, and a Key Object Selection that rejects them tells every viewer to hide or
mark them. RIS and EHR get the same observations again, each marked as wrong.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sr.coding import Code as SrCode

from radiolucent.errors import EncodingError
from radiolucent.findings.narrative import Voice
from radiolucent.findings.reading import Reading
from radiolucent.findings.taxonomy import LOCAL_SCHEME
from radiolucent.imaging.study import Frame, Stack
from radiolucent.results.fhir import bundle
from radiolucent.results.fhir_elements import Release
from radiolucent.results.fhir_mapping import FhirMapping
from radiolucent.results.hl7 import oru
from radiolucent.results.hl7_mapping import OruMapping
from radiolucent.results.order import OrderFacts
from radiolucent.results.provenance import MANUFACTURER, Provenance, refusing, seal
from radiolucent.results.source import CHARACTER_SET, identity

SERIES_NUMBER: Final = 9502
Reason = Literal["rejected", "superseded", "wrong-patient"]
_QUALITY: Final = SrCode("113001", "DCM", "Rejected for Quality Reasons")
_SAFETY: Final = SrCode("113037", "DCM", "Rejected for Patient Safety Reasons")
_MODIFIER: Final = SrCode("113011", "DCM", "Document Title Modifier")
_TITLES: Final[Mapping[Reason, tuple[SrCode, SrCode | None, str]]] = MappingProxyType(
    {  # PS3.16 CID 7010; TID 2010 wants a modifier for 113001, and CID 7011 may be extended
        "rejected": (
            _QUALITY,
            SrCode("reader-rejected", LOCAL_SCHEME, "AI result rejected by a reader"),
            "AI results, rejected by a reader. Do not use them.",
        ),
        "superseded": (
            _QUALITY,
            SrCode("superseded", LOCAL_SCHEME, "AI result superseded by a later revision"),
            "AI results, superseded by a later revision. Do not use them.",
        ),
        "wrong-patient": (_SAFETY, None, "AI results, filed under a wrong patient or study. Do not use them."),
    }
)


@dataclass(frozen=True, kw_only=True)
class Withdrawal:
    """What goes out to take a reading back.

    Parameters
    ----------
    note : the rejection note, or None where no object was delivered.
    oru : withdrawn (OBX-11 ``W``) or, for a reading that was superseded, the correction with the new reading.
    fhir : the transaction with the same content.
    """

    note: Dataset | None
    oru: bytes
    fhir: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Wording:
    """How messages are written for a site; the same as for the first message."""

    oru_mapping: OruMapping | None = None
    fhir_mapping: FhirMapping | None = None
    release: Release = "R4B"
    viewer_url: str | None = None
    language: str = "en"
    templates: Path | None = None

    @property
    def voice(self) -> Voice:
        """The same for reports and pages."""
        return Voice(language=self.language, templates=self.templates)


def withdraw(
    reading: Reading,
    facts: OrderFacts,
    delivered: Sequence[Dataset],
    *,
    made_at: datetime,
    reason: Reason = "rejected",
    words: str = "",
    revision: int = 1,
    wording: Wording | None = None,
) -> Withdrawal:
    """Take a reading back that a clinician rejected or that should never have gone out.

    Parameters
    ----------
    delivered : headers of every object that went out for this revision, key objects too.
    made_at : when it was rejected, with a time zone.
    words : why, in the reader's language; names no patient and no reader.
    revision : of the reading that is taken back.

    Raises
    ------
    EncodingError
        If a message can't be written, or an object belongs to another study.
    InvalidTable
        If there is no such language.
    """
    told = wording or Wording()
    note = None
    if delivered:
        note = rejection_note(delivered, made_at=made_at, reason=reason, revision=revision)
        _same_study(note, reading)
    shared: dict[str, Any] = {
        "made_at": made_at,
        "status": "withdrawn",
        "reason": words,
        "viewer_url": told.viewer_url,
        "language": told.language,
        "templates": told.templates,
        "revision": revision,
    }
    return Withdrawal(
        note=note,
        oru=oru(reading, facts, mapping=told.oru_mapping, **shared),
        fhir=bundle(reading, facts, mapping=told.fhir_mapping, release=told.release, **shared),
    )


def supersede(
    reading: Reading,
    earlier: Reading,
    facts: OrderFacts,
    delivered: Sequence[Dataset],
    *,
    made_at: datetime,
    revision: int,
    wording: Wording | None = None,
) -> Withdrawal:
    """Put a later revision in the place of an earlier one.

    The new objects go out first (with `name_predecessors`), the note on the old ones after them, so that no moment is
    without a result.

    Parameters
    ----------
    reading, earlier : the new reading and the one that it replaces.
    delivered : headers of every object that went out for the earlier revision.
    revision : of the new reading, above 1.

    Raises
    ------
    EncodingError
        If a message can't be written, or the earlier reading or an object belongs to another study.
    InvalidTable
        If there is no such language.
    ValueError
        If the revision isn't above 1.
    """
    if revision < 2:
        raise ValueError("a later revision is above 1")
    told = wording or Wording()
    note = None
    if delivered:
        note = rejection_note(delivered, made_at=made_at, reason="superseded", revision=revision - 1)
        _same_study(note, reading)
    shared: dict[str, Any] = {
        "made_at": made_at,
        "status": "corrected",
        "viewer_url": told.viewer_url,
        "language": told.language,
        "templates": told.templates,
        "revision": revision,
    }
    return Withdrawal(
        note=note,
        oru=oru(reading, facts, mapping=told.oru_mapping, **shared),
        fhir=bundle(reading, facts, mapping=told.fhir_mapping, release=told.release, earlier=earlier, **shared),
    )


def rejection_note(delivered: Sequence[Dataset], *, made_at: datetime, reason: Reason, revision: int = 1) -> Dataset:
    """A Key Object Selection that rejects objects (IHE IOCM; PS3.3 A.35.4, TID 2010).

    Patient and study are those of the objects themselves, so that it finds its way wherever they went. The same
    objects, reason and time give the same bytes.

    Raises
    ------
    EncodingError
        If there is nothing to reject, or the objects are of several studies.
    """
    from highdicom.ko import KeyObjectSelection, KeyObjectSelectionDocument
    from highdicom.sr import CodeContentItem

    if not delivered:
        raise EncodingError("a rejection note needs at least one object")
    if len({str(made.StudyInstanceUID) for made in delivered}) != 1:
        raise EncodingError("a rejection note can't hold objects of several studies")
    title, modifier, description = _TITLES[reason]
    stack = _as_stack(delivered[0])
    provenance = Provenance(made_at=made_at, study_instance_uid=stack.study_instance_uid, revision=revision)
    rejected = hashlib.sha256("\n".join(sorted(str(made.SOPInstanceUID) for made in delivered)).encode()).hexdigest()
    with refusing("the rejection note"):
        evidence = [_reference(made, identity(stack)) for made in delivered]
        content = KeyObjectSelection(document_title=title, referenced_objects=evidence, description=description)
        if modifier is not None:
            item = CodeContentItem(name=_MODIFIER, value=modifier, relationship_type="HAS CONCEPT MOD")
            content[0].ContentSequence.insert(0, item)
        made = KeyObjectSelectionDocument(
            evidence=evidence,
            content=content,
            manufacturer=MANUFACTURER,
            series_description="AI results, rejection note",
            specific_character_set=CHARACTER_SET,
            **provenance.place("rejection-note", reason, rejected, series_number=SERIES_NUMBER),
        )
    return seal(made, provenance, stack)


def name_predecessors(made: Sequence[Dataset], earlier: Sequence[Dataset]) -> None:
    """Let the reports of a later revision name those that they replace (Predecessor Documents, PS3.3 C.17.2).

    Raises
    ------
    EncodingError
        If a report belongs to another study.
    """
    reports = [one for one in earlier if one.get("Modality") == "SR"]
    for document in (one for one in made if one.get("Modality") == "SR"):
        if any(one.StudyInstanceUID != document.StudyInstanceUID for one in reports):
            raise EncodingError("a report can't replace one of another study")
        if reports:
            document.PredecessorDocumentsSequence = [_of_study(reports)]


def _of_study(reports: Sequence[Dataset]) -> Dataset:
    """Hierarchical SOP Instance Reference (PS3.3 table C.17-3)."""
    study = Dataset()
    study.StudyInstanceUID = reports[0].StudyInstanceUID
    study.ReferencedSeriesSequence = []
    for uid in dict.fromkeys(str(one.SeriesInstanceUID) for one in reports):
        series = Dataset()
        series.SeriesInstanceUID = uid
        series.ReferencedSOPSequence = []
        for one in (report for report in reports if report.SeriesInstanceUID == uid):
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = one.SOPClassUID, one.SOPInstanceUID
            series.ReferencedSOPSequence.append(item)
        study.ReferencedSeriesSequence.append(series)
    return study


def _same_study(note: Dataset, reading: Reading) -> None:
    if note.StudyInstanceUID != reading.study_instance_uid:
        raise EncodingError("the objects belong to another study than the reading")


def _as_stack(header: Dataset) -> Stack:
    """An object that was delivered, as the source of patient and study; it has no pixels to give."""
    frame = Frame(
        sop_class_uid=str(header.SOPClassUID), sop_instance_uid=str(header.SOPInstanceUID), spacing_mm=None, plane=None
    )
    return Stack(
        study_instance_uid=str(header.StudyInstanceUID),
        series_instance_uid=str(header.SeriesInstanceUID),
        modality=str(header.get("Modality", "")),
        kind="image",
        frames=(frame,),
        headers=(header,),
        decode=_no_pixels,
    )


def _no_pixels(index: int) -> NDArray[Any]:
    raise IndexError(f"a header has no frame {index}")


def _reference(made: Dataset, who: Dataset) -> Dataset:
    item = Dataset()
    item.update({element.tag: element for element in who})
    for keyword in ("SeriesInstanceUID", "SOPClassUID", "SOPInstanceUID", "Rows", "Columns"):
        if keyword in made:
            item[keyword] = made[keyword]
    return item
