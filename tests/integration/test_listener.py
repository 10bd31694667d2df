"""The listener against senders that others wrote: DCMTK, pynetdicom, and bytes by hand."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
)

from radiolucent.errors import ListenerFailed
from radiolucent.ingest.listener import Listener, Terms
from radiolucent.ingest.receiving import Outcome, ReceivedInstance, Way
from radiolucent.ingest.spool import Spool
from radiolucent.phantom.studies import make_study
from tests.integration.raw_peer import RawPeer, data_value, encoded, store_command
from tests.integration.senders import CT, OURS, associate, listening, run_tool, tool
from tests.unit.ingest.receivers import FolderReceiver, small_object, write_object

PRIVATE = "1.3.12.2.1107.5.9.1"


def test_another_implementation_verifies_and_stores_a_study_without_a_bit_changed(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    study = make_study("head-ct", seed=1, slices=4, rows=64)
    folder = tmp_path / "study"
    folder.mkdir()
    sent = [write_object(folder / f"{index}.dcm", one) for index, one in enumerate(study.datasets)]
    with listening(tmp_path, receiver) as listener:
        assert run_tool("echoscu", listener, "").returncode == 0
        assert run_tool("storescu", listener, "+sd", "-R", "-aet", "CT1", str(folder)).returncode == 0
        assert receiver.wait_until_ended(2) == [False, False]
    assert len(receiver.received) == len(sent) == 4
    for path in sent:
        before = dcmread(path)
        assert dcmread(receiver.stored(before.SOPInstanceUID)) == before
    assert {(one.calling_ae, one.called_ae, one.way) for one in receiver.received} == {("CT1", OURS, Way.C_STORE)}
    assert len({one.association_id for one in receiver.received}) == 1


def test_dcmsend_stores_objects_of_many_classes_in_one_association(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    folder = tmp_path / "study"
    folder.mkdir()
    classes = [
        CT,
        "1.2.840.10008.5.1.4.1.1.30",
        "1.2.840.10008.5.1.4.1.1.66.4",
        "1.2.840.10008.5.1.4.1.1.481.3",
        PRIVATE,
    ]
    for index, uid in enumerate(classes):
        write_object(folder / f"{index}.dcm", small_object(index, sop_class=uid))
    with listening(tmp_path, receiver) as listener:
        done = run_tool("dcmsend", listener, "+sd", str(folder))
        assert done.returncode == 0, done.stderr
        receiver.wait_until_ended(1)
    assert {one.sop_class_uid for one in receiver.received} >= set(classes[:4])


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, JPEG2000Lossless]
)
def test_each_transfer_syntax_is_kept_as_it_was_sent(tmp_path: Path, syntax: UID) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    sent = small_object(1, transfer_syntax=syntax)
    if syntax == JPEG2000Lossless:
        sent.PixelData = encapsulate([b"\xff\x4f\xff\x51" + bytes(60)])
        sent["PixelData"].VR = "OB"
    with listening(tmp_path, receiver) as listener:
        association = associate(listener, CT, syntax=syntax)
        assert association.send_c_store(sent).Status == 0x0000
        association.release()
        receiver.wait_until_ended(1)
    (got,) = receiver.received
    assert got.transfer_syntax_uid == syntax
    assert dcmread(receiver.stored(sent.SOPInstanceUID)).PixelData == sent.PixelData


def test_a_private_class_is_kept(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    with listening(tmp_path, receiver) as listener:
        association = associate(listener, PRIVATE)
        assert association.send_c_store(small_object(1, sop_class=PRIVATE)).Status == 0x0000
        association.release()


@pytest.mark.parametrize(
    ("calling", "known", "accepted"),
    [
        ("CT1", frozenset({"CT1"}), True),
        ("CT2", frozenset({"CT1"}), False),
        ("CT2", None, True),
        ("CT1", frozenset(), False),
    ],
)
def test_only_known_callers_are_let_in(
    tmp_path: Path, calling: str, known: frozenset[str] | None, accepted: bool
) -> None:
    with listening(tmp_path, calling_ae_titles=known) as listener:
        association = associate(listener, calling=calling)
        assert association.is_established == accepted
        if accepted:
            association.release()
        else:
            assert association.is_rejected
            assert association.acceptor.primitive is not None
            assert association.acceptor.primitive.diagnostic == 3


def test_a_caller_who_means_another_machine_is_rejected(tmp_path: Path) -> None:
    with listening(tmp_path) as listener:
        host, port = listener.address
        done = subprocess.run([tool("echoscu"), "-aec", "OTHER", host, str(port)], capture_output=True, text=True)
        assert done.returncode == 1
        assert "Called AE Title Not Recognized" in done.stderr


def _set(keyword: str, value: str) -> Callable[[Dataset], None]:
    return lambda dataset: setattr(dataset, keyword, value)


def _delete(keyword: str) -> Callable[[Dataset], None]:
    return lambda dataset: delattr(dataset, keyword)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    "damage",
    [
        _delete("StudyInstanceUID"),
        _delete("SeriesInstanceUID"),
        _set("StudyInstanceUID", "../../../../etc/cron.d/x"),
        _set("SeriesInstanceUID", "<script>alert(1)</script>"),
        _set("PixelData", ""),
    ],
)
def test_an_object_is_refused_by_status_and_the_association_goes_on(
    tmp_path: Path, damage: Callable[[Dataset], None], caplog: pytest.LogCaptureFixture
) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    bad = small_object(1)
    damage(bad)
    with listening(tmp_path, receiver) as listener:
        association = associate(listener)
        status = association.send_c_store(bad)
        assert status.Status == (0x0000 if "PixelData" in bad and not bad.PixelData else 0xC000)
        assert association.send_c_store(small_object(2)).Status == 0x0000
        association.release()
        assert receiver.wait_until_ended(1) == [False]
    ours = [record.getMessage() for record in caplog.records if record.name.startswith("radiolucent")]
    assert not any(word in line for line in ours for word in ("Secret", "cron", "script"))


def test_a_duplicate_succeeds_and_another_object_under_the_same_uid_does_not(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    changed = small_object(1)
    changed.PatientComments = "changed"
    with listening(tmp_path, receiver) as listener:
        association = associate(listener)
        answers = [association.send_c_store(one) for one in (small_object(1), small_object(1), changed)]
        association.release()
    assert [answer.Status for answer in answers] == [0x0000, 0x0000, 0xC001]
    assert "SOP Instance UID" in answers[2].ErrorComment
    assert dcmread(receiver.stored(changed.SOPInstanceUID)) == small_object(1)


def test_a_full_archive_is_answered_with_out_of_resources(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept", limit_bytes=100)
    with listening(tmp_path, receiver) as listener:
        association = associate(listener)
        assert association.send_c_store(small_object(1)).Status == 0xA700
        receiver.limit_bytes = 10**6
        assert association.send_c_store(small_object(1)).Status == 0x0000
        association.release()


def test_below_the_disk_watermark_nothing_is_written(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    spool = Spool(tmp_path / "spool", minimum_free_bytes=2**62)
    with Listener(receiver, spool, terms=Terms(ae_title=OURS)) as listener:
        association = associate(listener)
        assert association.send_c_store(small_object(1)).Status == 0xA700
        association.release()
        receiver.wait_until_ended(1)
    assert receiver.outcomes == []


class FailingReceiver(FolderReceiver):
    def receive(self, instance: ReceivedInstance) -> Outcome:
        raise RuntimeError("Secret^Name")


def test_a_fault_in_the_receiver_is_told_to_the_sender_and_names_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = FailingReceiver(tmp_path / "kept")
    with listening(tmp_path, receiver) as listener:
        association = associate(listener)
        assert association.send_c_store(small_object(1)).Status == 0x0110
        association.release()
        receiver.wait_until_ended(1)
    assert "Secret" not in caplog.text


def test_an_aborted_association_keeps_what_arrived_and_is_marked(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    with listening(tmp_path, receiver) as listener:
        association = associate(listener)
        assert association.send_c_store(small_object(1)).Status == 0x0000
        association.abort()
        assert receiver.wait_until_ended(1) == [True]
    assert receiver.stored(small_object(1).SOPInstanceUID).exists()


def test_one_association_too_many_is_rejected_for_now(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    terms = Terms(ae_title=OURS)
    with Listener(receiver, Spool(tmp_path / "spool"), terms=terms, maximum_associations=2) as listener:
        first, second, third = (associate(listener) for _ in range(3))
        assert (first.is_established, second.is_established, third.is_rejected) == (True, True, True)
        assert third.acceptor.primitive is not None
        assert (third.acceptor.primitive.result, third.acceptor.primitive.diagnostic) == (2, 2)
        first.release()
        receiver.wait_until_ended(1)
        while listener.active_associations > 1:
            time.sleep(0.01)
        fourth = associate(listener)
        assert fourth.is_established
        second.release()
        fourth.release()


def test_an_operation_that_is_not_served_is_answered_so(tmp_path: Path) -> None:
    with listening(tmp_path) as listener:
        association = associate(listener, CT)
        context = association.accepted_contexts[0]
        context.abstract_syntax = UID("1.2.840.10008.5.1.4.1.2.2.1")
        query = Dataset()
        query.QueryRetrieveLevel = "STUDY"
        answers = list(association.send_c_find(query, "1.2.840.10008.5.1.4.1.2.2.1"))
        assert [status.Status for status, _ in answers] == [0x0211]
        association.release()


def test_stopping_ends_idle_associations_at_once(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    with listening(tmp_path, receiver) as listener:
        association = associate(listener)
        assert association.send_c_store(small_object(1)).Status == 0x0000
        begun = time.monotonic()
        listener.stop()
        assert time.monotonic() - begun < 5
    assert receiver.wait_until_ended(1) == [True]
    assert listener.active_associations == 0


def test_stopping_lets_an_object_under_way_be_finished(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    data = encoded(small_object(1))
    with listening(tmp_path, receiver) as listener, RawPeer(listener.address) as peer:
        peer.send(data_value(store_command(small_object(1)), command=True))
        peer.send(data_value(data[:200], command=False, last=False))
        while not list((tmp_path / "spool").iterdir()):
            time.sleep(0.01)
        stopper = threading.Thread(target=listener.stop)
        stopper.start()
        while listener.is_listening:
            time.sleep(0.01)
        peer.send(data_value(data[200:], command=False))
        assert peer.status() == 0x0000
        assert peer.read() == (7, bytes((0, 0, 2, 0)))
        stopper.join(20)
    assert receiver.wait_until_ended(1) == [True]
    assert receiver.outcomes == [Outcome.STORED]


def test_an_address_that_is_taken_is_a_clear_error(tmp_path: Path) -> None:
    with listening(tmp_path) as listener:
        host, port = listener.address
        other = Listener(
            FolderReceiver(tmp_path), Spool(tmp_path / "other"), terms=Terms(ae_title=OURS), host=host, port=port
        )
        with pytest.raises(ListenerFailed, match="choose another"):
            other.start()
        with pytest.raises(ListenerFailed, match="isn't started"):
            _ = other.address


@pytest.mark.parametrize("wrong", [{"ae_title": ""}, {"ae_title": "A" * 17}, {"maximum_pdu_bytes": 10}])
def test_terms_that_can_not_be_met_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"AE title|at least"):
        Terms(**{"ae_title": OURS, **wrong})  # type: ignore[arg-type]


def test_two_hundred_associations_send_at_the_same_time(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    with listening(tmp_path, receiver) as listener, ExitStack() as stack:
        peers = [stack.enter_context(RawPeer(listener.address)) for _ in range(200)]
        assert listener.active_associations == 200
        for index, peer in enumerate(peers):
            dataset = small_object(index)
            peer.send(data_value(store_command(dataset), command=True))
            peer.send(data_value(encoded(dataset)[:-100], command=False, last=False))
        for index, peer in enumerate(peers):
            peer.send(data_value(encoded(small_object(index))[-100:], command=False))
        assert [peer.status() for peer in peers] == [0x0000] * 200
        for peer in peers:
            peer.release()
        assert receiver.wait_until_ended(200) == [False] * 200
    assert len(receiver.received) == 200
