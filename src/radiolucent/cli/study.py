"""``radiolucent study``: what was received, what became of it and why; queue it again or take it back."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from radiolucent.cli.console import errors_to_exit, out, print_json
from radiolucent.cli.serve import DataFolder, SettingsFile

if TYPE_CHECKING:
    from radiolucent.app.parts import Parts
    from radiolucent.pipeline.reconciling import Reconciliation
    from radiolucent.store.records import StudyRecord
    from radiolucent.store.studies import StudyView
    from radiolucent.store.unit_of_work import Store

app = typer.Typer(help="What was received, what became of it and why.", no_args_is_help=True)
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")]
Uid = Annotated[str, typer.Argument(help="Study Instance UID.")]


@app.command("list")
def list_studies(
    settings: SettingsFile = None,
    data_folder: DataFolder = None,
    state: Annotated[list[str] | None, typer.Option(help="Only studies in this state; can be repeated.")] = None,
    undelivered: Annotated[bool, typer.Option("--undelivered", help="Only studies that owe a result.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the last received first.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List studies with their states and reasons, and which ways in don't work. Shows no name of a patient."""
    from radiolucent.pipeline.kept_here import results_kept_here
    from radiolucent.store.studies import Filters, Studies
    from radiolucent.store.ways import Reconciliations, Ways

    with errors_to_exit(), opened_store(settings, data_folder) as store, store.read() as work:
        studies = Studies(work)
        lines = studies.list(Filters(states=tuple(state or ()), undelivered=undelivered, limit=limit))
        counts = studies.counts()
        ways, compared = Ways(work).list(), Reconciliations(work).latest()
        kept_here = results_kept_here(work)
    if as_json:
        told = [
            {
                **_told(line.study),
                "instances": line.instances,
                "undelivered": line.undelivered,
                "urgency": line.reading.urgency if line.reading else None,
            }
            for line in lines
        ]
        reconciled = [{"pacs": one.pacs, "at": one.at, "differences": one.differences} for one in compared]
        told_ways = [asdict(way) for way in ways]
        print_json(
            {"counts": counts, "studies": told, "ways": told_ways, "reconciled": reconciled, "kept_here": kept_here}
        )
        return
    for line in lines:
        one = line.study
        owed = f", {line.undelivered} undelivered" if line.undelivered else ""
        partial = ", partial" if one.partial else ""
        images = _state(f"{_count(line.instances, 'image')}{partial}{owed}", one.reason)
        out.print(f"{one.study_instance_uid}  {one.state:<12} {one.modalities or '?'}  {images}", markup=False)
    out.print(", ".join(f"{number} {name}" for name, number in sorted(counts.items())) or "no studies", markup=False)
    if kept_here:
        out.print(kept_here, markup=False)
    for way in ways:
        since = f" since {way.failed_at:%Y-%m-%d %H:%M} UTC" if way.state == "failing" and way.failed_at else ""
        failing = f"{since}, {_count(way.failures, 'time')}: {way.reason}"
        told_of = failing if way.state == "failing" else f", {way.taken} taken"
        out.print(f"way in {way.name}: {way.state}{told_of}", markup=False)
    for one_pacs in compared:
        when, differ = f"{one_pacs.at:%Y-%m-%d %H:%M} UTC", _count(one_pacs.differences, "difference")
        out.print(f"compared with {one_pacs.pacs} at {when}: {differ}", markup=False)


@app.command("show")
def show(uid: Uid, settings: SettingsFile = None, data_folder: DataFolder = None, as_json: AsJson = False) -> None:
    """Show one study: every instance with its state and reason, revisions, readings, deliveries."""
    from radiolucent.audit.events import Withheld
    from radiolucent.pipeline.kept_here import REASONS
    from radiolucent.store.audit import AuditTrail, Filter
    from radiolucent.store.questions import Questions
    from radiolucent.store.studies import Studies
    from radiolucent.store.ways import Fetches

    with errors_to_exit(), opened_store(settings, data_folder) as store, store.read() as work:
        view = Studies(work).show(uid)
        trail = AuditTrail(work).find(Filter(kind=Withheld.kind, study_instance_uid=uid))
        withheld = [one.event for one in reversed(trail) if isinstance(one.event, Withheld)]
        questions = Questions(work).of_study(uid)
        fetches = Fetches(work).of_study(uid)
    if as_json:
        told = asdict(view)
        asked = [{"kind": one.kind, "state": one.state, "reason": one.reason} for one in questions]
        fetched = [asdict(one) for one in fetches]
        kept = [{"at": one.at, "audience": one.audience, "code": one.code} for one in withheld]
        print_json({**told, "study": _told(view.study), "asked": asked, "fetches": fetched, "withheld": kept})
        return
    _print_view(view)
    for held in withheld:
        why = REASONS.get(held.code, held.code)
        out.print(f"  {held.at:%Y-%m-%d %H:%M:%S} not sent to {held.audience}: {why}", markup=False)
    for one in questions:
        out.print(f"  asked for its {one.kind}: {_state(one.state, one.reason)}", markup=False)
    for fetch in fetches:
        out.print(f"  from {fetch.pacs} as {fetch.purpose}: {_state(fetch.state, fetch.reason)}", markup=False)


@app.command("requeue")
def requeue(
    uid: Uid,
    settings: SettingsFile = None,
    data_folder: DataFolder = None,
    deliveries: Annotated[
        bool, typer.Option("--deliveries", help="Only send its dead letters again; don't read it again.")
    ] = False,
) -> None:
    """Read a study again, as a new revision, or send its dead letters again. A running gateway does the rest."""
    from radiolucent.pipeline.coordinating import plan_again
    from radiolucent.store.deliveries import Deliveries
    from radiolucent.store.studies import Studies

    with errors_to_exit(), _parts(settings, data_folder) as parts, parts.store.begin() as work:
        at = datetime.now(UTC)
        Studies(work).get(uid)
        if deliveries:
            number = Deliveries(work).requeue(at=at, study_instance_uid=uid)
            out.print(f"{_count(number, 'dead letter')} to be sent again")
            return
        made = plan_again(
            work,
            uid,
            parts.routes,
            parts.engine_digests,
            compare_with_priors=parts.settings.work.compare_with_priors,
            at=at,
        )
        out.print(f"queued as revision {made.number}")


@app.command("withdraw")
def withdraw(
    uid: Uid,
    reason: Annotated[str, typer.Option(help="Why, for those who got the result. No patient's name.")],
    settings: SettingsFile = None,
    data_folder: DataFolder = None,
) -> None:
    """Take back the latest reading of a study, wherever it was delivered. A running gateway does the rest."""
    from radiolucent.pipeline.delivering import withdraw as take_back

    with errors_to_exit(), opened_store(settings, data_folder) as store:
        told = take_back(store, uid, reason=reason, actor=getpass.getuser(), at=datetime.now(UTC))
    out.print(f"withdrawn; to be told: {_count(told, 'destination')}")


@app.command("reconcile")
def reconcile(
    settings: SettingsFile = None,
    data_folder: DataFolder = None,
    pacs: Annotated[list[str] | None, typer.Option(help="Only this PACS of the settings; can be repeated.")] = None,
    since: Annotated[str, typer.Option(help="First Study Date, YYYYMMDD; without it, as in the nightly job.")] = "",
    until: Annotated[str, typer.Option(help="Last Study Date, YYYYMMDD; without it, yesterday.")] = "",
    as_json: AsJson = False,
) -> None:
    """Compare what a PACS holds with what was received: what was never seen here, and the reverse.

    Ends with 1 where they differ or a PACS doesn't answer, with 2 where none is named for it (`reconcile = true`).
    """
    from radiolucent.app.reconciling import days_of, reconcile_now

    with errors_to_exit(), _parts(settings, data_folder) as parts:
        first, last = days_of(parts.settings, since, until)
        found = reconcile_now(parts, tuple(pacs or ()), first, last)
    if as_json:
        print_json({"reconciled": [one.as_json() for one in found]})
    else:
        for one in found:
            _print_reconciliation(one)
    if any(one.differences for one in found):
        raise typer.Exit(1)


@contextmanager
def opened_store(settings: SettingsFile, data_folder: DataFolder) -> Iterator[Store]:
    """The store of the gateway that the settings are of."""
    from radiolucent.errors import SetupError
    from radiolucent.settings import load_settings
    from radiolucent.store.unit_of_work import open_store

    chosen = load_settings(settings, data_folder=data_folder)
    if not chosen.data_folder.is_dir():
        raise SetupError(f"{chosen.data_folder} isn't there: name the gateway's --settings or --data-folder")
    store = open_store(chosen.database_url.get_secret_value(), chosen.data_folder.resolve())
    try:
        yield store
    finally:
        store.close()


@contextmanager
def _parts(settings: SettingsFile, data_folder: DataFolder) -> Iterator[Parts]:
    from radiolucent.app.parts import compose
    from radiolucent.settings import load_settings

    parts = compose(load_settings(settings, data_folder=data_folder))
    try:
        yield parts
    finally:
        parts.store.close()


def _state(state: str, reason: str) -> str:
    return f"{state}: {reason}" if reason else state


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _told(study: StudyRecord) -> dict[str, object]:
    """A study without what identifies a patient: a terminal is no place for that."""
    told = asdict(study)
    for name in ("patient_id", "patient_name", "accession_number"):
        del told[name]
    return told


def _print_view(view: StudyView) -> None:
    study = view.study
    out.print(f"study {study.study_instance_uid}: {_state(study.state, study.reason)}", style="bold", markup=False)
    out.print(f"  received {study.first_received_at:%Y-%m-%d %H:%M:%S} to {study.last_received_at:%H:%M:%S} UTC")
    for revision in view.revisions:
        out.print(f"  revision {revision.number}: {_state(revision.state, revision.reason)}", markup=False)
    for reading in view.readings:
        found = reading.positives.replace("\\", ", ") or "no finding above threshold"
        out.print(f"  reading {reading.revision}: {found}; {reading.folder}", markup=False)
    for sent in view.deliveries:
        tried = "1 try" if sent.attempts == 1 else f"{sent.attempts} tries"
        again = f", next at {sent.next_try_at:%H:%M:%S} UTC" if sent.state == "waiting" and sent.next_try_at else ""
        state = _state(f"{sent.state}, {tried}{again}", sent.reason)
        out.print(f"  {sent.kind} to {sent.destination}: {state}", markup=False)
    for one in view.instances:
        out.print(f"  {one.sop_instance_uid}: {_state(one.state, one.reason)}", markup=False)


def _print_reconciliation(found: Reconciliation) -> None:
    days = f"studies of {found.since} to {found.until}"
    out.print(f"{found.pacs}: {found.compared} {days} in both, {found.differences} differences", markup=False)
    for what, ones in (
        ("never seen here", found.never_seen),
        ("not in the PACS", found.not_there),
        ("other number of images", found.different),
    ):
        for one in ones:
            theirs = "?" if one.theirs is None else one.theirs
            counts = f"{theirs} there, {one.ours} here"
            out.print(f"  {what}: {one.study_instance_uid} {one.study_date} {one.modalities} ({counts})", markup=False)
