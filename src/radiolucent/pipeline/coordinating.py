"""What has to be begun next: complete studies become revisions, revisions and due deliveries go to the queues.

Everything that it decides stands in rows before anything is begun, so that it can be killed anywhere and start again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from radiolucent.audit.events import StudyComplete
from radiolucent.errors import NoSuchStudy
from radiolucent.ingest import assembly
from radiolucent.ingest.assembly import SeriesProgress, StudyProgress, decide, elapsed_s
from radiolucent.pipeline.alerting import AlertDesk
from radiolucent.pipeline.priority import delivery_priority
from radiolucent.pipeline.routing import Route, choose_route
from radiolucent.store.audit import AuditTrail
from radiolucent.store.deliveries import Deliveries
from radiolucent.store.instances import Associations, Instances
from radiolucent.store.records import DeliveryRecord, RevisionRecord, StudyRecord
from radiolucent.store.revisions import Revisions
from radiolucent.store.states import REVISION_STATES, names
from radiolucent.store.studies import Progress, Studies
from radiolucent.store.unit_of_work import Store, Work
from radiolucent.store.workers import Workers

LOG: Final = logging.getLogger(__name__)
_OVER: Final = ("ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED", "SUCCESS")
_KEPT_ASSOCIATIONS: Final = timedelta(days=30)
_OFFER: Final = timedelta(minutes=2)


class Queues(Protocol):
    """What `pipeline.workflows.Queue` offers."""

    def read(self, revision: RevisionRecord) -> None:
        """Enqueue a revision; a second time changes nothing."""

    def deliver(self, delivery: DeliveryRecord, *, place: int) -> None:
        """Enqueue the next try of a delivery at this place; a second time changes nothing."""

    def delivery_states(self, deliveries: Sequence[DeliveryRecord]) -> dict[int, str]:
        """State of the present try of each delivery, by its id."""

    def states(self, workflow_ids: Sequence[str]) -> dict[str, str]:
        """State of each workflow that is known."""

    def take_over(self, alive: Sequence[str]) -> int:
        """Give the living what others had in hand."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """When a study counts as complete, and after how many seconds of silence a worker counts as dead."""

    assembly: assembly.Patience = field(default_factory=assembly.Patience)
    dead_after_s: float = 30.0


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Coordinator:
    """One for each store.

    Parameters
    ----------
    engine_digests : by engine name and ``name@version``: they are part of what a revision is made of.
    early : destinations that say how urgent a study is, so that they go before the objects.
    desk : decides which alerts go out; None where nobody is alerted.
    holds : whether a study that is complete is left alone for now; see `pipeline.waiting`.
    """

    store: Store
    queues: Queues
    routes: Sequence[Route]
    engine_digests: dict[str, str]
    patience: Patience
    compare_with_priors: bool = True
    early: frozenset[str] = frozenset()
    desk: AlertDesk | None = None
    holds: Callable[[StudyRecord], bool] = lambda _study: False
    clock: Callable[[], datetime] = _now

    def turn(self) -> int:
        """Begin everything that is due. Gives how many things were begun."""
        return self._plan() + self._enqueue() + self._dispatch() + self._alert()

    def sweep(self) -> int:
        """Find what was left lying: a dead worker's work, and rows whose workflow is over or lost."""
        at = self.clock()
        with self.store.begin() as work:
            workers = Workers(work)
            for silent in workers.silent(since=at - timedelta(seconds=self.patience.dead_after_s)):
                LOG.warning("worker %s was not heard of since %s", silent.executor_id, silent.heartbeat_at)
                workers.dead(silent.executor_id)
            alive = [one.executor_id for one in workers.list() if one.state == "alive"]
            Associations(work).forget(before=at - _KEPT_ASSOCIATIONS)
        moved = self.queues.take_over(alive)
        alerts = self.desk.mend(at) if self.desk else 0
        return moved + self._mend_revisions(at) + self._mend_deliveries(at) + alerts

    def read_again(self, study_instance_uid: str) -> RevisionRecord:
        """Make a new revision of a study whatever was read before.

        Raises
        ------
        NoSuchStudy
            If the study isn't known here, or its images were removed.
        """
        with self.store.begin() as work:
            made = plan_again(
                work,
                study_instance_uid,
                self.routes,
                self.engine_digests,
                compare_with_priors=self.compare_with_priors,
                at=self.clock(),
            )
        self._enqueue()
        return made

    def _plan(self) -> int:
        """Complete studies become revisions, or are kept where no route reads them."""
        at = self.clock()
        with self.store.read() as work:
            ready = [one for one in Studies(work).arriving() if is_complete(one, self.patience, at)]
        begun = 0
        for progress in [one for one in ready if not self.holds(one.study)]:
            with self.store.begin() as work:
                again = {one.study.study_instance_uid: one for one in Studies(work).arriving()}
                now = again.get(progress.study.study_instance_uid)
                if now is not None and is_complete(now, self.patience, at):
                    self._plan_one(work, now, at)
                    begun += 1
        return begun

    def _plan_one(self, work: Work, progress: Progress, at: datetime) -> None:
        uid = progress.study.study_instance_uid
        inputs = [one for one in Instances(work).of_study(uid) if one.state != "conflict" and one.removed_at is None]
        new = [one.id for one in inputs if one.state == "received"]
        route = choose_route(progress.study, self.routes)
        if route is None or not route.read:
            reason = "no route takes it" if route is None else f"route {route.name!r} keeps it without reading it"
            Instances(work).finish(new, "kept", reason=reason, revision=0)
            Studies(work).set_state(uid, "kept", reason=reason)
            return
        prior = Studies(work).prior_of(progress.study) if self.compare_with_priors else None
        made = Revisions(work).plan(
            uid,
            inputs,
            asked_digests(route, self.engine_digests),
            made_at=at,
            prior_study_instance_uid=prior.study_instance_uid if prior else "",
        )
        if made is None:
            latest = Revisions(work).get(uid, progress.study.latest_revision)
            Studies(work).set_state(uid, latest.state, reason=latest.reason)
            return
        AuditTrail(work).append(StudyComplete(at=at, study_instance_uid=uid, revision=made.number))

    def _enqueue(self) -> int:
        with self.store.read() as work:
            waiting = Revisions(work).to_enqueue()
        for revision in waiting:
            self.queues.read(revision)
            with self.store.begin() as work:
                Revisions(work).enqueued(revision.study_instance_uid, revision.number, at=self.clock())
        return len(waiting)

    def _dispatch(self) -> int:
        at = self.clock()
        with self.store.read() as work:
            due = Deliveries(work).due(at=at)
            standing = Deliveries(work).standing(due)
        for delivery in due:
            priority, urgency = standing[delivery.id]
            message = delivery.destination in self.early
            since = delivery.next_try_at or delivery.created_at
            place = delivery_priority(priority, urgency, since, message=message)
            self.queues.deliver(delivery, place=place)
        if due:
            with self.store.begin() as work:
                for delivery in due:
                    Deliveries(work).offered(delivery.id, until=at + _OFFER)
        return len(due)

    def _alert(self) -> int:
        return self.desk.turn(self.clock()) if self.desk else 0

    def _mend_revisions(self, at: datetime) -> int:
        """A revision whose workflow is lost is enqueued again; one whose workflow ended without a word has failed."""
        with self.store.read() as work:
            open_ones = [one for one in Revisions(work).unfinished() if one.enqueued_at is not None]
        states = self.queues.states([one.workflow_id for one in open_ones])
        mended = 0
        for revision in open_ones:
            state = states.get(revision.workflow_id)
            if state is None:
                LOG.warning("%s is in no queue: enqueued again", revision.workflow_id)
                self.queues.read(revision)
                mended += 1
            elif state in _OVER:
                mended += self._end_of(revision, state, at)
        return mended

    def _end_of(self, revision: RevisionRecord, state: str, at: datetime) -> int:
        key = (revision.study_instance_uid, revision.number)
        reason = f"its workflow ended ({state.lower()}) without a result: see the log, then queue it again"
        with self.store.begin() as work:
            if Revisions(work).get(*key).state in names(REVISION_STATES, terminal=True):
                return 0
            ids = [one.id for one in Revisions(work).inputs(*key)]
            Instances(work).finish(ids, "failed", reason=reason, revision=revision.number)
            Revisions(work).finished(*key, "failed", reason=reason, at=at)
        return 1

    def _mend_deliveries(self, at: datetime) -> int:
        """A delivery in hand whose workflow is over or lost waits again: whether it arrived isn't known."""
        with self.store.read() as work:
            sending = Deliveries(work).sending()
        states = self.queues.delivery_states(sending)
        mended = 0
        for delivery in sending:
            if states.get(delivery.id) in (None, *_OVER):
                with self.store.begin() as work:
                    if Deliveries(work).get(delivery.id) == delivery:
                        reason = "the worker was lost while it sent: sent again with the same UIDs"
                        Deliveries(work).try_again(delivery.id, reason=reason, next_try_at=at)
                        mended += 1
        return mended


def is_complete(progress: Progress, patience: Patience, at: datetime) -> bool:
    """Whether a study may be read, by the rules of `ingest.assembly`.

    A clock that was set back makes a study wait for its quiet period anew, never for ever.
    """
    study, longest_s = progress.study, patience.assembly.longest_wait_s
    last = max(study.last_received_at, progress.association_closed_at or study.last_received_at)
    series = tuple(
        SeriesProgress(
            modality=one.modality,
            description=one.description,
            instances=progress.instances_by_series.get(one.series_instance_uid, 0),
        )
        for one in progress.series
    )
    known = StudyProgress(
        series=series,
        quiet_s=elapsed_s(last, at, longest_s=longest_s),
        waited_s=elapsed_s(study.first_received_at, at, longest_s=longest_s),
        open_associations=progress.open_associations,
        partial=study.partial,
        expected_instances=study.expected_instances,
    )
    return decide(known, patience.assembly).complete


def asked_digests(route: Route, digests: dict[str, str]) -> list[str]:
    """Digests of the engines that a route asks: each once."""
    return sorted({digests[name] for name in (route.engines or digests)})


def plan_again(
    work: Work,
    study_instance_uid: str,
    routes: Sequence[Route],
    digests: dict[str, str],
    *,
    compare_with_priors: bool,
    at: datetime,
) -> RevisionRecord:
    """A new revision of a study whatever was read before; see `Coordinator.read_again`. Raises `NoSuchStudy`."""
    study = Studies(work).get(study_instance_uid)
    inputs = [
        one
        for one in Instances(work).of_study(study_instance_uid)
        if one.state != "conflict" and one.removed_at is None
    ]
    route = choose_route(study, routes)
    if not inputs or route is None or not route.read:
        why = "its images were removed" if not inputs else "no route reads it"
        raise NoSuchStudy(f"study {study_instance_uid} can't be read again: {why}")
    prior = Studies(work).prior_of(study) if compare_with_priors else None
    made = Revisions(work).plan(
        study_instance_uid,
        inputs,
        asked_digests(route, digests),
        made_at=at,
        again=True,
        prior_study_instance_uid=prior.study_instance_uid if prior else "",
    )
    assert made is not None
    return made
