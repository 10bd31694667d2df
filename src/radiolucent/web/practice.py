"""Practice cases in the training: the reader's own finding and place first, then the AI, then the truth."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path
from fastapi.responses import RedirectResponse, Response

from radiolucent.audit.events import TrainingProgressed
from radiolucent.pipeline.practice import (
    CASES,
    CHOICES,
    GALLERY,
    NOTHING,
    STEP,
    THRESHOLD,
    VERDICTS,
    Case,
    Mark,
    Score,
    ai_png,
    finished,
    image_png,
    judge,
    said_of,
    summary,
    truth_png,
)
from radiolucent.store.audit import AuditTrail
from radiolucent.store.site import Site
from radiolucent.web.access import BASE, Checked, Here, Refused, Someone, require
from radiolucent.web.pages import page
from radiolucent.web.training import pass_if_done

router = APIRouter(prefix="/training")
Number = Annotated[int, Path(ge=1, le=len(CASES))]
Share = Annotated[float | None, Form(ge=0, le=100)]


@router.get("/practice")
def practice(here: Here, who: Someone) -> Response:
    """All cases, and how the reader did."""
    require(here, who, "training")
    with here.store.read() as work:
        scores = finished(Site(work).progress(who.name, BASE).done)
        waiting = [number for number in range(1, len(CASES) + 1) if number not in scores]
        return page(
            "practice.html.j2",
            here,
            who,
            work,
            cases=CASES,
            scores=scores,
            summary=summary(list(scores.values())),
            following=waiting[0] if waiting else 0,
        )


@router.get("/practice/{number}")
def case_page(number: Number, here: Here, who: Someone) -> Response:
    """One case, at the step that the reader has reached."""
    require(here, who, "training")
    case = CASES[number - 1]
    with here.store.read() as work:
        done = Site(work).progress(who.name, BASE).done
        said, scores = said_of(done, number), finished(done)
        following = next((n for n in range(1, len(CASES) + 1) if n != number and n not in scores), 0)
        told = {"says": case.says, "score": case.score} if said else {}
        revealed = {"truth": case.truth, "lesson": case.lesson, "verdict": case.verdict} if number in scores else {}
        return page(
            "case.html.j2",
            here,
            who,
            work,
            number=number,
            count=len(CASES),
            kind=case.kind,
            choices=CHOICES[case.kind],
            nothing=NOTHING,
            verdicts=VERDICTS,
            threshold=THRESHOLD,
            said=said,
            ai=told,
            revealed=revealed,
            score=scores.get(number),
            following=following,
        )


@router.get("/practice/{number}/{what}.png")
def case_picture(number: Number, what: str, here: Here, who: Someone) -> Response:
    """A picture of a case: the image; the AI's once the own reading is in; the truth once the AI was judged."""
    require(here, who, "training")
    case = CASES[number - 1]
    with here.store.read() as work:
        said = said_of(Site(work).progress(who.name, BASE).done, number)
    if what == "image":
        data = image_png(case)
    elif what == "ai":
        _only_if(bool(said), "Mark what you see yourself first.")
        data = ai_png(case)
    elif what == "truth":
        _only_if("score" in said, "Judge the AI first.")
        data = truth_png(case, _mark(said))
    else:
        raise Refused(404, "not_found")
    return Response(data, media_type="image/png")


@router.post("/practice/{number}/reading")
def read_case(
    number: Number,
    here: Here,
    who: Checked,
    finding: Annotated[str, Form(max_length=64)],
    down: Share = None,
    across: Share = None,
) -> Response:
    """Keep what the reader sees, before the AI is shown; it can't be changed afterwards.

    `down` and `across` are the place in per cent of the picture's height and width.
    """
    require(here, who, "training")
    case = CASES[number - 1]
    if finding not in (*CHOICES[case.kind], NOTHING):
        raise Refused(422, "finding", "Choose one of the findings, or that there is none of them.")
    mark = None if down is None or across is None else (down / 100, across / 100)
    if finding != NOTHING and mark is None:
        raise Refused(422, "place", "Mark the place: click the picture, or type both numbers.")
    said = {"finding": finding, "mark": mark if finding != NOTHING else None}
    with here.store.begin() as work:
        site = Site(work)
        if not said_of(site.progress(who.name, BASE).done, number):
            site.step(who.name, BASE, f"{STEP}{number}", said)
            AuditTrail(work).append(
                who.signs(
                    TrainingProgressed,
                    at=here.clock(),
                    step=f"{STEP}{number}",
                    detail=f"own reading {json.dumps(said)}",
                )
            )
    return RedirectResponse(f"/training/practice/{number}", 303)


@router.post("/practice/{number}/verdict")
def judge_case(number: Number, here: Here, who: Checked, verdict: Annotated[str, Form(max_length=32)]) -> Response:
    """Keep what the reader says of the AI, mark both answers, and reveal the truth."""
    require(here, who, "training")
    case = CASES[number - 1]
    with here.store.read() as work:
        said = said_of(Site(work).progress(who.name, BASE).done, number)
    _only_if(bool(said), "Mark what you see yourself first.")
    if verdict not in VERDICTS:
        raise Refused(422, "verdict", "Choose what you say of the AI.")
    score = judge(case, finding=said["finding"], mark=_mark(said), verdict=verdict)
    if "score" not in said:
        _keep(here, who, number, case, said | {"verdict": verdict, "score": asdict(score)})
    return RedirectResponse(f"/training/practice/{number}", 303)


@router.get("/gallery/{name}.png")
def gallery_picture(name: str, here: Here, who: Someone) -> Response:
    """A picture of the gallery of failures, with the true outline."""
    require(here, who, "training")
    if name not in GALLERY:
        raise Refused(404, "not_found")
    return Response(ai_png(GALLERY[name][1], outline=True), media_type="image/png")


def _keep(here: Here, who: Someone, number: int, case: Case, said: dict[str, Any]) -> None:
    score = Score(**said["score"])
    detail = f"AI {case.fault}, called {said['verdict']}; finding {_word(score.finding)}, place {_word(score.place)}"
    with here.store.begin() as work:
        Site(work).step(who.name, BASE, f"{STEP}{number}", said)
        AuditTrail(work).append(who.signs(TrainingProgressed, at=here.clock(), step=f"{STEP}{number}", detail=detail))
        pass_if_done(here, who, work)


def _only_if(allowed: bool, reason: str) -> None:
    if not allowed:
        raise Refused(403, "in_order", reason)


def _mark(said: dict[str, Any]) -> Mark | None:
    return None if said.get("mark") is None else (float(said["mark"][0]), float(said["mark"][1]))


def _word(value: bool | None) -> str:
    return "–" if value is None else "right" if value else "wrong"
