"""``python -m bench.load``: how much the gateway takes in, beside DCMTK's storescp, and how soon a result is stored."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from bench.receivers import AE_TITLE, WAYS, running
from bench.turnaround import ENGINE, Turnaround, measure, peak_mib
from radiolucent.phantom.studies import make_study

AIM_S = 1.0


def main() -> int:
    """Measure both, print them and write them down if asked."""
    parser = argparse.ArgumentParser(prog="python -m bench.load", description=__doc__)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the page to FILE")
    parser.add_argument("--associations", type=int, nargs="+", default=[1, 8, 32], help="at once")
    parser.add_argument("--objects", type=int, default=192, help="objects of 0.5 MB a round, over all associations")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--studies", type=int, default=40, help="radiographs read end to end, a way")
    parser.add_argument("--senders", type=int, nargs="+", default=[0, 2], help="at once, end to end; 0: one at a time")
    parser.add_argument("--quiet", type=float, default=0.0, help="quiet period in seconds; 0: the association's end")
    arguments = parser.parse_args()
    missing = [name for name in ("storescu", "storescp", "Orthanc") if shutil.which(name) is None]
    if missing:
        print(f"needs {', '.join(missing)}: run scripts/install-peers", file=sys.stderr)
        return 1
    start, load = time.monotonic(), os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="radiolucent-load-") as name:
        folder = Path(name)
        receiving = _receiving(folder, arguments.associations, arguments.objects, arguments.rounds)
        turnarounds = [
            measure(folder / f"reading-{one}", studies=arguments.studies, senders=one, quiet_s=arguments.quiet)
            for one in arguments.senders
        ]
    text = _page(receiving, turnarounds, arguments.quiet, load, time.monotonic() - start)
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
        with running(way, folder / way, "[work]\nworkers = 0\n") as (port, process):
            for number in [count for _ in range(rounds) for count in associations]:
                rate = _send_round(port, files, number, max(1, objects // number // len(files)))
                rates.setdefault((way, number), []).append(rate)
                print(f"{way}, {number} associations: {rate:.0f} objects/s", file=sys.stderr, flush=True)
            memory[way] = peak_mib(process.pid)
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


# --- the page ---


def _priority() -> str:
    """Said where other work on the machine had to wait for this."""
    if os.sched_getscheduler(0) == os.SCHED_OTHER:
        return ""
    return "; they had to wait, this ran with real-time priority"


def _page(
    receiving: Sequence[tuple[str, ...]], turnarounds: Sequence[Turnaround], quiet_s: float, load: float, took_s: float
) -> str:
    rows = "\n".join("| " + " | ".join(row) + " |" for row in receiving)
    told = "\n".join(
        f"| {one.way} | {len(one.waits_s)} of {one.studies} | {one.per_s:.2f} | {one.quantile(0.5):.2f} | "
        f"{one.quantile(0.95):.2f} | {one.quantile(0.99):.2f} | {one.objects} | "
        f"{', '.join(f'{mib:.0f}' for mib in one.memory_mib)} |"
        for one in turnarounds
    )
    stages = "\n".join(f"| {name} | {seconds:.3f} |" for name, seconds in turnarounds[0].stages_s.items())
    p95 = turnarounds[0].quantile(0.95)
    quiet = "the association's end makes a study complete" if quiet_s == 0 else f"quiet period {quiet_s:g} s"
    return f"""# The gateway under load

Made by `make bench-load` in one run; see [Benchmarks](benchmarks.md) for the engines. Sender and receiver share the
machine, so that these are no figures of a gateway that has a machine to itself.

- machine: {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}
- load: {load:.1f} processes were running before it began{_priority()}
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

Radiographs (1024 x 1024, one a study) with a finding, read by the engine `{ENGINE}` on one thread in one worker;
{quiet};
results go out by C-STORE. Counted from the end of storescu to the study's last object in Orthanc, looked for every
20 ms. The first study, which waits for the engine to be loaded, isn't counted. Seconds; memory is the highest of the
gateway and of each of its processes, in MiB.

| sent | studies with results | studies/s | p50 | p95 | p99 | objects | memory |
|---|---|---|---|---|---|---|---|
{told}

Aim, one radiograph at a time, p95 below {AIM_S:g} s: {"met" if p95 < AIM_S else "MISSED"} ({p95:.2f} s). Where its
time goes, medians from the gateway's own rows:

| stage | s |
|---|---|
{stages}
"""


if __name__ == "__main__":
    raise SystemExit(main())
