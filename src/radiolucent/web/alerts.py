"""Alerts: which findings nobody has taken note of yet, as a bell on every page, a page and JSON; and who did when.

An alert is acknowledged here, once, by name. There is no way to change, suppress or delete one.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Header, Query
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from radiolucent.audit.alert_events import AlertsViewed
from radiolucent.audit.events import Commented
from radiolucent.findings.reading import EngineRef
from radiolucent.findings.urgency import default_urgency
from radiolucent.pipeline.alerting import acknowledge as take_note
from radiolucent.store.alerts import AlertRecord, Alerts, NoticeRecord, Notices
from radiolucent.store.audit import AuditTrail
from radiolucent.store.room import Room
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import Checked, Gate, Here, Premises, Refused, Someone, Visitor, deny, gate, require
from radiolucent.web.pages import fragment, page
from radiolucent.web.seeing import HELD, held_back
from radiolucent.web.sources import Summary

router = APIRouter()
_MOST: Final = 200
_TURNS: Final = {"first": "sent", "escalation": "escalated", "acknowledged": "told", "withdrawn": "taken back"}


@dataclass(frozen=True, kw_only=True)
class Line:
    """One alert as this visitor may see it, and how its messages fare.

    `held` says why its words aren't told to this reader yet (`web.seeing.HELD`), or is empty; the urgency is.
    """

    alert: AlertRecord
    summary: Summary | None
    held: str
    word: str
    waited_minutes: float
    notices: tuple[NoticeRecord, ...]

    @property
    def told(self) -> tuple[str, ...]:
        """What became of each message, one phrase each."""
        words = {"waiting": "waits", "sending": "is being sent", "dead": "FAILED", "cancelled": "not needed any more"}
        return tuple(
            f"{one.channel}: {_TURNS[one.turn] if one.state == 'delivered' else words[one.state]}"
            for one in self.notices
        )


def lines(here: Premises, who: Visitor, work: Work, *, states: tuple[str, ...]) -> list[Line]:
    """The alerts that this visitor may see: open ones first, the most urgent first."""
    seen = gate(here, who, work)
    return [_line(here, who, work, one) for one in Alerts(work).list(states=states, limit=_MOST) if _shows(seen, one)]


def _line(here: Premises, who: Visitor, work: Work, one: AlertRecord) -> Line:
    summary = here.source.summary(one.study_instance_uid)
    until = one.acknowledged_at or one.ended_at or here.clock()
    return Line(
        alert=one,
        summary=summary,
        held=HELD[held] if summary and (held := held_back(here, who, work, summary)) else "",
        word=default_urgency().levels[one.level - 1].name,
        waited_minutes=max(0.0, (until - one.raised_at).total_seconds() / 60),
        notices=Notices(work).of_alert(one.key),
    )


@router.get("/alerts")
def alerts(here: Here, who: Someone, state: Annotated[str, Query(pattern="^(open|all)$")] = "open") -> Response:
    """The page."""
    require(here, who, "worklist")
    with here.store.begin() as work:
        found = lines(here, who, work, states=("open",) if state == "open" else ())
        AuditTrail(work).append(who.signs(AlertsViewed, at=here.clock(), rows=len(found)))
        return page("alerts.html.j2", here, who, work, lines=found, state=state)


@router.get("/alerts/bell")
def bell(here: Here, who: Someone) -> Response:
    """How many alerts wait, for the bell on every page."""
    require(here, who, "worklist")
    with here.store.read() as work:
        seen = gate(here, who, work)
        waiting = [one for one in Alerts(work).list(states=("open",), limit=_MOST) if _shows(seen, one)]
    critical = sum(one.level == 1 for one in waiting)
    return HTMLResponse(fragment("bell.html.j2", waiting=len(waiting), critical=critical))


@router.get("/api/v1/alerts")
def alerts_json(here: Here, who: Someone, state: Annotated[str, Query(pattern="^(open|all)$")] = "all") -> Response:
    """The same rows for a program."""
    require(here, who, "worklist")
    with here.store.begin() as work:
        found = lines(here, who, work, states=("open",) if state == "open" else ())
        AuditTrail(work).append(who.signs(AlertsViewed, at=here.clock(), rows=len(found)))
    return JSONResponse({"alerts": [plain(one) for one in found]})


@router.post("/alerts/{key}/acknowledge")
def acknowledge(key: str, here: Here, who: Checked, accept: Annotated[str, Header()] = "") -> Response:
    """Take note of an alert: by name, once; then nothing more is sent, and it isn't escalated."""
    require(here, who, "acknowledge")
    one = _seen(here, who, key)
    with here.store.read() as work:
        code = gate(here, who, work).verdict("acknowledge", _engine(one), one.finding).code
    if code:
        deny(here, who, "acknowledge", code, study=one.study_instance_uid)
    one, noted = take_note(here.store, key, actor=who.name, role=who.role, address=who.address, at=here.clock())
    if not noted and one.acknowledged_by != who.name:
        raise Refused(409, "alert_state", _why_not(one))
    if "application/json" in accept:
        return JSONResponse({"acknowledged": True, "by": one.acknowledged_by, "at": _iso(one.acknowledged_at)})
    return RedirectResponse("/alerts", 303)


@router.post("/alerts/{key}/comments")
def comment(key: str, here: Here, who: Checked, text: Annotated[str, Form(min_length=1, max_length=4000)]) -> Response:
    """Say something about an alert; it stands with the study. A comment changes nothing of the alert."""
    require(here, who, "comment")
    uid = _seen(here, who, key).study_instance_uid
    with here.store.begin() as work:
        Room(work).comment(uid, who.name, text, now=here.clock())
        AuditTrail(work).append(who.signs(Commented, at=here.clock(), study=uid))
    return RedirectResponse("/alerts", 303)


def plain(line: Line) -> dict[str, Any]:
    """One alert as JSON; no patient identity in it."""
    one = line.alert
    return {
        "key": one.key,
        "study_instance_uid": one.study_instance_uid,
        "revision": one.revision,
        "held": line.held,
        "finding": None if line.held else one.finding,
        "engine": one.engine,
        "tier": one.tier,
        "urgency": {"level": one.level, "word": line.word},
        "subject": "" if line.held else one.subject,
        "message": "" if line.held else one.message,
        "disclaimer": one.disclaimer,
        "state": one.state,
        "reason": one.reason,
        "raised_at": one.raised_at.isoformat(),
        "escalated_at": _iso(one.escalated_at),
        "acknowledged_at": _iso(one.acknowledged_at),
        "acknowledged_by": one.acknowledged_by or None,
        "messages": [
            {"channel": sent.channel, "turn": sent.turn, "state": sent.state, "attempts": sent.attempts}
            for sent in line.notices
        ],
    }


def _seen(here: Premises, who: Visitor, key: str) -> AlertRecord:
    """An alert that this visitor may see. Raises `Refused`."""
    with here.store.read() as work:
        one = Alerts(work).find(key)
        if one is None or not _shows(gate(here, who, work), one):
            raise Refused(404, "not_found")
    return one


def _shows(seen: Gate, one: AlertRecord) -> bool:
    return seen.allows("text", _engine(one), one.finding) and seen.allows("urgency", _engine(one))


def _engine(one: AlertRecord) -> EngineRef:
    name, _, version = one.engine.partition("@")
    return EngineRef(name=name, version=version, digest="")


def _why_not(one: AlertRecord) -> str:
    if one.state == "acknowledged":
        return f"{one.acknowledged_by} has acknowledged this alert already."
    return f"This alert has ended: {one.reason}."


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
