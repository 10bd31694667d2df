"""All DICOM objects of one reading: maps, segments, pictures, presentation states, reports and the list of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pydicom.dataset import Dataset

from radiolucent.errors import EncodingError
from radiolucent.findings.reading import Finding, Reading, SeriesReading
from radiolucent.imaging.study import Stack
from radiolucent.results.key_objects import encode_key_objects
from radiolucent.results.parametric_map import encode_parametric_map
from radiolucent.results.presentation_state import encode_presentation_states
from radiolucent.results.provenance import Provenance
from radiolucent.results.secondary_capture import Picture, encode_secondary_capture
from radiolucent.results.segmentation import encode_segmentation
from radiolucent.results.structured_report import encode_negative_report, encode_positive_report

__all__ = ["EncodedObject", "Picture", "encode_reading"]


@dataclass(frozen=True, kw_only=True)
class EncodedObject:
    """One finished object.

    Parameters
    ----------
    name : file stem, unique within a reading, e.g. ``glioma-parametric-map``.
    dataset : with file meta information; write it with ``save_as(path, enforce_file_format=True)``.
    """

    name: str
    dataset: Dataset


def encode_reading(
    reading: Reading,
    stacks: Mapping[str, Stack],
    pictures: Mapping[str, Sequence[Picture]],
    *,
    made_at: datetime,
    revision: int = 1,
) -> tuple[EncodedObject, ...]:
    """Write a reading as DICOM objects that join the study they came from.

    Parameters
    ----------
    stacks : the images, by `Stack.key`; patient and study are taken from their headers.
    pictures : drawn frames to burn in, by `Stack.key`; of located findings only.
    made_at : content date and time of every object, local time of the site.
    revision : raised when a study is read anew, so that the new objects get UIDs of their own.

    Returns
    -------
    Nothing for a reading without any stack; else map, segmentation and pictures per finding, presentation states per
    series, the two reports, and last the key object selection. The same arguments give the same bytes.

    Raises
    ------
    EncodingError
        If the reading and the stacks don't belong together, or an object can't be made valid.
    """
    if not stacks and not reading.series:
        return ()
    _check(reading, stacks, pictures)
    provenance = Provenance(made_at=made_at, study_instance_uid=reading.study_instance_uid, revision=revision)
    made = _Objects()
    maps: dict[tuple[int, str], Dataset] = {}
    for index, series in enumerate(reading.series):
        stack = stacks[series.key]
        _encode_findings(made, maps, index, series, stack, provenance)
        mine = [picture for picture in pictures.get(series.key, ()) if _find(series, picture) is not None]
        _encode_pictures(made, mine, series, stack, provenance)
        for state in encode_presentation_states(series, stack, provenance):
            made.add(f"{series.engine.name}-presentation-state", state)
    made.add("findings-report", encode_positive_report(reading, stacks, maps, provenance))
    made.add("negatives-report", encode_negative_report(reading, stacks, provenance))
    listed = [item.dataset for item in made.items]
    if listed:
        digests = sorted({series.engine.digest for series in reading.series})
        made.add("key-objects", encode_key_objects(listed, next(iter(stacks.values())), provenance, engines=digests))
    return tuple(made.items)


def _encode_findings(
    made: _Objects,
    maps: dict[tuple[int, str], Dataset],
    index: int,
    series: SeriesReading,
    stack: Stack,
    provenance: Provenance,
) -> None:
    located = [finding for finding in series.positives if _is_located(finding)]
    for number, finding in enumerate(located, start=1):
        maps[index, finding.name] = encode_parametric_map(finding, series, stack, provenance, number=number)
        made.add(f"{finding.name}-parametric-map", maps[index, finding.name])
        segment = encode_segmentation(finding, series, stack, provenance, number=number)
        made.add(f"{finding.name}-segmentation", segment)


def _encode_pictures(
    made: _Objects, pictures: Sequence[Picture], series: SeriesReading, stack: Stack, provenance: Provenance
) -> None:
    names = list(dict.fromkeys(picture.finding for picture in pictures))
    for offset, name in enumerate(names):
        mine = sorted((picture for picture in pictures if picture.finding == name), key=lambda picture: picture.frame)
        for number, picture in enumerate(mine, start=1):
            capture = encode_secondary_capture(picture, series, stack, provenance, number=number, series_offset=offset)
            suffix = "" if len(mine) == 1 else f"-{picture.frame + 1:03d}"
            made.add(f"{name}-overlay{suffix}", capture)


def _check(reading: Reading, stacks: Mapping[str, Stack], pictures: Mapping[str, Sequence[Picture]]) -> None:
    for stack in stacks.values():
        if stack.study_instance_uid != reading.study_instance_uid:
            raise EncodingError("the images belong to another study than the reading")
    for series in reading.series:
        stack_of = stacks.get(series.key)
        if stack_of is None:
            raise EncodingError(f"series {series.series_instance_uid} was read but its images weren't handed over")
        if stack_of.frames != series.frames:
            raise EncodingError(f"series {series.series_instance_uid}: the reading has other frames than the images")
    for key, drawn in pictures.items():
        read = [series for series in reading.series if series.key == key]
        for picture in drawn:
            if not any(_is_located(_find(series, picture)) for series in read):
                raise EncodingError(f"{picture.finding}: a picture of a finding that isn't located in its series")


def _is_located(finding: Finding | None) -> bool:
    """Whether the place of a positive finding may be shown: not where it has none, failed or is withheld."""
    if finding is None or not finding.positive or finding.localisation is None:
        return False
    return finding.localisation.status == "located"


def _find(series: SeriesReading, picture: Picture) -> Finding | None:
    if picture.engine and picture.engine != series.engine.label:
        return None
    return next((finding for finding in series.findings if finding.name == picture.finding), None)


@dataclass
class _Objects:
    """Finished objects under unique names."""

    items: list[EncodedObject] = field(default_factory=list)

    def add(self, name: str, dataset: Dataset | None) -> None:
        if dataset is None:
            return
        taken, number, unique = {item.name for item in self.items}, 1, name
        while unique in taken:
            number += 1
            unique = f"{name}-{number}"
        self.items.append(EncodedObject(name=unique, dataset=dataset))
