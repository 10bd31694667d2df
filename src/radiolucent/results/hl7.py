"""A reading as an HL7 v2.5.1 ORU^R01 message: one group of observations a finding, preliminary, corrected or withdrawn.

A mapping says which observations stand in it (`results.hl7_mapping`). Nothing goes over a network here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Final

from radiolucent.errors import EncodingError
from radiolucent.findings.narrative import write
from radiolucent.findings.phrases import phrases
from radiolucent.findings.reading import Reading, UnreadSeries
from radiolucent.findings.urgency import level_number
from radiolucent.imaging.study import Problem
from radiolucent.imaging.uids import derived_uid
from radiolucent.results.hl7_mapping import OruMapping, Row, Section, default_mapping
from radiolucent.results.hl7_text import (
    SEPARATORS,
    coded,
    components,
    entity,
    escaped,
    message_bytes,
    moment,
    person_names,
    segment,
    staff_name,
)
from radiolucent.results.hl7_values import (
    Telling,
    Values,
    encoded,
    finding_values,
    study_values,
    told,
    unread_values,
)
from radiolucent.results.order import OrderFacts, Status
from radiolucent.results.provenance import Provenance
from radiolucent.results.statements import check, is_urgent, most_urgent, report_code, statements

CONTROL_ID_LENGTH: Final = 20
"""Longest MSH-10 (2.14.9.10)."""
_PRIORITIES: Final = {
    "S": "Stat",
    "A": "ASAP",
    "R": "Routine",
    "P": "Preop",
    "C": "Callback",
    "T": "Timing critical",
}


def oru(
    reading: Reading,
    facts: OrderFacts,
    *,
    made_at: datetime,
    mapping: OruMapping | None = None,
    status: Status = "preliminary",
    viewer_url: str | None = None,
    language: str = "en",
    templates: Path | None = None,
    revision: int = 1,
    reason: str = "",
) -> bytes:
    """Write a judged reading as one message; the same arguments give the same bytes.

    Parameters
    ----------
    made_at : when the result was made; with a time zone the message names its offset.
    mapping : a site's own; the packaged one by default.
    status : ``corrected`` and ``withdrawn`` go out under the filler number of the earlier message (OBR-3). A
        withdrawal repeats its observations, each marked as wrong, without the text of the report.
    viewer_url : http(s) address in which ``{study}``, ``{series}`` and ``{finding}`` are filled in, or None.
    revision : of the reading, as in the DICOM objects: Tracking UIDs follow from it.
    reason : why it is withdrawn, in the reader's language.
    templates : the site's own report templates, or None.

    Returns
    -------
    bytes
        In the character set that MSH-18 names; segments end with a carriage return. No MLLP framing.

    Raises
    ------
    EncodingError
        If the patient ID is missing, a UID, a number, the viewer's address or a character can't be sent.
    InvalidTable
        If there is no such language.
    """
    if not facts.patient_id.strip():
        raise EncodingError("the patient ID is missing: a message without it would be filed under nobody or anybody")
    check(reading)
    mapping, words = mapping or default_mapping(), phrases(language)
    telling = Telling(
        reading=reading,
        narrative=write(reading, language, templates=templates),
        words=words,
        mapping=mapping,
        provenance=Provenance(made_at=made_at, study_instance_uid=reading.study_instance_uid, revision=revision),
        withdrawn=told(language, status, reason),
        viewer_url=viewer_url,
    )
    observations = _observations(telling, facts, made_at=made_at, status=status)
    return framed(reading, facts, observations, made_at=made_at, mapping=mapping, status=status, language=language)


def framed(
    reading: Reading,
    facts: OrderFacts,
    observations: Sequence[str],
    *,
    made_at: datetime,
    mapping: OruMapping,
    status: Status,
    language: str,
) -> bytes:
    """Put finished OBX segments into a message on a study: MSH, PID, PV1, ORC, OBR and TQ1 before them.

    Raises
    ------
    EncodingError
        If a character can't be sent, or the mapping wants an accession number that isn't there.
    """
    body = [
        _patient(facts),
        _visit(facts),
        *_order(reading, facts, made_at=made_at, mapping=mapping, status=status),
        *observations,
    ]
    return message_bytes([_header(body, made_at, mapping, language), *body], mapping.message.character_set)


def filler_order_number(reading: Reading, facts: OrderFacts, mapping: OruMapping | None = None) -> str:
    """OBR-3: the number under which every message on this study goes, the first one and its corrections.

    Raises
    ------
    EncodingError
        If the mapping takes the accession number and there is none.
    """
    if facts.filler_order_number:
        return facts.filler_order_number
    if (mapping or default_mapping()).message.filler == "own":
        return f"RL{int(derived_uid('filler-order', reading.study_instance_uid).split('.')[-1]):032X}"[:20]
    if not facts.accession_number:
        raise EncodingError("the mapping files results under the accession number, and the study has none")
    return facts.accession_number


def _header(body: Sequence[str], made_at: datetime, mapping: OruMapping, language: str) -> str:
    table = mapping.message
    fields = {
        3: components(table.sending_application),
        4: components(table.sending_facility),
        5: components(table.receiving_application),
        6: components(table.receiving_facility),
        7: moment(made_at),
        9: "ORU^R01^ORU_R01",
        11: table.processing_id,
        12: "2.5.1",
        18: table.character_set,
        19: components(language, "", "ISO639"),
    }
    content = "\r".join([*fields.values(), *body]).encode("utf-8", errors="surrogatepass")
    fields[10] = hashlib.sha256(content).hexdigest()[:CONTROL_ID_LENGTH].upper()
    # MSH-1 is the field separator itself, so that MSH-2 comes directly behind it
    return "MSH" + SEPARATORS + segment("", {number - 1: text for number, text in fields.items() if number > 2})[1:]


def _patient(facts: OrderFacts) -> str:
    return segment(
        "PID",
        {
            1: "1",
            3: components(facts.patient_id, "", "", facts.patient_id_issuer),
            5: person_names(facts.patient_name),
            7: facts.birth_date,
            8: facts.sex,
        },
    )


def _visit(facts: OrderFacts) -> str:
    return segment(
        "PV1",
        {
            1: "1",
            2: escaped(facts.patient_class),
            8: staff_name(facts.referring_physician),
            19: entity(facts.visit_number),
        },
    )


def _order(reading: Reading, facts: OrderFacts, *, made_at: datetime, mapping: OruMapping, status: Status) -> list[str]:
    filler = entity(filler_order_number(reading, facts, mapping), mapping.message.sending_application)
    placer = entity(facts.placer_order_number)
    segments = [
        segment("ORC", {1: "RE", 2: placer, 3: filler}),
        segment(
            "OBR",
            {
                1: "1",
                2: placer,
                3: filler,
                4: coded(facts.procedure or report_code(reading), schemes=mapping.schemes),
                7: facts.study_moment,
                18: escaped(facts.accession_number),
                22: moment(made_at),
                24: escaped(mapping.message.diagnostic_service),
                25: getattr(mapping.status, status).order,
            },
        ),
    ]
    worst = most_urgent(reading)
    if worst is not None:
        urgent = status != "withdrawn" and is_urgent(worst)
        level = "12345"[level_number(worst) - 1] if urgent else "5"
        priority = mapping.priority[level]  # type: ignore[index]
        segments.append(segment("TQ1", {1: "1", 9: components(priority, _PRIORITIES[priority], "HL70485")}))
    return segments


def _observations(telling: Telling, facts: OrderFacts, *, made_at: datetime, status: Status) -> list[str]:
    mapping, writer = telling.mapping, _Writer(telling, facts, made_at=made_at, status=status)
    writer.add("study", study_values(telling))
    for statement in statements(telling.reading, telling.words):
        positive = statement.finding.positive
        writer.add(
            "positive" if positive else "negative",
            finding_values(statement, telling),
            grouped=True,
            own_code=coded_finding(mapping, statement.finding.name),
            flag=_flag(mapping, level_number(statement.finding.urgency)) if positive and status != "withdrawn" else "",
            engine=statement.series.engine.label,
        )
    missing: tuple[UnreadSeries | Problem, ...] = (*telling.reading.unread, *telling.reading.problems)
    for unread in missing:
        writer.add("unread", unread_values(unread, telling), grouped=True)
    writer.add("end", study_values(telling))
    return writer.segments


def coded_finding(mapping: OruMapping, name: str) -> str:
    """OBX-3 of an observation that stands under the finding's own code."""
    code, other = mapping.finding_codes(name)
    return coded(code, other=other, schemes=mapping.schemes)


def _flag(mapping: OruMapping, level: int) -> str:
    return mapping.flags.critical if level == 1 else mapping.flags.positive


class _Writer:
    """Numbers observations and groups, and writes those that have something to tell."""

    def __init__(self, telling: Telling, facts: OrderFacts, *, made_at: datetime, status: Status) -> None:
        self._mapping, self._study, self._made = telling.mapping, facts.study_moment, moment(made_at)
        self._result = getattr(telling.mapping.status, status).result
        self._groups, self.segments = 0, list[str]()

    def add(
        self,
        section: Section,
        values: Values,
        *,
        grouped: bool = False,
        own_code: str = "",
        flag: str = "",
        engine: str = "",
    ) -> None:
        """One OBX for each row of the section whose value isn't None."""
        self._groups += grouped
        for row in self._mapping.rows(section):
            if (value := values.get(row.say)) is None:
                continue
            self.segments.append(
                segment(
                    "OBX",
                    {
                        1: str(len(self.segments) + 1),
                        2: row.type,
                        3: self._code(row, own_code),
                        4: str(self._groups) if grouped else "",
                        5: encoded(value, row.type, self._mapping.schemes),
                        6: components(row.unit, "", "UCUM" if row.unit else ""),
                        8: flag if row.say == "finding" else "",
                        11: self._result,
                        14: self._study,
                        18: entity(engine),
                        19: self._made,
                    },
                )
            )

    def _code(self, row: Row, own_code: str) -> str:
        return own_code if isinstance(row.code, str) else coded(row.code.code, schemes=self._mapping.schemes)
