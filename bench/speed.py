"""How long maps take: one image, 64 slices, and what the quality gate adds to a reading."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import peers
from bench.cases import CaseSet
from bench.gate import as_pixels, finding_of
from bench.sections import Section
from bench.timing import Spread, compare, spread
from radiolucent.engines.bundle import Bundle
from radiolucent.engines.runtime import Engine, EngineOutput, load_engine, load_twin
from radiolucent.evaluate.explanation_release import ReleaseCase
from radiolucent.explain.completeness import check
from radiolucent.pipeline.quality_gate import gated

Image = NDArray[np.float32]
LOOKED_AT = (0, 31, 63)


def _noise(bundle: Bundle, count: int) -> Image:
    spec = bundle.manifest.input
    shape = (count, spec.channels, spec.height, spec.width)
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def _others(bundle: Bundle) -> dict[str, Any]:
    from bench import networks

    twin = load_twin(bundle)
    return {name: peers.make(name, networks.LogitsAlone(twin)) for name in peers.PEERS}


def one_image(bundle: Bundle, rounds: int) -> Section:
    """One image of an engine: all maps in the graph, and each peer for one finding and for all."""
    import torch

    engine, count, image = load_engine(bundle, threads=1), len(bundle.manifest.findings), _noise(bundle, 1)
    tensor = torch.from_numpy(image)
    ways: dict[str, Callable[[], object]] = {f"this engine, all {count} maps": lambda: engine.run(image)}
    for name, peer in _others(bundle).items():
        ways[f"{name}, 1 map"] = lambda peer=peer: peer(tensor, 0)  # type: ignore[misc]
        ways[f"{name}, {count} maps"] = lambda peer=peer: [peer(tensor, k) for k in range(count)]  # type: ignore[misc]
    rows = compare(ways, rounds=rounds, warm_up=1)
    words = f"{bundle.label}, {rounds} rounds; ratios by processor time, which other work disturbs least."
    return Section(
        title="Time, one image",
        words=words,
        header=("way", "× the engine's reading", "ms"),
        rows=tuple((row.name, str(row.cpu), str(row.milliseconds)) for row in rows),
        data={row.name: row for row in rows},
    )


def batch_of_64(bundle: Bundle, rounds: int, slices: int = 64) -> Section:
    """All maps of 64 slices in one call, and whether each slice has its own: the map in the batch against it alone."""
    import torch

    engine, findings, images = load_engine(bundle, threads=1), len(bundle.manifest.findings), _noise(bundle, slices)
    tensor, looked_at = torch.from_numpy(images), [place for place in LOOKED_AT if place < slices]
    others = _others(bundle)
    ways: dict[str, Callable[[], object]] = {"this engine": lambda: engine.run(images)}
    for name, peer in others.items():
        ways[name] = lambda peer=peer: [peer(tensor, k) for k in range(findings)]  # type: ignore[misc]
    rows = compare(ways, rounds=rounds, warm_up=0)
    off = {"this engine": _off(lambda part: engine.run(part).evidence[:, 0], images, looked_at)}
    for name, peer in others.items():
        off[name] = _off(_of_first(peer), images, looked_at)
    words = (
        f"{bundle.label}, all {findings} maps of {slices} slices, {rounds} round(s), the first one included; processor "
        f"time. The engine takes eight at a time, other tools all at once. Last column: {len(looked_at)} slices in the "
        "batch against each alone, largest difference in parts of the map's largest value."
    )
    return Section(
        title=f"A batch of {slices} slices",
        words=words,
        header=("way", "× this engine", "ms a slice, by the clock", "differs from the slice alone"),
        rows=tuple((row.name, str(row.cpu), _each(row.milliseconds, slices), f"{off[row.name]:.0e}") for row in rows),
        data={row.name: row for row in rows} | {"differences": off},
    )


def _each(whole: Spread, slices: int) -> str:
    parts = (whole.lower / slices, whole.median / slices, whole.upper / slices)
    return str(Spread(lower=parts[0], median=parts[1], upper=parts[2], n=whole.n))


def _of_first(peer: Any) -> Callable[[Image], Image]:
    import torch

    return lambda images: np.asarray(peer(torch.from_numpy(images), 0))


def _off(maps: Callable[[Image], Image], images: Image, looked_at: Sequence[int]) -> float:
    together, largest = maps(images), 0.0
    for index in looked_at:
        alone = maps(images[index : index + 1])[0]
        largest = max(largest, float(np.abs(together[index] - alone).max() / max(np.abs(alone).max(), 1e-9)))
    return largest


class _Timed:
    """An engine that notes how long it ran, and how many images."""

    def __init__(self, inner: Engine) -> None:
        self.bundle, self._inner, self.seconds, self.images = inner.bundle, inner, 0.0, 0

    def run(self, batch: Image) -> EngineOutput:
        started = time.perf_counter()
        output = self._inner.run(batch)
        self.seconds += time.perf_counter() - started
        self.images += len(batch)
        return output


def gate_cost(sets: Sequence[CaseSet], *, frames: int = 24) -> Section:
    """What the gate adds to reading one image, and to reading a series: its own work, and its passes."""
    rows, data = [], {}
    for one in sets:
        engine = _Timed(load_engine(one.bundle, threads=1))
        for count in (1, frames):
            ratios = [found for case in one.cases if (found := _ratios(engine, case, count)) is not None]
            if not ratios:
                continue
            cheap, passes, images = (spread([float(value) for value in values]) for values in zip(*ratios, strict=True))
            kind = "one image" if count == 1 else f"{count} frames"
            rows.append(
                (one.bundle.label, one.name, kind, str(len(ratios)), str(cheap), str(passes), f"{images.median:.0f}")
            )
            data[f"{one.name}, {kind}"] = {"cheap": cheap, "passes": passes}
    words = (
        "Per located finding, in parts of the inference that made it (median with quartiles over the cases). The cheap "
        "set (completeness, body, prior, focality) asks nothing of the network; deletion drop costs one image, and "
        "stability under eight changes eight, only where the series has nine frames a finding. Goal of the cheap set: "
        f"at most 1. {_met(data)}"
    )
    header = ("engine", "images", "read", "n", "cheap set", "passes of the others", "images")
    return Section(title="What the gate costs", words=words, header=header, rows=tuple(rows), data=data)


def _met(data: dict[str, Any]) -> str:
    worst = max((one["cheap"].median for one in data.values()), default=float("nan"))
    return f"Largest median {worst:.2f}: {'met' if worst <= 1 else 'MISSED'}."


def _ratios(engine: _Timed, case: ReleaseCase, frames: int) -> tuple[float, float, int] | None:
    """(the gate's own time, its passes' time) over that of the inference, and its images; None without a focus."""
    batch = np.repeat(case.image[None], frames, axis=0)
    engine.run(batch[:1])
    engine.seconds = 0.0
    output = engine.run(batch)
    inference = engine.seconds
    finding = finding_of(case, engine, output)
    if finding.localisation is None or finding.localisation.status != "located":
        return None
    pixels = as_pixels(case)
    engine.seconds, engine.images = 0.0, 0
    started = time.perf_counter()
    whole = check(output.logits, output.evidence, engine.bundle.manifest)
    gated([finding], np.repeat(pixels, frames, axis=0), batch, engine, completeness=whole)
    taken = time.perf_counter() - started
    return (taken - engine.seconds) / inference, engine.seconds / inference, engine.images
