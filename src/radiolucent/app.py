"""The composition root: settings become a store, engines, routes and destinations; a gateway and its workers run.

A gateway is one process group: this process listens, decides and serves pages; its children read and deliver. Each may
be killed at any time; whoever starts next goes on from the rows.
"""

from __future__ import annotations

import fcntl
import logging
import multiprocessing
import os
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.context import SpawnProcess
from pathlib import Path
from types import FrameType
from typing import IO, Final

from radiolucent import __version__, logs
from radiolucent.engines.registry import Bundle
from radiolucent.engines.runtime import load_engine
from radiolucent.errors import SetupError
from radiolucent.findings.operating_points import load_operating_points
from radiolucent.findings.profile import Profile, default_profile, site_profile
from radiolucent.ingest import assembly
from radiolucent.ingest.listener import Listener, Terms, tls_context
from radiolucent.ingest.spool import Spool
from radiolucent.pipeline import workflows
from radiolucent.pipeline.coordinating import Coordinator, Patience
from radiolucent.pipeline.delivering import Dispatch, Place
from radiolucent.pipeline.places import place
from radiolucent.pipeline.read_path import choose_bundles
from radiolucent.pipeline.read_study import Options
from radiolucent.pipeline.receiving import StoreReceiver, start_receiving
from radiolucent.pipeline.retention import Limits, keep_limits, remove_orphans
from radiolucent.pipeline.revisions import Bench
from radiolucent.pipeline.routing import Route, check_routes
from radiolucent.settings import DestinationSettings, Settings
from radiolucent.store.archive import Archive
from radiolucent.store.unit_of_work import Store, default_url, open_store
from radiolucent.store.workers import Workers

LOG: Final = logging.getLogger(__name__)
HEARTBEAT_S: Final = 2.0
TURN_S: Final = 0.5
SHORTEST_TURN_S: Final = 0.1
SWEEP_S: Final = 5.0
RETENTION_S: Final = 600.0
RESTART_S: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What settings are made into; the same in the gateway and in each worker."""

    settings: Settings
    store: Store
    archive: Archive
    routes: tuple[Route, ...]
    bundles: tuple[Bundle, ...]
    places: Mapping[str, Place]
    database: str
    options: Options

    @property
    def engine_digests(self) -> dict[str, str]:
        """Digest of each engine by name and by ``name@version``."""
        named = {bundle.manifest.name: bundle.digest for bundle in self.bundles}
        return named | {bundle.label: bundle.digest for bundle in self.bundles}

    @property
    def profile(self) -> Profile:
        """What the site may use each finding for."""
        return self.options.profile or default_profile()

    def coordinator(self, queue: workflows.Queue) -> Coordinator:
        """Of this store."""
        patience, work = self.settings.assembly, self.settings.work
        return Coordinator(
            store=self.store,
            queues=queue,
            routes=self.routes,
            engine_digests=self.engine_digests,
            compare_with_priors=work.compare_with_priors,
            patience=Patience(
                assembly=assembly.Patience(
                    quiet_s=patience.quiet_s,
                    partial_quiet_s=patience.partial_quiet_s,
                    longest_wait_s=patience.longest_wait_s,
                ),
                dead_after_s=work.dead_after_s,
            ),
        )


def compose(settings: Settings) -> Parts:
    """Make the parts, and say now whatever would go wrong later.

    Raises
    ------
    SetupError
        If a route names what isn't there, the database can't be reached, or a file of the settings is missing.
    EngineError
        If an engine's bundle is broken.
    """
    folder = settings.data_folder.resolve()
    bundles = tuple(choose_bundles(settings.work.engines))
    places = {one.name: _place(one) for one in settings.destinations}
    routes = _routes(settings)
    labels = [name for bundle in bundles for name in (bundle.manifest.name, bundle.label)]
    check_routes(routes, engines=labels, destinations=places)
    options = _options(settings, bundles)
    url = settings.database_url.get_secret_value()
    return Parts(
        settings=settings,
        store=open_store(url, folder),
        archive=Archive(root=folder, watermark_bytes=settings.archive.watermark_mib << 20),
        routes=routes,
        bundles=bundles,
        places=places,
        database=workflows.system_database(url or default_url(folder), folder),
        options=options,
    )


@dataclass(frozen=True, kw_only=True)
class Gateway:
    """A running gateway.

    Parameters
    ----------
    listening : ``AE_TITLE@HOST:PORT`` of the DICOM listener, or empty.
    changed : set to have the coordinator look at once.
    """

    parts: Parts
    coordinator: Coordinator
    receiver: StoreReceiver
    listening: str
    changed: threading.Event = field(default_factory=threading.Event)


@contextmanager
def gateway(settings: Settings) -> Iterator[Gateway]:
    """Run a gateway and its workers for as long as the block lasts.

    Raises
    ------
    SetupError
        If the settings don't fit, the port is taken, or another gateway uses the data folder.
    """
    with _alone(settings.data_folder):
        parts = compose(settings)
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
        coordinator = parts.coordinator(queue)
        with _listening(settings, receiver, parts.archive) as address:
            threads = [
                threading.Thread(target=_turns, args=(coordinator, changed, stopping), name="coordinator"),
                threading.Thread(target=_housekeeping, args=(parts, coordinator, stopping), name="housekeeping"),
                threading.Thread(target=_workers, args=(settings, stopping), name="workers"),
            ]
            for thread in threads:
                thread.start()
            try:
                yield Gateway(
                    parts=parts, coordinator=coordinator, receiver=receiver, listening=address, changed=changed
                )
            finally:
                stopping.set()
                changed.set()
                for thread in threads:
                    thread.join()
        queue.close()
        parts.store.close()


def run_worker(settings: Settings, name: str, parent: int | None = None) -> None:
    """Work until SIGTERM, or until the parent process is gone: read studies, deliver results.

    Raises
    ------
    SetupError
        If the settings don't fit.
    """
    logs.set_up(settings.log_level, settings.log_format)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda _signal, _frame: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parts = compose(settings)
    engines = [load_engine(bundle, threads=settings.work.threads) for bundle in parts.bundles]
    with parts.store.begin() as work:
        Workers(work).alive(
            name, host=socket.gethostname(), pid=os.getpid(), role="worker", version=__version__, at=_now()
        )
    bench = Bench(
        store=parts.store,
        engines=engines,
        routes=parts.routes,
        worker=name,
        options=parts.options,
        viewer_url=settings.web.viewer_url,
        pdf=settings.work.insight_pdf,
    )
    tools = workflows.Tools(bench=bench, dispatch=Dispatch(store=parts.store, places=parts.places))
    workflows.launch(
        tools, database=parts.database, executor_id=name, deliveries_at_once=settings.work.deliveries_at_once
    )
    LOG.info("worker %s is ready: %s", name, ", ".join(bundle.label for bundle in parts.bundles) or "no engine")
    while not stopping.wait(HEARTBEAT_S):
        if parent is not None and os.getppid() != parent:
            LOG.warning("the gateway is gone: worker %s stops", name)
            os._exit(1)
        with parts.store.begin() as work:
            mine = Workers(work).heartbeat(name, pid=os.getpid(), at=_now())
        if not mine:
            LOG.warning("another process works as %s: this one stops", name)
            os._exit(1)
    workflows.stop()
    with parts.store.begin() as work:
        Workers(work).stopped(name)
    parts.store.close()


def worker_name(number: int) -> str:
    """Stable from start to start, so that a worker takes up what it left."""
    return f"{socket.gethostname()}/worker-{number}"


def _now() -> datetime:
    return datetime.now(UTC)


def _routes(settings: Settings) -> tuple[Route, ...]:
    everywhere = tuple(one.name for one in settings.destinations)
    if not settings.routes:
        return (Route(name="everything", destinations=everywhere),)
    return tuple(Route(**one.model_dump()) for one in settings.routes)


def _options(settings: Settings, bundles: tuple[Bundle, ...]) -> Options:
    work = settings.work
    options = Options(
        phantom_findings=work.phantom_findings,
        operating_points=load_operating_points(work.thresholds) if work.thresholds else None,
        profile=site_profile(work.profile) if work.profile else default_profile(),
    )
    for bundle in bundles:
        options.thresholds(bundle)
    return options


def _place(one: DestinationSettings) -> Place:
    return place(**one.model_dump(exclude={"token", "tls"}), token=one.token.get_secret_value(), tls=_client_tls(one))


def _client_tls(one: DestinationSettings) -> ssl.SSLContext | None:
    if not one.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=one.tls_ca)
        if one.tls_certificate:
            context.load_cert_chain(one.tls_certificate, one.tls_key)
    except OSError as error:
        raise SetupError(f"destination {one.name}: its TLS files can't be read: {error}") from error
    return context


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
def _listening(settings: Settings, receiver: StoreReceiver, archive: Archive) -> Iterator[str]:
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
        Spool(archive.incoming, minimum_free_bytes=archive.watermark_bytes),
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


def _turns(coordinator: Coordinator, changed: threading.Event, stopping: threading.Event) -> None:
    """Look whenever something changed, and twice a second, because quiet periods end by themselves."""
    while not stopping.is_set():
        changed.clear()
        _survive(coordinator.turn)
        stopping.wait(SHORTEST_TURN_S)
        changed.wait(TURN_S)


def _housekeeping(parts: Parts, coordinator: Coordinator, stopping: threading.Event) -> None:
    limits = Limits(
        maximum_bytes=int(parts.settings.archive.maximum_gib * 2**30), maximum_days=parts.settings.archive.maximum_days
    )
    until_retention = 0.0
    while not stopping.is_set():
        _survive(coordinator.sweep)
        if until_retention <= 0:
            _survive(lambda: keep_limits(parts.store, parts.archive, limits, at=_now()))
            _survive(lambda: remove_orphans(parts.store, parts.archive, at=_now()))
            until_retention = RETENTION_S
        stopping.wait(SWEEP_S)
        until_retention -= SWEEP_S


def _survive(step: Callable[[], object]) -> None:
    """One failure (a database that is away) must not end the thread that would go on when it is back."""
    try:
        step()
    except Exception as error:
        LOG.exception("%s: the next turn tries again", type(error).__name__)


def _workers(settings: Settings, stopping: threading.Event) -> None:
    """Keep the workers alive: who dies is started again under the same name, after a pause."""
    context = multiprocessing.get_context("spawn")

    def start(number: int) -> SpawnProcess:
        name = worker_name(number)
        process = context.Process(target=run_worker, args=(settings, name, os.getpid()), name=f"worker-{number}")
        process.start()
        return process

    running = {number: start(number) for number in range(settings.work.workers)}
    while not stopping.wait(RESTART_S):
        for number, process in running.items():
            if not process.is_alive():
                LOG.error("worker %d ended (%s): started again", number, process.exitcode)
                running[number] = start(number)
    for process in running.values():
        process.terminate()
    for process in running.values():
        process.join(40)
        if process.is_alive():
            process.kill()
            process.join()


def wait_for_signal() -> None:
    """Block until SIGTERM or SIGINT."""
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    stopping.wait()
