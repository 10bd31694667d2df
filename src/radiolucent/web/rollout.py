"""The roll-out: in which phase each engine is, what stands against the next one, two signatures, the kill switch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from radiolucent.audit.events import AiStopped, PhaseChanged, PhaseSigned
from radiolucent.rollout.phases import SIGNING_ROLES, PhaseRow, as_phase, following, preceding
from radiolucent.rollout.policy import decide
from radiolucent.rollout.readiness import Checked as Criterion
from radiolucent.rollout.readiness import Experience, readiness, ready
from radiolucent.store.audit import AuditTrail
from radiolucent.store.people import People
from radiolucent.store.room import Room
from radiolucent.store.site import PhaseState, Site
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import BASE, Checked, Here, Premises, Refused, Someone, gate, require
from radiolucent.web.pages import page
from radiolucent.web.training import engines_of

router = APIRouter()


@dataclass(frozen=True, kw_only=True)
class EngineState:
    """One engine with what stands against its next phase; `ready` where all of it holds."""

    state: PhaseState
    row: PhaseRow
    next_row: PhaseRow | None
    checked: tuple[Criterion, ...]
    ready: bool


def engine_state(here: Premises, work: Work, engine: str) -> EngineState:
    """How far an engine is."""
    state = Site(work).phase(engine, now=here.clock())
    phase = as_phase(state.phase)
    row = here.phases.row(phase)
    after = following(phase)
    checked = readiness(experience(here, work, state), row.criteria)
    return EngineState(
        state=state,
        row=row,
        next_row=here.phases.row(after) if after else None,
        checked=checked,
        ready=ready(checked),
    )


def experience(here: Premises, work: Work, state: PhaseState) -> Experience:
    """What happened with an engine since it entered its phase, counted from studies and decisions."""
    now = here.clock()
    ended = [
        failed
        for one in here.source.activity(work, state.since)
        for label, failed in one.engines.items()
        if label.partition("@")[0] == state.engine
    ]
    made = [d for d in Room(work).decisions_since(state.since) if d.engine.startswith(f"{state.engine}@")]
    readers = [
        account
        for account in People(work).every()
        if account.active
        and decide(route="heat", role=account.role, state="routine", trained=True, use="localise").allowed
    ]
    trained = sum(Site(work).progress(account.name, BASE).passed_at is not None for account in readers)
    return Experience(
        days_in_phase=(now - state.since).total_seconds() / 86400,
        readings=len(ended),
        failures=sum(ended),
        decisions=len(made),
        accepted=sum(one.outcome == "accept" for one in made),
        wrong_place=sum(one.reason == "wrong-place" for one in made),
        readers=len(readers),
        trained=trained,
    )


@router.get("/rollout")
def rollout(here: Here, who: Someone) -> Response:
    """The page."""
    require(here, who, "rollout")
    with here.store.read() as work:
        return page(
            "rollout.html.j2",
            here,
            who,
            work,
            engines=[engine_state(here, work, engine.name) for engine in engines_of(here)],
            phases=here.phases.phase,
            signing=SIGNING_ROLES,
        )


@router.post("/rollout/sign")
def sign(here: Here, who: Checked, engine: Annotated[str, Form(max_length=128)]) -> Response:
    """Sign the step to the next phase; with both signatures it is taken."""
    require(here, who, "sign-phase")
    now = here.clock()
    with here.store.begin() as work:
        found = _engine(here, work, engine)
        if found.next_row is None:
            raise Refused(409, "last_phase", "This is the last phase.")
        if not found.ready:
            raise Refused(409, "not_ready", "Not every criterion holds yet.")
        site, trail = Site(work), AuditTrail(work)
        site.sign(engine, found.next_row.name, role=who.role, account=who.name, now=now)
        trail.append(who.signs(PhaseSigned, at=now, engine=engine, to=found.next_row.name))
        if set(site.phase(engine, now=now).signed) >= set(SIGNING_ROLES):
            site.set_phase(engine, found.next_row.name, now=now)
            trail.append(
                who.signs(PhaseChanged, at=now, engine=engine, before=found.row.name, after=found.next_row.name)
            )
    return RedirectResponse("/rollout", 303)


@router.post("/rollout/back")
def back(
    here: Here,
    who: Checked,
    engine: Annotated[str, Form(max_length=128)],
    reason: Annotated[str, Form(min_length=3, max_length=500)],
) -> Response:
    """Go one phase back, at once."""
    require(here, who, "sign-phase")
    now = here.clock()
    with here.store.begin() as work:
        found = _engine(here, work, engine)
        before = preceding(found.row.name)
        if before is None:
            raise Refused(409, "first_phase", "This is the first phase.")
        Site(work).set_phase(engine, before, now=now)
        AuditTrail(work).append(
            who.signs(PhaseChanged, at=now, engine=engine, before=found.row.name, after=before, reason=reason)
        )
    return RedirectResponse("/rollout", 303)


@router.post("/rollout/stop")
def stop(here: Here, who: Checked, reason: Annotated[str, Form(min_length=3, max_length=500)]) -> Response:
    """The kill switch: from the next request on, nothing of the AI is shown to anyone."""
    require(here, who, "stop-ai")
    with here.store.begin() as work:
        Site(work).set("ai_stopped", reason)
        AuditTrail(work).append(who.signs(AiStopped, at=here.clock(), stopped=True, reason=reason))
        to = "/rollout" if _may_see(who.role) else "/worklist"
    return RedirectResponse(to, 303)


@router.post("/rollout/resume")
def resume(here: Here, who: Checked, reason: Annotated[str, Form(min_length=3, max_length=500)]) -> Response:
    """Show results again; for those who may sign a phase."""
    require(here, who, "sign-phase")
    with here.store.begin() as work:
        if not gate(here, who, work).stopped:
            raise Refused(409, "running", "The AI isn't stopped.")
        Site(work).set("ai_stopped", "")
        AuditTrail(work).append(who.signs(AiStopped, at=here.clock(), stopped=False, reason=reason))
    return RedirectResponse("/rollout", 303)


def _may_see(role: str) -> bool:
    return decide(route="rollout", role=role, state="routine", trained=True, use="localise").allowed


def _engine(here: Premises, work: Work, engine: str) -> EngineState:
    if engine not in {one.name for one in engines_of(here)}:
        raise Refused(404, "not_found", "There is no such engine.")
    return engine_state(here, work, engine)
