"""``radiolucent train`` and ``radiolucent evaluate``: make an engine from labelled images, and measure one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radiolucent.cli.console import errors_to_exit, out, print_json, progress_bar
from radiolucent.errors import MissingExtra, SetupError

if TYPE_CHECKING:
    from collections.abc import Callable

    from radiolucent.training.engine import Plan

Data = Annotated[list[Path], typer.Option("--data", help="Folder in one of the known layouts; can be repeated.")]


def train(
    engine: Annotated[str, typer.Argument(help="Engine name, e.g. brain-mri.")],
    data: Data,
    output: Annotated[Path | None, typer.Option("--out", "-o", help="The bundle's folder; must not exist yet.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Default: the engine's recipe.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same weights.")] = 0,
    phantoms: Annotated[int, typer.Option(min=0, help="Synthetic studies to mix in.")] = 0,
    backbone: Annotated[
        str, typer.Option(help="residual or efficientnet-lite0 (begins with photographs). Default: the recipe's.")
    ] = "",
    members: Annotated[int, typer.Option(min=1, help="Above 1: so many fits, joined to one network.")] = 1,
    folds: Annotated[int, typer.Option(min=1, help="Above 1: a cross-validation by group first.")] = 1,
    evidence_supervision: Annotated[
        bool, typer.Option("--evidence-supervision/--no-evidence-supervision", help="Teach the map with the outlines.")
    ] = True,
    pretrain: Annotated[int, typer.Option(min=0, help="Epochs of learning without labels before the fit.")] = 0,
    patience: Annotated[
        int | None, typer.Option(min=1, help="End after so many looks at validation without a better one.")
    ] = None,
    ablation: Annotated[
        bool, typer.Option("--ablation", help="Fit twice more, with and without the outlines, for the card.")
    ] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last checkpoint in the work folder.")
    ] = False,
    work: Annotated[Path | None, typer.Option(help="Checkpoints go here. Default: beside the bundle.")] = None,
    pack: Annotated[
        Path | None,
        typer.Option(help="File of images at training resolution: made where missing, else fitted on."),
    ] = None,
    weights: Annotated[
        list[Path] | None,
        typer.Option(help="Release this checkpoint instead of fitting; can be repeated: they are joined."),
    ] = None,
    volumes: Annotated[Path | None, typer.Option(help="Folder of whole series for the card; never trained on.")] = None,
) -> None:
    """Fit, calibrate, measure and release one engine. Without --out only the pack is made."""
    with errors_to_exit(), progress_bar() as report:
        if weights and (members > 1 or backbone):
            raise SetupError("--weights releases what was fitted: leave out --members and --backbone, or --weights")
        run = _trainer()
        if output is None and pack is None:
            raise SetupError("name the bundle's folder with --out, or a file with --pack to make the pack alone")
        if pack is not None and not (output and pack.exists()):
            out.print(_write_pack(engine, data, pack, report), markup=False)
        if output is None:
            return
        plan = _plan(
            epochs=epochs,
            seed=seed,
            phantoms=phantoms,
            backbone=backbone,
            members=members,
            folds=folds,
            evidence_supervision=evidence_supervision,
            resume=resume,
            pretrain=pretrain,
            patience=patience,
            weights=tuple(weights or ()),
            pack=pack,
            volumes=volumes,
        )
        if ablation:
            plan = _with_ablation(engine, data, work or output.with_name(output.name + ".work"), plan, report)
        run(engine, data, output, plan=plan, work=work, report=report)
    out.print(f"released {output}; its figures are in {output / 'card.md'}", markup=False)


def evaluate(
    engine: Annotated[str, typer.Argument(help="Engine name or bundle folder.")],
    data: Annotated[Path, typer.Option("--data", help="Folder in one of the known layouts.")],
    labels: Annotated[str, typer.Option(help="Its table of labels.")] = "labels.csv",
    images: Annotated[Path | None, typer.Option(help="Folder of PNG, JPG or DICOM. Default: DATA/images.")] = None,
    split: Annotated[str, typer.Option(help="Which rows; 'all' for all of them.")] = "val",
    threads: Annotated[int, typer.Option(min=0, help="Threads of one run; 0: all cores.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Every figure and every case as JSON.")] = False,
) -> None:
    """Run an engine on labelled images: scores, places in mm, and 95 % intervals beside two simple baselines."""
    from radiolucent.evaluate.report import evaluate as measure
    from radiolucent.evaluate.table import plain
    from radiolucent.pipeline.read_path import choose_bundles

    with errors_to_exit():
        bundle = choose_bundles([engine])[0]
        with progress_bar(quiet=as_json) as report:
            measured = measure(
                bundle,
                data,
                labels=labels,
                images=images,
                split=None if split == "all" else split,
                threads=threads or None,
                report=lambda done, total: report("measuring", done, total),
            )
    if as_json:
        print_json(measured)
    else:
        out.print(plain(measured), markup=False)


def _trainer() -> Callable[..., Path]:
    try:
        from radiolucent.training.engine import train
    except ModuleNotFoundError as error:
        raise MissingExtra("training", extra="torch") from error
    return train


def _write_pack(engine: str, data: list[Path], file: Path, report: Callable[[str, int, int], None]) -> str:
    """Make the pack's file, and say what is in it."""
    from radiolucent.training.engine import make_pack
    from radiolucent.training.pack import save_pack

    made = make_pack(engine, data, report=report)
    step = save_pack(made, file, report=lambda done, total: report("compressing, MiB", done, total))
    rounded = f", images rounded to steps of {step} grey values so that they fit" if step else ""
    return f"{len(made)} images, {file.stat().st_size / 2**20:.1f} MiB in {file}{rounded}"


def _with_ablation(
    engine: str, data: list[Path], work: Path, plan: Plan, report: Callable[[str, int, int], None]
) -> Plan:
    from dataclasses import replace

    from radiolucent.training.ablation import compare_supervision

    bare = replace(plan, weights=(), members=1, folds=1)
    return replace(plan, ablation=compare_supervision(engine, data, work / "ablation", plan=bare, report=report))


def _plan(**choices: object) -> Plan:
    from radiolucent.training.engine import Plan

    return Plan(**choices)  # type: ignore[arg-type]
