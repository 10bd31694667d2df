"""The durable workflows: one per study revision (read, then owe) and one per try of a delivery; and who may take over.

DBOS keeps each step's end in a database of its own. What a person looks up stands in the store's rows; a step finds in
them what an earlier, killed try of it has done.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dbos import DBOS, DBOSClient, SetEnqueueOptions, SetWorkflowID

from radiolucent.pipeline.delivering import Dispatch, deliver
from radiolucent.pipeline.notifying import Mailroom, send_notice
from radiolucent.pipeline.priority import LIVE, STAT, queue_priority
from radiolucent.pipeline.revisions import Bench, owe_deliveries, read_revision
from radiolucent.store.alerts import NoticeRecord
from radiolucent.store.archive import is_full
from radiolucent.store.records import DeliveryRecord, RevisionRecord
from radiolucent.store.unit_of_work import database_is_away

APPLICATION: Final = "radiolucent"
VERSION: Final = "workflows-1"
"""Raised only when a workflow gets other steps. What an earlier version left is begun anew: see `Queue.take_over`."""
READINGS: Final = "readings"
DELIVERIES: Final = "deliveries"
ALERTS: Final = "alerts"
POLL_S: Final = 0.1
LOG: Final = logging.getLogger(__name__)
_OPEN: Final = ("PENDING", "ENQUEUED", "DELAYED")
_TRIES: Final = 15
"""After 1, 2, 4, … seconds, which is hours in all: meanwhile there is nothing else that could be done."""


@dataclass(frozen=True, kw_only=True)
class Tools:
    """What the workflows of this process work with."""

    bench: Bench
    dispatch: Dispatch
    mailroom: Mailroom


_tools: list[Tools] = []


def passes_by_itself(error: BaseException) -> bool:
    """Whether a step that failed so is tried again: the database is away, or a disk is full.

    >>> passes_by_itself(ValueError("another fault"))
    False
    """
    return database_is_away(error) or is_full(error)


def delivery_workflow_id(delivery_id: int, attempt: int) -> str:
    """Each try has its own."""
    return f"deliver/{delivery_id}/{attempt}"


def alert_workflow_id(notice_id: int, attempt: int) -> str:
    """Each try has its own."""
    return f"alert/{notice_id}/{attempt}"


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
    for queue, at_once in (
        (READINGS, readings_at_once),
        (DELIVERIES, deliveries_at_once),
        (ALERTS, deliveries_at_once),
    ):
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
    for delivery_id, attempt, place in owe_step(study_instance_uid, number):
        with SetWorkflowID(delivery_workflow_id(delivery_id, attempt)), SetEnqueueOptions(priority=place):
            DBOS.enqueue_workflow(DELIVERIES, deliver_workflow, delivery_id, attempt)
    return state


@DBOS.workflow(name="deliver")
def deliver_workflow(delivery_id: int, attempt: int) -> str:
    """One try of one delivery."""
    return deliver_step(delivery_id, attempt)


@DBOS.workflow(name="alert")
def alert_workflow(notice_id: int, attempt: int) -> str:
    """One try of one message about an alert."""
    return alert_step(notice_id, attempt)


@DBOS.step(name="read", retries_allowed=True, max_attempts=_TRIES, should_retry=passes_by_itself)
def read_step(study_instance_uid: str, number: int) -> str:
    """See `pipeline.revisions.read_revision`."""
    return read_revision(_tools[0].bench, study_instance_uid, number)


@DBOS.step(name="owe", retries_allowed=True, interval_seconds=1.0, max_attempts=10, backoff_rate=2.0)
def owe_step(study_instance_uid: str, number: int) -> list[list[int]]:
    """See `pipeline.revisions.owe_deliveries`: (delivery, attempt, place in the queue), and alerts in rows.

    Tried again where it fails: a reading whose results nobody owes would be lost without a word.
    """
    return [list(one) for one in owe_deliveries(_tools[0].bench, study_instance_uid, number)]


@DBOS.step(name="deliver-once", retries_allowed=True, max_attempts=_TRIES, should_retry=passes_by_itself)
def deliver_step(delivery_id: int, attempt: int) -> str:
    """See `pipeline.delivering.deliver`."""
    return deliver(_tools[0].dispatch, delivery_id, attempt)


@DBOS.step(name="alert-once")
def alert_step(notice_id: int, attempt: int) -> str:
    """See `pipeline.notifying.send_notice`."""
    return send_notice(_tools[0].mailroom, notice_id, attempt)


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

    def deliver(self, delivery: DeliveryRecord, *, place: int) -> None:
        """Enqueue the next try of a delivery at this place; a second time changes nothing."""
        self._client.enqueue(
            {
                "workflow_name": "deliver",
                "queue_name": DELIVERIES,
                "workflow_id": delivery_workflow_id(delivery.id, delivery.attempts + 1),
                "app_version": VERSION,
                "priority": place,
            },
            delivery.id,
            delivery.attempts + 1,
        )

    def alert(self, notice: NoticeRecord) -> None:
        """Enqueue the next try of a message about an alert; a second time changes nothing."""
        self._client.enqueue(
            {
                "workflow_name": "alert",
                "queue_name": ALERTS,
                "workflow_id": alert_workflow_id(notice.id, notice.attempts + 1),
                "app_version": VERSION,
                "priority": queue_priority(STAT if notice.level == 1 else LIVE, notice.created_at),
            },
            notice.id,
            notice.attempts + 1,
        )

    def alert_states(self, notices: Sequence[NoticeRecord]) -> dict[int, str]:
        """State of the workflow of each message's present try, by the message's id, where DBOS knows it."""
        by_workflow = {alert_workflow_id(one.id, one.attempts): one.id for one in notices}
        return {by_workflow[key]: state for key, state in self.states(list(by_workflow)).items()}

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
        """Give the living what those who aren't in `alive` had in hand. Gives how many workflows.

        What a program of another version left can't be resumed, because its steps were others: it is taken out of the
        queues, so that the rows, which say what is unfinished, have it begun anew.
        """
        living, moved = set(alive), 0
        for one in self._client.list_workflows(status=list(_OPEN), load_input=False, load_output=False):
            in_hand = one.status == "PENDING"
            if in_hand and one.executor_id in living:
                continue
            if one.app_version != VERSION:
                LOG.warning("%s is of version %s: begun anew", one.workflow_id, one.app_version)
                self._client.delete_workflow(one.workflow_id)
                moved += 1
            elif in_hand:
                self._resume(one)
                moved += 1
        return moved

    def _resume(self, workflow: Any) -> None:
        queue = {"deliver": DELIVERIES, "alert": ALERTS}.get(workflow.name, READINGS)
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
