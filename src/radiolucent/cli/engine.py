"""``radiolucent engine``: which engine bundles there are, what they say of themselves, and whether they are intact."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from radiolucent.cli import compiling
from radiolucent.cli.console import PROBLEM, err, errors_to_exit, out, print_json
from radiolucent.errors import EngineError

if TYPE_CHECKING:
    from radiolucent.engines.registry import Bundle

app = typer.Typer(help="List, show, verify, add and make engine bundles.", no_args_is_help=True)
app.command("compile")(compiling.compile_bundle)
app.command("quantise")(compiling.quantise)
app.command("export")(compiling.export)
app.add_typer(compiling.importing, name="import")
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]


@app.command("list")
def list_engines(as_json: Json = False) -> None:
    """List the engines that can read, with version, digest and findings."""
    from radiolucent.engines.registry import installed_bundles

    with errors_to_exit():
        bundles = installed_bundles()
        if as_json:
            print_json([_summary(bundle) for bundle in bundles])
            return
        if not bundles:
            out.print("no engine is installed; add one with 'radiolucent engine add FOLDER'")
        for bundle in bundles:
            manifest = bundle.manifest
            out.print(f"{manifest.label:<22} {bundle.digest[:12]}  {manifest.title}", markup=False)
            for finding in manifest.findings:
                basis = "" if finding.basis == "real" else "  (synthetic images only: off by default)"
                out.print(f"    {finding.name}{basis}", markup=False)


@app.command("show")
def show(name: Annotated[str, typer.Argument(help="Engine name or bundle folder.")], as_json: Json = False) -> None:
    """Show an engine's manifest, operating points and model card."""
    with errors_to_exit():
        bundle = compiling.bundle_of(name)
        if as_json:
            print_json({**_summary(bundle), "manifest": bundle.manifest.model_dump(mode="json")})
            return
        out.print(f"{bundle.manifest.label}  sha256 {bundle.digest}", markup=False)
        out.print((bundle.path / "card.md").read_text(encoding="utf-8"), markup=False)


@app.command("verify")
def verify(
    names: Annotated[list[str] | None, typer.Argument(help="Engine names or folders; all that are installed.")] = None,
    as_json: Json = False,
) -> None:
    """Check every file's SHA-256, run the graph once, and check that the maps add up to the scores."""
    from radiolucent.engines.registry import installed_bundles
    from radiolucent.engines.runtime import verify as verify_bundle

    with errors_to_exit():
        chosen = names or [str(bundle.path) for bundle in installed_bundles()]
        rows: list[dict[str, Any]] = []
        for name in chosen:
            try:
                report = verify_bundle(compiling.bundle_of(name))
                rows.append({"engine": report.engine, "ok": True, "largest_difference": report.largest_difference})
            except EngineError as error:
                rows.append({"engine": name, "ok": False, "reason": str(error)})
        if as_json:
            print_json(rows)
        for row in rows if not as_json else []:
            if row["ok"]:
                out.print(f"ok      {row['engine']}  maps add up within {row['largest_difference']:.1e} logits")
            else:
                err.print(f"FAILED  {row['reason']}", style="red", markup=False)
        if not all(row["ok"] for row in rows):
            raise typer.Exit(PROBLEM)


@app.command("add")
def add(folder: Annotated[Path, typer.Argument(help="The bundle's folder.")]) -> None:
    """Copy a bundle to the user's engine folder, if its digests and its graph are right."""
    from radiolucent.engines.registry import add_bundle

    with errors_to_exit():
        bundle = add_bundle(folder)
        out.print(f"added {bundle.manifest.label} to {bundle.path}", markup=False)


def _summary(bundle: Bundle) -> dict[str, Any]:
    manifest = bundle.manifest
    return {
        "name": manifest.name,
        "version": manifest.version,
        "digest": bundle.digest,
        "title": manifest.title,
        "path": str(bundle.path),
        "findings": [
            {
                "name": finding.name,
                "basis": finding.basis,
                "operating_point": bundle.operating_point(finding.name),
            }
            for finding in manifest.findings
        ],
    }
