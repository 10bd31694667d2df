"""How good an engine is on a folder of labelled images: one dictionary, from which the card and the table are made."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.engines.bundle import Bundle
from radiolucent.engines.preprocess import prepare
from radiolucent.engines.runtime import Engine, load_engine
from radiolucent.errors import SetupError
from radiolucent.evaluate import classification
from radiolucent.evaluate.intervals import Figure, bootstrap
from radiolucent.evaluate.layouts import Row, draw_outlines, read_pixels, read_rows
from radiolucent.evaluate.localisation import Placement, distance, is_inside, mass_within, overlap, place
from radiolucent.imaging.body import Box, body_box
from radiolucent.imaging.heatmap import Heatmap

Report = Callable[[int, int], None]
Measured = dict[str, Any]
NEAR_MM = 8.0
# a subgroup with fewer cases than this, of either kind, says nothing of the spread
_ENOUGH = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class Case:
    """What the engine said of one image, beside what is known of it.

    Parameters
    ----------
    logits, probabilities : float64 ``(K,)``; probabilities are scores where the bundle has no calibration.
    truth : float64 ``(K,)``; 1, 0, or NaN where unknown.
    placements : finding → its map against its outline, for findings that are present and outlined.
    centre, mean_mask : the same for two guesses that never look at the image (`_baselines`).
    milliseconds : of the network alone.
    """

    row: Row
    logits: NDArray[np.float64]
    probabilities: NDArray[np.float64]
    truth: NDArray[np.float64]
    placements: dict[str, Placement]
    centre: dict[str, Placement]
    mean_mask: dict[str, Placement]
    milliseconds: float


def evaluate(
    bundle: Bundle,
    data: Path,
    *,
    labels: str = "labels.csv",
    images: Path | None = None,
    split: str | None = "val",
    draws: int = 1000,
    threads: int | None = None,
    report: Report | None = None,
) -> Measured:
    """Run an engine on every image of a folder and measure it.

    Parameters
    ----------
    data : folder in one of the layouts of `evaluate.layouts`.
    labels : its table; images : folder of the images where that isn't ``data/images``.
    split : which rows; None takes all.
    draws : of the bootstrap.
    report : called with (images done, images in all).

    Returns
    -------
    Plain values for JSON: ``classification``, ``findings``, ``localisation``, ``baselines``, ``subgroups``, ``cases``.
    Every figure has ``value``, ``low``, ``high`` (95 %, bootstrap by group) and ``n``; None where it can't be measured.

    Raises
    ------
    SetupError
        If the folder can't be read, has no row of that split, or shares no finding with the engine.
    """
    rows = [row for row in read_rows(data, labels=labels, images=images) if split is None or row.split == split]
    if not rows:
        raise SetupError(f"{data} has no image whose split is {split!r}")
    names = bundle.manifest.finding_names
    if not any(name in row.labels for row in rows for name in names):
        raise SetupError(f"{data} has no label that {bundle.label} knows: {', '.join(names)}")
    engine = load_engine(bundle, threads=threads)
    cases = []
    for index, row in enumerate(rows):
        cases.append(read_case(engine, row))
        if report is not None:
            report(index + 1, len(rows))
    return summarise(bundle, cases, data=data.name, split=split, draws=draws)


def read_case(engine: Engine, row: Row) -> Case:
    """Read one labelled image."""
    bundle = engine.bundle
    pixels = read_pixels(row.path)[None]
    batch, record = prepare(pixels, row.spacing_mm, bundle.manifest.input)
    started = time.perf_counter()
    output = engine.run(batch)
    milliseconds = (time.perf_counter() - started) * 1000
    logits = output.logits[0].astype(np.float64)
    names = bundle.manifest.finding_names
    placements: dict[str, Placement] = {}
    centre: dict[str, Placement] = {}
    mean_mask: dict[str, Placement] = {}
    box = body_box(pixels)
    for index, entry in enumerate(bundle.manifest.findings):
        mask = draw_outlines(row, entry.name, (pixels.shape[1], pixels.shape[2])) >= 0.5
        if not (row.outlined and row.labels.get(entry.name) == 1 and mask.any()):
            continue
        heatmap = Heatmap(
            evidence=np.ascontiguousarray(output.evidence[:, index]), record=record, display_scale=entry.display_scale
        )
        placements[entry.name] = place(heatmap, 0, mask, row.spacing_mm)
        centre[entry.name] = _guess(np.ones((1, 1), dtype=np.float32), box, mask, row)
        if entry.name in bundle.priors:
            mean_mask[entry.name] = _guess(bundle.priors[entry.name], box, mask, row)
    return Case(
        row=row,
        logits=logits,
        probabilities=np.array(
            [
                _probability(bundle, name, value)
                for name, value in zip(bundle.manifest.finding_names, logits, strict=True)
            ]
        ),
        truth=np.array([row.labels.get(name, np.nan) for name in names]),
        placements=placements,
        centre=centre,
        mean_mask=mean_mask,
        milliseconds=milliseconds,
    )


def summarise(bundle: Bundle, cases: Sequence[Case], *, data: str, split: str | None, draws: int = 1000) -> Measured:
    """Figures of cases that were read; see `evaluate`."""
    names = bundle.manifest.finding_names
    truth = np.stack([case.truth for case in cases])
    logits = np.stack([case.logits for case in cases])
    probabilities = np.stack([case.probabilities for case in cases])
    groups = [case.row.group for case in cases]
    exclusive = bool(np.isfinite(truth).all() and len(names) > 1 and (truth.sum(axis=1) == 1).all())
    result: Measured = {
        "schema_version": 1,
        "engine": bundle.label,
        "digest": bundle.digest,
        "data": data,
        "split": split,
        "n": len(cases),
        "groups": len(set(groups)),
        "milliseconds_per_image": round(float(np.median([case.milliseconds for case in cases])), 2),
        "findings": {
            name: _finding(bundle, name, truth[:, k], logits[:, k], probabilities[:, k], groups, draws)
            for k, name in enumerate(names)
        },
    }
    if exclusive:
        chosen, real = probabilities.argmax(axis=1), truth.argmax(axis=1)
        result["classification"] = {
            "rule": "the finding with the largest probability, of images that have exactly one",
            "accuracy": _figure(lambda i: classification.accuracy(chosen[i], real[i]), groups, draws),
            "balanced_accuracy": _figure(lambda i: classification.balanced_accuracy(chosen[i], real[i]), groups, draws),
        }
        result["confusion"] = {
            name: {other: int(((real == a) & (chosen == b)).sum()) for b, other in enumerate(names)}
            for a, name in enumerate(names)
        }
    result["localisation"] = _localisation(cases, "placements", draws)
    result["baselines"] = {name: _localisation(cases, name, draws) for name in ("centre", "mean_mask")}
    result["subgroups"] = _subgroups(cases, truth, probabilities, names, draws)
    result["spread"] = {key: _spread(values, names) for key, values in result["subgroups"].items()}
    result["cases"] = [_case_json(case, names) for case in cases]
    return result


def _finding(
    bundle: Bundle,
    name: str,
    truth: NDArray[np.float64],
    logits: NDArray[np.float64],
    probabilities: NDArray[np.float64],
    groups: Sequence[str],
    draws: int,
) -> Measured:
    known = np.isfinite(truth)
    real, score, probability = truth[known] > 0.5, logits[known], probabilities[known]
    point = bundle.operating_point(name)
    called = probability >= point
    some = [group for group, keep in zip(groups, known, strict=True) if keep]
    if not some:
        return {"positives": 0, "operating_point": point}
    calibrated = bundle.calibration is not None and name in bundle.calibration.findings
    figures = {
        "auroc": _figure(lambda i: classification.auroc(score[i], real[i]), some, draws),
        "auprc": _figure(lambda i: classification.auprc(score[i], real[i]), some, draws),
        "sensitivity": _figure(lambda i: classification.sensitivity(called[i], real[i]), some, draws, int(real.sum())),
        "specificity": _figure(
            lambda i: classification.specificity(called[i], real[i]), some, draws, int((~real).sum())
        ),
    }
    if calibrated:
        figures["calibration_error"] = _figure(
            lambda i: classification.calibration_error(probability[i], real[i]), some, draws
        )
    return {"positives": int(real.sum()), "operating_point": point, **figures}


def _localisation(cases: Sequence[Case], kind: str, draws: int) -> Measured:
    """Figures over all outlined findings, then for each finding alone."""
    found = [(case.row.group, name, spot) for case in cases for name, spot in getattr(case, kind).items()]
    names = sorted({name for _, name, _ in found})
    result: Measured = {"all": _placement_figures([(group, spot) for group, _, spot in found], draws)}
    for name in names:
        result[name] = _placement_figures([(group, spot) for group, other, spot in found if other == name], draws)
    return result


def _placement_figures(found: Sequence[tuple[str, Placement]], draws: int) -> Measured:
    if not found:
        return {}
    groups = [group for group, _ in found]
    spots = [spot for _, spot in found]

    def mean(name: str) -> Measured:
        values = np.array([float(getattr(spot, name)) for spot in spots])
        return _figure(lambda i: float(values[i].mean()), groups, draws)

    def median(name: str) -> Measured:
        values = np.array([float(getattr(spot, name)) for spot in spots])
        return _figure(lambda i: float(np.quantile(values[i], 0.5, method="higher")), groups, draws)

    near = np.array([spot.distance_mm <= NEAR_MM for spot in spots])
    known = all(np.isfinite(spot.distance_mm) or spot.empty for spot in spots)
    figures = {
        "hit_rate": mean("hit"),
        "relevance_mass": mean("mass"),
        "iou": mean("iou"),
        "dice": mean("dice"),
        "empty": mean("empty"),
        "centroid_px_median": median("distance_px"),
    }
    if known:
        figures["centroid_mm_median"] = median("distance_mm")
        figures["within_8_mm"] = _figure(lambda i: float(near[i].mean()), groups, draws)
    return figures


def _subgroups(
    cases: Sequence[Case],
    truth: NDArray[np.float64],
    probabilities: NDArray[np.float64],
    names: Sequence[str],
    draws: int,
) -> Measured:
    result: Measured = {}
    for key in sorted({key for case in cases for key in case.row.subgroups}):
        result[key] = {}
        values = [case.row.subgroups.get(key, "").split("+") for case in cases]
        for value in sorted({part for parts in values for part in parts}):
            index = np.array([i for i, parts in enumerate(values) if value in parts])
            part = [cases[i] for i in index]
            groups = [case.row.group for case in part]
            figures: Measured = {"n": len(part), "localisation": _localisation(part, "placements", draws)["all"]}
            for k, name in enumerate(names):
                known = np.isfinite(truth[index, k])
                if known.all():
                    score, real = probabilities[index, k], truth[index, k] > 0.5
                    figures[name] = _ranking(score, real, groups, draws)
                    figures[name]["fewest"] = int(min(real.sum(), (~real).sum()))
            result[key][value] = figures
    return result


def _spread(subgroups: Measured, names: Sequence[str]) -> Measured:
    """Largest less smallest value over the subgroups that hold enough to measure one, or None for fewer than two."""
    found: Measured = {}
    for name in names:
        measured = [
            part[name]["value"] for part in subgroups.values() if part.get(name, {}).get("fewest", 0) >= _ENOUGH
        ]
        found[name] = {"auroc": round(max(measured) - min(measured), 6) if len(measured) > 1 else None}
    hits = [part["localisation"].get("hit_rate") for part in subgroups.values()]
    rates = [hit["value"] for hit in hits if hit and hit["n"] >= _ENOUGH]
    return {**found, "hit_rate": round(max(rates) - min(rates), 6) if len(rates) > 1 else None}


def _ranking(score: NDArray[np.float64], real: NDArray[np.bool_], groups: Sequence[str], draws: int) -> Measured:
    return _figure(lambda i: classification.auroc(score[i], real[i]), groups, draws)


def _figure(
    measure: Callable[[NDArray[np.intp]], float], groups: Sequence[str], draws: int, n: int | None = None
) -> Measured:
    figure: Figure = bootstrap(measure, len(groups), groups=groups, draws=draws, n=n)
    return dict(figure.to_json())


def _guess(prior: NDArray[np.float32], box: Box, mask: NDArray[np.bool_], row: Row) -> Placement:
    """A prior laid over the body's box, as if it were the map: its peak, mass, half-height area and centroid."""
    top, left, height, width = box
    lines, columns = np.indices(mask.shape)
    down = (lines + 0.5 - top) / height * prior.shape[0]
    across = (columns + 0.5 - left) / width * prior.shape[1]
    inside = (down >= 0) & (down < prior.shape[0]) & (across >= 0) & (across < prior.shape[1])
    cells = np.clip(down, 0, prior.shape[0] - 1).astype(int), np.clip(across, 0, prior.shape[1] - 1).astype(int)
    drawn = np.where(inside, prior[cells], 0.0)
    if drawn.max() <= 0:
        drawn = inside.astype(np.float64)
    chosen = drawn >= 0.5 * drawn.max()
    peak = np.argwhere(drawn == drawn.max()).mean(axis=0)
    weights = np.where(chosen, drawn, 0)
    centre = ((lines * weights).sum() / weights.sum(), (columns * weights).sum() / weights.sum())
    iou, dice = overlap(chosen, mask)
    return Placement(
        hit=is_inside((float(peak[0]), float(peak[1])), mask),
        mass=mass_within(drawn, mask),
        iou=iou,
        dice=dice,
        distance_px=distance(centre, mask, (1.0, 1.0)),
        distance_mm=distance(centre, mask, row.spacing_mm) if row.spacing_mm else float("nan"),
        empty=False,
    )


def _probability(bundle: Bundle, name: str, logit: float) -> float:
    value = bundle.probability(name, float(logit))
    return bundle.score(float(logit)) if value is None else value


def _case_json(case: Case, names: Sequence[str]) -> Measured:
    spots = {
        name: {
            "hit": spot.hit,
            "dice": round(spot.dice, 4),
            "distance_mm": round(spot.distance_mm, 3) if np.isfinite(spot.distance_mm) else None,
            "distance_px": round(spot.distance_px, 2) if np.isfinite(spot.distance_px) else None,
        }
        for name, spot in case.placements.items()
    }
    return {
        "file": case.row.path.name,
        "group": case.row.group,
        "probabilities": {name: round(float(p), 5) for name, p in zip(names, case.probabilities, strict=True)},
        "truth": [name for name, value in zip(names, case.truth, strict=True) if value == 1],
        "placements": spots,
    }
