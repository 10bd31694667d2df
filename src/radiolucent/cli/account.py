"""``radiolucent account``: the first account of an installation, and a new password for one that is locked out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from radiolucent.cli.console import errors_to_exit, out

app = typer.Typer(help="Accounts of the reading room; all but the first are made on its pages.", no_args_is_help=True)

DataFolder = Annotated[Path, typer.Option("--data-folder", "-d", help="The gateway's data folder.")]
Password = Annotated[
    str,
    typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, help="12 characters or more; asked for."),
]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Account name.")],
    data_folder: DataFolder,
    password: Password,
    role: Annotated[str, typer.Option(help="viewer, resident, radiologist, lead, admin, auditor or validator.")],
    database: Annotated[str, typer.Option(help="Address of the database; empty: SQLite in the data folder.")] = "",
) -> None:
    """Make an account. Ends with 2 where the name is taken, the role unknown or the password too short."""
    from radiolucent.audit.events import AccountChanged
    from radiolucent.errors import SetupError
    from radiolucent.rollout.policy import ROLES
    from radiolucent.store.audit import AuditTrail
    from radiolucent.store.people import People
    from radiolucent.store.unit_of_work import open_store

    with errors_to_exit():
        if role not in ROLES:
            raise SetupError(f"there is no role {role!r}: it is one of {', '.join(ROLES)}")
        store, now = open_store(database, data_folder), datetime.now(UTC)
        with store.begin() as work:
            People(work).add(name, role=role, password=password, now=now)
            AuditTrail(work).append(AccountChanged(at=now, account=name, change=f"made with role {role}"))
        store.close()
        out.print(f"account {name} made, role {role}", markup=False)
