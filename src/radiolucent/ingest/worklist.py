"""The modality worklist (PS3.4 annex K): which order a study belongs to, as the RIS says it.

A study carries its accession number and little else of the order. The worklist knows placer and filler number, the
ordering physician, the visit and the priority.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

from pydicom.dataset import Dataset
from pynetdicom import build_context

from radiolucent.imaging.header import text, value
from radiolucent.ingest.dimse_peer import DimsePeer, answers, associated

_MWL: Final = "1.2.840.10008.5.1.4.31"
_LIMIT: Final = 50
_STAT: Final = ("STAT", "HIGH")
_KEYS: Final = (
    "PatientName",
    "PatientID",
    "IssuerOfPatientID",
    "PatientBirthDate",
    "PatientSex",
    "AdmissionID",
    "AccessionNumber",
    "ReferringPhysicianName",
    "StudyInstanceUID",
    "RequestedProcedureID",
    "RequestedProcedureDescription",
    "RequestedProcedurePriority",
    "PlacerOrderNumberImagingServiceRequest",
    "FillerOrderNumberImagingServiceRequest",
)
"""Return keys beside those of the scheduled step (PS3.4 table K.6-1)."""
_STEP_KEYS: Final = ("Modality", "ScheduledProcedureStepStartDate", "ScheduledProcedureStepID")
_CODE_KEYS: Final = ("CodeValue", "CodingSchemeDesignator", "CodeMeaning")


@dataclass(frozen=True, kw_only=True)
class Order:
    """One order as the worklist has it; empty where it says nothing. Names are those of `results.order.OrderFacts`.

    Parameters
    ----------
    patient_name, referring_physician : DICOM PN.
    procedure_code : (value, scheme, meaning) of the requested procedure, or None.
    urgent : the order's priority is STAT or HIGH.
    """

    patient_id: str = ""
    patient_id_issuer: str = ""
    patient_name: str = ""
    birth_date: str = ""
    sex: str = ""
    visit_number: str = ""
    accession_number: str = ""
    placer_order_number: str = ""
    filler_order_number: str = ""
    referring_physician: str = ""
    study_instance_uid: str = ""
    procedure_code: tuple[str, str, str] | None = None
    procedure_description: str = ""
    modality: str = ""
    urgent: bool = False

    def __repr__(self) -> str:  # a log line must not name a patient
        known = [field.name for field in fields(self) if getattr(self, field.name)]
        return f"Order(known: {', '.join(known)})"


def find_orders(
    peer: DimsePeer, *, accession_number: str = "", patient_id: str = "", modality: str = ""
) -> tuple[Order, ...]:
    """Orders on the worklist that match.

    Raises
    ------
    QueryFailed
        If the worklist doesn't answer or refuses.
    ValueError
        If neither accession number nor patient ID is given, or one holds a wildcard.
    """
    if not (accession_number or patient_id):
        raise ValueError("a worklist is asked for an accession number or a patient ID")
    if any(sign in asked for asked in (accession_number, patient_id, modality) for sign in "*?\\"):
        raise ValueError("an identifier holds a wildcard or a separator")
    wanted = _query(accession_number, patient_id, modality)
    with associated(peer, [build_context(_MWL)]) as association:
        found = answers(peer, association.send_c_find(wanted, _MWL), limit=_LIMIT)
    orders = [_order(answer) for answer in found]
    return tuple(
        order
        for order in orders
        if accession_number in ("", order.accession_number) and patient_id in ("", order.patient_id)
    )


def order_of(
    orders: tuple[Order, ...], *, accession_number: str, patient_id: str, study_instance_uid: str
) -> Order | None:
    """The one order that a study belongs to, or None where none or several would fit.

    The patient must agree. The Study Instance UID, which a modality takes over from the worklist, decides first; then
    the accession number.

    >>> order_of((Order(patient_id="7", accession_number="A"),), accession_number="A", patient_id="7",
    ...     study_instance_uid="1.2").accession_number
    'A'
    >>> order_of((Order(patient_id="8", accession_number="A"),), accession_number="A", patient_id="7",
    ...     study_instance_uid="1.2") is None
    True
    """
    of_patient = [order for order in orders if patient_id and order.patient_id == patient_id]
    same_study = [order for order in of_patient if order.study_instance_uid == study_instance_uid != ""]
    same_number = [order for order in of_patient if order.accession_number == accession_number != ""]
    for fitting in (same_study, same_number):
        different = {
            (order.accession_number, order.placer_order_number, order.filler_order_number) for order in fitting
        }
        if fitting:
            return fitting[0] if len(different) == 1 else None
    return None


def _query(accession_number: str, patient_id: str, modality: str) -> Dataset:
    wanted, step, code = Dataset(), Dataset(), Dataset()
    for keyword in _KEYS:
        setattr(wanted, keyword, "")
    for keyword in _CODE_KEYS:
        setattr(code, keyword, "")
    for keyword in _STEP_KEYS:
        setattr(step, keyword, "")
    wanted.AccessionNumber, wanted.PatientID, step.Modality = accession_number, patient_id, modality
    wanted.ScheduledProcedureStepSequence, wanted.RequestedProcedureCodeSequence = [step], [code]
    return wanted


def _order(answer: Dataset) -> Order:
    steps = value(answer, "ScheduledProcedureStepSequence") or [Dataset()]
    codes = value(answer, "RequestedProcedureCodeSequence") or []
    parts = [text(codes[0], keyword) for keyword in _CODE_KEYS] if codes else []
    return Order(
        patient_id=text(answer, "PatientID"),
        patient_id_issuer=text(answer, "IssuerOfPatientID"),
        patient_name=str(value(answer, "PatientName") or ""),
        birth_date=text(answer, "PatientBirthDate"),
        sex=text(answer, "PatientSex"),
        visit_number=text(answer, "AdmissionID"),
        accession_number=text(answer, "AccessionNumber"),
        placer_order_number=text(answer, "PlacerOrderNumberImagingServiceRequest"),
        filler_order_number=text(answer, "FillerOrderNumberImagingServiceRequest"),
        referring_physician=str(value(answer, "ReferringPhysicianName") or ""),
        study_instance_uid=text(answer, "StudyInstanceUID"),
        procedure_code=(parts[0], parts[1], parts[2]) if all(parts) and parts else None,
        procedure_description=text(answer, "RequestedProcedureDescription"),
        modality=text(steps[0], "Modality"),
        urgent=text(answer, "RequestedProcedurePriority").upper() in _STAT,
    )
