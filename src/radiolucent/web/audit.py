"""The audit trail on a page: filter, export as CSV or FHIR AuditEvent, verify, anchor."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import RedirectResponse, Response

from radiolucent import __version__
from radiolucent.audit.events import KINDS, AuditRead
from radiolucent.store.audit import ANCHORS, AuditTrail, Filter, Written, anchor_now, read_anchors
from radiolucent.web.access import Checked, Here, Premises, Refused, Someone, require
from radiolucent.web.pages import page

router = APIRouter()
MOST_EXPORTED: Final = 100_000
_PAGE: Final = 100
_COMMON: Final = ("at", "actor", "role", "address", "study_instance_uid")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def filters(since: str = "", until: str = "", actor: str = "", kind: str = "", study: str = "") -> Filter:
    """The filter of a request. Raises `Refused` for what is no date."""
    try:
        start = datetime.combine(date.fromisoformat(since), time(), UTC) if since else None
        end = datetime.combine(date.fromisoformat(until), time(), UTC) + timedelta(days=1) if until else None
    except ValueError as error:
        raise Refused(422, "date", "A date is YYYY-MM-DD.") from error
    return Filter(since=start, until=end, actor=actor, kind=kind, study_instance_uid=study)


Text = Annotated[str, Query(max_length=128)]


@router.get("/audit")
def audit(
    here: Here,
    who: Someone,
    since: Text = "",
    until: Text = "",
    actor: Text = "",
    kind: Text = "",
    study: Text = "",
    offset: Annotated[int, Query(ge=0, le=10**7)] = 0,
) -> Response:
    """The page, newest first."""
    require(here, who, "audit")
    wanted = filters(since, until, actor, kind, study)
    with here.store.begin() as work:
        trail = AuditTrail(work)
        found, count, head = trail.find(wanted, limit=_PAGE, offset=offset), trail.count(wanted), trail.head()
        trail.append(who.signs(AuditRead, at=here.clock(), what="page", outcome=f"{len(found)} of {count}"))
        return page(
            "audit.html.j2",
            here,
            who,
            work,
            entries=[(one, details(one)) for one in found],
            count=count,
            head=head,
            kinds=sorted(KINDS),
            asked={"since": since, "until": until, "actor": actor, "kind": kind, "study": study},
            offset=offset,
            size=_PAGE,
            verdict=None,
        )


@router.post("/audit/verify")
def verify(here: Here, who: Checked) -> Response:
    """Check the whole chain, against every anchor that lies on this machine."""
    require(here, who, "audit")
    anchors = read_anchors(_anchors(here))
    with here.store.read() as work:  # a long chain takes its time, and keeps nobody from writing
        trail = AuditTrail(work)
        verdict, head = trail.verify(anchors), trail.head()
    outcome = f"holds, {verdict.entries} entries" if verdict.holds else verdict.fault
    with here.store.begin() as work:
        AuditTrail(work).append(who.signs(AuditRead, at=here.clock(), what="verify", outcome=outcome))
        return page(
            "audit.html.j2",
            here,
            who,
            work,
            entries=[],
            count=head.number,
            head=head,
            kinds=sorted(KINDS),
            asked={"since": "", "until": "", "actor": "", "kind": "", "study": ""},
            offset=0,
            size=_PAGE,
            verdict=verdict,
        )


@router.post("/audit/anchor")
def anchor(here: Here, who: Checked) -> Response:
    """Write an anchor file now; a copy belongs on another machine."""
    require(here, who, "audit")
    anchor_now(here.store, at=here.clock(), actor=who.name, role=who.role, address=who.address)
    return RedirectResponse("/audit", 303)


@router.get("/audit/export.csv")
def export_csv(
    here: Here, who: Someone, since: Text = "", until: Text = "", actor: Text = "", kind: Text = "", study: Text = ""
) -> Response:
    """What the filter finds, oldest first; a cell that a spreadsheet would run is quoted as text."""
    entries = _export(here, who, filters(since, until, actor, kind, study), "csv")
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["number", *_COMMON, "kind", "details", "digest"])
    for one in entries:
        values = [getattr(one.event, name) for name in _COMMON]
        row = [one.number, *values, one.event.kind, details(one), one.digest]
        writer.writerow([_harmless(str(value)) for value in row])
    return _file(out.getvalue(), "text/csv; charset=utf-8", "audit.csv")


@router.get("/audit/export.json")
def export_fhir(
    here: Here, who: Someone, since: Text = "", until: Text = "", actor: Text = "", kind: Text = "", study: Text = ""
) -> Response:
    """What the filter finds as a FHIR R4B collection of AuditEvent."""
    entries = _export(here, who, filters(since, until, actor, kind, study), "fhir")
    bundle = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": audit_event(one)} for one in entries],
    }
    return _file(json.dumps(bundle, ensure_ascii=False, indent=1), "application/fhir+json", "audit.json")


def audit_event(one: Written) -> dict[str, Any]:
    """One entry as an R4B AuditEvent; number and digest are its details, so that it can be found in the chain."""
    event = one.event
    agent: dict[str, Any] = {"who": {"display": event.actor}, "requestor": True}
    if event.role:
        agent["role"] = [{"text": event.role}]
    if event.address:
        agent["network"] = {"address": event.address, "type": "2"}
    facts = {"number": str(one.number), "digest": one.digest} | {
        name: str(value) for name, value in _own_facts(one).items() if str(value)
    }
    entity: dict[str, Any] = {
        "name": event.kind,
        "detail": [{"type": name, "valueString": value} for name, value in facts.items()],
    }
    if event.study_instance_uid:
        entity["what"] = {"identifier": {"system": "urn:dicom:uid", "value": f"urn:oid:{event.study_instance_uid}"}}
    failed = event.kind in ("login.failed", "access.denied", "result.delivery-failed")
    return {
        "resourceType": "AuditEvent",
        "type": {
            "system": "http://dicom.nema.org/resources/ontology/DCM",
            "code": _code(event.kind),
            "display": _DCM[_code(event.kind)],
        },
        "subtype": [{"system": "urn:radiolucent:event", "code": event.kind}],
        "action": event.action,
        "recorded": event.at.astimezone(UTC).isoformat(timespec="milliseconds"),
        "outcome": "4" if failed else "0",
        "agent": [agent],
        "source": {"observer": {"display": f"radiolucent {__version__}"}},
        "entity": [entity],
    }


_DCM: Final = {
    "110114": "User Authentication",
    "110101": "Audit Log Used",
    "110113": "Security Alert",
    "110103": "DICOM Instances Accessed",
    "110104": "DICOM Instances Transferred",
    "110100": "Application Activity",
}
"""Event Identifiers of PS3.16 CID 400."""
_CODES: Final = (
    ("login", "110114"),
    ("logout", "110114"),
    ("audit.", "110101"),
    ("access.denied", "110113"),
    ("account.", "110113"),
    ("study.", "110103"),
    ("heatmap.", "110103"),
    ("instance.", "110104"),
    ("result.", "110104"),
)


def _code(kind: str) -> str:
    return next((code for start, code in _CODES if kind.startswith(start)), "110100")


def details(one: Written) -> str:
    """What is particular to the event, in one line."""
    return ", ".join(f"{name}={value}" for name, value in _own_facts(one).items() if value not in ("", None))


def _own_facts(one: Written) -> dict[str, Any]:
    return {name: value for name, value in asdict(one.event).items() if name not in _COMMON}


def _export(here: Premises, who: Someone, wanted: Filter, form: str) -> list[Written]:
    require(here, who, "audit")
    with here.store.begin() as work:
        trail = AuditTrail(work)
        found = trail.find(wanted, limit=MOST_EXPORTED)
        trail.append(who.signs(AuditRead, at=here.clock(), what=f"export {form}", outcome=str(len(found))))
    return found[::-1]


def _harmless(value: str) -> str:
    return f"'{value}" if value.startswith(_FORMULA) else value


def _file(text: str, kind: str, name: str) -> Response:
    return Response(text, media_type=kind, headers={"Content-Disposition": f'attachment; filename="{name}"'})


def _anchors(here: Premises) -> Path:
    return here.store.folder / ANCHORS
