"""A delivery's way: owed once, tried when due, delivered, given up, queued again."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from radiolucent.errors import NoSuchStudy
from radiolucent.store.deliveries import WITHDRAWAL, Deliveries
from radiolucent.store.instances import Instances
from radiolucent.store.revisions import Revisions
from radiolucent.store.unit_of_work import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def owed(store: Store, receive: Any) -> Store:
    receive("1")
    with store.begin() as work:
        for _ in range(2):
            Revisions(work).plan("1.2", Instances(work).of_study("1.2"), ["e"], made_at=NOW, again=True)
        Deliveries(work).owe("1.2", 1, ["pacs", "ris"], at=NOW)
    return store


def test_a_result_is_owed_once_to_each_destination(owed: Store) -> None:
    with owed.begin() as work:
        again = Deliveries(work).owe("1.2", 1, ["pacs", "ris"], at=NOW)
        assert [one.destination for one in again] == ["pacs", "ris"]
        assert len(Deliveries(work).owe("1.2", 1, ["pacs"], kind=WITHDRAWAL, at=NOW)) == 1


def test_it_is_due_when_its_time_has_come(owed: Store) -> None:
    with owed.begin() as work:
        deliveries = Deliveries(work)
        first, second = deliveries.due(at=NOW)
        deliveries.take(first.id)
        deliveries.try_again(first.id, reason="refused", next_try_at=NOW + timedelta(hours=1))
        assert [one.id for one in deliveries.due(at=NOW)] == [second.id]
        assert len(deliveries.due(at=NOW + timedelta(hours=1))) == 2


def test_every_try_is_counted_and_a_second_hand_takes_nothing(owed: Store) -> None:
    with owed.begin() as work:
        deliveries = Deliveries(work)
        first = deliveries.due(at=NOW)[0].id
        assert (deliveries.take(first).attempts, deliveries.take(first).attempts) == (1, 1)
        assert [one.id for one in deliveries.sending()] == [first]
        deliveries.delivered(first, receipt="{}", at=NOW)
        assert deliveries.take(first).state == "delivered"


def test_dead_letters_can_be_queued_again(owed: Store) -> None:
    with owed.begin() as work:
        deliveries = Deliveries(work)
        for one in deliveries.due(at=NOW):
            deliveries.give_up(one.id, reason="refused for good", at=NOW)
        assert len(deliveries.dead()) == 2
        assert deliveries.requeue(at=NOW, destination="pacs") == 1
        assert deliveries.requeue(at=NOW, study_instance_uid="1.2") == 1
        assert deliveries.counts() == {"waiting": 2}


def test_what_is_queued_again_is_owed_anew_so_that_it_has_its_whole_time(owed: Store) -> None:
    later = NOW + timedelta(days=5)
    with owed.begin() as work:
        deliveries = Deliveries(work)
        first = deliveries.due(at=NOW)[0]
        deliveries.give_up(first.id, reason="given up after 72 h", at=NOW)
        deliveries.requeue(at=later, destination=first.destination)
        again = deliveries.get(first.id)
    assert (again.state, again.created_at, again.next_try_at) == ("waiting", later, later)


def test_a_later_revision_cancels_what_was_not_sent(owed: Store) -> None:
    with owed.begin() as work:
        deliveries = Deliveries(work)
        first, second = deliveries.due(at=NOW)
        deliveries.take(first.id)
        deliveries.delivered(first.id, receipt="{}", at=NOW)
        assert deliveries.cancel("1.2", before_revision=2, reason="superseded", at=NOW) == 1
        assert (deliveries.get(first.id).state, deliveries.get(second.id).state) == ("delivered", "cancelled")


def test_a_try_whose_end_is_not_known_counts_as_delivered(owed: Store) -> None:
    with owed.begin() as work:
        deliveries = Deliveries(work)
        first = deliveries.due(at=NOW)[0]
        assert not deliveries.was_delivered("1.2", 1, first.destination)
        deliveries.take(first.id)
        assert deliveries.was_delivered("1.2", 1, first.destination)


def test_an_unknown_delivery_is_told(owed: Store) -> None:
    with owed.read() as work, pytest.raises(NoSuchStudy, match="delivery 99"):
        Deliveries(work).get(99)
