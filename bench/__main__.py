"""``python -m bench``: measure everything that the installed packages allow, print it, and write it down if asked."""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from bench import peers, sections
from bench.sections import Section
from bench.timing import pin_to_one_core

PACKAGES = ("radiolucent", "numpy", "onnxruntime", "torch", "captum", "grad-cam", "torchcam", "shap", "lime")
_MARKED = re.compile(r"<!-- (bench-[a-z]+) -->.*?<!-- /\1 -->\n?", flags=re.DOTALL)


def main() -> int:
    """Run the sections; 0 when all could be measured, 1 when something was missing."""
    arguments = _arguments()
    if "torch" not in peers.absent():
        import torch

        torch.set_num_threads(1)
    few = arguments.quick
    plan: list[tuple[str, Callable[[], list[Section]], tuple[str, ...]]] = [
        ("engine", lambda: sections.shipped(5 if few else 60), ()),
        ("dense-net", lambda: [sections.dense_net(5 if few else 60)], ("torch", "onnx")),
    ]
    start, load = time.monotonic(), os.getloadavg()[0]
    done: list[Section] = []
    missing: list[str] = []
    for name, measure, needed in plan:
        if arguments.only and name not in arguments.only:
            continue
        lacking = sorted(set(needed) & set(peers.absent()))
        if lacking:
            missing.append(f"{name}: needs {', '.join(lacking)}: make torch")
            continue
        print(f"measuring: {name} …", file=sys.stderr, flush=True)
        done += pinned(measure)
        if name == "engine" and not done:
            missing.append("engine: no engine is installed")
    text = _markdown(done, missing, machine_facts(load), time.monotonic() - start)
    if arguments.json:
        print(
            json.dumps({"machine": machine_facts(load), "sections": done, "missing": missing}, default=_plain, indent=1)
        )
    else:
        print(text)
    if arguments.markdown:
        kept = other_sections(arguments.markdown)
        arguments.markdown.write_text(text + kept, encoding="utf-8")
    return 1 if missing else 0


def other_sections(page: Path) -> str:
    """What ``make bench-explain`` and others wrote between their marks: it stays when the rest is written anew."""
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    return "".join(f"\n{found.group()}" for found in _MARKED.finditer(text))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--json", action="store_true", help="one JSON document on stdout")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="also write the tables to FILE")
    parser.add_argument("--only", action="append", metavar="NAME", help="engine or dense-net")
    parser.add_argument("--quick", action="store_true", help="few rounds: does it run, not how fast")
    return parser.parse_args()


def pinned(measure: Callable[[], list[Section]]) -> list[Section]:
    """Measure on one core, where the system allows it."""
    if not hasattr(os, "sched_setaffinity"):
        return measure()
    allowed = os.sched_getaffinity(0)
    pin_to_one_core()
    try:
        return measure()
    finally:
        os.sched_setaffinity(0, allowed)


def machine_facts(load: float) -> dict[str, str]:
    """Processor, load, versions: what figures depend on."""
    cpu = platform.processor() or platform.machine()
    for line in _lines(Path("/proc/cpuinfo")):
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    versions = []
    for package in PACKAGES:
        try:
            versions.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            versions.append(f"{package} absent")
    return {
        "processor": f"{cpu}, {cores} cores, {platform.machine()}",
        "load": f"{load:.1f} processes were running before it began",
        "python": platform.python_version(),
        "packages": ", ".join(versions),
    }


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _plain(value: object) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _markdown(done: list[Section], missing: list[str], machine: dict[str, str], seconds: float) -> str:
    lines = [
        "# Benchmarks",
        "",
        "Made by `make bench ARGS='--markdown docs/benchmarks.md'` in one run. Every round runs each way once, each",
        "beginning with another; ratios are taken within a round. Figures are medians with their quartiles. On other",
        "machines times differ, and so, less, do ratios.",
        "",
        *(f"- {name}: {value}" for name, value in machine.items()),
        f"- took {seconds:.0f} s",
    ]
    for section in done:
        lines += ["", *section.lines()]
    if missing:
        lines += ["", "## Not measured", "", *(f"- {line}" for line in missing)]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
