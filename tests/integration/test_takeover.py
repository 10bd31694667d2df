"""Several processes on one PostgreSQL: a dead one's studies go to the living, and no release strands another's."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from radiolucent.phantom.studies import make_study
from tests.integration.gateways import DONE_WITHIN_S, RunningGateway, wait_for
from tests.integration.postgres import Postgres
from tests.integration.senders import tool

WORK = 'workers = 0\nengines = ["brain-mri"]\n'
EARLIER = "from radiolucent.pipeline import workflows; workflows.VERSION = 'workflows-0'"
"""What a release was that had other steps: the same program under another version of its workflows."""


class Site:
    """A gateway without workers of its own, and workers beside it."""

    def __init__(self, home: Path, cluster: Postgres) -> None:
        self.gateway = RunningGateway(home=home, database=cluster.database("site"), work=WORK, dead_after_s=6)
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.cluster = cluster
        self.half_read: tuple[str, list[Path]] = ("", [])
        self.queued: tuple[str, list[Path]] = ("", [])

    def begin(self, name: str) -> None:
        self.workers[name] = self.gateway.worker(name)

    def send(self, seed: int) -> tuple[str, list[Path]]:
        phantom = make_study("brain-mr", seed=seed, slices=6)
        folder = self.gateway.home / f"study-{seed}"
        phantom.save(folder)
        files = sorted(folder.glob("*.dcm"))
        assert self.gateway.send(files).wait(60) == 0
        return str(phantom.datasets[0].StudyInstanceUID), files

    def revision(self, study: str) -> tuple[str, str, int]:
        """State, worker and attempts of its one revision."""
        found = self.gateway.rows("select state, worker, attempts from revisions where study_instance_uid = ?", study)
        state, worker, attempts = found[0] if found else ("", "", 0)
        return str(state), str(worker), int(str(attempts))

    def until_read_by_someone(self, study: str) -> str:
        wait_for(lambda: self.revision(study)[0] == "reading", DONE_WITHIN_S, "a worker to begin", every_s=0.01)
        return self.revision(study)[1]

    def kill(self, name: str) -> None:
        os.killpg(self.workers[name].pid, signal.SIGKILL)
        self.workers.pop(name).wait()

    def ends_well(self, study: str, files: list[Path]) -> None:
        wait_for(lambda: self.gateway.is_done(study), DONE_WITHIN_S, "the study to be done")
        kept = self.gateway.rows("select state, path from instances where study_instance_uid = ?", study)
        assert len(kept) == len(files)
        assert {state for state, _ in kept} <= {"read", "refused"}
        delivered, made = self.gateway.delivered(study), self.gateway.made(study)
        assert set(made) == {1}
        assert set(delivered) == made[1]
        assert set(delivered.values()) == {1}

    def stop(self) -> None:
        for process in self.workers.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        for process in self.workers.values():
            process.wait(60)
        self.workers.clear()
        self.gateway.stop()


@pytest.fixture(scope="module")
def site(cluster: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One that begins with what yesterday's release left: a study in the queue and one half read by a dead worker."""
    tool("storescu")
    running = Site(tmp_path_factory.mktemp("site"), cluster)
    running.gateway.program = EARLIER
    running.gateway.start()
    running.begin("old")
    running.half_read = running.send(1)
    running.until_read_by_someone(running.half_read[0])
    running.kill("old")
    running.queued = running.send(2)
    enqueued = "select 1 from revisions where study_instance_uid = ? and enqueued_at is not null"
    wait_for(lambda: bool(running.gateway.rows(enqueued, running.queued[0])), 60, "the second to be queued")
    running.gateway.kill()

    running.gateway.program = ""
    running.gateway.start()
    running.begin("one")
    running.begin("two")
    yield running
    running.stop()


def test_another_release_reads_what_yesterdays_left_queued_and_half_read(site: Site) -> None:
    for study, files in (site.half_read, site.queued):
        site.ends_well(study, files)
        assert site.revision(study)[1] in ("one", "two")
    left = "select workflow_uuid from dbos.workflow_status where application_version = 'workflows-0'"
    unfinished = f"{left} and status in ('PENDING', 'ENQUEUED')"
    assert site.gateway.rows(unfinished) == []


def test_a_living_worker_takes_over_and_the_dead_one_stays_dead(site: Site) -> None:
    study, files = site.send(3)
    first = site.until_read_by_someone(study)
    site.kill(first)
    site.ends_well(study, files)
    (other,) = site.workers
    state, worker, attempts = site.revision(study)
    assert (state, worker, attempts) == ("read", other, 2)
    assert site.gateway.rows("select state from workers where executor_id = ?", first) == [("dead",)]


def test_a_worker_that_hung_and_woke_up_doubles_nothing(site: Site) -> None:
    site.begin("three")
    study, files = site.send(4)
    hung = site.until_read_by_someone(study)
    os.killpg(site.workers[hung].pid, signal.SIGSTOP)
    wait_for(lambda: site.revision(study)[2] == 2, DONE_WITHIN_S, "another to begin")
    wait_for(lambda: site.gateway.is_done(study), DONE_WITHIN_S, "another to finish")
    os.killpg(site.workers[hung].pid, signal.SIGCONT)
    alive = [("alive",)]
    heard = "select state from workers where executor_id = ?"
    wait_for(lambda: site.gateway.rows(heard, hung) == alive, 60, "the one that hung to be heard of again")
    site.ends_well(study, files)
    assert site.revision(study)[2] == 2
    assert site.workers[hung].poll() is None


def test_while_the_database_is_away_nothing_is_acknowledged_and_then_all_goes_on(site: Site) -> None:
    study, files = site.send(5)
    site.until_read_by_someone(study)
    site.cluster.stop()
    phantom = make_study("brain-mr", seed=6, slices=6)
    phantom.save(site.gateway.home / "away")
    away = sorted((site.gateway.home / "away").glob("*.dcm"))
    refused = site.gateway.send(away).wait(120)
    site.cluster.start()
    uid = str(phantom.datasets[0].StudyInstanceUID)
    assert refused != 0
    assert site.gateway.rows("select 1 from instances where study_instance_uid = ?", uid) == []
    assert site.gateway.send(away).wait(120) == 0
    site.ends_well(study, files)
    site.ends_well(uid, away)
    assert all(process.poll() is None for process in site.workers.values())
