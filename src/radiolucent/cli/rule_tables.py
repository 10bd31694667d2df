"""``radiolucent rules``: a site's own tables and templates tried, and the critical findings shown on phantoms."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from radiolucent.cli.console import errors_to_exit, out, print_json, progress_bar

app = typer.Typer(help="Check a site's rule tables and templates; show the critical findings.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command("check")
def check(
    folder: Annotated[Path, typer.Argument(help="Folder with urgency.toml, confidence.toml or change.toml.")],
    as_json: Json = False,
) -> None:
    """Check a site's own rule tables and say what they change against the packaged ones.

    Ends with 0 where the tables can be used, 2 where one is incomplete or contradicts itself.
    """
    from radiolucent.findings.judgement import site_tables, table_diff

    with errors_to_exit():
        tables = site_tables(folder)
        lines = table_diff(tables)
    versions = [table.version for table in (tables.urgency, tables.confidence, tables.change)]
    if as_json:
        print_json({"versions": versions, "changes": list(lines)})
        return
    out.print(f"can be used: {', '.join(versions)}", markup=False)
    for line in lines:
        out.print(line, markup=False)
    if not lines:
        out.print("the same as the packaged tables")


@app.command("templates")
def templates(
    folder: Annotated[Path, typer.Argument(help="Folder of the site's own report templates.")],
    start: Annotated[bool, typer.Option("--start", help="Write the packaged templates there first.")] = False,
    as_json: Json = False,
) -> None:
    """Try a site's own report templates on example readings, and print what they say.

    Ends with 0 where they can be used with 'read --templates' and the setting messages.templates, 2 where one can't.
    """
    from radiolucent.findings.site_templates import start as begin
    from radiolucent.findings.site_templates import tried

    with errors_to_exit():
        if start:
            begin(folder)
        told = tried(folder)
    if as_json:
        print_json({language: list(sections) for language, sections in told.items()})
        return
    for language, sections in told.items():
        out.print(f"[{language}]", style="bold", markup=False)
        for section in sections:
            out.print(section, markup=False)


@app.command("critical")
def critical(
    finding: Annotated[list[str] | None, typer.Option(help="Only this finding; repeatable. Default: all.")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Phantoms of each finding, seeds 1 to this.")] = 5,
    threads: Annotated[int, typer.Option(min=0, help="Threads of one engine run; 0: all cores.")] = 0,
    as_json: Json = False,
) -> None:
    """Read phantoms of each critical finding; say how many come out at level 1 with their heatmap first.

    Findings known from synthetic images alone are switched on for it. The figures say nothing about patients.
    """
    from radiolucent.engines.runtime import load_engine
    from radiolucent.errors import SetupError
    from radiolucent.pipeline.critical import CRITICAL, ENGINES, as_table, show_critical
    from radiolucent.pipeline.read_path import choose_bundles

    with errors_to_exit():
        names = [name for _, name in CRITICAL]
        if unknown := [name for name in finding or () if name not in names]:
            raise SetupError(f"{unknown[0]!r} is no critical finding of a phantom; known: {', '.join(names)}")
        bundles = choose_bundles(sorted(set(ENGINES.values())))
        engines = [load_engine(bundle, threads=threads) for bundle in bundles]
        with progress_bar(quiet=as_json) as report:
            rows = show_critical(engines, seeds=range(1, seeds + 1), findings=finding or (), progress=report)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    for line in as_table(rows):
        out.print(line, markup=False)
    out.print("Synthetic images: nothing here tells how often a finding is found in patients.", style="bold")
