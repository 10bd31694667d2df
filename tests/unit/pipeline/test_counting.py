"""How many images a study will have, by what the PACS holds: believed once it doesn't grow."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.errors import QueryFailed
from radiolucent.ingest.pacs import SeriesMatch
from radiolucent.phantom.studies import PhantomStudy, make_study
from radiolucent.pipeline.counting import NO_IMAGES, Counting, expected_instances
from radiolucent.pipeline.receiving import StoreReceiver
from radiolucent.store.studies import Studies
from radiolucent.store.unit_of_work import Store
from radiolucent.store.ways import Fetches
from tests.unit.pipeline.pacs_in_memory import NOW, SmallPacs, hand_over, installation


@dataclass
class Scene:
    store: Store
    receiver: StoreReceiver
    pacs: SmallPacs
    study: PhantomStudy
    folder: Path
    now: datetime = NOW

    @property
    def uid(self) -> str:
        return str(self.study.datasets[0].StudyInstanceUID)

    def part(self, count: int) -> PhantomStudy:
        return replace(self.study, datasets=self.study.datasets[:count])

    def expected(self) -> int | None:
        with self.store.read() as work:
            return Studies(work).get(self.uid).expected_instances


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    study = make_study("head-ct", seed=1, slices=4, rows=32)
    store, receiver = installation(tmp_path / "data")
    made = Scene(store, receiver, SmallPacs(folder=tmp_path / "pacs"), study, tmp_path / "in")
    hand_over(made.part(2), receiver, tmp_path / "in")
    yield made
    store.close()


def test_a_number_is_believed_once_it_was_said_twice_some_seconds_apart(scene: Scene) -> None:
    counting = Counting(store=scene.store, pacs=[scene.pacs], clock=lambda: scene.now)
    counting.turn()
    assert scene.expected() is None  # the PACS has nothing of it
    scene.pacs.studies = [scene.part(3)]
    counting.turn()
    scene.pacs.studies = [scene.study]
    scene.now += timedelta(seconds=5)
    counting.turn()
    assert scene.expected() is None  # it was still growing
    scene.now += timedelta(seconds=1)
    counting.turn()
    assert scene.expected() is None  # too soon after
    scene.now += timedelta(seconds=2)
    counting.turn()
    assert scene.expected() == 4


def test_a_pacs_that_lags_behind_makes_no_study_complete(scene: Scene) -> None:
    scene.pacs.studies = [scene.part(1)]
    counting = Counting(store=scene.store, pacs=[scene.pacs], clock=lambda: scene.now)
    for _ in range(2):
        counting.turn()
        scene.now += timedelta(seconds=3)
    assert scene.expected() == 2  # what is here, never less


def test_what_is_fetched_and_what_was_read_is_not_asked_for(scene: Scene) -> None:
    scene.pacs.away = True
    counting = Counting(store=scene.store, pacs=[scene.pacs], clock=lambda: scene.now)
    with pytest.raises(QueryFailed):
        counting.turn()
    with scene.store.begin() as work:
        Fetches(work).begin(scene.uid, "pacs", purpose="prior", instances=4, at=NOW)
    assert counting.turn() is None
    with scene.store.begin() as work:
        Fetches(work).ended(scene.uid, "pacs")
        Studies(work).set_state(scene.uid, "read")
    assert counting.turn() is None


_SERIES = st.lists(
    st.builds(
        SeriesMatch,
        series_instance_uid=st.sampled_from(["1", "2", "3"]),
        modality=st.sampled_from(["CT", "SR"]),
        instances=st.none() | st.integers(0, 50),
    ),
    unique_by=lambda one: one.series_instance_uid,
)


@given(st.dictionaries(st.sampled_from(["1", "2", "3"]), st.integers(1, 50)), _SERIES)
def test_never_fewer_than_are_here_and_no_report_is_waited_for(held: dict[str, int], series: list[SeriesMatch]) -> None:
    expected = expected_instances(held, series)
    assert (expected == 0) if not series else expected >= sum(held.values())
    images = [one for one in series if one.modality not in NO_IMAGES]
    if all(one.series_instance_uid not in held for one in series):
        assert expected == (sum(held.values()) + sum(one.instances or 0 for one in images) if series else 0)
