"""Whether confidence means anything: how often a finding is right at high, moderate and low, on labelled images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.engines.preprocess import prepare
from radiolucent.engines.runtime import Engine
from radiolucent.evaluate.intervals import bootstrap
from radiolucent.evaluate.layouts import Row, draw_outlines, read_pixels
from radiolucent.explain.localize import localise
from radiolucent.findings.confidence import ConfidenceTable, default_confidence, grade_confidence
from radiolucent.findings.priors import agreement
from radiolucent.findings.reading import Finding
from radiolucent.findings.stability import stability
from radiolucent.imaging.body import body_box
from radiolucent.imaging.geometry import PixelRecord
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Frame

LEVELS = ("high", "moderate", "low")


@dataclass(frozen=True, kw_only=True)
class GradedCase:
    """One finding above its operating point on one labelled image.

    Parameters
    ----------
    correct : the label says that it is there.
    placed : it is there and the strongest region peaks inside its outline; None where the image isn't outlined, or no
        image of the set outlines this finding.
    row : row of the confidence table.
    """

    finding: str
    group: str
    level: str
    row: str
    correct: bool
    placed: bool | None


def graded_cases(
    engine: Engine,
    rows: Sequence[Row],
    *,
    table: ConfidenceTable | None = None,
    report: Callable[[int, int], None] | None = None,
) -> list[GradedCase]:
    """Read every image, grade every finding above its operating point and compare it with the label.

    A finding whose label is unknown is left out. Four images more go through the network for each finding
    (`findings.stability`).

    Parameters
    ----------
    report : called with (images done, images in all).
    """
    table, cases = table or default_confidence(), []
    outlined = {name for row in rows for name, _ in row.outlines}
    for index, row in enumerate(rows):
        cases += _cases(engine, row, table, outlined)
        if report is not None:
            report(index + 1, len(rows))
    return cases


def confidence_levels(cases: Sequence[GradedCase], *, draws: int = 1000) -> dict[str, dict[str, Any]]:
    """By level: how many findings, the share that is right, and the share that is right in the right place.

    Returns
    -------
    Plain values for JSON: level → ``n``, ``correct`` and ``placed``, each a figure with 95 % interval (bootstrap by
    group); None where a level has no case.
    """
    return {
        level: {
            "n": sum(case.level == level for case in cases),
            "correct": _share([case for case in cases if case.level == level], "correct", draws),
            "placed": _share(
                [case for case in cases if case.level == level and case.placed is not None], "placed", draws
            ),
        }
        for level in LEVELS
    }


def falls(levels: dict[str, dict[str, Any]]) -> bool:
    """True where the share that is right falls from each level to the next; a level without cases is passed over."""
    values = [levels[level]["correct"]["value"] for level in LEVELS if levels[level]["correct"] is not None]
    return all(first > second for first, second in pairwise(values))


def as_markdown(levels: dict[str, dict[str, Any]]) -> str:
    """A table for an engine's page."""
    lines = [
        "| confidence | findings above threshold | right | right, and peak inside the outline |",
        "|---|---|---|---|",
    ]
    for level in LEVELS:
        cells = [_written(levels[level][name]) for name in ("correct", "placed")]
        lines.append(f"| {level} | {levels[level]['n']} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cases(engine: Engine, row: Row, table: ConfidenceTable, outlined: set[str]) -> list[GradedCase]:
    bundle = engine.bundle
    pixels = read_pixels(row.path)[None]
    batch, record = prepare(pixels, row.spacing_mm, bundle.manifest.input)
    output = engine.run(batch)
    box = body_box(pixels)
    cases = []
    for index, entry in enumerate(bundle.manifest.findings):
        label = row.labels.get(entry.name)
        finding = _finding(engine, index, output.logits[0, index], output.evidence[0, index], record, row)
        if label is None or not finding.positive:
            continue
        prior = bundle.priors.get(entry.name)
        graded = grade_confidence(
            finding,
            agreement=agreement(finding.heatmap, prior, box, threshold=table.agreement.prior_threshold)
            if prior is not None
            else None,
            stability=stability(lambda images: _run(engine, images), batch[0], index, grid=bundle.manifest.head.grid),
            table=table,
        )
        cases.append(
            GradedCase(
                finding=entry.name,
                group=row.group,
                level=graded.level,
                row=graded.reasons[0].partition(":")[0],
                correct=label > 0.5,
                placed=_placed(finding, row, label > 0.5) if row.outlined and entry.name in outlined else None,
            )
        )
    return cases


def _run(engine: Engine, images: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    output = engine.run(images)
    return output.logits, output.evidence


def _finding(
    engine: Engine,
    index: int,
    logit: np.floating[Any],
    evidence: NDArray[np.float32],
    record: PixelRecord,
    row: Row,
) -> Finding:
    entry = engine.bundle.manifest.findings[index]
    probability = engine.bundle.probability(entry.name, float(logit))
    score = float(1 / (1 + np.exp(-float(logit))))
    point = engine.bundle.operating_point(entry.name)
    heatmap = Heatmap(evidence=np.ascontiguousarray(evidence[None]), record=record, display_scale=entry.display_scale)
    frame = Frame(sop_class_uid="", sop_instance_uid="", spacing_mm=row.spacing_mm)
    positive = (score if probability is None else probability) >= point
    return Finding(
        name=entry.name,
        basis=entry.basis,
        logit=float(logit),
        score=score,
        probability=probability,
        operating_point=point,
        positive=positive,
        frame_logits=(float(logit),),
        heatmap=heatmap,
        localisation=localise(heatmap, [frame], slice_spacing_mm=None) if positive else None,
    )


def _placed(finding: Finding, row: Row, present: bool) -> bool:
    """Whether the first region's peak lies inside the outline."""
    if not present or finding.localisation is None or not finding.localisation.regions:
        return False
    shape = finding.heatmap.record.source_shape
    mask = draw_outlines(row, finding.name, shape) >= 0.5
    line, column = (round(value) for value in finding.localisation.regions[0].peak)
    return bool(mask[min(max(line, 0), shape[0] - 1), min(max(column, 0), shape[1] - 1)])


def _share(cases: Sequence[GradedCase], name: str, draws: int) -> dict[str, Any] | None:
    if not cases:
        return None
    right = np.array([bool(getattr(case, name)) for case in cases])
    groups = [case.group for case in cases]
    return bootstrap(lambda index: float(right[index].mean()), len(cases), groups=groups, draws=draws).to_json()


def _written(figure: dict[str, Any] | None) -> str:
    return "–" if figure is None else f"{figure['value']:.2f} ({figure['low']:.2f} to {figure['high']:.2f})"
