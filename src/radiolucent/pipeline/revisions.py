"""One revision of a study, worked off: its images read, its results encoded, what is owed to whom written down.

Each function may be killed at any point and called again: it then finds what is done and does the rest, and the bytes
and UIDs that it makes are the same.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from radiolucent.audit.events import ImageRefused, ReadingMade, Withheld
from radiolucent.engines.runtime import Engine
from radiolucent.errors import NothingToRead, RadiolucentError
from radiolucent.findings.reading import Reading
from radiolucent.findings.urgency import level_number
from radiolucent.pipeline.alerting import AlertRules, raise_alerts
from radiolucent.pipeline.amending import as_amended
from radiolucent.pipeline.kept_here import REASONS
from radiolucent.pipeline.messages import load_reading, settle_messages, write_messages
from radiolucent.pipeline.output import write_readings
from radiolucent.pipeline.priority import delivery_priority
from radiolucent.pipeline.read_path import PathResult, read_path
from radiolucent.pipeline.read_study import Options
from radiolucent.pipeline.routing import PRIOR, Route, choose_route
from radiolucent.results.withdrawal import Wording
from radiolucent.rollout.phases import PHASES
from radiolucent.store.archive import is_full, sync_tree
from radiolucent.store.audit import AuditTrail
from radiolucent.store.deliveries import Deliveries
from radiolucent.store.facts import Facts
from radiolucent.store.instances import Instances
from radiolucent.store.records import InstanceRecord, ReadingRecord, RevisionRecord
from radiolucent.store.revisions import NewReading, Readings, Revisions
from radiolucent.store.site import Site
from radiolucent.store.states import REVISION_STATES, names
from radiolucent.store.studies import Studies
from radiolucent.store.unit_of_work import Store, Work

LOG: Final = logging.getLogger(__name__)
SEPARATOR: Final = "\\"
"""Between the labels of several engines in a row."""
ATTEMPTS: Final = 3
"""A study whose reading killed its worker this often isn't tried again: it would stop all others."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What a worker works with.

    Parameters
    ----------
    engines : loaded once.
    worker : its name in the rows.
    wording : how the site writes messages, with the address of a study in the pages.
    early : destinations that say how urgent a study is, so that they go before the objects.
    alerts : what the site wants of alerts.
    """

    store: Store
    engines: Sequence[Engine]
    routes: Sequence[Route]
    worker: str
    options: Options = field(default_factory=Options)
    wording: Wording = field(default_factory=Wording)
    early: frozenset[str] = frozenset()
    alerts: AlertRules = field(default_factory=AlertRules)
    pdf: bool = False
    clock: Callable[[], datetime] = _now


def read_revision(bench: Bench, study_instance_uid: str, number: int) -> str:
    """Read the images of a revision and keep the results; gives the state it ends in.

    A study that can't be read is a result: ``not-read`` or ``failed``, with its reason.

    Raises
    ------
    OSError
        If a disk is full: the study waits, and this try doesn't count.
    """
    store = bench.store
    with store.begin() as work:
        revision = Revisions(work).started(study_instance_uid, number, worker=bench.worker, at=bench.clock())
        inputs = Revisions(work).inputs(study_instance_uid, number)
        route = choose_route(Studies(work).get(study_instance_uid), bench.routes)
    if revision.state in names(REVISION_STATES, terminal=True):
        return revision.state
    if revision.attempts > ATTEMPTS:
        reason = f"its reading ended its worker {ATTEMPTS} times: look at the images, then queue it again"
        return _fail(bench, revision, inputs, reason)
    engines = _asked(bench.engines, route)
    try:
        with _folder_of(bench, revision, inputs) as (images, prior):
            result = as_amended(store, read_path(images, engines, prior=prior, options=bench.options))
            folder = store.folder / reading_folder(revision)
            folder.parent.mkdir(parents=True, exist_ok=True)
            made_at = revision.made_at.astimezone()
            voice = bench.wording.voice
            write_readings(result, folder, made_at=made_at, force=True, pdf=bench.pdf, revision=number, voice=voice)
            write_messages(store, result, revision, folder, wording=bench.wording)
            sync_tree(folder)
    except NothingToRead as error:
        return _not_an_image(bench, revision, inputs, str(error).rpartition(": ")[2])
    except (RadiolucentError, OSError, MemoryError) as error:
        if is_full(error):
            LOG.warning("study %s, revision %d waits for room on the disk", study_instance_uid, number)
            with store.begin() as work:
                Revisions(work).put_off(study_instance_uid, number)
            raise
        LOG.warning("study %s, revision %d failed: %s", study_instance_uid, number, type(error).__name__)
        return _fail(bench, revision, inputs, f"{type(error).__name__}: {error}")
    state = _keep(bench, revision, inputs, result, folder)
    LOG.info("study %s, revision %d: %s", study_instance_uid, number, state)
    return state


def owe_deliveries(bench: Bench, study_instance_uid: str, number: int) -> list[tuple[int, int, int]]:
    """Note which destinations a finished revision is owed to, and raise its alerts.

    What earlier revisions still owe is cancelled: this one takes its place. What they sent meanwhile is corrected.

    Returns
    -------
    (delivery, next attempt, place in the queue) of those to begin with.
    """
    with bench.store.begin() as work:
        kept = Readings(work).find(study_instance_uid, number)
        if kept is None:
            return []
        revision = Revisions(work).get(study_instance_uid, number)
        cancelled = Deliveries(work).cancel(
            study_instance_uid, before_revision=number, reason=f"revision {number} takes its place", at=bench.clock()
        )
        if _is_overtaken(work, study_instance_uid, number):
            return []
    if cancelled:
        LOG.info("study %s: %d unsent deliveries of earlier revisions cancelled", study_instance_uid, cancelled)
    if settle_messages(bench.store, kept, revision, wording=bench.wording):
        LOG.info("study %s, revision %d: an earlier one went out meanwhile, corrected", study_instance_uid, number)
    reading = _alerting(bench, kept)
    at = bench.clock()
    with bench.store.begin() as work:
        kept = Readings(work).find(study_instance_uid, number)
        if kept is None or kept.withdrawn_at is not None or _is_overtaken(work, study_instance_uid, number):
            return []
        study = Studies(work).get(study_instance_uid)
        if study.source_kind != PRIOR:  # what was so years ago alerts nobody
            raise_alerts(work, reading, number, bench.alerts, at=at)
        route = choose_route(study, bench.routes)
        code = withheld_from_sending(work, kept.engines)
        if code and route and route.destinations:
            LOG.info("study %s, revision %d is sent nowhere: %s", study_instance_uid, number, REASONS.get(code, code))
            AuditTrail(work).append(
                Withheld(
                    at=at, study_instance_uid=study_instance_uid, audience=", ".join(route.destinations), code=code
                )
            )
        owed = Deliveries(work).owe(study_instance_uid, number, route.destinations if route and not code else (), at=at)
    begin = [
        (
            delivery_priority(revision.priority, kept.urgency, one.created_at, message=one.destination in bench.early),
            one,
        )
        for one in owed
        if one.state == "waiting"
    ]
    return [(one.id, one.attempts + 1, place) for place, one in sorted(begin, key=lambda pair: (pair[0], pair[1].id))]


def _alerting(bench: Bench, kept: ReadingRecord) -> Reading:
    """The reading, where it is urgent enough to alert; else one without findings, which spares loading its maps."""
    if kept.urgency is not None and kept.urgency <= bench.alerts.table.least_urgent_level:
        return load_reading(bench.store, kept)
    return Reading(study_instance_uid=kept.study_instance_uid, series=())


def _is_overtaken(work: Work, study_instance_uid: str, number: int) -> bool:
    """Whether a later revision is read already: it alone goes out."""
    latest = Studies(work).get(study_instance_uid).latest_revision
    return latest > number and Readings(work).find(study_instance_uid, latest) is not None


def withheld_from_sending(work: Work, engines: str) -> str:
    """Why a result of these engines (`ReadingRecord.engines`) may not leave the gateway; empty where it may.

    Code ``stopped`` while the kill switch is on, ``shadow`` while one of the engines is in shadow. An engine whose
    phase nobody keeps (the pages, and with them the roll-out, are switched off) is not held back here.
    """
    site = Site(work)
    if site.setting("ai_stopped"):
        return "stopped"
    phases = site.phases()
    names = {label.strip().partition("@")[0] for label in engines.split(SEPARATOR)}
    return "shadow" if any(phases.get(name) == PHASES[0] for name in names) else ""


def reading_folder(revision: RevisionRecord) -> str:
    """Where the results of a revision lie, relative to the store's folder."""
    return f"readings/{revision.study_instance_uid}/{revision.number}"


def _asked(engines: Sequence[Engine], route: Route | None) -> list[Engine]:
    wanted = route.engines if route else ()
    return [
        engine
        for engine in engines
        if not wanted or engine.bundle.manifest.name in wanted or engine.bundle.manifest.label in wanted
    ]


@contextmanager
def _folder_of(
    bench: Bench, revision: RevisionRecord, inputs: Sequence[InstanceRecord]
) -> Iterator[tuple[Path, Path | None]]:
    """A folder that holds exactly the inputs of a revision, by links, and one with its prior's or None."""
    home = bench.store.folder / "work" / f"{revision.study_instance_uid}.{revision.number}.{os.getpid()}"
    shutil.rmtree(home, ignore_errors=True)
    prior_inputs: list[InstanceRecord] = []
    if revision.prior_study_instance_uid:
        with bench.store.read() as work:
            found = Instances(work).of_study(revision.prior_study_instance_uid)
        prior_inputs = [one for one in found if one.state != "conflict" and one.removed_at is None]
    try:
        images, prior = home / "study", home / "prior"
        for folder, instances in ((images, inputs), (prior, prior_inputs)):
            folder.mkdir(parents=True)
            for one in instances:
                os.link(bench.store.folder / one.path, folder / f"{one.id:08d}.dcm")
        yield images, prior if prior_inputs else None
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _keep(
    bench: Bench, revision: RevisionRecord, inputs: Sequence[InstanceRecord], result: PathResult, folder: Path
) -> str:
    """Note a reading that is on disk, and what became of each object."""
    reading = result.results[0].reading
    fates = instance_fates(reading, inputs, result)
    state, at = reading.state, bench.clock()
    levels = [level_number(finding.urgency) for finding in reading.findings if finding.positive and finding.urgency]
    new = NewReading(
        study_instance_uid=revision.study_instance_uid,
        revision=revision.number,
        state=state,
        folder=reading_folder(revision),
        digest=hashlib.sha256((folder / "reading.json").read_bytes()).hexdigest(),
        urgency=min(levels, default=None),
        positives="\\".join(dict.fromkeys(finding.name for finding in reading.findings if finding.positive)),
        engines=SEPARATOR.join(dict.fromkeys(series.engine.label for series in reading.series)),
        made_at=revision.made_at,
    )
    reasons = [refusal.reason for series in reading.unread for refusal in series.refusals]
    with bench.store.begin() as work:
        if Revisions(work).get(revision.study_instance_uid, revision.number).state != "reading":
            return Revisions(work).get(revision.study_instance_uid, revision.number).state  # another worker was first
        Readings(work).add(new)
        Facts(work).keep(reading, revision=revision.number)
        for (fate, reason), ids in fates.items():
            Instances(work).finish(ids, fate, reason=reason, revision=revision.number)
        reason = "; ".join(dict.fromkeys(reasons))[:1000] if state == "not-read" else ""
        Revisions(work).finished(revision.study_instance_uid, revision.number, state, reason=reason, at=at)
        trail = AuditTrail(work)
        trail.append(
            ReadingMade(
                at=at,
                study_instance_uid=revision.study_instance_uid,
                digest=new.digest,
                revision=revision.number,
                engines=new.engines,
            )
        )
        for series in reading.unread:
            for refusal in series.refusals:
                trail.append(
                    ImageRefused(
                        at=at,
                        study_instance_uid=revision.study_instance_uid,
                        series_instance_uid=series.series_instance_uid,
                        code=refusal.code,
                        engine=refusal.engine,
                    )
                )
    return state


def instance_fates(
    reading: Reading, inputs: Sequence[InstanceRecord], result: PathResult
) -> dict[tuple[str, str], list[int]]:
    """What became of each object: (state, reason) → ids. One that nothing is said of is ``failed``, never silent."""
    read = {frame.sop_instance_uid for series in reading.series for frame in series.frames}
    refused = {
        series.series_instance_uid: "; ".join(dict.fromkeys(refusal.reason for refusal in series.refusals))
        for series in reading.unread
    }
    broken = {
        problem.sop_instance_uid: (problem.code, problem.reason)
        for problem in (*reading.problems, *result.problems)
        if problem.sop_instance_uid
    }
    fates: dict[tuple[str, str], list[int]] = {}
    for one in inputs:
        if one.sop_instance_uid in read:
            fate = ("read", "")
        elif one.sop_instance_uid in broken:
            code, reason = broken[one.sop_instance_uid]
            fate = (
                "refused" if code in ("not-an-image", "localiser") else "failed",
                reason.partition(": ")[2] or reason,
            )
        elif one.series_instance_uid in refused:
            fate = ("refused", refused[one.series_instance_uid])
        else:
            fate = ("failed", "no engine and no rule said anything of it: see the problems in reading.json")
        fates.setdefault((fate[0], fate[1][:1000]), []).append(one.id)
    return fates


def _not_an_image(bench: Bench, revision: RevisionRecord, inputs: Sequence[InstanceRecord], reason: str) -> str:
    """A study without one readable image: said, and nothing is sent."""
    return _end(bench, revision, inputs, "not-read", "refused", reason)


def _fail(bench: Bench, revision: RevisionRecord, inputs: Sequence[InstanceRecord], reason: str) -> str:
    return _end(bench, revision, inputs, "failed", "failed", reason)


def _end(
    bench: Bench, revision: RevisionRecord, inputs: Sequence[InstanceRecord], state: str, fate: str, reason: str
) -> str:
    with bench.store.begin() as work:
        Instances(work).finish([one.id for one in inputs], fate, reason=reason[:1000], revision=revision.number)
        Revisions(work).finished(
            revision.study_instance_uid, revision.number, state, reason=reason[:1000], at=bench.clock()
        )
    return state
