"""The ledger of fetches: nothing twice, nothing for ever, and what was made here is not missed."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from radiolucent.errors import QueryFailed
from radiolucent.ingest.pacs import Fetched, SeriesMatch, StudyMatch
from radiolucent.ingest.receiving import Way
from radiolucent.phantom.studies import PhantomStudy, make_study
from radiolucent.pipeline.fetching import FetchLedger
from radiolucent.pipeline.own_results import own_results
from radiolucent.pipeline.receiving import StoreReceiver
from radiolucent.store.studies import Studies
from radiolucent.store.unit_of_work import Store
from radiolucent.store.ways import Fetches
from tests.unit.pipeline.pacs_in_memory import NOW, SmallPacs, installation, match_of


class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(scope="module")
def study() -> PhantomStudy:
    return make_study("head-ct", seed=1, slices=2, rows=32)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[tuple[Store, StoreReceiver]]:
    store, receiver = installation(tmp_path / "data")
    yield store, receiver
    store.close()


def ledger_of(store: Store, clock: Clock) -> FetchLedger:
    return FetchLedger(store=store, pacs="pacs", purpose="watched-pacs", clock=clock)


def test_what_was_fetched_is_not_fetched_again_unless_it_grew(
    place: tuple[Store, StoreReceiver], study: PhantomStudy, tmp_path: Path
) -> None:
    store, receiver = place
    ledger, match = ledger_of(store, Clock()), match_of(study)
    assert ledger.may_fetch(match)
    ledger.fetch(SmallPacs(folder=tmp_path / "p", studies=[study]), match, receiver, way=Way.WATCHED_PACS)
    assert ledger.held(match.study_instance_uid) == 2
    assert not ledger.may_fetch(match)
    assert ledger.may_fetch(StudyMatch(study_instance_uid=match.study_instance_uid, instances=3))


def test_what_failed_waits_longer_each_time(
    place: tuple[Store, StoreReceiver], study: PhantomStudy, tmp_path: Path
) -> None:
    store, receiver = place
    clock = Clock()
    ledger, match = ledger_of(store, clock), match_of(study)
    pacs = SmallPacs(folder=tmp_path / "p", breaks=True)
    waits = []
    for _ in range(3):
        with pytest.raises(QueryFailed):
            ledger.fetch(pacs, match, receiver, way=Way.WATCHED_PACS)
        assert not ledger.may_fetch(match)
        with store.read() as work:
            fetch = Fetches(work).find(match.study_instance_uid, "pacs")
        assert fetch is not None
        assert fetch.next_try_at is not None
        waits.append((fetch.next_try_at - clock.now).total_seconds())
        clock.now = fetch.next_try_at
        assert ledger.may_fetch(match)
    assert waits == [30, 60, 120]


class Broken(SmallPacs):
    def fetch(self, *_: object, **__: object) -> Fetched:
        raise ZeroDivisionError("patient 7")


def test_whatever_ends_a_fetch_ends_it_in_the_ledger_too(
    place: tuple[Store, StoreReceiver], study: PhantomStudy, tmp_path: Path
) -> None:
    store, receiver = place
    ledger, match = ledger_of(store, Clock()), match_of(study)
    with pytest.raises(ZeroDivisionError):
        ledger.fetch(Broken(folder=tmp_path / "p"), match, receiver, way=Way.PRIOR)
    with store.read() as work:
        [fetch] = Fetches(work).of_study(match.study_instance_uid)
    assert (fetch.state, fetch.reason) == ("failed", "ZeroDivisionError: see the log")


def test_after_a_whole_fetch_nothing_more_is_waited_for(
    place: tuple[Store, StoreReceiver], study: PhantomStudy, tmp_path: Path
) -> None:
    """Not every object that a PACS counts comes, or is kept."""
    store, receiver = place
    ledger, said = (
        ledger_of(store, Clock()),
        StudyMatch(study_instance_uid=match_of(study).study_instance_uid, instances=9),
    )
    ledger.fetch(SmallPacs(folder=tmp_path / "p", studies=[study]), said, receiver, way=Way.WATCHED_PACS)
    with store.read() as work:
        assert Studies(work).get(said.study_instance_uid).expected_instances == 2


def test_while_it_is_fetched_it_waits_for_as_many_as_the_pacs_says(
    place: tuple[Store, StoreReceiver], study: PhantomStudy, tmp_path: Path
) -> None:
    store, receiver = place
    ledger, match = ledger_of(store, Clock()), match_of(study)
    SmallPacs(folder=tmp_path / "p", studies=[study]).fetch(match.study_instance_uid, receiver, way=Way.C_STORE)
    ledger.begin(StudyMatch(study_instance_uid=match.study_instance_uid, instances=5))
    with store.read() as work:
        assert Studies(work).get(match.study_instance_uid).expected_instances == 5


def test_series_that_were_made_here_are_not_missed(
    place: tuple[Store, StoreReceiver], study: PhantomStudy, tmp_path: Path
) -> None:
    store, receiver = place
    ledger, uid = ledger_of(store, Clock()), match_of(study).study_instance_uid
    pacs = SmallPacs(folder=tmp_path / "p", studies=[study])
    pacs.fetch(uid, receiver, way=Way.C_STORE)
    theirs = pacs.find_series(uid)
    ours = SeriesMatch(series_instance_uid="1.2.3.9", instances=4)
    assert not ledger.lacks(uid, theirs)
    assert ledger.lacks(uid, (*theirs, ours))
    folder = store.folder / "readings" / uid / "1" / "dicom"
    folder.mkdir(parents=True)
    result = make_study("head-ct", seed=2, slices=1, rows=32).datasets[0]
    result.SeriesInstanceUID = "1.2.3.9"
    result.save_as(folder / "overlay.dcm", enforce_file_format=True)
    (folder / "half.dcm").write_bytes(b"half written")
    assert own_results(store.folder, uid).instances == {str(result.SOPInstanceUID)}
    assert not ledger.lacks(uid, (*theirs, ours))
