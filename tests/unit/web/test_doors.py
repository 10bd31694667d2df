"""Every address has its row in the table of doors, and each role is let in where the table of access lets it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from radiolucent.rollout.policy import ROLES, ROUTES, decide
from radiolucent.web.access import COOKIE
from radiolucent.web.doors import DOORS

BESIDE = ("urgency", "heat", "modify", "sign-report", "send")
"""Routes of the table that no address asks for as a whole: they are asked of a result, a text, or a sender's token."""


def _addresses(app: FastAPI) -> set[str]:
    """Method and address of every route, as the app itself describes them."""
    paths: dict[str, dict[str, Any]] = app.openapi()["paths"]
    return {f"{method.upper()} {path}" for path, methods in paths.items() for method in methods}


def _hidden(app: FastAPI) -> Iterator[str]:
    """Routes that a description of the app leaves out."""
    for one in app.routes:
        router = getattr(one, "original_router", None)
        for route in [one] if router is None else router.routes:
            if isinstance(route, APIRoute) and not route.include_in_schema:
                yield route.path


def _filled(address: str, study: str) -> tuple[str, str]:
    """Method and address: the study of the room where one is wanted, else something that isn't there."""
    method, path = address.split(" ")
    path = re.sub(r"\{(uid|study)\}", study, path)
    return method, re.sub(r"\{[^}]*\}", "1", path)


def test_every_address_has_its_row_and_every_row_its_address(room: Any) -> None:
    assert set(DOORS) == _addresses(room.app)
    assert list(_hidden(room.app)) == []


def test_the_routes_of_the_table_that_have_addresses_are_all_there() -> None:
    assert set(ROUTES) - set(DOORS.values()) == set(BESIDE)


def test_an_address_without_a_row_lets_nobody_in(room: Any) -> None:
    room.app.add_api_route("/admin/new-page", lambda: "everything")
    for name in ("", *ROLES):
        answer = room.browser(name).get("/admin/new-page", headers={"Accept": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (403, "no_door")


@pytest.mark.parametrize("role", ROLES)
def test_each_role_is_let_in_where_the_table_lets_it_and_nowhere_else(room: Any, study: str, role: str) -> None:
    browser, wrong = room.browser(role), {}
    for address, route in DOORS.items():
        if route in ("anyone", "logged-in", "token"):
            continue
        method, path = _filled(address, study)
        allowed = decide(route=route, role=role, state="routine", trained=True, use="localise").allowed
        if allowed and method != "GET":
            continue  # tried with what it asks for, in test_every_change
        answer = browser.client.request(method, path, headers={"Accept": "application/json"})
        refused = answer.status_code == 403 and answer.json()["code"] == "role"
        if refused == allowed:
            wrong[address] = answer.status_code
    assert wrong == {}


def test_a_refusal_at_the_door_names_the_study_in_the_trail(room: Any, study: str) -> None:
    room.browser("sender").get(f"/studies/{study}")
    [event] = room.events("access.denied")
    assert (event.actor, event.route, event.code, event.study_instance_uid) == ("sender", "image", "role", study)


def test_a_stranger_gets_nothing_but_the_ways_in(room: Any, study: str) -> None:
    client, wrong = room.browser().client, {}
    for address, asked in DOORS.items():
        method, path = _filled(address, study)
        answer = client.request(method, path)
        found = (answer.status_code, answer.headers.get("location", "")[:12])
        expected = (401, "") if path.startswith("/api/") else (303, "/login?next=")
        if asked == "token":
            expected = (404, "")  # this room takes no objects
        if asked != "anyone" and found != expected:
            wrong[address] = found
    assert wrong == {}


def test_a_fault_of_the_server_keeps_its_headers_and_tells_nothing(room: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("radiolucent.web.login.Site", None)
    client = TestClient(room.app, raise_server_exceptions=False, cookies={COOKIE: "x"})
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["code"]) == (500, "fault")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert "NoneType" not in answer.text
