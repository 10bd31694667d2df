"""Storage SCPs to compare, each started in a process of its own and asked until it answers."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from radiolucent.ingest.listener import Listener, Terms
from radiolucent.ingest.receiving import Outcome, ReceivedInstance
from radiolucent.ingest.spool import Spool

AE_TITLE = "RADIOLUCENT"
WAYS = ("storescp", "listener", "gateway", "pynetdicom")


class SyncedFolder:
    """A receiver that moves each object into a folder after an fsync, and does no more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def receive(self, instance: ReceivedInstance) -> Outcome:
        with instance.path.open("rb") as stream:
            os.fsync(stream.fileno())
        instance.path.rename(self.folder / instance.sop_instance_uid)
        return Outcome.STORED

    def association_ended(self, association_id: str, *, aborted: bool) -> None:
        """Nothing is noted."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(way: str, folder: Path, settings: str = "") -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Port and process of one receiver that writes into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    if way == "storescp":
        program = shutil.which("storescp") or "storescp"
        command = [program, "--fork", "+B", "-aet", AE_TITLE, "-od", str(folder), str(port)]
    elif way == "gateway":
        path = folder / "settings.toml"
        path.write_text(
            f'data_folder = "{folder}/data"\nlog_level = "WARNING"\n[web]\nenabled = false\n'
            f"[listener]\nport = {port}\n[archive]\nwatermark_mib = 0\n{settings}"
        )
        command = [str(Path(sys.executable).with_name("radiolucent")), "serve", "--settings", str(path)]
    else:
        command = [sys.executable, "-m", "bench.receivers", way, str(folder), str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=(folder / "log").open("wb"))
    try:
        _wait_for(port, process, folder / "log")
        yield port, process
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        echo = ["echoscu", "-to", "2", "-aec", AE_TITLE, "127.0.0.1", str(port)]
        if subprocess.run(echo, capture_output=True).returncode == 0:
            return
        time.sleep(0.2)
    raise RuntimeError(f"a receiver doesn't answer: {log.read_text(errors='replace')[-500:]}")


def _pynetdicom(folder: Path, port: int) -> None:
    from pynetdicom import AE, _config, evt

    _config.LOG_HANDLER_LEVEL = "none"
    _config.UNRESTRICTED_STORAGE_SERVICE = True

    def store(event: evt.Event) -> int:
        path = folder / str(event.file_meta.MediaStorageSOPInstanceUID)
        with path.open("wb") as stream:
            stream.write(event.encoded_dataset())
            os.fsync(stream.fileno())
        return 0x0000

    server = AE(ae_title=AE_TITLE)
    server.maximum_associations, server.maximum_pdu_size = 200, 131072
    server.add_supported_context("1.2.840.10008.1.1")
    server.start_server(("127.0.0.1", port), evt_handlers=[(evt.EVT_C_STORE, store)])


def main() -> None:
    """Run one receiver until the process is ended."""
    way, folder, port = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    if way == "pynetdicom":
        _pynetdicom(folder, port)
    with Listener(SyncedFolder(folder / "kept"), Spool(folder / "spool"), terms=Terms(ae_title=AE_TITLE), port=port):
        threading.Event().wait()


if __name__ == "__main__":
    main()
