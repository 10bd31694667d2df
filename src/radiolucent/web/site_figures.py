"""What came in, what failed and why, how readers decided and looked: figures of a site, never of a person."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Final

from radiolucent.findings.taxonomy import finding_type
from radiolucent.monitor.measures import Measured, quantile, wilson
from radiolucent.monitor.pictures import Day, columns, forest
from radiolucent.store.activity import GateCount, StudyDone
from radiolucent.store.deliveries import Deliveries
from radiolucent.store.facts import GATE
from radiolucent.store.people import People
from radiolucent.store.room import Decision, Room, Visit
from radiolucent.store.states import DELIVERY_STATES, names
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import Premises
from radiolucent.web.figures import Figure, Row, Section, count, number, share

SHIFT: Final = timedelta(hours=12)
FEWEST_READERS: Final = 5
"""Of fewer readers no figure is told: it would be one of persons."""
MOST_DAYS_DRAWN: Final = 366


def overview(here: Premises, work: Work, *, days: int) -> Section:
    """Throughput, latency, failures, acceptance, times to decision, overlays."""
    since = here.clock() - timedelta(days=days)
    studies, room = here.source.activity(work, since), Room(work)
    decisions, visits = room.decisions_since(since), room.visits(since=since)
    waits = [(one.result_at - one.last_received_at).total_seconds() for one in studies if one.result_at]
    engines_s = [one.milliseconds / 1000 for one in studies if one.milliseconds]
    figures = [
        *_of_studies(studies, days),
        number("median time from last image to result", quantile(waits, 0.5), "s"),
        number("95th percentile from last image to result", quantile(waits, 0.95), "s"),
        number("median time of the engines", quantile(engines_s, 0.5), "s"),
        *_of_decisions(decisions),
        number("median time to decision with AI", quantile(_times(decisions, visits, with_ai=True), 0.5), "s"),
        number("median time to decision without AI", quantile(_times(decisions, visits, with_ai=False), 0.5), "s"),
        _overlays(visits),
    ]
    return Section(
        name="overview",
        title="Overview",
        words=f"The last {days} days, with n and 95 % interval; of people no figure is made.",
        rows=[Row(figures=(one,)) for one in figures],
    )


def by_day(here: Premises, work: Work, *, days: int) -> Section:
    """Studies of each day, days without one too in the picture."""
    now, days = here.clock(), min(days, MOST_DAYS_DRAWN)
    every = [f"{now - timedelta(days=back):%Y-%m-%d}" for back in range(days - 1, -1, -1)]
    found: dict[str, list[StudyDone]] = {day: [] for day in every}
    for one in here.source.activity(work, now - timedelta(days=days)):
        found.get(f"{one.received_at:%Y-%m-%d}", []).append(one)
    each = [
        Day(
            day=day,
            studies=len(those),
            failed=sum(one.state == "failed" for one in those),
            not_read=sum(one.state == "not-read" for one in those),
        )
        for day, those in found.items()
    ]
    drawn = columns(each)
    return Section(
        name="days",
        title="Studies a day",
        words="Whole: read. Striped: not read. Hatched: failed.",
        keys=("day", "studies", "failed", "not read"),
        rows=[Row(keys=(one.day, one.studies, one.failed, one.not_read)) for one in each if one.studies],
        pictures=[("", drawn)] if drawn else [],
        folded=True,
    )


def by_finding(here: Premises, work: Work, *, days: int) -> Section:
    """Decisions and the gate's rates, by engine and finding."""
    since = here.clock() - timedelta(days=days)
    decisions, gate = Room(work).decisions_since(since), here.source.gate(work, since)
    keys = {(one.engine, one.finding) for one in decisions} | {(one.engine, one.finding) for one in gate}
    return Section(
        name="findings",
        title="By engine and finding",
        words="How readers decided, and what the quality gate let them see of the maps of positive findings.",
        keys=("engine", "finding"),
        rows=[_of_finding(engine, finding, decisions, gate) for engine, finding in sorted(keys)],
    )


def by_role(here: Premises, work: Work, *, days: int) -> Section:
    """How groups of readers decide and look; a group of fewer than five readers is told only as part of all."""
    since, room = here.clock() - timedelta(days=days), Room(work)
    decisions, visits = room.decisions_since(since), room.visits(since=since)
    roles = {one.name: one.role for one in People(work).every()}
    groups = {"all readers": {one.reader for one in decisions} | {one.reader for one in visits}}
    for reader in sorted(groups["all readers"]):
        groups.setdefault(roles.get(reader, "gone"), set()).add(reader)
    hidden = _too_small({name: len(readers) for name, readers in groups.items() if name != "all readers"})
    rows = [_of_readers(name, readers, decisions, visits, hidden) for name, readers in groups.items()]
    drawn = [(str(row.keys[0]), row.figures[0].measured) for row in rows if row.figures]
    return Section(
        name="use",
        title="By group of readers",
        words=f"Groups of fewer than {FEWEST_READERS} readers are not told, and nobody is ranked.",
        keys=("group", "readers"),
        rows=rows,
        pictures=[("Findings accepted", forest(drawn))] if drawn else [],
    )


def runs(here: Premises, work: Work, *, days: int) -> Section:
    """How often each engine broke off."""
    studies = here.source.activity(work, here.clock() - timedelta(days=days))
    labels = sorted({label for one in studies for label in one.engines})
    ended = {label: [one.engines[label] for one in studies if label in one.engines] for label in labels}
    return Section(
        name="engine-runs",
        title="Engine runs",
        words="Studies that an engine was asked to read, and how many of these runs broke off.",
        keys=("engine",),
        rows=[Row(keys=(label,), figures=(share("broke off", sum(of), len(of)),)) for label, of in ended.items()],
    )


def reasons(here: Premises, work: Work, *, days: int) -> Section:
    """Why studies have no whole result."""
    studies = here.source.activity(work, here.clock() - timedelta(days=days))
    told = Counter(one.reason for one in studies if one.reason)
    return Section(
        name="reasons",
        title="Why studies have no whole result",
        words="Every reason in its own words, the most frequent first. “Not read” is never “normal”.",
        keys=("reason",),
        rows=[
            Row(keys=(reason,), figures=(share("of all studies", number, len(studies)),))
            for reason, number in told.most_common(50)
        ],
    )


def deliveries(here: Premises, work: Work, *, days: int) -> Section:
    """Where results are, by destination; as it is now, not of the days alone."""
    found = Deliveries(work).by_destination()
    states = names(DELIVERY_STATES)
    return Section(
        name="deliveries",
        title="Deliveries now",
        words="Objects and messages by destination and state; dead ones wait under Administration, Queues.",
        keys=("destination", *states),
        rows=[Row(keys=(name, *(of.get(state, 0) for state in states))) for name, of in sorted(found.items())],
    )


def _of_studies(studies: Sequence[StudyDone], days: int) -> list[Figure]:
    n = len(studies)
    broke = [failed for one in studies for failed in one.engines.values()]
    return [
        count("studies received", n, "studies"),
        number("studies a day", Measured(value=n / days, low=None, high=None, n=n), "studies"),
        share("read in whole or part", sum(one.state in ("read", "partly-read") for one in studies), n),
        share("failed", sum(one.state == "failed" for one in studies), n),
        share("not read (out of scope or unreadable)", sum(one.state == "not-read" for one in studies), n),
        share("engine runs that broke off", sum(broke), len(broke)),
    ]


def _of_decisions(decisions: Sequence[Decision]) -> list[Figure]:
    made = len(decisions)
    trust = [float(one.trust) for one in decisions if one.trust]
    return [
        share("findings accepted", sum(one.outcome == "accept" for one in decisions), made),
        share("findings changed", sum(one.outcome == "modify" for one in decisions), made),
        share("rejected: wrong finding", sum(one.reason == "wrong-finding" for one in decisions), made),
        share("rejected: right finding, wrong place", sum(one.reason == "wrong-place" for one in decisions), made),
        number("median trust (1 to 5)", quantile(trust, 0.5), "points"),
    ]


def _too_small(groups: dict[str, int]) -> set[str]:
    """The groups that aren't told: too small ones, and more until what is left of all isn't too small either."""
    hidden = {name for name, readers in groups.items() if readers < FEWEST_READERS}
    for name in sorted(groups.keys() - hidden, key=lambda one: (groups[one], one)):
        if not 0 < sum(groups[one] for one in hidden) < FEWEST_READERS:
            break
        hidden.add(name)
    return hidden


def _of_readers(
    name: str, readers: set[str], decisions: Sequence[Decision], visits: Sequence[Visit], hidden: set[str]
) -> Row:
    keys = (name, len(readers))
    if name in hidden:
        return Row(keys=keys, withheld=f"fewer than {FEWEST_READERS} readers, or they could be told from the rest")
    made = [one for one in decisions if one.reader in readers]
    return Row(keys=keys, figures=(*_of_decisions(made), _overlays([one for one in visits if one.reader in readers])))


def _overlays(visits: Iterable[Visit]) -> Figure:
    with_ai = [visit for visit in visits if visit.with_ai]
    return share("visits with an overlay opened", sum(one.overlays > 0 for one in with_ai), len(with_ai))


def _of_finding(engine: str, finding: str, decisions: Iterable[Decision], gate: Iterable[GateCount]) -> Row:
    made = [one for one in decisions if (one.engine, one.finding) == (engine, finding)]
    judged = {one.decision: one.number for one in gate if (one.engine, one.finding) == (engine, finding)}
    n, maps = len(made), sum(judged.values())
    gates = zip(("map shown", "shown with a warning", "held back"), GATE, strict=True)
    return Row(
        keys=(engine, finding_type(finding).label),
        figures=(
            share("accepted", sum(one.outcome == "accept" for one in made), n),
            share("wrong finding", sum(one.reason == "wrong-finding" for one in made), n),
            share("wrong place", sum(one.reason == "wrong-place" for one in made), n),
            *(Figure(name=name, measured=wilson(judged.get(decision, 0), maps)) for name, decision in gates),
        ),
    )


def _times(decisions: Sequence[Decision], visits: Sequence[Visit], *, with_ai: bool) -> list[float]:
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
