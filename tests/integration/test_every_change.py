"""What the administration of a gateway changes: with its event in the same transaction, or not at all."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from radiolucent.store.deliveries import Deliveries
from radiolucent.store.instances import Instances
from radiolucent.store.revisions import Revisions
from radiolucent.store.studies import Studies
from tests.integration.sites import Site, a_site, phantom

Form = tuple[str, dict[str, Any]]


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """With a study that was taken in, whose reading failed, and a dead letter of it."""
    with a_site(tmp_path) as made:
        uid, data = phantom(tmp_path / "study")
        (tmp_path / "study.zip").write_bytes(data)
        made.office.take(tmp_path / "study.zip")
        now = datetime.now(UTC)
        with made.parts.store.begin() as work:
            Revisions(work).plan(uid, Instances(work).of_study(uid), ["e"], made_at=now)
            for one in Deliveries(work).owe(uid, 1, ["away"], at=now):
                Deliveries(work).give_up(one.id, reason="away: no association", at=now)
            Instances(work).finish([one.id for one in Instances(work).of_study(uid)], "failed", revision=1)
            Revisions(work).finished(uid, 1, "failed", reason="out of memory", at=now)
        made.uid = uid  # type: ignore[attr-defined]
        yield made


def _state(page: str) -> str:
    return page.split('name="state" value="', 1)[1].split('"', 1)[0]


def _threshold(site: Site) -> Form:
    label = site.parts.bundles[0].label
    page = site.get(f"/admin/thresholds?engine={label}&finding=glioma&value=0.61")
    data = {"engine": label, "finding": "glioma", "value": "0.61", "again": "0.61"}
    return "/admin/thresholds", data | {"state": _state(page), "purpose": "a trial", "reason": "a test of this"}


def _own(site: Site) -> Form:
    address, data = _threshold(site)
    assert site.post(address, **data).status_code == 303
    label = site.parts.bundles[0].label
    return "/admin/thresholds/own", {"engine": label, "state": _state(site.get("/admin/thresholds")), "reason": "back"}


FORMS: dict[str, Callable[[Any], Form]] = {
    "node": lambda site: ("/admin/nodes/pacs/echo", {}),
    "dead letters": lambda site: ("/admin/queues/deliveries", {"destination": "away"}),
    "failed study": lambda site: ("/admin/queues/studies", {"study": site.uid}),
    "threshold": _threshold,
    "engine's own thresholds": _own,
}


@pytest.mark.parametrize("name", FORMS)
def test_where_the_event_cannot_be_written_nothing_is_changed(site: Site, tmp_path: Path, name: str) -> None:
    address, data = FORMS[name](site)
    database = tmp_path / "data/radiolucent.sqlite"
    _do(database, "CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'full'); END")
    before = _everything(database)
    client, csrf = site.browser()
    client._transport.raise_server_exceptions = False  # type: ignore[attr-defined]
    assert client.post(address, data={"csrf": csrf} | data).status_code == 500
    assert _everything(database) == before
    _do(database, "DROP TRIGGER full")
    assert client.post(address, data={"csrf": csrf} | data).status_code < 400
    assert len(_everything(database)["audit"]) == len(before["audit"]) + 1


def test_a_form_that_came_from_elsewhere_changes_nothing(site: Site, tmp_path: Path) -> None:
    database = tmp_path / "data/radiolucent.sqlite"
    forms = [FORMS[name](site) for name in FORMS if name != "engine's own thresholds"]
    before = _everything(database)
    for address, data in forms:
        client, _ = site.browser()
        assert client.post(address, data={"csrf": "x"} | data).status_code == 403
    assert _everything(database) == before
    with site.parts.store.read() as work:
        assert Studies(work).get(site.uid).state == "failed"  # type: ignore[attr-defined]


def _do(database: Path, statement: str) -> None:
    connection = sqlite3.connect(database)
    connection.execute(statement)
    connection.commit()
    connection.close()


def _everything(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows but those of sessions, which note when they were last used."""
    connection = sqlite3.connect(database)
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {
        name: connection.execute(f'SELECT * FROM "{name}"').fetchall()
        for name in names
        if name not in ("sessions", "sqlite_sequence")
    }
    connection.close()
    return rows
