"""Senders and a listener for tests: DCMTK's programs, pynetdicom as a client, and a listener that leaves nothing."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.association import Association

from radiolucent.ingest.listener import Listener, Terms
from radiolucent.ingest.spool import Spool
from tests.unit.ingest.receivers import FolderReceiver

OURS = "RADIOLUCENT"
CT = "1.2.840.10008.5.1.4.1.1.2"


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"needs {name}: run scripts/install-peers")
    return path


@contextmanager
def listening(tmp_path: Path, receiver: FolderReceiver | None = None, **terms: object) -> Iterator[Listener]:
    chosen = Terms(ae_title=OURS, **{"network_timeout_s": 5.0, **terms})  # type: ignore[arg-type]
    with Listener(receiver or FolderReceiver(tmp_path / "kept"), Spool(tmp_path / "spool"), terms=chosen) as listener:
        yield listener
    assert list((tmp_path / "spool").iterdir()) == [], "a half-received file was left"


def associate(
    listener: Listener, *classes: str, calling: str = "PEER", syntax: str = ExplicitVRLittleEndian
) -> Association:
    ours = AE(ae_title=calling)
    for uid in classes or (CT,):
        ours.add_requested_context(uid, syntax)
    host, port = listener.address
    return ours.associate(host, port, ae_title=OURS)


def run_tool(
    program: str, listener: Listener, *arguments: str, timeout_s: float = 60
) -> subprocess.CompletedProcess[str]:
    host, port = listener.address
    command = [tool(program), *arguments[:-1], "-aec", OURS, host, str(port), arguments[-1]]
    return subprocess.run([part for part in command if part], capture_output=True, text=True, timeout=timeout_s)
