"""Real peers for tests: an Orthanc of our own, on free ports, in a network namespace that has nothing but loopback.

Orthanc binds every interface whatever its configuration says (``RemoteAccessAllowed`` only filters HTTP clients). Where
the machine lets us make a network namespace it is started in one, and `Orthanc.inside` takes the calling thread there.
Elsewhere it listens on all interfaces for as long as the tests run.
"""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AE_TITLE = "ORTHANC"
OUR_AE_TITLE = "RADIOLUCENT"
START_WITHIN_S = 60.0
_CLONE_NEWNET = 0x40000000
# its GDCM plug-in is never loaded: it ends the whole server on a segmentation without a plane
_DICOMWEB = (Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so"),)


class PeerMissing(Exception):
    """The peer's program isn't installed."""


@dataclass(frozen=True, kw_only=True)
class Orthanc:
    """A running Orthanc."""

    dicom_port: int
    http_port: int
    our_port: int  # where it believes `OUR_AE_TITLE` to listen
    process: subprocess.Popen[bytes]
    isolated: bool

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Take this thread, and the threads it starts, to where the server is."""
        if not self.isolated:
            yield
            return
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/proc/{self.process.pid}/ns/net", os.O_RDONLY)
        try:
            _enter(there)
            yield
        finally:
            _enter(home)
            os.close(home)
            os.close(there)

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """GET (or POST `body` to) a path of the REST interface; JSON decoded, anything else as bytes."""
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"http://127.0.0.1:{self.http_port}{path}", data=data, timeout=30) as answer:
            content: bytes = answer.read()
            return json.loads(content) if "json" in answer.headers["Content-Type"] else content

    def stop(self) -> None:
        """End this server and no other."""
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(timeout=20)


def start_orthanc(folder: Path) -> Orthanc:
    """Start an empty Orthanc that keeps everything in `folder`, and wait until it answers.

    Raises
    ------
    PeerMissing
        If the program isn't installed.
    RuntimeError
        If it doesn't answer in time; the message ends with its log.
    """
    program = shutil.which("Orthanc")
    if program is None:
        raise PeerMissing("Orthanc")
    isolated = _can_isolate()
    dicom_port, http_port, our_port = (4242, 8042, 11112) if isolated else _free_ports(3)
    configuration = folder / "orthanc.json"
    configured = _configuration(folder, dicom_port=dicom_port, http_port=http_port, our_port=our_port)
    configuration.write_text(json.dumps(configured))
    log = (folder / "log").open("wb")
    alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$0" "$@"'] if isolated else []
    process = subprocess.Popen([*alone, program, str(configuration)], stdout=log, stderr=subprocess.STDOUT)
    log.close()
    server = Orthanc(dicom_port=dicom_port, http_port=http_port, our_port=our_port, process=process, isolated=isolated)
    if not _answers(server):
        server.stop()
        raise RuntimeError(f"Orthanc doesn't answer:\n{(folder / 'log').read_text(errors='replace')[-2000:]}")
    return server


def _configuration(folder: Path, *, dicom_port: int, http_port: int, our_port: int) -> dict[str, Any]:
    return {
        "Name": "radiolucent tests",
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "Plugins": [str(plugin) for plugin in _DICOMWEB if plugin.exists()],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "StudiesMetadata": "Full", "SeriesMetadata": "Full"},
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomAet": AE_TITLE,
        "DicomPort": dicom_port,
        "DicomCheckCalledAet": True,
        "UnknownSopClassAccepted": False,
        "DicomModalities": {"radiolucent": [OUR_AE_TITLE, "127.0.0.1", our_port]},
    }


def _can_isolate() -> bool:
    if not all(shutil.which(tool) for tool in ("unshare", "ip", "sh")):
        return False
    tried: Sequence[str] = ("unshare", "--net", "sh", "-c", "ip link set lo up")
    return subprocess.run(tried, capture_output=True, timeout=20).returncode == 0


def _enter(descriptor: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


def _free_ports(count: int) -> tuple[int, ...]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return tuple(one.getsockname()[1] for one in sockets)
    finally:
        for one in sockets:
            one.close()


def _answers(server: Orthanc) -> bool:
    deadline = time.monotonic() + START_WITHIN_S
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            with server.inside():
                server.ask("/system")
            return True
        except (urllib.error.URLError, ConnectionError, FileNotFoundError):
            time.sleep(0.2)
    return False
