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
    """List studies with their states and reasons. Shows no name of a patient."""
    from radiolucent.store.studies import Filters, Studies

    with errors_to_exit(), opened_store(settings, data_folder) as store, store.read() as work:
        studies = Studies(work)
        lines = studies.list(Filters(states=tuple(state or ()), undelivered=undelivered, limit=limit))
        counts = studies.counts()
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
        print_json({"counts": counts, "studies": told})
        return
    for line in lines:
        one = line.study
        owed = f", {line.undelivered} undelivered" if line.undelivered else ""
        partial = ", partial" if one.partial else ""
        out.print(
            f"{one.study_instance_uid}  {one.state:<12} {one.modalities or '?'}  {line.instances} images"
            f"{partial}{owed}{': ' + one.reason if one.reason else ''}",
            markup=False,
        )
    out.print(", ".join(f"{number} {name}" for name, number in sorted(counts.items())) or "no studies", markup=False)


@app.command("show")
def show(uid: Uid, settings: SettingsFile = None, data_folder: DataFolder = None, as_json: AsJson = False) -> None:
    """Show one study: every instance with its state and reason, revisions, readings, deliveries."""
    from radiolucent.store.studies import Studies

    with errors_to_exit(), opened_store(settings, data_folder) as store, store.read() as work:
        view = Studies(work).show(uid)
    if as_json:
        told = asdict(view)
        print_json({**told, "study": _told(view.study)})
        return
    _print_view(view)


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
            out.print(f"{number} deliveries wait to be sent again")
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
    out.print(f"withdrawn; {told} destinations will be told")


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


def _told(study: StudyRecord) -> dict[str, object]:
    """A study without what identifies a patient: a terminal is no place for that."""
    told = asdict(study)
    for name in ("patient_id", "patient_name", "accession_number"):
        del told[name]
    return told


def _print_view(view: StudyView) -> None:
    study = view.study
    out.print(f"study {study.study_instance_uid}: {study.state} {study.reason}".rstrip(), style="bold", markup=False)
    out.print(f"  received {study.first_received_at:%Y-%m-%d %H:%M:%S} to {study.last_received_at:%H:%M:%S} UTC")
    for revision in view.revisions:
        out.print(f"  revision {revision.number}: {revision.state} {revision.reason}".rstrip(), markup=False)
    for reading in view.readings:
        found = reading.positives.replace("\\", ", ") or "no finding above threshold"
        out.print(f"  reading {reading.revision}: {found}; {reading.folder}", markup=False)
    for sent in view.deliveries:
        tries = f"{sent.attempts} tries"
        out.print(f"  {sent.kind} to {sent.destination}: {sent.state}, {tries} {sent.reason}".rstrip(), markup=False)
    for one in view.instances:
        out.print(f"  {one.sop_instance_uid}: {one.state} {one.reason}".rstrip(), markup=False)
