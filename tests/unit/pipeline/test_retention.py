"""What retention may remove: one open thing of a study, of any kind, keeps all its images."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from radiolucent.errors import SetupError
from radiolucent.phantom.studies import PhantomStudy, make_study
from radiolucent.pipeline.retention import EXPLANATIONS, Limits, forget_explanations, keep_limits
from radiolucent.store.archive import Archive
from radiolucent.store.deliveries import Deliveries
from radiolucent.store.instances import Instances
from radiolucent.store.revisions import Revisions
from radiolucent.store.site import Site
from radiolucent.store.states import DELIVERY_STATES, INSTANCE_STATES, REVISION_STATES, STUDY_STATES, State
from radiolucent.store.study_tables import DeliveryRow, InstanceRow, RevisionRow, StudyRow
from radiolucent.store.unit_of_work import Store
from tests.unit.pipeline.pacs_in_memory import NOW, hand_over, installation

LATER = NOW + timedelta(days=30)


@dataclass
class Scene:
    """Two studies of one patient; the first was read and delivered."""

    store: Store
    archive: Archive
    first: str
    second: str

    def set(self, table: type, state: str) -> None:
        with self.store.begin() as work:
            work.session.execute(update(table).where(table.study_instance_uid == self.first).values(state=state))  # type: ignore[attr-defined]

    def removed(self) -> int:
        return keep_limits(self.store, self.archive, Limits(maximum_days=1), at=LATER)


@pytest.fixture(scope="module")
def studies() -> list[PhantomStudy]:
    return [make_study("head-ct", seed=seed, slices=2, rows=32) for seed in (1, 2)]


@pytest.fixture
def scene(tmp_path: Path, studies: list[PhantomStudy]) -> Iterator[Scene]:
    store, receiver = installation(tmp_path / "data")
    for study in studies:
        hand_over(study, receiver, tmp_path / "in")
    first, second = (str(study.datasets[0].StudyInstanceUID) for study in studies)
    with store.begin() as work:
        inputs = Instances(work).of_study(first)
        made = Revisions(work).plan(first, inputs, ["e"], made_at=NOW)
        assert made is not None
        Instances(work).finish([one.id for one in inputs], "read", revision=1)
        Revisions(work).finished(first, 1, "read", at=NOW)
        [owed] = Deliveries(work).owe(first, 1, ["pacs"], at=NOW)
        Deliveries(work).take(owed.id)
        Deliveries(work).delivered(owed.id, receipt="{}", at=NOW)
    yield Scene(store, Archive(root=tmp_path / "data", watermark_bytes=0), first, second)
    store.close()


def test_a_study_of_which_everything_is_at_its_end_goes(scene: Scene) -> None:
    assert scene.removed() == 2
    assert scene.removed() == 0


@pytest.mark.parametrize(
    ("table", "state"),
    [
        *((StudyRow, one) for one in STUDY_STATES),
        *((InstanceRow, one) for one in INSTANCE_STATES),
        *((RevisionRow, one) for one in REVISION_STATES),
        *((DeliveryRow, one) for one in DELIVERY_STATES),
    ],
    ids=lambda one: one.name if isinstance(one, State) else one.__tablename__,
)
def test_one_thing_that_is_not_at_its_end_keeps_all_images(scene: Scene, table: type, state: State) -> None:
    scene.set(table, state.name)
    goes = state.terminal and not (table is StudyRow and state.name == "failed")
    assert scene.removed() == (2 if goes else 0)
    assert len(list(scene.archive.files())) == (2 if goes else 4)


def test_the_prior_of_a_study_that_is_to_be_read_stays_until_then(scene: Scene) -> None:
    with scene.store.begin() as work:
        inputs = Instances(work).of_study(scene.second)
        Revisions(work).plan(scene.second, inputs, ["e"], made_at=NOW, prior_study_instance_uid=scene.first)
    assert scene.removed() == 0
    with scene.store.begin() as work:
        Revisions(work).finished(scene.second, 1, "failed", at=NOW)
    assert scene.removed() == 2


def test_maps_made_on_request_are_kept_as_long_and_as_many_as_the_site_says(scene: Scene) -> None:
    folder = scene.store.folder / EXPLANATIONS
    folder.mkdir()
    for name, days in (("new", 1), ("old", 40)):
        (folder / f"{name}.npz").write_bytes(b"x" * 2**20)
        made = (NOW - timedelta(days=days)).timestamp()
        os.utime(folder / f"{name}.npz", (made, made))
    assert forget_explanations(scene.store, at=NOW) == 1
    assert [path.stem for path in folder.iterdir()] == ["new"]
    with scene.store.begin() as work:
        Site(work).set("explanation_mib", "0")
    assert forget_explanations(scene.store, at=NOW) == 1
    with pytest.raises(SetupError, match="whole number"), scene.store.begin() as work:
        Site(work).set("explanation_days", "-1")
