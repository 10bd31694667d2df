"""The ways in beside the listener, each in a thread of its own that survives its failures and tells of them.

What a thread does at each turn is a `Step`; what fails is logged once, tried again later and later, and stands in the
rows until it works again (``radiolucent study list``).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from radiolucent.errors import RadiolucentError
from radiolucent.store.unit_of_work import Store
from radiolucent.store.ways import Fetches, Ways

LOG: Final = logging.getLogger(__name__)
LONGEST_WAIT_S: Final = 300.0
TELL_EVERY_S: Final = 30.0
END_WITHIN_S: Final = 10.0


@dataclass(frozen=True, kw_only=True)
class Done:
    """What one turn did: objects taken, and what went wrong without ending it (empty where nothing did).

    Parameters
    ----------
    idle : there was nothing to do, so that nothing is known of whether it would have worked.
    """

    taken: int = 0
    trouble: str = ""
    idle: bool = False


@dataclass(frozen=True, kw_only=True)
class Step:
    """Something that is done again and again.

    Parameters
    ----------
    name : for rows and logs.
    turn : one turn; whatever it raises is a failure of this way alone.
    every_s : between two turns; after failures it doubles, up to `LONGEST_WAIT_S`.
    """

    name: str
    turn: Callable[[], Done]
    every_s: float


def start_ways(store: Store, steps: Iterable[Step], stopping: threading.Event) -> list[threading.Thread]:
    """One running thread for each step; they end once `stopping` is set."""
    chosen = list(steps)
    with store.begin() as work:
        Ways(work).begin([step.name for step in chosen])
        Fetches(work).interrupted()
    threads = [
        threading.Thread(target=_run, args=(store, step, stopping), name=step.name, daemon=True) for step in chosen
    ]
    for thread in threads:
        thread.start()
    return threads


def end_ways(threads: Iterable[threading.Thread]) -> None:
    """Wait a while for them to end. One that waits for a peer ends with the process: the rows know how far it was."""
    until = time.monotonic() + END_WITHIN_S
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))


def _run(store: Store, step: Step, stopping: threading.Event) -> None:
    failures, taken, told_at = 0, 0, 0.0
    while not stopping.is_set():
        done = _turn(step)
        if done.idle and failures:
            stopping.wait(step.every_s)
            continue
        works_again = failures > 0 and not done.trouble
        failures = failures + 1 if done.trouble else 0
        taken += done.taken
        wait_s = min(step.every_s * 2 ** min(failures, 16), max(LONGEST_WAIT_S, step.every_s))
        due = done.trouble or taken or works_again or time.monotonic() - told_at >= TELL_EVERY_S
        if due and _tell(store, step.name, done.trouble, taken=taken, wait_s=wait_s, first=failures == 1):
            told_at, taken = time.monotonic(), 0
        stopping.wait(wait_s)


def _turn(step: Step) -> Done:
    try:
        return step.turn()
    except RadiolucentError as error:
        return Done(trouble=str(error))
    except Exception as error:
        LOG.exception("%s: %s", step.name, type(error).__name__)
        return Done(trouble=f"{type(error).__name__}: see the log")


def _tell(store: Store, name: str, reason: str, *, taken: int, wait_s: float, first: bool) -> bool:
    """Write the state down; a database that is away must not end the thread that goes on when it is back."""
    if first:
        LOG.warning("%s fails: %s", name, reason)
    at = datetime.now(UTC)
    try:
        with store.begin() as work:
            if reason:
                Ways(work).fails(name, reason, at=at, next_at=at + timedelta(seconds=wait_s))
            else:
                Ways(work).works(name, taken=taken, at=at)
    except Exception as error:  # noqa: BLE001 - whatever the database says, the way goes on
        LOG.error("%s: its state can't be written down (%s)", name, type(error).__name__)
        return False
    return True
