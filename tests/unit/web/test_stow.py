"""STOW-RS over the app: who may send, what they are told, how much is taken."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import httpx2 as httpx
import pytest
from fastapi.testclient import TestClient
from pydicom.dataset import Dataset

from radiolucent.ingest.dicomweb import Door
from radiolucent.ingest.spool import Spool
from radiolucent.store.people import People
from radiolucent.store.unit_of_work import open_store
from radiolucent.web import stow
from radiolucent.web.access import COOKIE, Premises
from radiolucent.web.server import create_app
from radiolucent.web.sources import FolderSource
from tests.unit.ingest.receivers import FolderReceiver, small_object
from tests.unit.ingest.test_multipart import body

NOW = datetime.now(UTC)
TYPE = 'multipart/related; type="application/dicom"; boundary=b0undary'


@dataclass
class Posting:
    """A server that takes objects, and what its accounts send with."""

    client: TestClient
    receiver: FolderReceiver
    tokens: dict[str, str]
    premises: Premises

    def post(
        self, data: bytes, *, who: str = "ct-1", address: str = "/dicom-web/studies", **headers: str
    ) -> httpx.Response:
        given = {"content-type": TYPE} | ({"authorization": f"Bearer {self.tokens[who]}"} if who else {})
        return self.client.post(address, content=data, headers=given | headers)


@pytest.fixture
def posting(tmp_path: Path) -> Iterator[Posting]:
    store = open_store("", tmp_path / "data")
    receiver = FolderReceiver(tmp_path / "kept")
    tokens = {}
    with store.begin() as work:
        for name, role in (("ct-1", "sender"), ("reader", "radiologist"), ("boss", "admin")):
            People(work).add(name, role=role, password="", now=NOW)
            tokens[name] = People(work).make_token(name, label="test", role=role, now=NOW)
    spool = Spool(tmp_path / "spool")
    door = Door(receiver=receiver, spool=spool, maximum_part_bytes=50_000, maximum_request_bytes=200_000)
    premises = Premises(store=store, source=FolderSource(tmp_path / "none"), stow=door)
    yield Posting(TestClient(create_app(premises), follow_redirects=False), receiver, tokens, premises)
    assert list(door.spool.folder.iterdir()) == [], "a half-received file was left"
    store.close()


def file(dataset: Dataset) -> bytes:
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def test_a_sender_with_a_token_hands_over_and_is_told_what_was_kept(posting: Posting) -> None:
    one, two = small_object(1), small_object(2)
    answer = posting.post(body(file(one), file(two)))
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/dicom+json")
    told = Dataset.from_json(answer.text)
    assert [item.ReferencedSOPInstanceUID for item in told.ReferencedSOPSequence] == [
        one.SOPInstanceUID,
        two.SOPInstanceUID,
    ]
    assert {received.calling_ae for received in posting.receiver.received} == {"ct-1"}
    assert posting.receiver.ended == [(posting.receiver.received[0].association_id, False)]


def test_what_is_refused_stands_in_the_failed_sequence_with_its_reason(posting: Posting) -> None:
    changed = small_object(1)
    changed.PatientComments = "another"
    answer = posting.post(body(file(small_object(1)), file(changed), b"<html>"))
    told = answer.json()
    assert answer.status_code == 202
    assert told["00081198"]["Value"][0]["00081197"]["Value"] == [0xC001]
    assert told["0008119A"]["Value"] == [{"00081197": {"vr": "US", "Value": [0xC000]}}]


def test_objects_of_another_study_than_the_address_names_are_refused(posting: Posting) -> None:
    one = small_object(1)
    address = f"/dicom-web/studies/{one.StudyInstanceUID}"
    assert posting.post(body(file(one)), address=address).status_code == 200
    assert posting.post(body(file(small_object(2))), address="/dicom-web/studies/1.2.3").status_code == 409
    assert posting.post(body(file(one)), address="/dicom-web/studies/nonsense").status_code == 400


def test_nobody_sends_without_a_token(posting: Posting) -> None:
    answer = posting.post(body(file(small_object(1))), who="")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert posting.post(body(file(small_object(1))), who="", authorization="Bearer rl_wrong").status_code == 401
    assert posting.receiver.received == []


def test_a_readers_cookie_sends_nothing(posting: Posting) -> None:
    with posting.premises.store.begin() as work:
        posting.client.cookies.set(COOKIE, People(work).open_session("ct-1", now=NOW))
    assert posting.post(body(file(small_object(1))), who="").status_code == 401
    assert posting.receiver.received == []


@pytest.mark.parametrize("who", ["reader", "boss"])
def test_only_the_role_of_a_sender_may_send(posting: Posting, who: str) -> None:
    assert posting.post(body(file(small_object(1))), who=who, accept="application/json").status_code == 403
    assert posting.receiver.received == []


def test_a_sender_sees_nothing(posting: Posting) -> None:
    headers = {"authorization": f"Bearer {posting.tokens['ct-1']}"}
    assert posting.client.get("/api/v1/worklist", headers=headers).status_code == 403


def test_an_object_that_is_too_large_ends_the_request_and_the_others_stay(posting: Posting) -> None:
    answer = posting.post(body(file(small_object(1)), bytes(60_000), file(small_object(2))))
    assert answer.status_code == 202
    assert "299" in answer.headers["warning"]
    assert len(posting.receiver.received) == 1
    assert posting.receiver.ended[0][1] is True


def test_a_request_that_is_too_large_is_refused_by_its_length_and_by_what_comes(posting: Posting) -> None:
    large = body(bytes(300_000))
    assert posting.post(large, accept="application/json").status_code == 413

    def piecemeal() -> Iterator[bytes]:
        for start in range(0, len(large), 10_000):
            yield large[start : start + 10_000]

    headers = {"content-type": TYPE, "authorization": f"Bearer {posting.tokens['ct-1']}"}
    answer = posting.client.post("/dicom-web/studies", content=piecemeal(), headers=headers)
    assert answer.status_code == 413
    many = body(*[bytes(40_000)] * 6)
    assert posting.client.post("/dicom-web/studies", content=iter([many]), headers=headers).status_code == 413
    assert posting.receiver.received == []


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"content-type": "application/dicom"}, 415), ({"accept": "application/dicom+xml"}, 406), ({}, 400)],
)
def test_what_is_no_stow_request_is_refused(posting: Posting, headers: dict[str, str], status: int) -> None:
    assert posting.post(b"nothing", **headers).status_code == status


def test_a_full_archive_asks_to_come_later(posting: Posting) -> None:
    posting.receiver.limit_bytes = 0
    answer = posting.post(body(file(small_object(1))))
    assert answer.status_code == 503
    assert json.loads(answer.content)["00081198"]["Value"][0]["00081197"]["Value"] == [0xA700]


def test_more_senders_at_once_than_there_are_places_are_told_to_come_later(posting: Posting) -> None:
    taken = [stow._PLACES.acquire(blocking=False) for _ in range(stow.AT_ONCE)]
    try:
        answer = posting.post(body(file(small_object(1))))
    finally:
        for _ in taken:
            stow._PLACES.release()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "30")
    assert posting.post(body(file(small_object(1)))).status_code == 200


def test_a_server_without_a_door_takes_nothing(tmp_path: Path) -> None:
    store = open_store("", tmp_path / "data")
    client = TestClient(create_app(Premises(store=store, source=FolderSource(tmp_path))))
    assert client.post("/dicom-web/studies", content=b"", headers={"content-type": TYPE}).status_code == 404
    store.close()
