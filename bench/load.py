"""``python -m bench.load``: how much the gateway takes in, beside DCMTK's storescp, and how soon a result is stored."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

from bench.receivers import AE_TITLE, WAYS, free_port, running
from radiolucent.imaging.uids import derived_uid
from radiolucent.phantom.studies import PhantomStudy, make_study

HTTP = 30
_ORTHANC = """{"Name": "bench", "StorageDirectory": "%(folder)s", "IndexDirectory": "%(folder)s", "HttpPort": %(http)d,
"RemoteAccessAllowed": false, "AuthenticationEnabled": false, "DicomAet": "ORTHANC", "DicomPort": %(dicom)d,
"DicomModalities": {"us": ["RADIOLUCENT", "127.0.0.1", 1]}, "UnknownSopClassAccepted": true}"""


def main() -> int:
    """Measure both, print them and write them down if asked."""
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the page to FILE")
    parser.add_argument("--associations", type=int, nargs="+", default=[1, 8, 32], help="at once")
    parser.add_argument("--objects", type=int, default=192, help="objects of 0.5 MB a round, over all associations")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--studies", type=int, default=24, help="read end to end")
    parser.add_argument("--senders", type=int, default=2, help="sending studies at once, end to end")
    arguments = parser.parse_args()
    missing = [name for name in ("storescu", "storescp", "Orthanc") if shutil.which(name) is None]
    if missing:
        print(f"needs {', '.join(missing)}: run scripts/install-peers", file=sys.stderr)
        return 1
    start, load = time.monotonic(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="radiolucent-load-") as name:
        folder = Path(name)
        receiving = _receiving(folder, arguments.associations, arguments.objects, arguments.rounds)
        reading = _reading(folder, arguments.studies, arguments.senders)
    text = _page(receiving, reading, load, time.monotonic() - start)
    print(text)
    if arguments.markdown:
        arguments.markdown.write_text(text, encoding="utf-8")
    return 0


# --- receiving ---


def _receiving(folder: Path, associations: list[int], objects: int, rounds: int) -> list[tuple[str, ...]]:
    """Rows: way, associations, objects/s (lowest to highest), MB/s, peak memory of the receiving process."""
    source = folder / "ct"
    make_study("head-ct", seed=1, slices=8).save(source)
    files = sorted(source.glob("*.dcm"))
    size = sum(path.stat().st_size for path in files) / len(files)
    rates: dict[tuple[str, int], list[float]] = {}
    memory: dict[str, float] = {}
    for way in WAYS:
        with running(way, folder / way) as (port, process):
            for number in [count for _ in range(rounds) for count in associations]:
                rate = _send_round(port, files, number, max(1, objects // number // len(files)))
                rates.setdefault((way, number), []).append(rate)
                print(f"{way}, {number} associations: {rate:.0f} objects/s", file=sys.stderr, flush=True)
            memory[way] = _peak_mib(process.pid)
        shutil.rmtree(folder / way)
    return [
        (
            way,
            str(number),
            f"{statistics.median(found):.0f} ({min(found):.0f} to {max(found):.0f})",
            f"{statistics.median(found) * size / 1e6:.0f}",
            "one process each" if way == "storescp" else f"{memory[way]:.0f} MiB",
        )
        for (way, number), found in rates.items()
    ]


def _send_round(port: int, files: list[Path], associations: int, repeat: int) -> float:
    """Objects a second, from the first association to the end of the last; every object has a UID of its own."""
    command = ["storescu", "+II", "--repeat", str(repeat), "-aec", AE_TITLE, "127.0.0.1", str(port), *map(str, files)]
    begun = time.monotonic()
    senders = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(associations)]
    ended = [sender.wait(300) for sender in senders]
    if any(ended):
        raise RuntimeError("a sender failed")
    return associations * repeat * len(files) / (time.monotonic() - begun)


# --- reading ---


def _reading(folder: Path, studies: int, senders: int) -> dict[str, Any]:
    """Seconds from the end of a study's C-STORE to its last result in Orthanc, for each study."""
    files = _studies(folder / "mr", studies)
    with _orthanc(folder / "orthanc") as (dicom, http):
        settings = (
            '[assembly]\nquiet_s = 0.1\n[[destinations]]\nname = "pacs"\nkind = "cstore"\n'
            f'host = "127.0.0.1"\nport = {dicom}\ncalled_ae = "ORTHANC"\n'
        )
        with running("gateway", folder / "gateway", settings) as (port, process):
            seen: dict[str, float] = {}
            stop = threading.Event()
            watcher = threading.Thread(target=_watch, args=(http, seen, stop))
            watcher.start()
            sent = _send_studies(port, files, senders)
            _until_quiet(http, seen, len(files))
            stop.set()
            watcher.join()
            family = [process.pid, *_children(process.pid)]
            memory = [_peak_mib(pid) for pid in family]
        stored = _last_of_each(http, seen)
    first, last = min(sent.values()), max(stored.values())
    waits = sorted(stored[uid] - sent[uid] for uid in sent if uid in stored)
    return {
        "studies": studies,
        "senders": senders,
        "arrived": len(waits),
        "per_s": len(waits) / (last - first) if last > first else 0.0,
        "quantiles": [_quantile(waits, share) for share in (0.5, 0.95, 0.99)],
        "memory": memory,
        "objects": len(seen),
    }


def _studies(folder: Path, count: int) -> dict[str, list[Path]]:
    """Files of `count` studies that differ in nothing but their UIDs."""
    study: PhantomStudy = make_study("brain-mr", ("glioma",), seed=2, slices=1, rows=256)
    found: dict[str, list[Path]] = {}
    for number in range(count):
        uid = derived_uid("load", str(number))
        found[uid] = []
        for index, original in enumerate(study.datasets):
            dataset = deepcopy(original)
            dataset.StudyInstanceUID, dataset.SeriesInstanceUID = uid, derived_uid("load", str(number), "series")
            dataset.SOPInstanceUID = derived_uid("load", str(number), str(index))
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            path = folder / f"{number}-{index}.dcm"
            path.parent.mkdir(exist_ok=True)
            dataset.save_as(path, enforce_file_format=True)
            found[uid].append(path)
    return found


def _send_studies(port: int, files: dict[str, list[Path]], senders: int) -> dict[str, float]:
    waiting, lock = list(files.items()), threading.Lock()
    sent: dict[str, float] = {}

    def send() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                uid, paths = waiting.pop(0)
            command = ["storescu", "-aec", AE_TITLE, "127.0.0.1", str(port), *map(str, paths)]
            subprocess.run(command, check=True, capture_output=True, timeout=120)
            sent[uid] = time.monotonic()

    threads = [threading.Thread(target=send) for _ in range(senders)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sent


@contextmanager
def _orthanc(folder: Path) -> Iterator[tuple[int, int]]:
    folder.mkdir()
    dicom, http = free_port(), free_port()
    path = folder / "orthanc.json"
    path.write_text(_ORTHANC % {"folder": folder, "dicom": dicom, "http": http})
    program = shutil.which("Orthanc") or "Orthanc"
    process = subprocess.Popen([program, str(path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                _ask(http, "/system")
                break
            except OSError:
                time.sleep(0.2)
        yield dicom, http
    finally:
        process.terminate()
        process.wait(30)


def _ask(http: int, path: str) -> Any:
    with urllib.request.urlopen(f"http://127.0.0.1:{http}{path}", timeout=HTTP) as answer:
        return json.loads(answer.read())


def _watch(http: int, seen: dict[str, float], stop: threading.Event) -> None:
    """Note when each instance is first reported by Orthanc; looks every 20 ms."""
    since = 0
    while not stop.is_set():
        found = _ask(http, f"/changes?since={since}&limit=500")
        now = time.monotonic()
        for change in found["Changes"]:
            if change["ChangeType"] == "NewInstance":
                seen[change["ID"]] = now
        since = found["Last"]
        if found["Done"]:
            stop.wait(0.02)


def _until_quiet(http: int, seen: dict[str, float], studies: int) -> None:
    """Until every study has a result and nothing new came for 10 s, or 5 minutes have passed."""
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        if _ask(http, "/statistics")["CountStudies"] >= studies and time.monotonic() - max(seen.values()) > 10:
            return
        time.sleep(0.5)


def _last_of_each(http: int, seen: dict[str, float]) -> dict[str, float]:
    last: dict[str, float] = {}
    for identifier, moment in seen.items():
        uid = _ask(http, f"/instances/{identifier}/study")["MainDicomTags"]["StudyInstanceUID"]
        last[uid] = max(moment, last.get(uid, 0.0))
    return last


def _peak_mib(pid: int) -> float:
    """``VmHWM`` of a process. Source: proc(5)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return float("nan")


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += [int(child) for child in (task / "children").read_text().split()]
    return found


def _quantile(sorted_values: list[float], share: float) -> float:
    return (
        sorted_values[min(len(sorted_values) - 1, int(share * len(sorted_values)))] if sorted_values else float("nan")
    )


# --- the page ---


def _page(receiving: list[tuple[str, ...]], reading: dict[str, Any], load: float, took_s: float) -> str:
    p50, p95, p99 = reading["quantiles"]
    memory = ", ".join(f"{one:.0f}" for one in reading["memory"])
    rows = "\n".join("| " + " | ".join(row) + " |" for row in receiving)
    return f"""# The gateway under load

Made by `make bench-load` in one run; see [Benchmarks](benchmarks.md) for the engines. Sender and receiver share the
machine, so that these are no figures of a gateway that has a machine to itself.

- machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}
- load: {load:.1f} processes were running before it began
- took {took_s:.0f} s

## Receiving

CT images of 0.5 MB, sent by DCMTK's storescu, one process an association, every object with a UID of its own. Median of
the rounds, lowest and highest. `storescp` forks for each association and writes files without syncing them. `listener`
is this project's with a receiver that syncs and renames. `gateway` is `radiolucent serve`: synced, with a row, an audit
event and a commit for each object before it is acknowledged. `pynetdicom` is that library's own server, syncing.

| receiver | associations | objects/s | MB/s | peak memory |
|---|---|---|---|---|
{rows}

## From the last C-STORE to the result in Orthanc

{reading["studies"]} brain MR studies of one slice, senders at once: {reading["senders"]}. Quiet period 0.1 s, one
worker with its engine on one thread, results by C-STORE. Counted from the end of storescu to the study's last object in
Orthanc, looked for every 20 ms.

- studies with results: {reading["arrived"]} of {reading["studies"]}; {reading["objects"]} objects
- sustained: {reading["per_s"]:.2f} studies/s
- p50 {p50:.2f} s, p95 {p95:.2f} s, p99 {p99:.2f} s
- aim, p95 below 1 s: {"met" if p95 < 1 else "MISSED"}
- peak memory of gateway and its processes: {memory} MiB
"""


if __name__ == "__main__":
    raise SystemExit(main())
