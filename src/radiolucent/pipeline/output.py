"""The output folder: report, JSON, maps, insight sheets and DICOM objects, there as a whole or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from radiolucent.errors import OutputExists, SetupError
from radiolucent.findings.narrative import PLAIN, Voice
from radiolucent.imaging.study import Study
from radiolucent.pipeline.alignments import write_alignments
from radiolucent.pipeline.pictures import finding_pictures, pictures_by_series, series_pictures, stacks_by_key
from radiolucent.pipeline.read_path import PathResult, StudyResult
from radiolucent.pipeline.read_study import SOFTWARE, Progress
from radiolucent.results.insight_sheet import insight_pdf, render_insight_sheet
from radiolucent.results.objects import encode_reading
from radiolucent.results.reading_json import dump, pack_evidence, readings_to_json
from radiolucent.results.report import FindingPicture, StudyFacts, render_report


def prepare_folder(folder: Path, *, force: bool, inputs: Sequence[Path] = ()) -> None:
    """Say early what would go wrong late, before anything is read.

    Parameters
    ----------
    inputs : what will be read; it must not lie in a folder that gets replaced.

    Raises
    ------
    OutputExists
        If the folder (or a file of that name) is there and `force` isn't given, or it can't be replaced.
    SetupError
        If it can't be made there.
    """
    if (folder.exists() or folder.is_symlink()) and not force:
        raise OutputExists(f"{folder} exists: name another folder, or replace it with --force")
    if folder.is_symlink():
        raise OutputExists(f"{folder} is a link: name the folder that it points to")
    for path in inputs:
        if folder.resolve() in (path.resolve(), *path.resolve().parents):
            raise OutputExists(f"{folder} holds {path}, which is to be read: name another folder")
    if force and folder.exists() and not _is_ours(folder):
        raise OutputExists(f"{folder} holds no reading.json: it isn't a reading, so --force doesn't replace it")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SetupError(f"{folder.parent} can't be made: {error.strerror}") from error
    if not os.access(folder.parent, os.W_OK):
        raise SetupError(f"{folder.parent} can't be written to: name a folder elsewhere")


def write_readings(
    result: PathResult,
    folder: Path,
    *,
    made_at: datetime,
    force: bool = False,
    pdf: bool = False,
    revision: int = 1,
    voice: Voice = PLAIN,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Write everything and let `folder` appear in one step.

    Parameters
    ----------
    made_at : goes into every object; the same inputs and the same time give the same bytes.
    pdf : also print each study's insight sheet to PDF.
    revision : raised when a study is read anew, so that the new objects get UIDs of their own.
    voice : language of the draft report, and the site's own templates.

    Returns
    -------
    The document that ``reading.json`` holds.

    Raises
    ------
    OutputExists
        If the folder is there already and `force` isn't given.
    EncodingError
        If a result can't be written as a valid object; then there is no folder.
    MissingExtra
        If `pdf` is wanted and the 'pdf' extra isn't installed.
    """
    prepare_folder(folder, force=force)
    document, maps = readings_to_json(result.readings, problems=result.problems, made_at=made_at, software=SOFTWARE)
    with _appearing(folder) as partial:
        (partial / "reading.json").write_text(dump(document), encoding="utf-8")
        (partial / "evidence.npz").write_bytes(pack_evidence(maps))
        write_alignments(partial, [one.alignments for one in result.results])
        pictures, plain_pictures = [], []
        for index, one in enumerate(result.results):
            if progress:
                progress("writing", index, len(result.results))
            with ThreadPoolExecutor(max_workers=1) as beside:  # drawing and PNG leave the interpreter to the encoders
                drawn = beside.submit(list, finding_pictures(one))
                _write_objects(one, partial / "dicom", made_at=made_at, revision=revision)
                of_study = drawn.result()
            if one.reading.series:
                sheet = insight_sheet(one, of_study, limits=result.limits, made_at=made_at, voice=voice)
                _write_sheet(sheet, partial / "insight" / one.study.study_instance_uid, pdf=pdf)
            pictures += of_study
            plain_pictures += list(series_pictures(one))
        page = render_report(
            result.readings,
            facts={one.study.study_instance_uid: study_facts(one.study, one.prior_study) for one in result.results},
            pictures=pictures,
            series_pictures=plain_pictures,
            problems=result.problems,
            made_at=made_at,
            voice=voice,
        )
        (partial / "report.html").write_text(page, encoding="utf-8")
    return document


def study_facts(study: Study, prior: Study | None = None) -> StudyFacts:
    """What identifies the study on the page; the patient's name is left out."""

    def value(keyword: str) -> str:
        return str(study.header.get(keyword, "") or "")

    return StudyFacts(
        study_instance_uid=study.study_instance_uid,
        patient_id=value("PatientID"),
        study_date=value("StudyDate"),
        description=value("StudyDescription"),
        modality=value("Modality"),
        accession_number=value("AccessionNumber"),
        prior_study_date=str(prior.header.get("StudyDate", "") or "") if prior else "",
    )


def insight_sheet(
    result: StudyResult,
    pictures: Sequence[FindingPicture],
    *,
    limits: Mapping[str, Sequence[str]],
    made_at: datetime,
    voice: Voice = PLAIN,
) -> str:
    """The one page of a study, HTML, with a link to the study in the report beside it."""
    return render_insight_sheet(
        result.reading,
        facts=study_facts(result.study, result.prior_study),
        pictures=pictures,
        limits=limits,
        made_at=made_at,
        study_url="../report.html",
        voice=voice,
    )


def _write_sheet(html: str, stem: Path, *, pdf: bool) -> None:
    stem.parent.mkdir(exist_ok=True)
    stem.with_name(f"{stem.name}.html").write_text(html, encoding="utf-8")
    if pdf:
        stem.with_name(f"{stem.name}.pdf").write_bytes(insight_pdf(html))


def _write_objects(result: StudyResult, folder: Path, *, made_at: datetime, revision: int) -> None:
    objects = encode_reading(
        result.reading,
        stacks_by_key(result.study),
        pictures_by_series(result.study, result.reading.series),
        made_at=made_at,
        revision=revision,
    )
    if not objects:
        return
    target = folder / result.study.study_instance_uid
    target.mkdir(parents=True)
    for item in objects:
        item.dataset.save_as(target / f"{item.name}.dcm", enforce_file_format=True)


@contextmanager
def _appearing(folder: Path) -> Iterator[Path]:
    """A folder beside the wanted one that takes its name at the end, or vanishes."""
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        yield partial
        partial.chmod(0o755)
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-old-", dir=folder.parent))
            folder.rename(old / "reading")
            try:
                partial.rename(folder)
            except BaseException:
                (old / "reading").rename(folder)
                old.rmdir()
                raise
            shutil.rmtree(old)
        else:
            partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _is_ours(folder: Path) -> bool:
    return folder.is_dir() and (folder / "reading.json").is_file()
