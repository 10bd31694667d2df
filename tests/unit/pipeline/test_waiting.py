"""For what a complete study waits, how long, and that it is planned as soon as nothing keeps it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from radiolucent.phantom.studies import make_study
from radiolucent.pipeline.waiting import Waiting
from radiolucent.store.questions import ANSWERED, GIVEN_UP, LATE, NOTHING, OPEN, Questions
from radiolucent.store.records import StudyRecord
from radiolucent.store.studies import Studies
from radiolucent.store.unit_of_work import Store
from tests.unit.pipeline.pacs_in_memory import NOW, hand_over, installation
from tests.unit.pipeline.test_coordinating import QUIET, Scene


class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def arrived(tmp_path: Path) -> Iterator[tuple[Store, StudyRecord]]:
    study = make_study("head-ct", seed=1, slices=1, rows=32)
    store, receiver = installation(tmp_path / "data")
    hand_over(study, receiver, tmp_path / "in")
    with store.read() as work:
        found = Studies(work).get(str(study.datasets[0].StudyInstanceUID))
    yield store, replace(found, priority="live")
    store.close()


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ({}, (True, True)),
        ({"priority": "stat"}, (False, True)),
        ({"source_kind": "prior"}, (False, False)),
        ({"patient_id": ""}, (False, False)),
    ],
    ids=str,
)
def test_who_waits_for_what(
    arrived: tuple[Store, StudyRecord], change: dict[str, str], holds: tuple[bool, bool]
) -> None:
    store, study = arrived
    study = replace(study, **change)  # type: ignore[arg-type]
    waits = [Waiting(store=store, priors_s=60, clock=Clock()), Waiting(store=store, order_s=10, clock=Clock())]
    assert tuple(one.holds(study) for one in waits) == holds
    assert not Waiting(store=store, clock=Clock()).holds(study)


@pytest.mark.parametrize("state", [OPEN, ANSWERED, NOTHING, LATE, GIVEN_UP])
def test_any_answer_and_no_answer_ends_the_waiting(arrived: tuple[Store, StudyRecord], state: str) -> None:
    store, study = arrived
    with store.begin() as work:
        Questions(work).asked(study.study_instance_uid, "priors", state, at=NOW)
    assert not Waiting(store=store, priors_s=60, clock=Clock()).holds(study)


@pytest.mark.parametrize(("passed_s", "holds"), [(59, True), (60, False), (-59, True), (-3600, False)])
def test_it_ends_by_itself_also_where_the_clock_was_set(
    arrived: tuple[Store, StudyRecord], passed_s: float, holds: bool
) -> None:
    store, study = arrived
    clock = Clock()
    clock.now = study.last_received_at + timedelta(seconds=passed_s)
    assert Waiting(store=store, priors_s=60, clock=clock).holds(study) is holds


def test_a_study_that_is_held_is_planned_once_nothing_holds_it(tmp_path: Path) -> None:
    scene, held = Scene(tmp_path / "data"), {"1.2"}
    coordinator = replace(scene.coordinator(), holds=lambda study: study.study_instance_uid in held)
    scene.receive("1")
    scene.now += QUIET
    coordinator.turn()
    assert (scene.queues.revisions, scene.state()) == ([], "arriving")
    held.clear()
    coordinator.turn()
    assert ([one.number for one in scene.queues.revisions], scene.state()) == ([1], "queued")
