"""A reading as a notebook shows it: the table of its findings, and each positive one's map on its image."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from html import escape
from pathlib import Path

from radiolucent.errors import SetupError
from radiolucent.findings.reading import Finding, Reading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.imaging.loading import load
from radiolucent.pipeline.pictures import finding_pictures
from radiolucent.pipeline.read_path import StudyResult
from radiolucent.results.report import FindingPicture


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What a notebook draws; `html` stands for itself, its pictures are inside."""

    html: str

    def _repr_html_(self) -> str:
        """The hook of notebooks."""
        return self.html

    def save(self, path: Path | str) -> Path:
        """Write it as a page of its own."""
        page = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Reading</title>{self.html}</html>'
        Path(path).write_text(page, encoding="utf-8")
        return Path(path)


def show(reading: Reading, path: Path | str) -> Shown:
    """The findings of a reading with their maps on the images they were made from.

    A map that the quality gate holds back is not drawn: the image stands there with the reason.

    Parameters
    ----------
    path : what was read: a DICOM file, a folder or a zip.

    Raises
    ------
    SetupError
        If that study isn't under the path.
    """
    study = next(
        (one for one in load(Path(path)).studies if one.study_instance_uid == reading.study_instance_uid), None
    )
    if study is None:
        raise SetupError(f"{path} doesn't hold the study of this reading")
    pictures = finding_pictures(StudyResult(study=study, reading=reading))
    by_name = {(series.key, one.name): one for series in reading.series for one in series.findings}
    figures = [_figure(one, by_name[one.series_instance_uid, one.finding]) for one in pictures]
    rows = f'<div style="display:flex;flex-wrap:wrap;gap:16px">{"".join(figures)}</div>'
    return Shown(html=f"<div>{reading._repr_html_()}{rows}</div>")


def _figure(picture: FindingPicture, finding: Finding) -> str:
    label = finding_type(finding.name).label
    image = b64encode(picture.overlay_png or picture.image_png).decode("ascii")
    described = f"{label}, image {picture.frame + 1}, {'with' if picture.overlay_png else 'without'} its map"
    verdict = finding.explanation
    words = [f"{label}: {picture.engine}", f"image {picture.frame + 1}"]
    if verdict is not None:
        words.append(": ".join([verdict.decision.replace("-", " "), *verdict.reasons]))
    return (
        f'<figure style="margin:0;max-width:512px"><img style="max-width:100%" alt="{escape(described)}" '
        f'src="data:image/png;base64,{image}"><figcaption>{escape(" · ".join(words))}</figcaption></figure>'
    )
