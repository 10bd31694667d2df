"""The report of a study: the AI's draft, what readers made of it, which sentences are the AI's, who signed."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Header
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel, Field

from radiolucent.audit.reading_events import ReportKept
from radiolucent.findings.narrative import Narrative, write
from radiolucent.findings.reading import Reading
from radiolucent.store.audit import AuditTrail
from radiolucent.store.reports import Report, Reports
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import Checked, Here, Premises, Refused, Someone, Told, Visitor, gate, require
from radiolucent.web.seeing import HELD, held_back, limited
from radiolucent.web.sources import Summary

router = APIRouter()
MOST_CHARACTERS: Final = 20_000
_BREAKS: Final = re.compile(r"(?<!\b\d\.)(?<=[.!?])\s+")
"""Behind a full stop, but not behind the number of a list."""


class Text(BaseModel):
    """A version of a report as its author sends it; `base` is the number of the version it was made from, or 0."""

    findings: str = Field(max_length=MOST_CHARACTERS)
    impression: str = Field(max_length=MOST_CHARACTERS)
    base: int = Field(ge=0)
    sign: bool = False


@dataclass(frozen=True, kw_only=True)
class Desk:
    """What a reader is shown of a study's report: the AI's draft, the latest version, the latest that is signed."""

    draft: Narrative | None
    latest: Report | None
    signed: Report | None


def desk_of(here: Premises, work: Work, study: str, reading: Reading | None) -> Desk:
    """What there is; `reading` is what this visitor may see of the AI, None gives no draft."""
    versions = Reports(work).versions(study)
    return Desk(
        draft=narrative(here, reading),
        latest=versions[-1] if versions else None,
        signed=next((one for one in reversed(versions) if one.is_signed), None),
    )


def narrative(here: Premises, reading: Reading | None) -> Narrative | None:
    """The AI's draft in words; None where there is nothing to tell."""
    if reading is None or not (reading.series or reading.unread):
        return None
    return write(reading, here.voice.language, limits=here.limits, templates=here.voice.templates)


def sentences(text: str) -> list[list[str]]:
    """The sentences of each line of a text.

    >>> sentences("1. Glioma, left. Size 2.5 cm.\\nNo shift.")
    [['1. Glioma, left.', 'Size 2.5 cm.'], ['No shift.']]
    """
    return [_BREAKS.split(line.strip()) for line in text.splitlines() if line.strip()]


def marked(text: str, draft: str) -> list[list[tuple[str, bool]]]:
    """The same, each with whether it stands word for word in the AI's draft.

    >>> marked("Glioma, left. No shift.", "Glioma, left. Urgent.")
    [[('Glioma, left.', True), ('No shift.', False)]]
    """
    known = {one for line in sentences(draft) for one in line}
    return [[(one, one in known) for one in line] for line in sentences(text)]


@router.get("/studies/{uid}/report")
def report(uid: str, here: Here, who: Someone) -> Response:
    """The report for a RIS: latest version, latest signed one, and the AI's draft if this visitor may see it."""
    require(here, who, "image", study=uid)
    summary = _known(here, uid)
    with here.store.read() as work:
        held = held_back(here, who, work, summary)
        seen = limited(summary.reading, gate(here, who, work)) if not held else None
        desk = desk_of(here, work, uid, seen)
    if held:
        raise Refused(403, held, HELD[held])
    draft = desk.draft
    return JSONResponse(
        {
            "study_instance_uid": uid,
            "draft": {"findings": draft.findings_text, "impression": draft.impression_text} if draft else None,
            "latest": _plain(desk.latest),
            "signed": _plain(desk.signed),
        }
    )


@router.put("/studies/{uid}/report")
def put(uid: str, text: Text, here: Here, who: Told) -> Response:
    """Keep a version, signed or not; earlier ones stay. 409 where someone else kept one meanwhile."""
    return JSONResponse(_plain(_keep(here, who, uid, text)), 201)


@router.post("/studies/{uid}/report")
def post(
    uid: str,
    here: Here,
    who: Checked,
    findings: Annotated[str, Form(max_length=MOST_CHARACTERS)] = "",
    impression: Annotated[str, Form(max_length=MOST_CHARACTERS)] = "",
    base: Annotated[int, Form(ge=0)] = 0,
    sign: Annotated[bool, Form()] = False,
    accept: Annotated[str, Header()] = "",
) -> Response:
    """The same from the page's form."""
    kept = _keep(here, who, uid, Text(findings=findings, impression=impression, base=base, sign=sign))
    if "application/json" in accept:
        return JSONResponse(_plain(kept), 201)
    return RedirectResponse(f"/studies/{uid}#report", 303)


def _keep(here: Premises, who: Visitor, uid: str, text: Text) -> Report:
    require(here, who, "sign-report" if text.sign else "report", study=uid)
    summary = _known(here, uid)
    findings, impression = (one.replace("\r\n", "\n").strip() for one in (text.findings, text.impression))
    if not (findings or impression):
        raise Refused(422, "report", "The report is empty.")
    now = here.clock()
    with here.store.begin() as work:
        held = held_back(here, who, work, summary)
        if held:
            raise Refused(403, held, HELD[held])
        draft = narrative(here, limited(summary.reading, gate(here, who, work)))
        ai = (draft.findings_text, draft.impression_text) if draft else ("", "")
        kept = Reports(work).keep(
            uid,
            findings=findings,
            impression=impression,
            author=who.name,
            sign=text.sign,
            base=text.base,
            now=now,
            ai=ai,
            reading_digest=summary.digest if draft else "",
        )
        AuditTrail(work).append(
            who.signs(
                ReportKept,
                at=now,
                study=uid,
                number=kept.number,
                status=kept.status,
                sha256=hashlib.sha256(f"{findings}\n\n{impression}".encode()).hexdigest(),
                ai_sentences=sum(
                    ai_made for line in (*marked(findings, ai[0]), *marked(impression, ai[1])) for _, ai_made in line
                ),
                digest=kept.reading_digest,
            )
        )
    return kept


def _known(here: Premises, uid: str) -> Summary:
    found = here.source.summary(uid)
    if found is None:
        raise Refused(404, "not_found")
    return found


def _plain(one: Report | None) -> dict[str, Any] | None:
    if one is None:
        return None
    parts = {"findings": (one.findings, one.ai_findings), "impression": (one.impression, one.ai_impression)}
    return {
        "number": one.number,
        "status": one.status,
        "author": one.author,
        "at": one.at.isoformat(),
        "findings": one.findings,
        "impression": one.impression,
        "sentences": {
            name: [{"text": words, "ai": ai} for line in marked(text, draft) for words, ai in line]
            for name, (text, draft) in parts.items()
        },
    }
