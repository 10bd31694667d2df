"""Everything readable under a path: a file, a folder or a zip becomes studies; what can't be read, one problem each.

>>> from pathlib import Path
>>> load(Path("/no/such/file"))
Traceback (most recent call last):
    ...
radiolucent.errors.NothingToRead: /no/such/file: there is no such file or folder
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Final

from pydicom.config import IGNORE
from pydicom.dataset import Dataset
from pydicom.uid import UID, SecondaryCaptureImageStorage

from radiolucent.errors import NothingToRead, UnreadableFile
from radiolucent.imaging.archive import Source, file_source, folder_sources, is_zip, zip_sources
from radiolucent.imaging.decoding import check_pixels
from radiolucent.imaging.header import number, text
from radiolucent.imaging.instance import Instance, fault, read_instance
from radiolucent.imaging.study import Loaded, Problem, Stack, Study
from radiolucent.imaging.uids import derived_uid
from radiolucent.imaging.volume import stacks_of_series

Progress = Callable[[int, int], None]

# SOP classes that are no image to read, by UID prefix or whole UID (PS3.4 B.5) → what to call them
_NOT_IMAGES: Final[tuple[tuple[str, str], ...]] = (
    ("1.2.840.10008.1.3.10", "a directory of a disc"),
    ("1.2.840.10008.5.1.4.1.1.88.59", "a key object selection"),
    ("1.2.840.10008.5.1.4.1.1.88.", "a structured report"),
    ("1.2.840.10008.5.1.4.1.1.11.", "a presentation state"),
    ("1.2.840.10008.5.1.4.1.1.66.4", "a segmentation"),
    ("1.2.840.10008.5.1.4.1.1.66.7", "a label map segmentation"),
    ("1.2.840.10008.5.1.4.1.1.66", "raw data or a registration"),
    ("1.2.840.10008.5.1.4.1.1.30", "a parametric map"),
    ("1.2.840.10008.5.1.4.1.1.481.1", ""),  # RT Image is an image
    ("1.2.840.10008.5.1.4.1.1.481.", "a radiotherapy object"),
    ("1.2.840.10008.5.1.4.1.1.104.", "an encapsulated document"),
    ("1.2.840.10008.5.1.4.1.1.9.", "a waveform"),
    ("1.2.840.10008.5.1.4.1.1.67", "a value mapping"),
    ("1.2.840.10008.5.1.4.1.1.4.2", "a spectroscopy"),
    ("1.2.840.10008.5.1.4.1.1.77.1.1.1", "a video"),
    ("1.2.840.10008.5.1.4.1.1.77.1.2.1", "a video"),
    ("1.2.840.10008.5.1.4.1.1.77.1.4.1", "a video"),
)


def load(path: Path, *, progress: Progress | None = None) -> Loaded:
    """Read the headers of everything under `path` and group it; pixels are decoded later, on demand.

    Parameters
    ----------
    path : a DICOM file, a folder (searched through; names don't matter, DICOMDIR and hidden files are skipped), or a
        zip. It must stay in place as long as pixels are wanted.
    progress : called with (files read, files in all).

    Raises
    ------
    UnreadableFile
        If `path` is one file and can't be read (`UnreadablePixels` where its header can).
    UnsafeArchive
        If `path` is a zip that could do harm, see `archive.zip_sources`.
    NothingToRead
        If nothing is there, or nothing under a folder or in a zip is a readable image; the message counts the reasons.
    """
    if not path.is_file() and not path.is_dir():
        raise NothingToRead(f"{path}: there is no such file or folder")
    single = path.is_file() and not is_zip(path)
    sources = _sources(path, single)
    instances: list[Instance] = []
    problems: list[Problem] = []
    for index, source in enumerate(sources):
        if single or Path(source.name).name.upper() != "DICOMDIR":
            try:
                instances.append(_image(source))
            except UnreadableFile as error:
                if single:
                    raise
                problems.append(_problem(error, source))
        if progress is not None:
            progress(index + 1, len(sources))
    instances, conflicts = _without_copies(instances)
    instances, strangers = _of_one_patient(instances)
    loaded = _group(instances, [*problems, *conflicts, *strangers])
    if not loaded.studies:
        raise NothingToRead(f"{path}: {_reasons(len(sources), loaded.problems)}")
    return loaded


def _sources(path: Path, single: bool) -> list[Source]:
    if single:
        return [file_source(path)]
    return folder_sources(path) if path.is_dir() else zip_sources(path)


def _image(source: Source) -> Instance:
    """Read one object and check that it is an image whose pixels can be decoded."""
    instance = read_instance(source)
    header = instance.header
    sop_class = text(header, "SOPClassUID") or text(header.file_meta, "MediaStorageSOPClassUID")
    kind = next((name for prefix, name in _NOT_IMAGES if sop_class.startswith(prefix)), "")
    if kind:
        raise _identified(fault("not-an-image", f"this is {kind}, not an image to read", source, "SOPClassUID"), header)
    try:
        check_pixels(instance)
    except UnreadableFile as error:
        if error.code == "no-pixels" and "Rows" not in header:
            name = UID(sop_class, validation_mode=IGNORE).name if sop_class else "an object without a class"
            error = fault("not-an-image", f"this is {name}, which holds no image", source, "SOPClassUID")
        raise _identified(error, header) from None
    return _complete(instance, sop_class)


def _identified(error: UnreadableFile, header: Dataset) -> UnreadableFile:
    error.header = header  # type: ignore[attr-defined]
    return error


def _complete(instance: Instance, sop_class: str) -> Instance:
    """Give an object without UIDs the ones that follow from its bytes, and say so: results must point somewhere."""
    header = instance.header
    made = []
    if not _is_uid(text(header, "SOPClassUID")):
        header.SOPClassUID = sop_class if _is_uid(sop_class) else SecondaryCaptureImageStorage
        made.append("SOPClassUID")
    if not _is_uid(text(header, "SOPInstanceUID")):
        stored = text(header.file_meta, "MediaStorageSOPInstanceUID")
        header.SOPInstanceUID = stored if _is_uid(stored) else derived_uid("instance", _digest(instance))
        made.append("SOPInstanceUID")
    for keyword, parts in (("StudyInstanceUID", ("study",)), ("SeriesInstanceUID", ("series",))):
        if not _is_uid(text(header, keyword)):
            setattr(header, keyword, derived_uid(*parts, header.SOPInstanceUID))
            made.append(keyword)
    if not made:
        return instance
    note = f"{instance.source.name}: {', '.join(made)} missing or invalid: made from the file"
    return replace(instance, notes=(*instance.notes, note))


def _is_uid(value: str) -> bool:
    return len(value) <= 64 and re.fullmatch(r"\d+(\.\d+)*", value) is not None


def _digest(instance: Instance) -> str:
    with instance.source.open() as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


def _problem(error: UnreadableFile, source: Source) -> Problem:
    header: Dataset = getattr(error, "header", Dataset())
    return Problem(
        code=error.code,
        reason=str(error),
        source=source.name,
        study_instance_uid=text(header, "StudyInstanceUID"),
        series_instance_uid=text(header, "SeriesInstanceUID"),
        sop_instance_uid=text(header, "SOPInstanceUID"),
    )


def _without_copies(instances: list[Instance]) -> tuple[list[Instance], list[Problem]]:
    """One instance per SOP Instance UID: the same file again is dropped with a note, other content is a problem."""
    kept: dict[str, Instance] = {}
    problems: list[Problem] = []
    for instance in instances:
        uid = str(instance.header.SOPInstanceUID)
        first = kept.get(uid)
        if first is None:
            kept[uid] = instance
        elif _digest(first) == _digest(instance):
            note = f"{instance.source.name} is the same file as {first.source.name}; it is used once"
            kept[uid] = replace(first, notes=(*first.notes, note))
        else:
            error = fault(
                "uid-conflict",
                f"another object with the same UID was read first ({first.source.name})",
                instance.source,
                "SOPInstanceUID",
            )
            problems.append(_problem(_identified(error, instance.header), instance.source))
    return list(kept.values()), problems


def _of_one_patient(instances: list[Instance]) -> tuple[list[Instance], list[Problem]]:
    """Drop what bears another Patient ID than most of its study: two patients must never make one reading."""
    patients: dict[str, Counter[str]] = defaultdict(Counter)
    for instance in instances:
        if text(instance.header, "PatientID"):
            patients[text(instance.header, "StudyInstanceUID")][text(instance.header, "PatientID")] += 1
    kept: list[Instance] = []
    problems: list[Problem] = []
    for instance in instances:
        header = instance.header
        patient = text(header, "PatientID")
        counts = patients[text(header, "StudyInstanceUID")]
        if not patient or patient == min(counts, key=lambda other: (-counts[other], other)):
            kept.append(instance)
        else:
            error = fault("patient-mismatch", "is another than in the rest of the study", instance.source, "PatientID")
            problems.append(_problem(_identified(error, header), instance.source))
    return kept, problems


def _group(instances: list[Instance], problems: list[Problem]) -> Loaded:
    by_study: dict[str, dict[str, list[Instance]]] = defaultdict(lambda: defaultdict(list))
    for instance in instances:
        header = instance.header
        by_study[str(header.StudyInstanceUID)][str(header.SeriesInstanceUID)].append(instance)
    studies = []
    for uid, by_series in sorted(by_study.items()):
        own = [problem for problem in problems if problem.study_instance_uid == uid]
        stacks: list[Stack] = []
        for series in sorted(by_series.values(), key=_series_order):
            found, more = stacks_of_series(series)
            stacks += found
            own += more
        studies.append(
            Study(study_instance_uid=uid, stacks=tuple(stacks), problems=tuple(own), header=stacks[0].header)
        )
    rest = tuple(problem for problem in problems if problem.study_instance_uid not in by_study)
    return Loaded(studies=tuple(studies), problems=rest)


def _series_order(series: list[Instance]) -> tuple[float, str]:
    header = series[0].header
    return number(header, "SeriesNumber") or 0.0, str(header.SeriesInstanceUID)


def _reasons(files: int, problems: tuple[Problem, ...]) -> str:
    if not problems:
        return "there is no image in it"
    counts = Counter(problem.code for problem in problems)
    listed = ", ".join(f"{code} {count}" for code, count in counts.most_common(6))
    return f"none of {files} files is a readable image ({listed}). The first: {problems[0].reason}"
