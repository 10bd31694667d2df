"""Ways in, fetches, questions and comparisons as rows; on SQLite and on PostgreSQL."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from radiolucent.store.questions import ANSWERED, LATE, NOTHING, OPEN, Questions
from radiolucent.store.study_tables import StudyRow
from radiolucent.store.unit_of_work import Store
from radiolucent.store.ways import Fetches, Reconciliations, Ways

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Receive = Callable[..., Any]


def test_a_way_that_fails_keeps_since_when_and_how_often_until_it_works(store: Store) -> None:
    with store.begin() as work:
        ways = Ways(work)
        ways.begin(["folder", "pacs"])
        ways.works("folder", taken=3, at=NOW)
        ways.fails("pacs", "away", at=NOW, next_at=NOW + timedelta(seconds=30))
        ways.fails("pacs", "still away", at=NOW + timedelta(seconds=30), next_at=None)
    with store.read() as work:
        folder, pacs = Ways(work).list()
    assert (folder.name, folder.state, folder.taken, folder.ok_at) == ("folder", "ok", 3, NOW)
    assert (pacs.state, pacs.reason, pacs.failures, pacs.failed_at) == ("failing", "still away", 2, NOW)
    with store.begin() as work:
        Ways(work).works("pacs", at=NOW + timedelta(minutes=1))
    with store.read() as work:
        pacs = Ways(work).list()[1]
    assert (pacs.state, pacs.reason, pacs.failures) == ("ok", "", 0)


def test_a_fetch_is_noted_from_its_beginning(store: Store, receive: Receive) -> None:
    with store.begin() as work:
        fetches = Fetches(work)
        assert fetches.find("1.1", "pacs") is None
        assert fetches.begin("1.1", "pacs", purpose="prior", instances=2, at=NOW).state == "fetching"
        assert fetches.held("1.1") == 0
    receive("1.1.1", study="1.1", series="1.1.9")
    receive("1.1.2", study="1.1", series="1.1.9")
    with store.begin() as work:
        Fetches(work).ended("1.1", "pacs", reason="1 image could not be fetched", next_try_at=NOW)
    with store.read() as work:
        fetches = Fetches(work)
        [one] = fetches.of_study("1.1")
        assert (fetches.held("1.1"), fetches.held_by_series("1.1")) == (2, {"1.1.9": 2})
    assert (one.state, one.attempts, one.next_try_at) == ("failed", 1, NOW)
    with store.begin() as work:
        assert Fetches(work).begin("1.1", "pacs", purpose="prior", instances=3, at=NOW).attempts == 2
        Fetches(work).ended("1.1", "pacs")
    with store.read() as work:
        assert Fetches(work).of_study("1.1")[0].state == "fetched"


def due(store: Store, *, at: datetime = NOW, named: bool = True) -> list[str]:
    with store.read() as work:
        found = Questions(work).due("order", since=NOW - timedelta(hours=1), at=at, named=named)
    return [one.study_instance_uid for one in found]


def test_a_question_is_due_once_and_again_only_when_its_time_has_come(store: Store, receive: Receive) -> None:
    receive("1", study="1.1", patient_id="7")
    receive("2", study="1.2", patient_id="8", at=NOW + timedelta(seconds=1))
    receive("3", study="1.3")
    receive("4", study="1.4", patient_id="9", at=NOW - timedelta(hours=2))
    receive("5", study="1.5", patient_id="9")
    with store.begin() as work:
        work.session.get_one(StudyRow, "1.5").source_kind = "prior"
    assert due(store) == ["1.2", "1.1"]
    assert set(due(store, named=False)) == {"1.1", "1.2", "1.3"}
    with store.begin() as work:
        questions = Questions(work)
        questions.asked("1.1", "order", NOTHING, at=NOW)
        questions.asked("1.2", "order", OPEN, reason="away", at=NOW, next_try_at=NOW + timedelta(minutes=1))
        questions.asked("1.2", "priors", ANSWERED, answer=["1.9"], at=NOW)
    assert due(store) == []
    assert due(store, at=NOW + timedelta(hours=5)) == ["1.2"]


def test_an_answer_is_kept_and_names_nobody_in_its_text(store: Store, receive: Receive) -> None:
    receive("1", study="1.1", patient_id="7")
    with store.begin() as work:
        Questions(work).asked("1.1", "order", OPEN, reason="away", at=NOW, next_try_at=NOW)
        Questions(work).asked("1.1", "order", ANSWERED, answer={"patient_name": "Secret^Name"}, at=NOW)
        Questions(work).asked("1.1", "priors", LATE, answer=["1.9"], at=NOW)
    with store.read() as work:
        questions = Questions(work)
        order, priors = questions.of_study("1.1")
        assert questions.in_state("priors", LATE) == (priors,)
        assert questions.in_state("priors", ANSWERED) == ()
    assert (order.attempts, order.answer, order.first_at) == (2, {"patient_name": "Secret^Name"}, NOW)
    assert "Secret" not in repr(order)


def test_the_last_comparison_of_each_pacs_is_kept_beside_the_others(store: Store) -> None:
    with store.begin() as work:
        for pacs, differences in (("a", 1), ("b", 2), ("a", 3)):
            Reconciliations(work).add(pacs, differences=differences, body={"pacs": pacs}, at=NOW)
    with store.read() as work:
        latest = Reconciliations(work).latest()
    assert [(one.pacs, one.differences, one.body) for one in latest] == [
        ("a", 3, {"pacs": "a"}),
        ("b", 2, {"pacs": "b"}),
    ]
