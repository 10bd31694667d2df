"""``radiolucent phantom``: synthetic studies with known truth."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from radiolucent.cli.console import errors_to_exit, out, print_json, progress_bar

app = typer.Typer(help="Make synthetic DICOM studies with known truth.", no_args_is_help=True)


@app.command("make")
def make(
    kind: Annotated[str, typer.Option(help="brain-mr, head-ct, chest-xr or bone-xr.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to write to.")],
    findings: Annotated[str, typer.Option(help="Findings, separated by commas; none makes a clean study.")] = "",
    number: Annotated[int, typer.Option("--number", "-n", min=1, max=10000, help="How many patients.")] = 1,
    prior: Annotated[bool, typer.Option("--prior", help="Also make an earlier study of each patient.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same studies.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="List the files as JSON.")] = False,
) -> None:
    """Write DICOM files and truth.json (masks, centroids in mm)."""
    from radiolucent.phantom.studies import write_studies

    wanted = [name.strip() for name in findings.split(",") if name.strip()]
    with errors_to_exit(), progress_bar() as report:
        files = write_studies(
            kind, wanted, number, prior, seed, output, progress=lambda done, total: report(kind, done, total)
        )
    if as_json:
        print_json([str(file) for file in files])
    else:
        with_prior = ", each with a prior study" if prior else ""
        out.print(f"{number} studies{with_prior}, {len(files)} files in {output}", markup=False)
