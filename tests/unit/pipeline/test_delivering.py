"""One try of one delivery: made once, counted, repeated after a crash, given up in the end; and what is taken back."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest

from radiolucent.errors import EncodingError, FinalDelivery, NoSuchStudy, RetriableDelivery, SetupError
from radiolucent.pipeline.delivering import Dispatch, Place, deliver, withdraw
from radiolucent.pipeline.messages import load_withdrawal
from radiolucent.pipeline.places import place
from radiolucent.results.destinations import Package, Receipt
from radiolucent.store.deliveries import Deliveries
from radiolucent.store.instances import Instances, NewInstance, StudyHeader
from radiolucent.store.records import DeliveryRecord
from radiolucent.store.revisions import NewReading, Readings, Revisions
from radiolucent.store.site import Site
from radiolucent.store.unit_of_work import Store, open_store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Pacs:
    """Takes packages, or raises what it is told to."""

    name = "pacs"

    def __init__(self) -> None:
        self.got: list[Package] = []
        self.trouble: Exception | None = None

    def deliver(self, package: Package) -> Receipt:
        if self.trouble:
            raise self.trouble
        self.got.append(package)
        return Receipt(destination=self.name, delivered=("1.2.3",))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One read study whose result is owed to a PACS."""
    made = open_store("", tmp_path / "data")
    messages = made.folder / "readings/1.2/1/messages"
    messages.mkdir(parents=True)
    told = {"status": "preliminary", "refused": {"oru": "the patient ID is missing"}, "order": None}
    (messages / "status.json").write_text(json.dumps(told), encoding="utf-8")
    new = NewInstance(
        sop_instance_uid="1", sop_class_uid="1.2", series_instance_uid="1.2.1", study_instance_uid="1.2",
        transfer_syntax_uid="1.2", digest="d", path="p", size_bytes=1, source_kind="c-store", association_id="a",
    )  # fmt: skip
    with made.begin() as work:
        one = Instances(work).add(new, StudyHeader(modality="CT"), at=NOW)
        Revisions(work).plan("1.2", [one], ["e"], made_at=NOW)
        Readings(work).add(
            NewReading(
                study_instance_uid="1.2",
                revision=1,
                state="read",
                folder="readings/1.2/1",
                digest="d",
                urgency=None,
                positives="",
                engines="",
                made_at=NOW,
            )
        )
        Deliveries(work).owe("1.2", 1, ["pacs"], at=NOW)
    return made


@pytest.fixture
def pacs() -> Pacs:
    return Pacs()


def dispatch(store: Store, pacs: Pacs, *, needs: str = "", at: datetime = NOW) -> Dispatch:
    return Dispatch(
        store=store, places={"pacs": Place(destination=pacs, needs=needs)}, clock=lambda: at, random=Random(1)
    )


def row(store: Store, delivery_id: int = 1) -> DeliveryRecord:
    with store.read() as work:
        return Deliveries(work).get(delivery_id)


def test_a_delivery_that_is_confirmed_keeps_its_receipt(store: Store, pacs: Pacs) -> None:
    assert deliver(dispatch(store, pacs), 1, 1) == "delivered"
    assert json.loads(row(store).receipt)["delivered"] == ["1.2.3"]
    assert (pacs.got[0].study_instance_uid, pacs.got[0].revision) == ("1.2", 1)


def test_the_same_try_again_sends_nothing(store: Store, pacs: Pacs) -> None:
    for _ in range(2):
        deliver(dispatch(store, pacs), 1, 1)
    assert deliver(dispatch(store, pacs), 1, 2) == "delivered"
    assert len(pacs.got) == 1


def test_a_try_that_was_cut_short_is_made_again(store: Store, pacs: Pacs) -> None:
    with store.begin() as work:
        Deliveries(work).take(1)
    assert deliver(dispatch(store, pacs), 1, 1) == "delivered"
    assert (len(pacs.got), row(store).attempts) == (1, 1)


def test_a_try_that_failed_and_is_replayed_does_not_count_as_the_next(store: Store, pacs: Pacs) -> None:
    pacs.trouble = RetriableDelivery("down", destination="pacs")
    assert deliver(dispatch(store, pacs), 1, 1) == "waiting"
    pacs.trouble = None
    assert deliver(dispatch(store, pacs), 1, 1) == "waiting"
    assert (pacs.got, row(store).attempts, row(store).state) == ([], 1, "waiting")


def test_waits_grow_from_seconds_to_hours_and_end_in_the_dead_letters(store: Store, pacs: Pacs) -> None:
    pacs.trouble = RetriableDelivery("down", destination="pacs")
    at, waits = NOW, []
    for attempt in range(1, 60):
        if deliver(dispatch(store, pacs, at=at), 1, attempt) == "dead":
            break
        due = row(store).next_try_at
        assert due is not None
        waits.append((due - at).total_seconds())
        at = due
    assert waits[0] <= 5
    assert max(waits) > 3600
    assert (row(store).state, "given up" in row(store).reason) == ("dead", True)
    assert at - NOW >= timedelta(hours=72)


@pytest.mark.parametrize(
    ("trouble", "state"),
    [
        (FinalDelivery("refused", destination="pacs"), "dead"),
        (OSError("disk"), "waiting"),
        (ZeroDivisionError("a bug"), "waiting"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_is_refused_for_good_is_dead_and_what_is_unforeseen_is_tried_again(
    store: Store, pacs: Pacs, trouble: Exception, state: str
) -> None:
    pacs.trouble = trouble
    assert deliver(dispatch(store, pacs), 1, 1) == state
    assert row(store).reason


def test_a_message_that_could_not_be_written_is_a_dead_letter_and_not_silence(store: Store, pacs: Pacs) -> None:
    assert deliver(dispatch(store, pacs, needs="oru"), 1, 1) == "dead"
    assert row(store).reason == "the patient ID is missing"


def test_a_destination_that_left_the_settings_is_told(store: Store) -> None:
    assert deliver(Dispatch(store=store, places={}, clock=lambda: NOW), 1, 1) == "dead"
    assert "no longer in the settings" in row(store).reason


@pytest.mark.parametrize("sent", [True, False], ids=["after it was sent", "before it was sent"])
def test_a_withdrawal_goes_where_the_result_went(store: Store, pacs: Pacs, sent: bool) -> None:
    if sent:
        deliver(dispatch(store, pacs), 1, 1)
    assert withdraw(store, "1.2", reason="wrong side", actor="me", at=NOW) == int(sent)
    if sent:
        assert deliver(dispatch(store, pacs), 2, 1) == "delivered"
        assert pacs.got[-1].status == "withdrawn"
    else:
        assert row(store).state == "cancelled"
    with pytest.raises(NoSuchStudy):
        withdraw(store, "1.2", reason="again", actor="me", at=NOW)


def test_what_takes_back_waits_for_the_result_that_is_on_its_way(store: Store, pacs: Pacs) -> None:
    with store.begin() as work:
        Deliveries(work).take(1)
    assert withdraw(store, "1.2", reason="wrong side", actor="me", at=NOW) == 1
    assert deliver(dispatch(store, pacs), 2, 1) == "waiting"
    assert (pacs.got, "on its way" in row(store, 2).reason) == ([], True)
    assert deliver(dispatch(store, pacs), 1, 1) == "delivered"
    assert deliver(dispatch(store, pacs, at=NOW + timedelta(hours=1)), 2, 2) == "delivered"
    assert [one.status for one in pacs.got] == ["preliminary", "withdrawn"]


def test_only_a_withdrawn_reading_is_taken_back(store: Store) -> None:
    with store.read() as work:
        kept = Readings(work).latest("1.2")
    assert kept is not None
    with pytest.raises(EncodingError, match="isn't withdrawn"):
        load_withdrawal(store, kept)


PLAIN = {"name": "x", "host": "127.0.0.1", "port": 1, "called_ae": "P", "calling_ae": "R", "url": "http://127.0.0.1:1",
         "token": "t", "preset": "everything", "commitment": "no", "metadata": "4001", "tls": None, "timeout_s": 1.0,
         "folder": Path("out"), "first_retry_s": 1.0, "longest_retry_s": 10.0, "give_up_after_h": 1.0}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "needs", "early"),
    [
        ("folder", "", False),
        ("cstore", "", False),
        ("stow", "", False),
        ("mllp", "oru", True),
        ("fhir", "fhir", True),
        ("orthanc-flag", "", True),
    ],
)
def test_every_kind_of_destination_can_be_made(kind: str, needs: str, early: bool) -> None:
    make: Callable[..., Place] = place
    made = make(kind, **PLAIN)
    assert (made.destination.name, made.needs, made.early) == ("x", needs, early)
    assert made.policy.give_up_after_s == 3600


def test_metadata_that_an_archive_keeps_for_itself_are_refused_at_start() -> None:
    make: Callable[..., Place] = place
    with pytest.raises(SetupError, match="metadata"):
        make("orthanc-flag", **{**PLAIN, "metadata": "7"})


def test_nothing_is_sent_while_the_ai_is_stopped_and_goes_out_once_it_runs_again(store: Store, pacs: Pacs) -> None:
    with store.begin() as work:
        Site(work).set("ai_stopped", "a reason")
    assert deliver(dispatch(store, pacs), 1, 1) == "waiting"
    assert pacs.got == []
    with store.begin() as work:
        Site(work).set("ai_stopped", "")
    assert deliver(dispatch(store, pacs, at=NOW + timedelta(hours=1)), 1, 2) == "delivered"
    assert len(pacs.got) == 1
