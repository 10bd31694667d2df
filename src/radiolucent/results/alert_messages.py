"""An alert as an HL7 v2 message and as a FHIR Communication: beside the report, never in its place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from radiolucent.errors import EncodingError
from radiolucent.findings.alert_policy import Turn
from radiolucent.findings.alerts import Alert
from radiolucent.findings.reading import Reading
from radiolucent.findings.taxonomy import LOCAL_SCHEME, Code
from radiolucent.results.fhir_elements import clean, coding, identifier, query, software_urn, urn
from radiolucent.results.fhir_mapping import FhirMapping
from radiolucent.results.fhir_mapping import default_mapping as default_fhir
from radiolucent.results.hl7 import framed
from radiolucent.results.hl7_mapping import OruMapping
from radiolucent.results.hl7_mapping import default_mapping as default_oru
from radiolucent.results.hl7_text import coded, components, escaped, moment, segment
from radiolucent.results.order import OrderFacts, Status
from radiolucent.results.provenance import MANUFACTURER, refusing
from radiolucent.results.statements import check, checked_uid, viewer_link

ALERT: Final = Code(value="ai-alert", scheme=LOCAL_SCHEME, meaning="AI alert")
_TIER: Final = Code(value="alert-tier", scheme=LOCAL_SCHEME, meaning="Tier of the alert")
_LINK: Final = Code(value="viewer", scheme=LOCAL_SCHEME, meaning="Link to the viewer")
_DISCLAIMER: Final = Code(value="disclaimer", scheme=LOCAL_SCHEME, meaning="Disclaimer")
_BEFORE: Final[Mapping[tuple[str, Turn], str]] = MappingProxyType(
    {
        ("en", "escalation"): "Not acknowledged: ",
        ("de", "escalation"): "Nicht bestätigt: ",
        ("en", "withdrawn"): "Taken back: ",
        ("de", "withdrawn"): "Zurückgenommen: ",
    }
)
_COMMUNICATION: Final[Mapping[Turn, str]] = MappingProxyType(
    {
        "first": "in-progress",
        "escalation": "in-progress",
        "acknowledged": "completed",
        "withdrawn": "entered-in-error",
    }
)
_CATEGORY: Final = "http://terminology.hl7.org/CodeSystem/communication-category"


def subject_line(alert: Alert, turn: Turn) -> str:
    """The subject of an alert, with what makes this message another one than the first."""
    return _BEFORE.get((alert.language, turn), "") + alert.subject


def alert_oru(
    alert: Alert,
    reading: Reading,
    facts: OrderFacts,
    *,
    key: str,
    made_at: datetime,
    turn: Turn = "first",
    mapping: OruMapping | None = None,
    viewer_url: str | None = None,
) -> bytes:
    """One ORU^R01 that holds the alert alone, under a filler number of its own.

    A message under the report's number would replace the report in many a RIS.

    Parameters
    ----------
    key : of the alert; its filler number follows from it.
    turn : an alert that is withdrawn is sent again as wrong (OBX-11 ``W``).

    Raises
    ------
    EncodingError
        If the patient ID is missing, or a character or the viewer's address can't be sent.
    """
    if not facts.patient_id.strip():
        raise EncodingError("the patient ID is missing: an alert without it would be filed under nobody or anybody")
    check(reading)
    mapping = mapping or default_oru()
    order = replace(facts, filler_order_number=f"RLA{key[:17].upper()}", procedure=ALERT)
    status: Status = "withdrawn" if turn == "withdrawn" else "preliminary"
    told = [(ALERT, "TX", f"{subject_line(alert, turn)}. {alert.message}"), (_TIER, "ST", alert.tier)]
    if viewer_url:
        told.append((_LINK, "TX", viewer_link(viewer_url, alert.study_instance_uid, finding=alert.finding)))
    told.append((_DISCLAIMER, "TX", alert.disclaimer))
    flag = mapping.flags.critical if alert.level == 1 else mapping.flags.positive
    observations = [
        segment(
            "OBX",
            {
                1: str(number),
                2: kind,
                3: coded(code, schemes=mapping.schemes),
                5: escaped(text),
                8: components(flag) if code is ALERT else "",
                11: getattr(mapping.status, status).result,
                14: facts.study_moment,
                19: moment(made_at),
            },
        )
        for number, (code, kind, text) in enumerate(told, start=1)
    ]
    return framed(
        reading,
        order,
        observations,
        made_at=made_at,
        mapping=mapping,
        status=status,
        language=alert.language,
    )


def alert_bundle(
    alert: Alert,
    facts: OrderFacts,
    *,
    key: str,
    made_at: datetime,
    turn: Turn = "first",
    mapping: FhirMapping | None = None,
    viewer_url: str | None = None,
) -> dict[str, Any]:
    """One transaction (R4B) with a Communication: in progress until it is acknowledged, then completed.

    Every later turn replaces the Communication of the alert; it makes no second one.

    Raises
    ------
    EncodingError
        If the patient ID or the time zone is missing, a UID or the viewer's address can't be sent, or it isn't valid.
    """
    if not facts.patient_id.strip():
        raise EncodingError("the patient ID is missing: an alert without it would be filed under nobody or anybody")
    if made_at.utcoffset() is None:
        raise EncodingError("the time of the alert has no time zone: FHIR needs one")
    mapping = mapping or default_fhir()
    name = urn("alert", alert.study_instance_uid, key)
    patient: dict[str, Any] = {"value": clean(facts.patient_id)}
    if mapping.systems.patient:
        patient["system"] = mapping.systems.patient
    texts = [subject_line(alert, turn), alert.message]
    if viewer_url:
        texts.append(viewer_link(viewer_url, alert.study_instance_uid, finding=alert.finding))
    study = {"system": "urn:dicom:uid", "value": f"urn:oid:{checked_uid(alert.study_instance_uid)}"}
    communication = {
        "resourceType": "Communication",
        "identifier": [identifier(name)],
        "status": _COMMUNICATION[turn],
        "category": [{"coding": [coding(_CATEGORY, "alert", "Alert")], "text": "AI alert"}],
        "priority": "stat" if turn == "escalation" or alert.level == 1 else "urgent",
        "subject": {"type": "Patient", "identifier": patient},
        "about": [{"type": "ImagingStudy", "identifier": study}],
        "sent": made_at.isoformat(timespec="milliseconds"),
        "sender": {"type": "Device", "identifier": identifier(software_urn()), "display": MANUFACTURER},
        "payload": [{"contentString": clean(text)} for text in texts],
        "note": [{"text": clean(alert.disclaimer)}],
    }
    found = query(identifier(name))
    if turn == "first":
        request = {"method": "POST", "url": "Communication", "ifNoneExist": found}
    else:
        request = {"method": "PUT", "url": f"Communication?{found}"}
    made = {
        "resourceType": "Bundle",
        "identifier": identifier(urn("alert-bundle", alert.study_instance_uid, key, turn)),
        "type": "transaction",
        "timestamp": made_at.isoformat(timespec="milliseconds"),
        "entry": [{"fullUrl": name, "resource": communication, "request": request}],
    }
    with refusing("the FHIR alert"):
        from fhir.resources.R4B.bundle import Bundle

        Bundle.model_validate(made)
    return made
