from __future__ import annotations

import json
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from radiolucent.ingest.dicomweb import StowResponse, store_instances
from radiolucent.ingest.receiving import Outcome, ReceivedInstance
from radiolucent.ingest.spool import Spool
from tests.unit.ingest.receivers import FolderReceiver, small_object
from tests.unit.ingest.test_multipart import body

TYPE = 'multipart/related; type="application/dicom"; boundary=b0undary'


def _file(dataset: Dataset) -> bytes:
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _store(
    tmp_path: Path, receiver: FolderReceiver, data: bytes | Iterator[bytes], **more: Any
) -> tuple[StowResponse, dict[str, Any]]:
    spool = Spool(tmp_path / "spool")
    chunks = [data] if isinstance(data, bytes) else data
    response = store_instances(more.pop("content_type", TYPE), chunks, receiver=receiver, spool=spool, **more)
    assert list(spool.folder.iterdir()) == []
    return response, json.loads(response.body) if response.body else {}


def test_objects_that_are_stored_are_referenced_and_nobody_is_sent_to_fetch_them_here(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    one, two = small_object(1), small_object(2)
    response, said = _store(tmp_path, receiver, body(_file(one), _file(two)))
    assert response.status == 200
    assert set(said) == {"00081190", "00081199"}
    read = Dataset.from_json(json.dumps(said))
    stored = read.ReferencedSOPSequence
    assert [item.ReferencedSOPInstanceUID for item in stored] == [one.SOPInstanceUID, two.SOPInstanceUID]
    # type 2: present, with a value only where a WADO-RS service has the object (PS3.18 table 10.5.3-2)
    assert [item.RetrieveURL for item in (read, *stored)] == ["", "", ""]
    assert receiver.ended == [(receiver.received[0].association_id, False)]


def test_each_failure_has_its_reason_and_the_rest_is_stored(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    changed = small_object(1)
    changed.PatientComments = "another"
    response, said = _store(
        tmp_path, receiver, body(_file(small_object(1)), _file(changed), b"<html>", _file(small_object(1)))
    )
    assert response.status == 202
    assert [one.outcome for one in response.offered] == [
        Outcome.STORED,
        Outcome.CONFLICT,
        Outcome.NOT_UNDERSTOOD,
        Outcome.DUPLICATE,
    ]
    assert said["00081198"]["Value"][0]["00081197"]["Value"] == [0xC001]
    assert said["0008119A"]["Value"] == [{"00081197": {"vr": "US", "Value": [0xC000]}}]
    assert len(said["00081199"]["Value"]) == 2


@pytest.mark.parametrize(("limit", "status", "reason"), [(0, 503, 0xA700)])
def test_a_full_archive_asks_to_come_later(tmp_path: Path, limit: int, status: int, reason: int) -> None:
    receiver = FolderReceiver(tmp_path / "kept", limit_bytes=limit)
    response, said = _store(tmp_path, receiver, body(_file(small_object(1))))
    assert response.status == status
    assert said["00081198"]["Value"][0]["00081197"]["Value"] == [reason]


def test_below_the_watermark_the_request_is_refused_whole(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", minimum_free_bytes=2**62)
    receiver = FolderReceiver(tmp_path / "kept")
    response = store_instances(TYPE, [body(_file(small_object(1)))], receiver=receiver, spool=spool)
    assert (response.status, response.body) == (503, b"")
    assert receiver.ended[0][1]


def test_objects_of_another_study_than_the_address_names_are_refused(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    mine, other = small_object(1, study="a"), small_object(1, study="b")
    response, _ = _store(
        tmp_path, receiver, body(_file(mine), _file(other)), study_instance_uid=str(mine.StudyInstanceUID)
    )
    assert response.status == 202
    assert [one.study_instance_uid for one in receiver.received] == [mine.StudyInstanceUID]


@pytest.mark.parametrize("study", ["../..", "<b>", "1..2", "x"])
def test_an_address_with_something_else_than_a_uid_is_refused(tmp_path: Path, study: str) -> None:
    response, _ = _store(tmp_path, FolderReceiver(tmp_path), body(_file(small_object(1))), study_instance_uid=study)
    assert response.status == 400
    assert study not in response.reason


@pytest.mark.parametrize(
    ("content_type", "data", "status"),
    [
        ("application/json", b"{}", 415),
        (TYPE, b"--b0undary--", 400),
        (TYPE, b"junk", 400),
        (TYPE, body(b"x", kind=b"image/png"), 415),
    ],
)
def test_a_request_that_is_something_else_is_refused(
    tmp_path: Path, content_type: str, data: bytes, status: int
) -> None:
    response, said = _store(tmp_path, FolderReceiver(tmp_path / "kept"), data, content_type=content_type)
    assert (response.status, said) == (status, {})


def test_a_body_that_breaks_off_keeps_what_came_and_is_marked(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")

    def chunks() -> Iterator[bytes]:
        yield body(_file(small_object(1)), _file(small_object(2)))[:-800]
        raise ConnectionResetError

    response, said = _store(tmp_path, receiver, chunks())
    assert response.status == 202
    assert len(said["00081199"]["Value"]) == len(receiver.received) == 1
    assert receiver.ended[0][1]


class FailingReceiver(FolderReceiver):
    def receive(self, instance: ReceivedInstance) -> Outcome:
        raise RuntimeError("Secret^Name")


def test_a_fault_in_the_receiver_is_told_and_names_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    response, said = _store(tmp_path, FailingReceiver(tmp_path / "kept"), body(_file(small_object(1))))
    assert response.status == 500
    assert said["00081198"]["Value"][0]["00081197"]["Value"] == [0x0110]
    assert "Secret" not in caplog.text
