"""How every page is made from its template: all values escaped, warning, time and software on each."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from radiolucent.findings.reading import NOT_FOR_CLINICAL_USE


def fill_page(template: str, /, *, made_at: datetime, software: str, **values: Any) -> str:
    """A whole HTML document from a template of this package.

    Parameters
    ----------
    made_at : printed on the page; has a time zone.
    """
    return (
        _environment()
        .get_template(template)
        .render(
            **values,
            warning=NOT_FOR_CLINICAL_USE,
            made_at=made_at.strftime("%Y-%m-%d %H:%M %Z").strip(),
            software=software,
        )
    )


@cache
def _environment() -> Environment:
    # everything is escaped, whatever a template is called: headers come from outside
    return Environment(
        loader=PackageLoader("radiolucent.results", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
