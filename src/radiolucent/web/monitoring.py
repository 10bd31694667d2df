"""Monitoring: what came in, what failed, how readers decided; each share with its n and interval, never by person."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response
from markupsafe import Markup

from radiolucent.rollout.readiness import Measured, wilson
from radiolucent.store.room import Decision, Room, Visit
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import Here, Premises, Someone, require
from radiolucent.web.pages import page

router = APIRouter()
SHIFT = timedelta(hours=12)


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One row: a share with its interval, or a number where `unit` isn't empty."""

    name: str
    value: float | None
    low: float | None
    high: float | None
    n: int
    unit: str = ""


def figures(here: Premises, work: Work, *, days: int) -> list[Figure]:
    """All figures of the last days."""
    since = here.clock() - timedelta(days=days)
    studies = [one for one in here.source.every() if one.received_at >= since]
    room = Room(work)
    decisions, visits = room.decisions_since(since), room.visits(since=since)
    n = len(studies)
    read = [one for one in studies if one.reading and one.reading.series]
    seconds = [
        sum(sum(series.milliseconds.values()) for series in one.reading.series) / 1000 for one in read if one.reading
    ]
    made = len(decisions)
    with_ai = [visit for visit in visits if visit.with_ai]
    return [
        Figure(name="studies received", value=n, low=None, high=None, n=n, unit="studies"),
        _share("read in whole or part", wilson(len(read), n)),
        _share("failed", wilson(sum(one.state == "failed" for one in studies), n)),
        _share("not read (out of scope or unreadable)", wilson(sum(one.state == "not-read" for one in studies), n)),
        _median("median reading time", seconds, "s"),
        _share("findings accepted", wilson(sum(one.outcome == "accept" for one in decisions), made)),
        _share("rejected: wrong finding", wilson(sum(one.reason == "wrong-finding" for one in decisions), made)),
        _share("rejected: right finding, wrong place", wilson(sum(d.reason == "wrong-place" for d in decisions), made)),
        _median("median trust (1 to 5)", [float(one.trust) for one in decisions if one.trust], ""),
        _median("median time to decision with AI", _times(decisions, visits, with_ai=True), "s"),
        _median("median time to decision without AI", _times(decisions, visits, with_ai=False), "s"),
        _share("visits with an overlay opened", wilson(sum(one.overlays > 0 for one in with_ai), len(with_ai))),
    ]


def _share(name: str, measured: Measured) -> Figure:
    return Figure(name=name, value=measured.value, low=measured.low, high=measured.high, n=measured.n)


def _median(name: str, values: list[float], unit: str) -> Figure:
    value = median(values) if values else None
    return Figure(name=name, value=value, low=None, high=None, n=len(values), unit=unit or "points")


def _times(decisions: list[Decision], visits: list[Visit], *, with_ai: bool) -> list[float]:
    """Seconds from the last opening of the page to the first decision of the same reader on it."""
    first: dict[tuple[str, str], datetime] = {}
    for one in decisions:
        first.setdefault((one.study_instance_uid, one.reader), one.at)
    times = []
    for (study, reader), at in first.items():
        before = [v for v in visits if (v.study_instance_uid, v.reader) == (study, reader) and v.opened_at <= at]
        if before and before[-1].with_ai is with_ai and at - before[-1].opened_at < SHIFT:
            times.append((at - before[-1].opened_at).total_seconds())
    return times


@router.get("/monitoring")
def monitoring(here: Here, who: Someone, days: Annotated[int, Query(ge=1, le=3650)] = 30) -> Response:
    """The page."""
    require(here, who, "monitoring")
    with here.store.read() as work:
        found = figures(here, work, days=days)
        return page("monitoring.html.j2", here, who, work, figures=[(one, bar(one)) for one in found], days=days)


@router.get("/monitoring/overview.csv")
def as_csv(here: Here, who: Someone, days: Annotated[int, Query(ge=1, le=3650)] = 30) -> Response:
    """The same numbers."""
    require(here, who, "monitoring")
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["figure", "value", "low", "high", "n", "unit"])
    with here.store.read() as work:
        for one in figures(here, work, days=days):
            writer.writerow(
                [one.name, *("" if v is None else v for v in (one.value, one.low, one.high)), one.n, one.unit]
            )
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8")


def bar(one: Figure) -> Markup:
    """A share on a line from 0 to 1 with its interval, as SVG; empty for what is no share or unknown."""
    if one.value is None or one.low is None or one.high is None:
        return Markup("")
    x, low, high = (round(4 + 192 * value, 1) for value in (one.value, one.low, one.high))
    return Markup(
        '<svg class="interval" width="200" height="16" viewBox="0 0 200 16" role="img" aria-label="{label}">'
        '<line x1="4" x2="196" y1="8" y2="8" class="axis"/>'
        '<line x1="{low}" x2="{high}" y1="8" y2="8" class="whisker"/><circle cx="{x}" cy="8" r="4"/></svg>'
    ).format(label=f"{one.value:.0%}, 95 % interval {one.low:.0%} to {one.high:.0%}", low=low, high=high, x=x)
