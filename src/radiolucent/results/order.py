"""What is known of patient, visit and order, so that a message can be filed: as the header or the order said it."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from typing import Literal

from radiolucent.findings.taxonomy import Code
from radiolucent.imaging.header import text, value
from radiolucent.imaging.study import Stack
from radiolucent.results.source import identity

Status = Literal["preliminary", "corrected", "withdrawn"]
"""Of a message: the first result, a later reading in its place, or the result taken back. Never final."""

_DATE = re.compile(r"(\d{8})?")
_TIME = re.compile(r"(\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?)?")
_ZONE = re.compile(r"([+-]\d{4})?")


@dataclass(frozen=True, kw_only=True)
class OrderFacts:
    """Who and which order; empty where unknown. Nothing is ever filled in.

    Parameters
    ----------
    patient_id_issuer : assigning authority of `patient_id` (Issuer of Patient ID).
    patient_name, referring_physician : DICOM PN, component groups joined by ``=`` (PS3.5 6.2.1).
    birth_date, study_date : DA, ``YYYYMMDD``. study_time : TM.
    sex : ``M``, ``F``, ``O`` or empty (Patient's Sex).
    patient_class : HL7 table 0004; ``U`` is unknown.
    filler_order_number : the number under which an earlier message of this result was filed, where a site gave one;
        empty takes one that follows from the study.
    procedure : what was ordered, where the order or the header names a code.
    timezone : offset of study date and time from UTC, ``+0100``, or empty.

    Raises
    ------
    ValueError
        If a date, a time, the time zone or the sex has another form.
    """

    patient_id: str = ""
    patient_id_issuer: str = ""
    patient_name: str = ""
    birth_date: str = ""
    sex: Literal["M", "F", "O", ""] = ""
    patient_class: str = "U"
    visit_number: str = ""
    accession_number: str = ""
    placer_order_number: str = ""
    filler_order_number: str = ""
    procedure: Code | None = None
    referring_physician: str = ""
    study_date: str = ""
    study_time: str = ""
    timezone: str = ""

    def __post_init__(self) -> None:
        for name, form in (
            ("birth_date", _DATE),
            ("study_date", _DATE),
            ("study_time", _TIME),
            ("timezone", _ZONE),
        ):
            if not form.fullmatch(getattr(self, name)):
                raise ValueError(f"{name} has no valid form")
        if self.sex not in ("M", "F", "O", ""):
            raise ValueError("sex must be M, F, O or empty")

    @property
    def study_moment(self) -> str:
        """Date, time and offset as HL7 v2 writes them, empty without a date; a fraction of a second is left out."""
        if not self.study_date:
            return ""
        time = self.study_time.partition(".")[0]
        moment = self.study_date + (time if len(time) >= 4 else "")
        return moment + self.timezone if len(moment) > 8 else moment

    def __repr__(self) -> str:  # a log line must not name a patient
        known = [field.name for field in fields(self) if getattr(self, field.name)]
        return f"OrderFacts(known: {', '.join(known)})"


def facts_of(stack: Stack) -> OrderFacts:
    """The facts that an image header holds; a value without a valid form is left out.

    Raises
    ------
    EncodingError
        If the study or series has no valid UID.
    """
    known, header = identity(stack), stack.header
    zone = text(header, "TimezoneOffsetFromUTC")
    time = known.StudyTime or ""
    return OrderFacts(
        patient_id=known.PatientID,
        patient_id_issuer=text(header, "IssuerOfPatientID"),
        patient_name=str(value(header, "PatientName") or ""),
        birth_date=known.PatientBirthDate or "",
        sex=known.PatientSex or "",
        accession_number=known.AccessionNumber,
        placer_order_number=text(header, "PlacerOrderNumberImagingServiceRequest"),
        procedure=_procedure(stack),
        referring_physician=str(value(header, "ReferringPhysicianName") or ""),
        study_date=known.StudyDate or "",
        study_time=time if _TIME.fullmatch(time) else "",
        timezone=zone if _ZONE.fullmatch(zone) else "",
    )


def _procedure(stack: Stack) -> Code | None:
    sequence = value(stack.header, "ProcedureCodeSequence")
    if not sequence:
        return None
    parts = [text(sequence[0], keyword) for keyword in ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")]
    try:
        return Code(value=parts[0], scheme=parts[1], meaning=parts[2])
    except ValueError:
        return None
