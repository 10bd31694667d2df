"""How a page is made from its template: everything escaped, who is logged in and what runs printed on each."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any, Final, Protocol

from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from radiolucent import __version__
from radiolucent.findings.reading import NOT_FOR_CLINICAL_USE
from radiolucent.findings.taxonomy import finding_type
from radiolucent.rollout.policy import ROUTES, decide
from radiolucent.store.site import Site
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import Premises, Visitor, gate

MOST_SURE: Final = 0.99
"""No calibration is good enough to tell 99 from 100 per cent."""
NAVIGATION: Final = (
    ("worklist", "/worklist", "Worklist"),
    ("upload", "/upload", "Upload"),
    ("training", "/training", "Training"),
    ("monitoring", "/monitoring", "Monitoring"),
    ("rollout", "/rollout", "Roll-out"),
    ("audit", "/audit", "Audit"),
    ("admin", "/admin", "Administration"),
)
"""Route of the table, address, words: a link is there where the role may use the route."""


def page(
    template: str, here: Premises, who: Visitor | None, work: Work, *, status: int = 200, **values: Any
) -> Response:
    """A whole page."""
    badge, stopped = None, ""
    if who is not None:
        badge, stopped = gate(here, who, work).badge(), Site(work).setting("ai_stopped")
    html = (
        _environment()
        .get_template(template)
        .render(
            **values,
            who=who,
            may=_may(who) if who else set(),
            navigation=NAVIGATION,
            badge=badge,
            stopped=stopped,
            site_name=Site(work).setting("site_name"),
            version=__version__,
            warning=NOT_FOR_CLINICAL_USE,
            now=here.clock(),
        )
    )
    return HTMLResponse(html, status_code=status)


def fragment(template: str, **values: Any) -> str:
    """A part of a page."""
    return _environment().get_template(template).render(**values)


def _may(who: Visitor) -> set[str]:
    return {
        route
        for route in ROUTES
        if decide(route=route, role=who.role, state="routine", trained=True, use="localise").allowed
    }


def day(value: str) -> str:
    """A DICOM date for people.

    >>> day("20260112"), day("")
    ('2026-01-12', '')
    """
    return f"{value[:4]}-{value[4:6]}-{value[6:8]}" if len(value) == 8 and value.isdecimal() else value


def clock_time(value: str) -> str:
    """A DICOM time for people.

    >>> clock_time("140211.5"), clock_time("")
    ('14:02', '')
    """
    return f"{value[:2]}:{value[2:4]}" if len(value) >= 4 and value[:4].isdecimal() else ""


def moment(value: datetime) -> str:
    """A time in UTC."""
    return value.strftime("%Y-%m-%d %H:%M:%S UTC")


def waited(value: float) -> str:
    """Minutes as hours and minutes.

    >>> waited(75)
    '01:15'
    """
    return f"{int(value) // 60:02d}:{int(value) % 60:02d}"


class Scored(Protocol):
    """What is printed of a finding's number: a `Finding`, or its row in short."""

    @property
    def score(self) -> float: ...
    @property
    def probability(self) -> float | None: ...
    @property
    def operating_point(self) -> float: ...


def number(finding: Scored) -> str:
    """A calibrated probability in per cent, never 0 or 100; an uncalibrated score never in per cent."""
    if finding.probability is None:
        return f"{finding.score:.2f}"
    if finding.probability > MOST_SURE:
        return f">{MOST_SURE:.0%}"
    return f"{finding.probability:.0%}" if finding.probability >= 1 - MOST_SURE else f"<{1 - MOST_SURE:.0%}"


def threshold(finding: Scored) -> str:
    """The operating point, in the form of `number`."""
    calibrated = finding.probability is not None
    return f"{finding.operating_point:.0%}" if calibrated else f"{finding.operating_point:.2f}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("radiolucent.web", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "day": day,
        "clock_time": clock_time,
        "moment": moment,
        "waited": waited,
        "number": number,
        "threshold": threshold,
        "label": lambda name: finding_type(name).label,
    }
    return environment
