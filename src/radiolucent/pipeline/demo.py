"""The demo: synthetic studies with known truth, read by the same route as any other, and how far off the maps are."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

import numpy as np

from radiolucent.engines.runtime import Engine
from radiolucent.errors import OutputExists
from radiolucent.findings.reading import Finding, Reading, SeriesReading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.phantom.studies import Lesion, PhantomStudy, make_study
from radiolucent.pipeline.output import write_readings
from radiolucent.pipeline.pictures import finding_pictures, series_pictures
from radiolucent.pipeline.read_path import StudyResult, read_path
from radiolucent.pipeline.read_study import SOFTWARE, Progress
from radiolucent.results.report import IndexCard, render_index


@dataclass(frozen=True, kw_only=True)
class Case:
    """One synthetic study of the demo; `change` is how its prior differs, None where it has none."""

    name: str
    kind: str
    findings: tuple[str, ...]
    seed: int
    change: Literal["smaller", "larger", "absent", "same"] | None = None

    @property
    def implied(self) -> frozenset[str]:
        """What follows from the findings: a bleed of one kind is a bleed."""
        return frozenset({"any-haemorrhage"} if any(name.endswith("haemorrhage") for name in self.findings) else ())


# Examples chosen to be seen, not a sample: how often an engine is right stands in its card.
CASES: tuple[Case, ...] = (
    Case(name="glioma", kind="brain-mr", findings=("glioma",), seed=11, change="smaller"),
    Case(name="meningioma", kind="brain-mr", findings=("meningioma",), seed=12),
    Case(name="pituitary-tumour", kind="brain-mr", findings=("pituitary-tumour",), seed=957),
    Case(name="clean", kind="brain-mr", findings=(), seed=14),
    Case(name="bleed", kind="head-ct", findings=("intraparenchymal-haemorrhage",), seed=21, change="smaller"),
    Case(name="effusion", kind="chest-xr", findings=("effusion",), seed=37, change="smaller"),
    Case(name="limb", kind="bone-xr", findings=(), seed=20),
    Case(name="plate", kind="bone-xr", findings=("hardware",), seed=30),
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """What came out for one case.

    Parameters
    ----------
    found : positive findings, most probable first.
    distance_mm : from the centroid of the main region of the expected finding's evidence to the true centroid; None
        where nothing was expected or nothing was located.
    inside : whether the evidence peak lies inside the true outline; None as above.
    """

    case: Case
    folder: Path
    found: tuple[str, ...]
    probability: float | None
    distance_mm: float | None
    inside: bool | None
    seconds: float

    @property
    def right(self) -> bool:
        """True where exactly the expected findings were found, and what follows from them."""
        return set(self.found) - self.case.implied == set(self.case.findings)


def run_demo(
    folder: Path,
    engines: Sequence[Engine],
    *,
    made_at: datetime,
    cases: Sequence[Case] = CASES,
    force: bool = False,
    progress: Progress | None = None,
) -> list[Row]:
    """Make each case's DICOM files, read them, write the results and ``index.html``; one row a case.

    Parameters
    ----------
    folder : gets one folder a case: ``study/`` (and ``prior/``) with the DICOM files, ``reading/`` (and
        ``prior-reading/``) with the results.
    force : replace a folder that an earlier demo made.

    Raises
    ------
    OutputExists
        If `folder` is there already, and `force` isn't given or it isn't a demo.
    """
    _clear(folder, force=force)
    rows, cards = [], []
    for index, case in enumerate(cases):
        if progress:
            progress(case.name, index, len(cases))
        row, result = _run(case, folder / case.name, engines, made_at=made_at)
        rows.append(row)
        cards.append(_card(row, result))
    if progress:
        progress("done", len(cases), len(cases))
    page = render_index(cards, title="radiolucent demo", made_at=made_at, software=SOFTWARE)
    (folder / "index.html").write_text(page, encoding="utf-8")
    return rows


def _clear(folder: Path, *, force: bool) -> None:
    if not folder.exists():
        folder.mkdir(parents=True)
        return
    if not force:
        raise OutputExists(f"{folder} exists: name another folder, or replace it with --force")
    if any(folder.iterdir()) and not (folder / "index.html").is_file():
        raise OutputExists(f"{folder} holds no index.html: it isn't a demo, so --force doesn't replace it")
    shutil.rmtree(folder)
    folder.mkdir()


def _card(row: Row, result: StudyResult) -> IndexCard:
    found = sorted(finding_pictures(result), key=lambda picture: picture.finding not in row.case.findings)
    pictures = [picture.overlay_png or picture.image_png for picture in found]
    pictures += [picture.image_png for picture in series_pictures(result)]
    return IndexCard(
        title=row.case.name,
        report_href=f"{row.case.name}/reading/report.html",
        expected=tuple(finding_type(name).label for name in (*row.case.findings, *(row.case.implied & set(row.found)))),
        found=tuple(finding_type(name).label for name in row.found),
        distance_mm=row.distance_mm,
        inside=row.inside,
        thumbnail_png=pictures[0] if pictures else None,
        note="with a prior study" if row.case.change else "",
        milliseconds=row.seconds * 1000,
    )


def _run(case: Case, folder: Path, engines: Sequence[Engine], *, made_at: datetime) -> tuple[Row, StudyResult]:
    study = make_study(case.kind, case.findings, seed=case.seed)
    study.save(folder / "study")
    prior = None
    if case.change:
        prior = folder / "prior"
        make_study(case.kind, case.findings, seed=case.seed, prior_of=study, change=case.change).save(prior)
    result = read_path(folder / "study", engines, prior=prior)
    write_readings(result, folder / "reading", made_at=made_at)
    if prior:
        write_readings(read_path(prior, engines), folder / "prior-reading", made_at=made_at)
    reading = result.readings[0]
    expected = case.findings[0] if case.findings else None
    main = next((finding for finding in reading.findings if finding.positive and finding.name == expected), None)
    distance, inside = _distance(main, reading, study) if main else (None, None)
    row = Row(
        case=case,
        folder=folder,
        found=tuple(finding.name for finding in reading.findings if finding.positive),
        probability=main.probability if main else None,
        distance_mm=distance,
        inside=inside,
        seconds=sum(sum(series.milliseconds.values()) for series in reading.series) / 1000,
    )
    return row, result.results[0]


def _distance(finding: Finding, reading: Reading, study: PhantomStudy) -> tuple[float | None, bool | None]:
    where = finding.localisation
    truth = next((lesion for lesion in study.lesions if lesion.finding == finding.name), None)
    if truth is None or where is None or not where.regions:
        return None, None
    region = where.regions[0]
    series = next(series for series in reading.series if finding in series.findings)
    frame = _truth_frame(series, region.frame, study)
    row, column = (round(value) for value in region.peak)
    inside = bool(truth.mask[frame, row, column])
    if region.centroid_mm is None or truth.centroid_mm is None:
        return _pixel_distance(region.centroid, truth, series), inside
    return float(np.linalg.norm(np.subtract(region.centroid_mm, truth.centroid_mm))), inside


def _truth_frame(series: SeriesReading, frame: int, study: PhantomStudy) -> int:
    """Index of a frame of the reading among the phantom's datasets (truth is in their order)."""
    uid = series.frames[frame].sop_instance_uid
    return next(index for index, dataset in enumerate(study.datasets) if dataset.SOPInstanceUID == uid)


def _pixel_distance(centroid: tuple[float, float], truth: Lesion, series: SeriesReading) -> float | None:
    spacing = series.frames[0].spacing_mm
    if spacing is None:
        return None
    offset = np.subtract(centroid, truth.centroid_pixel[1:]) * np.array(spacing)
    return float(np.linalg.norm(offset))
