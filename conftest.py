"""What a skipped test means: which peer it needs, how to get it, and when its absence is a failure.

A test skips with ``pytest.skip("needs dciodvfy: run scripts/install-peers")``: what it needs, a colon, how to get
it. The run ends with a list of those reasons. With ``RADIOLUCENT_REQUIRE_PEERS=1`` a missing peer fails instead;
with ``RADIOLUCENT_DATA`` set, missing real images fail. A module that can't be imported because an optional
package is absent skips with the same kind of reason.
"""

from __future__ import annotations

import importlib.util
import os
import re
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# how long an example takes says something of the machine and nothing of the code
settings.register_profile("untimed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("untimed")

_ROOT = Path(__file__).parent

_TORCH_EXTRA = ("torch", "onnx", "onnxscript", "captum", "sklearn", "pytorch_grad_cam", "cv2", "torchcam", "quantus")
_TORCH, _IMAGES = "needs torch: make torch", "needs real images: set RADIOLUCENT_DATA to their folder"
# these import torch when they are loaded: their examples are collected only where it is installed
_NEED_TORCH = (
    "src/radiolucent/engines/network.py",
    "src/radiolucent/explain/attribution.py",
    "src/radiolucent/explain/compiler",
    "src/radiolucent/training",
    "bench/networks.py",
)
_NOT_IMPORTED = re.compile(r"No module named '(\w+)|could not import '(\w+)")


def skip_reason(longrepr: object) -> str:
    """The reason in a report's `longrepr`; all that miss the torch extra, or real images, in one form each."""
    text = str(longrepr[2]) if isinstance(longrepr, tuple) else str(longrepr)
    missing = _NOT_IMPORTED.search(text)
    package = (missing.group(1) or missing.group(2)) if missing else ""
    if package in _TORCH_EXTRA or "make torch" in text:
        return _TORCH
    return _IMAGES if "RADIOLUCENT_DATA" in text else text.removeprefix("Skipped: ").strip()


def must_not_be_skipped(reason: str) -> bool:
    """Whether the environment says that this reason is a failure."""
    if reason.startswith("needs real images"):
        return bool(os.environ.get("RADIOLUCENT_DATA"))
    return reason.startswith("needs ") and os.environ.get("RADIOLUCENT_REQUIRE_PEERS") == "1"


def _judge(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.outcome != "skipped" or hasattr(report, "wasxfail"):
        return
    reason = skip_reason(report.longrepr)
    if must_not_be_skipped(reason):
        report.outcome = "failed"
        report.longrepr = f"{reason}\n(a failure, not a skip: RADIOLUCENT_REQUIRE_PEERS or RADIOLUCENT_DATA is set)"
    elif isinstance(report.longrepr, tuple):
        report.longrepr = (report.longrepr[0], report.longrepr[1], reason)


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the examples of modules that can't be loaded without torch, where there is none."""
    needs = any(collection_path == _ROOT / place for place in _NEED_TORCH)
    return True if needs and importlib.util.find_spec("torch") is None else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where the environment requires the peer."""
    report = yield
    _judge(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Skip a module that needs an absent optional package; then judge it as any other skip."""
    report = yield
    last = str(report.longrepr).strip().rpartition("\n")[2]
    missing = _NOT_IMPORTED.search(last)
    if report.outcome == "failed" and missing and missing.group(1) in _TORCH_EXTRA:
        report.outcome, report.longrepr = "skipped", (collector.nodeid, 0, _TORCH)
    _judge(report)
    return report


@pytest.fixture
def counted(record_property: Callable[[str, object], None]) -> Callable[[str], None]:
    """Keep a line for the end of the run: what a fault or a flood did, in counts."""
    return lambda line: record_property("counted", line)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """End with what was counted, and with what was skipped, grouped by what it needs."""
    lines = [
        str(line)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "teardown"  # the last report of a test holds all that it kept
        for name, line in report.user_properties
        if name == "counted"
    ]
    if lines:
        terminalreporter.section("counted")
        terminalreporter.write_line("\n".join(lines))
    skipped = Counter(skip_reason(report.longrepr) for report in terminalreporter.stats.get("skipped", []))
    if not skipped:
        return
    terminalreporter.section("skipped, and how to get it")
    for reason, count in skipped.most_common():
        terminalreporter.write_line(f"{count:5d}  {reason}")
