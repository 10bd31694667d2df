"""What stands around FHIR Observations: report, devices, provenance, audit event and (R5) the selection of a map."""

from __future__ import annotations

from base64 import b64encode
from typing import Final

from radiolucent import __version__
from radiolucent.findings.narrative import Narrative, texts
from radiolucent.findings.reading import EngineRef
from radiolucent.results.codes import AI
from radiolucent.results.fhir_elements import (
    URI_SYSTEM,
    Resource,
    Telling,
    clean,
    coding,
    concept,
    engine_urn,
    identifier,
    narrative,
    orders,
    own,
    reference,
    software_urn,
    study,
    study_date,
    subject,
)
from radiolucent.results.fhir_observations import EXPLANATION
from radiolucent.results.provenance import MANUFACTURER
from radiolucent.results.statements import conclusion, report_code

PARAMETRIC_MAP: Final = "1.2.840.10008.5.1.4.1.1.30"
_DCM: Final = "http://dicom.nema.org/resources/ontology/DCM"
_SECTION: Final = "http://terminology.hl7.org/CodeSystem/v2-0074"
_OPERATION: Final = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
_AGENT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_EVENT: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_INTERACTION: Final = "http://hl7.org/fhir/restful-interaction"
_OUTCOME: Final = "http://terminology.hl7.org/CodeSystem/audit-event-outcome"
_ENTITY: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_BALP_ENTITY: Final = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
_DONE: Final = {
    # by status: v3-DataOperation of the provenance, action and interaction of the audit event
    "preliminary": (("CREATE", "create"), "C", "create"),
    "corrected": (("UPDATE", "revise"), "U", "update"),
    "withdrawn": (("NULLIFY", "nullify"), "U", "update"),
}


def report_urn(telling: Telling) -> str:
    """Identity of the report: one a study."""
    return telling.uuid("report")


def report(telling: Telling, text: Narrative, results: list[str]) -> Resource:
    """DiagnosticReport without interpreter and performer: no person has read it. `results`: URNs of Observations."""
    told = [telling.withdrawn] if telling.withdrawn else [conclusion(text)]
    shown = [telling.withdrawn, text.disclaimer] if telling.withdrawn else [*texts(text)]
    made: Resource = {
        "resourceType": "DiagnosticReport",
        "language": telling.language,
        "text": narrative(*shown),
        "identifier": [identifier(report_urn(telling))],
        "basedOn": orders(telling),
        "status": telling.code,
        "category": [{"coding": [coding(_SECTION, "RAD", "Radiology")]}],
        "code": concept(report_code(telling.reading), telling.mapping),
        "subject": subject(telling),
        "effectiveDateTime": study_date(telling.facts),
        "issued": telling.instant,
        "result": [reference(result, "Observation") for result in results],
        "imagingStudy" if telling.release == "R4B" else "study": [study(telling)],
        "conclusion": clean("\n".join(told)),
    }
    if not telling.withdrawn:
        data = b64encode(clean("\n\n".join(texts(text))).encode()).decode("ascii")
        made["presentedForm"] = [
            {"contentType": "text/plain; charset=utf-8", "language": telling.language, "data": data}
        ]
    return {name: part for name, part in made.items() if part not in ("", [])}


def engine_device(engine: EngineRef, telling: Telling) -> Resource:
    """The Device of one engine version, with the digest of its bundle."""
    digest = own("bundle-sha256", "SHA-256 of the engine's bundle")
    made = _device(engine_urn(engine), engine.name, engine.version, telling)
    kind = {"type": concept(digest, telling.mapping)}
    value: Resource = (
        {"valueCode": [{"text": engine.digest}]} if telling.release == "R4B" else {"valueString": engine.digest}
    )
    return {**made, "property": [{**kind, **value}]} if engine.digest else made


def software_device(telling: Telling) -> Resource:
    """The Device of this software: it says what was not read, and assembles the report."""
    return _device(software_urn(), MANUFACTURER, __version__, telling)


def _device(urn_uuid: str, name: str, version: str, telling: Telling) -> Resource:
    kind = {"coding": [coding(_DCM, AI.value, AI.meaning)], "text": AI.meaning}
    named: Resource = {"type": "user-friendly-name"}
    if telling.release == "R4B":
        names: Resource = {"deviceName": [{"name": clean(name), **named}], "type": kind}
    else:
        names = {"name": [{"value": clean(name), **named}], "type": [kind]}
    return {
        "resourceType": "Device",
        "identifier": [identifier(urn_uuid)],
        "status": "active",
        "manufacturer": MANUFACTURER,
        **names,
        "version": [{"value": clean(version)}],
    }


def provenance(telling: Telling, targets: list[str], engines: list[EngineRef]) -> tuple[Resource, Resource]:
    """Which engines made the resources and from which study.

    Returns
    -------
    The Provenance, and the identifier by which a resend finds it (it has none of its own).
    """
    key = identifier(telling.event_uuid("provenance"))
    activity: Resource = {"coding": [coding(_OPERATION, *_DONE[telling.status][0])]}
    if telling.withdrawn:
        activity["text"] = clean(telling.withdrawn)
    authors = [_author("author", "Author", engine_urn(engine)) for engine in engines]
    made: Resource = {
        "resourceType": "Provenance",
        "target": [{"reference": target} for target in targets],
        "recorded": telling.instant,
        "activity": activity,
        "agent": [*authors, _author("assembler", "Assembler", software_urn())],
        "entity": [
            {"role": "source", "what": study(telling)},
            {"role": "source", "what": {"identifier": key, "display": f"reading, revision {telling.revision}"}},
        ],
    }
    return made, key


def _author(code: str, display: str, device: str) -> Resource:
    return {"type": {"coding": [coding(_AGENT, code, display)]}, "who": reference(device, "Device")}


def audit_event(telling: Telling) -> tuple[Resource, Resource]:
    """That the report was written to the server, after the BALP patterns (network addresses are the sender's to add).

    Returns
    -------
    The AuditEvent, and the identifier by which a resend finds it.
    """
    key = identifier(telling.event_uuid("audit"))
    _, action, interaction = _DONE[telling.status]
    rest = coding(_EVENT, "rest", "RESTful Operation")
    what = coding(_INTERACTION, interaction, interaction)
    client = {"coding": [coding(_DCM, "110153", "Source Role ID")]}
    server = {"coding": [coding(_DCM, "110152", "Destination Role ID")]}
    agents = [
        {"type": client, "who": reference(software_urn(), "Device"), "requestor": True},
        {"type": server, "who": {"display": "FHIR server"}, "requestor": False},
    ]
    report_is = {"reference": report_urn(telling)}
    entities = [
        ({"code": "XrequestId", "system": _BALP_ENTITY}, None, {"identifier": key}),
        (coding(_ENTITY, "2", "System Object"), coding(_ROLE, "4", "Domain Resource"), report_is),
        (coding(_ENTITY, "1", "Person"), coding(_ROLE, "1", "Patient"), subject(telling)),
    ]
    made: Resource = {
        "resourceType": "AuditEvent",
        "action": action,
        "recorded": telling.instant,
        "agent": agents,
        "source": {"observer": reference(software_urn(), "Device")},
    }
    if telling.release == "R4B":
        made |= {
            "type": rest,
            "subtype": [what],
            "outcome": "0",
            "entity": [{"what": it, "type": kind, **({"role": role} if role else {})} for kind, role, it in entities],
        }
    else:
        made |= {
            "category": [{"coding": [rest]}],
            "code": {"coding": [what]},
            "outcome": {"code": coding(_OUTCOME, "0", "Success")},
            "entity": [{"what": it, "role": {"coding": [role or kind]}} for kind, role, it in entities],
        }
    return made, key


def imaging_selection(
    urn_uuid: str, telling: Telling, *, engine: EngineRef, series_uid: str, instance_uid: str
) -> Resource:
    """R5: the parametric map as visual explanation (130401, DCM)."""
    status = "entered-in-error" if telling.status == "withdrawn" else "available"
    return {
        "resourceType": "ImagingSelection",
        "identifier": [identifier(urn_uuid)],
        "status": status,
        "subject": subject(telling),
        "issued": telling.instant,
        "performer": [{"actor": reference(engine_urn(engine), "Device")}],
        "code": concept(EXPLANATION, telling.mapping),
        "studyUid": telling.reading.study_instance_uid,
        "derivedFrom": [study(telling)],
        "seriesUid": series_uid,
        "instance": [
            {"uid": instance_uid, "sopClass": {"system": URI_SYSTEM, "code": f"urn:oid:{PARAMETRIC_MAP}"}},
        ],
    }
