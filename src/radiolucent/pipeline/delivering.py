"""One try of one delivery: hand it over, keep the receipt, or note when to try again; the dead letter at the end."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Final

from radiolucent.audit.events import Delivered, DeliveryFailed, Withdrawn
from radiolucent.errors import DeliveryError, EncodingError, FinalDelivery, RetriableDelivery, SenderError
from radiolucent.pipeline.alerting import take_back
from radiolucent.pipeline.messages import load_outgoing, load_withdrawal
from radiolucent.results.destinations import Destination, Receipt
from radiolucent.results.destinations.retry import DEFAULT, RetryPolicy, next_step
from radiolucent.results.withdrawal import Wording
from radiolucent.store.audit import AuditTrail
from radiolucent.store.deliveries import RESULT, WITHDRAWAL, Deliveries
from radiolucent.store.records import DeliveryRecord
from radiolucent.store.revisions import Readings
from radiolucent.store.site import Site
from radiolucent.store.unit_of_work import Store

LOG: Final = logging.getLogger(__name__)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Place:
    """A configured destination.

    Parameters
    ----------
    needs : which message it can't do without: ``oru``, ``fhir`` or nothing.
    early : whether it says how urgent a study is, so that it goes before the objects.
    policy : when a failed try is repeated, and when it is given up.
    """

    destination: Destination
    needs: str = ""
    early: bool = False
    policy: RetryPolicy = DEFAULT


@dataclass(frozen=True, kw_only=True)
class Dispatch:
    """What a worker delivers with."""

    store: Store
    places: Mapping[str, Place]
    wording: Wording = field(default_factory=Wording)
    clock: Callable[[], datetime] = _now
    random: Random = field(default_factory=Random)


def deliver(dispatch: Dispatch, delivery_id: int, attempt: int) -> str:
    """Make one try; gives the state the delivery is in afterwards.

    A try that was made already (its number is past, or the delivery isn't open) does nothing. After a crash in the
    middle the same try is made again, with the same UIDs and control ids.
    """
    store = dispatch.store
    with store.begin() as work:
        before = Deliveries(work).get(delivery_id)
        if before.attempts + (before.state == "waiting") != attempt or before.state not in ("waiting", "sending"):
            return before.state
        taken = Deliveries(work).take(delivery_id)
    try:
        receipt = _hand_over(dispatch, taken)
    except DeliveryError as error:
        return _failed(dispatch, taken, error)
    except (EncodingError, SenderError, OSError) as error:
        reason = f"its files can't be read or written: {type(error).__name__}: {error}"
        return _failed(dispatch, taken, RetriableDelivery(reason, destination=taken.destination))
    except Exception as error:
        LOG.exception("delivery %d to %s met an unforeseen error", delivery_id, taken.destination)
        reason = f"unforeseen: {type(error).__name__}: see the log"
        return _failed(dispatch, taken, RetriableDelivery(reason, destination=taken.destination))
    at = dispatch.clock()
    with store.begin() as work:
        Deliveries(work).delivered(delivery_id, receipt=json.dumps(asdict(receipt), default=dict), at=at)
        AuditTrail(work).append(
            Delivered(
                at=at,
                study_instance_uid=taken.study_instance_uid,
                destination=taken.destination,
                receipt=f"revision {taken.revision}, {taken.kind}: {len(receipt.delivered)} confirmed",
            )
        )
    LOG.info("delivery %d to %s confirmed: study %s", delivery_id, taken.destination, taken.study_instance_uid)
    return "delivered"


def withdraw(store: Store, study_instance_uid: str, *, reason: str, actor: str, at: datetime) -> int:
    """Take back the latest reading of a study wherever it was, or may have been, delivered. Gives to how many places.

    Raises
    ------
    NoSuchStudy
        If it has no reading that isn't withdrawn already.
    """
    with store.begin() as work:
        reading = Readings(work).withdraw(study_instance_uid, reason=reason, at=at)
        deliveries = Deliveries(work)
        results = deliveries.of_revision(study_instance_uid, reading.revision, kind=RESULT)
        told = [one.destination for one in results if one.attempts > 0]
        deliveries.cancel(study_instance_uid, before_revision=reading.revision + 1, reason="withdrawn", at=at)
        deliveries.owe(study_instance_uid, reading.revision, told, kind=WITHDRAWAL, at=at)
        take_back(work, study_instance_uid, reason="the reading was taken back", at=at, actor=actor)
        AuditTrail(work).append(
            Withdrawn(
                at=at, actor=actor, study_instance_uid=study_instance_uid, reason=reason, revision=reading.revision
            )
        )
    return len(told)


def _hand_over(dispatch: Dispatch, delivery: DeliveryRecord) -> Receipt:
    place = dispatch.places.get(delivery.destination)
    if place is None:
        raise FinalDelivery(
            "it is no longer in the settings: put it back, or leave this one dead", destination=delivery.destination
        )
    with dispatch.store.read() as work:
        reading = Readings(work).find(delivery.study_instance_uid, delivery.revision)
        stopped = bool(Site(work).setting("ai_stopped"))
        before = Deliveries(work).under_way(delivery.study_instance_uid, delivery.destination, besides=delivery.id)
    if stopped and delivery.kind == RESULT:
        raise RetriableDelivery(
            "the AI has been stopped at this site: nothing is sent", destination=delivery.destination
        )
    if before:  # what corrects or takes back must not arrive before what it is about
        raise RetriableDelivery("an earlier result of this study is on its way there", destination=delivery.destination)
    if reading is None:
        raise FinalDelivery("its reading is gone", destination=delivery.destination)
    if delivery.kind == WITHDRAWAL:
        outgoing = load_withdrawal(dispatch.store, reading, wording=dispatch.wording)
    else:
        outgoing = load_outgoing(dispatch.store, reading)
    if place.needs in outgoing.refused:
        raise FinalDelivery(outgoing.refused[place.needs], destination=delivery.destination)
    return place.destination.deliver(outgoing.package)


def _failed(dispatch: Dispatch, delivery: DeliveryRecord, error: DeliveryError) -> str:
    at = dispatch.clock()
    place = dispatch.places.get(delivery.destination)
    step = next_step(
        error,
        attempt=delivery.attempts,
        first_tried_at=delivery.created_at,
        now=at,
        random=dispatch.random,
        policy=place.policy if place else DEFAULT,
    )
    with dispatch.store.begin() as work:
        if step.at is None:
            Deliveries(work).give_up(delivery.id, reason=step.reason, at=at)
        else:
            Deliveries(work).try_again(delivery.id, reason=step.reason, next_try_at=step.at)
        AuditTrail(work).append(
            DeliveryFailed(
                at=at,
                study_instance_uid=delivery.study_instance_uid,
                destination=delivery.destination,
                reason=step.reason,
                final=step.at is None,
            )
        )
    LOG.warning(
        "delivery %d to %s failed (try %d): %s", delivery.id, delivery.destination, delivery.attempts, step.reason
    )
    return "dead" if step.at is None else "waiting"
