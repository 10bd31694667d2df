"""The insight sheet: one study on one A4 page, as HTML that needs nothing else, and as PDF.

No line can grow: lists are cut by `insight_view` with a sentence that says so, and the style sheet gives each line of
text a fixed room. So the page stays one page, whatever a header, a card or a reading holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

from radiolucent import __version__
from radiolucent.errors import EncodingError, MissingExtra, SetupError
from radiolucent.findings.narrative import PLAIN, Voice
from radiolucent.findings.reading import Reading
from radiolucent.results.insight_view import sheet_view
from radiolucent.results.page import fill_page
from radiolucent.results.report_view import Album, FindingPicture, StudyFacts

__all__ = ["insight_pdf", "render_insight_sheet"]


def render_insight_sheet(
    reading: Reading,
    *,
    facts: StudyFacts,
    pictures: Sequence[FindingPicture],
    limits: Mapping[str, Sequence[str]],
    made_at: datetime,
    study_url: str = "",
    voice: Voice = PLAIN,
) -> str:
    """One page on one study: what was found first, how sure it is, why, and what to check.

    Parameters
    ----------
    pictures : of positive findings, in any order; of a finding whose place is withheld none is shown.
    limits : sentences on what an engine can't do, by ``name@version`` (its manifest's ``scope.limits``).
    made_at : printed on the page; has a time zone.
    study_url : where the study can be opened, or empty. It must not name the patient.
    voice : the site's own templates; the packaged page is English.

    Returns
    -------
    str
        A whole HTML document that prints on one A4 page, upright.

    Raises
    ------
    ValueError
        If `study_url` is no http, https or relative address.
    """
    if urlsplit(study_url).scheme not in ("", "http", "https"):
        raise ValueError("the address of the study must begin with http:// or https://, or be relative")
    view = sheet_view(reading, facts, Album.of(pictures, ()), limits)
    software = reading.software or f"radiolucent {__version__}"
    return fill_page(
        "insight.html.j2", made_at=made_at, software=software, templates=voice.templates, study_url=study_url, **view
    )


def insight_pdf(html: str) -> bytes:
    """The page of `render_insight_sheet` as PDF; nothing is fetched from outside.

    Raises
    ------
    MissingExtra
        If WeasyPrint isn't installed.
    SetupError
        If Pango, which WeasyPrint draws text with, isn't installed.
    EncodingError
        If it would take more than one page.
    """
    weasyprint = _weasyprint()
    fetcher = weasyprint.urls.URLFetcher(allowed_protocols=["data"])
    document = weasyprint.HTML(string=html, url_fetcher=fetcher).render()
    if len(document.pages) != 1:
        raise EncodingError(f"the insight sheet takes {len(document.pages)} pages, not one: report this")
    return bytes(document.write_pdf())


def _weasyprint() -> Any:
    try:
        return import_module("weasyprint")
    except ModuleNotFoundError as error:
        raise MissingExtra("the insight sheet as PDF", extra="pdf") from error
    except OSError as error:
        raise SetupError("WeasyPrint can't find Pango: install libpango-1.0-0 and libpangoft2-1.0-0") from error
