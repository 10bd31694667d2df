"""Worker processes: they read studies and deliver results; who dies is started again under the same name."""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import threading
from datetime import UTC, datetime
from multiprocessing.context import SpawnProcess
from typing import Final

from radiolucent import __version__, logs
from radiolucent.app.parts import compose
from radiolucent.app.thresholds import kept_rules
from radiolucent.engines.runtime import load_engine
from radiolucent.pipeline import workflows
from radiolucent.pipeline.delivering import Dispatch
from radiolucent.pipeline.notifying import Mailroom
from radiolucent.pipeline.revisions import Bench
from radiolucent.settings import Settings
from radiolucent.store.unit_of_work import Store
from radiolucent.store.workers import Workers

LOG: Final = logging.getLogger(__name__)
HEARTBEAT_S: Final = 2.0
RESTART_S: Final = 1.0


def run_worker(settings: Settings, name: str, parent: int | None = None) -> None:
    """Work until SIGTERM, or until the parent process is gone: read studies, deliver results.

    Parameters
    ----------
    name : no other living worker of this database has it; one that had it before left its work to this one.
    parent : process that starts it again when it dies; None for a worker that was started by itself.

    Raises
    ------
    SetupError
        If the settings don't fit.
    """
    logs.set_up(settings.log_level, settings.log_format)
    stopping = threading.Event()
    signal.signal(signal.SIGTERM, lambda _signal, _frame: stopping.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN if parent else lambda _signal, _frame: stopping.set())
    parts = compose(settings)
    rules = kept_rules(parts.store)
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
        wording=parts.wording,
        early=parts.early,
        alerts=parts.alerts,
        pdf=settings.work.insight_pdf,
    )
    tools = workflows.Tools(
        bench=bench,
        dispatch=Dispatch(store=parts.store, places=parts.places, wording=parts.wording),
        mailroom=Mailroom(store=parts.store, rules=parts.alerts),
    )
    workflows.launch(
        tools, database=parts.database, executor_id=name, deliveries_at_once=settings.work.deliveries_at_once
    )
    LOG.info("worker %s is ready: %s", name, ", ".join(bundle.label for bundle in parts.bundles) or "no engine")
    while not stopping.wait(HEARTBEAT_S):
        if parent is not None and os.getppid() != parent:
            LOG.warning("the gateway is gone: worker %s stops", name)
            os._exit(1)
        if not _beat(parts.store, name):
            LOG.warning("another process works as %s: this one stops", name)
            os._exit(1)
        if rules_changed(parts.store, rules):
            LOG.warning("the site's thresholds or profile changed: worker %s starts anew with them", name)
            break
    workflows.stop()
    with parts.store.begin() as work:
        Workers(work).stopped(name)
    parts.store.close()


def _beat(store: Store, name: str) -> bool:
    """Say that this worker is alive; False where another process has its name."""
    try:
        with store.begin() as work:
            return Workers(work).heartbeat(name, pid=os.getpid(), at=_now())
    except Exception as error:  # noqa: BLE001 - what it has in hand goes on; the next beat tries again
        LOG.warning("worker %s can't reach the database: %s", name, type(error).__name__)
        return True


def rules_changed(store: Store, known: str) -> bool:
    """Whether the administration set thresholds or uses anew; a database that is away has changed nothing."""
    try:
        return kept_rules(store) != known
    except Exception as error:  # noqa: BLE001 - what is in hand goes on; the next beat asks again
        LOG.warning("the site's rules can't be asked for: %s", type(error).__name__)
        return False


def worker_name(number: int) -> str:
    """Stable from start to start, so that a worker takes up what it left."""
    return f"{socket.gethostname()}/worker-{number}"


def keep_workers(settings: Settings, stopping: threading.Event) -> None:
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


def _now() -> datetime:
    return datetime.now(UTC)
