"""The pages of a gateway on a real socket: destinations that answer and don't, queues, and two months of history."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import uvicorn

from radiolucent.store.people import People
from radiolucent.web.demo import listen
from tests.integration.history import write_history
from tests.integration.sites import Site, a_site, phantom


class GatewayRoom:
    """A site that is served; a `Desk` sits down at it as at any other server."""

    def __init__(self, site: Site) -> None:
        self.store = site.parts.store
        sock = listen()
        self.address = f"http://127.0.0.1:{sock.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(site.app, log_level="error", ws="none"))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [sock]}, daemon=True)
        self._thread.start()

    def session(self, name: str) -> str:
        """The cookie of a new session of an account."""
        with self.store.begin() as work:
            return People(work).open_session(name, now=datetime.now(UTC))

    def close(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=20)


@contextmanager
def gateway_room(folder: Path) -> Iterator[GatewayRoom]:
    """A gateway with one study taken in, a node that was asked, and its history."""
    with a_site(folder) as site:
        _, data = phantom(folder / "study")
        (folder / "study.zip").write_bytes(data)
        site.office.take(folder / "study.zip")
        site.post("/admin/nodes/pacs/echo")
        write_history(site.parts.store, now=datetime.now(UTC))
        room = GatewayRoom(site)
        yield room
        room.close()
