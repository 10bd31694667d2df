"""The listener with the real store behind it: what a sender is told agrees with what is on disk and in the rows."""

from __future__ import annotations

import hashlib
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless
from pynetdicom import AE

from radiolucent.ingest.listener import Listener, Terms
from radiolucent.ingest.receiving import data_set_digest
from radiolucent.ingest.spool import Spool
from radiolucent.phantom.studies import make_study
from radiolucent.pipeline.receiving import StoreReceiver
from radiolucent.store.archive import Archive
from radiolucent.store.studies import Studies
from radiolucent.store.unit_of_work import Store, open_store
from tests.integration.postgres import Postgres
from tests.integration.raw_peer import RawPeer, data_value, encoded, store_command
from tests.integration.senders import OURS
from tests.unit.ingest.receivers import small_object


@contextmanager
def _listening(store: Store, archive: Archive) -> Iterator[Listener]:
    archive.prepare()
    spool = Spool(archive.incoming, minimum_free_bytes=archive.watermark_bytes)
    with Listener(StoreReceiver(store, archive), spool, terms=Terms(ae_title=OURS)) as listener:
        yield listener
    assert [path for path in archive.incoming.rglob("*") if path.is_file()] == []


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    url = ""
    if request.param == "postgresql":
        there: Postgres = request.getfixturevalue("cluster")
        url = there.database(f"n{abs(hash(tmp_path)):x}")
    opened = open_store(url, tmp_path / "data")
    yield opened
    opened.close()


def _rows(store: Store, dataset: Dataset) -> dict[str, str]:
    """SOP Instance UID → path of every instance of the study, conflicts left out."""
    with store.read() as work:
        view = Studies(work).show(dataset.StudyInstanceUID)
    return {one.sop_instance_uid: one.path for one in view.instances if one.state != "conflict"}


def _send(listener: Listener, caller: str, objects: list[Dataset], statuses: dict[str, list[int]]) -> None:
    with RawPeer(listener.address, calling=caller) as peer:
        statuses[caller] = [peer.store(one) for one in objects]
        peer.release()


def test_the_same_study_from_four_senders_at_once_has_one_row_and_one_file_an_instance(
    tmp_path: Path, store: Store
) -> None:
    archive = Archive(root=tmp_path / "data", watermark_bytes=0)
    objects = [small_object(number) for number in range(12)]
    statuses: dict[str, list[int]] = {}
    with _listening(store, archive) as listener:
        threads = [
            threading.Thread(target=_send, args=(listener, f"S{turn}", objects[turn:] + objects[:turn], statuses))
            for turn in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
    assert Counter(status for told in statuses.values() for status in told) == {0x0000: 48}
    rows = _rows(store, objects[0])
    assert set(rows) == {one.SOPInstanceUID for one in objects}
    assert sorted(rows.values()) == sorted(archive.files())
    for sent in objects:
        kept = archive.root / rows[sent.SOPInstanceUID]
        assert data_set_digest(kept) == hashlib.sha256(encoded(sent)).hexdigest()


def test_one_study_from_two_senders_at_once_in_two_transfer_syntaxes_is_one_study(tmp_path: Path, store: Store) -> None:
    archive = Archive(root=tmp_path / "data", watermark_bytes=0)
    plain = make_study("brain-mr", seed=3, slices=8).datasets
    packed = deepcopy(plain)
    for one in packed:
        one.compress(RLELossless, generate_instance_uid=False)
    statuses: dict[str, list[int]] = {}

    def send(caller: str, objects: Sequence[Dataset], syntax: str) -> None:
        entity = AE(ae_title=caller)
        entity.add_requested_context(objects[0].SOPClassUID, syntax)
        association = entity.associate("127.0.0.1", listener.address[1], ae_title=OURS)
        statuses[caller] = [association.send_c_store(one).Status for one in objects]
        association.release()

    with _listening(store, archive) as listener:
        threads = [
            threading.Thread(target=send, args=("PLAIN", plain, ExplicitVRLittleEndian)),
            threading.Thread(target=send, args=("PACKED", packed, RLELossless)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(240)
    assert statuses == {"PLAIN": [0x0000] * 8, "PACKED": [0x0000] * 8}
    with store.read() as work:
        view = Studies(work).show(plain[0].StudyInstanceUID)
    assert Counter(one.state for one in view.instances) == {"received": 8}
    assert {one.sop_instance_uid for one in view.instances} == {one.SOPInstanceUID for one in plain}
    assert all((archive.root / one.path).is_file() for one in view.instances)


def test_two_different_objects_under_one_uid_at_once_leave_one_in_use(tmp_path: Path, store: Store) -> None:
    archive = Archive(root=tmp_path / "data", watermark_bytes=0)
    first, second = small_object(1), small_object(1)
    second.PatientComments = "another"
    statuses: dict[str, list[int]] = {}
    with _listening(store, archive) as listener:
        threads = [
            threading.Thread(target=_send, args=(listener, name, [one], statuses))
            for name, one in (("S1", first), ("S2", second))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    assert sorted(status for told in statuses.values() for status in told) == [0x0000, 0xC001]
    assert len(_rows(store, first)) == 1


def test_a_broken_association_marks_its_study_partial_and_keeps_what_was_acknowledged(
    tmp_path: Path, store: Store
) -> None:
    archive = Archive(root=tmp_path / "data", watermark_bytes=0)
    one, two = small_object(1), small_object(2)
    with _listening(store, archive) as listener:
        with RawPeer(listener.address) as peer:
            assert peer.store(one) == 0x0000
            peer.send(data_value(store_command(two), command=True))
            peer.send(data_value(encoded(two)[:100], command=False, last=False))
        with RawPeer(listener.address) as peer:
            assert peer.store(small_object(1, study="b")) == 0x0000
            peer.release()
    with store.read() as work:
        cut, whole = (Studies(work).get(small_object(1, study=name).StudyInstanceUID) for name in ("a", "b"))
    assert (cut.partial, whole.partial) == (True, False)
    assert set(_rows(store, one)) == {one.SOPInstanceUID}


def test_at_the_watermark_nothing_is_taken_and_nothing_is_written(tmp_path: Path, store: Store) -> None:
    archive = Archive(root=tmp_path / "data", watermark_bytes=2**62)
    with _listening(store, archive) as listener, RawPeer(listener.address) as peer:
        assert [peer.store(small_object(number)) for number in range(3)] == [0xA700] * 3
        peer.release()
    assert list(archive.files()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True)
    if mounted.returncode != 0:
        pytest.skip("needs a small file system: run as root, or where tmpfs may be mounted")
    yield folder
    subprocess.run(["umount", str(folder)], check=True, capture_output=True)


def test_on_a_full_disk_every_object_that_was_acknowledged_is_there_and_no_other(small_disk: Path) -> None:
    """Rows and files share the disk, so that either may be the first to find it full."""
    store = open_store("", small_disk)
    archive = Archive(root=small_disk, watermark_bytes=0)
    objects = [small_object(number, rows=400) for number in range(16)]
    with _listening(store, archive) as listener, RawPeer(listener.address) as peer:
        told = [peer.store(one) for one in objects]
        peer.release()
    acknowledged = {str(one.SOPInstanceUID) for one, status in zip(objects, told, strict=True) if status == 0x0000}
    rows = _rows(store, objects[0])
    store.close()
    assert set(told) <= {0x0000, 0xA700, 0x0110}
    assert 0 < len(acknowledged) < 16
    assert acknowledged <= set(rows)
    for sent in objects:
        if sent.SOPInstanceUID in acknowledged:
            kept = archive.root / rows[sent.SOPInstanceUID]
            assert data_set_digest(kept) == hashlib.sha256(encoded(sent)).hexdigest()
