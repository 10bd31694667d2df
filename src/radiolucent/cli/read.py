"""``radiolucent read``: a study in; findings, heatmaps, DICOM objects, a report and JSON out."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from radiolucent.cli.console import err, errors_to_exit, out, print_json, progress_bar

if TYPE_CHECKING:
    from radiolucent.findings.reading import Finding, Reading, SeriesReading
    from radiolucent.imaging.study import Problem


SHOWN = 3  # problems of one code on the terminal


def read(
    path: Annotated[Path, typer.Argument(help="A DICOM file, a folder or a zip.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make; it must not exist yet.")],
    prior: Annotated[Path | None, typer.Option(help="An earlier study of the same patient, to compare with.")] = None,
    engine: Annotated[
        list[str] | None, typer.Option(help="Engine name or bundle folder; can be repeated. Default: all installed.")
    ] = None,
    backend: Annotated[Literal["onnx", "torch"], typer.Option(help="torch needs the 'torch' extra.")] = "onnx",
    threads: Annotated[int, typer.Option(min=0, help="Threads of one engine run; 0: all cores.")] = 0,
    phantom_findings: Annotated[
        bool, typer.Option("--phantom-findings", help="Also report findings known from synthetic images only.")
    ] = False,
    thresholds: Annotated[Path | None, typer.Option(help="The site's operating points (TOML).")] = None,
    rules: Annotated[
        Path | None, typer.Option(help="Folder with the site's own urgency.toml, confidence.toml or change.toml.")
    ] = None,
    profile: Annotated[Path | None, typer.Option(help="What the site may use each finding for (TOML).")] = None,
    use_case: Annotated[
        str, typer.Option(help="Who the maps are for: triage, second-reader or diagnosis-support; empty: the default.")
    ] = "",
    gate: Annotated[Path | None, typer.Option(help="The site's own policies for showing maps (TOML).")] = None,
    method: Annotated[
        list[str] | None,
        typer.Option("--method", "-m", help="Also explain each located finding so, to see if they agree; repeatable."),
    ] = None,
    language: Annotated[Literal["en", "de"], typer.Option(help="Language of the draft report.")] = "en",
    templates: Annotated[
        Path | None, typer.Option(help="Folder of the site's own report templates; see 'radiolucent rules templates'.")
    ] = None,
    pdf: Annotated[bool, typer.Option("--pdf", help="Also print each insight sheet; needs the 'pdf' extra.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the output folder if it exists.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="reading.json on stdout, nothing else.")] = False,
) -> None:
    """Read a study and write report.html, insight/, reading.json, evidence.npz and dicom/ to a new folder.

    Ends with 0 where something was read or clearly refused, 1 where nothing could be read, 2 for wrong use.
    """
    from radiolucent.engines.runtime import load_engine
    from radiolucent.explain.explanation import find_method
    from radiolucent.explain.gate import default_gate, site_gate
    from radiolucent.findings.judgement import site_tables
    from radiolucent.findings.narrative import Voice
    from radiolucent.findings.operating_points import load_operating_points
    from radiolucent.findings.profile import default_profile, site_profile
    from radiolucent.findings.site_templates import tried
    from radiolucent.pipeline.output import prepare_folder, write_readings
    from radiolucent.pipeline.read_path import choose_bundles, read_path
    from radiolucent.pipeline.read_study import Options

    with errors_to_exit():
        prepare_folder(output, force=force, inputs=[path, *([prior] if prior else [])])
        if templates:
            tried(templates)
        voice = Voice(language=language, templates=templates)
        options = Options(
            phantom_findings=phantom_findings,
            operating_points=load_operating_points(thresholds) if thresholds else None,
            profile=site_profile(profile) if profile else default_profile(),
            tables=site_tables(rules) if rules else None,
            use_case=(policies := site_gate(gate) if gate else default_gate()).use_case(use_case)[0],
            gate=policies,
            methods=tuple(find_method(name).key for name in method or ()),
        )
        engines = [load_engine(bundle, backend=backend, threads=threads) for bundle in choose_bundles(engine or [])]
        with progress_bar(quiet=as_json) as report:
            result = read_path(
                path,
                engines,
                prior=prior,
                options=options,
                progress=report,
            )
            document = write_readings(
                result, output, made_at=datetime.now(UTC), force=force, pdf=pdf, voice=voice, progress=report
            )
    if as_json:
        print_json(document)
        return
    for reading in result.readings:
        _print_reading(reading)
    _print_problems(result.problems)
    out.print(f"report: {output / 'report.html'}", markup=False)
    out.print("Not for clinical use.", style="bold")


def _print_reading(reading: Reading) -> None:
    out.print(f"study {reading.study_instance_uid}", style="bold", markup=False)
    for series in reading.series:
        frames = f"{len(series.frames)} slices" if series.kind == "volume" else f"{len(series.frames)} image(s)"
        milliseconds = sum(series.milliseconds.values())
        out.print(f"  {series.description} ({frames}), {series.engine.label}, {milliseconds:.0f} ms", markup=False)
        for note in series.notes:
            out.print(f"    note: {note}", markup=False)
        for finding in sorted(series.findings, key=lambda finding: (not finding.positive, -finding.score)):
            out.print("    " + finding_line(finding, series), markup=False)
        if not series.positives:
            out.print("    no finding above threshold")
    for unread in reading.unread:
        out.print(f"  {unread.description}: not read", markup=False)
        for refusal in unread.refusals:
            out.print(f"    {refusal.engine or 'reason'}: {refusal.reason} [{refusal.code}]", markup=False)
    _print_problems(reading.problems)


def _print_problems(problems: Sequence[Problem]) -> None:
    """One line a problem; of many alike the first few, with a count. The report holds them all."""
    by_code: dict[str, list[Problem]] = {}
    for problem in problems:
        by_code.setdefault(problem.code, []).append(problem)
    for code, alike in by_code.items():
        for problem in alike[:SHOWN]:
            err.print(f"  not read: {problem.reason} [{code}]", markup=False)
        if len(alike) > SHOWN:
            err.print(f"  not read: {len(alike) - SHOWN} more [{code}], all listed in the report", markup=False)


def finding_line(finding: Finding, series: SeriesReading) -> str:
    """One line of text: name, probability, operating point, where, how large, heatmap."""
    from radiolucent.findings.taxonomy import finding_type

    label = finding_type(finding.name).label
    calibrated = finding.probability is not None
    number = f"{finding.probability:6.1%}" if calibrated else f"score {finding.score:.2f}"
    threshold = f"{finding.operating_point:.1%}" if calibrated else f"{finding.operating_point:.2f}"
    parts = [f"{label:<22} {number}  (threshold {threshold})"]
    if not finding.positive:
        return parts[0] + "  below threshold"
    where = finding.localisation
    if where is None or where.status in ("failed", "withheld"):
        parts.append(f"no heatmap: {where.reason if where else 'not located'}")
    elif where.status == "empty":
        parts.append("heatmap EMPTY: no focus above threshold")
    else:
        region = where.regions[0]
        parts.append(where.laterality)
        if series.kind == "volume":
            parts.append(f"slice {region.frame + 1}/{len(series.frames)}")
        if region.extent_mm:
            parts.append(f"{region.extent_mm[0]:.0f} × {region.extent_mm[1]:.0f} mm")
        if region.centroid_mm:
            parts.append("at ({:.0f}, {:.0f}, {:.0f}) mm".format(*region.centroid_mm))
        parts.append(f"heatmap yes, {where.focality}")
    if finding.urgency:
        parts.append(f"urgency {finding.urgency.level}")
    if finding.confidence:
        parts.append(f"confidence {finding.confidence.level}")
    if finding.change:
        parts.append(finding.change_note or finding.change)
    if finding.basis == "phantom":
        parts.append("known from synthetic images only")
    return "  ".join(parts)
