"""Two months of a gateway on the pages of figures: what moved is found, what didn't isn't, and all of it adds up."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from fastapi.testclient import TestClient

from radiolucent.store.people import People
from radiolucent.store.unit_of_work import Store, open_store
from radiolucent.web.access import COOKIE, Premises
from radiolucent.web.server import create_app
from radiolucent.web.sources import StoreSource
from tests.integration.history import FAILS_EVERY, LABEL, READERS, write_history

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
STUDIES = 300


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    store = open_store("", tmp_path_factory.mktemp("history"))
    assert write_history(store, now=NOW) == STUDIES
    with store.begin() as work:
        People(work).add("lead", role="lead", password="", now=NOW)
    yield store
    store.close()


def _rows(store: Store, name: str, days: int = 30) -> list[dict[str, str]]:
    app = create_app(Premises(store=store, source=StoreSource(store), clock=lambda: NOW))
    with store.begin() as work:
        secret = People(work).open_session("lead", now=NOW)
    client = TestClient(app, cookies={COOKIE: secret})
    return list(csv.DictReader(io.StringIO(client.get(f"/monitoring/{name}.csv?days={days}").text)))


def test_the_scores_that_moved_are_named_and_the_others_are_not(store: Store) -> None:
    moved = {row["finding"]: row["moved"] for row in _rows(store, "drift")}
    assert moved == {"Glioma": "yes: look into it", "Meningioma": "no"}
    index = {row["finding"]: float(row["value"]) for row in _rows(store, "drift") if row["figure"] == "stability index"}
    assert index["Glioma"] > 2 * index["Meningioma"]


def test_throughput_failures_and_times_add_up(store: Store) -> None:
    rows = {row["figure"]: row for row in _rows(store, "overview", 61)}
    assert float(rows["studies received"]["value"]) == STUDIES
    assert float(rows["failed"]["value"]) == pytest.approx(1 / FAILS_EVERY)
    shares = [float(rows[name]["value"]) for name in ("read in whole or part", "failed")]
    assert sum(shares) + float(rows["not read (out of scope or unreadable)"]["value"]) == pytest.approx(1)
    for name in ("median time from last image to result", "median time to decision with AI", "median trust (1 to 5)"):
        assert float(rows[name]["low"]) <= float(rows[name]["value"]) <= float(rows[name]["high"])
    assert float(rows["median time to decision without AI"]["value"]) > 0
    assert sum(int(row["studies"]) for row in _rows(store, "days", 61)) == STUDIES


def test_the_bins_of_calibration_hold_every_decision_and_lie_where_readers_put_them(store: Store) -> None:
    rows = [row for row in _rows(store, "calibration", 61) if row["finding"] == "Glioma"]
    [error] = [row for row in rows if row["told probability"] == "all"]
    bins = [row for row in rows if row["figure"] == "right"]
    assert sum(int(row["n"]) for row in bins) == int(error["n"]) > 30
    assert {row["engine"] for row in rows} == {LABEL}
    assert all(float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in bins)


def test_each_study_is_in_one_group_of_each_kind(store: Store) -> None:
    rows = [row for row in _rows(store, "fairness", 61) if row["figure"] == "studies"]
    for by, groups in (("sex", 2), ("age", 4), ("scanner", 3)):
        counted = [float(row["value"]) for row in rows if row["by"] == by]
        assert (len(counted), sum(counted)) == (groups, STUDIES)


def test_reasons_and_runs_are_counted(store: Store) -> None:
    reasons = {row["reason"]: float(row["value"]) for row in _rows(store, "reasons", 61)}
    assert reasons["the engine broke off"] == pytest.approx(1 / FAILS_EVERY)
    assert [row["engine"] for row in _rows(store, "engine-runs", 61)] == [LABEL]
    assert [row["destination"] for row in _rows(store, "deliveries")] == ["pacs"]


def test_readers_are_told_as_a_group(store: Store) -> None:
    rows = _rows(store, "use", 61)
    assert {(row["group"], row["readers"]) for row in rows} == {
        ("all readers", str(READERS)),
        ("radiologist", str(READERS)),
    }
    assert not any("reader-" in value for row in rows for value in row.values())


def test_days_without_anything_say_so(store: Store) -> None:
    app = create_app(Premises(store=store, source=StoreSource(store), clock=lambda: NOW + timedelta(days=400)))
    with store.begin() as work:
        secret = People(work).open_session("lead", now=NOW + timedelta(days=400))
    client = TestClient(app, cookies={COOKIE: secret})
    for tab in ("drift", "calibration", "fairness", "findings"):
        assert "Nothing to tell of these days." in client.get(f"/monitoring/{tab}?days=1").text
