"""The order of a study: asked of the worklist, and what it adds to a message where the images say nothing."""

from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from radiolucent.errors import QueryFailed
from radiolucent.ingest.dimse_peer import DimsePeer
from radiolucent.ingest.worklist import Order
from radiolucent.phantom.studies import make_study
from radiolucent.pipeline.ordering import OrderSearch, filled, order_facts
from radiolucent.pipeline.waiting import Waiting
from radiolucent.results.order import OrderFacts
from radiolucent.store.questions import ANSWERED, NOTHING, Questions
from radiolucent.store.studies import Studies
from radiolucent.store.unit_of_work import Store
from tests.unit.pipeline.pacs_in_memory import NOW, hand_over, installation

ORDER = Order(
    patient_id="7",
    patient_name="Other^Name",
    accession_number="A1",
    placer_order_number="P1",
    filler_order_number="F1",
    visit_number="V1",
    procedure_code=("24725-4", "LN", "CT Head"),
)


def test_only_what_the_images_leave_empty_is_taken_from_the_order() -> None:
    facts = OrderFacts(patient_id="7", patient_name="Their^Name", accession_number="OWN")
    made = filled(facts, asdict(ORDER))
    assert (made.accession_number, made.patient_name) == ("OWN", "Their^Name")
    assert (made.placer_order_number, made.filler_order_number, made.visit_number) == ("P1", "F1", "V1")
    assert made.procedure is not None
    assert made.procedure.value == "24725-4"


def test_an_order_of_another_patient_adds_nothing() -> None:
    facts = OrderFacts(patient_id="8")
    assert filled(facts, asdict(ORDER)) is facts


@pytest.fixture
def arrived(tmp_path: Path) -> Iterator[tuple[Store, str]]:
    study = make_study("head-ct", seed=1, slices=1, rows=32)
    store, receiver = installation(tmp_path / "data")
    hand_over(study, receiver, tmp_path / "in")
    yield store, str(study.datasets[0].StudyInstanceUID)
    store.close()


def test_the_facts_of_a_study_take_in_the_order_that_was_found(arrived: tuple[Store, str]) -> None:
    store, uid = arrived
    facts = OrderFacts(patient_id="7")
    with store.begin() as work:
        assert order_facts(work, uid, facts) is facts
        Questions(work).asked(uid, "order", NOTHING, at=NOW)
        assert order_facts(work, uid, facts) is facts
        Questions(work).asked(uid, "order", ANSWERED, answer=asdict(ORDER), at=NOW)
        assert order_facts(work, uid, facts).placer_order_number == "P1"
        assert "Other" not in repr(Questions(work).of_study(uid))


# pynetdicom leaves a socket that never connected to the garbage collector
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_worklist_that_is_away_is_asked_again_and_given_up(arrived: tuple[Store, str]) -> None:
    store, uid = arrived
    now = NOW
    away = DimsePeer(name="worklist", host="127.0.0.1", port=1, called_ae="RIS", timeout_s=1)

    def clock() -> datetime:
        return now

    search = OrderSearch(store=store, worklist=away, clock=clock)
    with store.read() as work:
        study = Studies(work).get(uid)
    waiting = Waiting(store=store, order_s=10, clock=clock)
    assert waiting.holds(study)
    with pytest.raises(QueryFailed, match="worklist"):
        search.turn()
    assert not waiting.holds(study)
    assert search.turn() is None
    now = NOW + timedelta(minutes=30)
    with pytest.raises(QueryFailed):
        search.turn()
    now = NOW + timedelta(minutes=90)
    with pytest.raises(QueryFailed):
        search.turn()
    with store.read() as work:
        question = Questions(work).find(uid, "order")
    assert question is not None
    assert (question.state, question.attempts) == ("given-up", 3)
