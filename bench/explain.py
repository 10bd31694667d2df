"""``make bench-explain``: every method and three other tools on the same weights: time, memory, threads, places, gate.

Prints the sections and, with ``--markdown docs/benchmarks.md``, writes them between their marks.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

from bench import cuda, gate, pointing, sections, speed
from bench.__main__ import machine_facts, pinned
from bench.cases import CaseSet, case_sets
from bench.sections import END, START, Section
from radiolucent.engines.registry import find_bundle, installed_bundles

BRAIN = "brain-mri"


def main() -> int:
    """Measure part after part; 0 at the end, also where parts were left out for want of time."""
    parser = argparse.ArgumentParser(prog="python -m bench.explain", description=__doc__)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the sections into this page")
    parser.add_argument("--cases", type=int, default=16, help="images of each set for places and gate")
    parser.add_argument("--slow-cases", type=int, default=4, help="of them for methods that need many passes; 0: none")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=40.0, help="start no further part after this")
    parser.add_argument("--only", action="append", metavar="PART", choices=[*PARTS], help=", ".join(PARTS))
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    started, load = time.monotonic(), os.getloadavg()[0]
    done: list[Section] = []
    late = []
    for name, part in PARTS.items():
        if arguments.only and name not in arguments.only:
            continue
        if time.monotonic() - started > 60 * arguments.minutes:
            late.append(name)
            continue
        print(f"{time.monotonic() - started:.0f} s: {name} …", file=sys.stderr, flush=True)
        # threads need their cores, and the sections that start processes of their own pin nothing
        done += part(arguments) if name in ("threads", "memory") else pinned(lambda part=part: part(arguments))  # type: ignore[misc]
    text = "\n".join(_page(done, late, load, time.monotonic() - started))
    print(text)
    if arguments.markdown:
        write(arguments.markdown, text)
    return 0


@cache
def _sets(count: int) -> tuple[CaseSet, ...]:
    return tuple(case_sets(count))


def _pointing(arguments: argparse.Namespace) -> list[Section]:
    return [pointing.pointing(_sets(arguments.cases), slow=arguments.slow_cases)]


def _eighteen(arguments: argparse.Namespace) -> list[Section]:
    return [sections.against_peers(arguments.rounds)]


def _one_image(arguments: argparse.Namespace) -> list[Section]:
    return [speed.one_image(find_bundle(BRAIN, installed_bundles()), arguments.rounds)]


def _batch(arguments: argparse.Namespace) -> list[Section]:
    return [speed.batch_of_64(find_bundle(BRAIN, installed_bundles()), max(1, arguments.rounds // 2))]


def _memory(_: argparse.Namespace) -> list[Section]:
    return [sections.peak_memory(), sections.peak_memory(64, 192, BRAIN)]


def _threads(arguments: argparse.Namespace) -> list[Section]:
    return [sections.many_threads(arguments.rounds)]


def _gate(arguments: argparse.Namespace) -> list[Section]:
    return [gate.section(gate.measure(_sets(arguments.cases))), speed.gate_cost(_sets(arguments.cases))]


PARTS: dict[str, Callable[[argparse.Namespace], list[Section]]] = {
    "cuda": lambda _: [cuda.on_a_gpu()],
    "18-classes": _eighteen,
    "one-image": _one_image,
    "batch": _batch,
    "memory": _memory,
    "threads": _threads,
    "pointing": _pointing,
    "gate": _gate,
}


def _page(done: list[Section], late: list[str], load: float, seconds: float) -> list[str]:
    lines = [
        "## Explaining by other methods, and by other tools",
        "",
        "Made by `make bench-explain` in one run: one thread, one core (threads and memory apart), ways interleaved,",
        "ratios within a round, medians with quartiles.",
        "",
        *(f"- {name}: {value}" for name, value in machine_facts(load).items()),
        f"- took {seconds:.0f} s",
    ]
    if late:
        lines.append(f"- left out for want of time: {', '.join(late)}")
    for section in done:
        lines += ["", *section.lines(3)]
    return lines


def write(page: Path, text: str) -> None:
    """Put the sections between their marks; at the end where the page has none yet."""
    before = page.read_text(encoding="utf-8") if page.exists() else "# Benchmarks\n"
    block = f"{START}\n{text}\n{END}\n"
    if START in before:
        before = re.sub(f"{re.escape(START)}.*?{re.escape(END)}\n?", lambda _: block, before, flags=re.DOTALL)
    else:
        before = before.rstrip("\n") + "\n\n" + block
    page.write_text(before, encoding="utf-8")


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.exit(main())
