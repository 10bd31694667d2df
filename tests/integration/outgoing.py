"""Receivers on loopback that results are sent to: MLLP, HTTP (FHIR, STOW-RS) and DICOM, each able to misbehave.

They are real servers. Well-behaved ones validate what they take: hl7apy in strict mode, the models of fhir.resources.
"""

from __future__ import annotations

import json
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_components, parse_message

START, END = b"\x0b", b"\x1c\r"
Misbehaviour = str
HANG_S = 30.0


def strictly_valid(data: bytes) -> bool:
    """hl7apy takes every OBX-5 for ST when it reads a message, so values are validated by their own type."""
    segments = []
    for line in data.decode().split("\r")[:-1]:
        fields = line.split("|")
        if fields[0] == "OBX":
            parse_components(fields[5], fields[2], "2.5.1", validation_level=VALIDATION_LEVEL.STRICT)
            fields[5] = "x" if fields[2] in ("TX", "FT") else fields[5]
        segments.append("|".join(fields))
    message = parse_message("\r".join(segments), validation_level=VALIDATION_LEVEL.STRICT, find_groups=True)
    return bool(message.validate())


@dataclass
class Ris:
    """An MLLP receiver. `mode` says how it answers; `kept` holds each message once, by control ID."""

    mode: Misbehaviour = "AA"
    kept: dict[str, bytes] = field(default_factory=dict)
    times: int = 0
    port: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    def take(self, connection: socket.socket) -> None:
        received = b""
        while END not in received:
            part = connection.recv(65536)
            if not part:
                return
            received += part
        message = received[received.index(START) + 1 : received.index(END)]
        control_id = message.split(b"\r")[0].split(b"|")[9].decode()
        self.times += 1
        if self.mode == "hang":
            self.stopping.wait(HANG_S)
            return
        if self.mode == "close":
            return
        if self.mode == "garbage":
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nhello\x1c\r")
            return
        if self.mode == "noise":
            connection.sendall(START + b"\xff\xfe\x00nonsense" + END)
            return
        if self.mode == "endless":
            while not self.stopping.is_set():
                connection.sendall(b"A" * 65536)
            return
        if self.mode == "half":
            connection.sendall(START + b"MSH|^~\\&|RIS")
            return
        if self.mode == "drip":
            while not self.stopping.wait(0.05):
                connection.sendall(b"\x0b")
            return
        code, _, error = self.mode.partition(":")
        about = "OTHER" if self.mode == "other" else control_id
        code = "AA" if self.mode == "other" else code
        if code == "AA" and about == control_id:
            assert strictly_valid(message)
            self.kept[control_id] = message
        answer = f"MSH|^~\\&|RIS||RADIOLUCENT||20261120||ACK^R01^ACK|1|P|2.5.1\rMSA|{code}|{about}\r"
        if error:
            answer += f"ERR|||{error}|E||||Phantom^Test has no order\r"
        connection.sendall(START + answer.encode() + END)


@contextmanager
def ris(mode: Misbehaviour = "AA", *, tls: Any = None) -> Iterator[Ris]:
    state = Ris(mode=mode)

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError), self._connection() as one:  # the sender may give up
                state.take(one)

        def _connection(self) -> Any:
            return tls.wrap_socket(self.request, server_side=True) if tls else nullcontext(self.request)

    with serving(socketserver.ThreadingTCPServer, Handler) as server:
        state.port = server.server_address[1]
        try:
            yield state
        finally:
            state.stopping.set()


@dataclass
class Web:
    """An HTTP receiver: `answer` gives (status, headers, body) for each request; all requests are kept."""

    answer: Callable[[Request], tuple[int, dict[str, str], bytes]]
    mode: Misbehaviour = "answer"
    requests: list[Request] = field(default_factory=list)
    port: int = 0
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@dataclass(frozen=True, kw_only=True)
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@contextmanager
def web(
    answer: Callable[[Request], tuple[int, dict[str, str], bytes]] | None = None, mode: Misbehaviour = "answer"
) -> Iterator[Web]:
    state = Web(answer=answer or (lambda request: (200, {}, b"")), mode=mode)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments: Any) -> None:
            pass

        def do_POST(self) -> None:
            self._do()

        def do_PUT(self) -> None:
            self._do()

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(method=self.command, path=self.path, headers=dict(self.headers), body=body)
            state.requests.append(request)
            self.close_connection = True
            if state.mode == "hang":
                state.stopping.wait(HANG_S)
                return
            if state.mode == "close":
                return
            if state.mode == "garbage":
                self.wfile.write(b"\x0bMSH|what\r")
                return
            if state.mode == "half":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n{")
                return
            if state.mode == "drip":
                self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
                while not state.stopping.wait(0.05):
                    self.wfile.write(b" ")
                    self.wfile.flush()
                return
            status, headers, content = state.answer(request)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content)), "Connection": "close"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def handle(self) -> None:
            with suppress(OSError):  # the sender may give up
                super().handle()

    with serving(ThreadingHTTPServer, Handler) as server:
        state.port = server.server_address[1]
        try:
            yield state
        finally:
            state.stopping.set()


@dataclass
class FhirServer:
    """Keeps the resources of valid transactions by identifier, as `ifNoneExist` and conditional updates want it."""

    resources: dict[str, dict[str, Any]] = field(default_factory=dict)
    bundles: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        from fhir.resources.R4B.bundle import Bundle

        if request.headers.get("Content-Type", "").split(";")[0] != "application/fhir+json":
            return 415, {}, b""
        try:
            sent = json.loads(request.body)
            Bundle.model_validate(sent)
        except ValueError:
            issue = {"severity": "error", "code": "invalid", "diagnostics": "Phantom^Test"}
            return 400, {}, json.dumps({"resourceType": "OperationOutcome", "issue": [issue]}).encode()
        done = []
        self.bundles.append(sent)
        for entry in sent["entry"]:
            url, asked = entry["fullUrl"], entry["request"]
            known = url in self.resources
            if asked["method"] == "PUT" or not known:
                self.resources[url] = entry["resource"]
            done.append({"response": {"status": "200 OK" if known else "201 Created"}})
        body = {"resourceType": "Bundle", "type": "transaction-response", "entry": done}
        return 200, {"Content-Type": "application/fhir+json"}, json.dumps(body).encode()

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.resources.values() if one["resourceType"] == kind]


@contextmanager
def serving(kind: Any, handler: Any) -> Iterator[Any]:
    """A server on a free loopback port, in threads that end with it."""
    kind.daemon_threads = True
    with kind(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def hanging() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen(16)
        yield int(one.getsockname()[1])


@contextmanager
def saying(data: bytes) -> Iterator[int]:
    """A port that says `data` to whoever connects, then closes."""

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            self.request.sendall(data)
            time.sleep(0.05)

    with serving(socketserver.ThreadingTCPServer, Handler) as server:
        yield server.server_address[1]


@dataclass
class MailServer:
    """An SMTP server that keeps mails; `refuse` answers a command (MAIL, RCPT, DATA, .) with a line of its own."""

    refuse: dict[str, str] = field(default_factory=dict)
    mails: list[bytes] = field(default_factory=list)
    port: int = 0

    def converse(self, stream: Any) -> None:
        stream.write(b"220 mail.example ESMTP\r\n")
        for line in stream:
            verb = line[:4].strip().upper().decode()
            if verb in self.refuse:
                if not self.refuse[verb]:
                    return
                stream.write(self.refuse[verb].encode() + b"\r\n")
            elif verb == "DATA":
                stream.write(b"354 go on\r\n")
                content = b"".join(iter(stream.readline, b".\r\n"))
                if "." in self.refuse:
                    stream.write(self.refuse["."].encode() + b"\r\n")
                else:
                    self.mails.append(content)
                    stream.write(b"250 kept\r\n")
            elif verb == "QUIT":
                stream.write(b"221 bye\r\n")
                return
            else:
                stream.write(b"250 ok\r\n")


@contextmanager
def mail_server(**refuse: str) -> Iterator[MailServer]:
    state = MailServer(refuse={name.replace("end", "."): line for name, line in refuse.items()})

    class Handler(socketserver.StreamRequestHandler):
        wbufsize = 0

        def handle(self) -> None:
            with suppress(OSError), self.request.makefile("rwb", buffering=0) as stream:
                state.converse(stream)

    with serving(socketserver.ThreadingTCPServer, Handler) as server:
        state.port = server.server_address[1]
        yield state
