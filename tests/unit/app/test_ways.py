"""A way in goes on whatever happens at one of its turns, waits longer after each failure, and tells how it fares."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from radiolucent.app import ways
from radiolucent.app.ways import Done, Step, end_ways, start_ways
from radiolucent.errors import QueryFailed
from radiolucent.store.unit_of_work import Store, open_store
from radiolucent.store.ways import Fetches, WayRecord, Ways
from tests.unit.pipeline.pacs_in_memory import NOW


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_store("", tmp_path)
    yield made
    made.close()


def until(store: Store, met: Callable[[WayRecord], bool]) -> WayRecord:
    """Wait until the only way's row is as wanted."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with store.read() as work:
            [way] = Ways(work).list()
        if met(way):
            return way
        time.sleep(0.01)
    raise AssertionError(way)


class Turns:
    """What a step does at each of its turns, in order; the last for ever."""

    def __init__(self, *what: Done | Exception) -> None:
        self.what, self.number, self.last = list(what), 0, threading.Event()

    def __call__(self) -> Done:
        self.number += 1
        one = self.what.pop(0) if len(self.what) > 1 else self.what[0]
        if isinstance(one, Exception):
            raise one
        return one


@pytest.fixture
def run(store: Store) -> Iterator[Callable[[Turns], None]]:
    stopping = threading.Event()
    threads: list[threading.Thread] = []

    def start(turns: Turns) -> None:
        threads.extend(start_ways(store, [Step(name="one", turn=turns, every_s=0.01)], stopping))

    yield start
    stopping.set()
    end_ways(threads)
    assert not any(thread.is_alive() for thread in threads)


def test_what_it_took_is_counted(store: Store, run: Callable[[Turns], None]) -> None:
    run(Turns(Done(taken=2), Done(taken=3), Done()))
    way = until(store, lambda one: one.taken == 5)
    assert (way.state, way.reason, way.failures) == ("ok", "", 0)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (QueryFailed("the PACS doesn't answer"), "the PACS doesn't answer"),
        (ZeroDivisionError("patient 7"), "ZeroDivisionError: see the log"),
        (Done(trouble="2 files stay"), "2 files stay"),
    ],
)
def test_a_failure_is_shown_and_forgotten_once_it_works(
    store: Store, run: Callable[[Turns], None], failure: Done | Exception, reason: str
) -> None:
    turns = Turns(failure)
    run(turns)
    way = until(store, lambda one: one.state == "failing" and one.failures >= 2)
    assert way.reason == reason
    assert way.failed_at is not None
    assert way.next_at is not None
    turns.what = [Done(taken=1)]
    assert until(store, lambda one: one.state == "ok").reason == ""


def test_a_turn_with_nothing_to_do_says_nothing_of_a_failure_before(store: Store, run: Callable[[Turns], None]) -> None:
    turns = Turns(QueryFailed("away"), Done(idle=True))
    run(turns)
    until(store, lambda one: one.state == "failing")
    before = turns.number
    deadline = time.monotonic() + 20
    while turns.number < before + 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert until(store, lambda _: True).state == "failing"
    turns.what = [Done()]
    until(store, lambda one: one.state == "ok")


def test_it_waits_longer_after_each_failure_and_not_for_ever(
    store: Store, run: Callable[[Turns], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "LONGEST_WAIT_S", 0.1)
    turns = Turns(QueryFailed("away"))
    run(turns)
    until(store, lambda one: one.failures >= 4)
    begun, before = time.monotonic(), turns.number
    time.sleep(0.6)
    tries = turns.number - before
    assert tries <= (time.monotonic() - begun) / 0.1 + 1


def test_a_database_that_is_away_ends_no_thread(
    store: Store, run: Callable[[Turns], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = Turns(Done(taken=1))

    def broken(*_: object, **__: object) -> None:
        raise OSError("the disk is away")

    monkeypatch.setattr(Ways, "works", broken)
    run(turns)
    deadline = time.monotonic() + 20
    while turns.number < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    monkeypatch.undo()
    assert until(store, lambda one: one.state == "ok").taken >= 3


def test_at_start_ways_that_are_gone_are_forgotten_and_half_fetches_may_be_tried_again(store: Store) -> None:
    with store.begin() as work:
        Ways(work).begin(["gone", "stays"])
        Ways(work).fails("stays", "away", at=NOW, next_at=None)
        Fetches(work).begin("1.2", "pacs", purpose="prior", instances=3, at=NOW)
    stopping = threading.Event()
    stopping.set()
    end_ways(start_ways(store, [Step(name="stays", turn=Done, every_s=1)], stopping))
    with store.read() as work:
        assert [(one.name, one.state) for one in Ways(work).list()] == [("stays", "starting")]
        [fetch] = Fetches(work).of_study("1.2")
    assert (fetch.state, fetch.next_try_at) == ("failed", None)
