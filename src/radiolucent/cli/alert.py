"""``radiolucent alert``: which findings were alerted, who took note of them and when; take note of one."""

from __future__ import annotations

import getpass
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from radiolucent.cli.console import errors_to_exit, out, print_json
from radiolucent.cli.serve import DataFolder, SettingsFile
from radiolucent.cli.study import AsJson, opened_store

if TYPE_CHECKING:
    from radiolucent.store.alerts import AlertRecord, NoticeRecord

app = typer.Typer(help="Alerts: raised, sent, acknowledged, escalated.", no_args_is_help=True)


@app.command("list")
def list_alerts(
    settings: SettingsFile = None,
    data_folder: DataFolder = None,
    all_: Annotated[bool, typer.Option("--all", help="Also those that were acknowledged or have ended.")] = False,
    study: Annotated[str, typer.Option(help="Only those of this study.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the most urgent first.")] = 200,
    as_json: AsJson = False,
) -> None:
    """List alerts with what became of each message about them. Shows no name of a patient."""
    from radiolucent.store.alerts import Alerts, Notices

    states = () if all_ else ("open",)
    with errors_to_exit(), opened_store(settings, data_folder) as store, store.read() as work:
        found = Alerts(work).of_study(study, states=states) if study else Alerts(work).list(states=states, limit=limit)
        lines = [(one, Notices(work).of_alert(one.key)) for one in found[:limit]]
    if as_json:
        print_json({"alerts": [_told(*line) for line in lines]})
        return
    for one, notices in lines:
        who = f" by {one.acknowledged_by}" if one.acknowledged_by else ""
        out.print(f"{one.key}  {one.state}{who}  {one.raised_at:%Y-%m-%d %H:%M} UTC  {one.subject}", markup=False)
        for sent in notices:
            why = f": {sent.reason}" if sent.reason else ""
            out.print(f"  {sent.turn} to {sent.channel}: {sent.state}, {sent.attempts} tries{why}", markup=False)
    out.print(f"{len(lines)} alerts", markup=False)


@app.command("acknowledge")
def acknowledge(
    key: Annotated[str, typer.Argument(help="Key of the alert, from `radiolucent alert list`.")],
    settings: SettingsFile = None,
    data_folder: DataFolder = None,
    as_json: AsJson = False,
) -> None:
    """Take note of an alert: nothing more is sent, and it isn't escalated. Ends with 1 where another was first."""
    from radiolucent.pipeline.alerting import acknowledge as take_note

    with errors_to_exit(), opened_store(settings, data_folder) as store:
        one, noted = take_note(store, key, actor=getpass.getuser(), role="operator", at=datetime.now(UTC))
    if as_json:
        print_json({"acknowledged": noted, "alert": asdict(one)})
    elif noted:
        out.print(f"acknowledged: {one.subject}", markup=False)
    else:
        out.print(f"{one.state} already {one.acknowledged_by} {one.reason}".rstrip(), markup=False)
    if not noted:
        raise typer.Exit(1)


@app.command("resend")
def resend(
    key: Annotated[str, typer.Argument(help="Key of the alert, from `radiolucent alert list`.")],
    settings: SettingsFile = None,
    data_folder: DataFolder = None,
) -> None:
    """Send the messages of an alert that were given up once more. A running gateway does the rest."""
    from radiolucent.audit.events import QueuedAgain
    from radiolucent.store.alerts import Alerts, Notices
    from radiolucent.store.audit import AuditTrail

    with errors_to_exit(), opened_store(settings, data_folder) as store, store.begin() as work:
        at, uid = datetime.now(UTC), Alerts(work).get(key).study_instance_uid
        number = Notices(work).requeue(key, at=at)
        if number:
            told = QueuedAgain(
                at=at, actor=getpass.getuser(), study_instance_uid=uid, what=f"alert {key}", number=number
            )
            AuditTrail(work).append(told)
    out.print(f"{number} messages wait to be sent again")


def _told(one: AlertRecord, notices: tuple[NoticeRecord, ...]) -> dict[str, Any]:
    return {**asdict(one), "messages": [asdict(sent) for sent in notices]}
