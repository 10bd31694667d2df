"""The model card: what the engine is for, what it came from, and every figure as `evaluate` gave it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from radiolucent.engines.bundle import Bundle
from radiolucent.evaluate.table import markdown, text
from radiolucent.training.recipe import EngineRecipe, Scope


def write_card(
    bundle: Bundle,
    recipe: EngineRecipe,
    scope: Scope,
    *,
    validation: dict[str, Any],
    others: Sequence[dict[str, Any]] = (),
    volumes: dict[str, Any] | None = None,
    ablation: dict[str, dict[str, Any]] | None = None,
    folds: list[dict[str, float]] | None = None,
    routing: dict[str, Any] | None = None,
) -> str:
    """Text of ``card.md``.

    Parameters
    ----------
    validation : from `evaluate.report.evaluate` on the layout's own ``val`` split.
    others : the same on further folders.
    volumes : from `evaluate.volumes.evaluate_volumes`, of series that were never trained on.
    ablation : ``{"with": …, "without": …}``, two fits of equal length that differ in the supervision of the evidence.
    folds : quick figures of each fold of a cross-validation.
    routing : from `training.routing.measure_routing`.
    """
    manifest = bundle.manifest
    training = manifest.training
    parts = [
        f"# {manifest.label}: {manifest.title}",
        "**Not for clinical use.** A research engine; its result is no diagnosis.",
        "## Intended use",
        scope.intended,
        "## Limits",
        "\n".join(f"- {sentence}" for sentence in manifest.scope.limits),
        "## Data and terms",
        "\n".join(f"- {line}" for line in scope.data)
        + f"\n\n{scope.terms}. Licence of the weights: {manifest.licence}.",
        "## Splits",
        scope.splits,
        f"## Results on the validation split ({validation['n']} images in {validation['groups']} groups)",
        f"Of `{validation['data']}`." if others else "",
        "Intervals: 95 %, bootstrap by group. Maps are compared with the outlines at the image's resolution; an empty "
        "map counts as infinitely far away. The two guesses never look at the image.",
        markdown(validation),
    ]
    for other in others:
        parts += [
            f"### The same on `{other['data']}` ({other['n']} images in {other['groups']} groups)",
            markdown(other),
        ]
    if "confusion" in validation:
        parts += ["### Which is taken for which", _confusion(validation["confusion"])]
    if routing:
        parts += ["### Which site it takes a film for", _routing(routing)]
    if volumes:
        parts += ["## Series that were never trained on", _volumes(volumes)]
    if ablation:
        parts += ["## What supervising the evidence gives", _ablation(ablation)]
    if folds:
        parts += ["## Cross-validation", _folds(folds)]
    parts += [
        "## Where it fails",
        _failures(validation),
        "## Shortcuts",
        "\n".join(f"- {sentence}" for sentence in scope.shortcuts),
        "## How it was made",
        f"- `{training.command}`" if training else "",
        f"- {training.parameters} weights, {training.epochs} epochs, seed {training.seed}" if training else "",
        _ensemble(bundle),
        f"- Loss: {recipe.loss.describe()}",
        f"- Calibration: {_calibrated_on(bundle)}",
        f"- Operating points: {bundle.operating_points.rule}" if bundle.operating_points else "",
        f"- Speed: {validation['milliseconds_per_image']:g} ms an image for logits and evidence (median, one CPU "
        "thread, ONNX Runtime, without decoding and preparing)",
        f"- The figures: `radiolucent evaluate {recipe.engine} --data DIR --split val --json`",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _ensemble(bundle: Bundle) -> str:
    twin = bundle.manifest.twin
    branches = twin.arguments.get("branches") if twin else None
    if not isinstance(branches, list):
        return ""
    backbones = [str(branch) for branch in branches]
    kinds = " and ".join(f"{backbones.count(kind)} × {kind}" for kind in dict.fromkeys(backbones))
    return f"- An ensemble of {len(backbones)} fits ({kinds}), joined to one network: each map is the mean of theirs"


def _calibrated_on(bundle: Bundle) -> str:
    entries = list(bundle.calibration.findings.values()) if bundle.calibration else []
    return entries[0].source if entries else "none; scores are no probabilities"


def _confusion(table: dict[str, dict[str, int]]) -> str:
    names = list(table)
    head = f"| is ↓ taken for → | {' | '.join(names)} |"
    rows = [f"| {name} | {' | '.join(str(table[name][other]) for other in names)} |" for name in names]
    return "\n".join([head, "|---" * (len(names) + 1) + "|", *rows])


def _routing(measured: dict[str, Any]) -> str:
    rows = [
        f"| {name}{kind} | {row['n']:.0f} | {row['auroc']:.3f} | {row['found'] * row['n']:.0f} | {row['wrongly']:.0f} |"
        for kind, part in (("", "sites"), (", synthetic", "synthetic"))
        for name, row in measured[part].items()
        if row["n"]
    ]
    count = {name: f"{value:.0f}" for name, value in measured["all"].items()}
    return "\n".join(
        [
            "A router, fitted last to whole films, real and synthetic, tells the site; the maps don't rest on it (they "
            "mix one head per site by a guess of their own, learned along with them). Its likeliest site is one that "
            f"the film shows on {count['right']} of {count['films']} validation films. {count['refused']} of them are "
            f"taken for a site that isn't read, {count['doubted']} doubted although the header names a site that "
            f"they show; of headers that name a wrong site {100 * measured['all']['noticed']:.0f} % would be noticed. "
            "The synthetic films here are others than those that it was fitted to. What it takes real films of a site "
            "for that only synthetic ones show isn't among these figures.",
            "",
            "| site | films | AUROC | taken for it | other films taken for it |",
            "|---|---|---|---|---|",
            *rows,
        ]
    )


def _volumes(measured: dict[str, Any]) -> str:
    rows = [
        ("slices without an outline that are called positive", text("empty", measured["false_alarm_rate"])),
        ("slices with an outline that are called positive", text("empty", measured["detection_rate"])),
        ("peak inside the outline, outlined slices", text("hit_rate", measured["slices"]["hit_rate"])),
        ("Dice, outlined slices", text("dice", measured["slices"]["dice"])),
        ("centroid distance, outlined slices", text("centroid_mm_median", measured["slices"]["centroid_mm_median"])),
        ("peak inside the outline, peak slice of each series", text("hit_rate", measured["peak_slice"]["hit_rate"])),
        (
            "centroid distance, peak slice of each series",
            text("centroid_mm_median", measured["peak_slice"]["centroid_mm_median"]),
        ),
    ]
    series = [
        f"| {s['name']} | {s['strongest']} | {max(s['largest_probabilities'].values()):.3f} | "
        f"{'yes' if s['peak_slice_outlined'] else 'no'} | {s['false_alarms']} of {s['slices'] - s['outlined_slices']} |"
        for s in measured["series"]
    ]
    return "\n".join(
        [
            f"`{measured['data']}`: {measured['n']} series of {measured['groups']} patients, treated glioblastoma, "
            "axial slices from another scanner. A handful: the intervals are wide.",
            "",
            "| figure | value (95 % interval, by patient) |",
            "|---|---|",
            *(f"| {name} | {figure} |" for name, figure in rows),
            "",
            "| series | strongest finding | probability | peak slice outlined | false alarms |",
            "|---|---|---|---|---|",
            *series,
        ]
    )


def _ablation(measured: dict[str, dict[str, Any]]) -> str:
    rows = []
    for name, figures in measured.items():
        place = figures["localisation"]["all"]
        areas = [finding["auroc"]["value"] for finding in figures["findings"].values() if finding.get("auroc")]
        known = [area for area in areas if area is not None]
        cells = [
            str(figures["epochs"]),
            text("accuracy", figures["classification"]["accuracy"]) if figures["classification"] else "none",
            f"{sum(known) / len(known):.3f}".removeprefix("0") if known else "not measured",
            *(text(key, place[key]) for key in ("hit_rate", "dice", "centroid_mm_median")),
        ]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(
        [
            "Two fits from the same seed, of equal length, that differ in the two evidence terms of the loss alone.",
            "",
            "| evidence supervised | epochs | accuracy | mean AUROC | peak inside | Dice | centroid |",
            "|---|---|---|---|---|---|---|",
            *rows,
        ]
    )


def _folds(measured: list[dict[str, float]]) -> str:
    keys = [key for key in measured[0] if key != "epoch"]
    rows = [f"| {i + 1} | {' | '.join(f'{fold[key]:.3f}' for key in keys)} |" for i, fold in enumerate(measured)]
    return "\n".join(
        [
            "Quick figures at grid resolution, one fit per fold, folds by group.",
            "",
            f"| fold | {' | '.join(keys)} |",
            "|---" * (len(keys) + 1) + "|",
            *rows,
        ]
    )


def _away(spot: dict[str, Any]) -> str:
    if spot["distance_mm"] is not None:
        return f"{spot['distance_mm']:.0f} mm away"
    return "no focus" if spot["distance_px"] is None else f"{spot['distance_px']:.0f} px away"


def _failures(validation: dict[str, Any]) -> str:
    missed: list[str] = []
    for case in validation["cases"]:
        for name, spot in case["placements"].items():
            if not spot["hit"]:
                missed.append(f"{case['file']} ({name}, {_away(spot)})")
    if not missed:
        return "On the validation split the peak lay inside the outline every time."
    shown = ", ".join(missed[:12]) + (f" and {len(missed) - 12} more" if len(missed) > 12 else "")
    return f"The peak lies outside the outline on {len(missed)} validation images: {shown}."
