"""Readings of every kind that a message must tell, and how a receiver takes ORU messages and bundles apart."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import hl7

from radiolucent.findings.judgement import judge
from radiolucent.findings.profile import WITHHELD
from radiolucent.findings.reading import EngineRef, Localisation, Reading, Refusal, UnreadSeries
from radiolucent.imaging.study import Problem
from radiolucent.results.fhir import bundle
from radiolucent.results.hl7 import oru
from radiolucent.results.order import OrderFacts
from tests.unit.results.pages import LOCATED, MADE_AT, finding, reading, series

FACTS = OrderFacts(
    patient_id="SYN-7",
    patient_id_issuer="SITE",
    patient_name="Phantom^Test^^Dr^Jr",
    birth_date="19700101",
    sex="O",
    accession_number="ACC-1",
    placer_order_number="PL-9",
    study_date="20261120",
    study_time="131500",
    timezone="+0000",
)
NEGATIVE = finding("meningioma", positive=False, probability=0.123456789, score=0.2, localisation=None)
UNREAD = UnreadSeries(
    series_instance_uid="1.2.5",
    modality="MR",
    description="PD",
    frames=20,
    refusals=(Refusal(code="no-contrast", reason="it has no contrast agent", engine="brain-mri@1.2.0"),),
)


def _judged(value: Reading) -> Reading:
    return judge(value, bundle_priors={}, body_boxes={})


@cache
def readings() -> dict[str, Reading]:
    """A judged reading for each kind of result."""
    other = EngineRef(name="chest", version="2.0.0", digest="cd" * 32)
    kinds = {
        "positive": reading(series(finding(), NEGATIVE)),
        "negative": reading(series(NEGATIVE)),
        "empty": reading(series(finding(localisation=Localisation(status="empty")), NEGATIVE)),
        "failed": reading(series(finding(localisation=Localisation(status="failed", reason="the map is broken")))),
        "withheld": reading(series(finding(localisation=Localisation(status="withheld", reason=WITHHELD)))),
        "not-located": reading(series(finding(localisation=None))),
        "uncalibrated": reading(
            series(finding(probability=None, basis="phantom"), finding("meningioma", positive=False, probability=None))
        ),
        "critical": reading(series(finding("tension-pneumothorax"), modality="DX", kind="image")),
        "several-series": reading(
            series(finding(), NEGATIVE),
            series(finding("pituitary-tumour", probability=0.7), series_instance_uid="1.2.4", description="T1 coronal"),
            series(finding("effusion"), series_instance_uid="1.2.6", modality="DX", engine=other),
        ),
        "right": reading(
            series(
                finding(
                    localisation=Localisation(
                        status="located", regions=LOCATED.regions, laterality="right", peak_frame=2
                    )
                )
            )
        ),
        "partly-read": reading(
            series(finding(interval=(0.8, 0.96)), replace(NEGATIVE, interval=(0.004, 0.25))),
            unread=(UNREAD,),
            problems=(Problem(code="truncated", reason="the file ends early", source="b.dcm"),),
        ),
        "not-read": reading(unread=(UNREAD,)),
        "only-problems": reading(problems=(Problem(code="not-dicom", reason="a text file"),)),
    }
    judged = {name: _judged(value) for name, value in kinds.items()}
    earlier = _judged(reading(series(finding(), finding("meningioma")), study_instance_uid="2.25.0"))
    judged["compared"] = judge(kinds["positive"], bundle_priors={}, body_boxes={}, prior=earlier)
    judged["not-judged"] = kinds["positive"]
    return judged


@dataclass(frozen=True, kw_only=True)
class Observation:
    """One OBX as a receiver reads it: values are unescaped components."""

    kind: str
    code: tuple[str, ...]
    group: str
    value: tuple[str, ...]
    unit: str
    flag: str
    status: str
    engine: str


@dataclass(frozen=True, kw_only=True)
class Received:
    """A message as python-hl7 reads it."""

    message: hl7.Message

    @classmethod
    def of(cls, data: bytes) -> Received:
        return cls(message=hl7.parse(data))

    def names(self) -> list[str]:
        return [str(segment[0]) for segment in self.message]

    def field(self, name: str, number: int) -> tuple[str, ...]:
        """Unescaped components of the first repetition."""
        segments = [segment for segment in self.message if str(segment[0]) == name]
        return self._parts(segments[0], number)

    def _parts(self, segment: Any, number: int) -> tuple[str, ...]:
        if number >= len(segment):
            return ("",)
        return tuple(self.message.unescape(part) for part in str(segment[number]).split("^"))

    def observations(self) -> list[Observation]:
        found = []
        for segment in self.message:
            if str(segment[0]) != "OBX":
                continue
            kind, code, group, value, unit, flag, status, engine = (
                self._parts(segment, number) for number in (2, 3, 4, 5, 6, 8, 11, 18)
            )
            found.append(
                Observation(
                    kind=kind[0],
                    code=code,
                    group=group[0],
                    value=value,
                    unit=unit[0],
                    flag=flag[0],
                    status=status[0],
                    engine=engine[0],
                )
            )
        return found

    def study(self) -> dict[str, tuple[str, ...]]:
        """Value of each observation outside a group, by the code of the observation."""
        return {one.code[0]: one.value for one in self.observations() if not one.group}

    def groups(self) -> list[dict[str, tuple[str, ...]]]:
        """The same for each group, in order."""
        numbers = dict.fromkeys(one.group for one in self.observations() if one.group)
        return [{one.code[0]: one.value for one in self.observations() if one.group == number} for number in numbers]


def send(value: Reading, facts: OrderFacts = FACTS, **options: Any) -> bytes:
    return oru(value, facts, **{"made_at": MADE_AT, **options})


def received(value: Reading, facts: OrderFacts = FACTS, **options: Any) -> Received:
    return Received.of(send(value, facts, **options))


def bundled(value: Reading, facts: OrderFacts = FACTS, **options: Any) -> dict[str, Any]:
    return bundle(value, facts, **{"made_at": MADE_AT, **options})


def resources(made: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in made["entry"] if entry["resource"]["resourceType"] == kind]


def first_code(concept: dict[str, Any]) -> str:
    return str(concept["coding"][0]["code"])


def component_values(observation: dict[str, Any]) -> dict[str, Any]:
    """Code → quantity's number, range's ends, coded value's code, or the plain value of each component."""
    found = {}
    for component in observation.get("component", []):
        (value,) = [part for name, part in component.items() if name.startswith("value")]
        if isinstance(value, dict) and "low" in value:
            value = (value["low"]["value"], value["high"]["value"])
        elif isinstance(value, dict):
            value = value["value"] if "value" in value else first_code(value)
        found[first_code(component["code"])] = value
    return found


def of_findings(made: dict[str, Any]) -> list[dict[str, Any]]:
    """Observations of findings, above their threshold or below."""
    coded = [one for one in resources(made, "Observation") if "valueCodeableConcept" in one]
    return [one for one in coded if first_code(one["valueCodeableConcept"]) in ("52101004", "no-finding")]


def of_heatmaps(made: dict[str, Any]) -> list[dict[str, Any]]:
    return [one for one in resources(made, "Observation") if first_code(one["code"]) == "130401"]
