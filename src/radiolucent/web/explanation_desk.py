"""Explanations that readers ask for: one worker makes them in turn, with progress, time left, cancel and a cache."""

from __future__ import annotations

import logging
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Final, Literal

from radiolucent.engines.bundle import Bundle
from radiolucent.engines.runtime import Engine, load_engine
from radiolucent.errors import RadiolucentError, SetupError
from radiolucent.explain.cache import ExplanationCache
from radiolucent.explain.explanation import METHODS, Explanation, Method
from radiolucent.explain.methods import Budget
from radiolucent.findings.reading import EngineRef
from radiolucent.imaging.study import Stack
from radiolucent.pipeline.explain import explain

LOG: Final = logging.getLogger(__name__)
State = Literal["waiting", "running", "done", "failed", "stopped"]
OPEN: Final = ("waiting", "running")
PRIMARY: Final = "grad-cam"
"""The map that every reading has; not asked for here."""
LONGEST_S: Final = 300.0
MOST_WAITING: Final = 8
KEPT: Final = 200
_NEEDS: Final = {"torch": ("torch",), "explain": ("shap", "lime")}


class Busy(SetupError):
    """Somebody's explanation is still being made: wait for it, or stop it."""


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is asked for: one finding of one frame of one series, by one method.

    Parameters
    ----------
    reader : account name.
    result_id : the reading that it belongs to.
    pass_ms : what one pass of this engine took when the study was read; the first guess of the time left.
    """

    reader: str
    result_id: str
    series: str
    finding: str
    method: str
    frame: int
    engine: EngineRef
    pass_ms: float


@dataclass(kw_only=True)
class Job:
    """A wish on its way; changed by the worker alone, but for `cancelled`."""

    id: str
    wish: Wish
    state: State = "waiting"
    done: int = 0
    total: int = 0
    reason: str = ""
    began: float = 0.0
    explanation: Explanation | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)

    def seconds_left(self, *, now: float) -> float | None:
        """By the passes that are done, before them by the reading's own time a pass; None where nothing is known."""
        if self.state not in OPEN or not self.total:
            return None
        left = max(0, self.total - self.done)
        if self.state == "running" and self.done:
            return left * (now - self.began) / self.done
        return left * self.wish.pass_ms / 1000 if self.wish.pass_ms else None


class Desk:
    """Takes wishes and makes them, one at a time; each reader has at most one on its way.

    Parameters
    ----------
    engine_of : the running engine of a reference.
    cache : folder of maps made before; they are found by all that went into them.
    """

    def __init__(self, engine_of: Callable[[EngineRef], Engine], cache: Path) -> None:
        self._engine_of, self._cache = engine_of, cache
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="explanations")

    def ask(self, wish: Wish, stack: Stack) -> Job:
        """Take a wish; it is made as soon as those before it are.

        Raises
        ------
        Busy
            If this reader has one on its way, or too many wait.
        SetupError
            If the method is unknown, is the reading's own, or needs what isn't installed.
        """
        offered = {method.key: reason for method, reason in offers()}
        if wish.method not in offered:
            raise SetupError(f"no method {wish.method!r} can be asked for; there are {', '.join(offered)}")
        if offered[wish.method]:
            raise SetupError(offered[wish.method])
        job = Job(id=uuid.uuid4().hex, wish=wish, total=max(1, METHODS[wish.method].passes))
        with self._lock:
            waiting = [one for one in self._jobs.values() if one.state in OPEN]
            if any(one.wish.reader == wish.reader for one in waiting):
                raise Busy("one explanation at a time: wait for yours, or stop it")
            if len(waiting) >= MOST_WAITING:
                raise Busy("too many explanations wait: try again in a minute")
            self._jobs[job.id] = job
            while len(self._jobs) > KEPT:
                self._jobs.popitem(last=False)
        self._worker.submit(self._make, job, stack)
        return job

    def find(self, identity: str, reader: str) -> Job | None:
        """A reader's own job."""
        job = self._jobs.get(identity)
        return job if job is not None and job.wish.reader == reader else None

    def finished(self, result_id: str, reader: str) -> list[Job]:
        """What this reader has got for one reading, oldest first."""
        return [
            one
            for one in list(self._jobs.values())
            if one.state == "done" and one.wish.result_id == result_id and one.wish.reader == reader
        ]

    def again(
        self, engine: EngineRef, stack: Stack, finding: str, method: str, *, frame: int, seed: int, inputs: str
    ) -> Explanation:
        """A map that was made before: from the cache, or made anew on the spot.

        Raises
        ------
        SetupError
            If its engine or method is gone.
        """
        kept = ExplanationCache(self._cache).get(inputs)
        if kept is not None:
            return replace(kept, frame=frame)
        return explain(self._engine_of(engine), stack, finding, method, frame=frame, seed=seed)

    def close(self) -> None:
        """Stop what runs and take nothing more."""
        for job in list(self._jobs.values()):
            job.cancelled.set()
        self._worker.shutdown(wait=True, cancel_futures=True)

    def _make(self, job: Job, stack: Stack) -> None:
        job.began = perf_counter()
        if job.cancelled.is_set():
            job.state = "stopped"
            return
        job.state = "running"

        def progress(_: str, done: int, total: int) -> None:
            job.done, job.total = done, total

        budget = Budget(limit_s=LONGEST_S, progress=progress, cancel=job.cancelled.is_set)
        wish = job.wish
        try:
            job.explanation = explain(
                self._engine_of(wish.engine),
                stack,
                wish.finding,
                wish.method,
                frame=wish.frame,
                budget=budget,
                cache=self._cache,
            )
            job.done, job.state = job.total, "done"
        except RadiolucentError as error:
            job.reason = str(error)
            job.state = "stopped" if job.cancelled.is_set() else "failed"
        except Exception as error:
            LOG.exception("%s failed: the worker goes on", wish.method)
            job.reason = f"{type(error).__name__}: the method can't explain this engine"
            job.state = "failed"


def offers() -> list[tuple[Method, str]]:
    """Every other method, and why it can't be had here; empty where it can."""
    return [(method, _missing(method)) for key, method in METHODS.items() if key != PRIMARY]


def running(engines: Sequence[Engine]) -> Callable[[EngineRef], Engine]:
    """Engines that run already, by what a reading calls them."""
    return _by_digest({engine.bundle.digest: engine for engine in engines}.get)


def loading(bundles: Sequence[Bundle]) -> Callable[[EngineRef], Engine]:
    """Engines that are loaded the first time they are asked for, on one thread: reading goes first."""
    known, lock = {bundle.digest: bundle for bundle in bundles}, threading.Lock()
    loaded: dict[str, Engine] = {}

    def of(digest: str) -> Engine | None:
        with lock:
            if digest not in loaded and digest in known:
                loaded[digest] = load_engine(known[digest], threads=1)
            return loaded.get(digest)

    return _by_digest(of)


def _by_digest(of: Callable[[str], Engine | None]) -> Callable[[EngineRef], Engine]:
    def engine_of(reference: EngineRef) -> Engine:
        found = of(reference.digest)
        if found is None:
            raise SetupError(f"{reference.label} isn't installed any more: read the study again, then ask")
        return found

    return engine_of


def _missing(method: Method) -> str:
    absent = [name for name in _NEEDS.get(method.extra, ()) if find_spec(name) is None]
    wanted = [name for name in absent if method.extra != "explain" or name == method.key]
    return f"{method.title} needs the '{method.extra}' extra, which isn't installed here" if wanted else ""
