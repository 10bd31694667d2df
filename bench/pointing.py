"""Who points at the lesion: every method and every peer on the same images, with the same weights."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench import peers
from bench.cases import CaseSet
from bench.sections import Section
from bench.timing import spread
from radiolucent.engines.runtime import Engine, load_engine, load_twin
from radiolucent.evaluate.explanation_release import ReleaseCase
from radiolucent.evaluate.localisation import is_inside
from radiolucent.explain import metrics
from radiolucent.explain.explanation import METHODS
from radiolucent.explain.methods import Budget, attribute
from radiolucent.imaging.geometry import map_points, resample

Map = NDArray[np.float32]
Way = Callable[[ReleaseCase, int], Map]
"""A case and the finding's index → map over the network input, or over the frame."""

OUTLINED = 0.5  # of a map's own largest value: peers stretch their maps, so no absolute level serves all alike
MANY = 20  # passes; a method that needs more gets fewer images
PASSES = 129  # instead of a method's 257, so that it ends
_PLACES = 32


@dataclass(frozen=True, kw_only=True)
class Figures:
    """One way on one set of images; mm is infinite where a map is empty, and None where no spacing is known."""

    hits: tuple[bool, ...]
    mm: tuple[float, ...]
    overlaps: tuple[float, ...]
    masses: tuple[float, ...]
    seconds: tuple[float, ...]


def pointing(sets: Sequence[CaseSet], *, slow: int) -> Section:
    """One row a set and way.

    Parameters
    ----------
    slow : images for methods that need many passes; 0 leaves those out.
    """
    rows, data = [], {}
    for one in sets:
        for name, way in _ways(one).items():
            many = name in METHODS and METHODS[name].passes > MANY
            cases = _spread_out(one.cases, slow) if many else list(one.cases)
            if not cases:
                continue
            found = figures(way, cases, one.bundle.manifest.finding_names)
            rows.append((one.name, name, str(len(cases)), *_cells(found)))
            data[f"{one.name}, {name}"] = found
            print(" | ".join(rows[-1]), file=sys.stderr, flush=True)
    engines = ", ".join(sorted({one.bundle.label for one in sets}))
    words = (
        f"{engines}; validation images evenly spread. Hit: the strongest cell lies inside the outline. mm: from the "
        "centroid of the map above half of its own peak to the outline's (median with quartiles; none: empty). IoU "
        "at the same level, and the share of the positive map inside (medians). Methods with more than "
        f"{MANY} passes get fewer images, and {PASSES} passes. Baselines know nothing of the image."
    )
    header = ("images", "way", "n", "hit", "mm", "IoU", "inside", "s an image")
    return Section(title="Who points at the lesion", words=words, header=header, rows=tuple(rows), data=data)


def figures(way: Way, cases: Sequence[ReleaseCase], names: Sequence[str]) -> Figures:
    """Measure one way on some cases."""
    hits, far, overlaps, masses, seconds = [], [], [], [], []
    for case in cases:
        started = time.perf_counter()
        values = np.maximum(way(case, names.index(case.finding)), 0)
        seconds.append(time.perf_counter() - started)
        drawn = values if values.shape == case.mask.shape else _on_frame(values, case)
        level = OUTLINED * float(drawn.max())
        hits.append(level > 0 and is_inside(_peak(values, case), case.mask))
        overlaps.append(metrics.overlap_at(drawn, case.mask, level)[0] if level > 0 else 0.0)
        masses.append(metrics.relevance_mass(drawn, case.mask))
        if case.spacing_mm is not None:
            above = np.where(drawn >= level, drawn, 0)
            far.append(metrics.centroid_distance_mm(above, case.mask, case.spacing_mm))
    return Figures(
        hits=tuple(hits), mm=tuple(far), overlaps=tuple(overlaps), masses=tuple(masses), seconds=tuple(seconds)
    )


def _cells(found: Figures) -> tuple[str, ...]:
    mm = "–"
    if found.mm:
        low, middle, high = np.percentile(found.mm, [25, 50, 75], method="nearest")
        mm = f"{_mm(middle)} ({_mm(low)} to {_mm(high)})"
    medians = (f"{np.median(values):.2f}" for values in (found.overlaps, found.masses))
    return (f"{np.mean(found.hits):.2f}", mm, *medians, f"{spread(found.seconds).median:.2f}")


def _mm(value: float) -> str:
    return f"{value:.1f}" if np.isfinite(value) else "none"


def _ways(one: CaseSet) -> dict[str, Way]:
    from bench import networks

    engine, twin = load_engine(one.bundle, threads=1), load_twin(one.bundle)
    return {
        **{key: _own(engine, key) for key in METHODS},
        **{name: _peer(peers.make(name, networks.LogitsAlone(twin))) for name in peers.PEERS},
        "baseline: middle of the image": lambda case, _: metrics.centre_prior(case.mask.shape),
        "baseline: mean of the other outlines": lambda case, _: _mean_outline(case, one.cases),
    }


def _own(engine: Engine, key: str) -> Way:
    def way(case: ReleaseCase, _: int) -> Map:
        budget = Budget(passes=PASSES if METHODS[key].passes > PASSES else None)
        return attribute(engine, case.image, case.record, case.finding, key, budget=budget)[0].values

    return way


def _peer(peer: Callable[..., Map]) -> Way:
    def way(case: ReleaseCase, finding: int) -> Map:
        import torch

        return np.asarray(peer(torch.from_numpy(case.image[None]), finding)[0])

    return way


def _mean_outline(case: ReleaseCase, cases: Sequence[ReleaseCase]) -> Map:
    """How often each place of the picture was inside the other cases' outlines, on the case's own frame."""
    others = [_small(other.mask) for other in cases if other is not case and other.finding == case.finding]
    if not others:
        return np.zeros(case.mask.shape, dtype=np.float32)
    mean = metrics.mean_mask(others)
    return mean[np.ix_(*(np.arange(size) * _PLACES // size for size in case.mask.shape))]


def _small(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return mask[np.ix_(*(((np.arange(_PLACES) + 0.5) * size / _PLACES).astype(int) for size in mask.shape))]


def _spread_out(cases: Sequence[ReleaseCase], count: int) -> list[ReleaseCase]:
    return [cases[i] for i in np.linspace(0, len(cases) - 1, min(count, len(cases))).round().astype(int)]


def _peak(values: Map, case: ReleaseCase) -> tuple[float, float]:
    peak = np.array(np.unravel_index(int(values.argmax()), values.shape), dtype=np.float64)
    if values.shape != case.mask.shape:
        peak = map_points(case.record.grid_to_source((values.shape[0], values.shape[1])), peak)
    return float(peak[0]), float(peak[1])


def _on_frame(values: Map, case: ReleaseCase) -> Map:
    to_grid = np.linalg.inv(case.record.grid_to_source((values.shape[0], values.shape[1]))).astype(np.float64)
    shape = (case.mask.shape[0], case.mask.shape[1])
    return resample(values, to_grid, shape, mode="nearest")
