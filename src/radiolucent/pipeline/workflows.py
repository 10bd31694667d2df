"""The durable workflows: one per study revision (read, then owe) and one per try of a delivery; and who may take over.

DBOS keeps each step's end in a database of its own. What a person looks up stands in the store's rows; a step finds in
them what an earlier, killed try of it has done.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from dbos import DBOS, DBOSClient, SetEnqueueOptions, SetWorkflowID

from radiolucent.pipeline.delivering import Dispatch, deliver
from radiolucent.pipeline.revisions import Bench, owe_deliveries, read_revision
from radiolucent.store.records import DeliveryRecord, RevisionRecord

APPLICATION: Final = "radiolucent"
VERSION: Final = "workflows-1"
"""Raised only when a workflow gets other steps: else an upgrade would strand what is under way."""
READINGS: Final = "readings"
DELIVERIES: Final = "deliveries"
POLL_S: Final = 0.1
LOG: Final = logging.getLogger(__name__)
_EPOCH: Final = datetime.fromisoformat("2025-01-01T00:00:00+00:00")
_GRACE_S: Final = {"stat": 0, "live": 2 * 3600, "backfill": 48 * 3600}
"""A study is as urgent as one of the class above that comes this much later: so no class ever starves."""
_SAME_SECOND: Final = 1


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What the workflows of this process work with."""

    bench: Bench
    dispatch: Dispatch


_tools: list[Tools] = []


def queue_priority(priority: str, at: datetime) -> int:
    """Place in the queue, 1 is first: by time, plus what its class yields to the more urgent ones.

    >>> from datetime import timedelta
    >>> early, late = _EPOCH + timedelta(hours=1), _EPOCH + timedelta(hours=2)
    >>> queue_priority("stat", late) < queue_priority("live", early)
    True
    >>> queue_priority("live", _EPOCH) < queue_priority("stat", _EPOCH + timedelta(hours=3))
    True
    """
    seconds = int((at - _EPOCH).total_seconds())
    return max(1, seconds + _GRACE_S.get(priority, _GRACE_S["live"]) + _SAME_SECOND)


def delivery_workflow_id(delivery_id: int, attempt: int) -> str:
    """Each try has its own."""
    return f"deliver/{delivery_id}/{attempt}"


def system_database(url: str, folder: Path) -> str:
    """Where DBOS keeps its steps: in a schema of the store's PostgreSQL, or in a SQLite file beside the store's."""
    if url.startswith("postgresql"):
        return "postgresql://" + url.partition("://")[2]
    return f"sqlite:///{folder.resolve() / 'workflows.sqlite'}"


def launch(
    tools: Tools, *, database: str, executor_id: str, readings_at_once: int = 1, deliveries_at_once: int = 4
) -> None:
    """Begin to work: take up what this name left unfinished, then what the queues hold."""
    _tools[:] = [tools]
    logging.getLogger("dbos").setLevel(logging.WARNING)
    DBOS(config=_config(database, executor_id))
    DBOS.launch()
    for queue, at_once in ((READINGS, readings_at_once), (DELIVERIES, deliveries_at_once)):
        DBOS.register_queue(queue, worker_concurrency=at_once, polling_interval_sec=POLL_S, on_conflict="always_update")


def stop(within_s: int = 30) -> None:
    """Finish what is in hand, for so long, and begin nothing new."""
    DBOS.destroy(workflow_completion_timeout_sec=within_s)


def prepare(database: str) -> None:
    """Make or update DBOS's tables, once, before any process works with them."""
    DBOS(config=_config(database, "prepare"))
    DBOS.launch()
    DBOS.destroy(workflow_completion_timeout_sec=0)


@DBOS.workflow(name="read-revision")
def read_workflow(study_instance_uid: str, number: int) -> str:
    """Read a revision, note what is owed, and begin each delivery as a workflow of its own."""
    state = read_step(study_instance_uid, number)
    for delivery_id, attempt, priority in owe_step(study_instance_uid, number):
        with SetWorkflowID(delivery_workflow_id(delivery_id, attempt)), SetEnqueueOptions(priority=priority):
            DBOS.enqueue_workflow(DELIVERIES, deliver_workflow, delivery_id, attempt)
    return state


@DBOS.workflow(name="deliver")
def deliver_workflow(delivery_id: int, attempt: int) -> str:
    """One try of one delivery."""
    return deliver_step(delivery_id, attempt)


@DBOS.step(name="read")
def read_step(study_instance_uid: str, number: int) -> str:
    """See `pipeline.revisions.read_revision`."""
    return read_revision(_tools[0].bench, study_instance_uid, number)


@DBOS.step(name="owe")
def owe_step(study_instance_uid: str, number: int) -> list[list[int]]:
    """See `pipeline.revisions.owe_deliveries`; each with its place in the queue."""
    bench = _tools[0].bench
    owed = owe_deliveries(bench, study_instance_uid, number)
    place = queue_priority("live", bench.clock())
    return [[delivery_id, attempt, place] for delivery_id, attempt in owed]


@DBOS.step(name="deliver-once")
def deliver_step(delivery_id: int, attempt: int) -> str:
    """See `pipeline.delivering.deliver`."""
    return deliver(_tools[0].dispatch, delivery_id, attempt)


class Queue:
    """The queues as seen from a process that doesn't work on them itself."""

    def __init__(self, database: str) -> None:
        self._client = DBOSClient(system_database_url=database, application_name=APPLICATION)

    def close(self) -> None:
        """Give the connections back."""
        self._client.destroy()

    def read(self, revision: RevisionRecord) -> None:
        """Enqueue a revision; a second time changes nothing."""
        self._client.enqueue(
            {
                "workflow_name": "read-revision",
                "queue_name": READINGS,
                "workflow_id": revision.workflow_id,
                "app_version": VERSION,
                "priority": queue_priority(revision.priority, revision.made_at),
            },
            revision.study_instance_uid,
            revision.number,
        )

    def deliver(self, delivery: DeliveryRecord, *, at: datetime) -> None:
        """Enqueue the next try of a delivery; a second time changes nothing."""
        self._client.enqueue(
            {
                "workflow_name": "deliver",
                "queue_name": DELIVERIES,
                "workflow_id": delivery_workflow_id(delivery.id, delivery.attempts + 1),
                "app_version": VERSION,
                "priority": queue_priority("live", at),
            },
            delivery.id,
            delivery.attempts + 1,
        )

    def states(self, workflow_ids: Iterable[str]) -> dict[str, str]:
        """State of each workflow that DBOS knows: PENDING, ENQUEUED, SUCCESS, ERROR, …"""
        wanted = list(workflow_ids)
        if not wanted:
            return {}
        found = self._client.list_workflows(workflow_ids=wanted, load_input=False, load_output=False)
        return {one.workflow_id: one.status for one in found}

    def delivery_states(self, deliveries: Sequence[DeliveryRecord]) -> dict[int, str]:
        """State of the workflow of each delivery's present try, by the delivery's id, where DBOS knows it."""
        by_workflow = {delivery_workflow_id(one.id, one.attempts): one.id for one in deliveries}
        return {by_workflow[key]: state for key, state in self.states(list(by_workflow)).items()}

    def take_over(self, alive: Iterable[str]) -> int:
        """Give the living what those who aren't in `alive` had in hand. Gives how many workflows."""
        living, moved = set(alive), 0
        for one in self._client.list_workflows(status="PENDING", load_input=False, load_output=False):
            if one.executor_id not in living:
                self._resume(one)
                moved += 1
        return moved

    def _resume(self, workflow: Any) -> None:
        queue = DELIVERIES if workflow.name == "deliver" else READINGS
        LOG.warning("taking over %s from %s", workflow.workflow_id, workflow.executor_id)
        self._client.resume_workflow(workflow.workflow_id, queue_name=queue)


def _config(database: str, executor_id: str) -> Any:
    return {
        "name": APPLICATION,
        "system_database_url": database,
        "application_version": VERSION,
        "executor_id": executor_id,
        "log_level": "WARNING",
        "use_listen_notify": False,
    }
