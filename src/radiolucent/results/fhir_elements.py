"""The small parts of FHIR resources: codings, identifiers, references, quantities, moments and clean text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from html import escape
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote
from uuid import UUID

from radiolucent import __version__
from radiolucent.findings.phrases import Phrases
from radiolucent.findings.reading import EngineRef, Reading
from radiolucent.findings.taxonomy import LOCAL_SCHEME, Code
from radiolucent.imaging.uids import derived_uid
from radiolucent.results.fhir_mapping import FhirMapping
from radiolucent.results.order import OrderFacts, Status
from radiolucent.results.provenance import MANUFACTURER, Provenance

Resource: TypeAlias = dict[str, Any]
Release: TypeAlias = Literal["R4B", "R5"]

URI_SYSTEM: Final = "urn:ietf:rfc:3986"
UCUM: Final = "http://unitsofmeasure.org"
IDENTIFIER_TYPES: Final = "http://terminology.hl7.org/CodeSystem/v2-0203"
_VISIBLE: Final = str.maketrans(
    {
        **{chr(value): chr(0x2400 + value) for value in range(32) if chr(value) not in "\t\n\r"},
        "\x7f": "\u2421",
        "\ufffe": "\ufffd",
        "\uffff": "\ufffd",
        **{chr(value): "\ufffd" for value in range(0xD800, 0xE000)},
    }
)


@dataclass(frozen=True, kw_only=True)
class Telling:
    """What all resources of one bundle share.

    Parameters
    ----------
    withdrawn : the sentence that takes the result back, or empty.
    made_at : aware.
    """

    reading: Reading
    facts: OrderFacts
    made_at: datetime
    words: Phrases
    mapping: FhirMapping
    release: Release
    status: Status
    language: str
    templates: Path | None
    revision: int
    withdrawn: str
    viewer_url: str | None

    @property
    def code(self) -> str:
        """Status of report and observations."""
        status: str = getattr(self.mapping.status, self.status)
        return status

    @property
    def instant(self) -> str:
        """When the result was made, as FHIR's instant."""
        return self.made_at.isoformat(timespec="milliseconds")

    @property
    def provenance(self) -> Provenance:
        """UIDs of the DICOM objects that were made from the same reading."""
        return Provenance(
            made_at=self.made_at, study_instance_uid=self.reading.study_instance_uid, revision=self.revision
        )

    def uuid(self, *parts: str) -> str:
        """``urn:uuid:`` that follows from the study and `parts`, the same in every revision."""
        return urn(self.reading.study_instance_uid, *parts)

    def event_uuid(self, *parts: str) -> str:
        """The same for what happens once a message: another revision or status gives another one."""
        return self.uuid(*parts, str(self.revision), self.status)


def urn(*parts: str) -> str:
    """A version 5 style UUID that follows from `parts`, as ``urn:uuid:``.

    >>> urn("a") == urn("a"), len(urn("a"))
    (True, 45)
    """
    return UUID(int=int(derived_uid("fhir", *parts).removeprefix("2.25."))).urn


def own(value: str, meaning: str) -> Code:
    """A code of this project."""
    return Code(value=value, scheme=LOCAL_SCHEME, meaning=meaning)


def clean(text: str) -> str:
    """Text without what FHIR and XML forbid: control characters become their pictures (U+2400), surrogates U+FFFD."""
    return text.translate(_VISIBLE).strip()


def coding(system: str | None, value: str, display: str) -> Resource:
    """One Coding."""
    return {**({"system": system} if system else {}), "code": value, "display": display}


def concept(codes: Code | Iterable[Code], mapping: FhirMapping, words: str = "") -> Resource:
    """CodeableConcept; a code whose system has no URI is left out of `coding` and stays as text."""
    every = [codes] if isinstance(codes, Code) else list(codes)
    known = [(mapping.system(code.scheme), code) for code in every]
    found: Resource = {"coding": [coding(system, code.value, code.meaning) for system, code in known if system]}
    return {key: part for key, part in {**found, "text": clean(words) or every[0].meaning}.items() if part}


def identifier(urn_uuid: str) -> Resource:
    """Identifier of a resource of this project, by which a resend finds it again."""
    return {"system": URI_SYSTEM, "value": urn_uuid}


def query(found: Resource, parameter: str = "identifier") -> str:
    """The search that finds a resource by its identifier."""
    return f"{parameter}={quote(found['system'], safe=':')}%7C{quote(found['value'], safe=':')}"


def quantity(value: Decimal | float, unit: str, code: str) -> Resource:
    """Quantity in UCUM."""
    return {"value": float(value), "unit": unit, "system": UCUM, "code": code}


def component(code: Code, mapping: FhirMapping, **value: Any) -> Resource:
    """One component of an Observation, `value` as ``valueQuantity=…`` and the like."""
    return {"code": concept(code, mapping), **value}


def narrative(*paragraphs: str) -> Resource:
    """Generated XHTML text: one paragraph each, its line breaks kept."""
    shown = "".join(f"<p>{escape(clean(text)).replace(chr(10), '<br/>')}</p>" for text in paragraphs if clean(text))
    return {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{shown}</div>'}


def subject(telling: Telling) -> Resource:
    """The patient by identifier: no Patient is made, because nothing is known but what the header says."""
    facts = telling.facts
    found: Resource = {"value": clean(facts.patient_id)}
    if telling.mapping.systems.patient:
        found["system"] = telling.mapping.systems.patient
    if clean(facts.patient_id_issuer):
        found["assigner"] = {"display": clean(facts.patient_id_issuer)}
    return {"type": "Patient", "identifier": found}


def study(telling: Telling) -> Resource:
    """The ImagingStudy by its UID; the archive owns it, so none is made."""
    uid = telling.reading.study_instance_uid
    return {"type": "ImagingStudy", "identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{uid}"}}


def orders(telling: Telling) -> list[Resource]:
    """The order by accession number, and by placer number where it has one."""
    facts, systems = telling.facts, telling.mapping.systems
    kinds = (
        ("ACSN", "Accession ID", systems.accession, facts.accession_number),
        ("PLAC", "Placer Identifier", systems.placer, facts.placer_order_number),
    )
    return [
        {
            "type": "ServiceRequest",
            "identifier": {
                "type": {"coding": [coding(IDENTIFIER_TYPES, code, display)]},
                **({"system": system} if system else {}),
                "value": clean(value),
            },
        }
        for code, display, system, value in kinds
        if clean(value)
    ]


def study_date(facts: OrderFacts) -> str:
    """``effectiveDateTime``: to the second only where the offset from UTC is known, empty without a date."""
    date, time = facts.study_date, facts.study_time.partition(".")[0]
    if not date:
        return ""
    day = f"{date[:4]}-{date[4:6]}-{date[6:]}"
    if not facts.timezone or len(time) < 4:
        return day
    return f"{day}T{time[:2]}:{time[2:4]}:{time[4:6] or '00'}{facts.timezone[:3]}:{facts.timezone[3:]}"


def engine_urn(engine: EngineRef) -> str:
    """The Device of an engine version: the same for every study."""
    return urn("device", engine.name, engine.version, engine.digest)


def software_urn() -> str:
    """The Device of this software."""
    return urn("device", MANUFACTURER, __version__)


def reference(urn_uuid: str, kind: str) -> Resource:
    """A reference to a resource of the same bundle."""
    return {"reference": urn_uuid, "type": kind}
