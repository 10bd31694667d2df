"""A reading room over two phantom studies that an engine without a network has read, and a browser of each role."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2 as httpx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from radiolucent.findings.profile import default_profile
from radiolucent.phantom.studies import make_study
from radiolucent.pipeline.demo import CASES, run_demo
from radiolucent.store.audit import AuditTrail, Filter
from radiolucent.store.people import People
from radiolucent.store.site import Site
from radiolucent.store.unit_of_work import Store, open_store
from radiolucent.web.access import COOKIE, Premises
from radiolucent.web.demo import demo_app, reader_of
from radiolucent.web.server import create_app

NOW = datetime.now(UTC)


@dataclass
class Clock:
    """A clock that a test sets."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **by: float) -> None:
        self.now += timedelta(**by)


class Room:
    """The app with its store, and what tests ask of it."""

    def __init__(self, premises: Premises, clock: Clock) -> None:
        self.premises, self.clock = premises, clock
        self.app: FastAPI = create_app(premises)
        self.store: Store = premises.store

    def browser(self, name: str = "") -> Browser:
        """Logged in as this account (the demo's accounts are named after their roles)."""
        client = TestClient(self.app, follow_redirects=False)
        csrf = ""
        if name:
            with self.store.begin() as work:
                secret = People(work).open_session(name, now=self.clock())
                session = People(work).session(secret, now=self.clock())
            assert session is not None
            client.cookies.set(COOKIE, secret)
            csrf = session.csrf
        return Browser(client, csrf)

    def set(self, name: str, value: str) -> None:
        with self.store.begin() as work:
            Site(work).set(name, value)

    def phase(self, phase: str, engine: str = "bright-spots") -> None:
        with self.store.begin() as work:
            Site(work).set_phase(engine, phase, now=self.clock())

    def events(self, kind: str = "") -> list[Any]:
        with self.store.read() as work:
            return [one.event for one in AuditTrail(work).find(Filter(kind=kind), limit=1000)]


class Browser:
    """A client that sends the form token by itself."""

    def __init__(self, client: TestClient, csrf: str) -> None:
        self.client, self.csrf = client, csrf

    def get(self, address: str, **options: Any) -> httpx.Response:
        return self.client.get(address, **options)

    def post(self, address: str, data: dict[str, Any] | None = None, **options: Any) -> httpx.Response:
        return self.client.post(address, data={"csrf": self.csrf} | (data or {}), **options)


@pytest.fixture(scope="session")
def furniture(tmp_path_factory: pytest.TempPathFactory, bright_spots: Callable[..., Any]) -> Path:
    """The demo's folder: read once, and nobody's to change."""
    folder = tmp_path_factory.mktemp("room") / "demo"
    engine: Any = bright_spots()
    cases = [replace(case, name=case.name) for case in CASES if case.name in ("glioma", "clean")]
    run_demo(folder, [engine], made_at=NOW, cases=cases)
    app = demo_app(folder, [engine], now=NOW)
    app.state.premises.store.close()
    return folder


@pytest.fixture
def furnished(furniture: Path, tmp_path: Path) -> Path:
    """The demo's folder for one test: what it uploads is its own, the files themselves are shared."""
    folder = tmp_path / "demo"
    shutil.copytree(furniture, folder, copy_function=os.link, ignore=shutil.ignore_patterns(".room"))
    return folder


@pytest.fixture
def room(furniture: Path, furnished: Path, tmp_path: Path, bright_spots: Callable[..., Any]) -> Iterator[Room]:
    shutil.copytree(furniture / ".room", tmp_path / "room")
    store, clock = open_store("", tmp_path / "room"), Clock()
    with store.begin() as work:
        People(work).add("sender", role="sender", password="", now=NOW)
    engine: Any = bright_spots()
    made = demo_premises(store, furnished, engine, clock)
    yield Room(made, clock)
    store.close()


def demo_premises(store: Store, folder: Path, engine: Any, clock: Clock) -> Premises:
    from radiolucent.pipeline.read_study import engine_ref
    from radiolucent.web.sources import FolderSource

    return Premises(
        store=store,
        source=FolderSource(folder),
        engines=(engine_ref(engine.bundle),),
        limits={"bright-spots@1.2.3": ("finds what is bright",)},
        read=reader_of([engine]),
        uploads=folder,
        profile=default_profile(),
        clock=clock,
    )


@pytest.fixture(scope="session")
def study(furniture: Path) -> str:
    """Study Instance UID of the one with a finding."""
    return str(make_study("brain-mr", ("glioma",), seed=11).datasets[0].StudyInstanceUID)
