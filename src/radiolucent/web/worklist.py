"""The worklist: who waits, how urgent, what the AI has to say and what not; as a page, as rows, as JSON for a RIS."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Form, Query
from fastapi.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from radiolucent.audit.events import StudyClaimed, StudyFinished, UrgencyChanged, WorklistViewed
from radiolucent.findings.reading import EngineRef
from radiolucent.findings.urgency import default_urgency
from radiolucent.store.audit import AuditTrail
from radiolucent.store.facts import FindingFact, ReadingFacts
from radiolucent.store.room import Room
from radiolucent.store.unit_of_work import Work
from radiolucent.store.worklist import Line, Show, Worklist
from radiolucent.store.worklist import Query as Asked
from radiolucent.web.access import Checked, Gate, Here, Premises, Refused, Someone, gate, require
from radiolucent.web.adapting import Adapting
from radiolucent.web.listing import word_of
from radiolucent.web.pages import fragment, page
from radiolucent.web.sources import Summary

router = APIRouter()
PAGE: Final = 50
MOST_AT_ONCE: Final = 500
STATES: Final = (
    ("done", "read"),
    ("partly-read", "partly read"),
    ("not-read", "refused or not readable"),
    ("waiting", "waiting"),
    ("failed", "failed"),
    ("kept", "kept, not read"),
    ("withdrawn", "withdrawn"),
)
"""State of the AI, and its words in the filter."""
UNREAD: Final = {
    "out-of-scope": "out of scope",
    "unreadable": "images not readable",
    "engine-failed": "engine failed",
    "": "not read",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the worklist, as this visitor may see it; `word` is empty where the AI gives no level."""

    line: Line
    word: str
    leading: FindingFact | None
    others: int
    ai: str
    waited_minutes: float


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The filters, as they stand in the address; what was searched for stays with the server, it may name a patient."""

    find: str = ""
    modality: str = ""
    level: int | None = None
    state: str = ""
    mine: bool = False
    show: Show = "open"
    page: int = 1

    def address(self, **changed: Any) -> str:
        """The same list with something changed, as the query of an address."""
        values = {
            "find": self.find,
            "mod": self.modality,
            "u": self.level,
            "state": self.state,
            "mine": "true" if self.mine else "",
            "show": self.show if self.show != "open" else "",
            "page": self.page if self.page > 1 else "",
        } | changed
        return "&".join(f"{name}={value}" for name, value in values.items() if value not in ("", None))


def wanted(
    find: Annotated[str, Query(pattern="^[0-9a-f]{0,32}$")] = "",
    mod: Annotated[str, Query(pattern="^[A-Z]{0,16}$")] = "",
    u: Annotated[str, Query(pattern="^[1-5]?$")] = "",
    state: Annotated[str, Query(pattern="^[a-z-]{0,16}$")] = "",
    mine: bool = False,
    show: Show = "open",
    page: Annotated[int, Query(ge=1, le=10**6)] = 1,
) -> Wanted:
    """The filters of a request."""
    return Wanted(find=find, modality=mod, level=int(u) if u else None, state=state, mine=mine, show=show, page=page)


Filters = Annotated[Wanted, Depends(wanted)]


def rows(
    here: Premises, seen: Gate, work: Work, filters: Wanted, *, now: datetime, limit: int = PAGE, offset: int = 0
) -> tuple[list[Row], int]:
    """One page of studies, most urgent first; who waits long climbs. And how many there are on all pages."""
    names = {*seen.phases, *(engine.name for engine in here.engines)}
    query = Asked(
        now=now,
        engines=tuple(sorted(name for name in names if seen.allows("urgency", _engine(f"{name}@")))),
        levels=default_urgency().levels,
        search=here.searches.text(filters.find, seen.who.name),
        modality=filters.modality,
        level=filters.level,
        state=filters.state,
        reader=seen.who.name if filters.mine else "",
        show=filters.show,
        limit=limit,
        offset=offset,
    )
    lines, total = here.source.page(work, query)
    adapting = Adapting(here, seen.who, work)
    return [_row(line, seen, now, adapting) for line in lines], total


def _row(line: Line, seen: Gate, now: datetime, adapting: Adapting) -> Row:
    if line.facts and adapting.hides(line.study.study_instance_uid, [one.name for one in line.facts.engines]):
        return Row(
            line=line if line.by_hand else replace(line, level=None),
            word=default_urgency().levels[line.level - 1].name if line.level and line.by_hand else "",
            leading=None,
            others=0,
            ai="read; shown after your own reading",
            waited_minutes=max(0.0, (now - line.study.first_received_at).total_seconds() / 60),
        )
    findings = line.facts.findings if line.facts else ()
    shown = [one for one in findings if seen.allows("text", _engine(one.engine), one.name)]
    return Row(
        line=line,
        word=default_urgency().levels[line.level - 1].name if line.level else "",
        leading=shown[0] if shown else None,
        others=max(0, len(shown) - 1),
        ai=_ai(line, seen),
        waited_minutes=max(0.0, (now - line.study.first_received_at).total_seconds() / 60),
    )


def _ai(line: Line, seen: Gate) -> str:
    """What the AI did, in words; in shadow nothing of it is told."""
    study, facts = line.study, line.facts
    state = word_of(study.state)
    if state in ("failed", "withdrawn", "kept"):
        words = {"failed": "failed", "withdrawn": "result withdrawn", "kept": "kept, not read"}[state]
        return f"{words}: {study.reason}" if study.reason else words
    if facts is None:
        return f"not read: {study.reason}" if state == "not-read" else state
    if seen.stopped:
        return "AI stopped"
    read = [engine for engine in facts.engines if engine.level or not engine.failed]
    if read and not any(seen.allows("text", _engine(engine.engine)) for engine in read):
        return "not shown in this phase"
    return _read(facts, whole=bool(read)) + ("; newer images wait" if state == "waiting" else "")


def _read(facts: ReadingFacts, *, whole: bool) -> str:
    if not facts.reason:
        return "read"
    kind = UNREAD[facts.unread]
    return f"partly read, {kind}: {facts.reason}" if whole else f"not read, {kind}: {facts.reason}"


def _engine(label: str) -> EngineRef:
    name, _, version = label.partition("@")
    return EngineRef(name=name, version=version, digest="")


@router.get("/worklist")
def worklist(here: Here, who: Someone, filters: Filters) -> Response:
    """The page."""
    require(here, who, "worklist")
    now = here.clock()
    with here.store.begin() as work:
        seen = gate(here, who, work)
        shown, total = rows(here, seen, work, filters, now=now, offset=(filters.page - 1) * PAGE)
        AuditTrail(work).append(who.signs(WorklistViewed, at=now, rows=len(shown)))
        newest = here.source.newest(work)
        return page(
            "worklist.html.j2",
            here,
            who,
            work,
            rows=shown,
            total=total,
            filters=filters,
            search=here.searches.text(filters.find, who.name),
            pages=max(1, -(-total // PAGE)),
            levels=default_urgency().levels,
            states=STATES,
            modalities=here.source.modalities(work),
            since=(newest or now).isoformat(),
            last=_minutes(newest, now),
        )


@router.post("/worklist/find")
def find(
    here: Here,
    who: Checked,
    search: Annotated[str, Form(max_length=64)] = "",
    mod: Annotated[str, Form(pattern="^[A-Z]{0,16}$")] = "",
    u: Annotated[str, Form(pattern="^[1-5]?$")] = "",
    state: Annotated[str, Form(pattern="^[a-z-]{0,16}$")] = "",
    mine: Annotated[bool, Form()] = False,
    show: Annotated[Show, Form()] = "open",
) -> Response:
    """Take the filters. What is searched for may be a patient's number: it gets a name of its own in the address."""
    require(here, who, "worklist")
    token = here.searches.keep(search.strip(), who.name) if search.strip() else ""
    filters = Wanted(find=token, modality=mod, level=int(u) if u else None, state=state, mine=mine, show=show)
    with here.store.begin() as work:
        AuditTrail(work).append(who.signs(WorklistViewed, at=here.clock(), rows=0))
    return RedirectResponse(f"/worklist?{filters.address()}", 303)


@router.get("/worklist/news")
def news(here: Here, who: Someone, since: Annotated[datetime, Query()]) -> Response:
    """How many studies are new since the page was made: rows never move under a cursor."""
    require(here, who, "worklist")
    moment = since if since.tzinfo else since.replace(tzinfo=UTC)
    with here.store.read() as work:
        new, newest = here.source.arrived_since(work, moment), here.source.newest(work)
    last = _minutes(newest, here.clock())
    return HTMLResponse(fragment("news.html.j2", new=new, since=moment.isoformat(), last=last))


def _minutes(then: datetime | None, now: datetime) -> float | None:
    return None if then is None else max(0.0, (now - then).total_seconds() / 60)


@router.get("/api/v1/worklist")
def worklist_json(
    here: Here,
    who: Someone,
    filters: Filters,
    limit: Annotated[int, Query(ge=1, le=MOST_AT_ONCE)] = MOST_AT_ONCE,
    offset: Annotated[int, Query(ge=0, le=10**7)] = 0,
) -> Response:
    """The same rows for a RIS, with the same filters."""
    require(here, who, "worklist")
    now = here.clock()
    with here.store.begin() as work:
        shown, total = rows(here, gate(here, who, work), work, filters, now=now, limit=limit, offset=offset)
        AuditTrail(work).append(who.signs(WorklistViewed, at=now, rows=len(shown)))
    return JSONResponse({"total": total, "studies": [_plain(row) for row in shown]})


def _plain(row: Row) -> dict[str, Any]:
    line, one = row.line, row.line.study
    return {
        "study_instance_uid": one.study_instance_uid,
        "patient_id": one.patient_id,
        "accession_number": one.accession_number,
        "modality": one.modalities,
        "study_date": one.study_date,
        "received_at": one.first_received_at.isoformat(),
        "urgency": {"level": line.level, "word": row.word, "by_hand": line.by_hand} if line.level else None,
        "leading_finding": row.leading.name if row.leading else None,
        "ai_state": word_of(one.state),
        "ai": row.ai,
        "waited_minutes": round(row.waited_minutes, 1),
        "reader": line.reader or None,
        "decided": line.decided,
        "finished": line.finished,
    }


@router.post("/studies/{uid}/claim")
def claim(uid: str, here: Here, who: Checked) -> Response:
    """Take a study."""
    require(here, who, "claim", study=uid)
    _known(here, uid)
    with here.store.begin() as work:
        holder = Room(work).claim(uid, who.name, now=here.clock())
        if holder != who.name:
            raise Refused(409, "claimed", f"{holder} reads this study.")
        AuditTrail(work).append(who.signs(StudyClaimed, at=here.clock(), study=uid, taken=True))
    return RedirectResponse(f"/studies/{uid}", 303)


@router.post("/studies/{uid}/release")
def release(uid: str, here: Here, who: Checked) -> Response:
    """Give a study back."""
    require(here, who, "claim", study=uid)
    with here.store.begin() as work:
        if not Room(work).release(uid, who.name):
            raise Refused(409, "claimed", "You don't hold this study.")
        AuditTrail(work).append(who.signs(StudyClaimed, at=here.clock(), study=uid, taken=False))
    return RedirectResponse("/worklist", 303)


@router.post("/studies/{uid}/finish")
def finish(uid: str, here: Here, who: Checked) -> Response:
    """Be done with a study: it leaves the open list, until something newer of it comes."""
    require(here, who, "finish", study=uid)
    _known(here, uid)
    with here.store.begin() as work:
        holder = Room(work).claims().get(uid, who.name)
        if holder != who.name:
            raise Refused(409, "claimed", f"{holder} reads this study.")
        Worklist(work).finish(uid, who.name, now=here.clock())
        AuditTrail(work).append(who.signs(StudyFinished, at=here.clock(), study=uid, finished=True))
    return RedirectResponse("/worklist", 303)


@router.post("/studies/{uid}/reopen")
def reopen(uid: str, here: Here, who: Checked) -> Response:
    """Take a study back into the open list."""
    require(here, who, "finish", study=uid)
    with here.store.begin() as work:
        if not Worklist(work).reopen(uid):
            raise Refused(409, "open", "This study is open.")
        AuditTrail(work).append(who.signs(StudyFinished, at=here.clock(), study=uid, finished=False))
    return RedirectResponse(f"/studies/{uid}", 303)


@router.post("/studies/{uid}/urgency")
def set_urgency(
    uid: str,
    here: Here,
    who: Checked,
    level: Annotated[int, Form(ge=1, le=5)],
    reason: Annotated[str, Form(min_length=3, max_length=500)],
) -> Response:
    """Set the urgency by hand, with a reason."""
    require(here, who, "set-urgency", study=uid)
    _known(here, uid)
    with here.store.begin() as work:
        room = Room(work)
        before = room.urgencies().get(uid)
        room.set_urgency(uid, level, reason, who.name, now=here.clock())
        AuditTrail(work).append(
            who.signs(
                UrgencyChanged, at=here.clock(), study=uid, before=str(before or ""), after=str(level), reason=reason
            )
        )
    return RedirectResponse(f"/studies/{uid}", 303)


def _known(here: Premises, uid: str) -> Summary:
    found = here.source.summary(uid)
    if found is None:
        raise Refused(404, "not_found")
    return found
