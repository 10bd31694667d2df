"""``radiolucent demo``: synthetic studies through the whole route, and how far each map lies from the truth."""

from __future__ import annotations

import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from radiolucent.cli.console import errors_to_exit, out, print_json, progress_bar

if TYPE_CHECKING:
    from radiolucent.engines.runtime import Engine
    from radiolucent.pipeline.demo import Row


def demo(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the studies and results.")] = Path("demo"),
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier demo.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The table as JSON.")] = False,
    serve: Annotated[
        bool, typer.Option("--serve/--no-serve", help="Open the reading room afterwards, where there is a terminal.")
    ] = True,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of the reading room; 0: a free one.")] = 8042,
) -> None:
    """Make synthetic studies with known truth, read them, and open the reading room on 127.0.0.1 until Ctrl-C.

    The results also lie in DIR/index.html, for which no server is needed.
    """
    from radiolucent.engines.runtime import load_engine
    from radiolucent.pipeline.demo import run_demo
    from radiolucent.pipeline.read_path import choose_bundles

    with errors_to_exit():
        engines = [load_engine(bundle) for bundle in choose_bundles([])]
        with progress_bar(quiet=as_json) as report:
            rows = run_demo(output, engines, made_at=datetime.now(UTC), force=force, progress=report)
    if as_json:
        print_json([_plain(row) for row in rows])
    else:
        out.print(_table(rows))
        out.print(f"overview: {output / 'index.html'}", markup=False)
        out.print("Chosen synthetic examples: no word on patients. Not for clinical use.", style="bold")
    wrong = [row.case.name for row in rows if not row.right]
    if wrong and not as_json:
        out.print(f"not read as they were made: {', '.join(wrong)} (see 'found')", style="yellow", markup=False)
    if serve and not as_json and sys.stdout.isatty():
        with errors_to_exit():
            _serve(output, engines, port)


def _serve(folder: Path, engines: list[Engine], port: int) -> None:
    from radiolucent.web.demo import ACCOUNTS, PASSWORD, demo_app, listen, serve

    try:
        sock = listen(port)
    except OSError:
        sock = listen()  # the port is taken: any free one does
    app = demo_app(folder, engines)
    names = ", ".join(name for name, _ in ACCOUNTS)
    out.print(f"reading room: http://127.0.0.1:{sock.getsockname()[1]}/  (Ctrl-C ends it)", style="bold", markup=False)
    out.print(f"accounts: {names}; password of each: {PASSWORD}", markup=False)
    with suppress(KeyboardInterrupt):  # Ctrl-C is how it ends, not a fault
        serve(app, sock)


def _table(rows: list[Row]) -> Table:
    table = Table(box=None, header_style="bold")
    for name in ("study", "made with", "found", "probability", "centroid off by", "peak inside", "read in"):
        table.add_column(name)
    for row in rows:
        table.add_row(
            row.case.name,
            ", ".join(row.case.findings) or "nothing",
            ", ".join(row.found) or "no finding above threshold",
            "" if row.probability is None else f"{row.probability:.1%}",
            "" if row.distance_mm is None else f"{row.distance_mm:.1f} mm",
            "" if row.inside is None else ("yes" if row.inside else "no"),
            f"{row.seconds:.2f} s",
        )
    return table


def _plain(row: Row) -> dict[str, object]:
    return {
        "study": row.case.name,
        "made_with": row.case.findings,
        "found": row.found,
        "probability": row.probability,
        "distance_mm": row.distance_mm,
        "inside": row.inside,
        "seconds": row.seconds,
        "folder": str(row.folder),
    }
