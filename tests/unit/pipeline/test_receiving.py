"""What the store's receiver answers, and what is on disk and in the rows by then."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from radiolucent.audit.events import InstanceReceived
from radiolucent.ingest.receiving import Outcome, ReceivedInstance, Way, identify
from radiolucent.phantom.studies import make_study
from radiolucent.pipeline.receiving import StoreReceiver, priority, start_receiving
from radiolucent.store.archive import Archive
from radiolucent.store.audit import AuditTrail, Filter
from radiolucent.store.instances import Instances
from radiolucent.store.studies import Studies
from radiolucent.store.unit_of_work import Store, open_store
from radiolucent.store.ways import Fetches

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
Offer = Callable[..., ReceivedInstance]


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("study")
    make_study("brain-mr", seed=3, slices=4).save(folder)
    return sorted(folder.glob("*.dcm"))


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store("", tmp_path / "data")


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    made = Archive(root=tmp_path / "data", watermark_bytes=0)
    made.prepare()
    return made


@pytest.fixture
def offer(images: list[Path], archive: Archive) -> Offer:
    """An instance as a way in hands it over; `change` edits its header first."""

    def make(
        index: int = 0, *, change: Callable[[Dataset], None] | None = None, way: Way = Way.C_STORE
    ) -> ReceivedInstance:
        path = archive.incoming / f"{index}.part"
        if change is None:
            shutil.copyfile(images[index], path)
        else:
            dataset = dcmread(images[index])
            change(dataset)
            dataset.save_as(path, enforce_file_format=True)
        return identify(path, way=way, association_id="a1", calling_ae="CT1")

    return make


def test_a_stored_object_is_in_the_archive_the_rows_and_the_trail(store: Store, archive: Archive, offer: Offer) -> None:
    woken: list[int] = []
    instance = offer()
    receiver = StoreReceiver(store, archive, on_change=lambda: woken.append(1), clock=lambda: NOW)
    assert receiver.receive(instance) is Outcome.STORED
    with store.read() as work:
        kept = Instances(work).used(instance.sop_instance_uid)
        study = Studies(work).get(instance.study_instance_uid)
        told = AuditTrail(work).find(Filter())
    assert kept is not None
    assert (archive.root / kept.path).is_file()
    assert not instance.path.exists()
    assert (study.state, study.modalities, study.calling_ae) == ("arriving", "MR", "CT1")
    assert isinstance(told[0].event, InstanceReceived)
    assert woken == [1]


def test_the_same_object_again_is_a_duplicate_and_no_second_file(store: Store, archive: Archive, offer: Offer) -> None:
    receiver = StoreReceiver(store, archive)
    assert [receiver.receive(offer()), receiver.receive(offer())] == [Outcome.STORED, Outcome.DUPLICATE]
    assert len(list(archive.files())) == 1


def test_other_content_under_the_same_uid_is_kept_and_not_used(store: Store, archive: Archive, offer: Offer) -> None:
    receiver = StoreReceiver(store, archive)
    receiver.receive(offer())

    def other(dataset: Dataset) -> None:
        dataset.SeriesDescription = "another"

    again = offer(change=other)
    assert receiver.receive(again) is Outcome.CONFLICT
    with store.read() as work:
        states = [one.state for one in Instances(work).of_study(again.study_instance_uid)]
    assert states == ["received", "conflict"]
    assert len(list(archive.files())) == 2


def test_a_conflict_that_names_another_study_is_filed_with_the_first(
    store: Store, archive: Archive, offer: Offer
) -> None:
    receiver = StoreReceiver(store, archive)
    first = offer()
    receiver.receive(first)

    def elsewhere(dataset: Dataset) -> None:
        dataset.StudyInstanceUID = "1.2.3"

    assert receiver.receive(offer(change=elsewhere)) is Outcome.CONFLICT
    with store.read() as work:
        assert Studies(work).find("1.2.3") is None
        assert len(Instances(work).of_study(first.study_instance_uid)) == 2


def test_at_the_watermark_the_sender_keeps_it_and_the_refusal_is_noted(
    store: Store, archive: Archive, offer: Offer
) -> None:
    full = Archive(root=archive.root, watermark_bytes=1 << 60)
    instance = offer()
    assert StoreReceiver(store, full, clock=lambda: NOW).receive(instance) is Outcome.OUT_OF_SPACE
    with store.read() as work:
        (away,) = Instances(work).turned_away()
        assert Instances(work).counts() == {}
    assert (away.outcome, away.sop_instance_uid) == ("out-of-space", instance.sop_instance_uid)
    assert instance.path.exists()


def test_an_aborted_association_leaves_a_partial_study(store: Store, archive: Archive, offer: Offer) -> None:
    receiver = StoreReceiver(store, archive)
    instance = offer()
    receiver.receive(instance)
    receiver.association_ended("a1", aborted=True)
    with store.read() as work:
        assert Studies(work).get(instance.study_instance_uid).partial


def test_after_a_crash_half_received_files_go_and_associations_end(
    store: Store, archive: Archive, offer: Offer
) -> None:
    StoreReceiver(store, archive).receive(offer(0))
    offer(1)
    assert start_receiving(store, archive, at=NOW) == (1, 1)


@pytest.mark.parametrize(
    ("header", "yields", "expected"),
    [
        ({}, False, "live"),
        ({"RequestedProcedurePriority": "STAT"}, False, "stat"),
        ({"StudyDate": "20260228"}, False, "live"),
        ({"StudyDate": "20251101"}, False, "backfill"),
        ({"StudyDate": "20251101", "RequestedProcedurePriority": "HIGH"}, False, "stat"),
        ({"StudyDate": "not a date"}, False, "live"),
        ({"StudyDate": "20260301"}, True, "backfill"),
        ({"StudyDate": "20251101", "RequestedProcedurePriority": "STAT"}, True, "backfill"),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR DA")
def test_priority_follows_header_age_and_purpose(header: dict[str, str], yields: bool, expected: str) -> None:
    dataset = Dataset()
    for keyword, value in header.items():
        setattr(dataset, keyword, value)
    assert priority(dataset, yields=yields, today=NOW, old=timedelta(days=3)) == expected


def test_the_same_object_in_another_transfer_syntax_is_a_duplicate(
    store: Store, archive: Archive, offer: Offer
) -> None:
    receiver = StoreReceiver(store, archive)
    first = offer()
    receiver.receive(first)
    again = offer(change=lambda dataset: dataset.compress(RLELossless, generate_instance_uid=False))
    assert again.digest != first.digest
    assert receiver.receive(again) is Outcome.DUPLICATE
    assert len(list(archive.files())) == 1
    with store.read() as work:
        assert [one.state for one in Instances(work).of_study(first.study_instance_uid)] == ["received"]


@dataclass(frozen=True)
class OneComesFirst(Archive):
    """While a file is moved into it, another sender's object gets its row."""

    meanwhile: list[Callable[[], object]] = field(default_factory=list)

    def keep(self, source: Path, place: str) -> Path:
        while self.meanwhile:
            self.meanwhile.pop()()
        return super().keep(source, place)


def _compressed(dataset: Dataset) -> None:
    dataset.compress(RLELossless, generate_instance_uid=False)


def _edited(dataset: Dataset) -> None:
    dataset.SeriesDescription = "another"


@pytest.mark.parametrize(
    ("change", "expected", "states"),
    [
        (_compressed, Outcome.DUPLICATE, ["received"]),
        (_edited, Outcome.CONFLICT, ["received", "conflict"]),
        (None, Outcome.DUPLICATE, ["received"]),
    ],
    ids=["another syntax", "another object", "the same bytes"],
)
def test_two_senders_at_one_instant_are_told_apart_like_two_in_turn(
    store: Store,
    archive: Archive,
    offer: Offer,
    change: Callable[[Dataset], None] | None,
    expected: Outcome,
    states: list[str],
) -> None:
    slow = OneComesFirst(root=archive.root, watermark_bytes=0)
    second = offer(change=change)
    second = replace(second, path=second.path.rename(archive.incoming / "second.part"))
    first = offer()
    outcomes: list[Outcome] = []
    slow.meanwhile.append(lambda: outcomes.append(StoreReceiver(store, archive).receive(first)))

    outcomes.append(StoreReceiver(store, slow).receive(second))

    assert outcomes == [Outcome.STORED, expected]
    with store.read() as work:
        kept = Instances(work).of_study(first.study_instance_uid)
    assert [one.state for one in kept] == states
    assert all((archive.root / one.path).is_file() for one in kept)


def test_once_the_first_was_removed_it_is_not_known_to_be_the_same(
    store: Store, archive: Archive, offer: Offer
) -> None:
    receiver = StoreReceiver(store, archive)
    receiver.receive(first := offer())
    with store.begin() as work:
        (kept,) = Instances(work).of_study(first.study_instance_uid)
        Instances(work).removed([kept.id], at=NOW)
    again = offer(change=lambda dataset: dataset.compress(RLELossless, generate_instance_uid=False))
    assert receiver.receive(again) is Outcome.CONFLICT


@pytest.mark.parametrize(
    ("purpose", "source", "priority"),
    [
        ("prior", "prior", "backfill"),
        ("watched-pacs", "watched-pacs", "live"),
        ("backfill", "watched-pacs", "backfill"),
    ],
)
def test_what_comes_by_c_move_came_for_the_purpose_it_was_fetched_for(
    store: Store, archive: Archive, offer: Offer, purpose: str, source: str, priority: str
) -> None:
    def today(dataset: Dataset) -> None:
        dataset.StudyDate = "20260301"

    instance = offer(change=today)
    uid = instance.study_instance_uid
    with store.begin() as work:
        Fetches(work).begin(uid, "pacs", purpose=purpose, instances=4, at=NOW)
    StoreReceiver(store, archive, clock=lambda: NOW).receive(instance)
    with store.read() as work:
        study = Studies(work).get(uid)
    assert (study.source_kind, study.priority, study.expected_instances) == (source, priority, 4)


def test_what_comes_after_a_fetch_has_ended_is_no_part_of_it(store: Store, archive: Archive, offer: Offer) -> None:
    instance = offer()
    with store.begin() as work:
        Fetches(work).begin(instance.study_instance_uid, "pacs", purpose="prior", instances=4, at=NOW)
        Fetches(work).ended(instance.study_instance_uid, "pacs")
    StoreReceiver(store, archive).receive(instance)
    with store.read() as work:
        study = Studies(work).get(instance.study_instance_uid)
    assert (study.source_kind, study.expected_instances) == ("c-store", None)


def test_a_result_of_this_gateway_that_a_pacs_sends_back_is_no_new_image(
    store: Store, archive: Archive, offer: Offer
) -> None:
    instance = offer()
    folder = store.folder / "readings" / instance.study_instance_uid / "1" / "dicom"
    folder.mkdir(parents=True)
    shutil.copyfile(instance.path, folder / "overlay.dcm")
    assert StoreReceiver(store, archive).receive(instance) is Outcome.DUPLICATE
    with store.read() as work:
        assert Studies(work).find(instance.study_instance_uid) is None
