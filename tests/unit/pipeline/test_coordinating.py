"""What the coordinator begins: revisions of complete studies, due deliveries, and what was left lying."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from radiolucent.errors import NoSuchStudy
from radiolucent.ingest import assembly
from radiolucent.pipeline.coordinating import Coordinator, Patience
from radiolucent.pipeline.retention import Limits, keep_limits, remove_orphans
from radiolucent.pipeline.routing import Route
from radiolucent.store.archive import Archive
from radiolucent.store.deliveries import Deliveries
from radiolucent.store.instances import Associations, Instances, NewInstance, StudyHeader
from radiolucent.store.records import DeliveryRecord, RevisionRecord
from radiolucent.store.revisions import NewReading, Readings, Revisions
from radiolucent.store.studies import Studies
from radiolucent.store.unit_of_work import Store, open_store
from radiolucent.store.workers import Workers

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUIET = timedelta(seconds=21)


class MemoryQueues:
    """Queues in memory: what was put in, and what each workflow's state is said to be."""

    def __init__(self) -> None:
        self.revisions: list[RevisionRecord] = []
        self.deliveries: list[DeliveryRecord] = []
        self.said: dict[str, str] = {}
        self.alive: list[str] = []

    def read(self, revision: RevisionRecord) -> None:
        self.revisions.append(revision)

    def deliver(self, delivery: DeliveryRecord, *, place: int) -> None:
        self.deliveries.append(delivery)

    def delivery_states(self, deliveries: Sequence[DeliveryRecord]) -> dict[int, str]:
        return {one.id: self.said[str(one.id)] for one in deliveries if str(one.id) in self.said}

    def states(self, workflow_ids: Sequence[str]) -> dict[str, str]:
        return {one: self.said[one] for one in workflow_ids if one in self.said}

    def take_over(self, alive: Sequence[str]) -> int:
        self.alive = list(alive)
        return 0


class Scene:
    """A store, queues in memory, and a clock that is set by hand."""

    def __init__(self, folder: Path) -> None:
        self.store: Store = open_store("", folder)
        self.archive = Archive(root=folder, watermark_bytes=0)
        self.archive.prepare()
        self.queues, self.now = MemoryQueues(), NOW
        self.routes: tuple[Route, ...] = (Route(name="all", destinations=("pacs",)),)

    def coordinator(self) -> Coordinator:
        return Coordinator(
            store=self.store,
            queues=self.queues,
            routes=self.routes,
            engine_digests={"brain": "d1", "brain@1.0.0": "d1"},
            patience=Patience(assembly=assembly.Patience(quiet_s=20, partial_quiet_s=120, longest_wait_s=3600)),
            clock=lambda: self.now,
        )

    def receive(self, sop_uid: str, *, ended: bool = True, aborted: bool = False) -> None:
        place = self.archive.path_of("1.2", "1.2.1", sop_uid, sop_uid.rjust(64, "0"))
        source = self.archive.incoming / "one"
        source.write_bytes(b"12345")
        self.archive.keep(source, place)
        new = NewInstance(
            sop_instance_uid=sop_uid, sop_class_uid="1.2", series_instance_uid="1.2.1", study_instance_uid="1.2",
            transfer_syntax_uid="1.2", digest=sop_uid.rjust(64, "0"), path=place, size_bytes=5,
            source_kind="c-store", association_id="a" + sop_uid,
        )  # fmt: skip
        with self.store.begin() as work:
            Associations(work).opened(new.association_id, calling_ae="CT1", at=self.now)
            Instances(work).add(new, StudyHeader(modality="CT"), at=self.now)
            if ended:
                Associations(work).ended(new.association_id, aborted=aborted, at=self.now)

    def finish(self, number: int = 1, state: str = "read") -> None:
        with self.store.begin() as work:
            Revisions(work).started("1.2", number, worker="w", at=self.now)
            Readings(work).add(
                NewReading(
                    study_instance_uid="1.2",
                    revision=number,
                    state="read",
                    folder="f",
                    digest="d",
                    urgency=None,
                    positives="",
                    engines="",
                    made_at=self.now,
                )
            )
            Instances(work).finish([one.id for one in Revisions(work).inputs("1.2", number)], "read", revision=number)
            Revisions(work).finished("1.2", number, state, at=self.now)
            Deliveries(work).owe("1.2", number, ["pacs"], at=self.now)

    def state(self) -> str:
        with self.store.read() as work:
            return Studies(work).get("1.2").state


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "data")


def test_a_study_is_queued_once_it_is_complete_and_only_once(scene: Scene) -> None:
    scene.receive("1")
    assert scene.coordinator().turn() == 0
    scene.now += QUIET
    scene.coordinator().turn()
    scene.coordinator().turn()
    assert [one.number for one in scene.queues.revisions] == [1]
    assert scene.state() == "queued"


def test_an_open_association_keeps_a_study_open_and_an_aborted_one_longer(scene: Scene) -> None:
    scene.receive("1", ended=False)
    scene.now += QUIET
    scene.coordinator().turn()
    assert scene.state() == "arriving"
    with scene.store.begin() as work:
        Associations(work).ended("a1", aborted=True, at=scene.now)
    scene.now += QUIET
    scene.coordinator().turn()
    assert scene.state() == "arriving"
    scene.now += timedelta(seconds=120)
    scene.coordinator().turn()
    assert scene.state() == "queued"


def test_a_late_instance_makes_a_second_revision(scene: Scene) -> None:
    scene.receive("1")
    scene.now += QUIET
    scene.coordinator().turn()
    scene.finish()
    scene.receive("2")
    scene.now += QUIET
    scene.coordinator().turn()
    assert [one.number for one in scene.queues.revisions] == [1, 2]


def test_a_clock_that_was_set_back_stops_nothing_for_ever(scene: Scene) -> None:
    scene.receive("1")
    scene.now -= timedelta(hours=2)
    scene.coordinator().turn()
    scene.now += timedelta(hours=1)
    scene.coordinator().turn()
    assert scene.state() == "queued"


@pytest.mark.parametrize("routes", [(), (Route(name="off", read=False),)], ids=["no route", "read = false"])
def test_what_no_route_reads_is_kept_with_its_reason(scene: Scene, routes: tuple[Route, ...]) -> None:
    scene.routes = routes
    scene.receive("1")
    scene.now += QUIET
    scene.coordinator().turn()
    with scene.store.read() as work:
        study, (instance,) = Studies(work).get("1.2"), Instances(work).of_study("1.2")
    assert (study.state, instance.state) == ("kept", "kept")
    assert "route" in study.reason
    with pytest.raises(NoSuchStudy, match="can't be read again"):
        scene.coordinator().read_again("1.2")


def test_a_person_can_have_it_read_again(scene: Scene) -> None:
    scene.receive("1")
    scene.now += QUIET
    scene.coordinator().turn()
    scene.finish(state="failed")
    assert scene.coordinator().read_again("1.2").number == 2
    assert [one.number for one in scene.queues.revisions] == [1, 2]


def test_a_due_delivery_is_offered_once_and_again_when_nobody_took_it(scene: Scene) -> None:
    scene.receive("1")
    scene.now += QUIET
    scene.coordinator().turn()
    scene.finish()
    for _ in range(3):
        scene.coordinator().turn()
    assert len(scene.queues.deliveries) == 1
    scene.now += timedelta(minutes=3)
    scene.coordinator().turn()
    assert len(scene.queues.deliveries) == 2


def test_a_silent_worker_is_no_longer_among_the_living(scene: Scene) -> None:
    with scene.store.begin() as work:
        for name in ("a", "b"):
            Workers(work).alive(name, host="h", pid=1, role="worker", version="1", at=scene.now)
        Workers(work).heartbeat("a", pid=1, at=scene.now + timedelta(seconds=60))
    scene.now += timedelta(seconds=60)
    scene.coordinator().sweep()
    assert scene.queues.alive == ["a"]


@pytest.mark.parametrize(
    ("said", "state", "enqueued"),
    [(None, "queued", 2), ("PENDING", "queued", 1), ("ERROR", "failed", 1), ("SUCCESS", "failed", 1)],
)
def test_a_revision_whose_workflow_is_lost_or_over_is_mended(
    scene: Scene, said: str | None, state: str, enqueued: int
) -> None:
    scene.receive("1")
    scene.now += QUIET
    scene.coordinator().turn()
    if said:
        scene.queues.said[scene.queues.revisions[0].workflow_id] = said
    scene.coordinator().sweep()
    assert (scene.state(), len(scene.queues.revisions)) == (state, enqueued)


@pytest.mark.parametrize(("said", "state"), [(None, "waiting"), ("SUCCESS", "waiting"), ("PENDING", "sending")])
def test_a_delivery_whose_worker_was_lost_waits_again(scene: Scene, said: str | None, state: str) -> None:
    scene.receive("1")
    scene.now += QUIET
    scene.coordinator().turn()
    scene.finish()
    with scene.store.begin() as work:
        taken = Deliveries(work).take(1)
    if said:
        scene.queues.said[str(taken.id)] = said
    scene.coordinator().sweep()
    with scene.store.read() as work:
        assert Deliveries(work).get(1).state == state


LIMITS = pytest.mark.parametrize("limits", [Limits(maximum_bytes=1), Limits(maximum_days=1)], ids=["size", "age"])


@LIMITS
def test_retention_removes_what_is_at_its_end_and_keeps_the_rows(scene: Scene, limits: Limits) -> None:
    scene.receive("1")
    scene.now += QUIET
    scene.coordinator().turn()
    scene.finish()
    later = scene.now + timedelta(days=2)
    assert keep_limits(scene.store, scene.archive, limits, at=later) == 0  # not delivered yet
    with scene.store.begin() as work:
        Deliveries(work).take(1)
        Deliveries(work).give_up(1, reason="refused", at=scene.now)
    assert keep_limits(scene.store, scene.archive, limits, at=later) == 0  # a dead letter may be sent again
    with scene.store.begin() as work:
        Deliveries(work).delivered(1, receipt="{}", at=scene.now)
    assert keep_limits(scene.store, scene.archive, limits, at=later) == 1
    assert list(scene.archive.files()) == []
    with scene.store.read() as work:
        assert len(Instances(work).of_study("1.2")) == 1


@LIMITS
def test_retention_never_touches_what_was_not_read(scene: Scene, limits: Limits) -> None:
    scene.receive("1")
    later = scene.now + timedelta(days=9)
    assert keep_limits(scene.store, scene.archive, limits, at=later) == 0
    scene.now += QUIET
    scene.coordinator().turn()
    assert keep_limits(scene.store, scene.archive, limits, at=later) == 0
    scene.finish(state="failed")
    with scene.store.begin() as work:
        Deliveries(work).take(1)
        Deliveries(work).delivered(1, receipt="{}", at=scene.now)
    assert keep_limits(scene.store, scene.archive, limits, at=later) == 0
    assert len(list(scene.archive.files())) == 1


def test_only_old_files_without_a_row_are_orphans(scene: Scene) -> None:
    scene.receive("1")
    stray = scene.archive.root / scene.archive.path_of("9", "9", "9", "9" * 64)
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"x")
    assert remove_orphans(scene.store, scene.archive, at=datetime.now(UTC)) == 0
    assert remove_orphans(scene.store, scene.archive, at=datetime.now(UTC) + timedelta(days=2)) == 1
    assert len(list(scene.archive.files())) == 1
