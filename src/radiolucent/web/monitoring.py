"""Monitoring: pages of figures with n and interval, their pictures, and the same numbers as CSV and JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Final

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from radiolucent.monitor.pictures import interval
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import Here, Premises, Refused, Someone, require
from radiolucent.web.engine_figures import calibration, catch_up, drifts, fairness
from radiolucent.web.figures import Section, as_csv, as_json, as_prometheus
from radiolucent.web.pages import page
from radiolucent.web.site_figures import by_day, by_finding, by_role, deliveries, overview, reasons, runs

router = APIRouter()
MOST_DAYS: Final = 3650
Days = Annotated[int, Query(ge=1, le=MOST_DAYS)]

SECTIONS: Final[Mapping[str, Callable[..., Section]]] = MappingProxyType(
    {
        "days": by_day,
        "overview": overview,
        "findings": by_finding,
        "drift": drifts,
        "calibration": calibration,
        "fairness": fairness,
        "use": by_role,
        "engine-runs": runs,
        "reasons": reasons,
        "deliveries": deliveries,
    }
)
"""Name of a section, as in its address, and what makes it."""
TABS: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "overview": ("Overview", ("days", "overview")),
        "findings": ("Findings", ("findings",)),
        "drift": ("Drift", ("drift",)),
        "calibration": ("Calibration", ("calibration",)),
        "fairness": ("Fairness", ("fairness",)),
        "use": ("Use", ("use",)),
        "errors": ("Errors", ("engine-runs", "reasons", "deliveries")),
    }
)
"""Name of a page, its words, and its sections."""
GAUGES: Final = ("overview", "findings", "drift", "engine-runs")
"""What is told to a program that asks every minute."""


@router.get("/monitoring")
def monitoring(here: Here, who: Someone, days: Days = 30) -> Response:
    """The overview."""
    return _page(here, who, "overview", days)


@router.get("/monitoring/{name}.csv")
def section_csv(name: str, here: Here, who: Someone, days: Days = 30) -> Response:
    """The numbers of one section."""
    return Response(as_csv(_section(here, who, name, days)), media_type="text/csv; charset=utf-8")


@router.get("/monitoring/{tab}")
def tab(tab: str, here: Here, who: Someone, days: Days = 30) -> Response:
    """One of the pages."""
    return _page(here, who, tab, days)


@router.get("/api/v1/metrics/{name}")
def section_json(name: str, here: Here, who: Someone, days: Days = 30) -> Response:
    """The numbers of one section, for a program."""
    return JSONResponse(as_json(_section(here, who, name, days)))


@router.get("/metrics")
def gauges(here: Here, who: Someone, days: Days = 1) -> Response:
    """Figures of the last day for Prometheus, which comes with an API token of a role that sees the monitoring."""
    require(here, who, "monitoring")
    with here.store.read() as work:
        text = as_prometheus(_made(here, work, name, days) for name in GAUGES)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _page(here: Premises, who: Someone, tab: str, days: int) -> Response:
    require(here, who, "monitoring")
    if tab not in TABS:
        raise Refused(404, "not_found")
    _prepare(here, tab, days)
    with here.store.read() as work:
        return page(
            "monitoring.html.j2",
            here,
            who,
            work,
            tabs=TABS,
            tab=tab,
            sections=[_made(here, work, name, days) for name in TABS[tab][1]],
            interval=interval,
            days=days,
        )


def _section(here: Premises, who: Someone, name: str, days: int) -> Section:
    require(here, who, "monitoring")
    if name not in SECTIONS:
        raise Refused(404, "not_found")
    _prepare(here, name, days)
    with here.store.read() as work:
        return _made(here, work, name, days)


def _made(here: Premises, work: Work, name: str, days: int) -> Section:
    return SECTIONS[name](here, work, days=days)


def _prepare(here: Premises, name: str, days: int) -> None:
    if name == "fairness":
        catch_up(here, days=days)
