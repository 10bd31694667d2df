"""``radiolucent explain-rule`` and ``radiolucent thresholds``: why a finding was graded so, and where it starts."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radiolucent.cli.console import errors_to_exit, out, print_json, progress_bar
from radiolucent.errors import SetupError, UnreadableFile

if TYPE_CHECKING:
    from radiolucent.findings.operating_points import OperatingPoints
    from radiolucent.findings.reading import Reading

app = typer.Typer(help="Show, set and try out a site's operating points.", no_args_is_help=True)
Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
SiteFile = Annotated[Path, typer.Option("--file", help="The site's thresholds, TOML; made by 'set'.")]


def explain_rule(
    folder: Annotated[Path, typer.Argument(help="A folder that 'radiolucent read' wrote.")],
    finding: Annotated[str, typer.Argument(help="The finding's name, e.g. glioma.")],
    as_json: Json = False,
) -> None:
    """Print the path of one finding through threshold, change, urgency and confidence, with the sources."""
    from radiolucent.findings.rule_path import explain_rule as path_of
    from radiolucent.findings.rule_path import rule_path

    with errors_to_exit():
        readings = stored_readings(folder)
        lines = [line for reading in readings for line in path_of(reading, finding)]
        values = [entry for reading in readings for entry in rule_path(reading, finding)]
    if as_json:
        print_json(values)
    for line in lines if not as_json else []:
        out.print(line, markup=False)


@app.command("show")
def show(file: SiteFile = Path("thresholds.toml"), as_json: Json = False) -> None:
    """Show each engine's own operating points, and the site's where it has set some."""
    from radiolucent.engines.registry import installed_bundles, newest
    from radiolucent.pipeline.read_study import engine_ref

    with errors_to_exit():
        site = _site_points(file)
        rows = [
            {
                "engine": bundle.label,
                "finding": name,
                "engine_threshold": bundle.operating_point(name),
                "site_threshold": site.thresholds(engine_ref(bundle)).get(name) if site else None,
            }
            for bundle in newest(installed_bundles())
            for name in bundle.manifest.finding_names
        ]
    if as_json:
        print_json(rows)
    for row in rows if not as_json else []:
        own = f"{row['engine_threshold']:.3f}"
        used = "" if row["site_threshold"] is None else f"   site: {row['site_threshold']:.3f}"
        out.print(f"{row['engine']:<22} {row['finding']:<24} engine: {own}{used}", markup=False)


@app.command("set")
def set_threshold(
    engine: Annotated[str, typer.Argument(help="Engine name or name@version.")],
    finding: Annotated[str, typer.Argument(help="The finding's name.")],
    value: Annotated[float, typer.Argument(help="Calibrated probability from which it counts as present, 0 to 1.")],
    set_by: Annotated[str, typer.Option("--by", help="Who decides.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    purpose: Annotated[str, typer.Option(help="triage, second-reader, ...")] = "triage",
    site: Annotated[str, typer.Option(help="Name of the site, for a new file.")] = "site",
    file: SiteFile = Path("thresholds.toml"),
) -> None:
    """Set one operating point in the site's file, bound to the engine's version and weights."""
    from radiolucent.engines.registry import find_bundle, installed_bundles
    from radiolucent.findings.operating_points import OperatingPoints, as_toml, with_threshold
    from radiolucent.pipeline.read_study import engine_ref

    with errors_to_exit():
        bundle = find_bundle(engine, installed_bundles())
        if finding not in bundle.manifest.finding_names:
            raise SetupError(f"{bundle.label} has no {finding!r}; it has {', '.join(bundle.manifest.finding_names)}")
        if not 0 < value < 1:
            raise SetupError(f"a threshold lies between 0 and 1, not at {value}")
        points = with_threshold(
            _site_points(file) or OperatingPoints(site=site),
            engine_ref(bundle),
            finding,
            value,
            purpose=purpose,
            set_by=set_by,
            set_on=datetime.now(UTC).date(),
            reason=reason,
        )
        partial = file.with_name(f".{file.name}.partial")
        partial.write_text(as_toml(points), encoding="utf-8")
        partial.replace(file)
    out.print(f"{bundle.label} {finding}: {value:.3f} from now on where --thresholds {file} is given", markup=False)


@app.command("simulate")
def simulate(
    folders: Annotated[list[Path], typer.Argument(help="Folders that 'radiolucent read' wrote.")],
    file: SiteFile = Path("thresholds.toml"),
    as_json: Json = False,
) -> None:
    """Say what the site's operating points would have changed on stored readings; nothing is stored."""
    from radiolucent.findings.operating_points import load_operating_points
    from radiolucent.findings.operating_points import simulate as simulated

    with errors_to_exit():
        points = load_operating_points(file)
        readings: list[Reading] = []
        with progress_bar(quiet=as_json) as report:
            for index, folder in enumerate(folders):
                report(folder.name, index, len(folders))
                readings += stored_readings(folder)
        result = simulated(readings, points)
    if as_json:
        print_json(asdict(result))
        return
    for row in result.rows:
        out.print(
            f"{row.engine} {row.finding}: {row.positive_before} of {row.n} positive before, {row.positive_after} after "
            f"({row.became_positive} more, {row.became_negative} fewer) at {row.new_threshold:.3f}",
            markup=False,
        )
    out.print(f"{result.skipped} readings skipped: no thresholds are set for the engine that read them")


def stored_readings(folder: Path) -> list[Reading]:
    """The readings in a folder that `read` wrote."""
    from radiolucent.results.reading_json import readings_from_json, unpack_evidence

    try:
        document = json.loads((folder / "reading.json").read_text(encoding="utf-8"))
        maps = unpack_evidence((folder / "evidence.npz").read_bytes(), path=str(folder / "evidence.npz"))
    except FileNotFoundError as error:
        raise SetupError(f"{folder} holds no reading: make one with 'radiolucent read PATH -o {folder}'") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UnreadableFile(f"no JSON: {error}", path=str(folder / "reading.json")) from error
    return readings_from_json(document, maps, path=str(folder / "reading.json"))


def _site_points(file: Path) -> OperatingPoints | None:
    from radiolucent.findings.operating_points import load_operating_points

    return load_operating_points(file) if file.exists() else None
