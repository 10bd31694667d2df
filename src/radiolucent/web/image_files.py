"""Images of a study from the files it lies in: what can't be read is no image, and the page says so."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from radiolucent.errors import SenderError
from radiolucent.imaging.loading import load
from radiolucent.imaging.study import Problem, Stack, Study


def loaded(path: Path) -> Sequence[Study]:
    """Every study below a path; none where nothing can be read."""
    try:
        return load(path).studies
    except SenderError:
        return ()  # the page says that there is no image to show


def of_files(paths: Sequence[Path], uid: str) -> Study | None:
    """One study, from the folders of its files; None where none of them can be read."""
    stacks, problems, header = list[Stack](), list[Problem](), None
    for folder in dict.fromkeys(path.parent for path in paths):
        for study in loaded(folder):
            if study.study_instance_uid == uid:
                stacks += study.stacks
                problems += study.problems
                header = header or study.header
    if header is None:
        return None
    return Study(study_instance_uid=uid, stacks=tuple(stacks), problems=tuple(problems), header=header)


def header_of(path: Path) -> Dataset | None:
    """The header of one file, without pixels; None where it can't be read."""
    try:
        return dcmread(path, stop_before_pixels=True)
    except (OSError, InvalidDicomError):
        return None
