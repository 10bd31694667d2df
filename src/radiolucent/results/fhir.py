"""A reading as a FHIR transaction: a preliminary report, an Observation a finding and a heatmap, devices, provenance.

Every resource has an identifier that follows from its inputs, so that a resend makes no duplicate and a correction or
withdrawal finds what it changes. Nothing goes over a network here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

from radiolucent.errors import EncodingError
from radiolucent.findings.narrative import write
from radiolucent.findings.phrases import phrases
from radiolucent.findings.reading import Reading, UnreadSeries
from radiolucent.imaging.study import Problem
from radiolucent.results.fhir_elements import (
    Release,
    Resource,
    Telling,
    engine_urn,
    identifier,
    query,
)
from radiolucent.results.fhir_mapping import FhirMapping, default_mapping
from radiolucent.results.fhir_observations import (
    finding_observation,
    finding_urn,
    heatmap_observation,
    unread_observation,
)
from radiolucent.results.fhir_records import (
    audit_event,
    engine_device,
    imaging_selection,
    provenance,
    report,
    report_urn,
    software_device,
)
from radiolucent.results.order import OrderFacts, Status
from radiolucent.results.provenance import refusing
from radiolucent.results.statements import Statement, check, statements, tracking_uid, withdrawal


def bundle(
    reading: Reading,
    facts: OrderFacts,
    *,
    made_at: datetime,
    status: Status = "preliminary",
    release: Release = "R4B",
    mapping: FhirMapping | None = None,
    viewer_url: str | None = None,
    language: str = "en",
    templates: Path | None = None,
    revision: int = 1,
    reason: str = "",
    earlier: Reading | None = None,
) -> dict[str, Any]:
    """Write a judged reading as one transaction Bundle; the same arguments give the same resources.

    Parameters
    ----------
    made_at : when the result was made, with a time zone: FHIR's instants need one.
    status : ``preliminary`` creates what isn't there yet; ``corrected`` and ``withdrawn`` update what was created.
    release : ``R5`` also gives an ImagingSelection (130401, DCM) for each parametric map.
    mapping : a site's own; the packaged one by default.
    viewer_url : http(s) address in which ``{study}``, ``{series}`` and ``{finding}`` are filled in, or None.
    revision : of the reading, as in the DICOM objects that it points to.
    reason : why it is withdrawn, in the reader's language.
    templates : the site's own report templates, or None.
    earlier : the reading that a correction replaces: what only it said is marked as entered in error.

    Returns
    -------
    dict
        Ready for JSON, validated by the models of fhir.resources.

    Raises
    ------
    EncodingError
        If the patient ID or the time zone is missing, a UID, a number or the viewer's address can't be sent, two
        resources would be the same, the earlier reading is of another study, or a resource isn't valid.
    InvalidTable
        If there is no such language.
    """
    if not facts.patient_id.strip():
        raise EncodingError("the patient ID is missing: a report without it would be filed under nobody or anybody")
    if made_at.utcoffset() is None:
        raise EncodingError("the time of the result has no time zone: FHIR needs one")
    check(reading)
    telling = Telling(
        reading=reading,
        facts=facts,
        made_at=made_at,
        words=phrases(language),
        mapping=mapping or default_mapping(),
        release=release,
        status=status,
        language=language,
        templates=templates,
        revision=revision,
        withdrawn=withdrawal(language, reason) if status == "withdrawn" else "",
        viewer_url=viewer_url,
    )
    entries = _entries(telling)
    if earlier is not None and status == "corrected":
        entries += _outdated(telling, earlier, entries)
    if len({entry["fullUrl"] for entry in entries}) != len(entries):
        raise EncodingError("one engine reported the same finding twice on one series: read the study again")
    made = {
        "resourceType": "Bundle",
        "identifier": identifier(telling.event_uuid("bundle")),
        "type": "transaction",
        "timestamp": telling.instant,
        "entry": entries,
    }
    return _validated(made, release)


def _entries(telling: Telling) -> list[Resource]:
    reading = telling.reading
    engines = list({engine_urn(series.engine): series.engine for series in reading.series}.values())
    observations, selections = _observations(telling)
    heading = report(
        telling, write(reading, telling.language, templates=telling.templates), [_urn(made) for made in observations]
    )
    targets = [report_urn(telling), *(_urn(made) for made in (*observations, *selections))]
    entries = [_once(software_device(telling)), *(_once(engine_device(engine, telling)) for engine in engines)]
    entries += [_kept(made, telling) for made in (heading, *observations, *selections)]
    for made, key in (provenance(telling, targets, engines), audit_event(telling)):
        entries.append(_once(made, full_url=key["value"], search=query(key, "entity:identifier")))
    return entries


def _observations(telling: Telling) -> tuple[list[Resource], list[Resource]]:
    reading, maps = telling.reading, _map_uids(telling)
    observations, selections = list[Resource](), list[Resource]()
    for statement in statements(reading, telling.words):
        series_uid, instance_uid = maps.get((id(statement.series), statement.finding.name), ("", ""))
        selection = ""
        if instance_uid and telling.release == "R5":
            engine = statement.series.engine
            selection = _selection_urn(statement, telling)
            selections.append(
                imaging_selection(selection, telling, engine=engine, series_uid=series_uid, instance_uid=instance_uid)
            )
        tracking = tracking_uid(statement, telling.provenance)
        observations.append(finding_observation(statement, telling, tracking, selection=selection))
        if statement.finding.positive:
            observations.append(heatmap_observation(statement, telling, map_uid=instance_uid))
    missing: tuple[UnreadSeries | Problem, ...] = (*reading.unread, *reading.problems)
    observations += [unread_observation(one, number, telling) for number, one in enumerate(missing, start=1)]
    return observations, selections


def _map_uids(telling: Telling) -> dict[tuple[int, str], tuple[str, str]]:
    """Series and SOP Instance UID of each parametric map, by id of the series reading and finding name."""
    found = {}
    for series in telling.reading.series:
        located = [one for one in series.positives if one.localisation and one.localisation.status == "located"]
        for number, finding in enumerate(located, start=1):
            parts = ("parametric-map", series.key, series.engine.digest)
            place = telling.provenance.place(*parts, series_number=0, instance_number=number)
            found[id(series), finding.name] = (place["series_instance_uid"], place["sop_instance_uid"])
    return found


def _selection_urn(statement: Statement, telling: Telling) -> str:
    return telling.uuid("selection", finding_urn(statement, telling))


def _outdated(telling: Telling, earlier: Reading, entries: Sequence[Resource]) -> list[Resource]:
    """What only the earlier reading said, each marked as entered in error, with the devices that it names."""
    if earlier.study_instance_uid != telling.reading.study_instance_uid:
        raise EncodingError("the earlier reading is of another study: a correction can't replace it")
    known = {entry["fullUrl"] for entry in entries}
    superseded = withdrawal(telling.language, "superseded" if telling.language == "en" else "ersetzt")
    gone = replace(telling, reading=earlier, status="withdrawn", withdrawn=superseded)
    once = ("DiagnosticReport", "Provenance", "AuditEvent")
    return [
        entry
        for entry in _entries(gone)
        if entry["fullUrl"] not in known and entry["resource"]["resourceType"] not in once
    ]


def _urn(made: Resource) -> str:
    urn: str = made["identifier"][0]["value"]
    return urn


def _once(made: Resource, *, full_url: str = "", search: str = "") -> Resource:
    """Create it unless it is there: a resend makes no duplicate."""
    urn = full_url or _urn(made)
    request = {"method": "POST", "url": made["resourceType"], "ifNoneExist": search or query(identifier(urn))}
    return {"fullUrl": urn, "resource": made, "request": request}


def _kept(made: Resource, telling: Telling) -> Resource:
    """Create it unless it is there; a correction or withdrawal puts the new state in the place of the old one."""
    if telling.status == "preliminary":
        return _once(made)
    urn = _urn(made)
    request = {"method": "PUT", "url": f"{made['resourceType']}?{query(identifier(urn))}"}
    return {"fullUrl": urn, "resource": made, "request": request}


def _validated(made: dict[str, Any], release: Release) -> dict[str, Any]:
    with refusing("the FHIR bundle"):
        if release == "R4B":
            from fhir.resources.R4B.bundle import Bundle as R4BBundle

            R4BBundle.model_validate(made)
        else:
            from fhir.resources.bundle import Bundle as R5Bundle

            R5Bundle.model_validate(made)
    return made
