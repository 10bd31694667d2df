"""Priors of a study that came in: fetched once, in time or after it was read, and never sent anywhere."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from radiolucent.errors import NoSuchStudy, QueryFailed
from radiolucent.ingest.priors import PriorTerms
from radiolucent.phantom.studies import PhantomStudy, make_study
from radiolucent.pipeline.priors import PriorSearch
from radiolucent.pipeline.receiving import StoreReceiver
from radiolucent.pipeline.revisions import Bench, owe_deliveries
from radiolucent.pipeline.routing import Route, choose_route
from radiolucent.pipeline.waiting import Waiting
from radiolucent.store.instances import Instances
from radiolucent.store.questions import Questions
from radiolucent.store.revisions import Revisions
from radiolucent.store.studies import Studies
from radiolucent.store.study_tables import StudyRow
from radiolucent.store.unit_of_work import Store
from radiolucent.store.ways import Fetches
from tests.unit.pipeline.kept import alerts_of, keep, open_kept
from tests.unit.pipeline.pacs_in_memory import NOW, SmallPacs, hand_over, installation
from tests.unit.results.messages import readings


@pytest.fixture(scope="module")
def studies() -> tuple[PhantomStudy, PhantomStudy]:
    now = make_study("head-ct", ("subdural-haemorrhage",), seed=41, slices=3, rows=64)
    return now, make_study("head-ct", seed=42, prior_of=now, slices=3, rows=64)


@dataclass
class Scene:
    """A gateway that has just received a study whose prior is in a PACS."""

    store: Store
    receiver: StoreReceiver
    pacs: SmallPacs
    now: PhantomStudy
    before: PhantomStudy
    at: datetime = NOW
    again: list[str] = field(default_factory=list)

    @property
    def uid(self) -> str:
        return str(self.now.datasets[0].StudyInstanceUID)

    @property
    def prior_uid(self) -> str:
        return str(self.before.datasets[0].StudyInstanceUID)

    def search(self, **more: Any) -> PriorSearch:
        told: dict[str, Any] = {
            "store": self.store,
            "pacs": [self.pacs],
            "receiver": self.receiver,
            "terms": PriorTerms(oldest_days=20_000),
            "read_again": self.again.append,
            "clock": lambda: self.at,
        }
        return PriorSearch(**(told | more))

    def state(self) -> str:
        with self.store.read() as work:
            question = Questions(work).find(self.uid, "priors")
        return question.state if question else "not asked"

    def read(self, prior: str = "") -> None:
        """The study is planned and read, compared with `prior`."""
        with self.store.begin() as work:
            inputs = Instances(work).of_study(self.uid)
            made = Revisions(work).plan(self.uid, inputs, ["e"], made_at=NOW, prior_study_instance_uid=prior)
            assert made is not None
            Instances(work).finish([one.id for one in inputs], "read", revision=made.number)
            Revisions(work).finished(self.uid, made.number, "read", at=NOW)

    def waits(self) -> bool:
        with self.store.read() as work:
            study = Studies(work).get(self.uid)
        return Waiting(store=self.store, priors_s=60, clock=lambda: self.at).holds(study)


@pytest.fixture
def scene(tmp_path: Path, studies: tuple[PhantomStudy, PhantomStudy]) -> Iterator[Scene]:
    store, receiver = installation(tmp_path / "data")
    now, before = studies
    hand_over(now, receiver, tmp_path / "in")
    pacs = SmallPacs(folder=tmp_path / "pacs", studies=[now, before])
    yield Scene(store=store, receiver=receiver, pacs=pacs, now=now, before=before)
    store.close()


def test_the_prior_is_here_before_the_study_is_read_and_is_not_asked_for_again(scene: Scene) -> None:
    assert scene.waits()
    assert scene.search().turn() == 3
    assert (scene.state(), scene.waits()) == ("answered", False)
    with scene.store.read() as work:
        prior = Studies(work).prior_of(Studies(work).get(scene.uid))
    assert prior is not None
    assert prior.study_instance_uid == scene.prior_uid
    assert (prior.source_kind, prior.priority, prior.expected_instances) == ("prior", "backfill", 3)
    asked = len(scene.pacs.asked)
    assert scene.search().turn() is None
    assert (len(scene.pacs.asked), scene.pacs.fetched) == (asked, [scene.prior_uid])


def test_a_prior_is_read_but_goes_nowhere_and_looks_for_no_prior_of_its_own(scene: Scene) -> None:
    scene.search().turn()
    with scene.store.read() as work:
        prior, study = Studies(work).get(scene.prior_uid), Studies(work).get(scene.uid)
        assert Questions(work).find(scene.prior_uid, "priors") is None
    routes = (Route(name="all", destinations=("pacs",)),)
    assert choose_route(prior, routes) == replace(routes[0], destinations=())
    assert choose_route(study, routes) == routes[0]


def test_what_a_prior_shows_alerts_nobody_and_is_owed_to_no_one(tmp_path: Path) -> None:
    store = open_kept(tmp_path)
    reading = readings()["critical"]
    study = keep(store, reading).study_instance_uid
    bench = Bench(store=store, engines=(), routes=(Route(name="all", destinations=("pacs",)),), worker="w")
    with store.begin() as work:
        work.session.get_one(StudyRow, study).source_kind = "prior"
    assert owe_deliveries(bench, study, 1) == []
    assert alerts_of(store, study) == {}
    with store.begin() as work:
        work.session.get_one(StudyRow, study).source_kind = "c-store"
    assert len(owe_deliveries(bench, study, 1)) == 1
    assert alerts_of(store, study) != {}
    store.close()


def test_two_studies_of_one_patient_fetch_their_prior_once(scene: Scene, tmp_path: Path) -> None:
    other = make_study("head-ct", seed=43, prior_of=scene.now, slices=1, rows=64)
    for dataset in other.datasets:
        dataset.StudyInstanceUID, dataset.StudyDate = "2.25.77", scene.now.datasets[0].StudyDate
        dataset.SeriesInstanceUID, dataset.SOPInstanceUID = "2.25.78", "2.25.79"
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    hand_over(other, scene.receiver, tmp_path / "in")
    assert scene.search().turn() == 3
    assert scene.pacs.fetched == [scene.prior_uid]
    with scene.store.read() as work:
        assert {one.state for uid in (scene.uid, "2.25.77") for one in Questions(work).of_study(uid)} == {"answered"}


def test_a_prior_that_is_here_is_not_fetched(scene: Scene, tmp_path: Path) -> None:
    hand_over(scene.before, scene.receiver, tmp_path / "in")
    assert scene.search().turn() == 0
    assert (scene.state(), scene.pacs.fetched) == ("answered", [])


def test_who_has_no_prior_waits_for_none(scene: Scene) -> None:
    scene.pacs.studies = [scene.now]
    scene.search().turn()
    assert (scene.state(), scene.waits()) == ("nothing", False)


def test_a_study_waits_no_longer_than_it_is_told(scene: Scene) -> None:
    assert scene.waits()
    scene.at = NOW + timedelta(seconds=61)
    assert not scene.waits()


def test_an_urgent_study_does_not_wait_and_is_read_again_once_its_prior_is_here(scene: Scene) -> None:
    with scene.store.begin() as work:
        Studies(work).hurry(scene.uid)
    assert not scene.waits()
    scene.read()
    scene.search().turn()
    assert scene.again == [scene.uid]
    scene.search().turn()
    assert (scene.again, scene.state()) == ([scene.uid], "answered")


def test_a_study_that_was_compared_with_it_already_is_not_read_again(scene: Scene) -> None:
    scene.read(prior=scene.prior_uid)
    scene.search().turn()
    assert (scene.again, scene.state()) == ([], "answered")


def test_a_site_can_leave_a_study_as_it_was_read(scene: Scene) -> None:
    scene.read()
    scene.search(read_again=None).turn()
    assert (scene.again, scene.state()) == ([], "answered")


def test_a_study_that_can_not_be_read_again_ends_the_matter(scene: Scene) -> None:
    def refuse(_uid: str) -> None:
        raise NoSuchStudy("its images were removed")

    scene.read()
    scene.search(read_again=refuse).turn()
    assert scene.state() == "answered"


def test_a_pacs_that_is_away_holds_nobody_up_and_is_asked_later_and_later(scene: Scene) -> None:
    scene.pacs.away = True
    with pytest.raises(QueryFailed, match="pacs"):
        scene.search().turn()
    assert (scene.state(), scene.waits()) == ("open", False)
    assert scene.search().turn() is None  # not due yet
    scene.pacs.away, scene.at = False, NOW + timedelta(seconds=16)
    assert scene.search().turn() == 3
    assert scene.state() == "answered"


def test_a_pacs_that_stays_away_is_given_up(scene: Scene) -> None:
    scene.pacs.away = True
    with pytest.raises(QueryFailed):
        scene.search().turn()
    scene.at = NOW + timedelta(hours=5, minutes=59)
    with pytest.raises(QueryFailed):
        scene.search().turn()
    assert scene.state() == "open"
    scene.at = NOW + timedelta(hours=6, minutes=20)
    with pytest.raises(QueryFailed):
        scene.search().turn()
    assert scene.state() == "given-up"
    assert scene.search().turn() is None


def test_studies_of_long_ago_are_not_asked_about(scene: Scene) -> None:
    scene.at = NOW + timedelta(hours=7)
    assert scene.search().turn() is None
    assert scene.state() == "not asked"


def test_a_retrieval_that_breaks_off_is_tried_again(scene: Scene) -> None:
    scene.pacs.breaks = True
    with pytest.raises(QueryFailed, match="broke off"):
        scene.search().turn()
    scene.pacs.breaks, scene.at = False, NOW + timedelta(seconds=31)
    assert scene.search().turn() == 3


def test_a_prior_that_is_still_coming_is_none_yet(scene: Scene) -> None:
    with scene.store.begin() as work:
        Fetches(work).begin(scene.prior_uid, "pacs", purpose="prior", instances=3, at=NOW)
    with scene.store.read() as work:
        assert Studies(work).prior_of(Studies(work).get(scene.uid)) is None
