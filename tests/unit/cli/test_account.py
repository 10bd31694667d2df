"""The first account is made on the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from radiolucent.cli.main import app
from radiolucent.store.audit import AuditTrail, Filter
from radiolucent.store.people import People
from radiolucent.store.unit_of_work import open_store


def _add(folder: Path, *options: str, password: str = "long enough to be") -> int:
    entered = f"{password}\n{password}\n"
    return CliRunner().invoke(app, ["account", "add", "ann", "-d", str(folder), *options], input=entered).exit_code


def test_an_account_is_made_and_the_trail_says_so(tmp_path: Path) -> None:
    assert _add(tmp_path, "--role", "admin") == 0
    store = open_store("", tmp_path)
    with store.read() as work:
        account = People(work).get("ann")
        assert account is not None
        assert account.role == "admin"
        assert AuditTrail(work).count(Filter(kind="account")) == 1
    store.close()


@pytest.mark.parametrize(("role", "password"), [("god", "long enough to be"), ("admin", "short")])
def test_what_cannot_be_an_account_is_wrong_use(tmp_path: Path, role: str, password: str) -> None:
    assert _add(tmp_path, "--role", role, password=password) == 2
