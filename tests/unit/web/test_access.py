"""Every route × role over HTTP, and what keeps strangers and other sites out."""

from __future__ import annotations

from typing import Any

import pytest

from radiolucent.audit.events import AccessDenied, LoggedIn, LoginFailed
from radiolucent.rollout.policy import ROLES, decide
from radiolucent.web.access import ATTEMPTS_PER_MINUTE, Limiter
from radiolucent.web.demo import PASSWORD
from radiolucent.web.server import HEADERS

# pages and calls → the route of the table that they ask for
GETS = {
    "/worklist": "worklist",
    "/worklist/news?since=2026-01-01T00:00:00Z": "worklist",
    "/api/v1/worklist": "worklist",
    "/alerts": "worklist",
    "/alerts/bell": "worklist",
    "/api/v1/alerts": "worklist",
    "/studies/{study}": "image",
    "/studies/{study}/priors": "image",
    "/studies/{study}/decisions": "text",
    "/studies/{study}/history": "image",
    "/trust-rules": "image",
    "/api/v1/results/{study}:1": "image",
    "/upload": "upload",
    "/training": "training",
    "/training/modules/failures": "training",
    "/training/modules/quiz": "training",
    "/training/practice": "training",
    "/training/practice/6": "training",
    "/training/practice/6/image.png": "training",
    "/training/gallery/missed.png": "training",
    "/monitoring": "monitoring",
    "/monitoring/overview.csv": "monitoring",
    "/rollout": "rollout",
    "/audit": "audit",
    "/audit/export.csv": "audit",
    "/audit/export.json": "audit",
    "/admin": "admin",
    "/admin/engines": "admin",
    "/admin/thresholds": "admin",
    "/admin/nodes": "admin",
    "/admin/queues": "admin",
    "/admin/archive": "admin",
    "/monitoring/findings.csv": "monitoring",
    "/monitoring/days.csv": "monitoring",
    "/account": "account",
}
POSTS: dict[str, tuple[str, dict[str, Any]]] = {
    "/studies/{study}/claim": ("claim", {}),
    "/studies/{study}/urgency": ("set-urgency", {"level": 1, "reason": "seen"}),
    "/studies/{study}/finish": ("finish", {}),
    "/worklist/find": ("worklist", {}),
    "/studies/{study}/looked": ("looked", {}),
    "/studies/{study}/comments": ("comment", {"text": "words"}),
    "/training/heartbeat": ("training", {}),
    "/training/modules/failures": ("training", {}),
    "/training/practice/6/reading": ("training", {"finding": "nothing"}),
    "/training/practice/6/verdict": ("training", {"verdict": "right"}),
    "/training/grants": ("grant-training", {"account": "resident", "reason": "by a test"}),
    "/rollout/stop": ("stop-ai", {"reason": "by a test"}),
    "/trust-rules": ("sign-phase", {"text": ""}),
    "/rollout/back": ("sign-phase", {"engine": "bright-spots", "reason": "by a test"}),
    "/audit/verify": ("audit", {}),
    "/audit/anchor": ("audit", {}),
    "/admin/settings": ("admin", {"name": "site_name", "value": "here"}),
    "/admin/profile": ("admin", {"finding": "glioma", "use": "notify"}),
    "/admin/users": ("admin", {"name": "new", "role": "viewer", "password": "long enough to be"}),
}


def _allowed(role: str, route: str) -> bool:
    return decide(route=route, role=role, state="routine", trained=True, use="localise").allowed


@pytest.mark.parametrize("role", ROLES)
def test_each_role_gets_the_pages_that_the_table_gives_it(room: Any, study: str, role: str) -> None:
    browser = room.browser(role)
    wrong = {}
    for address, route in GETS.items():
        status = browser.get(address.format(study=study)).status_code
        if status != (200 if _allowed(role, route) else 403):
            wrong[address] = status
    assert wrong == {}


@pytest.mark.parametrize("role", ROLES)
def test_each_role_may_change_what_the_table_lets_it(room: Any, study: str, role: str) -> None:
    wrong = {}
    for address, (route, data) in POSTS.items():
        before = len(room.events())
        status = room.browser(role).post(address.format(study=study), data).status_code
        if (status < 400) != _allowed(role, route) or (status >= 400 and status != 403):
            wrong[address] = status
        if len(room.events()) == before:
            wrong[f"{address} left no trace"] = status
    assert wrong == {}


def test_a_refusal_is_written_down(room: Any) -> None:
    room.browser("viewer").get("/audit")
    [event] = room.events("access.denied")
    assert isinstance(event, AccessDenied)
    assert (event.actor, event.route, event.code) == ("viewer", "audit", "role")


def test_a_form_from_another_site_is_refused_even_with_its_token(room: Any, study: str) -> None:
    answer = room.browser("lead").post(f"/studies/{study}/claim", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403


@pytest.mark.parametrize("address", ["/login", "/worklist", "/nothing", "/static/room.css", "/healthz"])
def test_every_answer_has_the_headers(room: Any, address: str) -> None:
    answer = room.browser("viewer").get(address)
    assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
    assert "cache-control" in answer.headers


def test_the_policy_for_scripts_has_no_exception() -> None:
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    assert "default-src 'none'" in HEADERS["Content-Security-Policy"]


def test_name_and_password_open_a_session_whose_cookie_scripts_cannot_read(room: Any) -> None:
    answer = room.browser().client.post("/login", data={"name": "lead", "password": PASSWORD})
    assert (answer.status_code, answer.headers["location"]) == (303, "/worklist")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert isinstance(room.events("login")[0], LoggedIn)


@pytest.mark.parametrize("target", ["https://elsewhere.example/", "//elsewhere.example", "/\\elsewhere.example"])
def test_the_login_leads_nowhere_else(room: Any, target: str) -> None:
    data = {"name": "lead", "password": PASSWORD, "target": target}
    assert room.browser().client.post("/login", data=data).headers["location"] == "/worklist"


def test_a_failed_login_is_written_down_without_what_was_typed(room: Any) -> None:
    answer = room.browser().client.post("/login", data={"name": "my password", "password": "typed by mistake"})
    assert answer.status_code == 401
    [event] = room.events("login.failed")
    assert isinstance(event, LoginFailed)
    assert "my password" not in repr(event)


def test_too_many_attempts_in_a_minute_are_turned_away(room: Any) -> None:
    client = room.browser().client
    codes = [
        client.post("/login", data={"name": "nobody", "password": "x"}).status_code
        for _ in range(ATTEMPTS_PER_MINUTE + 1)
    ]
    assert (codes[-2], codes[-1]) == (401, 429)
    room.clock.forward(seconds=61)
    assert client.post("/login", data={"name": "nobody", "password": "x"}).status_code == 401


def test_one_account_that_tries_too_often_keeps_no_one_else_at_the_same_proxy_outside(room: Any) -> None:
    client = room.browser().client
    for _ in range(ATTEMPTS_PER_MINUTE + 1):
        last = client.post("/login", data={"name": "nobody", "password": "x"}).status_code
    assert last == 429
    assert client.post("/login", data={"name": "lead", "password": PASSWORD}).status_code == 303


def test_one_address_that_tries_all_names_is_turned_away(room: Any) -> None:
    object.__setattr__(room.premises, "crowds", Limiter(most=3))
    client = room.browser().client
    codes = [client.post("/login", data={"name": f"n{k}", "password": "x"}).status_code for k in range(4)]
    assert codes == [401, 401, 401, 429]


def test_after_the_logout_the_cookie_is_worth_nothing(room: Any) -> None:
    browser = room.browser("viewer")
    cookies = dict(browser.client.cookies)
    browser.post("/logout")
    browser.client.cookies.update(cookies)
    assert browser.get("/worklist").status_code == 303


def test_a_token_has_its_own_role_and_needs_no_cookie(room: Any) -> None:
    page = room.browser("admin").post("/account/tokens", {"label": "ris", "role": "viewer"}).text
    token = page.split("rl_", 1)[1].split("<", 1)[0]
    client = room.browser().client
    headers = {"Authorization": f"Bearer rl_{token}"}
    assert client.get("/api/v1/worklist", headers=headers).status_code == 200
    assert client.get("/admin", headers=headers).status_code == 403
    assert client.get("/api/v1/worklist", headers={"Authorization": "Bearer rl_x"}).status_code == 401


@pytest.mark.parametrize(
    ("account", "role", "status"),
    [
        ("viewer", "viewer", 200),
        ("viewer", "admin", 422),
        ("radiologist", "resident", 200),
        ("auditor", "viewer", 422),
        ("admin", "god", 422),
    ],
)
def test_a_token_can_do_no_more_than_its_account(room: Any, account: str, role: str, status: int) -> None:
    answer = room.browser(account).post("/account/tokens", {"label": "ris", "role": role})
    assert answer.status_code == status


def test_one_token_is_revoked_by_its_owner_alone(room: Any) -> None:
    browser = room.browser("lead")
    page = browser.post("/account/tokens", {"label": "ris", "role": "viewer"}).text
    headers = {"Authorization": "Bearer rl_" + page.split("rl_", 1)[1].split("<", 1)[0]}
    address = "/account/tokens/" + page.split("/account/tokens/", 1)[1].split('"', 1)[0]
    client = room.browser().client
    assert client.get("/api/v1/worklist", headers=headers).status_code == 200
    assert room.browser("admin").post(address).status_code == 404
    assert browser.post(address).status_code == 303
    assert client.get("/api/v1/worklist", headers=headers).status_code == 401


def test_a_body_that_is_too_large_is_not_read(room: Any) -> None:
    answer = room.browser().client.post("/login", content=b"x" * (1 << 20) + b"x")
    assert answer.status_code == 413
