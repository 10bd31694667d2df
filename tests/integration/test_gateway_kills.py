"""SIGKILL of the whole gateway, then of its worker, at each point of a study's route: nothing is lost or doubled."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from radiolucent.phantom.studies import PhantomStudy, make_study
from tests.integration.gateways import DONE_WITHIN_S, RunningGateway, wait_for

Met = Callable[[RunningGateway, str], bool]


def some(query: str) -> Met:
    return lambda gateway, study: bool(gateway.rows(query, study))


POINTS: dict[str, Met] = {
    "first instance kept": some("select 1 from instances where study_instance_uid = ?"),
    "association over": some(
        "select 1 from associations a join instances i on i.association_id = a.association_id "
        "where i.study_instance_uid = ? and a.closed_at is not null"
    ),
    "revision planned": some("select 1 from revisions where study_instance_uid = ?"),
    "revision enqueued": some("select 1 from revisions where study_instance_uid = ? and enqueued_at is not null"),
    "worker began": some("select 1 from revisions where study_instance_uid = ? and state = 'reading'"),
    "results half written": lambda gateway, study: any((gateway.data / "readings" / study).glob(".1-*")),
    "results written, not noted": lambda gateway, study: (gateway.data / "readings" / study / "1").exists(),
    "reading noted": some("select 1 from readings where study_instance_uid = ?"),
    "delivery owed": some("select 1 from deliveries where study_instance_uid = ?"),
    "delivery in hand": some("select 1 from deliveries where study_instance_uid = ? and attempts > 0"),
    "delivery noted": some("select 1 from deliveries where study_instance_uid = ? and state = 'delivered'"),
}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    if shutil.which("storescu") is None:
        pytest.skip("needs storescu: run scripts/install-peers")
    running = RunningGateway(home=tmp_path_factory.mktemp("gateway"))
    running.start()
    yield running
    running.stop()


def files(study: PhantomStudy, folder: Path) -> list[Path]:
    study.save(folder)
    return sorted(folder.glob("*.dcm"))


def kill_worker(gateway: RunningGateway) -> None:
    """SIGKILL to the process that reads and delivers; the gateway lives on and must notice."""
    ((process,),) = gateway.rows("select pid from workers where role = 'worker'")
    os.kill(int(str(process)), signal.SIGKILL)


@pytest.mark.parametrize("victim", ["gateway", "worker"])
@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_nothing_is_lost_and_nothing_doubled(
    gateway: RunningGateway, tmp_path: Path, point: str, victim: str, counted: Callable[[str], None]
) -> None:
    phantom = make_study("brain-mr", seed=100 * (1 + (victim == "worker")) + list(POINTS).index(point), slices=6)
    uid = str(phantom.datasets[0].StudyInstanceUID)
    sent = files(phantom, tmp_path / "study")

    sender = gateway.send(sent)
    wait_for(lambda: POINTS[point](gateway, uid), DONE_WITHIN_S, point, every_s=0.002)
    if victim == "gateway":
        gateway.kill()
        all_acknowledged = sender.wait(60) == 0
        gateway.start()
        if not all_acknowledged:  # as a sender does that got no answer
            assert gateway.send(sent).wait(120) == 0
    else:
        kill_worker(gateway)
        assert sender.wait(120) == 0
    wait_for(lambda: gateway.is_done(uid), DONE_WITHIN_S, "the study to be done")

    kept = gateway.rows("select state, path from instances where study_instance_uid = ?", uid)
    revisions = gateway.rows("select number, state, attempts from revisions where study_instance_uid = ?", uid)
    assert len(kept) == len(sent)
    assert {state for state, _ in kept} <= {"read", "refused"}
    assert all((gateway.data / str(path)).is_file() for _, path in kept)
    assert len(revisions) == 1
    delivered, made = gateway.delivered(uid), gateway.made(uid)
    assert set(made) == {1}
    assert set(delivered) == made[1]
    assert set(delivered.values()) == {1}
    counted(
        f"{victim} killed, {point}: {len(kept)} of {len(sent)} kept, {len(delivered)} objects delivered once, "
        f"revision {revisions[0]}"
    )
