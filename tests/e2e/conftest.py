"""A browser for a module, and one reading room for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.reading_room import FLAGS, MAPS, Desk, Server, chromium, uid_of


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: make test")
    path = chromium()
    if path is None:
        pytest.skip("needs chromium: run scripts/install-peers")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


@contextmanager
def _served(home: Path) -> Iterator[Server]:
    if chromium() is None:
        pytest.skip("needs chromium: run scripts/install-peers")
    server = Server(home / "demo")
    yield server
    server.close()


@pytest.fixture(scope="session")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with _served(tmp_path_factory.mktemp("room")) as server:
        yield server


@pytest.fixture(scope="module")
def own_room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """For files whose tests change what stands in the worklist: nobody else sees it."""
    with _served(tmp_path_factory.mktemp("own")) as server:
        yield server


@pytest.fixture
def desk(browser: Any, room: Server) -> Iterator[Callable[..., Desk]]:
    """Opens desks; each is closed with its test, and its console must have been silent."""
    opened: list[Desk] = []

    def sit_down(name: str = "", **options: Any) -> Desk:
        opened.append(Desk(browser, room, name, **options))
        return opened[-1]

    yield sit_down
    for one in opened:
        one.close()


@pytest.fixture(scope="module")
def seat(browser: Any, room: Server) -> Iterator[Desk]:
    """One desk for all that only look."""
    me = Desk(browser, room, "radiologist")
    yield me
    me.close()


@pytest.fixture
def reader(seat: Desk, room: Server) -> Desk:
    """At the study with a prior, having looked, without a map."""
    if uid_of(room.bleed) not in seat.tab.url or seat.tab.locator(f"{MAPS}[aria-pressed=true]").count():
        seat.study(room.bleed)
        seat.looked()
    return seat


@pytest.fixture
def shown(seat: Desk, room: Server) -> Desk:
    """The same with the map on."""
    if uid_of(room.bleed) not in seat.tab.url or not seat.tab.locator(f"{MAPS}[aria-pressed=true]").count():
        seat.study(room.bleed)
        seat.looked()
        seat.toggle(on=True)
    return seat
