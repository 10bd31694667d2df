"""The trail in a real database: one transaction with the change, append-only, verified to the last byte."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from typer.testing import CliRunner

from radiolucent.audit.events import KINDS, LoggedIn, StudyViewed
from radiolucent.cli.main import app
from radiolucent.errors import AuditError
from radiolucent.store.audit import (
    ANCHORS,
    SHOWN,
    SHOWN_KINDS,
    AuditTrail,
    Filter,
    nightly_anchor,
    read_anchors,
    write_anchor,
)
from radiolucent.store.unit_of_work import Store, open_store

AT = datetime(2026, 1, 2, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = open_store("", tmp_path)
    with store.begin() as work:
        trail = AuditTrail(work)
        for day in range(5):
            trail.append(LoggedIn(at=AT + timedelta(days=day), actor="a" if day % 2 else "b"))
    yield store
    store.close()


def _tamper(folder: Path, *statements: str) -> None:
    """As somebody with the file would: the triggers first."""
    connection = sqlite3.connect(folder / "radiolucent.sqlite")
    for statement in ("DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete", *statements):
        connection.execute(statement)
    connection.commit()
    connection.close()


def test_what_was_appended_verifies_and_comes_back_newest_first(store: Store) -> None:
    with store.begin() as work:
        trail = AuditTrail(work)
        assert (trail.verify().holds, trail.verify().entries) == (True, 5)
        assert [found.number for found in trail.find(Filter())] == [5, 4, 3, 2, 1]


def test_an_event_of_a_transaction_that_fails_is_not_there(store: Store) -> None:
    def append_and_fail() -> None:
        with store.begin() as work:
            AuditTrail(work).append(LoggedIn(at=AT, actor="lost"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        append_and_fail()
    with store.begin() as work:
        assert AuditTrail(work).count(Filter(actor="lost")) == 0
        assert AuditTrail(work).verify().holds


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Filter(actor="a"), [4, 2]),
        (Filter(since=AT + timedelta(days=3)), [5, 4]),
        (Filter(until=AT + timedelta(days=1)), [1]),
        (Filter(kind="log"), [5, 4, 3, 2, 1]),
        (Filter(kind="study"), []),
        (Filter(study_instance_uid="1.2"), []),
    ],
)
def test_events_are_found_by_what_is_asked(store: Store, wanted: Filter, numbers: list[int]) -> None:
    with store.begin() as work:
        assert [found.number for found in AuditTrail(work).find(wanted)] == numbers
        assert AuditTrail(work).count(wanted) == len(numbers)


def test_what_was_shown_of_a_study_is_one_query(store: Store) -> None:
    seen = StudyViewed(at=AT, actor="r", study_instance_uid="1.2.3", shown="text", digest="ab" * 32)
    with store.begin() as work:
        AuditTrail(work).append(seen)
        AuditTrail(work).append(LoggedIn(at=AT, actor="r", study_instance_uid="1.2.3"))
        shown = Filter(study_instance_uid="1.2.3", kind=SHOWN, since=AT, until=AT + timedelta(days=1))
        [found] = AuditTrail(work).find(shown)
        assert found.event == seen
        assert AuditTrail(work).entry(found.number) == found
        assert AuditTrail(work).entry(99) is None


def test_the_kinds_that_tell_what_was_shown_are_kinds() -> None:
    assert set(SHOWN_KINDS) <= set(KINDS)


@pytest.mark.parametrize("statement", ["UPDATE audit SET actor = 'x'", "DELETE FROM audit WHERE number = 2"])
def test_the_database_itself_refuses_to_change_the_trail(store: Store, statement: str) -> None:
    with pytest.raises(IntegrityError, match="append-only"), store.begin() as work:
        work.session.execute(text(statement))


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET body = replace(body, '\"a\"', '\"c\"') WHERE number = 2",
        "UPDATE audit SET kind = 'logout' WHERE number = 2",
        "DELETE FROM audit WHERE number = 2",
        "DELETE FROM audit WHERE number = 5",
        "UPDATE audit SET number = CASE number WHEN 2 THEN -3 ELSE -2 END WHERE number IN (2, 3)",
    ],
)
def test_whoever_changes_the_file_is_found_out(store: Store, tmp_path: Path, statement: str) -> None:
    _tamper(tmp_path, statement, "UPDATE audit SET number = -number WHERE number < 0")
    with store.begin() as work:
        assert not AuditTrail(work).verify().holds


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET actor = 'c' WHERE number = 2",
        "UPDATE audit SET study_instance_uid = '1.2' WHERE number = 2",
        "UPDATE audit SET at = '2020-01-01 00:00:00.000000' WHERE number = 2",
    ],
)
def test_an_entry_that_a_search_would_no_longer_find_is_found_out(store: Store, tmp_path: Path, statement: str) -> None:
    """The event itself is as it was, and so is its digest: what was changed is under what it is filed."""
    _tamper(tmp_path, statement)
    with store.begin() as work:
        verdict = AuditTrail(work).verify()
    assert (verdict.at, verdict.entries) == (2, 1)
    assert "filed under another" in verdict.fault


def test_a_cut_end_with_its_head_set_back_is_found_by_an_anchor(store: Store, tmp_path: Path) -> None:
    with store.begin() as work:
        write_anchor(tmp_path / "anchors", AuditTrail(work).head(), at=AT)
    _tamper(
        tmp_path,
        "DELETE FROM audit WHERE number = 5",
        "UPDATE audit_head SET number = 4, digest = (SELECT digest FROM audit WHERE number = 4)",
    )
    with store.begin() as work:
        trail = AuditTrail(work)
        assert trail.verify().holds
        assert trail.verify(read_anchors(tmp_path / "anchors")).at == 5


def test_the_nights_anchor_is_written_once_a_day_and_told_in_the_chain(store: Store, tmp_path: Path) -> None:
    first = nightly_anchor(store, at=AT + timedelta(hours=3))
    assert first is not None
    assert nightly_anchor(store, at=AT + timedelta(hours=23)) is None
    assert nightly_anchor(store, at=AT + timedelta(hours=24)) is not None
    assert [anchor.number for anchor in read_anchors(tmp_path / ANCHORS)] == [5, 6]
    with store.begin() as work:
        told = [found.event for found in AuditTrail(work).find(Filter(kind="audit.anchored"))]
        assert [getattr(event, "number", None) for event in told] == [6, 5]
        assert AuditTrail(work).verify(read_anchors(tmp_path / ANCHORS)).holds
    assert not list((tmp_path / ANCHORS).glob("*.partial"))


def _verify(folder: Path, *more: str) -> tuple[int, dict[str, object]]:
    result = CliRunner().invoke(app, ["audit", "verify", "--data-folder", str(folder), "--json", *more])
    return result.exit_code, json.loads(result.stdout)


def test_the_command_finds_a_chain_that_was_made_anew_by_an_anchor_kept_elsewhere(store: Store, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    with store.begin() as work:
        write_anchor(elsewhere, AuditTrail(work).head(), at=AT)
    assert _verify(tmp_path) == (0, {"holds": True, "entries": 5, "fault": "", "anchors": 0})
    assert CliRunner().invoke(app, ["audit", "anchor", "--data-folder", str(tmp_path)]).exit_code == 0
    shutil.rmtree(tmp_path / ANCHORS)
    _tamper(tmp_path, "DELETE FROM audit", "DELETE FROM audit_head")
    with store.begin() as work:
        for day in range(6):
            AuditTrail(work).append(LoggedIn(at=AT + timedelta(days=day), actor="made up"))
    assert _verify(tmp_path)[0] == 0
    code, told = _verify(tmp_path, "--anchors", str(elsewhere))
    assert (code, told["holds"]) == (1, False)
    assert "made anew" in str(told["fault"])


def test_where_the_trail_takes_no_anchor_no_file_is_left(store: Store, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "radiolucent.sqlite")
    connection.execute("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")
    connection.commit()
    connection.close()
    with pytest.raises(IntegrityError, match="full"):
        nightly_anchor(store, at=AT)
    assert not (tmp_path / ANCHORS).exists()


def test_a_file_that_is_no_anchor_is_named(tmp_path: Path) -> None:
    (tmp_path / "audit-1.json").write_text("{}")
    with pytest.raises(AuditError, match=r"audit-1\.json"):
        read_anchors(tmp_path)
