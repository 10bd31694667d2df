"""The training before heatmaps: modules, practice cases with known truth, a quiz, and time counted by the server."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Final

from fastapi import APIRouter, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response

from radiolucent.audit.events import TrainingActive, TrainingGranted, TrainingProgressed
from radiolucent.findings.reading import EngineRef
from radiolucent.pipeline.practice import CASES, GALLERY, finished
from radiolucent.store.audit import AuditTrail
from radiolucent.store.people import People
from radiolucent.store.site import Progress, Site
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import BASE, Checked, Here, Premises, Refused, Someone, Visitor, major, require
from radiolucent.web.pages import page

router = APIRouter()
QUIZ: Final = "quiz"


@cache
def content() -> dict[str, Any]:
    """Modules and questions, from ``training.toml``."""
    return tomllib.loads((Path(__file__).parent / "training.toml").read_text(encoding="utf-8"))


def engines_of(here: Premises) -> list[EngineRef]:
    """Every engine that is installed or has read something here."""
    found = {engine.name: engine for engine in here.engines}
    for engine in here.source.engines():
        found.setdefault(engine.name, engine)
    return sorted(found.values(), key=lambda engine: engine.name)


@router.get("/training")
def training(here: Here, who: Someone) -> Response:
    """How far one is, and what is left."""
    require(here, who, "training")
    with here.store.read() as work:
        site = Site(work)
        progress = site.progress(who.name, BASE)
        return page(
            "training.html.j2",
            here,
            who,
            work,
            progress=progress,
            minutes=int(site.setting("training_minutes")),
            modules=content()["module"],
            engines=_unknown(here, progress),
            limits=here.limits,
            practised=len(finished(progress.done)),
            cases=len(CASES),
            missing=missing(progress, int(site.setting("training_minutes"))),
        )


@router.get("/training/modules/{name}")
def module(name: str, here: Here, who: Someone) -> Response:
    """One module, or the quiz."""
    require(here, who, "training")
    found = next((one for one in content()["module"] if one["name"] == name), None)
    if found is None and name != QUIZ:
        raise Refused(404, "not_found")
    with here.store.read() as work:
        return page(
            "module.html.j2",
            here,
            who,
            work,
            module=found,
            gallery=GALLERY if name == "failures" else {},
            questions=content()["question"] if found is None else [],
            mark=content()["pass_mark"],
        )


@router.post("/training/heartbeat")
def heartbeat(here: Here, who: Checked, active: Annotated[bool, Form()] = True) -> Response:
    """The page says that its reader is active, or that it was left; the server counts the time between."""
    require(here, who, "training")
    with here.store.begin() as work:
        site, now = Site(work), here.clock()
        if active:
            site.beat(who.name, BASE, now=now)
        else:
            site.pause(who.name, BASE)
        seconds = round(site.progress(who.name, BASE).active_s, 1)
        AuditTrail(work).append(who.signs(TrainingActive, at=now, active=active, seconds=seconds))
        pass_if_done(here, who, work)
    return JSONResponse({"active_s": seconds})


@router.post("/training/modules/{name}")
def finish_module(name: str, here: Here, who: Checked) -> Response:
    """A module was read."""
    require(here, who, "training")
    if name not in {one["name"] for one in content()["module"]}:
        raise Refused(404, "not_found")
    _step(here, who, f"module:{name}", True)
    return RedirectResponse("/training", 303)


@router.post("/training/quiz")
async def quiz(request: Request, here: Here, who: Checked) -> Response:
    """Mark the quiz; it may be tried again, every try is in the trail."""
    form = await request.form()
    questions = content()["question"]
    right = sum(form.get(f"q{index}") == str(question["right"]) for index, question in enumerate(questions))
    require(here, who, "training")
    _step(here, who, QUIZ, right / len(questions), detail=f"{right} of {len(questions)}")
    return RedirectResponse("/training", 303)


@router.post("/training/engines/{name}")
def refresh(name: str, here: Here, who: Checked) -> Response:
    """The limits of an engine's new major version were read."""
    require(here, who, "training")
    engine = next((one for one in engines_of(here) if one.name == name), None)
    if engine is None:
        raise Refused(404, "not_found")
    with here.store.begin() as work:
        site = Site(work)
        known = dict(site.progress(who.name, BASE).done.get("majors", {}))
        site.step(who.name, BASE, "majors", known | {name: major(engine)})
        AuditTrail(work).append(
            who.signs(TrainingProgressed, at=here.clock(), step=f"engine:{name}", detail=f"version {major(engine)}")
        )
    return RedirectResponse("/training", 303)


@router.post("/training/grants")
def grant(
    here: Here,
    who: Checked,
    account: Annotated[str, Form(max_length=128)],
    reason: Annotated[str, Form(min_length=5, max_length=500)],
) -> Response:
    """Let someone through, with a reason."""
    require(here, who, "grant-training")
    with here.store.begin() as work:
        if People(work).get(account) is None:
            raise Refused(404, "not_found", "There is no such account.")
        let_through(here, work, account, granted_by=who.name, reason=reason)
        AuditTrail(work).append(who.signs(TrainingGranted, at=here.clock(), account=account, reason=reason))
    return RedirectResponse("/admin", 303)


def let_through(here: Premises, work: Work, account: str, *, granted_by: str = "", reason: str = "") -> None:
    """Open the gate, for the present major version of every engine."""
    site = Site(work)
    site.passed(account, BASE, now=here.clock(), granted_by=granted_by, reason=reason)
    site.step(account, BASE, "majors", {engine.name: major(engine) for engine in engines_of(here)})


def missing(progress: Progress, minutes: int) -> list[str]:
    """What is left before the gate opens, in words."""
    left = [f"module: {one['title']}" for one in content()["module"] if f"module:{one['name']}" not in progress.done]
    cases = len(CASES) - len(finished(progress.done))
    if cases:
        left.append(f"practice: {cases} more {'case' if cases == 1 else 'cases'}")
    if float(progress.done.get(QUIZ, 0)) < content()["pass_mark"]:
        left.append(f"quiz: at least {content()['pass_mark']:.0%}")
    if progress.active_s < minutes * 60:
        left.append(f"active time: {minutes - int(progress.active_s // 60)} more minutes")
    return left


def _unknown(here: Premises, progress: Progress) -> list[EngineRef]:
    """Engines whose present major version this reader hasn't been told of; none before the training itself."""
    known = progress.done.get("majors", {})
    if progress.passed_at is None:
        return []
    return [engine for engine in engines_of(here) if known.get(engine.name) != major(engine)]


def _step(here: Premises, who: Visitor, step: str, result: Any, *, detail: str = "") -> None:
    with here.store.begin() as work:
        Site(work).step(who.name, BASE, step, result)
        AuditTrail(work).append(who.signs(TrainingProgressed, at=here.clock(), step=step, detail=detail))
        pass_if_done(here, who, work)


def pass_if_done(here: Premises, who: Visitor, work: Work) -> None:
    """Open the gate for a reader who has nothing left to do."""
    site = Site(work)
    progress = site.progress(who.name, BASE)
    if progress.passed_at is None and not missing(progress, int(site.setting("training_minutes"))):
        let_through(here, work, who.name)
        AuditTrail(work).append(who.signs(TrainingProgressed, at=here.clock(), step="passed"))
