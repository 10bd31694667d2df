"""One try of one message about an alert: made once, held while it may not go out, given up after a day."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import ClassVar

import pytest

from radiolucent.errors import FinalDelivery, RetriableDelivery
from radiolucent.findings.alert_policy import Turn
from radiolucent.pipeline.alerting import AlertDesk, AlertRules, Post, acknowledge, raise_alerts, take_back
from radiolucent.pipeline.notifying import Mailroom, send_notice
from radiolucent.results.destinations import Receipt
from radiolucent.results.destinations.alert_channels import Notice
from radiolucent.rollout.phases import PHASES
from radiolucent.store.alerts import Alerts, NoticeRecord, Notices
from radiolucent.store.unit_of_work import Store
from tests.unit.pipeline.kept import NOW, MemoryQueue, events, keep, notices_of, open_kept, phase, stop
from tests.unit.results.messages import FACTS, readings

CRITICAL = readings()["critical"]
UID = CRITICAL.study_instance_uid


class Pager:
    """Takes alerts, or raises what it is told to."""

    takes: ClassVar[tuple[Turn, ...]] = ("first", "escalation", "withdrawn")
    name = "pager"

    def __init__(self) -> None:
        self.got: list[Notice] = []
        self.trouble: Exception | None = None

    def send(self, notice: Notice) -> Receipt:
        if self.trouble:
            raise self.trouble
        self.got.append(notice)
        return Receipt(destination=self.name, delivered=(notice.key,))


@pytest.fixture
def pager() -> Pager:
    return Pager()


@pytest.fixture
def store(tmp_path: Path, pager: Pager) -> Iterator[Store]:
    """One alert whose first message a queue holds."""
    made = open_kept(tmp_path)
    keep(made, CRITICAL)
    with made.begin() as work:
        raise_alerts(work, CRITICAL, 1, rules(pager), at=NOW)
    tend(made, pager, NOW)
    yield made
    made.close()


def rules(pager: Pager) -> AlertRules:
    return AlertRules(posts={"pager": Post(channel=pager)})


def tend(store: Store, pager: Pager, at: datetime) -> None:
    AlertDesk(store=store, queue=MemoryQueue(), rules=rules(pager)).turn(at)


def room(store: Store, pager: Pager, at: datetime = NOW) -> Mailroom:
    return Mailroom(store=store, rules=rules(pager), clock=lambda: at, random=Random(1))


def row(store: Store, number: int = 1) -> NoticeRecord:
    with store.read() as work:
        return Notices(work).get(number)


def test_a_channel_gets_the_alert_with_the_order_it_belongs_to(store: Store, pager: Pager) -> None:
    assert send_notice(room(store, pager), 1, 1) == "delivered"
    assert send_notice(room(store, pager), 1, 1) == "delivered"
    (notice,) = pager.got
    assert (notice.alert.finding, notice.turn, notice.facts) == ("tension-pneumothorax", "first", FACTS)
    assert notice.at == NOW
    assert notice.reading.findings[0].name == notice.alert.finding
    assert events(store) == ["alert.raised", "alert.sent"]


def test_a_try_that_was_cut_short_is_made_again(store: Store, pager: Pager) -> None:
    with store.begin() as work:
        Notices(work).take(1)
    assert send_notice(room(store, pager), 1, 1) == "delivered"
    assert (len(pager.got), row(store).attempts) == (1, 1)


def test_a_channel_that_is_down_is_tried_for_a_day(store: Store, pager: Pager) -> None:
    pager.trouble, waits = RetriableDelivery("down", destination="pager"), []
    for attempt, hours in enumerate((0, 1, 12, 23.9), start=1):
        at = NOW + timedelta(hours=hours)
        assert send_notice(room(store, pager, at), 1, attempt) == "waiting"
        due = row(store).next_try_at
        assert due is not None
        waits.append((due - at).total_seconds())
    assert waits == sorted(waits)
    assert 0 < max(waits) <= 900
    assert send_notice(room(store, pager, NOW + timedelta(hours=24.1)), 1, 5) == "dead"
    assert events(store)[-1] == "alert.failed"


def test_a_refusal_is_final_and_an_unforeseen_error_is_not(store: Store, pager: Pager) -> None:
    pager.trouble = KeyError("x")
    assert send_notice(room(store, pager), 1, 1) == "waiting"
    pager.trouble = FinalDelivery("nobody of that name", destination="pager")
    assert send_notice(room(store, pager), 1, 2) == "dead"
    assert "nobody of that name" in row(store).reason


@pytest.mark.parametrize("why", ["shadow", "stopped"])
def test_what_may_not_be_told_waits(store: Store, pager: Pager, why: str) -> None:
    if why == "shadow":
        phase(store, CRITICAL.series[0].engine.name, PHASES[0])
    else:
        stop(store, "wrong results")
    assert send_notice(room(store, pager), 1, 1) == "waiting"
    assert pager.got == []


def test_an_alert_that_was_acknowledged_meanwhile_is_not_sent(store: Store, pager: Pager) -> None:
    with store.begin() as work:
        Notices(work).take(1)  # a worker has it in hand
    with store.read() as work:
        (alert,) = Alerts(work).list()
    acknowledge(store, alert.key, actor="dr-a", at=NOW)
    assert send_notice(room(store, pager), 1, 1) == "cancelled"
    assert pager.got == []


def test_what_is_taken_back_follows_what_was_sent_and_goes_out_even_when_stopped(store: Store, pager: Pager) -> None:
    with store.begin() as work:
        Notices(work).take(1)  # on its way
        take_back(work, UID, reason="rejected", at=NOW)
    tend(store, pager, NOW)
    assert send_notice(room(store, pager), 2, 1) == "waiting"
    assert "on its way" in row(store, 2).reason
    with store.begin() as work:
        Notices(work).delivered(1, receipt="{}", at=NOW)
    stop(store, "wrong results")
    assert send_notice(room(store, pager), 2, 2) == "delivered"
    assert [one.turn for one in pager.got] == ["withdrawn"]
    assert notices_of(store, UID) == [("pager", "first", "delivered"), ("pager", "withdrawn", "delivered")]


def test_a_channel_that_left_the_settings_leaves_a_dead_letter(store: Store) -> None:
    assert send_notice(Mailroom(store=store, clock=lambda: NOW), 1, 1) == "dead"
    assert "no longer in the settings" in row(store).reason


def test_files_that_are_gone_are_looked_for_again(store: Store, pager: Pager) -> None:
    (store.folder / f"readings/{UID}/1/reading.json").unlink()
    assert send_notice(room(store, pager), 1, 1) == "waiting"
    assert UID not in row(store).reason
