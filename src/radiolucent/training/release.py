"""From weights to a bundle: graph, manifest, calibration, operating points, priors, card, digests, all checked."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from radiolucent.engines.bundle import load_bundle, sign
from radiolucent.engines.network import EvidenceNet
from radiolucent.engines.runtime import verify
from radiolucent.errors import OutputExists
from radiolucent.evaluate.classification import balanced_threshold
from radiolucent.evaluate.layouts import Row, draw_outlines, read_pixels
from radiolucent.findings.priors import learn_prior
from radiolucent.imaging.body import body_box
from radiolucent.training.augment import mirror_half
from radiolucent.training.calibrate import EVEN, RULE, choose_point, fit_scaling, spread_of_scaling
from radiolucent.training.draw import cover_of
from radiolucent.training.export import export_graph, round_features
from radiolucent.training.measuring import predict
from radiolucent.training.pack import Pack, join_packs
from radiolucent.training.recipe import EngineRecipe, Scope

# positive and negative validation images below which a finding isn't calibrated
FEWEST = 5
SCARCE_RULE = (
    "; findings with fewer than 5 positive validation images, by their uncalibrated score: the threshold with the "
    "largest sum of sensitivity and specificity, means of those in each folder and in synthetic images, training "
    "images included, 0.50 at most"
)
# a network that sees nothing yet still needs a scale above 0
_SMALLEST_SCALE = 0.1


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where weights come from: the training table of the manifest."""

    command: str
    seed: int
    epochs: int


def release(
    network: EvidenceNet,
    recipe: EngineRecipe,
    scope: Scope,
    *,
    pack: Pack,
    rows: Sequence[Row],
    origin: Origin,
    out: Path,
    card: Callable[[Path], str],
    synthetic: Pack | None = None,
) -> Path:
    """Write a bundle to `out`, whole or not at all.

    Parameters
    ----------
    network : trained weights; the bundle holds those of its features in half precision, and all figures are of these.
    pack : its ``val`` rows calibrate, set thresholds and display scales.
    rows : training rows with outlines, from which the priors are learned.
    synthetic : studies that no fit drew, for operating points that validation can't give.
    card : called with the signed folder without its card, gives the text of ``card.md``: so that the card can quote
        what was measured on the very bundle.

    Raises
    ------
    OutputExists
        If `out` is there already.
    InvalidBundle
        If graph and twin differ by more than 1e-4, or the files contradict each other.
    IncompleteEvidence
        If the maps don't add up to the logits.
    """
    if out.exists():
        raise OutputExists(f"{out} exists already: choose another folder or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    network = round_features(copy.deepcopy(network).cpu().eval())
    validation = with_shown(pack.rows(pack.split == "val"), recipe)
    everything = with_shown(pack if synthetic is None else join_packs(pack, synthetic), recipe)
    recipe = recipe.reported
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".release-") as name:
        folder = Path(name) / out.name
        folder.mkdir()
        calibration, points = calibrated(network, recipe, validation, everything)
        label = f"{recipe.engine}@{scope.version}"
        rule = RULE + (SCARCE_RULE if len(calibration) < len(points) else "")
        _write_json(folder / "calibration.json", {"schema_version": 1, "findings": calibration})
        _write_json(
            folder / "operating_points.json",
            {"schema_version": 1, "engine": label, "rule": rule, "findings": points},
        )
        manifest = make_manifest(
            network, recipe, scope, origin, display_scales(network, recipe, validation, everything)
        )
        (folder / "manifest.toml").write_text(to_toml(manifest), encoding="utf-8")
        np.savez_compressed(folder / "priors.npz", **learn_priors(recipe, rows))  # type: ignore[arg-type]
        export_graph(network, recipe, folder / "graph.onnx")
        (folder / "card.md").write_text("The card is written last.\n", encoding="utf-8")
        sign(folder)
        verify(load_bundle(folder))
        (folder / "card.md").write_text(card(folder), encoding="utf-8")
        sign(folder)
        load_bundle(folder)
        shutil.move(folder, out)
    return out


def calibrated(
    network: EvidenceNet, recipe: EngineRecipe, validation: Pack, further: Pack | None = None
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """Tables of ``calibration.json`` and ``operating_points.json``, by finding.

    A finding with fewer than `FEWEST` positive or negative validation images isn't calibrated: it keeps its score, and
    its operating point is chosen on `further` images (see `SCARCE_RULE`).

    Negatives are the validation images without the finding and, where heads are symmetric, the same images with the
    half that holds the finding replaced by the mirror image of the other half: there is nothing to find in them.
    """
    cases = with_emptied(validation)
    logits, _ = predict(network, cases, recipe.size)
    scarce = _scarce_points(network, recipe, cases, further)
    emptied = len(cases) - len(validation)
    source = f"{len(validation)} validation images" + (
        f" and {emptied} of them with the finding mirrored away" * (emptied > 0)
    )
    calibration: dict[str, dict[str, Any]] = {}
    points: dict[str, dict[str, Any]] = {}
    for index, name in enumerate(recipe.findings):
        if name in scarce:
            points[name] = scarce[name]
            continue
        known = np.isfinite(cases.labels[:, index])
        truth = cases.labels[known, index] > 0.5
        scaling = fit_scaling(logits[known, index], truth)
        spread = spread_of_scaling(logits[known, index], truth, cases.group[known])
        point = choose_point(scaling(logits[known, index]), truth, cases.folders[known])
        calibration[name] = {
            "slope": round(scaling.slope, 6),
            "intercept": round(scaling.intercept, 6),
            "n": int(known.sum()),
            "source": source,
            **({"spread": spread.table} if spread else {}),
        }
        points[name] = {
            "probability": round(point.probability, 6),
            "sensitivity": round(point.sensitivity, 6),
            "specificity": round(point.specificity, 6),
            "n": point.n,
        }
    return calibration, points


def is_scarce(pack: Pack, index: int) -> bool:
    """True where a finding has too few images with or without it to be calibrated on."""
    column = pack.labels[:, index]
    return int((column > 0.5).sum()) < FEWEST or int((column < 0.5).sum()) < FEWEST


def _scarce_points(
    network: EvidenceNet, recipe: EngineRecipe, cases: Pack, further: Pack | None
) -> dict[str, dict[str, Any]]:
    """Operating points of findings that validation can't give one for."""
    wanted = [index for index in range(len(recipe.findings)) if is_scarce(cases, index)]
    if not wanted or further is None:
        return {}
    logits, _ = predict(network, further, recipe.size)
    points: dict[str, dict[str, Any]] = {}
    for index in wanted:
        known = np.isfinite(further.labels[:, index])
        truth = further.labels[known, index] > 0.5
        scores = 1 / (1 + np.exp(-logits[known, index].astype(np.float64)))
        chosen = EVEN
        if truth.any() and not truth.all():
            # nearly all were learned from, and one stray slice of few would decide a rule that asks for sensitivity
            chosen = min(chosen, balanced_threshold(scores, truth, further.folders[known]))
        # sensitivity and specificity on images that were learned from would be no figures of the engine
        points[recipe.findings[index]] = {"probability": round(chosen, 6), "n": int(known.sum())}
    return points


def with_shown(pack: Pack, recipe: EngineRecipe) -> Pack:
    """The same rows with the recipe's `shown` traits as findings, behind the others."""
    if not recipe.shown or pack.findings == recipe.reported.findings:
        return pack
    columns = [(*recipe.sites, *recipe.traits).index(name) for name in recipe.shown]
    labels = np.concatenate([pack.labels, pack.traits[:, columns]], axis=1)
    return replace(pack, findings=recipe.reported.findings, labels=labels)


def with_emptied(pack: Pack) -> Pack:
    """The rows, and behind them those whose finding could be mirrored away, with labels 0."""
    if not np.isfinite(pack.midline).any():
        return pack
    images = torch.from_numpy(pack.images).float()
    cover = cover_of(torch.from_numpy(pack.outlines), len(pack.findings))
    mirrored, _, emptied = mirror_half(
        images, cover, torch.from_numpy(pack.midline), share=1.0, emptied=1.0, random=torch.Generator().manual_seed(0)
    )
    index = np.flatnonzero(emptied.numpy())
    if len(index) == 0:
        return pack
    part = pack.rows(index)
    part = replace(
        part,
        images=mirrored[index].numpy().astype(np.uint8),
        labels=np.where(np.isfinite(part.labels), np.float32(0), part.labels),
        outlines=np.zeros_like(part.outlines),
    )
    both: dict[str, Any] = {
        name: np.concatenate([getattr(pack, name), getattr(part, name)])
        for name in ("images", "outlines", "outlined", "labels", "split", "group", "source", "midline", "traits")
    }
    return replace(pack, **both)


def display_scales(
    network: torch.nn.Module, recipe: EngineRecipe, validation: Pack, further: Pack | None = None
) -> dict[str, float]:
    """Finding → 99.9th percentile of its evidence over all cells of images with it and without it, logit units.

    Two images without the finding to one with it at most, spread evenly over the set: then the scale of a rare finding
    isn't that of the images that don't show it (of head-ct's epidural bleeds: 2.1 instead of next to nothing). Most
    cells hold nothing, so this is well inside the range of evidence on a finding: a typical one reaches the scale's
    end, and the floor (a share of the scale) stays near the level at which a cell is as likely as not.

    Parameters
    ----------
    further : images for findings that fewer than `FEWEST` validation images show.
    """
    _, evidence = predict(network, validation, recipe.size)
    scarce = [index for index in range(len(recipe.findings)) if is_scarce(validation, index)]
    more = predict(network, further, recipe.size)[1] if scarce and further is not None else evidence
    scales = {}
    for index, name in enumerate(recipe.findings):
        pack, maps = (further, more) if index in scarce and further is not None else (validation, evidence)
        rows = _one_in_three(pack.labels[:, index])
        scales[name] = max(float(np.percentile(maps[rows, index], 99.9)), _SMALLEST_SCALE)
    return scales


def _one_in_three(labels: NDArray[np.float32]) -> NDArray[np.intp]:
    """Rows with the finding and at most twice as many without, evenly spread; all rows where none has it."""
    present, absent = np.flatnonzero(labels > 0.5), np.flatnonzero(labels < 0.5)
    if len(present) == 0:
        return np.arange(len(labels))
    taken = np.linspace(0, len(absent) - 1, min(len(absent), 2 * len(present))).round().astype(np.intp)
    return np.sort(np.concatenate([present, absent[np.unique(taken)] if len(absent) else absent]))


def learn_priors(recipe: EngineRecipe, rows: Sequence[Row]) -> dict[str, NDArray[np.float32]]:
    """Finding → how often each place of the body's box was covered by an outline, largest value 1."""
    outlines: dict[str, list[NDArray[np.bool_]]] = {name: [] for name in recipe.findings}
    boxes: dict[str, list[tuple[int, int, int, int]]] = {name: [] for name in recipe.findings}
    for row in rows:
        for name in {name for name, _ in row.outlines} & set(recipe.findings):
            pixels = read_pixels(row.path)
            shape = (pixels.shape[0], pixels.shape[1])
            outlines[name].append(draw_outlines(row, name, shape) >= 0.5)
            boxes[name].append(body_box(pixels[None]))
    # the smoothing's running sums can end a rounding error below 0
    return {
        name: np.maximum(learn_prior(outlines[name], boxes[name]), np.float32(0))
        for name in recipe.findings
        if outlines[name]
    }


def make_manifest(
    network: EvidenceNet, recipe: EngineRecipe, scope: Scope, origin: Origin, scales: dict[str, float]
) -> dict[str, Any]:
    """The manifest's tables as plain values."""
    grid = recipe.size // int(recipe.network.get("grid_stride", 4))
    pooling = str(recipe.network.get("pooling", "log-sum-exp"))
    head: dict[str, Any] = {"pooling": pooling, "grid": [grid, grid]}
    if pooling == "log-sum-exp":
        head["sharpness"] = float(recipe.network.get("sharpness", 2.0))
    return {
        "schema_version": 1,
        "name": recipe.engine,
        "version": scope.version,
        "title": recipe.title,
        "summary": recipe.summary,
        "study_rule": scope.study_rule,
        "slab_mm": scope.slab_mm,
        "licence": scope.licence,
        "findings": [
            {
                "name": name,
                "basis": "phantom" if name in recipe.phantom_findings else "real",
                "display_scale": round(scales[name], 4),
                "bias": network.biases[index],
            }
            for index, name in enumerate(recipe.findings)
        ],
        **({"sites": _sites(recipe)} if network.router is not None else {}),
        "input": {
            "recipe": recipe.preprocess,
            "height": recipe.size,
            "width": recipe.size,
            "channels": recipe.channels,
            **({"spacing_mm": recipe.spacing_mm} if recipe.spacing_mm else {}),
            # where no spacing sets the scale, the input is cut out of the canvas as it is in training
            **({"margin": (recipe.canvas - recipe.size) // 2} if not recipe.spacing_mm and not recipe.crops else {}),
        },
        "head": head,
        "scope": scope.tables,
        "training": {
            "command": origin.command,
            "data": list(scope.data),
            "terms": scope.terms,
            "loss": recipe.loss.describe(),
            "evidence_weight": recipe.loss.evidence,
            "seed": origin.seed,
            "epochs": origin.epochs,
            "parameters": sum(parameter.numel() for parameter in network.parameters()),
        },
        "twin": {
            "network": "evidence-net",
            "arguments": {"findings": network.evidence.out_channels, "channels": recipe.channels, **recipe.network},
        },
    }


def _sites(recipe: EngineRecipe) -> list[dict[str, Any]]:
    """The manifest's sites: those that real films teach are read, the others refused."""
    return [
        {
            "name": site.name,
            "basis": "real" if site.name in recipe.sites else "phantom",
            "read": site.name in recipe.sites,
            "body_parts": list(site.body_parts),
        }
        for site in (recipe.router.sites if recipe.router else ())
    ]


def to_toml(tables: dict[str, Any]) -> str:
    """Write plain values as TOML: scalars first, then tables, then lists of tables."""
    return "\n".join(_toml_lines(tables, ())) + "\n"


def _toml_lines(table: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    plain, below = [], []
    for key, value in table.items():
        if isinstance(value, dict):
            name = (*path, key)
            below += ["", f"[{'.'.join(name)}]", *_toml_lines(value, name)]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for item in value:
                name = (*path, key)
                below += ["", f"[[{'.'.join(name)}]]", *_toml_lines(item, name)]
        elif value is not None:
            # JSON's strings, numbers, booleans and lists of them are TOML's as well
            plain.append(f"{key} = {json.dumps(value, ensure_ascii=False)}")
    return plain + below


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
