"""A gateway's parts with its pages and no worker, a listener to talk to, and browsers of each role."""

from __future__ import annotations

import io
import socket
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from fastapi.testclient import TestClient

from radiolucent.app.office import Office, office_of
from radiolucent.app.parts import compose
from radiolucent.audit.events import Event
from radiolucent.ingest.listener import Listener, Terms
from radiolucent.ingest.spool import Spool
from radiolucent.phantom.studies import make_study
from radiolucent.pipeline.coordinating import Coordinator
from radiolucent.pipeline.read_study import engine_ref
from radiolucent.pipeline.receiving import StoreReceiver
from radiolucent.settings import Settings, load_settings
from radiolucent.store.audit import AuditTrail, Filter
from radiolucent.store.people import People
from radiolucent.store.records import DeliveryRecord, RevisionRecord
from radiolucent.web.access import COOKIE, Premises
from radiolucent.web.server import create_app
from radiolucent.web.sources import StoreSource

ENGINE = "brain-mri"


class NoQueue:
    """A queue that nobody works on: what is begun stays begun."""

    def read(self, revision: RevisionRecord) -> None: ...
    def deliver(self, delivery: DeliveryRecord, *, at: datetime) -> None: ...
    def delivery_states(self, deliveries: Any) -> dict[int, str]:
        return {}

    states = delivery_states

    def take_over(self, alive: Any) -> int:
        return 0


class Site:
    """A gateway's parts with its pages, a browser of each role, and no worker."""

    def __init__(self, settings: Settings) -> None:
        self.settings, self.parts = settings, compose(settings)
        self.parts.archive.prepare()
        self.woken = threading.Event()
        receiver = StoreReceiver(self.parts.store, self.parts.archive)
        self.office: Office = office_of(self.parts, receiver, wake=self.woken.set)
        store = self.parts.store
        self.premises = Premises(
            store=store,
            source=StoreSource(store),
            engines=tuple(engine_ref(one) for one in self.parts.bundles),
            bundles=self.parts.bundles,
            office=self.office,
        )
        self.app = create_app(self.premises)
        with store.begin() as work:
            for role in ("admin", "lead", "radiologist"):
                if People(work).get(role) is None:
                    People(work).add(role, role=role, password="", now=datetime.now(UTC))

    @property
    def coordinator(self) -> Coordinator:
        return self.parts.coordinator(NoQueue())  # type: ignore[arg-type]

    def browser(self, role: str = "admin") -> tuple[TestClient, str]:
        with self.parts.store.begin() as work:
            secret = People(work).open_session(role, now=datetime.now(UTC))
            session = People(work).session(secret, now=datetime.now(UTC))
        assert session is not None
        client = TestClient(self.app, follow_redirects=False)
        client.cookies.set(COOKIE, secret)
        return client, session.csrf

    def post(self, address: str, role: str = "admin", **data: Any) -> Any:
        client, csrf = self.browser(role)
        return client.post(address, data={"csrf": csrf} | data)

    def get(self, address: str, role: str = "admin") -> str:
        return str(self.browser(role)[0].get(address).text)

    def events(self, kind: str) -> list[Event]:
        with self.parts.store.read() as work:
            return [one.event for one in AuditTrail(work).find(Filter(kind=kind))]


@contextmanager
def pacs(folder: Path) -> Iterator[int]:
    """A real listener that is called PACS and knows RADIOLUCENT alone."""

    class Nobody:
        def receive(self, instance: Any) -> Any: ...
        def association_ended(self, association_id: str, *, aborted: bool) -> None: ...

    terms = Terms(ae_title="PACS", calling_ae_titles=frozenset(["RADIOLUCENT"]))
    with Listener(Nobody(), Spool(folder / "spool"), terms=terms, host="127.0.0.1", port=0) as listener:
        yield listener.address[1]


@contextmanager
def a_site(folder: Path) -> Iterator[Site]:
    """A site with destinations that answer, that answer wrongly, and that are away."""
    (folder / "out").mkdir()
    with pacs(folder) as port, socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and nobody listens: whoever calls is refused
        gone: int = nobody.getsockname()[1]
        dimse: dict[str, Any] = {"kind": "cstore", "host": "127.0.0.1", "called_ae": "PACS", "timeout_s": 5}
        destinations = [
            {"name": "drawer", "kind": "folder", "folder": folder / "out"},
            {"name": "lost-drawer", "kind": "folder", "folder": folder / "nowhere"},
            {"name": "pacs", "port": port, **dimse},
            {"name": "other-title", "port": port, **dimse, "called_ae": "OTHER"},
            {"name": "stranger", "port": port, **dimse, "calling_ae": "STRANGER"},
            {"name": "away", "port": gone, **dimse},
            {"name": "ris", "kind": "mllp", "host": "127.0.0.1", "port": port, "timeout_s": 5},
            {"name": "web", "kind": "stow", "url": f"http://127.0.0.1:{gone}/dicom-web", "timeout_s": 5},
        ]
        made = Site(
            load_settings(
                data_folder=folder / "data",
                work={"engines": [ENGINE], "workers": 0},
                archive={"maximum_days": 30, "watermark_mib": 1},
                destinations=destinations,
            )
        )
        yield made
        made.parts.store.close()


_slices = cache(lambda: tuple(make_study("brain-mr", ("glioma",), seed=11).datasets))


def phantom(folder: Path, *, slices: int | None = 2, **header: str) -> tuple[str, bytes]:
    """Slices of a study as a zip, with its Study Instance UID."""
    datasets = deepcopy(_slices()[:slices])
    folder.mkdir()
    for number, dataset in enumerate(datasets):
        for name, value in header.items():
            setattr(dataset, name, value)
        dataset.save_as(folder / f"{number}.dcm", enforce_file_format=True)
    return str(datasets[0].StudyInstanceUID), _zip(folder)


def _zip(folder: Path) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*.dcm")):
            archive.writestr(path.name, path.read_bytes())
    return buffer.getvalue()
