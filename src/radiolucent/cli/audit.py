"""``radiolucent audit``: is the trail whole, where does it stand, and what does it tell."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from radiolucent.cli.console import PROBLEM, errors_to_exit, out, print_json
from radiolucent.cli.serve import DataFolder, SettingsFile
from radiolucent.cli.study import AsJson, opened_store

app = typer.Typer(help="The audit trail: verify it, anchor it.", no_args_is_help=True)


@app.command("verify")
def verify(
    settings: SettingsFile = None,
    data_folder: DataFolder = None,
    anchors: Annotated[
        list[Path] | None, typer.Option(help="Folder of anchors kept elsewhere, beside the gateway's own; repeatable.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Check the whole chain, against its end and every anchor. Ends with 1 where anything was touched.

    A chain that was made anew, or whose newest entries were cut off, shows only by an anchor: keep copies of the
    gateway's folder ``anchors`` on another machine, and name them here.
    """
    from radiolucent.store.audit import ANCHORS, AuditTrail, read_anchors

    with errors_to_exit(), opened_store(settings, data_folder) as store, store.read() as work:
        known = [one for folder in (store.folder / ANCHORS, *(anchors or ())) for one in read_anchors(folder)]
        verdict = AuditTrail(work).verify(known)
        if as_json:
            print_json(
                {"holds": verdict.holds, "entries": verdict.entries, "fault": verdict.fault, "anchors": len(known)}
            )
        elif verdict.holds:
            out.print(f"the chain holds: {verdict.entries} entries, {len(known)} anchors", markup=False)
        else:
            out.print(f"THE CHAIN IS BROKEN: {verdict.fault}; {verdict.entries} entries before it hold", markup=False)
        if not verdict.holds:
            raise typer.Exit(PROBLEM)


@app.command("anchor")
def anchor(settings: SettingsFile = None, data_folder: DataFolder = None) -> None:
    """Write where the chain stands to a file now. The gateway does so by itself every night."""
    from radiolucent.store.audit import anchor_now

    with errors_to_exit(), opened_store(settings, data_folder) as store:
        written = anchor_now(store, at=datetime.now(UTC))
    out.print(f"{written.name}: keep a copy on another machine", markup=False)
