"""Alerts on the command line: listed without a patient's name, acknowledged once."""

from __future__ import annotations

import getpass
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from radiolucent.cli.main import app
from radiolucent.store.alerts import Alerts, NewAlert, Notices
from radiolucent.store.audit import AuditTrail, Filter
from radiolucent.store.unit_of_work import Store, open_store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    store: Store = open_store("", tmp_path / "data")
    with store.begin() as work:
        for key, level in (("later", 2), ("first", 1)):
            made = Alerts(work).raise_(
                NewAlert(
                    key=key,
                    study_instance_uid="2.25.1",
                    revision=1,
                    finding="pneumothorax",
                    engine="chest@1.0.0",
                    tier="A",
                    level=level,
                    language="en",
                    subject=f"{level}: Pneumothorax",
                    message="Check it.",
                    disclaimer="Not for clinical use.",
                    table_version="1",
                    raised_at=NOW,
                )
            )
            Notices(work).owe(made, ["phone"], "first", at=NOW, granted=True)
    store.close()
    return tmp_path / "data"


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["alert", *arguments, "--data-folder", str(folder)])
    return result.exit_code, result.stdout


def test_open_alerts_are_listed_the_most_urgent_first(folder: Path) -> None:
    code, said = run(folder, "list", "--json")
    found = json.loads(said)["alerts"]
    assert (code, [one["key"] for one in found]) == (0, ["first", "later"])
    assert found[0]["messages"][0]["channel"] == "phone"
    code, said = run(folder, "list", "--study", "2.25.1")
    assert "first  open" in said
    assert "first to phone: waiting" in said
    assert "2 alerts" in said


def test_an_alert_is_acknowledged_once_and_that_is_written_down(folder: Path) -> None:
    code, said = run(folder, "acknowledge", "first", "--json")
    assert (code, json.loads(said)["alert"]["acknowledged_by"]) == (0, getpass.getuser())
    assert run(folder, "acknowledge", "first")[0] == 1
    assert json.loads(run(folder, "list", "--json")[1])["alerts"][0]["key"] == "later"
    assert "first  acknowledged by" in run(folder, "list", "--all")[1]
    store = open_store("", folder)
    with store.read() as work:
        [entry] = AuditTrail(work).find(Filter(kind="alert.acknowledged"))
    store.close()
    assert entry.event.actor == getpass.getuser()


def test_messages_that_were_given_up_are_sent_again_on_request(folder: Path) -> None:
    store = open_store("", folder)
    with store.begin() as work:
        (notice,) = Notices(work).of_alert("first")
        Notices(work).give_up(notice.id, reason="refused", at=NOW)
    store.close()
    assert run(folder, "resend", "first") == (0, "1 messages wait to be sent again\n")
    assert run(folder, "resend", "later") == (0, "0 messages wait to be sent again\n")
    store = open_store("", folder)
    with store.read() as work:
        (notice,) = Notices(work).of_alert("first")
        trail = AuditTrail(work).count(Filter(kind="queued.again"))
    store.close()
    assert (notice.state, notice.finished_at, trail) == ("waiting", None, 1)


def test_a_key_that_is_none_ends_with_wrong_use(folder: Path) -> None:
    assert run(folder, "acknowledge", "none")[0] == 2
