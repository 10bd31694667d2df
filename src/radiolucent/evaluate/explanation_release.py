"""Whether an engine's maps may be released: right place, own finding, lost with the weights; `explain.gate` judges."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from radiolucent.engines.runtime import Engine
from radiolucent.errors import SetupError
from radiolucent.evaluate.localisation import is_inside, place
from radiolucent.explain.agreement import rank_correlation
from radiolucent.imaging.geometry import Image, PixelRecord
from radiolucent.imaging.heatmap import Heatmap


@dataclass(frozen=True, kw_only=True, eq=False)
class ReleaseCase:
    """One image with one outlined finding.

    Parameters
    ----------
    image : float32 ``(C, H, W)``, network input; record : frame pixels → network input.
    mask : bool ``(rows, columns)`` of the frame.
    centre : (row, column) of the body's middle, the guess that an engine must beat.
    spacing_mm : (between rows, between columns), or None.
    """

    finding: str
    image: Image
    record: PixelRecord
    mask: NDArray[np.bool_]
    centre: tuple[float, float]
    spacing_mm: tuple[float, float] | None = None


def release_checks(
    engine: Engine, cases: Sequence[ReleaseCase], *, scrambled: Engine | None = None
) -> dict[str, float]:
    """Measure what `explain.gate.judge_engine` asks.

    Parameters
    ----------
    scrambled : the same network with random weights (`explain.attribution.randomised`); None leaves that check out.

    Returns
    -------
    ``focus-share``, ``pointing-game``, ``centre-margin``; ``median-mm`` where spacings are known; ``randomisation``;
    ``random-logit`` where there are several findings: mean rank correlation of a map with those of the image's others.

    Raises
    ------
    SetupError
        If there is no case.
    """
    if not cases:
        raise SetupError("an engine's maps can't be judged without outlined cases")
    names = list(engine.bundle.manifest.finding_names)
    focused, hits, centre_hits, distances, others, random = [], [], [], [], [], []
    for case in cases:
        index = names.index(case.finding)
        maps = engine.run(case.image[None]).evidence
        entry = engine.bundle.manifest.findings[index]
        heatmap = Heatmap(
            evidence=np.ascontiguousarray(maps[:, index]), record=case.record, display_scale=entry.display_scale
        )
        found = place(heatmap, 0, case.mask, case.spacing_mm)
        focused.append(not heatmap.empty)
        hits.append(found.hit)
        centre_hits.append(is_inside(case.centre, case.mask))
        distances.append(found.distance_mm)
        others += [_correlation(maps[0, index], maps[0, k]) for k in range(len(names)) if k != index]
        if scrambled is not None:
            random.append(_correlation(maps[0, index], scrambled.run(case.image[None]).evidence[0, index]))
    values = {
        "focus-share": float(np.mean(focused)),
        "pointing-game": float(np.mean(hits)),
        "centre-margin": float(np.mean(hits)) - float(np.mean(centre_hits)),
    }
    if not np.isnan(distances).any():
        values["median-mm"] = float(np.median(distances))
    if others:
        values["random-logit"] = float(np.mean(others))
    if random:
        values["randomisation"] = float(np.mean(random))
    return values


def _correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Rank correlation of what speaks for the finding; a map without any has none in common with another."""
    one, two = np.maximum(first, 0), np.maximum(second, 0)
    return 0.0 if np.ptp(one) == 0 or np.ptp(two) == 0 else rank_correlation(one, two)
