"""``radiolucent explain``: one finding of one study by any method: map, numbers and picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from radiolucent.cli.console import err, errors_to_exit, out, print_json, progress_bar

if TYPE_CHECKING:
    from radiolucent.explain.explanation import Explanation
    from radiolucent.imaging.study import Study


def explain(
    study: Annotated[Path, typer.Argument(help="A DICOM file, a folder or a zip that holds one study.")],
    finding: Annotated[str, typer.Option("--finding", "-f", help="Name of the finding, e.g. glioma.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder to make; it must not exist yet.")],
    method: Annotated[
        list[str] | None, typer.Option("--method", "-m", help="Can be repeated; methods are then compared.")
    ] = None,
    engine: Annotated[str, typer.Option(help="Engine name or bundle folder; the first that has the finding.")] = "",
    frame: Annotated[int, typer.Option(min=0, help="Frame from 1; 0: where the score is largest.")] = 0,
    seed: Annotated[int, typer.Option(help="Of everything random.")] = 0,
    passes: Annotated[int, typer.Option(min=0, help="Forward passes; 0: the method's own number.")] = 0,
    limit: Annotated[float, typer.Option(min=0, help="Seconds a method may take; 0: no limit.")] = 0.0,
    threads: Annotated[int, typer.Option(min=0, help="Threads of one engine run; 0: all cores.")] = 0,
    cache: Annotated[Path | None, typer.Option(help="Folder that keeps maps for the next time.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")] = False,
) -> None:
    """Explain one finding by one or more methods; write explanation.json, maps.npz and a picture of each.

    A map shows what a score was made from; it is no outline of disease. Colours are on each method's own fixed scale.
    Not for clinical use.
    """
    from radiolucent.engines.runtime import load_engine
    from radiolucent.errors import OutputExists, SetupError
    from radiolucent.explain.agreement import agreement_of
    from radiolucent.explain.explanation import find_method
    from radiolucent.explain.methods import Budget
    from radiolucent.imaging.loading import load
    from radiolucent.pipeline.explain import explain as explain_one
    from radiolucent.pipeline.explain import stack_for
    from radiolucent.pipeline.read_path import choose_bundles

    methods = list(dict.fromkeys(method or ["grad-cam"]))
    with errors_to_exit():
        for name in methods:
            find_method(name)
        if output.exists():
            raise OutputExists(f"{output} exists: name another folder")
        bundles = [one for one in choose_bundles([engine] if engine else []) if finding in one.manifest.finding_names]
        if not bundles:
            raise SetupError(f"no installed engine has a finding {finding!r}: see 'radiolucent engine list'")
        loaded = load(study)
        if len(loaded.studies) != 1:
            raise SetupError(f"{study} holds {len(loaded.studies)} studies: name one of them")
        runtime = load_engine(bundles[0], threads=threads or None)
        stack = stack_for(runtime, loaded.studies[0])
        explanations: list[Explanation] = []
        with progress_bar(quiet=as_json) as report:
            for name in methods:
                budget = Budget(passes=passes or None, limit_s=limit or None, progress=report)
                at = explanations[0].frame if explanations else frame - 1 if frame else None
                explanations.append(
                    explain_one(runtime, stack, finding, name, seed=seed, frame=at, budget=budget, cache=cache)
                )
        agreement = [vars(pair) for pair in agreement_of(explanations)]
        for pair in agreement:
            pair["rank_correlation"] = (
                None if pair["rank_correlation"] != pair["rank_correlation"] else pair["rank_correlation"]
            )
        document: dict[str, object] = {"explanations": [one.to_json() for one in explanations], "agreement": agreement}
        _write(output, explanations, loaded.studies[0], document)
    if as_json:
        print_json(document)
        return
    for one in explanations:
        kept = ", from the cache" if one.from_cache else ""
        out.print(f"{one.method.title}: {one.seconds:.2f} s, {one.passes} passes{kept}", markup=False)
        out.print(f"  a cell: {one.method.what} [{one.method.unit}]", markup=False)
    for pair in agreement:
        rank = "flat" if pair["rank_correlation"] is None else f"{pair['rank_correlation']:.2f}"
        out.print(f"{pair['first']} and {pair['second']}: rank {rank}, overlap {pair['overlap']:.2f}", markup=False)
    err.print(f"written to {output}", markup=False)
    out.print("Not for clinical use.", style="bold")


def _write(folder: Path, explanations: list[Explanation], study: Study, document: dict[str, object]) -> None:
    """Everything into a folder that appears whole or not at all."""
    import shutil
    import tempfile

    import numpy as np

    from radiolucent.pipeline.explain_pictures import picture_of

    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
        (partial / "explanation.json").write_text(text + "\n", encoding="utf-8")
        np.savez_compressed(
            partial / "maps.npz", allow_pickle=False, **{one.method.key: one.values for one in explanations}
        )
        for one in explanations:
            (partial / f"{one.method.key}.png").write_bytes(picture_of(one, study))
        partial.chmod(0o755)
        partial.rename(folder)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
