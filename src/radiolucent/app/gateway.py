"""The gateway process: it listens, decides and serves pages, alone in its data folder; its children read and deliver.

Each process may be killed at any time; whoever starts next goes on from the rows.
"""

from __future__ import annotations

import fcntl
import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import IO, Final

from radiolucent.app.housekeeping import keep_house, take_turns
from radiolucent.app.incoming import steps_in
from radiolucent.app.parts import Parts, compose
from radiolucent.app.ways import end_ways, start_ways
from radiolucent.app.workers import keep_workers
from radiolucent.errors import SetupError
from radiolucent.ingest.dicomweb import Door
from radiolucent.ingest.listener import Listener, Terms, tls_context
from radiolucent.ingest.spool import Spool
from radiolucent.pipeline import workflows
from radiolucent.pipeline.coordinating import Coordinator
from radiolucent.pipeline.receiving import StoreReceiver, start_receiving
from radiolucent.settings import Settings

LOG: Final = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """A running gateway.

    Parameters
    ----------
    listening : ``AE_TITLE@HOST:PORT`` of the DICOM listener, or empty.
    stow : where the web server hands STOW-RS requests to, or None.
    changed : set to have the coordinator look at once.
    """

    parts: Parts
    coordinator: Coordinator
    receiver: StoreReceiver
    listening: str
    stow: Door | None = None
    changed: threading.Event = field(default_factory=threading.Event)


@contextmanager
def gateway(settings: Settings) -> Iterator[Gateway]:
    """Run a gateway and its workers for as long as the block lasts.

    Raises
    ------
    SetupError
        If the settings don't fit, the port is taken, or another gateway uses the data folder or the database.
    """
    with _alone(settings.data_folder), _composed(settings) as parts:
        left, open_ones = start_receiving(parts.store, parts.archive, at=_now())
        if left or open_ones:
            LOG.warning("after an earlier process: %d half-received files removed, %d associations", left, open_ones)
        workflows.prepare(parts.database)
        queue = workflows.Queue(parts.database)
        changed, stopping = threading.Event(), threading.Event()
        receiver = StoreReceiver(
            parts.store,
            parts.archive,
            on_change=changed.set,
            backfill_after_days=settings.work.backfill_after_days,
        )
        spool = Spool(parts.archive.incoming, minimum_free_bytes=parts.archive.watermark_bytes)
        coordinator = parts.coordinator(queue)
        with _listening(settings, receiver, spool) as address:
            threads = [
                threading.Thread(target=take_turns, args=(coordinator, changed, stopping), name="coordinator"),
                threading.Thread(target=keep_house, args=(parts, coordinator, stopping), name="housekeeping"),
                threading.Thread(target=keep_workers, args=(settings, stopping), name="workers"),
            ]
            for thread in threads:
                thread.start()
            ways = start_ways(parts.store, steps_in(parts, coordinator, receiver, spool), stopping)
            try:
                yield Gateway(
                    parts=parts,
                    coordinator=coordinator,
                    receiver=receiver,
                    listening=address,
                    stow=_door(settings, receiver, spool),
                    changed=changed,
                )
            finally:
                stopping.set()
                changed.set()
                end_ways(ways)
                for thread in threads:
                    thread.join()
        queue.close()


def wait_for_signal() -> None:
    """Block until SIGTERM or SIGINT."""
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    stopping.wait()


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the data folder for this gateway alone; the lock ends with the process, however that ends."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock: IO[str] = (folder / "serve.lock").open("w")
    except OSError as error:
        raise SetupError(f"the data folder {folder} can't be written: {error.strerror}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise SetupError(f"another gateway uses {folder}: stop it, or name another data folder") from None
        yield


@contextmanager
def _composed(settings: Settings) -> Iterator[Parts]:
    """The parts, with the database held for this gateway alone."""
    parts = compose(settings)
    with parts.store.alone():
        yield parts
    parts.store.close()


@contextmanager
def _listening(settings: Settings, receiver: StoreReceiver, spool: Spool) -> Iterator[str]:
    chosen = settings.listener
    if not chosen.enabled:
        yield ""
        return
    tls = None
    if chosen.tls_certificate and chosen.tls_key:
        tls = tls_context(chosen.tls_certificate, chosen.tls_key, client_authorities=chosen.tls_client_ca)
    terms = Terms(
        ae_title=chosen.ae_title,
        calling_ae_titles=frozenset(chosen.calling_ae_titles) or None,
        maximum_object_bytes=int(chosen.maximum_object_gib * 2**30),
    )
    listener = Listener(
        receiver,
        spool,
        terms=terms,
        host=chosen.host,
        port=chosen.port,
        maximum_associations=chosen.maximum_associations,
        tls=tls,
    )
    with listener:
        host, port = listener.address
        LOG.info("listening as %s on %s:%d", chosen.ae_title, host, port)
        yield f"{chosen.ae_title}@{host}:{port}"


def _door(settings: Settings, receiver: StoreReceiver, spool: Spool) -> Door | None:
    chosen = settings.stow
    if not chosen.enabled:
        return None
    return Door(
        receiver=receiver,
        spool=spool,
        maximum_part_bytes=int(chosen.maximum_object_gib * 2**30),
        maximum_request_bytes=int(chosen.maximum_request_gib * 2**30),
    )


def _now() -> datetime:
    return datetime.now(UTC)
