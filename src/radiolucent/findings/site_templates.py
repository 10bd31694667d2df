"""A site's own report templates: written out to start from, and tried on example readings before any study is told."""

from __future__ import annotations

from dataclasses import replace
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np

from radiolucent.errors import OutputExists
from radiolucent.findings.narrative import texts, write
from radiolucent.findings.phrases import LANGUAGES
from radiolucent.findings.reading import (
    Completeness,
    EngineRef,
    Finding,
    Graded,
    Localisation,
    Reading,
    Refusal,
    Region,
    SeriesReading,
    UnreadSeries,
)
from radiolucent.findings.tables import InvalidTable
from radiolucent.imaging.geometry import PixelRecord
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Frame

PAGES = "pages"
"""Folder of a site's own HTML pages beside those of the languages (`results.page`)."""


def packaged() -> dict[str, str]:
    """Every packaged text template: name, e.g. ``en/scope/ct.j2``, and its text."""
    folder = resources.files("radiolucent.findings").joinpath("templates")
    found: dict[str, str] = {}
    for language in LANGUAGES:
        _collect(folder.joinpath(language), language, found)
    return found


def start(folder: Path) -> list[Path]:
    """Write the packaged templates to a new folder, for a site to change.

    Raises
    ------
    OutputExists
        If the folder is there already.
    """
    if folder.exists():
        raise OutputExists(f"{folder} exists: name a new folder for the templates")
    written = []
    for name, text in packaged().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def tried(folder: Path) -> dict[str, tuple[str, ...]]:
    """What a site's templates make of example readings: by language, the sections of a study with findings.

    Every template is filled for findings, for none, for a study that was not read, and for each kind of image.

    Raises
    ------
    InvalidTable
        If there is no such folder, a file in it is no template of a report, or one can't be filled.
    """
    if not folder.is_dir():
        raise InvalidTable("no such folder; 'radiolucent rules templates DIR --start' writes one", table=str(folder))
    known = set(packaged())
    for path in sorted(folder.rglob("*.j2")):
        name = path.relative_to(folder).as_posix()
        if name not in known and not name.startswith(f"{PAGES}/"):
            raise InvalidTable(f"no report has such a template; there are {', '.join(sorted(known))}", table=name)
    told = {}
    for language in LANGUAGES:
        for reading in examples():
            write(reading, language, templates=folder)
        told[language] = texts(write(examples()[0], language, templates=folder))
    return told


def examples() -> tuple[Reading, ...]:
    """Readings of nobody: a finding with all that can be said of one, none above threshold, and nothing read."""
    unread = UnreadSeries(
        series_instance_uid="2.25.9",
        modality="MR",
        description="Localizer",
        frames=3,
        refusals=(Refusal(code="localizer", reason="it is a localizer", engine="example@1.0.0"),),
    )
    found = _finding(positive=True)
    part = Reading(study_instance_uid="2.25.1", series=(_series("CT", found, _finding()),), unread=(unread,))
    kinds = tuple(
        Reading(study_instance_uid="2.25.1", series=(_series(modality, _finding()),)) for modality in ("MR", "DX", "US")
    )
    return (part, *kinds, replace(part, series=()))


def _finding(*, positive: bool = False) -> Finding:
    record = PixelRecord(source_shape=(64, 64))
    region = Region(
        frame=0,
        peak=(20.0, 20.0),
        centroid=(20.0, 20.0),
        contour=((10.0, 10.0), (10.0, 30.0), (30.0, 30.0)),
        level=1.0,
        first_frame=0,
        last_frame=0,
        area_pixels=300.0,
        area_mm2=300.0,
        volume_ml=None,
        extent_mm=(20.0, 20.0),
        peak_mm=None,
        centroid_mm=None,
        share=1.0,
    )
    return Finding(
        name="any-haemorrhage" if positive else "acute-infarct",
        basis="real" if positive else "phantom",
        logit=1.0,
        score=0.7,
        probability=0.8 if positive else None,
        interval=(0.6, 0.9) if positive else None,
        operating_point=0.5,
        positive=positive,
        frame_logits=(1.0,),
        heatmap=Heatmap(evidence=np.zeros((1, 8, 8), dtype=np.float32), record=record, display_scale=4.0),
        localisation=Localisation(
            status="located", regions=(region,), laterality="left", focality="focal", peak_frame=0, frames_involved=(0,)
        )
        if positive
        else None,
        urgency=Graded(level="1 critical", reasons=("example",), table_version="example"),
        confidence=Graded(level="low", reasons=("conflict: example",), table_version="example") if positive else None,
        change="larger" if positive else None,
    )


def _series(modality: str, *findings: Finding) -> SeriesReading:
    return SeriesReading(
        series_instance_uid="2.25.2",
        modality=modality,
        kind="image",
        description="Example",
        frames=(Frame(sop_class_uid="1.2", sop_instance_uid="2.25.3"),),
        shape=(64, 64),
        slice_spacing_mm=None,
        engine=EngineRef(name="example", version="1.0.0", digest="00" * 32),
        record=findings[0].heatmap.record,
        findings=findings,
        completeness=Completeness(pooling="mean", largest_difference=0.0, tolerance=1e-4),
        milliseconds={},
        notes=("an example",),
    )


def _collect(folder: Traversable, name: str, found: dict[str, str]) -> None:
    for part in sorted(folder.iterdir(), key=lambda part: part.name):
        if part.is_dir():
            _collect(part, f"{name}/{part.name}", found)
        elif part.name.endswith(".j2"):
            found[f"{name}/{part.name}"] = part.read_text(encoding="utf-8")
