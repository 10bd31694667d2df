"""Monitoring: what came in, what failed, how readers decided; each share with its n and interval, never by person."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi.responses import Response

from radiolucent.monitor.measures import Measured, quantile, wilson
from radiolucent.monitor.pictures import Day, columns, interval
from radiolucent.store.activity import GateCount, StudyDone
from radiolucent.store.facts import GATE
from radiolucent.store.room import Decision, Room, Visit
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import Here, Premises, Someone, require
from radiolucent.web.pages import page

router = APIRouter()
SHIFT: Final = timedelta(hours=12)
MOST_DAYS: Final = 3650
Days = Annotated[int, Query(ge=1, le=MOST_DAYS)]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One row: a share with its interval, or a number where `unit` isn't empty."""

    name: str
    measured: Measured
    unit: str = ""


@dataclass(frozen=True, kw_only=True)
class FindingFigures:
    """How readers decided on one finding of one engine, and what the quality gate let them see of it."""

    engine: str
    finding: str
    accepted: Measured
    wrong_finding: Measured
    wrong_place: Measured
    shown: Measured
    warned: Measured
    held_back: Measured


def figures(here: Premises, work: Work, *, days: int) -> list[Figure]:
    """All figures of the last days."""
    since = here.clock() - timedelta(days=days)
    studies = here.source.activity(work, since)
    room = Room(work)
    decisions, visits = room.decisions_since(since), room.visits(since=since)
    with_ai = [visit for visit in visits if visit.with_ai]
    waits = [(one.result_at - one.last_received_at).total_seconds() for one in studies if one.result_at]
    engines_s = [one.milliseconds / 1000 for one in studies if one.milliseconds]
    return [
        *_of_studies(studies, days),
        _number("median time from last image to result", quantile(waits, 0.5), "s"),
        _number("95th percentile from last image to result", quantile(waits, 0.95), "s"),
        _number("median time of the engines", quantile(engines_s, 0.5), "s"),
        *_of_decisions(decisions),
        _number("median time to decision with AI", quantile(_times(decisions, visits, with_ai=True), 0.5), "s"),
        _number("median time to decision without AI", quantile(_times(decisions, visits, with_ai=False), 0.5), "s"),
        _share("visits with an overlay opened", sum(one.overlays > 0 for one in with_ai), len(with_ai)),
    ]


def by_finding(here: Premises, work: Work, *, days: int) -> list[FindingFigures]:
    """Decisions and the gate's rates, by engine and finding."""
    since = here.clock() - timedelta(days=days)
    decisions = Room(work).decisions_since(since)
    gate = here.source.gate(work, since)
    keys = {(one.engine, one.finding) for one in decisions} | {(one.engine, one.finding) for one in gate}
    return [_of_finding(engine, finding, decisions, gate) for engine, finding in sorted(keys)]


def by_day(here: Premises, work: Work, *, days: int) -> list[Day]:
    """Studies of each day, days without one too; at most the last 366."""
    now = here.clock()
    days = min(days, 366)
    studies = here.source.activity(work, now - timedelta(days=days))
    every = [f"{now - timedelta(days=back):%Y-%m-%d}" for back in range(days - 1, -1, -1)]
    found: dict[str, list[StudyDone]] = {day: [] for day in every}
    for one in studies:
        found.get(f"{one.received_at:%Y-%m-%d}", []).append(one)
    return [
        Day(
            day=day,
            studies=len(those),
            failed=sum(one.state == "failed" for one in those),
            not_read=sum(one.state == "not-read" for one in those),
        )
        for day, those in found.items()
    ]


def _of_studies(studies: Sequence[StudyDone], days: int) -> list[Figure]:
    n = len(studies)
    broke = [failed for one in studies for failed in one.engines.values()]
    return [
        _number("studies received", Measured(value=n, low=None, high=None, n=n), "studies"),
        _number("studies a day", Measured(value=n / days, low=None, high=None, n=n), "studies"),
        _share("read in whole or part", sum(one.state in ("read", "partly-read") for one in studies), n),
        _share("failed", sum(one.state == "failed" for one in studies), n),
        _share("not read (out of scope or unreadable)", sum(one.state == "not-read" for one in studies), n),
        _share("engine runs that broke off", sum(broke), len(broke)),
    ]


def _of_decisions(decisions: Sequence[Decision]) -> list[Figure]:
    made = len(decisions)
    trust = [float(one.trust) for one in decisions if one.trust]
    return [
        _share("findings accepted", sum(one.outcome == "accept" for one in decisions), made),
        _share("rejected: wrong finding", sum(one.reason == "wrong-finding" for one in decisions), made),
        _share("rejected: right finding, wrong place", sum(one.reason == "wrong-place" for one in decisions), made),
        _number("median trust (1 to 5)", quantile(trust, 0.5), "points"),
    ]


def _of_finding(engine: str, finding: str, decisions: Iterable[Decision], gate: Iterable[GateCount]) -> FindingFigures:
    made = [one for one in decisions if (one.engine, one.finding) == (engine, finding)]
    judged = {one.decision: one.number for one in gate if (one.engine, one.finding) == (engine, finding)}
    n, maps = len(made), sum(judged.values())
    show, warn, hold = (wilson(judged.get(decision, 0), maps) for decision in GATE)
    return FindingFigures(
        engine=engine,
        finding=finding,
        accepted=wilson(sum(one.outcome == "accept" for one in made), n),
        wrong_finding=wilson(sum(one.reason == "wrong-finding" for one in made), n),
        wrong_place=wilson(sum(one.reason == "wrong-place" for one in made), n),
        shown=show,
        warned=warn,
        held_back=hold,
    )


def _share(name: str, successes: int, n: int) -> Figure:
    return Figure(name=name, measured=wilson(successes, n))


def _number(name: str, measured: Measured, unit: str) -> Figure:
    return Figure(name=name, measured=measured, unit=unit)


def _times(decisions: list[Decision], visits: list[Visit], *, with_ai: bool) -> list[float]:
    """Seconds from the last opening of the page to the first decision of the same reader on it."""
    first: dict[tuple[str, str], datetime] = {}
    for one in decisions:
        first.setdefault((one.study_instance_uid, one.reader), one.at)
    opened: dict[tuple[str, str], list[Visit]] = {}
    for visit in visits:
        opened.setdefault((visit.study_instance_uid, visit.reader), []).append(visit)
    times = []
    for key, at in first.items():
        before = [visit for visit in opened.get(key, ()) if visit.opened_at <= at]
        if before and before[-1].with_ai is with_ai and at - before[-1].opened_at < SHIFT:
            times.append((at - before[-1].opened_at).total_seconds())
    return times


@router.get("/monitoring")
def monitoring(here: Here, who: Someone, days: Days = 30) -> Response:
    """The page."""
    require(here, who, "monitoring")
    with here.store.read() as work:
        each = by_day(here, work, days=days)
        return page(
            "monitoring.html.j2",
            here,
            who,
            work,
            figures=[(one, "" if one.unit else interval(one.measured)) for one in figures(here, work, days=days)],
            findings=by_finding(here, work, days=days),
            each=[one for one in each if one.studies],
            picture=columns(each),
            interval=interval,
            days=days,
        )


@router.get("/monitoring/overview.csv")
def as_csv(here: Here, who: Someone, days: Days = 30) -> Response:
    """The same numbers."""
    require(here, who, "monitoring")
    with here.store.read() as work:
        rows = [[one.name, *_cells(one.measured), one.unit] for one in figures(here, work, days=days)]
    return _file(["figure", "value", "low", "high", "n", "unit"], rows)


@router.get("/monitoring/findings.csv")
def findings_csv(here: Here, who: Someone, days: Days = 30) -> Response:
    """Decisions and the gate's rates, by engine and finding."""
    require(here, who, "monitoring")
    names = ("accepted", "wrong_finding", "wrong_place", "shown", "warned", "held_back")
    with here.store.read() as work:
        rows = [
            [one.engine, one.finding, name, *_cells(getattr(one, name))]
            for one in by_finding(here, work, days=days)
            for name in names
        ]
    return _file(["engine", "finding", "figure", "value", "low", "high", "n"], rows)


@router.get("/monitoring/days.csv")
def days_csv(here: Here, who: Someone, days: Days = 30) -> Response:
    """Studies of each day."""
    require(here, who, "monitoring")
    with here.store.read() as work:
        rows = [[one.day, one.studies, one.failed, one.not_read] for one in by_day(here, work, days=days)]
    return _file(["day", "studies", "failed", "not read"], rows)


def _cells(one: Measured) -> list[Any]:
    return [*("" if value is None else value for value in (one.value, one.low, one.high)), one.n]


def _file(head: list[str], rows: list[list[Any]]) -> Response:
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(head)
    writer.writerows(rows)
    return Response(out.getvalue(), media_type="text/csv; charset=utf-8")
