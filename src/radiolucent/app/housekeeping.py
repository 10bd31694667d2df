"""What the gateway does by the clock: studies of dead workers, limits of the archive, files without rows."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from radiolucent.app.parts import Parts
from radiolucent.pipeline.coordinating import Coordinator
from radiolucent.pipeline.retention import Limits, forget_explanations, keep_limits, remove_orphans
from radiolucent.store.audit import nightly_anchor
from radiolucent.store.unit_of_work import Store

LOG: Final = logging.getLogger(__name__)
TURN_S: Final = 0.5
SHORTEST_TURN_S: Final = 0.1
SWEEP_S: Final = 5.0
RETENTION_S: Final = 600.0


def take_turns(coordinator: Coordinator, changed: threading.Event, stopping: threading.Event) -> None:
    """Look whenever something changed, and twice a second, because quiet periods end by themselves.

    A site with shorter quiet periods wants its results soon: there it looks that often.
    """
    pause_s = min(TURN_S, max(SHORTEST_TURN_S, coordinator.patience.assembly.quiet_s)) - SHORTEST_TURN_S
    while not stopping.is_set():
        changed.clear()
        survive(coordinator.turn)
        stopping.wait(SHORTEST_TURN_S)
        changed.wait(pause_s)


def keep_house(parts: Parts, coordinator: Coordinator, stopping: threading.Event) -> None:
    """Take over from dead workers every few seconds, and keep the archive within its limits every few minutes."""
    limits = Limits(
        maximum_bytes=int(parts.settings.archive.maximum_gib * 2**30), maximum_days=parts.settings.archive.maximum_days
    )
    until_retention = 0.0
    while not stopping.is_set():
        survive(coordinator.sweep)
        if until_retention <= 0:
            survive(lambda: keep_limits(parts.store, parts.archive, limits, at=_now()))
            survive(lambda: remove_orphans(parts.store, parts.archive, at=_now()))
            survive(lambda: forget_explanations(parts.store, at=_now()))
            survive(lambda: anchor_the_trail(parts.store, at=_now()))
            until_retention = RETENTION_S
        stopping.wait(SWEEP_S)
        until_retention -= SWEEP_S


def anchor_the_trail(store: Store, *, at: datetime) -> None:
    """Once a day: where the audit trail stands, in a file and in the log, which a site keeps on other machines."""
    written = nightly_anchor(store, at=at)
    if written is not None:
        LOG.info("audit anchor %s: %s", written.name, written.read_text(encoding="utf-8").strip())


def survive(step: Callable[[], object]) -> None:
    """One failure (a database that is away) must not end the thread that would go on when it is back."""
    try:
        step()
    except Exception as error:
        LOG.exception("%s: the next turn tries again", type(error).__name__)


def _now() -> datetime:
    return datetime.now(UTC)
