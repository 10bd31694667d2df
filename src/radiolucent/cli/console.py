"""What every command shares: where text goes, how errors end a command, and progress with time left."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from radiolucent.errors import RadiolucentError, SetupError

OK, PROBLEM, WRONG_USE = 0, 1, 2

_CONTROLS = {code: "?" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"}


class _Harmless(Console):
    """A console on which what a sender named (a file, a series) can't steer the terminal."""

    def print(self, *objects: Any, **options: Any) -> None:
        plain = [item.translate(_CONTROLS) if isinstance(item, str) else item for item in objects]
        super().print(*plain, **options)


out = _Harmless(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)
err = _Harmless(stderr=True, highlight=False, soft_wrap=True)


def exit_code(error: RadiolucentError) -> int:
    """2 where the caller or the installation is at fault, 1 where the input, an engine or a peer is.

    >>> exit_code(SetupError("x")), exit_code(RadiolucentError("x"))
    (2, 1)
    """
    return WRONG_USE if isinstance(error, SetupError) else PROBLEM


@contextmanager
def errors_to_exit() -> Iterator[None]:
    """Turn an error, ours or the system's (a full disk), into one line and an exit code; a broken pipe ends quietly."""
    try:
        yield
    except RadiolucentError as error:
        err.print(f"error: {error}", style="red", markup=False)
        raise typer.Exit(exit_code(error)) from error
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(OK) from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        err.print(f"error: {place}{error.strerror or error}", style="red", markup=False)
        raise typer.Exit(WRONG_USE) from error
    except KeyboardInterrupt:
        err.print("stopped: nothing was written")
        raise typer.Exit(130) from None


def print_json(value: Any) -> None:
    """One JSON document on stdout, nothing else."""
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False, default=str) + "\n")


@contextmanager
def progress_bar(*, quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr with time left; yields ``report(what, done, total)``. Silent where stderr is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=err, transient=True, disable=quiet or not err.is_terminal)
    with bar:
        task = bar.add_task("", total=None)

        def report(what: str, done: int, total: int) -> None:
            bar.update(task, description=what[:40], completed=done, total=total or None)

        yield report
