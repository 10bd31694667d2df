"""Accounts in a real database: passwords, lockout, sessions that run out, tokens with a role of their own."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from radiolucent.errors import SetupError
from radiolucent.store.one_time_codes import STEP_S, code_at, new_secret
from radiolucent.store.people import ATTEMPTS, IDLE, LOCKED_FOR, LONGEST_SESSION, Login, People
from radiolucent.store.people_tables import AccountRow, SessionRow, TokenRow
from radiolucent.store.unit_of_work import Work, open_store

NOW = datetime(2026, 1, 2, 3, tzinfo=UTC)
PASSWORD = "correct horse battery"


@pytest.fixture
def work(tmp_path: Path) -> Iterator[Work]:
    store = open_store("", tmp_path)
    with store.begin() as work:
        People(work).add("ann", role="radiologist", password=PASSWORD, now=NOW)
        yield work
    store.close()


def _try(work: Work, password: str = PASSWORD, *, name: str = "ann", now: datetime = NOW, code: str = "") -> Login:
    return People(work).log_in(name, password, now=now, code=code)


def test_the_right_password_comes_in(work: Work) -> None:
    account = _try(work).account
    assert account is not None
    assert (account.name, account.role) == ("ann", "radiologist")


@pytest.mark.parametrize(("name", "password"), [("ann", "wrong"), ("nobody", PASSWORD), ("", "")])
def test_a_wrong_name_and_a_wrong_password_are_answered_alike(work: Work, name: str, password: str) -> None:
    assert _try(work, password, name=name) == Login(refused="credentials")


def test_no_secret_is_kept_as_it_is(work: Work) -> None:
    cookie = People(work).open_session("ann", now=NOW)
    token = People(work).make_token("ann", label="ris", role="viewer", now=NOW)
    kept = [work.session.scalars(select(column)).all() for column in (AccountRow.password_hash, SessionRow.digest)]
    kept.append(work.session.scalars(select(TokenRow.digest)).all())
    assert kept[0][0].startswith("$argon2id$")
    assert not [value for column in kept for value in column if value in (PASSWORD, cookie, token)]


def test_too_many_failures_lock_even_the_right_password_out_for_a_while(work: Work) -> None:
    for _ in range(ATTEMPTS):
        assert _try(work, "wrong").refused == "credentials"
    assert _try(work).refused == "locked"
    assert _try(work, now=NOW + LOCKED_FOR).account is not None


def test_a_success_forgets_the_failures_before(work: Work) -> None:
    for _ in range(2):
        for _ in range(ATTEMPTS - 1):
            _try(work, "wrong")
        assert _try(work).account is not None


def test_a_code_is_asked_for_and_used_once(work: Work) -> None:
    secret = new_secret()
    People(work).set_one_time_codes("ann", secret)
    code = code_at(secret, int(NOW.timestamp()) // STEP_S)
    assert _try(work).refused == "code"
    assert _try(work, code=code).account is not None
    assert _try(work, code=code).refused == "code"


def test_an_account_that_is_off_stays_outside_and_its_session_ends(work: Work) -> None:
    cookie = People(work).open_session("ann", now=NOW)
    People(work).change("ann", active=False)
    assert _try(work).refused == "inactive"
    assert People(work).session(cookie, now=NOW) is None


def test_an_account_without_a_password_cannot_come_in_with_one(work: Work) -> None:
    People(work).add("sso", role="viewer", password="", now=NOW)
    assert _try(work, "", name="sso").refused == "credentials"


@pytest.mark.parametrize(
    ("later", "alive"),
    [(timedelta(), True), (IDLE, True), (IDLE + timedelta(seconds=1), False), (LONGEST_SESSION * 2, False)],
)
def test_a_session_runs_out(work: Work, later: timedelta, alive: bool) -> None:
    cookie = People(work).open_session("ann", now=NOW)
    assert (People(work).session(cookie, now=NOW + later) is not None) is alive


def test_a_session_in_use_lives_on_but_not_for_ever(work: Work) -> None:
    people, now = People(work), NOW
    cookie = people.open_session("ann", now=NOW)
    while now + IDLE <= NOW + LONGEST_SESSION:
        now += IDLE
        assert people.session(cookie, now=now) is not None
        people.seen(cookie, now=now)
    assert people.session(cookie, now=NOW + LONGEST_SESSION + timedelta(seconds=1)) is None


def test_a_closed_session_is_gone(work: Work) -> None:
    cookie = People(work).open_session("ann", now=NOW)
    People(work).close_session(cookie)
    assert People(work).session(cookie, now=NOW) is None


def test_a_changed_role_ends_the_sessions_that_had_the_old_one(work: Work) -> None:
    cookie = People(work).open_session("ann", now=NOW)
    People(work).change("ann", role="viewer")
    assert People(work).session(cookie, now=NOW) is None


def test_a_token_has_its_own_role_and_runs_out_and_can_be_revoked(work: Work) -> None:
    people = People(work)
    token = people.make_token("ann", label="ris", role="viewer", now=NOW, days=1)
    session = people.token(token, now=NOW)
    assert session is not None
    assert session.role == "viewer"
    assert people.token(token, now=NOW + timedelta(days=1)) is None
    assert people.revoke_tokens("ann", now=NOW) == 1
    assert people.token(token, now=NOW) is None


def test_a_short_password_and_a_taken_name_are_refused(work: Work) -> None:
    with pytest.raises(SetupError, match="short"):
        People(work).add("bob", role="viewer", password="short", now=NOW)
    with pytest.raises(SetupError, match="taken"):
        People(work).add("ann", role="viewer", password=PASSWORD, now=NOW)
    with pytest.raises(SetupError, match="no account"):
        People(work).change("bob", role="viewer")
