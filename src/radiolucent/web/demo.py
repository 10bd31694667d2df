"""The reading room of the demo: synthetic studies, one account of each role, everything on this machine alone."""

from __future__ import annotations

import socket
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import uvicorn
from fastapi import FastAPI

from radiolucent.audit.events import AccountChanged, PhaseChanged, TrainingGranted
from radiolucent.engines.runtime import Engine
from radiolucent.pipeline.alerting import AlertRules, raise_alerts
from radiolucent.pipeline.output import write_readings
from radiolucent.pipeline.read_path import read_path
from radiolucent.pipeline.read_study import engine_ref
from radiolucent.pipeline.retention import EXPLANATIONS, forget_explanations
from radiolucent.store.audit import AuditTrail
from radiolucent.store.people import People
from radiolucent.store.site import Site
from radiolucent.store.unit_of_work import Store, open_store
from radiolucent.web.access import Premises, Reader
from radiolucent.web.explanation_desk import Desk, running
from radiolucent.web.server import create_app
from radiolucent.web.sources import FolderSource
from radiolucent.web.training import let_through

PASSWORD: Final = "phantom studies"  # synthetic studies on the own machine: printed, not secret
ACCOUNTS: Final = (
    ("radiologist", "radiologist"),
    ("lead", "lead"),
    ("resident", "resident"),
    ("viewer", "viewer"),
    ("validator", "validator"),
    ("auditor", "auditor"),
    ("admin", "admin"),
)
UNTRAINED: Final = ("resident",)
"""So that the gate can be seen too."""


def demo_app(folder: Path, engines: Sequence[Engine], *, now: datetime | None = None) -> FastAPI:
    """The app over a folder that `pipeline.demo.run_demo` filled; its rows lie in ``folder/.room``."""
    now = now or datetime.now(UTC)
    store = open_store("", folder / ".room")
    premises = Premises(
        store=store,
        source=FolderSource(folder),
        engines=tuple(engine_ref(engine.bundle) for engine in engines),
        limits={engine.bundle.manifest.label: tuple(engine.bundle.manifest.scope.limits) for engine in engines},
        read=reader_of(engines),
        uploads=folder,
        bundles=tuple(engine.bundle for engine in engines),
        desk=Desk(running(engines), store.folder / EXPLANATIONS),
        demo_accounts=tuple((name, PASSWORD, role) for name, role in ACCOUNTS),
    )
    _furnish(store, premises, now)
    forget_explanations(store, at=now)
    return create_app(premises)


def reader_of(engines: Sequence[Engine]) -> Reader:
    """Reads what lies under a path into a new folder, by the route of every study."""

    def read(path: Path, folder: Path, progress: Callable[[str, int, int], None]) -> None:
        result = read_path(path, engines, progress=progress)
        write_readings(result, folder, made_at=datetime.now(UTC), progress=progress)

    return read


def _furnish(store: Store, premises: Premises, now: datetime) -> None:
    with store.begin() as work:
        people, trail, site = People(work), AuditTrail(work), Site(work)
        for name, role in ACCOUNTS:
            if people.get(name) is not None:
                continue
            people.add(name, role=role, password=PASSWORD, now=now, display_name=f"Demo {role}")
            trail.append(AccountChanged(at=now, account=name, change=f"made with role {role}, for the demo"))
            if name not in UNTRAINED:
                let_through(premises, work, name, granted_by="system", reason="demo")
                trail.append(TrainingGranted(at=now, account=name, reason="demo"))
        for engine in premises.engines:
            if engine.name not in site.phases():
                site.set_phase(engine.name, "routine", now=now)
                trail.append(PhaseChanged(at=now, engine=engine.name, before="shadow", after="routine", reason="demo"))
        for one in premises.source.every():
            if one.reading is not None:
                raise_alerts(work, one.reading, one.revision, AlertRules(), at=now)


def listen(port: int = 0, *, host: str = "127.0.0.1") -> socket.socket:
    """A socket on this machine alone unless told otherwise; port 0 takes a free one."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock


def serve(app: FastAPI, sock: socket.socket) -> None:
    """Answer on this socket until Ctrl-C."""
    config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, ws="none")
    try:
        uvicorn.Server(config).run(sockets=[sock])
    finally:
        if app.state.premises.desk is not None:
            app.state.premises.desk.close()
