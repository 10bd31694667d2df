"""Messages over MLLP, FHIR REST and SMTP to real receivers on loopback that answer well, badly or not at all."""

from __future__ import annotations

import json
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from radiolucent.errors import FinalDelivery, RetriableDelivery
from radiolucent.results.destinations.fhir_rest import FhirRest
from radiolucent.results.destinations.http import HttpPeer
from radiolucent.results.destinations.mllp import Mllp
from radiolucent.results.destinations.package import Package
from tests.integration.outgoing import FhirServer, free_port, ris, saying, web
from tests.unit.results.messages import FACTS, bundled, readings, send

READING = readings()["positive"]
ORU = send(READING)
PACKAGE = Package(
    study_instance_uid=READING.study_instance_uid, oru=ORU, fhir=json.dumps(bundled(READING), ensure_ascii=False)
)
CONTROL_ID = ORU.split(b"|")[9].decode()
NAMES = ("Phantom", FACTS.patient_id)


def mllp(port: int, **options: Any) -> Mllp:
    return Mllp(name="ris", host="127.0.0.1", port=port, **{"timeout_s": 30.0, **options})


def test_a_message_is_taken_once_however_often_it_is_sent() -> None:
    with ris() as receiver:
        first, second = mllp(receiver.port).deliver(PACKAGE), mllp(receiver.port).deliver(PACKAGE)
    assert first == second
    assert first.delivered == (CONTROL_ID,)
    assert (receiver.times, receiver.kept) == (2, {CONTROL_ID: ORU})


def test_a_package_without_a_message_needs_no_receiver() -> None:
    assert mllp(free_port()).deliver(Package(study_instance_uid="1.2")).delivered == ()


@pytest.mark.parametrize(
    "mode",
    ["hang", "close", "garbage", "noise", "half", "endless", "drip", "other", "AR", "CR", "AR:207", "AE:206", "XX"],
)
def test_what_may_pass_is_tried_again(mode: str) -> None:
    began = time.monotonic()
    with ris(mode) as receiver, pytest.raises(RetriableDelivery) as caught:
        mllp(receiver.port, timeout_s=1.0).deliver(PACKAGE)
    assert receiver.kept == {}
    assert time.monotonic() - began < 10
    assert not any(name in str(caught.value) for name in NAMES)


@pytest.mark.parametrize("mode", ["AE", "CE", "AE:101", "AE:204", "AE:ZZ9", "AR:200", "AR:203^Unsupported version"])
def test_what_is_wrong_with_the_message_itself_is_final(mode: str) -> None:
    with ris(mode) as receiver, pytest.raises(FinalDelivery) as caught:
        mllp(receiver.port).deliver(PACKAGE)
    assert mode[:2] in str(caught.value)
    assert not any(name in str(caught.value) for name in NAMES)


def test_a_receiver_that_is_down_or_speaks_another_protocol_is_tried_again() -> None:
    with pytest.raises(RetriableDelivery):
        mllp(free_port()).deliver(PACKAGE)
    with saying(b"220 mail ready\r\n") as port, pytest.raises(RetriableDelivery):
        mllp(port, timeout_s=2.0).deliver(PACKAGE)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    key, chain = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(chain)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    except FileNotFoundError:
        pytest.skip("needs openssl: run scripts/install-peers")
    return key, chain


def _server_side(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate[1], certificate[0])
    return context


def test_a_message_goes_over_tls_to_a_receiver_that_is_trusted(certificate: tuple[Path, Path]) -> None:
    with ris(tls=_server_side(certificate)) as receiver:
        trusting = ssl.create_default_context(cafile=str(certificate[1]))
        assert mllp(receiver.port, tls=trusting).deliver(PACKAGE).delivered == (CONTROL_ID,)
        with pytest.raises(FinalDelivery, match="isn't trusted"):
            mllp(receiver.port, tls=ssl.create_default_context()).deliver(PACKAGE)
    assert receiver.times == 1


def test_tls_to_a_receiver_without_it_is_tried_again() -> None:
    with saying(b"MSH|plain\r") as port, pytest.raises(RetriableDelivery):
        mllp(port, tls=ssl.create_default_context(), timeout_s=2.0).deliver(PACKAGE)


@contextmanager
def fhir_server(mode: str = "answer") -> Iterator[tuple[FhirServer, Any]]:
    server = FhirServer()
    with web(server.answer, mode) as receiver:
        yield server, receiver


def fhir(url: str, **options: Any) -> FhirRest:
    return FhirRest(peer=HttpPeer(name="ehr", url=url, **{"timeout_s": 30.0, **options}))


def test_a_transaction_is_kept_once_however_often_it_is_sent() -> None:
    with fhir_server() as (server, receiver):
        first = fhir(receiver.url).deliver(PACKAGE)
        once = dict(server.resources)
        second = fhir(receiver.url).deliver(PACKAGE)
    sent = json.loads(PACKAGE.fhir)
    assert first == second
    assert first.delivered == (sent["identifier"]["value"],)
    assert server.resources == once == {entry["fullUrl"]: entry["resource"] for entry in sent["entry"]}
    assert receiver.requests[0].headers["X-Request-Id"] in first.delivered[0]


def test_the_token_is_asked_for_before_each_request() -> None:
    tokens = iter(["one", "two"])
    with fhir_server() as (_, receiver):
        sender = fhir(receiver.url, headers=lambda: {"Authorization": f"Bearer {next(tokens)}"})
        sender.deliver(PACKAGE)
        sender.deliver(PACKAGE)
    assert [request.headers["Authorization"] for request in receiver.requests] == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize("mode", ["hang", "close", "garbage", "half", "drip"])
def test_a_fhir_server_that_misbehaves_is_tried_again(mode: str) -> None:
    with fhir_server(mode) as (server, receiver), pytest.raises(RetriableDelivery):
        fhir(receiver.url, timeout_s=1.0, total_s=2.0).deliver(PACKAGE)
    assert server.resources == {}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (301, FinalDelivery),
        (400, FinalDelivery),
        (401, FinalDelivery),
        (404, FinalDelivery),
        (412, FinalDelivery),
        (422, FinalDelivery),
        (501, FinalDelivery),
        (409, RetriableDelivery),
        (429, RetriableDelivery),
        (500, RetriableDelivery),
        (503, RetriableDelivery),
    ],
)
def test_each_status_is_weighed(status: int, kind: type[Exception]) -> None:
    issue = {"severity": "error", "code": "processing", "diagnostics": "Phantom^Test is unknown"}
    body = json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()
    headers = {"Retry-After": "120", "Location": "/other"}
    with web(lambda _: (status, headers, body)) as receiver, pytest.raises(kind) as caught:
        fhir(receiver.url).deliver(PACKAGE)
    assert str(status) in str(caught.value)
    assert "processing" in str(caught.value)
    assert "Phantom" not in str(caught.value)
    if isinstance(caught.value, RetriableDelivery):
        assert caught.value.retry_after_s == 120.0
    assert len(receiver.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"resourceType": "Bundle", "type": "transaction-response", "entry": []}',
        b'{"resourceType": "Bundle", "type": "batch-response", "entry": [{"response": {"status": "400"}}]}',
    ],
)
def test_a_success_that_is_no_answer_to_the_transaction_is_no_success(body: bytes) -> None:
    with web(lambda _: (200, {}, body)) as receiver, pytest.raises(RetriableDelivery):
        fhir(receiver.url).deliver(PACKAGE)


def test_an_invalid_bundle_is_refused_for_good() -> None:
    broken = json.loads(PACKAGE.fhir)
    broken["entry"][0]["resource"]["nonsense"] = 1
    with fhir_server() as (server, receiver), pytest.raises(FinalDelivery, match="invalid"):
        fhir(receiver.url).send(json.dumps(broken))
    assert server.resources == {}


@pytest.mark.parametrize("url", ["ftp://x.example", "https://user:secret@x.example", "nowhere", "https://"])
def test_an_address_that_cannot_be_one_is_refused_at_once(url: str) -> None:
    with pytest.raises(ValueError, match="http or https"):
        HttpPeer(name="ehr", url=url)
