"""Role × route × phase × training × profile over HTTP, for every address that tells of one result of the AI."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from radiolucent.findings.profile import Profile
from radiolucent.rollout.policy import ROLES, STATES, USES, Route, decide
from radiolucent.store.alerts import Alerts
from radiolucent.store.site import Site
from radiolucent.web.access import BASE
from radiolucent.web.explanation_desk import Desk, running

ENGINE = "bright-spots"


@dataclass(frozen=True, kw_only=True)
class Combination:
    """One cell of the matrix."""

    role: str
    state: str
    trained: bool
    use: str

    def code(self, *routes: Route) -> str:
        """The first thing that stands in the way of these routes, in this order; empty where nothing does."""
        for route in routes:
            verdict = decide(route=route, role=self.role, state=self.state, trained=self.trained, use=self.use)
            if not verdict.allowed:
                return verdict.code
        return ""


@pytest.fixture
def house(room: Any, tmp_path: Path, bright_spots: Callable[..., Any]) -> Any:
    """The room with a desk, whose profile a test can exchange."""
    engine: Any = bright_spots()
    desk = Desk(running([engine]), tmp_path / "maps")
    object.__setattr__(room.premises, "desk", desk)
    yield room
    desk.close()


def _set(room: Any, one: Combination) -> None:
    with room.store.begin() as work:
        site = Site(work)
        site.step(one.role, BASE, "majors", {ENGINE: "1" if one.trained else "0"})
        site.passed(one.role, BASE, now=room.clock())
    profile = Profile(site="t", version="1", default=one.use, findings={})  # type: ignore[arg-type]
    object.__setattr__(room.premises, "profile", profile)


def _answer(answer: Any) -> tuple[int, str]:
    return answer.status_code, "" if answer.status_code < 400 else answer.json()["code"]


def _refusal(code: str) -> tuple[int, str]:
    """By phase is like not being there; all else is forbidden, and says why."""
    return (404, "not_found") if code == "phase" else (403, code)


def _wrong(room: Any, study: str, one: Combination, facts: dict[str, Any]) -> dict[str, Any]:
    """What of this cell isn't as the table says: what was asked → what came."""
    browser = room.browser(one.role)
    json = {"Accept": "application/json", "X-CSRF-Token": browser.csrf}
    found: dict[str, tuple[Any, Any]] = {}  # asked → (what came, what had to come)
    result = f"/api/v1/results/{study}:1"
    heat = one.code("image", "heat")

    def refused(name: str, code: str, method: str, path: str, **sent: Any) -> None:
        if code:
            answer = browser.client.request(method, path, headers=json, **sent)
            found[name] = (_answer(answer), _refusal(code))

    answer = browser.get(f"{result}/heat/glioma")
    found["heat"] = (_answer(answer), _refusal(heat) if heat else (200, ""))
    answer = browser.get(result)
    text = one.code("image", "text")
    found["result"] = (_answer(answer), _refusal(text) if text else (200, ""))
    if not text:
        [told] = [f for f in answer.json()["series"][0]["findings"] if f["name"] == "glioma"]
        found["heat in result"] = (told["heat"], heat or "located")
        found["places in result"] = ("regions" in told, not heat)
    series, change = {"series": facts["series"]}, {"series": facts["series"], "finding": "glioma"}
    refused("picture", heat, "GET", f"/studies/{study}/picture.png", params=change | {"frame": facts["frame"]})
    refused("change", heat, "GET", f"{result}/change/glioma", params=series)
    asked = change | {"method": "rise", "frame": facts["frame"]}
    refused("explanation", heat, "POST", f"{result}/explanations", json=asked)
    refused("insight", one.code("image", "text", "heat"), "GET", f"/studies/{study}/insight")
    for outcome, route in (("accept", "decide"), ("modify", "modify")):
        code = one.code(route)  # type: ignore[arg-type]
        data = change | {"outcome": outcome, "note": "words", "csrf": browser.csrf}
        refused(outcome, code, "POST", f"/studies/{study}/decisions", data=data)
    code = one.code("acknowledge")
    refused("acknowledge", code, "POST", f"/alerts/{facts['alert']}/acknowledge", data={"csrf": browser.csrf})
    listed = not one.code("text", "urgency")
    if not one.code("worklist"):
        rows = browser.get("/api/v1/worklist").json()["studies"]
        [row] = [row for row in rows if row["study_instance_uid"] == study]
        found["worklist"] = (row["leading_finding"], "glioma" if listed else None)
        alerts = browser.get("/api/v1/alerts").json()["alerts"]
        found["alerts"] = (facts["alert"] in {alert["key"] for alert in alerts}, listed)
        found["bell"] = ("<b>" in browser.get("/alerts/bell").text, listed)
    return {name: pair for name, pair in found.items() if pair[0] != pair[1]}


@pytest.mark.parametrize("state", STATES)
def test_every_cell_of_the_matrix_holds_over_http(house: Any, study: str, state: str) -> None:
    [read] = house.premises.source.summary(study).reading.series
    peak = next(one for one in read.findings if one.name == "glioma").localisation.peak_frame
    with house.store.read() as work:
        [alert] = [one.key for one in Alerts(work).list()]
    facts = {"series": read.key, "frame": peak, "alert": alert}
    house.set("ai_stopped", "a test" if state == "stopped" else "")
    house.phase("routine" if state == "stopped" else state)
    wrong = {}
    for role, trained, use in itertools.product(ROLES, (True, False), USES):
        one = Combination(role=role, state=state, trained=trained, use=use)
        _set(house, one)
        faults = _wrong(house, study, one, facts)
        if faults:
            wrong[one] = faults
    assert wrong == {}
