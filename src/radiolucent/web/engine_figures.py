"""Whether engines still work as they did, alike for everybody: drift of scores, calibration, figures by group."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from typing import Final

from radiolucent.findings.taxonomy import finding_type
from radiolucent.imaging.header import text
from radiolucent.monitor.calibration import reliability
from radiolucent.monitor.drift import FEWEST, drift
from radiolucent.monitor.measures import Measured
from radiolucent.monitor.pictures import forest, histogram, reliability_diagram
from radiolucent.monitor.subgroups import age_band, scanner, sex
from radiolucent.store.activity import Found, StudyDone
from radiolucent.store.origins import Origin, Origins
from radiolucent.store.room import Decision, Room
from radiolucent.store.unit_of_work import Work
from radiolucent.web.access import Premises
from radiolucent.web.figures import Figure, Row, Section, count, number, share

BEFORE: Final = timedelta(days=180)
"""The scores of these days, before the days that are looked at, are what they are compared with."""
READ_AT_ONCE: Final = 200
"""So many headers are read for one page; the next page reads on."""
RIGHT: Final = ("wrong-place", "known", "not-relevant")
"""Reasons for a rejection or change of a finding that was there."""
WRONG: Final = ("wrong-finding", "artefact")
GROUPS: Final[tuple[tuple[str, Callable[[Origin], str]], ...]] = (
    ("sex", lambda one: one.sex),
    ("age", lambda one: one.age),
    ("scanner", lambda one: one.scanner),
)


def drifts(here: Premises, work: Work, *, days: int) -> Section:
    """Each finding's scores now against those before, by engine version."""
    start = here.clock() - timedelta(days=days)
    found = here.source.found(work, start - BEFORE)
    rows, pictures = [], []
    for engine, finding, those in _by_finding(found):
        one = drift([f.score for f in those if f.at < start], [f.score for f in those if f.at >= start])
        limit = Measured(value=one.by_chance, low=None, high=None, n=one.n_before + one.n_now)
        index = Measured(value=one.index, low=None, high=None, n=one.n_now)
        word = {None: f"fewer than {FEWEST} on one side", True: "yes: look into it", False: "no"}[one.has_drifted]
        figures = (
            count("scores before", one.n_before, "scores"),
            count("scores now", one.n_now, "scores"),
            number("stability index", index, "PSI"),
            number("by chance below", limit, "PSI"),
        )
        label = finding_type(finding).label
        rows.append(Row(keys=(engine, label, word), figures=figures))
        if one.index is not None:
            pictures.append((f"{label}, {engine}", histogram(one.edges, one.before, one.now)))
    return Section(
        name="drift",
        title="Drift of scores",
        words=f"Scores of the last {days} days against the {BEFORE.days} days before them, in bins that held a tenth "
        "each (hollow: before; full: now). The index is 0 where nothing moved; beside it: what chance alone gives "
        "in 95 % of cases.",
        keys=("engine", "finding", "moved"),
        rows=rows,
        pictures=pictures,
    )


def calibration(here: Premises, work: Work, *, days: int) -> Section:
    """Told probabilities of decided findings against what readers found right."""
    since = here.clock() - timedelta(days=days)
    told = {(f.study_instance_uid, f.engine, f.finding): f.probability for f in here.source.found(work, since - BEFORE)}
    judged: dict[tuple[str, str], list[tuple[float, bool]]] = {}
    for one in _last(Room(work).decisions_since(since)):
        probability, right = told.get((one.study_instance_uid, one.engine, one.finding)), _was_there(one)
        if probability is not None and right is not None:
            judged.setdefault((one.engine, one.finding), []).append((probability, right))
    rows, pictures = [], []
    for (engine, finding), pairs in sorted(judged.items()):
        found, label = reliability(pairs), finding_type(finding).label
        error = Measured(value=found.error, low=None, high=None, n=found.n)
        rows.append(Row(keys=(engine, label, "all"), figures=(number("expected calibration error", error, "points"),)))
        for inside in found.bins:
            mean = Measured(value=inside.told, low=None, high=None, n=inside.right.n)
            figures = (Figure(name="told", measured=mean, unit="share"), Figure(name="right", measured=inside.right))
            rows.append(Row(keys=(engine, label, f"{inside.low:.1f} to {inside.high:.1f}"), figures=figures))
        pictures.append((f"{label}, {engine}", reliability_diagram(found.bins)))
    return Section(
        name="calibration",
        title="Calibration against readers",
        words="Findings with a calibrated probability on which a reader decided: was it there? Accepted or misplaced "
        "counts as right, “wrong finding” and “artefact” as wrong. Who saw the AI first is no independent truth.",
        keys=("engine", "finding", "told probability"),
        rows=rows,
        pictures=pictures,
    )


def fairness(here: Premises, work: Work, *, days: int) -> Section:
    """The same figures by sex, age and scanner."""
    since = here.clock() - timedelta(days=days)
    studies, decisions = here.source.activity(work, since), _last(Room(work).decisions_since(since))
    positive = {one.study_instance_uid for one in here.source.found(work, since) if one.positive}
    origins = Origins(work).of([one.study_instance_uid for one in studies] + [d.study_instance_uid for d in decisions])
    rows, pictures = [], []
    for name, group_of in GROUPS:
        drawn = []
        for group in sorted({group_of(one) for one in origins.values()}):
            members = {uid for uid, one in origins.items() if group_of(one) == group}
            figures = _of_group(members, studies, decisions, positive)
            rows.append(Row(keys=(name, group), figures=figures))
            drawn.append((group, figures[-2].measured))
        if drawn:
            pictures.append((f"Findings accepted, by {name}", forest(drawn)))
    return Section(
        name="fairness",
        title="By group of patients and scanner",
        words="Of fewer than 30 a share says little. Acceptance is readers' judgement of what the AI marked; what it "
        "missed is known only where truth is: “radiolucent evaluate” gives sensitivity and specificity.",
        keys=("by", "group"),
        rows=rows,
        pictures=pictures,
    )


def catch_up(here: Premises, *, days: int) -> None:
    """Read the groups of studies that aren't known yet from their headers, some at a time."""
    since = here.clock() - timedelta(days=days)
    with here.store.read() as work:
        every = [one.study_instance_uid for one in here.source.activity(work, since)]
        known = Origins(work).of(every)
    missing = [uid for uid in every if uid not in known][:READ_AT_ONCE]
    found = [_origin(here, uid) for uid in missing]
    if found:
        with here.store.begin() as work:
            Origins(work).keep(found)


def _origin(here: Premises, uid: str) -> Origin:
    header = here.source.header(uid)
    known = {name: "" if header is None else text(header, name) for name in _KEYWORDS}
    return Origin(
        study_instance_uid=uid,
        sex=sex(known["PatientSex"]),
        age=age_band(known["PatientAge"], born=known["PatientBirthDate"], studied=known["StudyDate"]),
        scanner=scanner(known["Manufacturer"], known["ManufacturerModelName"])[:128],
    )


_KEYWORDS: Final = (
    "PatientSex",
    "PatientAge",
    "PatientBirthDate",
    "StudyDate",
    "Manufacturer",
    "ManufacturerModelName",
)


def _of_group(
    members: set[str], studies: Iterable[StudyDone], decisions: Iterable[Decision], positive: set[str]
) -> tuple[Figure, ...]:
    came = [one for one in studies if one.study_instance_uid in members]
    read = [one for one in came if one.state in ("read", "partly-read")]
    made = [one for one in decisions if one.study_instance_uid in members]
    return (
        count("studies", len(came), "studies"),
        share("not read or failed", len(came) - len(read), len(came)),
        share("with a finding", sum(one.study_instance_uid in positive for one in read), len(read)),
        share("accepted", sum(one.outcome == "accept" for one in made), len(made)),
        share("wrong finding", sum(one.reason in WRONG for one in made), len(made)),
    )


def _was_there(one: Decision) -> bool | None:
    """Whether the reader says that the finding is there; None where the decision doesn't tell."""
    if one.outcome == "accept" or one.reason in RIGHT:
        return True
    if one.reason in WRONG:
        return False
    return True if one.outcome == "modify" and not one.reason else None


def _last(decisions: Sequence[Decision]) -> list[Decision]:
    """Of each reader on each finding the last word alone."""
    last = {(one.study_instance_uid, one.series_key, one.finding, one.engine, one.reader): one for one in decisions}
    return list(last.values())


def _by_finding(found: Iterable[Found]) -> list[tuple[str, str, list[Found]]]:
    groups: dict[tuple[str, str], list[Found]] = {}
    for one in found:
        groups.setdefault((one.engine, one.finding), []).append(one)
    return [(engine, finding, those) for (engine, finding), those in sorted(groups.items())]
