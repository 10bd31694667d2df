"""Login through a real provider on loopback: who comes in, with which role, and every lie that keeps one outside."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi.testclient import TestClient
from joserfc.jwk import RSAKey

from radiolucent.errors import SetupError
from radiolucent.store.audit import AuditTrail, Filter
from radiolucent.store.people import People
from radiolucent.store.unit_of_work import Store, open_store
from radiolucent.web.access import COOKIE, Limiter, Premises
from radiolucent.web.server import create_app
from radiolucent.web.single_sign_on import Provider as Chosen
from radiolucent.web.single_sign_on import SingleSignOn
from radiolucent.web.sources import StoreSource
from tests.integration.oidc import CLIENT, SECRET, Provider, provider

ROLES = (("rad-leads", "lead"), ("rads", "radiologist"), ("auditors", "auditor"))


class House:
    """The pages with a provider, a clock that can be moved, and the trail."""

    def __init__(self, store: Store, oidc: Provider) -> None:
        self.store, self.oidc, self.shift = store, oidc, timedelta()
        chosen = Chosen(issuer=oidc.issuer, client_id=CLIENT, client_secret=SECRET, roles=ROLES, timeout_s=5)
        self.premises = Premises(
            store=store,
            source=StoreSource(store),
            clock=lambda: datetime.now(UTC) + self.shift,
            single_sign_on=SingleSignOn(chosen),
            crowds=Limiter(most=10),
        )
        self.app = create_app(self.premises)

    def browser(self) -> TestClient:
        return TestClient(self.app, follow_redirects=False)

    def away(self, browser: TestClient, target: str = "/rollout") -> str:
        """To the provider; gives the address that it sends the browser back to."""
        answer = browser.get(f"/login/provider?next={target}")
        assert answer.status_code == 303
        consent = httpx.get(answer.headers["location"], follow_redirects=False, trust_env=False)
        back = urlsplit(consent.headers["location"])
        return f"{back.path}?{back.query}"

    def log_in(self, target: str = "/rollout") -> tuple[TestClient, Any]:
        browser = self.browser()
        return browser, browser.get(self.away(browser, target))

    def events(self, kind: str) -> list[Any]:
        with self.store.read() as work:
            return [one.event for one in AuditTrail(work).find(Filter(kind=kind))]


@pytest.fixture
def oidc() -> Iterator[Provider]:
    with provider() as made:
        made.person = {"preferred_username": "ann", "name": "Ann B", "groups": ["staff", "rads"]}
        yield made


@pytest.fixture
def house(tmp_path: Path, oidc: Provider) -> Iterator[House]:
    store = open_store("", tmp_path)
    yield House(store, oidc)
    store.close()


def test_a_person_comes_in_with_the_role_of_their_groups(house: House, oidc: Provider) -> None:
    assert "Log in with" in house.browser().get("/login").text
    browser, answer = house.log_in()
    assert answer.status_code == 200
    assert '<meta http-equiv="refresh" content="0; url=/rollout">' in answer.text
    assert browser.get("/me").json() == {"name": "ann", "display_name": "Ann B", "role": "radiologist"}
    [asked] = oidc.asked
    assert asked["response_type"] == "code"
    assert len(asked["state"]) >= 32
    assert len(asked["nonce"]) >= 32
    assert asked["redirect_uri"].endswith("/login/provider/back")
    assert [event.method for event in house.events("login")] == ["provider"]
    assert house.events("account")[0].change == "made with role radiologist, by the provider"


def test_the_account_has_no_password(house: House) -> None:
    house.log_in()
    answer = house.browser().post("/login", data={"name": "ann", "password": ""})
    assert answer.status_code in (401, 422)
    assert house.browser().post("/login", data={"name": "ann", "password": "ann"}).status_code == 401


def test_a_changed_group_changes_the_role_and_ends_old_sessions(house: House, oidc: Provider) -> None:
    first, _ = house.log_in()
    oidc.person["groups"] = "rad-leads"
    second, _ = house.log_in()
    assert second.get("/me").json()["role"] == "lead"
    assert first.get("/me").status_code == 303


def test_who_was_switched_off_here_stays_outside(house: House) -> None:
    house.log_in()
    with house.store.begin() as work:
        People(work).change("ann", active=False)
    _, answer = house.log_in()
    assert answer.status_code == 401
    assert "switched off" in answer.text


def test_nobody_takes_a_local_account_or_one_of_somebody_else(house: House, oidc: Provider) -> None:
    with house.store.begin() as work:
        People(work).add("root", role="admin", password="long enough to be", now=datetime.now(UTC))
    oidc.person["preferred_username"] = "root"
    assert house.log_in()[1].status_code == 401
    oidc.person["preferred_username"] = "ann"
    assert house.log_in()[1].status_code == 200
    oidc.lies["sub"] = "4712"
    assert house.log_in()[1].status_code == 401


@pytest.mark.parametrize(
    "lies",
    [
        {"nonce": "of another login"},
        {"aud": "another client"},
        {"aud": ["another client", CLIENT]},
        {"iss": "https://elsewhere.example"},
        {"exp": int(time.time()) - 600},
        {"sub": None},
        {"groups": ["strangers"]},
        {"groups": None},
        {"preferred_username": ""},
        {"preferred_username": "x" * 129},
        {"preferred_username": "../admin"},
        {"preferred_username": ".."},
        {"preferred_username": "ann\n"},
    ],
    ids=str,
)
def test_a_token_that_is_not_right_lets_nobody_in(house: House, oidc: Provider, lies: dict[str, Any]) -> None:
    oidc.lies = lies
    browser, answer = house.log_in()
    assert answer.status_code == 401
    assert COOKIE not in browser.cookies
    [event] = house.events("login.failed")
    assert event.reason.startswith("provider: ")
    assert "x" * 129 not in answer.text


def test_a_token_signed_by_somebody_else_lets_nobody_in(house: House, oidc: Provider) -> None:
    oidc.signs_with = RSAKey.generate_key(2048, {"kid": "1"})
    assert house.log_in()[1].status_code == 401


def test_a_token_signed_with_the_public_key_as_a_secret_lets_nobody_in(house: House, oidc: Provider) -> None:
    oidc.algorithm = "HS256"
    assert house.log_in()[1].status_code == 401


def test_new_keys_of_the_provider_are_fetched(house: House, oidc: Provider) -> None:
    assert house.log_in()[1].status_code == 200
    oidc.key = RSAKey.generate_key(2048, {"kid": "1", "use": "sig"})
    assert house.log_in()[1].status_code == 200


def test_a_login_comes_back_once_to_the_browser_that_began_it_and_soon(house: House) -> None:
    browser = house.browser()
    back = house.away(browser)
    assert house.browser().get(back).status_code == 401  # another browser; and the login is used up by it
    assert browser.get(back).status_code == 401
    back = house.away(browser)
    house.shift = timedelta(minutes=11)
    assert browser.get(back).status_code == 401
    assert browser.get("/login/provider/back?state=made-up&code=made-up").status_code == 401


def test_a_code_that_the_provider_did_not_give_is_worth_nothing(house: House, oidc: Provider) -> None:
    browser = house.browser()
    back = house.away(browser)
    state = back.split("state=")[1]
    assert browser.get(f"/login/provider/back?state={state}&code=stolen").status_code == 401
    oidc.denies = True
    assert house.log_in()[1].status_code == 401


def test_a_provider_that_calls_itself_otherwise_or_is_away_is_no_way_in(house: House, oidc: Provider) -> None:
    oidc.calls_itself = "https://elsewhere.example"
    answer = house.browser().get("/login/provider")
    assert answer.status_code == 401
    assert "calls itself otherwise" in answer.text


def test_the_login_leads_nowhere_else(house: House) -> None:
    _, answer = house.log_in("//elsewhere.example")
    assert 'url=/worklist"' in answer.text


def test_logins_are_counted_like_others(house: House) -> None:
    browser = house.browser()
    codes = [browser.get("/login/provider/back?state=x&code=y").status_code for _ in range(11)]
    assert (codes[0], codes[-1]) == (401, 429)


def test_without_a_provider_there_is_no_such_way(tmp_path: Path) -> None:
    store = open_store("", tmp_path)
    app = create_app(Premises(store=store, source=StoreSource(store)))
    browser = TestClient(app, follow_redirects=False)
    assert browser.get("/login/provider").status_code == 404
    assert "provider" not in browser.get("/login").text
    store.close()


@pytest.mark.parametrize(
    ("changed", "words"), [({"issuer": "http://elsewhere.example"}, "https"), ({"scopes": ("profile",)}, "openid")]
)
def test_a_provider_that_is_not_safe_is_refused(changed: dict[str, Any], words: str) -> None:
    with pytest.raises(SetupError, match=words):
        Chosen(**{"issuer": "https://idp.example", "client_id": "x"} | changed)
