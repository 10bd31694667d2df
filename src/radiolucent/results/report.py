"""The page that a person looks at: one self-contained HTML file from readings and finished pictures.

Nothing here draws on pixels: pictures come in as PNG, made by `explain.overlay`, which burns legend and warning in.
The templates hold all wording about a study; values are escaped by Jinja2. No script, no network, prints on A4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from radiolucent import __version__
from radiolucent.findings.narrative import PLAIN, Voice
from radiolucent.findings.reading import Reading
from radiolucent.imaging.study import Problem
from radiolucent.results.page import fill_page
from radiolucent.results.report_view import (
    Album,
    FindingPicture,
    SeriesPicture,
    StudyFacts,
    data_uri,
    study_view,
)

__all__ = ["FindingPicture", "IndexCard", "SeriesPicture", "StudyFacts", "render_index", "render_report"]


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
    voice: Voice = PLAIN,
) -> str:
    """The page for a person: all studies that were read together.

    Parameters
    ----------
    facts : by Study Instance UID; a study without facts shows its UID alone.
    pictures : of positive findings, in any order; a positive finding without one says that there is no picture.
    problems : files that belong to no study; each study's own problems come from its reading.
    made_at : printed at the foot; has a time zone.
    voice : language of the draft report, and the site's own templates.

    Returns
    -------
    str
        A whole HTML document.
    """
    album = Album.of(pictures, series_pictures)
    studies = [
        study_view(
            reading,
            facts.get(reading.study_instance_uid, StudyFacts(study_instance_uid=reading.study_instance_uid)),
            album,
            number=number,
            voice=voice,
        )
        for number, reading in enumerate(readings, start=1)
    ]
    software = next((reading.software for reading in readings if reading.software), f"radiolucent {__version__}")
    return fill_page(
        "report.html.j2",
        made_at=made_at,
        software=software,
        templates=voice.templates,
        studies=studies,
        problems=problems,
    )


def render_index(cards: Sequence[IndexCard], *, title: str, made_at: datetime, software: str) -> str:
    """The overview of a demonstration: each study with what is truly there, what was found, and how far apart."""
    right = [_right(card) for card in cards]
    distances = [card.distance_mm for card in cards if card.distance_mm is not None]
    summary = f"{sum(right)} of {len(cards)} studies gave exactly what is in them."
    if distances:
        summary += f" Largest distance {max(distances):.1f} mm, over {len(distances)} located findings."
    rows = [_card(card, right=one) for card, one in zip(cards, right, strict=True)]
    return fill_page("index.html.j2", made_at=made_at, software=software, cards=rows, title=title, summary=summary)


def _card(card: IndexCard, *, right: bool) -> dict[str, Any]:
    return {
        "title": card.title,
        "href": card.report_href,
        "note": card.note,
        "right": right,
        "image": data_uri(card.thumbnail_png) if card.thumbnail_png else None,
        "expected_words": ", ".join(card.expected) or "nothing that an engine looks for",
        "found_words": ", ".join(card.found) or "no finding above threshold",
        "distance": "–" if card.distance_mm is None else f"{card.distance_mm:.1f} mm",
        "inside": "–" if card.inside is None else "yes" if card.inside else "no",
        "time": "–" if card.milliseconds is None else f"{card.milliseconds:.0f} ms",
    }


def _right(card: IndexCard) -> bool:
    return set(card.expected) == set(card.found)
