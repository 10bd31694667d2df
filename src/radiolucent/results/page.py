"""How every page is made from its template: all values escaped, warning, time and software on each."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader, StrictUndefined, TemplateError
from jinja2.sandbox import SandboxedEnvironment

from radiolucent.findings.reading import NOT_FOR_CLINICAL_USE
from radiolucent.findings.site_templates import PAGES
from radiolucent.findings.tables import InvalidTable


def fill_page(
    template: str, /, *, made_at: datetime, software: str, templates: Path | None = None, **values: Any
) -> str:
    """A whole HTML document from a template of this package, or of that name in the site's own folder ``pages``.

    Parameters
    ----------
    made_at : printed on the page; has a time zone.
    templates : the site's folder of templates, or None.

    Raises
    ------
    InvalidTable
        If the site's own template can't be filled.
    """
    try:
        return (
            _environment(templates)
            .get_template(template)
            .render(
                **values,
                warning=NOT_FOR_CLINICAL_USE,
                made_at=made_at.strftime("%Y-%m-%d %H:%M %Z").strip(),
                software=software,
            )
        )
    except TemplateError as error:
        if templates is None:
            raise
        raise InvalidTable(f"page can't be filled: {error}", table=f"{PAGES}/{template}") from error


@cache
def _environment(folder: Path | None) -> Environment:
    packaged = PackageLoader("radiolucent.results", "templates")
    loader = ChoiceLoader([FileSystemLoader(folder / PAGES), packaged]) if folder else packaged
    # everything is escaped, whatever a template is called: headers come from outside
    return SandboxedEnvironment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
