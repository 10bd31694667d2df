"""The listener against senders that break off, lie, stall or send rubbish: refused clearly, nothing left behind."""

from __future__ import annotations

import gc
import os
import random
import resource
import socket
import struct
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom import config

from radiolucent.ingest.listener import Listener, Terms
from radiolucent.ingest.receiving import Outcome
from radiolucent.ingest.spool import Spool
from tests.integration.raw_peer import RawPeer, associate_request, data_value, encoded, pdu, store_command
from tests.integration.senders import OURS, listening
from tests.unit.ingest.receivers import FolderReceiver, small_object

ABORT = 7


def _resources() -> tuple[int, int]:
    """Open files and threads of this process."""
    gc.collect()
    return len(list(Path("/proc/self/fd").iterdir())), threading.active_count()


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    before = _resources()
    yield
    deadline = time.monotonic() + 10
    while _resources() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert _resources() <= before


def test_an_object_that_breaks_off_anywhere_is_not_kept_and_what_came_before_is(
    tmp_path: Path, counted: Callable[[str], None]
) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    second = small_object(2)
    message = data_value(store_command(second), command=True) + data_value(encoded(second), command=False)
    cuts = sorted({*range(0, len(message), 40), 5, 6, 7, 12, len(message) - 1})
    with listening(tmp_path, receiver) as listener:
        for cut in cuts:
            with RawPeer(listener.address) as peer:
                assert peer.store(small_object(1)) == 0x0000
                peer.send(message[:cut])
        assert receiver.wait_until_ended(len(cuts)) == [True] * len(cuts)
    counted(f"broken off at {len(cuts)} places: {Counter(receiver.outcomes)}")
    assert set(receiver.outcomes) == {Outcome.STORED, Outcome.DUPLICATE}
    assert [path.stem for path in receiver.folder.iterdir()] == [small_object(1).SOPInstanceUID]


def test_an_object_whose_answer_was_never_heard_is_a_duplicate_when_sent_again(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    sent = small_object(1)
    with listening(tmp_path, receiver) as listener:
        with RawPeer(listener.address) as peer:
            peer.send(data_value(store_command(sent), command=True) + data_value(encoded(sent), command=False))
        receiver.wait_until_ended(1)
        with RawPeer(listener.address) as peer:
            assert peer.store(sent) == 0x0000
            peer.release()
    assert receiver.outcomes in ([Outcome.STORED, Outcome.DUPLICATE], [Outcome.STORED])


def _bare(command: int, *, data_set: int = 0x0101) -> bytes:
    element = struct.pack("<HHLH", 0, 0x0100, 2, command) + struct.pack("<HHLH", 0, 0x0800, 2, data_set)
    return element + struct.pack("<HHLH", 0, 0x0110, 2, 1)


STORE = store_command(small_object(1))


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (pdu(99, b""), 1),
        (pdu(2, b""), 2),
        (associate_request(), 2),
        (pdu(4, b"\x00\x00"), 6),
        (pdu(4, struct.pack(">LBB", 999, 1, 3) + b"ab"), 6),
        (data_value(STORE, command=True, context=3), 6),
        (data_value(b"data", command=False), 5),
        (data_value(STORE, command=True) + data_value(STORE, command=True), 5),
        (data_value(STORE, command=True) + pdu(5, bytes(4)), 2),
        (data_value(b"\x00" * 7, command=True), 6),
        (data_value(b"\x08" + STORE[1:], command=True), 6),
        (data_value(b"\x00" * 20000, command=True, last=False), 6),
        (struct.pack(">BxL", 4, 0xFFFFFFFF), 6),
        (struct.pack(">BxL", 7, 0x7FFFFFFF), 6),
    ],
    ids=[
        "unknown PDU", "acceptance", "second request", "cut value", "value too long", "unknown context",
        "data alone", "command in command", "release in message", "cut command", "wrong group", "endless command",
        "4 GiB of data", "2 GiB of abort",
    ],
)  # fmt: skip
def test_a_breach_of_the_protocol_is_answered_with_an_abort_and_its_reason(
    tmp_path: Path, sent: bytes, reason: int
) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    with listening(tmp_path, receiver) as listener:
        with RawPeer(listener.address) as peer:
            peer.send(sent)
            assert peer.read() == (ABORT, bytes((0, 0, 2, reason)))
        assert receiver.wait_until_ended(1) == [True]
    assert receiver.outcomes == []


@pytest.mark.parametrize("first", [b"", b"GET / HTTP/1.1\r\n\r\n", pdu(5, bytes(4)), pdu(1, b"short"), os.urandom(400)])
def test_a_connection_that_is_no_association_is_closed_and_never_reported(tmp_path: Path, first: bytes) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    with listening(tmp_path, receiver) as listener, socket.create_connection(listener.address, timeout=10) as peer:
        peer.sendall(first)
        peer.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := peer.recv(1000):
            answer += piece
        assert answer[:1] in (b"", b"\x07")
    assert receiver.ended == []


@pytest.mark.parametrize(
    "part",
    [associate_request()[:30], associate_request() + data_value(encoded(small_object(1)), command=False)[:100]],
    ids=["in the request", "in a PDU"],
)
def test_a_sender_that_stalls_inside_of_a_pdu_is_cut_off(tmp_path: Path, part: bytes) -> None:
    with listening(tmp_path, network_timeout_s=0.5, associate_timeout_s=0.5) as listener:
        begun = time.monotonic()
        with socket.create_connection(listener.address, timeout=10) as peer:
            peer.sendall(part)
            while peer.recv(1000):
                continue
        assert time.monotonic() - begun < 5


def test_an_idle_association_is_ended_and_counts_as_aborted(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    with listening(tmp_path, receiver, idle_timeout_s=0.3) as listener, RawPeer(listener.address) as peer:
        assert peer.read()[0] == ABORT
        assert receiver.wait_until_ended(1) == [True]


def test_an_object_above_the_limit_ends_its_association_before_it_is_written_whole(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    with listening(tmp_path, receiver, maximum_object_bytes=100_000) as listener, RawPeer(listener.address) as peer:
        peer.send(data_value(store_command(small_object(1)), command=True))
        for _ in range(3):
            peer.send(data_value(bytes(50_000), command=False, last=False))
        assert peer.read()[0] == ABORT
    assert receiver.outcomes == []


def test_rubbish_after_a_good_start_never_ends_the_listener(tmp_path: Path, counted: Callable[[str], None]) -> None:
    """600 connections: mutated associations, messages and pure noise, from a fixed seed."""
    chance = random.Random(7)
    receiver = FolderReceiver(tmp_path / "kept")
    good = associate_request() + data_value(STORE, command=True) + data_value(encoded(small_object(1)), command=False)
    answers: Counter[str] = Counter()
    with listening(tmp_path, receiver, network_timeout_s=2.0) as listener:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(600):
            sent = bytearray(good) if number % 3 else bytearray(chance.randbytes(chance.randint(1, 3000)))
            for _ in range(chance.randint(1, 8)):
                sent[chance.randrange(len(sent))] = chance.randrange(256)
            answers[_converse(listener.address, bytes(sent))] += 1
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        with RawPeer(listener.address) as peer:
            assert peer.store(small_object(9)) == 0x0000
            peer.release()
    counted(f"600 rubbish connections: {dict(answers)}; outcomes {Counter(one.value for one in receiver.outcomes)}")
    counted(f"peak memory grew by {grown_kib} KiB")
    assert set(answers) <= {"closed", "accepted", "aborted", "rejected", "answered"}
    assert grown_kib < 64 * 1024


def _converse(address: tuple[str, int], sent: bytes) -> str:
    last = "closed"
    with socket.create_connection(address, timeout=10) as peer:
        try:
            peer.sendall(sent)
            peer.shutdown(socket.SHUT_WR)
            while header := peer.recv(6, socket.MSG_WAITALL):
                kind, length = struct.unpack(">BxL", header)
                peer.recv(length, socket.MSG_WAITALL)
                last = {2: "accepted", 3: "rejected", 4: "answered", 7: "aborted"}[kind]
        except ConnectionError:
            return last
    return last


def test_mutated_objects_are_kept_or_refused_and_nothing_else(
    tmp_path: Path, counted: Callable[[str], None], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """400 objects with 1 to 20 wrong bytes, cut or doubled pieces, from a fixed seed."""
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)
    chance, statuses = random.Random(11), Counter[int]()
    receiver = FolderReceiver(tmp_path / "kept")
    good = small_object(1)
    with listening(tmp_path, receiver) as listener, RawPeer(listener.address) as peer:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for number in range(400):
            peer.send(data_value(store_command(good, number % 60000), command=True))
            peer.send(data_value(_mutated(encoded(good), chance), command=False))
            statuses[peer.status()] += 1
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        peer.release()
        assert receiver.wait_until_ended(1) == [False]
    counted(f"400 mutated objects: { {hex(status): count for status, count in statuses.items()} }")
    counted(f"peak memory grew by {grown_kib} KiB")
    assert set(statuses) <= {0x0000, 0xC000, 0xC001}
    assert statuses[0xC000] > 100
    assert grown_kib < 64 * 1024
    assert "Secret" not in " ".join(one.getMessage() for one in caplog.records if one.name.startswith("radiolucent"))


def _mutated(data: bytes, chance: random.Random) -> bytes:
    wrong = bytearray(data)
    kind = chance.randrange(4)
    if kind == 0:
        del wrong[chance.randrange(8, len(wrong)) :]
    elif kind == 1:
        at = chance.randrange(len(wrong))
        wrong[at:at] = wrong[at : at + chance.randrange(1, 60)]
    for _ in range(chance.randint(1, 20)):
        # the header is what can go wrong; most of the bytes are pixels
        wrong[chance.randrange(min(len(wrong), 500))] = chance.randrange(256)
    return bytes(wrong[: len(wrong) // 2 * 2])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("needs a small file system: run as root, or where tmpfs may be mounted")
    yield folder
    subprocess.run(["umount", str(folder)], check=True, capture_output=True)


def test_a_disk_that_is_truly_full_is_answered_so_and_is_usable_again_when_there_is_room(
    tmp_path: Path, counted: Callable[[str], None], small_disk: Path
) -> None:
    receiver = FolderReceiver(small_disk / "kept")
    terms, spool = Terms(ae_title=OURS), Spool(small_disk / "spool")
    statuses = []
    with Listener(receiver, spool, terms=terms) as listener, RawPeer(listener.address) as peer:
        for number in range(8):
            statuses.append(peer.store(small_object(number, rows=300)))
        kept = list(receiver.folder.iterdir())
        assert list(spool.folder.iterdir()) == []
        kept[0].unlink()
        statuses.append(peer.store(small_object(99, rows=300)))
        peer.release()
    counted(f"8 objects of 180 kB on a disk of 1 MiB: {[hex(status) for status in statuses]}")
    assert statuses == [0x0000] * 5 + [0xA700] * 3 + [0x0000]
    assert len(kept) == 5


def test_the_same_study_from_two_senders_at_once_is_kept_once(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    objects = [small_object(number) for number in range(30)]
    statuses: dict[str, list[int]] = {"A": [], "B": []}

    def send(caller: str) -> None:
        order = objects if caller == "A" else objects[::-1]
        with RawPeer(listener.address, calling=caller) as peer:
            statuses[caller] = [peer.store(one) for one in order]
            peer.release()

    with listening(tmp_path, receiver) as listener:
        threads = [threading.Thread(target=send, args=(caller,)) for caller in statuses]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        receiver.wait_until_ended(2)
    assert statuses == {"A": [0x0000] * 30, "B": [0x0000] * 30}
    assert Counter(receiver.outcomes) == {Outcome.STORED: 30, Outcome.DUPLICATE: 30}
