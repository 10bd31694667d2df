"""What goes wrong around a running gateway: peers, disk, senders, clock. After each: nothing lost, nothing doubled.

One gateway for all of it, with a RIS that misbehaves, on a disk of its own and a clock that the tests set.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from radiolucent.phantom.studies import make_study
from tests.integration.gateways import DONE_WITHIN_S, RunningGateway, wait_for
from tests.integration.outgoing import Ris, ris
from tests.integration.raw_peer import RawPeer, data_value, encoded, store_command

DISK_MIB, WATERMARK_MIB = 192, 48
HOUR_S = 3600.0
ENDED = ("read", "refused")


@dataclass
class Site:
    """A gateway, its disk, its clock, the RIS, and what was acknowledged."""

    gateway: RunningGateway
    ris: Ris
    clock: Path
    acknowledged: dict[str, set[str]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def make(self, seed: int) -> tuple[str, list[Path]]:
        phantom = make_study("brain-mr", seed=seed, slices=3)
        folder = self.gateway.home / f"study-{seed}"
        phantom.save(folder)
        uid = str(phantom.datasets[0].StudyInstanceUID)
        return uid, sorted(folder.glob("*.dcm"))

    def send(self, seed: int) -> str:
        """A study from a sender that tries until all is acknowledged."""
        uid, files = self.make(seed)
        assert self.gateway.send(files).wait(120) == 0
        self.acknowledged[uid] = {path.name for path in files}
        return uid

    def delivery(self, study: str, destination: str = "ris") -> tuple[str, int, str]:
        """State, attempts and reason of what is owed to a destination."""
        query = (
            "select state, attempts, reason from deliveries where study_instance_uid = ? and destination = ? "
            "order by revision desc"
        )
        found = self.gateway.rows(query, study, destination)
        state, attempts, reason = found[0] if found else ("", 0, "")
        return str(state), int(str(attempts)), str(reason)

    def revisions(self, study: str, destination: str) -> set[int]:
        """Those whose result a destination has; others were superseded before they were sent."""
        query = (
            "select revision from deliveries where study_instance_uid = ? and destination = ? and state = 'delivered'"
        )
        return {int(str(number)) for (number,) in self.gateway.rows(query, study, destination)}

    def is_over(self, study: str) -> bool:
        """The study is at its end, and both destinations have the result of its latest revision."""
        ((latest,),) = self.gateway.rows("select max(number) from revisions where study_instance_uid = ?", study)
        told = self.revisions(study, "out") & self.revisions(study, "ris")
        return latest in told and self.gateway.is_done(study)

    def jump(self, to_s: float) -> None:
        self.clock.write_text(str(to_s), encoding="ascii")

    def ends(self, study: str, what: str) -> None:
        """Everything that was acknowledged is kept and read, every object is delivered once, the message too."""
        wait_for(lambda: self.is_over(study), DONE_WITHIN_S, f"the study to be done: {what}")
        rows = self.gateway.rows("select state, reason, path from instances where study_instance_uid = ?", study)
        assert len(rows) == len(self.acknowledged[study])
        assert all(state == "read" or (state == "refused" and reason) for state, reason, _ in rows)
        assert all((self.gateway.data / str(path)).is_file() for _, _, path in rows)
        delivered, made = self.gateway.delivered(study), self.gateway.made(study)
        sent = {one: self.revisions(study, one) for one in ("out", "ris")}
        results = set().union(*(made[number] for number in sent["out"]))
        assert results <= set(delivered)
        assert len(set(delivered) - results) <= len(made) - 1  # the note that rejects an earlier revision
        assert set(delivered.values()) == {1}
        messages = [message for message in self.ris.kept.values() if study.encode() in message]
        # of an earlier revision it may have a message whose acknowledgement came too late to count
        assert len(sent["ris"]) <= len(messages) <= len(made)
        state, attempts, _ = self.delivery(study)
        assert state == "delivered"
        self.said.append(
            f"{what}: {len(rows)} instances kept, {len(delivered)} objects once, revisions {sorted(made)}, "
            f"{attempts} tries to the RIS, {len(messages)} message(s) there"
        )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if shutil.which("storescu") is None:
        pytest.skip("needs storescu: run scripts/install-peers")
    home = tmp_path_factory.mktemp("faults")
    disk, modules, clock = home / "data", home / "modules", home / "clock"
    disk.mkdir()
    modules.mkdir()
    shutil.copy(Path(__file__).with_name("shifted_clock.py"), modules / "sitecustomize.py")
    options = f"size={DISK_MIB}m"
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(disk)], capture_output=True)
    try:
        with pytest.MonkeyPatch.context() as patched, ris() as receiver:
            patched.setenv("RADIOLUCENT_CLOCK", str(clock))
            gateway = RunningGateway(
                home=home,
                quiet_s=0.5,
                watermark_mib=WATERMARK_MIB if mounted.returncode == 0 else 1,
                work='engines = ["brain-mri"]\n',
                extra=(
                    f'[[destinations]]\nname = "ris"\nkind = "mllp"\nhost = "127.0.0.1"\nport = {receiver.port}\n'
                    "timeout_s = 8\nfirst_retry_s = 0.5\n"
                ),
                modules=modules,
            )
            gateway.start()
            yield Site(gateway=gateway, ris=receiver, clock=clock)
            assert gateway.stop() == 0
    finally:
        if mounted.returncode == 0:
            subprocess.run(["umount", "--lazy", str(disk)], check=True, capture_output=True)


@pytest.fixture(autouse=True)
def fair_weather(site: Site, counted: Callable[[str], None]) -> Iterator[None]:
    yield
    while site.said:
        counted(site.said.pop(0))
    site.ris.mode = "AA"
    site.jump(0)


@pytest.mark.parametrize("mode", ["close", "hang", "garbage", "AE:206", "half"])
def test_a_ris_that_refuses_hangs_or_talks_garbage_is_told_once_when_it_is_back(site: Site, mode: str) -> None:
    site.ris.mode = mode
    study = site.send(200 + len(site.acknowledged))
    tries = 1 if mode == "hang" else 2  # it takes the whole time-out
    wait_for(lambda: site.delivery(study)[1] >= tries, DONE_WITHIN_S, "its tries")
    assert site.delivery(study)[0] in ("waiting", "sending")
    wait_for(lambda: site.delivery(study, "out")[0] == "delivered", DONE_WITHIN_S, "the other destination")
    site.ris.mode = "AA"
    site.ends(study, f"RIS {mode}")


def test_a_ris_that_is_down_for_thirty_hours_is_tried_at_longer_intervals_and_told_once(site: Site) -> None:
    site.ris.mode = "close"
    study = site.send(300)
    wait_for(lambda: site.delivery(study)[1] >= 1, DONE_WITHIN_S, "a first try")
    for hour in range(5, 31, 5):
        before = site.delivery(study)[1]
        site.jump(hour * HOUR_S)
        wait_for(lambda before=before: site.delivery(study)[1] > before, DONE_WITHIN_S, f"a try at hour {hour}")  # type: ignore[misc]
        wait_for(lambda: site.delivery(study)[0] == "waiting", DONE_WITHIN_S, "that try to end")
    assert site.delivery(study)[2]
    site.ris.mode = "AA"
    site.jump(36 * HOUR_S)
    site.ends(study, "RIS down for 30 h")
    assert site.delivery(study)[1] < 30


def test_a_ris_that_is_down_for_four_days_leaves_a_dead_letter_that_can_be_sent_again(site: Site) -> None:
    site.ris.mode = "close"
    study = site.send(301)
    wait_for(lambda: site.delivery(study)[0] == "waiting" and site.delivery(study)[1] > 0, DONE_WITHIN_S, "a first try")
    site.jump(96 * HOUR_S)
    wait_for(lambda: site.delivery(study)[0] == "dead", DONE_WITHIN_S, "the dead letter")
    assert "given up" in site.delivery(study)[2]
    site.ris.mode = "AA"
    site.gateway.command("study", "requeue", study, "--deliveries")
    site.ends(study, "dead letter queued again")


@pytest.mark.parametrize("hours", [-3.0, 5.0])
def test_a_clock_that_jumps_while_a_study_arrives_strands_it_not(site: Site, hours: float) -> None:
    uid, files = site.make(310 + int(hours))
    assert site.gateway.send(files[:1]).wait(60) == 0
    site.jump(hours * HOUR_S)
    assert site.gateway.send(files[1:]).wait(60) == 0
    site.acknowledged[uid] = {path.name for path in files}
    site.ends(uid, f"clock {hours:+.0f} h")


def test_a_study_that_is_sent_thrice_is_read_and_delivered_once(site: Site) -> None:
    uid, files = site.make(320)
    for _ in range(2):
        assert site.gateway.send(files).wait(60) == 0
    site.acknowledged[uid] = {path.name for path in files}
    site.ends(uid, "sent twice")
    assert site.gateway.send(files).wait(60) == 0
    site.ends(uid, "sent again after it was read")
    assert sorted(site.gateway.made(uid)) == [1]


def test_the_same_study_from_two_senders_at_once_is_one_study(site: Site) -> None:
    uid, files = site.make(321)
    senders = [site.gateway.send(files), site.gateway.send(files[::-1])]
    assert [sender.wait(60) for sender in senders] == [0, 0]
    site.acknowledged[uid] = {path.name for path in files}
    site.ends(uid, "two senders")


def test_an_association_that_breaks_inside_of_an_object_loses_nothing_that_was_acknowledged(site: Site) -> None:
    phantom = make_study("brain-mr", seed=322, slices=3)
    uid, files = site.make(322)
    with RawPeer(("127.0.0.1", site.gateway.port), abstract=phantom.datasets[0].SOPClassUID) as peer:
        assert peer.store(phantom.datasets[0]) == 0
        peer.send(data_value(store_command(phantom.datasets[1], 2), command=True))
        peer.send(data_value(encoded(phantom.datasets[1])[:4000], command=False, last=False))
    partial = "select partial from studies where study_instance_uid = ?"
    wait_for(lambda: [bool(one[0]) for one in site.gateway.rows(partial, uid)] == [True], 60, "the study to be partial")
    kept = site.gateway.rows("select sop_instance_uid from instances where study_instance_uid = ?", uid)
    assert kept == [(str(phantom.datasets[0].SOPInstanceUID),)]
    assert site.gateway.send(files).wait(60) == 0
    site.acknowledged[uid] = {path.name for path in files}
    site.ends(uid, "broken association")


@pytest.mark.parametrize("full", [False, True], ids=["at its watermark", "truly full"])
def test_a_disk_without_room_refuses_and_goes_on_when_there_is_room(site: Site, full: bool) -> None:
    if shutil.disk_usage(site.gateway.data).total > (DISK_MIB << 20):
        pytest.skip("needs a small file system: run as root, or where tmpfs may be mounted")
    before = site.send(330 + full)  # is read, or not, while the disk has no room
    filler, free = site.gateway.data / "filler", shutil.disk_usage(site.gateway.data).free
    _fill(filler, free if full else free - ((WATERMARK_MIB - 8) << 20))
    uid, files = site.make(340 + full)
    refused = site.gateway.send(files)
    assert refused.wait(120) != 0
    assert site.gateway.rows("select 1 from instances where study_instance_uid = ?", uid) == []
    filler.unlink()
    assert site.gateway.send(files).wait(120) == 0
    site.acknowledged[uid] = {path.name for path in files}
    what = "truly full" if full else "at its watermark"
    site.ends(before, f"disk {what}, study before it")
    site.ends(uid, f"disk {what}, study after it")


def _fill(path: Path, size: int) -> None:
    with path.open("wb") as stream:
        try:
            while size > 0:
                stream.write(b"\0" * min(size, 1 << 20))
                size -= 1 << 20
            stream.flush()
        except OSError:
            return  # full, as was wanted


def test_nothing_was_delivered_under_two_uids_and_every_state_is_explained(site: Site) -> None:
    """Over all that went wrong before."""
    studies = site.gateway.rows("select study_instance_uid, state, reason from studies")
    assert {str(uid) for uid, _, _ in studies} >= set(site.acknowledged)
    assert all(state in ("read", "partly-read") or reason for _, state, reason in studies)
    instances = site.gateway.rows("select state, reason from instances")
    assert all(state in ENDED and (state == "read" or reason) for state, reason in instances)
    owed = site.gateway.rows("select state, reason from deliveries")
    assert {state for state, _ in owed} <= {"delivered", "cancelled"}
    objects = sum(len(site.gateway.delivered(str(uid))) for uid in site.acknowledged)
    doubled = sum(count > 1 for uid in site.acknowledged for count in site.gateway.delivered(str(uid)).values())
    assert doubled == 0
    site.said.append(
        f"in all: {len(studies)} studies, {len(instances)} instances, {objects} objects once, {doubled} twice, "
        f"{len(owed)} deliveries, {len(site.ris.kept)} messages, {site.ris.times} times the RIS was called"
    )
