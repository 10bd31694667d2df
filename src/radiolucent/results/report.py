"""The page that a person looks at: one self-contained HTML file from readings and finished pictures.

Nothing here draws on pixels: pictures come in as PNG, made by `explain.overlay`, which burns legend and warning in.
The templates hold all wording about a study; values are escaped by Jinja2. No script, no network, prints on A4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from radiolucent.findings.reading import Reading
from radiolucent.imaging.study import Problem


@dataclass(frozen=True, kw_only=True)
class StudyFacts:
    """What identifies a study on the page, as the header gave it. There is no patient name, on purpose.

    Parameters
    ----------
    study_date, prior_study_date : DICOM DA (``YYYYMMDD``) or empty; anything else is shown as it is.
    """

    study_instance_uid: str
    patient_id: str = ""
    study_date: str = ""
    description: str = ""
    modality: str = ""
    accession_number: str = ""
    prior_study_date: str = ""


@dataclass(frozen=True, kw_only=True)
class FindingPicture:
    """The pictures of one positive finding, PNG bytes.

    Parameters
    ----------
    series_instance_uid, engine, finding : which finding of which `SeriesReading`; `engine` is ``name@version``.
    frame : index of the frame that is shown, from 0.
    image_png : the image alone, without overlay.
    overlay_png : image, map and legend (`explain.overlay.overlay`); None where the localisation failed.
    prior_image_png, prior_overlay_png : the same place on the prior, same absolute scale; None without a prior.
    prior_frame, prior_frames : index and number of the prior's frames, for its caption.
    caption : one more sentence under the pictures, or empty.
    """

    series_instance_uid: str
    engine: str
    finding: str
    frame: int
    image_png: bytes
    overlay_png: bytes | None
    prior_image_png: bytes | None = None
    prior_overlay_png: bytes | None = None
    prior_frame: int | None = None
    prior_frames: int | None = None
    caption: str = ""


@dataclass(frozen=True, kw_only=True)
class SeriesPicture:
    """One plain image of a series without a positive finding, so that a page never speaks of unseen images."""

    series_instance_uid: str
    frame: int
    image_png: bytes


@dataclass(frozen=True, kw_only=True)
class IndexCard:
    """One study on the overview of a demonstration, with what is truly in it.

    Parameters
    ----------
    expected, found : labels, in words; empty where nothing is there, or nothing was found.
    distance_mm : from the centroid of the map to that of the true outline; None where it doesn't apply.
    inside : whether the peak lies inside the true outline.
    thumbnail_png : overlay or plain image, or None.
    """

    title: str
    report_href: str
    expected: tuple[str, ...]
    found: tuple[str, ...]
    distance_mm: float | None = None
    inside: bool | None = None
    thumbnail_png: bytes | None = None
    note: str = ""
    milliseconds: float | None = None


def render_report(
    readings: Sequence[Reading],
    *,
    facts: Mapping[str, StudyFacts],
    pictures: Sequence[FindingPicture],
    series_pictures: Sequence[SeriesPicture] = (),
    problems: Sequence[Problem] = (),
    made_at: datetime,
) -> str:
    """The page for a person: all studies that were read together.

    Parameters
    ----------
    facts : by Study Instance UID; a study without facts shows its UID alone.
    pictures : of positive findings, in any order; a positive finding without one says that there is no picture.
    problems : files that belong to no study; each study's own problems come from its reading.
    made_at : printed at the foot; has a time zone.

    Returns
    -------
    str
        A whole HTML document.
    """
    raise NotImplementedError


def render_index(cards: Sequence[IndexCard], *, title: str, made_at: datetime, software: str) -> str:
    """The overview of a demonstration: each study with what is truly there, what was found, and how far apart."""
    raise NotImplementedError
