"""How soon results are stored: from the end of C-STORE to a study's last object in Orthanc, and where the time goes."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from bench.receivers import AE_TITLE, free_port, running
from radiolucent.imaging.uids import derived_uid
from radiolucent.phantom.studies import make_study

HTTP_S, LOOK_S, QUIET_S, GIVE_UP_S = 30, 0.02, 10.0, 600.0
ENGINE, KIND, FINDINGS = "chest", "chest-xr", ("effusion",)
_ORTHANC = """{"Name": "bench", "StorageDirectory": "%(folder)s", "IndexDirectory": "%(folder)s", "HttpPort": %(http)d,
"RemoteAccessAllowed": false, "AuthenticationEnabled": false, "DicomAet": "ORTHANC", "DicomPort": %(dicom)d,
"DicomModalities": {"us": ["RADIOLUCENT", "127.0.0.1", 1]}, "UnknownSopClassAccepted": true}"""
STAGES = (
    "last object kept, until the study is complete",
    "in the queue, until a worker begins",
    "reading: engine, every result written and synced",
    "in the queue again, and sent",
)


@dataclass(frozen=True, kw_only=True)
class Turnaround:
    """What one run gave: seconds of each study, sorted; studies a second; MiB of each process; medians of stages."""

    way: str
    studies: int
    waits_s: tuple[float, ...]
    per_s: float
    objects: int
    memory_mib: tuple[float, ...]
    stages_s: Mapping[str, float]

    def quantile(self, share: float) -> float:
        """Of the waits; the nearest that was measured."""
        if not self.waits_s:
            return float("nan")
        return self.waits_s[min(len(self.waits_s) - 1, int(share * len(self.waits_s)))]


def measure(folder: Path, *, studies: int, senders: int, quiet_s: float) -> Turnaround:
    """Send radiographs to a gateway of its own; `senders` 0 sends each one when the one before is stored."""
    folder.mkdir(parents=True)
    files = _studies(folder / "cr", studies + 1)
    first = next(iter(files))
    with _orthanc(folder / "orthanc") as (dicom, http):
        settings = (
            f'[work]\nengines = ["{ENGINE}"]\n[assembly]\nquiet_s = {quiet_s}\n[[destinations]]\nname = "pacs"\n'
            f'kind = "cstore"\nhost = "127.0.0.1"\nport = {dicom}\ncalled_ae = "ORTHANC"\n'
        )
        with running("gateway", folder / "gateway", settings) as (port, process), _watching(http) as seen:
            _send(port, files.pop(first))  # the first one waits until the worker has its engine: it isn't counted
            _until(lambda: len(seen.studies) == 1 and seen.is_quiet(), "the worker to be ready")
            sent = _send_each(port, files, seen) if senders == 0 else _send_many(port, files, senders)
            _until(lambda: len(seen.studies) == studies + 1 and seen.is_quiet(), "all results")
            memory = tuple(peak_mib(pid) for pid in (process.pid, *_children(process.pid)))
    stored = {uid: moment for uid, moment in seen.studies.items() if uid in sent}
    span = max(stored.values()) - min(sent.values())
    return Turnaround(
        way="one at a time" if senders == 0 else f"{senders} senders, back to back",
        studies=studies,
        waits_s=tuple(sorted(stored[uid] - sent[uid] for uid in stored)),
        per_s=len(stored) / span,
        objects=seen.objects,
        memory_mib=memory,
        stages_s=_stages(folder / "gateway" / "data" / "radiolucent.sqlite", list(sent)),
    )


def peak_mib(pid: int) -> float:
    """``VmHWM`` of a process. Source: proc(5)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


# --- sending ---


def _studies(folder: Path, count: int) -> dict[str, Path]:
    """Radiographs that differ in nothing but their UIDs."""
    (original,) = make_study(KIND, FINDINGS, seed=37).datasets
    folder.mkdir()
    found: dict[str, Path] = {}
    for number in range(count):
        dataset, uid = deepcopy(original), derived_uid("load", str(number))
        dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid, derived_uid("load", str(number), "series")
        dataset.SOPInstanceUID = derived_uid("load", str(number), "0")
        dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
        found[uid] = folder / f"{number}.dcm"
        dataset.save_as(found[uid], enforce_file_format=True)
    return found


def _send(port: int, path: Path) -> float:
    command = ["storescu", "-aec", AE_TITLE, "127.0.0.1", str(port), str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return time.monotonic()


def _send_each(port: int, files: Mapping[str, Path], seen: Seen) -> dict[str, float]:
    """The next one when the one before has its key objects in Orthanc, which go last, and a breath more."""
    sent = {}
    for uid, path in files.items():
        before = len(seen.studies)
        sent[uid] = _send(port, path)
        _until(lambda: len(seen.studies) > before and seen.is_quiet(1.0), "one result")  # noqa: B023
    return sent


def _send_many(port: int, files: Mapping[str, Path], senders: int) -> dict[str, float]:
    waiting, lock = list(files.items()), threading.Lock()
    sent: dict[str, float] = {}

    def work() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                uid, path = waiting.pop(0)
            sent[uid] = _send(port, path)

    threads = [threading.Thread(target=work) for _ in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sent


# --- what Orthanc has ---


@dataclass
class Seen:
    """Last moment at which something of a study was new in Orthanc, by its Study Instance UID."""

    studies: dict[str, float]
    objects: int = 0

    def is_quiet(self, for_s: float = QUIET_S) -> bool:
        """Whether nothing was new for so long."""
        return bool(self.studies) and time.monotonic() - max(self.studies.values()) > for_s


@contextmanager
def _watching(http: int) -> Iterator[Seen]:
    seen, stop = Seen(studies={}), threading.Event()

    def watch() -> None:
        since, of_series = 0, dict[str, str]()
        while not stop.is_set():
            found = _ask(http, f"/changes?since={since}&limit=500")
            now = time.monotonic()
            for change in found["Changes"]:
                if change["ChangeType"] == "NewInstance":
                    series = _ask(http, f"/instances/{change['ID']}")["ParentSeries"]
                    if series not in of_series:
                        of_series[series] = _ask(http, f"/series/{series}/study")["MainDicomTags"]["StudyInstanceUID"]
                    seen.studies[of_series[series]] = now
                    seen.objects += 1
            since = found["Last"]
            if found["Done"]:
                stop.wait(LOOK_S)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


@contextmanager
def _orthanc(folder: Path) -> Iterator[tuple[int, int]]:
    folder.mkdir()
    dicom, http = free_port(), free_port()
    path = folder / "orthanc.json"
    path.write_text(_ORTHANC % {"folder": folder, "dicom": dicom, "http": http})
    program = shutil.which("Orthanc") or "Orthanc"
    process = subprocess.Popen([program, str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _until(lambda: _answers(http), "Orthanc")
        yield dicom, http
    finally:
        process.terminate()
        process.wait(30)


def _answers(http: int) -> bool:
    try:
        _ask(http, "/system")
    except OSError:
        return False
    return True


def _ask(http: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{http}{path}", timeout=HTTP_S) as answer:
        return json.loads(answer.read())


def _until(met: Any, what: str) -> None:
    deadline = time.monotonic() + GIVE_UP_S
    while not met():
        if time.monotonic() > deadline:
            raise RuntimeError(f"waited {GIVE_UP_S:.0f} s in vain for {what}")
        time.sleep(LOOK_S)


# --- where the time goes ---


def _stages(database: Path, studies: list[str]) -> dict[str, float]:
    """Median seconds of each stage, from the rows of the gateway."""
    query = (
        "select s.last_received_at, r.made_at, r.started_at, r.finished_at, d.finished_at from studies s "
        "join revisions r using (study_instance_uid) join deliveries d using (study_instance_uid) "
        f"where s.study_instance_uid in ({', '.join('?' * len(studies))})"
    )
    with sqlite3.connect(database) as rows:
        found = [[datetime.fromisoformat(one) for one in row] for row in rows.execute(query, studies)]
    return {
        name: median((row[index + 1] - row[index]).total_seconds() for row in found)
        for index, name in enumerate(STAGES)
    }


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found
