"""``radiolucent``: the commands, one file per noun. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

from typing import Annotated

import typer

from radiolucent import __version__
from radiolucent.cli import (
    account,
    alert,
    audit,
    demo,
    engine,
    explain,
    phantom,
    read,
    rule_tables,
    rules,
    serve,
    study,
    training,
    work,
)

app = typer.Typer(
    name="radiolucent",
    help="Explainable radiology AI: a study in, findings out, each with its own heatmap. Not for clinical use.",
    no_args_is_help=True,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "auto_envvar_prefix": "RADIOLUCENT"},
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,  # they hold headers, and so patients
)
app.command("read")(read.read)
app.command("explain")(explain.explain)
app.command("demo")(demo.demo)
app.command("serve")(serve.serve)
app.command("work")(work.work)
app.command("train")(training.train)
app.command("evaluate")(training.evaluate)
app.command("explain-rule")(rules.explain_rule)
app.add_typer(account.app, name="account")
app.add_typer(alert.app, name="alert")
app.add_typer(audit.app, name="audit")
app.add_typer(engine.app, name="engine")
app.add_typer(phantom.app, name="phantom")
app.add_typer(study.app, name="study")
app.add_typer(rule_tables.app, name="rules")
app.add_typer(rules.app, name="thresholds")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"radiolucent {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """Options of every command. Each flag can be set by ``RADIOLUCENT_<COMMAND>_<FLAG>`` in the environment."""


def main() -> None:
    """Run the command line; the process ends with 0 (ok), 1 (found a problem) or 2 (wrong use)."""
    app()
