"""A revision's inputs, its way through the states, and what a later one does to it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from radiolucent.errors import NoSuchStudy
from radiolucent.store.instances import Instances
from radiolucent.store.records import RevisionRecord
from radiolucent.store.revisions import NewReading, Readings, Revisions
from radiolucent.store.studies import Studies
from radiolucent.store.unit_of_work import Store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def plan(store: Store, *, again: bool = False, engines: tuple[str, ...] = ("e1",)) -> RevisionRecord | None:
    with store.begin() as work:
        inputs = [one for one in Instances(work).of_study("1.2") if one.state != "conflict"]
        return Revisions(work).plan("1.2", inputs, engines, made_at=NOW, again=again)


def reading(revision: int, state: str = "read") -> NewReading:
    return NewReading(
        study_instance_uid="1.2", revision=revision, state=state, folder=f"readings/1.2/{revision}", digest="d" * 64,
        urgency=2, positives="glioma", engines="brain-mri@0.1.0", made_at=NOW,
    )  # fmt: skip


def finish(store: Store, number: int, state: str = "read") -> None:
    with store.begin() as work:
        Revisions(work).started("1.2", number, worker="w1", at=NOW)
        Readings(work).add(reading(number))
        Instances(work).finish([one.id for one in Revisions(work).inputs("1.2", number)], "read", revision=number)
        Revisions(work).finished("1.2", number, state, at=NOW)


def test_the_same_inputs_make_no_second_revision_unless_asked_for(store: Store, receive: Any) -> None:
    receive("1")
    first = plan(store)
    assert first is not None
    assert (first.number, first.state) == (1, "queued")
    assert plan(store) is None
    second = plan(store, again=True)
    assert second is not None
    assert (second.number, second.inputs_digest) == (2, first.inputs_digest)
    assert second.workflow_id != first.workflow_id


def test_what_more_comes_of_a_study_with_an_urgent_finding_is_read_first(store: Store, receive: Any) -> None:
    receive("1")
    first = plan(store)
    finish(store, 1)
    receive("2")
    second = plan(store)
    assert first is not None
    assert second is not None
    assert (first.priority, second.priority) == ("live", "stat")


@pytest.mark.parametrize("change", ["instance", "engine"])
def test_another_image_or_engine_makes_a_new_revision(store: Store, receive: Any, change: str) -> None:
    receive("1")
    first = plan(store)
    if change == "instance":
        receive("2")
    second = plan(store, engines=("e1", "e2") if change == "engine" else ("e1",))
    assert first is not None
    assert second is not None
    assert (second.number, second.inputs_digest == first.inputs_digest) == (2, False)


def test_a_revision_reads_what_it_was_planned_with(store: Store, receive: Any) -> None:
    receive("1")
    plan(store)
    receive("2")
    with store.read() as work:
        assert [one.sop_instance_uid for one in Revisions(work).inputs("1.2", 1)] == ["1"]


def test_starting_counts_and_a_finished_revision_stays_finished(store: Store, receive: Any) -> None:
    receive("1")
    plan(store)
    with store.begin() as work:
        Revisions(work).started("1.2", 1, worker="w1", at=NOW)
        assert Studies(work).get("1.2").state == "reading"
        assert Revisions(work).started("1.2", 1, worker="w2", at=NOW).attempts == 2
    finish(store, 1)
    with store.begin() as work:
        assert Revisions(work).started("1.2", 1, worker="w3", at=NOW).state == "read"
        assert Studies(work).get("1.2").state == "read"


def test_what_came_in_while_it_was_read_opens_the_study_again(store: Store, receive: Any) -> None:
    receive("1")
    plan(store)
    with store.begin() as work:
        Revisions(work).started("1.2", 1, worker="w1", at=NOW)
    receive("2")
    finish(store, 1)
    with store.read() as work:
        assert Studies(work).get("1.2").state == "arriving"
        assert Revisions(work).get("1.2", 1).state == "read"


def test_a_later_reading_supersedes_the_earlier(store: Store, receive: Any) -> None:
    receive("1")
    plan(store)
    finish(store, 1)
    receive("2")
    plan(store)
    finish(store, 2)
    with store.read() as work:
        earlier = Revisions(work).get("1.2", 1)
        latest, before = Readings(work).latest("1.2"), Readings(work).before("1.2", 2)
    assert (earlier.state, earlier.reason) == ("superseded", "revision 2 takes its place")
    assert (latest.revision if latest else 0, before.revision if before else 0) == (2, 1)


def test_a_failed_revision_supersedes_nothing(store: Store, receive: Any) -> None:
    receive("1")
    plan(store)
    finish(store, 1)
    plan(store, again=True)
    with store.begin() as work:
        Revisions(work).finished("1.2", 2, "failed", reason="disk", at=NOW)
        assert Revisions(work).get("1.2", 1).state == "read"
        assert (Studies(work).get("1.2").state, Studies(work).get("1.2").reason) == ("failed", "disk")


def test_a_withdrawn_reading_is_no_longer_the_latest(store: Store, receive: Any) -> None:
    receive("1")
    plan(store)
    finish(store, 1)
    with store.begin() as work:
        Readings(work).withdraw("1.2", reason="wrong side", at=NOW)
        assert Readings(work).latest("1.2") is None
        assert Studies(work).get("1.2").state == "withdrawn"
        with pytest.raises(NoSuchStudy, match="withdrawn"):
            Readings(work).withdraw("1.2", reason="again", at=NOW)


def test_what_no_queue_holds_is_enqueued_once(store: Store, receive: Any) -> None:
    receive("1")
    plan(store)
    with store.begin() as work:
        assert [one.number for one in Revisions(work).to_enqueue()] == [1]
        Revisions(work).enqueued("1.2", 1, at=NOW + timedelta(seconds=1))
        assert Revisions(work).to_enqueue() == ()
        assert [one.number for one in Revisions(work).unfinished()] == [1]


def test_a_reading_is_added_once(store: Store, receive: Any) -> None:
    receive("1")
    plan(store)
    with store.begin() as work:
        assert Readings(work).add(reading(1)) == Readings(work).add(reading(1, state="not-read"))
        assert Readings(work).find("1.2", 2) is None


def test_unknown_names_are_told(store: Store, receive: Any) -> None:
    receive("1")
    plan(store)
    with store.begin() as work:
        with pytest.raises(NoSuchStudy, match="revision 7"):
            Revisions(work).get("1.2", 7)
        with pytest.raises(ValueError, match="terminal"):
            Revisions(work).finished("1.2", 1, "reading", at=NOW)


def test_a_try_that_was_put_off_does_not_count(store: Store, receive: Any) -> None:
    receive("1")
    plan(store)
    with store.begin() as work:
        Revisions(work).started("1.2", 1, worker="w1", at=NOW)
        Revisions(work).put_off("1.2", 1)
        again = Revisions(work).started("1.2", 1, worker="w1", at=NOW)
    assert (again.state, again.attempts) == ("reading", 1)
