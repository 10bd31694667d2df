"""What somebody with a stolen session, token, password or phone can't do to an account."""

from __future__ import annotations

from typing import Any

import pytest

from radiolucent.audit.events import LoggedIn
from radiolucent.store.one_time_codes import STEP_S, code_at, new_secret
from radiolucent.store.people import ATTEMPTS, LOCKED_FOR, LONGEST_SESSION, People
from radiolucent.web.access import ATTEMPTS_PER_MINUTE, COOKIE
from radiolucent.web.demo import PASSWORD
from radiolucent.web.sessions import own_path

OWN = {
    "/account/password": {"old": PASSWORD, "new": "another long one"},
    "/account/codes": {},
    "/account/codes/confirm": {"secret": new_secret(), "code": "000000", "password": PASSWORD},
    "/account/codes/off": {"password": PASSWORD},
    "/account/tokens": {"label": "more", "role": "viewer"},
    "/account/tokens/1/revoke": {},
}


def _code(room: Any, secret: str, steps: int = 0) -> str:
    return code_at(secret, int(room.clock().timestamp()) // STEP_S + steps)


def _codes_on(room: Any, name: str = "lead") -> str:
    secret = new_secret()
    data = {"secret": secret, "code": _code(room, secret), "password": PASSWORD}
    assert room.browser(name).post("/account/codes/confirm", data).status_code == 303
    return secret


def _log_in(room: Any, name: str = "lead", password: str = PASSWORD, code: str = "") -> int:
    data = {"name": name, "password": password, "code": code}
    return int(room.browser().client.post("/login", data=data).status_code)


@pytest.mark.parametrize("address", sorted(OWN))
def test_a_token_changes_nothing_of_its_account(room: Any, address: str) -> None:
    with room.store.begin() as work:
        token = People(work).make_token("admin", label="ris", role="admin", now=room.clock())
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json"}
    answer = room.browser().client.post(address, data=OWN[address], headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "token")
    assert room.events("account.changed")[0].actor == "system"


@pytest.mark.parametrize("address", ["/account/password", "/account/codes/confirm", "/account/codes/off"])
def test_a_stolen_session_needs_the_password_and_can_not_guess_it(room: Any, address: str) -> None:
    browser, wrong = room.browser("lead"), OWN[address] | {"old": "a guess", "password": "a guess"}
    codes = [browser.post(address, wrong).status_code for _ in range(ATTEMPTS_PER_MINUTE + 1)]
    assert (set(codes[:-1]), codes[-1]) == ({403}, 429)
    assert [one.reason for one in room.events("login.failed")][:2] == ["rate", "credentials"]
    assert browser.post(address, OWN[address]).status_code == 429  # not even with the right one
    assert _log_in(room) == 429


def test_a_code_that_switched_the_codes_on_opens_nothing(room: Any) -> None:
    secret = _codes_on(room)
    assert _log_in(room) == 401
    assert _log_in(room, code=_code(room, secret)) == 401  # used up
    room.clock.forward(seconds=STEP_S)
    assert _log_in(room, code=_code(room, secret)) == 303
    assert _log_in(room, code=_code(room, secret)) == 401  # each once
    assert _log_in(room, code=_code(room, secret, -1)) == 401  # and none from before
    [event] = [one for one in room.events("login") if isinstance(one, LoggedIn)]
    assert event.method == "password and code"


def test_codes_can_not_be_guessed(room: Any) -> None:
    secret = _codes_on(room)
    room.clock.forward(seconds=STEP_S)
    right = {_code(room, secret, steps) for steps in (-1, 0, 1)}
    for guess in [code for number in range(ATTEMPTS + 3) if (code := f"{number:06d}") not in right][:ATTEMPTS]:
        assert _log_in(room, code=guess) == 401
    assert _log_in(room, code=_code(room, secret)) == 401  # locked
    assert room.events("login.failed")[0].reason == "locked"
    room.clock.forward(seconds=LOCKED_FOR.total_seconds())
    assert _log_in(room, code=_code(room, secret)) == 303


@pytest.mark.parametrize("code", ["", " ", "abcdef", "１２３４５６", "-00001", "0" * 16])
def test_what_is_no_code_opens_nothing(room: Any, code: str) -> None:
    _codes_on(room)
    assert _log_in(room, code=code) == 401


def test_a_lost_phone_is_for_the_administration_or_the_password(room: Any) -> None:
    _codes_on(room)
    assert room.browser("lead").post("/account/codes/off", {"password": PASSWORD}).status_code == 303
    assert _log_in(room) == 303
    _codes_on(room)
    data = {"role": "lead", "active": "true", "codes_off": "true"}
    assert room.browser("radiologist").post("/admin/users/lead", data).status_code == 403
    assert room.browser("admin").post("/admin/users/lead", data).status_code == 303
    assert room.events("account.changed")[0].change == "role lead, on, codes off"
    assert _log_in(room) == 303


def test_a_login_gives_a_new_session_whatever_cookie_was_brought(room: Any) -> None:
    client = room.browser().client
    client.cookies.set(COOKIE, "chosen by somebody else")
    answer = client.post("/login", data={"name": "lead", "password": PASSWORD})
    assert "chosen" not in answer.headers["set-cookie"]
    other = room.browser().client
    other.cookies.set(COOKIE, "chosen by somebody else")
    assert other.get("/me").status_code == 303


def test_a_session_ends_after_a_shift_and_where_nobody_is(room: Any) -> None:
    left = room.browser("lead")
    for _ in range(5):  # the bell asks by itself: four quarters of an hour of nobody
        assert left.get("/alerts/bell").status_code == 200
        room.clock.forward(minutes=14)
    assert left.get("/worklist").status_code == 303
    busy, hours = room.browser("lead"), 0.0
    while hours < LONGEST_SESSION.total_seconds() / 3600:
        assert busy.get("/me").status_code == 200
        room.clock.forward(minutes=50)
        hours += 50 / 60
    assert busy.get("/me").status_code == 303


def test_other_sessions_end_with_the_password_and_with_the_role(room: Any) -> None:
    stolen, own = room.browser("lead"), room.browser("lead")
    own.post("/account/password", {"old": PASSWORD, "new": "another long one"})
    assert stolen.get("/me").status_code == own.get("/me").status_code == 303
    stolen = room.browser("viewer")
    room.browser("admin").post("/admin/users/viewer", {"role": "viewer", "active": ""})
    assert stolen.get("/me").status_code == 303


def test_a_token_follows_its_account_down_and_ends_with_it(room: Any) -> None:
    with room.store.begin() as work:
        token = People(work).make_token("lead", label="ris", role="lead", now=room.clock())
    headers = {"Authorization": f"Bearer {token}"}
    client = room.browser().client
    assert client.get("/monitoring", headers=headers).status_code == 200
    room.browser("admin").post("/admin/users/lead", {"role": "viewer", "active": "true"})
    assert client.get("/monitoring", headers=headers).status_code == 403
    room.browser("admin").post("/admin/users/lead", {"role": "viewer", "active": ""})
    assert client.get("/monitoring", headers=headers).status_code == 401


@pytest.mark.parametrize(
    "target",
    ["//e.example", "/\\e.example", "/\t/e.example", "/\n/e.example", "\\\\e.example", "/a\\..\\e", "javascript:x", ""],
)
def test_no_login_leads_elsewhere(target: str) -> None:
    assert own_path(target) == "/worklist"
