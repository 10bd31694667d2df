"""Alerts of stored readings: raised once, held by the limit, escalated once, acknowledged, ended with their finding."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from radiolucent.errors import NoSuchStudy
from radiolucent.findings.alert_policy import Turn
from radiolucent.findings.alerts import default_alerts
from radiolucent.findings.reading import Reading
from radiolucent.pipeline.alerting import AlertDesk, AlertRules, Post, acknowledge, raise_alerts, take_back
from radiolucent.results.destinations import Receipt
from radiolucent.results.destinations.alert_channels import Notice
from radiolucent.rollout.phases import PHASES
from radiolucent.store.alerts import AlertRecord, Alerts, Notices
from radiolucent.store.audit import AuditTrail
from radiolucent.store.unit_of_work import Store
from tests.unit.pipeline.kept import (
    NOW,
    MemoryQueue,
    alerts_of,
    events,
    keep,
    notices_of,
    open_kept,
    phase,
    stop,
)
from tests.unit.results.messages import readings

MINUTE = timedelta(minutes=1)
CRITICAL = readings()["critical"]
UID = CRITICAL.study_instance_uid
FINDING = "tension-pneumothorax"
ENGINE = CRITICAL.series[0].engine.name


class Pager:
    """A channel that keeps what it is given."""

    takes: ClassVar[tuple[Turn, ...]] = ("first", "escalation", "withdrawn")

    def __init__(self, name: str) -> None:
        self.name = name

    def send(self, notice: Notice) -> Receipt:
        return Receipt(destination=self.name, delivered=(notice.key,))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    made = open_kept(tmp_path)
    yield made
    made.close()


def rules(**posts: Post) -> AlertRules:
    return AlertRules(posts=posts or {"pager": Post(channel=Pager("pager"))})


def raised(
    store: Store, reading: Reading = CRITICAL, revision: int = 1, *, told: AlertRules | None = None, at: datetime = NOW
) -> None:
    keep(store, reading, revision, at=at)
    with store.begin() as work:
        raise_alerts(work, reading, revision, told or rules(), at=at)


def desk(store: Store, told: AlertRules | None = None) -> AlertDesk:
    return AlertDesk(store=store, queue=MemoryQueue(), rules=told or rules())


def queued(of: AlertDesk) -> list[tuple[str, str]]:
    assert isinstance(of.queue, MemoryQueue)
    return [(one.channel, one.turn) for one in of.queue.notices]


def only(store: Store) -> AlertRecord:
    with store.read() as work:
        (one,) = Alerts(work).list()
    return one


def send_all(store: Store, at: datetime) -> None:
    """What a worker does with everything that is in a queue."""
    with store.begin() as work:
        for one in Notices(work).due(at=at + timedelta(days=1)):
            Notices(work).take(one.id)
            Notices(work).delivered(one.id, receipt="{}", at=at)


def test_a_critical_finding_is_raised_once_and_owed_to_its_channels(store: Store) -> None:
    raised(store)
    with store.begin() as work:
        assert raise_alerts(work, CRITICAL, 1, rules(), at=NOW + MINUTE) == 0
    one = only(store)
    assert (one.finding, one.level, one.state, one.raised_at) == (FINDING, 1, "open", NOW)
    assert one.engine == CRITICAL.series[0].engine.label
    assert notices_of(store, UID) == [("pager", "first", "waiting")]
    assert events(store) == ["alert.raised"]


def test_a_reading_without_an_urgent_finding_alerts_nobody(store: Store) -> None:
    raised(store, readings()["negative"])
    with store.read() as work:
        assert Alerts(work).list() == ()


@pytest.mark.parametrize("why", ["shadow", "stopped"])
def test_of_an_engine_in_shadow_and_while_the_ai_is_stopped_nothing_is_raised(store: Store, why: str) -> None:
    if why == "shadow":
        phase(store, ENGINE, PHASES[0])
    else:
        stop(store, "wrong results")
    raised(store)
    assert alerts_of(store, UID) == {}
    assert events(store, "result.withheld") == ["result.withheld"]


def test_only_the_engine_in_shadow_is_silent(store: Store) -> None:
    both = replace(
        CRITICAL,
        series=(
            CRITICAL.series[0],
            replace(
                CRITICAL.series[0],
                engine=replace(CRITICAL.series[0].engine, name="other"),
                findings=(replace(CRITICAL.series[0].findings[0], name="pneumothorax"),),
            ),
        ),
    )
    phase(store, "other", PHASES[0])
    phase(store, ENGINE, PHASES[-1])
    raised(store, both)
    assert alerts_of(store, UID) == {FINDING: "open"}


@pytest.mark.parametrize(
    ("post", "goes"),
    [
        (Post(channel=Pager("p"), least_urgent=1), True),
        (Post(channel=Pager("p"), gets="escalation"), False),
        (Post(channel=Pager("p"), findings=("pneumothorax",)), False),
        (Post(channel=Pager("p"), findings=(FINDING,)), True),
        (Post(channel=Pager("p"), tiers=()), False),
    ],
)
def test_a_channel_gets_what_it_asked_for(store: Store, post: Post, goes: bool) -> None:
    raised(store, told=rules(p=post))
    assert bool(notices_of(store, UID)) is goes


def test_the_limit_is_each_channels_own_and_drops_nothing(store: Store) -> None:
    told = rules(quiet=Post(channel=Pager("quiet"), per_hour=1), loud=Post(channel=Pager("loud"), per_hour=5))
    for number in range(3):
        raised(store, replace(CRITICAL, study_instance_uid=f"2.25.{number}"), told=told, at=NOW + number * MINUTE)
    at = NOW + 5 * MINUTE
    front = desk(store, told)
    front.turn(at)
    front.turn(at)
    assert sorted(queued(front)) == [("loud", "first")] * 3 + [("quiet", "first")]
    with store.read() as work:
        (granted,) = Notices(work).granted_since("quiet", NOW)
    assert granted.held == 2
    for hour in (1, 2):
        front.turn(at + hour * timedelta(hours=1))
    assert sum(one == ("quiet", "first") for one in queued(front)) == 3


def test_what_nobody_acknowledges_is_escalated_once_to_who_wants_that(store: Store) -> None:
    told = rules(
        room=Post(channel=Pager("room"), gets="first"),
        lead=Post(channel=Pager("lead"), gets="escalation"),
    )
    raised(store, told=told)
    front = desk(store, told)
    minutes = default_alerts().escalate_after_minutes[1]
    front.turn(NOW)
    front.turn(NOW + (minutes - 1) * MINUTE)
    assert queued(front) == [("room", "first")]
    for later in (0, 1, 60, 600):
        front.turn(NOW + (minutes + later) * MINUTE)
    assert queued(front) == [("room", "first"), ("lead", "escalation")]
    assert events(store) == ["alert.raised", "alert.escalated"]
    assert only(store).escalated_at == NOW + minutes * MINUTE


def test_nothing_is_escalated_while_the_ai_is_stopped(store: Store) -> None:
    raised(store)
    front = desk(store)
    stop(store, "wrong results")
    front.turn(NOW + 600 * MINUTE)
    assert only(store).escalated_at is None
    stop(store, "")
    front.turn(NOW + 601 * MINUTE)
    assert only(store).escalated_at == NOW + 601 * MINUTE


def test_who_acknowledges_first_counts_and_nothing_more_is_sent(store: Store) -> None:
    raised(store)
    key = only(store).key
    alert, now = acknowledge(store, key, actor="dr-a", role="radiologist", address="10.0.0.1", at=NOW + MINUTE)
    assert (now, alert.state, alert.acknowledged_by) == (True, "acknowledged", "dr-a")
    alert, now = acknowledge(store, key, actor="dr-b", at=NOW + 2 * MINUTE)
    assert (now, alert.acknowledged_by, alert.acknowledged_at) == (False, "dr-a", NOW + MINUTE)
    front = desk(store)
    front.turn(NOW + 600 * MINUTE)
    assert queued(front) == []
    assert notices_of(store, UID) == [("pager", "first", "cancelled")]
    assert events(store) == ["alert.raised", "alert.acknowledged"]
    with store.read() as work:
        assert AuditTrail(work).verify().holds


def test_an_alert_that_is_not_there_cannot_be_acknowledged(store: Store) -> None:
    with pytest.raises(NoSuchStudy):
        acknowledge(store, "k", actor="dr-a", at=NOW)


def test_only_channels_that_can_tell_an_acknowledgement_are_asked_to(store: Store) -> None:
    class Ehr(Pager):
        takes: ClassVar[tuple[Turn, ...]] = ("first", "acknowledged")

    told = rules(ehr=Post(channel=Ehr("ehr")), pager=Post(channel=Pager("pager")))
    raised(store, told=told)
    front = desk(store, told)
    front.turn(NOW)
    send_all(store, NOW)
    acknowledge(store, only(store).key, actor="dr-a", at=NOW + MINUTE)
    front.turn(NOW + MINUTE)
    assert sorted(queued(front)) == [("ehr", "acknowledged"), ("ehr", "first"), ("pager", "first")]
    assert ("pager", "acknowledged", "cancelled") in notices_of(store, UID)


def test_a_later_revision_with_the_same_finding_tells_nobody_twice(store: Store) -> None:
    raised(store)
    desk(store).turn(NOW)
    send_all(store, NOW)
    raised(store, revision=2, at=NOW + MINUTE)
    assert only(store).revision == 2
    assert notices_of(store, UID) == [("pager", "first", "delivered")]
    assert events(store) == ["alert.raised"]


def test_a_later_revision_without_the_finding_takes_the_alert_back(store: Store) -> None:
    raised(store)
    desk(store).turn(NOW)
    send_all(store, NOW)
    acknowledge(store, only(store).key, actor="dr-a", at=NOW + MINUTE)
    without = replace(readings()["negative"], study_instance_uid=UID)
    raised(store, without, revision=2, at=NOW + MINUTE)
    assert only(store).state == "ended"
    front = desk(store)
    front.turn(NOW + MINUTE)
    assert queued(front) == [("pager", "withdrawn")]
    assert events(store)[-1] == "alert.ended"


def test_an_alert_that_never_went_out_needs_no_taking_back(store: Store) -> None:
    raised(store)
    with store.begin() as work:
        assert take_back(work, UID, reason="rejected", at=NOW) == 1
    with store.begin() as work:
        assert take_back(work, UID, reason="rejected", at=NOW) == 0
    front = desk(store)
    front.turn(NOW + 600 * MINUTE)
    assert queued(front) == []
    assert alerts_of(store, UID) == {FINDING: "ended"}


def test_a_message_whose_worker_was_lost_waits_again(store: Store) -> None:
    raised(store)
    front = desk(store)
    front.turn(NOW)
    with store.begin() as work:
        (one,) = Notices(work).due(at=NOW + timedelta(hours=1))
        Notices(work).take(one.id)
    queue = front.queue
    assert isinstance(queue, MemoryQueue)
    queue.said[one.id] = "PENDING"
    assert front.mend(NOW) == 0
    del queue.said[one.id]
    assert front.mend(NOW) == 1
    assert notices_of(store, UID) == [("pager", "first", "waiting")]
