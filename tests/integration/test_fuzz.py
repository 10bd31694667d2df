"""Damaged requests and answers, over real sockets and with the real store: refused in words, and nothing is left.

The listener has the same in ``test_listener_faults.py``: 600 rubbish connections, 400 mutated objects.
"""

from __future__ import annotations

import random
import resource
import socketserver
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import config

from radiolucent.errors import DeliveryError
from radiolucent.ingest.dicomweb import store_instances
from radiolucent.ingest.receiving import data_set_digest
from radiolucent.ingest.spool import Spool
from radiolucent.pipeline.receiving import StoreReceiver
from radiolucent.results.destinations.mllp import Mllp
from radiolucent.store.archive import Archive
from radiolucent.store.instances import Instances
from radiolucent.store.unit_of_work import open_store
from tests.integration.outgoing import END, START, serving
from tests.unit.ingest.receivers import small_object
from tests.unit.ingest.test_dicomweb import TYPE
from tests.unit.ingest.test_dicomweb import _file as file_of
from tests.unit.ingest.test_multipart import body

LEAK_KIB = 64 * 1024


@contextmanager
def nothing_is_left(what: str, counted: Callable[[str], None]) -> Iterator[Counter[str]]:
    """Counts what happened; afterwards no file is open that wasn't before, and memory hasn't grown much."""
    counts: Counter[str] = Counter()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    opened = _files_open()
    yield counts
    deadline = time.monotonic() + 5
    while _files_open() > opened and time.monotonic() < deadline:
        time.sleep(0.05)  # the receiver's last thread is still closing its connection
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    more = _files_open() - opened
    counted(f"{what}: {dict(counts)}; memory grew by {grown_kib} KiB, {more} more files open")
    assert grown_kib < LEAK_KIB
    assert more <= 0


def _files_open() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def damaged(data: bytes, chance: random.Random, *, within: int) -> bytes:
    """With 1 to 12 wrong bytes in its first `within`, cut, or with a piece twice."""
    wrong = bytearray(data)
    kind = chance.randrange(4)
    if kind == 0:
        del wrong[chance.randrange(1, len(wrong)) :]
    elif kind == 1:
        at = chance.randrange(min(len(wrong), within))
        wrong[at:at] = wrong[at : at + chance.randrange(1, 60)]
    for _ in range(chance.randint(1, 12)):
        wrong[chance.randrange(min(len(wrong), within))] = chance.randrange(256)
    return bytes(wrong)


def test_damaged_stow_requests_are_stored_or_refused_and_leave_nothing(
    counted: Callable[[str], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """150 requests of two objects each: damaged objects in a whole body, and whole objects in a damaged body."""
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)
    chance, store = random.Random(11), open_store("", tmp_path)
    archive, spool = Archive(root=tmp_path, watermark_bytes=0), Spool(tmp_path / "spool")
    receiver = StoreReceiver(store, archive)
    archive.prepare()
    whole = body(file_of(small_object(1)), file_of(small_object(2)))
    with nothing_is_left("150 damaged STOW-RS requests", counted) as counts:
        for number in range(150):
            good = file_of(small_object(number))
            sent = body(damaged(good, chance, within=700), good) if number % 3 else damaged(whole, chance, within=300)
            told = store_instances(TYPE, [sent], receiver=receiver, spool=spool, sender="fuzz")
            counts[str(told.status)] += 1
            for one in told.offered:
                counts[one.outcome.value] += 1
            assert told.reason or told.body
    assert list(spool.folder.iterdir()) == []
    assert {int(status) for status in counts if status.isdecimal()} <= {200, 202, 400, 409, 413, 415}
    with store.read() as work:
        rows = Instances(work).paths()
    assert set(archive.files()) == rows
    for path in rows:
        assert data_set_digest(tmp_path / path)[:12] == Path(path).suffixes[-2].lstrip(".")
    store.close()
    assert "Secret" not in " ".join(one.getMessage() for one in caplog.records if one.name.startswith("radiolucent"))


class Babbler:
    """An MLLP receiver that answers each message with the next of its answers, and keeps what it said."""

    def __init__(self) -> None:
        self.answer = b""

    def handler(self) -> Any:
        outer = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                received = b""
                while END not in received and (part := self.request.recv(65536)):
                    received += part
                self.request.sendall(outer.answer)

        return Handler


def test_a_damaged_acknowledgement_never_counts_as_delivered_unless_it_says_so(
    counted: Callable[[str], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """400 answers with wrong bytes, cut and doubled: only one that acknowledges this very message is a receipt."""
    chance, babbler = random.Random(13), Babbler()
    message = b"MSH|^~\\&|RADIOLUCENT||RIS||20261120||ORU^R01^ORU_R01|CONTROL7|P|2.5.1\rPID|||1||Secret^Name\r"
    good = START + b"MSH|^~\\&|RIS||R||20261120||ACK^R01^ACK|1|P|2.5.1\rMSA|AA|CONTROL7\rERR|||0|I\r" + END
    with serving(socketserver.ThreadingTCPServer, babbler.handler()) as server:
        sender = Mllp(name="ris", host="127.0.0.1", port=server.server_address[1], timeout_s=5.0)
        babbler.answer = good
        assert sender.send(message).delivered == ("CONTROL7",)
        said = []
        with nothing_is_left("400 damaged acknowledgements", counted) as counts:
            for _ in range(400):
                babbler.answer = damaged(good, chance, within=len(good))
                try:
                    sender.send(message)
                except DeliveryError as error:
                    counts[type(error).__name__] += 1
                    said.append(str(error))
                else:
                    counts["delivered"] += 1
                    assert b"CONTROL7" in babbler.answer
    assert set(counts) <= {"delivered", "RetriableDelivery", "FinalDelivery"}
    assert counts["RetriableDelivery"] > 200
    logged = [one.getMessage() for one in caplog.records if one.name.startswith("radiolucent")]
    assert "Secret" not in " ".join([*said, *logged])
