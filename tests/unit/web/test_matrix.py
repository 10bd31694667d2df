"""Every route is asked of the table of access, and what changes something is written down with it or not done."""

from __future__ import annotations

import itertools
import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from radiolucent.findings.profile import Profile
from radiolucent.rollout.policy import ROLES, STATES, USES, decide
from radiolucent.store.site import Site
from radiolucent.web.access import BASE

OPEN = {
    "/": "leads to the worklist",
    "/healthz": "says that the process lives",
    "/readyz": "says that the database answers",
    "/login": "is where one comes in",
    "/login/provider": "is where one comes in",
    "/login/provider/back": "is where one comes in",
    "/logout": "ends one's own session",
    "/me": "says who one is",
    "/api/v1/openapi.json": "describes the interface",
    "/api/v1/explanations/methods": "names the methods there are",
}
"""Routes that ask the table for nothing, and why."""
STRANGERS = ("/", "/healthz", "/readyz", "/login", "/login/provider", "/login/provider/back")


def _methods(room: Any) -> list[tuple[str, str]]:
    """Path and method of every route, as the app itself describes them."""
    paths: dict[str, dict[str, Any]] = room.app.openapi()["paths"]
    found = [(path, method.upper()) for path, methods in paths.items() for method in methods]
    assert len(found) > 80  # a walk that finds nothing would find no fault
    return found


def _filled(path: str, study: str) -> str:
    """An address of this route: the study of the room where one is wanted, else something that isn't there."""
    for name in ("uid", "study", "study_instance_uid"):
        path = path.replace(f"{{{name}}}", study)
    return re.sub(r"\{[^}]*\}", "1", path)


def test_a_stranger_gets_nothing_but_the_ways_in(room: Any, study: str) -> None:
    browser = room.browser()
    let_in = set()
    for path, method in _methods(room):
        answer = browser.client.request(method, _filled(path, study))
        to_login = answer.status_code == 303 and answer.headers["location"].startswith("/login")
        switched_off = path.startswith("/dicom-web") and answer.status_code == 404
        if not to_login and not switched_off and answer.status_code not in (401, 403):
            let_in.add(path)
    assert let_in <= set(STRANGERS)


ADDRESSES = {
    "sender": ("/account", "/dicom-web"),
    "auditor": ("/account", "/audit", "/monitoring", "/rollout"),
}
"""Where the addresses begin that these two may use: they may so little that whatever else opens stands out."""


@pytest.mark.parametrize("role", sorted(ADDRESSES))
def test_who_may_little_is_refused_wherever_else_they_knock(room: Any, study: str, role: str) -> None:
    browser = room.browser(role)
    opened = set()
    for path, method in _methods(room):
        data = {"csrf": browser.csrf} if method == "POST" else None
        status = browser.client.request(method, _filled(path, study), data=data).status_code
        if status < 400 and path not in OPEN and not path.startswith(ADDRESSES[role]):
            opened.add(path)
        if path == "/logout":
            browser = room.browser(role)
    assert opened == set()


@pytest.mark.parametrize("state", STATES)
def test_the_matrix_holds_for_a_heatmap_over_http(room: Any, study: str, state: str) -> None:
    """Role × phase × training × profile, for the one route that depends on all of them."""
    wrong = []
    room.set("ai_stopped", "a test" if state == "stopped" else "")
    room.phase("routine" if state == "stopped" else state)
    for role, trained, use in itertools.product(ROLES, (True, False), USES):
        with room.store.begin() as work:
            site = Site(work)
            majors = {"bright-spots": "1" if trained else "0"}
            site.step(role, BASE, "majors", majors)
            site.passed(role, BASE, now=room.clock())
        object.__setattr__(room.premises, "profile", Profile(site="t", version="1", default=use, findings={}))
        answer = room.browser(role).get(f"/api/v1/results/{study}:1/heat/glioma")
        verdict = decide(route="heat", role=role, state=state, trained=trained, use=use)
        image = decide(route="image", role=role, state=state, trained=trained, use=use)
        code = image.code or verdict.code
        expected = (200, "") if not code else (404, "not_found") if code == "phase" else (403, code)
        found = (answer.status_code, "" if answer.status_code == 200 else answer.json()["code"])
        if found != expected:
            wrong.append((role, trained, use, found, expected))
    assert wrong == []


def _everything(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows but those of sessions, which note when they were last used."""
    connection = sqlite3.connect(path)
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {
        name: connection.execute(f'SELECT * FROM "{name}"').fetchall()
        for name in names
        if name not in ("sessions", "sqlite_sequence")
    }
    connection.close()
    return rows


CHANGES: dict[str, tuple[str, dict[str, Any]]] = {
    "/studies/{study}/claim": ("lead", {}),
    "/studies/{study}/finish": ("lead", {}),
    "/studies/{study}/urgency": ("lead", {"level": 1, "reason": "seen"}),
    "/studies/{study}/looked": ("lead", {}),
    "/studies/{study}/comments": ("lead", {"text": "words"}),
    "/training/heartbeat": ("resident", {}),
    "/training/modules/failures": ("resident", {}),
    "/training/grants": ("admin", {"account": "resident", "reason": "by a test"}),
    "/rollout/stop": ("lead", {"reason": "by a test"}),
    "/rollout/back": ("lead", {"engine": "bright-spots", "reason": "by a test"}),
    "/admin/settings": ("admin", {"name": "site_name", "value": "here"}),
    "/admin/profile": ("admin", {"finding": "glioma", "use": "notify"}),
    "/admin/users": ("admin", {"name": "new", "role": "viewer", "password": "long enough to be"}),
    "/admin/users/viewer": ("admin", {"role": "resident", "active": "true"}),
    "/account/password": ("viewer", {"old": "phantom studies", "new": "another long one"}),
    "/account/tokens": ("viewer", {"label": "ris", "role": "viewer"}),
    "/login": ("", {"name": "viewer", "password": "phantom studies"}),
    "/logout": ("viewer", {}),
}
UNWRITTEN = ("/training/heartbeat",)
"""Signs of activity every 30 s: what they add up to is written down when a step is done."""


@pytest.mark.parametrize("address", sorted(CHANGES))
def test_where_the_event_cannot_be_written_nothing_is_changed(
    room: Any, study: str, tmp_path: Path, address: str
) -> None:
    """A trail that takes nothing more: each form then fails as a whole."""
    role, data = CHANGES[address]
    database = tmp_path / "room" / "radiolucent.sqlite"
    browser = room.browser(role)
    connection = sqlite3.connect(database)
    connection.execute("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")
    connection.commit()
    connection.close()
    before = _everything(database)
    browser.client._transport.raise_server_exceptions = False
    answer = browser.post(address.format(study=study), data)
    if address in UNWRITTEN:
        assert answer.status_code < 400
        return
    assert answer.status_code == 500
    assert _everything(database) == before


def test_every_form_is_tried_here_or_has_a_test_of_its_own(room: Any) -> None:
    """A new form must say where it is tried: in CHANGES, or by its own tests, which are named here."""
    own_tests = (
        "/worklist/find",
        "/studies/{uid}/release",
        "/studies/{uid}/reopen",
        "/studies/{uid}/decisions",
        "/studies/{uid}/views",
        "/upload",
        "/audit/",
        "/admin/nodes/",
        "/admin/queues/",
        "/admin/thresholds",
        "/account/tokens/",
        "/rollout/",
        "/training/",
        "/account/codes",
        "/studies/{uid}/own-reading",
        "/admin/users/{name}",
        "/alerts",
        "/practice",
        "/api/",
        "/dicom-web",
        "/studies/{uid}/alerts",
        "/trust",
    )
    tried = {address.replace("{study}", "{uid}") for address in CHANGES}
    forms = {path for path, method in _methods(room) if method == "POST"}
    unknown = {path for path in forms - tried if not path.startswith(own_tests)}
    assert unknown == set()
