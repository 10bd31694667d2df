"""One try of one message about an alert: hand it to its channel, keep the receipt, or note when to try again."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Final

from radiolucent.audit.alert_events import AlertFailed, AlertSent
from radiolucent.errors import DeliveryError, FinalDelivery, NoSuchStudy, RetriableDelivery, SenderError
from radiolucent.pipeline.alerting import AlertRules, as_alert, held_back
from radiolucent.pipeline.messages import load_order, load_reading
from radiolucent.results.destinations import Receipt
from radiolucent.results.destinations.alert_channels import Notice
from radiolucent.results.destinations.retry import RetryPolicy, next_step
from radiolucent.store.alerts import AlertRecord, Alerts, NoticeRecord, Notices
from radiolucent.store.audit import AuditTrail
from radiolucent.store.revisions import Readings
from radiolucent.store.unit_of_work import Store

LOG: Final = logging.getLogger(__name__)
POLICY: Final = RetryPolicy(first_s=5.0, longest_s=900.0, give_up_after_s=24 * 3600.0)
"""An alert that comes a day late alerts nobody: then it is a dead letter, and the pages say so."""
_FIRST: Final = ("first", "escalation")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Mailroom:
    """What a worker sends alerts with."""

    store: Store
    rules: AlertRules = field(default_factory=AlertRules)
    clock: Callable[[], datetime] = _now
    random: Random = field(default_factory=Random)


class _Pointless(Exception):
    """The message has lost its reason before it was sent."""


def send_notice(room: Mailroom, notice_id: int, attempt: int) -> str:
    """Make one try; gives the state the message is in afterwards.

    A try that was made already (its number is past, or the message isn't open) does nothing. After a crash in the
    middle the same try is made again, with the same ids.
    """
    with room.store.begin() as work:
        before = Notices(work).get(notice_id)
        if before.attempts + (before.state == "waiting") != attempt or before.state not in ("waiting", "sending"):
            return before.state
        taken = Notices(work).take(notice_id)
    try:
        receipt = _send(room, taken)
    except _Pointless as error:
        with room.store.begin() as work:
            Notices(work).drop(notice_id, reason=str(error), at=room.clock())
        return "cancelled"
    except DeliveryError as error:
        return _failed(room, taken, error)
    except (NoSuchStudy, SenderError, OSError) as error:
        reason = f"its files can't be read: {type(error).__name__}"
        return _failed(room, taken, RetriableDelivery(reason, destination=taken.channel))
    except Exception as error:
        LOG.exception("alert notice %d to %s met an unforeseen error", notice_id, taken.channel)
        reason = f"unforeseen: {type(error).__name__}: see the log"
        return _failed(room, taken, RetriableDelivery(reason, destination=taken.channel))
    at = room.clock()
    with room.store.begin() as work:
        Notices(work).delivered(notice_id, receipt=json.dumps(asdict(receipt), default=dict), at=at)
        uid = Alerts(work).get(taken.alert_key).study_instance_uid
        AuditTrail(work).append(
            AlertSent(at=at, study_instance_uid=uid, alert=taken.alert_key, channel=taken.channel, turn=taken.turn)
        )
    return "delivered"


def _send(room: Mailroom, notice: NoticeRecord) -> Receipt:
    with room.store.read() as work:
        alert = Alerts(work).get(notice.alert_key)
        others = Notices(work).of_alert(notice.alert_key)
        stopped = held_back(work, alert.engine)
        reading = Readings(work).find(alert.study_instance_uid, alert.revision)
    post = room.rules.posts.get(notice.channel)
    if post is None:
        raise FinalDelivery("it is no longer in the settings: put it back, or leave this one dead",
                            destination=notice.channel)  # fmt: skip
    if notice.turn in _FIRST:
        _check_it_is_wanted(alert, stopped, notice)
    elif any(one.channel == notice.channel and one.turn in _FIRST and one.state == "sending" for one in others):
        raise RetriableDelivery("the message before it is on its way", destination=notice.channel)
    if reading is None:
        raise FinalDelivery("its reading is gone", destination=notice.channel)
    return post.channel.send(
        Notice(
            alert=as_alert(alert),
            key=alert.key,
            at=(alert.raised_at if notice.turn == "first" else notice.created_at).astimezone(),
            reading=load_reading(room.store, reading),
            facts=load_order(room.store, reading),
            held=notice.held,
            turn=notice.turn,
        )
    )


def _check_it_is_wanted(alert: AlertRecord, stopped: str, notice: NoticeRecord) -> None:
    """A first message or an escalation goes out only while nobody has acknowledged it and its engine may tell."""
    if alert.state != "open":
        raise _Pointless(alert.reason or f"the alert is {alert.state}")
    if stopped:
        why = "the AI has been stopped at this site" if stopped == "stopped" else "its engine is in shadow"
        raise RetriableDelivery(f"{why}: nothing is sent", destination=notice.channel)


def _failed(room: Mailroom, notice: NoticeRecord, error: DeliveryError) -> str:
    at = room.clock()
    begun = notice.granted_at or notice.created_at
    step = next_step(error, attempt=notice.attempts, first_tried_at=begun, now=at, random=room.random, policy=POLICY)
    with room.store.begin() as work:
        if step.at is None:
            Notices(work).give_up(notice.id, reason=step.reason, at=at)
        else:
            Notices(work).try_again(notice.id, reason=step.reason, next_try_at=step.at)
        AuditTrail(work).append(
            AlertFailed(
                at=at,
                study_instance_uid=Alerts(work).get(notice.alert_key).study_instance_uid,
                alert=notice.alert_key,
                channel=notice.channel,
                turn=notice.turn,
                reason=step.reason,
                final=step.at is None,
            )
        )
    LOG.warning("alert notice %d to %s failed (try %d): %s", notice.id, notice.channel, notice.attempts, step.reason)
    return "dead" if step.at is None else "waiting"
