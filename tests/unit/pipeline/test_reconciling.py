"""Two lists of studies laid side by side: what one has and the other hasn't, and once a night by itself."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from radiolucent.errors import QueryFailed
from radiolucent.phantom.studies import PhantomStudy, make_study
from radiolucent.pipeline import reconciling
from radiolucent.pipeline.receiving import StoreReceiver
from radiolucent.pipeline.reconciling import DailyReconciling, reconcile
from radiolucent.store.unit_of_work import Store
from radiolucent.store.ways import Reconciliations
from tests.unit.pipeline.pacs_in_memory import SmallPacs, hand_over, installation

DAY = date(2026, 3, 1)


def study(number: int, day: date = DAY, slices: int = 2) -> PhantomStudy:
    made = make_study("head-ct", seed=number, slices=slices, rows=32)
    for dataset in made.datasets:
        dataset.StudyDate = f"{day:%Y%m%d}"
    return made


def uid(one: PhantomStudy) -> str:
    return str(one.datasets[0].StudyInstanceUID)


@dataclass
class Scene:
    store: Store
    receiver: StoreReceiver
    pacs: SmallPacs
    folder: Path

    def receive(self, *studies: PhantomStudy) -> None:
        for one in studies:
            hand_over(one, self.receiver, self.folder)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    store, receiver = installation(tmp_path / "data")
    yield Scene(store, receiver, SmallPacs(folder=tmp_path / "pacs"), tmp_path / "in")
    store.close()


def test_each_kind_of_difference_is_told_with_its_counts(scene: Scene) -> None:
    both, only_there, only_here, fewer = (study(number) for number in range(1, 5))
    scene.receive(both, only_here, replace(fewer, datasets=fewer.datasets[:1]))
    scene.pacs.studies = [both, only_there, fewer]
    found = reconcile(scene.store, scene.pacs, since=DAY, until=DAY)
    assert [(one.study_instance_uid, one.theirs) for one in found.never_seen] == [(uid(only_there), 2)]
    assert [(one.study_instance_uid, one.ours, one.state) for one in found.not_there] == [
        (uid(only_here), 2, "arriving")
    ]
    assert [(one.study_instance_uid, one.theirs, one.ours) for one in found.different] == [(uid(fewer), 2, 1)]
    assert (found.compared, found.differences) == (2, 3)
    assert str(both.datasets[0].PatientID) not in str(found.as_json())


def test_nothing_differs_where_both_hold_the_same(scene: Scene) -> None:
    one = study(1)
    scene.receive(one)
    scene.pacs.studies = [one]
    found = reconcile(scene.store, scene.pacs, since=DAY - timedelta(days=2), until=DAY)
    assert (found.compared, found.differences) == (1, 0)


def test_results_of_this_gateway_that_the_pacs_counts_are_no_difference(scene: Scene) -> None:
    one = study(1, slices=3)
    scene.receive(replace(one, datasets=one.datasets[:2]))
    scene.pacs.studies = [one]
    assert reconcile(scene.store, scene.pacs, since=DAY, until=DAY).differences == 1
    folder = scene.store.folder / "readings" / uid(one) / "1" / "dicom"
    folder.mkdir(parents=True)
    one.datasets[2].save_as(folder / "result.dcm", enforce_file_format=True)
    assert reconcile(scene.store, scene.pacs, since=DAY, until=DAY).differences == 0


def test_a_study_with_another_date_there_is_found_by_its_uid(scene: Scene) -> None:
    ours, theirs = study(1), study(1, DAY + timedelta(days=1))
    scene.receive(ours)
    scene.pacs.studies = [theirs]
    assert reconcile(scene.store, scene.pacs, since=DAY, until=DAY).differences == 0
    assert (
        reconcile(scene.store, scene.pacs, since=DAY + timedelta(days=1), until=DAY + timedelta(days=1)).compared == 1
    )


def test_only_the_modalities_that_are_meant_are_compared(scene: Scene) -> None:
    scene.receive(study(1))
    assert reconcile(scene.store, scene.pacs, since=DAY, until=DAY, modalities=("MR",)).differences == 0
    assert reconcile(scene.store, scene.pacs, since=DAY, until=DAY, modalities=("CT",)).differences == 1


def test_a_pacs_that_may_have_left_some_out_is_asked_in_halves(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciling, "MOST_AT_ONCE", 2)
    scene.pacs.studies = [study(number, DAY + timedelta(days=number)) for number in range(5)]
    found = reconcile(scene.store, scene.pacs, since=DAY, until=DAY + timedelta(days=9))
    assert [one.study_date for one in found.never_seen] == [f"2026030{day}" for day in range(1, 6)]
    scene.pacs.studies += [study(5)]
    with pytest.raises(QueryFailed, match="name modalities"):
        reconcile(scene.store, scene.pacs, since=DAY, until=DAY + timedelta(days=9))


def test_once_a_night_after_its_hour_and_again_where_a_pacs_was_away(scene: Scene) -> None:
    now = datetime(2026, 3, 2, 3, 29, tzinfo=UTC)
    daily = DailyReconciling(store=scene.store, pacs=[scene.pacs], at="03:30", days=1, clock=lambda: now)
    scene.pacs.studies = [study(1)]
    assert daily.turn() == []
    now += timedelta(minutes=1)
    scene.pacs.away = True
    with pytest.raises(QueryFailed):
        daily.turn()
    scene.pacs.away = False
    assert [one.differences for one in daily.turn()] == [1]
    assert daily.turn() == []
    now += timedelta(days=1)
    [found] = daily.turn()
    assert (found.since, found.differences) == ("20260302", 0)
    with scene.store.read() as work:
        [kept] = Reconciliations(work).latest()
    assert (kept.pacs, kept.differences, kept.body["until"]) == ("pacs", 0, "20260302")
