"""``radiolucent work``: one more worker for a gateway that runs, here or on another machine."""

from __future__ import annotations

import os
import socket
from typing import Annotated

import typer

from radiolucent.cli.console import errors_to_exit, out
from radiolucent.cli.serve import SettingsFile


def work(
    settings: SettingsFile = None,
    name: Annotated[
        str | None, typer.Option("--name", help="Unlike every other worker's; by default host and process number.")
    ] = None,
) -> None:
    """Read studies and deliver results for a gateway, until told to stop.

    Its settings are the gateway's: the same PostgreSQL database and the same data folder, which another machine reaches
    over the network. When it dies, the gateway gives what it had in hand to the others. Ends with 2 where the settings
    don't fit.
    """
    from radiolucent.app.workers import run_worker
    from radiolucent.errors import SetupError
    from radiolucent.settings import load_settings

    with errors_to_exit():
        chosen = load_settings(settings)
        if not (chosen.data_folder / "archive").is_dir():
            raise SetupError(f"no gateway keeps images in {chosen.data_folder}: start it, or mount its folder")
        called = name or f"{socket.gethostname()}/{os.getpid()}"
        out.print(f"worker {called} begins. Not for clinical use.", markup=False)
        run_worker(chosen, called)
