"""Results made from the headers of real files, odd ones among them: dciodvfy finds no error that isn't the source's."""

from __future__ import annotations

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from radiolucent.errors import UnreadablePixels
from radiolucent.imaging.loading import load
from radiolucent.imaging.study import Stack
from radiolucent.results.objects import encode_reading
from radiolucent.results.secondary_capture import Picture

FOLDERS = ("brain-mr", "brain-mr-t1post", "chest", "extremity", "syntaxes")
# UIDs must be referenced as they are; these sources have some that begin with 0.0
SOURCES_OWN = "Illegal root for UID"


@cache
def _stacks(folder: str) -> tuple[Stack, ...]:
    data = os.environ.get("RADIOLUCENT_DATA")
    if not data or not (Path(data) / "dicom-samples").is_dir():
        pytest.skip("needs real images: set RADIOLUCENT_DATA to the folder that holds dicom-samples")
    return tuple(stack for study in load(Path(data) / "dicom-samples" / folder).studies for stack in study.stacks)


def _errors(path: Path) -> list[str]:
    if shutil.which("dciodvfy") is None:
        pytest.skip("needs dciodvfy: run scripts/install-peers")
    done = subprocess.run(["dciodvfy", "-new", path], capture_output=True, timeout=120)
    lines = (done.stdout + done.stderr).decode("utf-8", errors="replace").splitlines()
    return [f"{path.name}: {line}" for line in lines if line.startswith("Error") and SOURCES_OWN not in line]


@pytest.mark.parametrize("folder", FOLDERS)
@pytest.mark.filterwarnings("ignore:(Invalid value|The value length|A value of type):UserWarning")
def test_dciodvfy_finds_no_error_of_ours(cases: ModuleType, tmp_path: Path, folder: str) -> None:
    encoded, errors = 0, []
    for number, stack in enumerate(_stacks(folder)):
        try:
            shape = stack.decode(0).shape
        except UnreadablePixels:
            continue  # such a stack never gets as far as a result
        rows, columns = shape
        reading = cases.read_by_hand(stack, (rows, columns), "glioma" if stack.modality == "MR" else "pneumothorax")
        finding = reading.series[0].findings[0]
        drawn = Picture(
            finding=finding.name,
            frame=finding.localisation.frames_involved[0],
            pixels=np.zeros((rows, columns, 3), np.uint8),
        )
        for item in encode_reading(reading, {stack.key: stack}, {stack.key: [drawn]}, made_at=cases.MADE_AT):
            path = tmp_path / f"{number}-{stack.modality}-{item.name}.dcm"
            item.dataset.save_as(path, enforce_file_format=True)
            errors += _errors(path)
        encoded += 1

    assert encoded > 0
    assert errors == []
