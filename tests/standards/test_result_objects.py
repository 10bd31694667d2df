"""What independent validators say of every object: dciodvfy and dcentvfy (dicom3tools), dsrdump (DCMTK)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pydicom
import pytest

Written = Callable[..., tuple[list[Path], list[Path]]]

STUDIES: dict[str, dict[str, Any]] = {
    "mr": {"kind": "mr"},
    "ct": {"kind": "ct"},
    "cr": {"kind": "cr"},
    "dx": {"kind": "dx"},
    "enhanced-mr": {"kind": "enhanced-mr"},
    "bare mr": {"kind": "mr", "bare": True},
    "bare ct": {"kind": "ct", "bare": True},
    "bare cr": {"kind": "cr", "bare": True},
    "bare dx": {"kind": "dx", "bare": True},
    "hand": {"kind": "dx", "body_part": "HAND", "side": "L"},
    "hand of unknown side": {"kind": "dx", "body_part": "HAND"},
    "knee": {"kind": "mr", "body_part": "KNEE", "side": "R"},
    "odd sizes": {"kind": "mr", "shape": (5, 37, 51), "spacing_mm": (0.3, 1.7)},
    "MONOCHROME1": {"kind": "cr", "monochrome1": True},
    "non-ASCII name": {"kind": "ct", "patient": "Müller^Zoë=山田^太郎"},
    "sagittal": {"kind": "mr", "orientation": (0, 1, 0, 0, 0, -1)},
    "oblique": {"kind": "mr", "orientation": (0.8, 0.6, 0, -0.6, 0.8, 0)},
    "one slice": {"kind": "ct", "shape": (1, 33, 65)},
    "one slice of unknown thickness": {"kind": "ct", "shape": (1, 33, 65), "thick": False},
    "tiny": {"kind": "dx", "shape": (1, 9, 11)},
    "no spacing": {"kind": "dx", "spacing_mm": None},
}
EACH = pytest.mark.parametrize("study", STUDIES.values(), ids=STUDIES.keys())

# Errors that stand, each with its reason; docs/conformance.md lists the same. None at present.
EXCEPTIONS: tuple[str, ...] = ()


def _say(tool: str, *arguments: str | Path) -> str:
    if shutil.which(tool) is None:
        pytest.skip(f"needs {tool}: run scripts/install-peers")
    done = subprocess.run([tool, *arguments], capture_output=True, timeout=120)
    return (done.stdout + done.stderr).decode("utf-8", errors="replace")


@EACH
def test_dciodvfy_finds_no_error_in_any_object(written_case: Written, study: dict[str, Any]) -> None:
    _, results = written_case(**study)
    errors = [
        f"{path.name}: {line}"
        for path in results
        for line in _say("dciodvfy", "-new", path).splitlines()
        if line.startswith("Error") and not any(known in line for known in EXCEPTIONS)
    ]

    assert errors == []


def test_dciodvfy_does_find_the_error_that_we_plant(written_case: Written, tmp_path: Path) -> None:
    _, results = written_case("mr")
    broken = pydicom.dcmread(results[0])
    del broken.FrameOfReferenceUID
    broken.save_as(tmp_path / "broken.dcm")

    assert "Error" in _say("dciodvfy", "-new", tmp_path / "broken.dcm")


@pytest.mark.parametrize("name", ["mr", "ct", "cr", "dx", "non-ASCII name", "knee"])
def test_dcentvfy_finds_results_and_sources_to_be_of_one_patient_and_study(written_case: Written, name: str) -> None:
    sources, results = written_case(**STUDIES[name])
    said = _say("dcentvfy", *sources, *results)

    assert [line for line in said.splitlines() if line.startswith("Error")] == []


@EACH
def test_dsrdump_reads_both_reports_and_the_key_objects(written_case: Written, study: dict[str, Any]) -> None:
    _, results = written_case(**study)
    documents = {"findings-report", "negatives-report", "key-objects"}
    said = {path.stem: " ".join(_say("dsrdump", "+Pl", path).split()) for path in results if path.stem in documents}

    assert said.keys() == documents
    for name, text in said.items():
        assert "E: " not in text, f"{name}: {text}"
        assert "Not for clinical use" in text
    assert "Visual explanation" in said["findings-report"]
    assert "SCOORD:" in said["findings-report"]
    assert "Preliminary Flag : PRELIMINARY" in said["findings-report"]
    assert "Verification Flag : UNVERIFIED" in said["findings-report"]
    assert "SCOORD:" not in said["negatives-report"]


@pytest.mark.parametrize("name", ["mr", "cr"])
def test_dcmpschk_finds_the_presentation_state_valid(written_case: Written, name: str) -> None:
    _, results = written_case(**STUDIES[name])
    state = next(path for path in results if path.stem.endswith("presentation-state"))
    said = _say("dcmpschk", state)

    assert "failed" not in said.lower()
    assert "E: " not in said
