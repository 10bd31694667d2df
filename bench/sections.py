"""What is measured: one function a question, each giving a table or saying what is missing for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench import graphs, memory, threads
from bench.timing import Row, compare
from radiolucent.engines.registry import Bundle, installed_bundles

GOAL = 1.02
START, END = "<!-- bench-explain -->", "<!-- /bench-explain -->"  # of what `bench.explain` writes into the page


@dataclass(frozen=True, kw_only=True)
class Section:
    """One table. `data` holds the same figures for machines."""

    title: str
    words: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    data: dict[str, Any]

    def lines(self, level: int = 2) -> list[str]:
        """As Markdown, under a heading of that level; words alone where there is no row."""
        table = ["| " + " | ".join(row) + " |" for row in (self.header, *self.rows)] if self.rows else []
        rule = ["|" + "---|" * len(self.header)] if self.rows else []
        return [f"{'#' * level} {self.title}", "", self.words, *([""] if table else []), *table[:1], *rule, *table[1:]]


def _images(batch: int, height: int, width: int, channels: int = 1) -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(0).standard_normal((batch, channels, height, width)).astype(np.float32)


def _timed(title: str, words: str, rows: Sequence[Row]) -> Section:
    return Section(
        title=title,
        words=words,
        header=("way", "× plain, by the clock", "× plain, processor time", "ms", "rounds"),
        rows=tuple((row.name, str(row.wall), str(row.cpu), str(row.milliseconds), str(row.wall.n)) for row in rows),
        data={row.name: {"wall": row.wall, "cpu": row.cpu, "milliseconds": row.milliseconds} for row in rows},
    )


def _verdict(rows: Sequence[Row]) -> str:
    ratio = rows[-1].wall.median
    return f"Goal at most {GOAL}: {'met' if ratio <= GOAL else 'MISSED'} ({ratio:.3f})."


def shipped_engine(bundle: Bundle, rounds: int) -> Section:
    """The graph of an installed engine, with and without its evidence output, one slice at a time."""
    spec = bundle.manifest.input
    graph = bundle.read("graph.onnx")
    plain, whole = graphs.session(graphs.without_output(graph, "evidence")), graphs.session(graph)
    image = _images(1, spec.height, spec.width, spec.channels)
    rows = compare(
        {
            "without its evidence output": lambda: graphs.run(plain, image),
            "logits and evidence": lambda: graphs.run(whole, image),
        },
        rounds=rounds,
        warm_up=5,
    )
    words = (
        f"{spec.height} × {spec.width}, {len(bundle.manifest.findings)} classes, grid {bundle.manifest.head.grid[0]} × "
        f"{bundle.manifest.head.grid[1]}, one image, one thread, ONNX Runtime. {_verdict(rows)}"
    )
    return _timed(f"Evidence of the engine {bundle.label}", words, rows)


def dense_net(rounds: int) -> Section:
    """DenseNet-121-like, 18 classes: the usual classifier's graph against the one that also gives all maps."""
    from bench import networks

    network = networks.make()
    plain = graphs.session(networks.onnx_bytes(network, 224, ["logits"]))
    whole = graphs.session(networks.onnx_bytes(networks.EvidenceNet(network), 224, ["logits", "evidence"]))
    image = _images(1, 224, 224)
    rows = compare(
        {
            "plain classifier": lambda: graphs.run(plain, image),
            "logits and all 18 maps": lambda: graphs.run(whole, image),
        },
        rounds=rounds,
        warm_up=5,
    )
    words = f"A network like DenseNet-121 with random weights, 224 × 224, one thread, ONNX Runtime. {_verdict(rows)}"
    return _timed("Evidence of 18 classes against plain inference", words, rows)


def against_peers(rounds: int) -> Section:
    """The same weights in torch: plain, with evidence, and with each peer for one and for 18 classes."""
    import torch

    from bench import networks, peers

    network = networks.make()
    evidence_net = networks.EvidenceNet(network)
    images = _images(1, 224, 224)
    tensor = torch.from_numpy(images)
    # exported first: the peers hang hooks on the network
    runtime = graphs.session(networks.onnx_bytes(evidence_net, 224, ["logits", "evidence"]))
    others = {name: peers.make(name, network) for name in peers.PEERS}
    captum, grad_cam = others["Captum LayerGradCam"], others["pytorch-grad-cam"]

    def forward(wanted: Any) -> Callable[[], object]:
        def once() -> object:
            with torch.inference_mode():
                return wanted(tensor)

        return once

    def each(peer: Any, classes: int) -> Callable[[], object]:
        return lambda: [peer(tensor, finding) for finding in range(classes)]

    ways: dict[str, Callable[[], object]] = {
        "plain, torch": forward(network),
        "evidence of 18 classes, torch": forward(evidence_net),
        "evidence of 18 classes, ONNX Runtime": lambda: graphs.run(runtime, images),
    }
    for name, peer in others.items():
        ways |= {f"{name}, 1 class": each(peer, 1), f"{name}, 18 classes": each(peer, 18)}
    rows = compare(ways, rounds=rounds, warm_up=1)
    evidence = graphs.run(runtime, images)[1]
    ours = np.maximum(evidence[0], 0) / evidence[0, 0].size
    largest = float(ours.max())
    captum_off = max(float(np.abs(captum(tensor, k)[0] - ours[k]).max()) for k in range(len(ours))) / largest
    enlarged = peers.GradCam.form(ours, (224, 224))
    grad_cam_off = max(float(np.abs(grad_cam(tensor, k)[0] - enlarged[k]).max()) for k in range(len(ours)))
    words = (
        "The same network, weights and image, one thread. Largest difference of the maps over 18 classes, in parts of "
        f"the largest value: Captum {captum_off:.1e}; pytorch-grad-cam {grad_cam_off:.1e}, in its own stretched form."
    )
    return _timed("18 heatmaps, against other tools", words, rows)


def peak_memory(batch: int = 8, size: int = 224, engine: str = "") -> Section:
    """Peak above the loaded network, each way in a process of its own."""
    ways = (*([memory.READING] if engine else []), *memory.WAYS)
    measured = {way: memory.measure(way, batch=batch, size=size, engine=engine) for way in ways}
    rows = [(way, f"+{value:.0f} MiB" if isinstance(value, float) else value) for way, value in measured.items()]
    words = (
        f"Above the loaded network ({engine or 'like DenseNet-121, 18 classes'}), {batch} images of {size} × {size} at "
        f"once. Plain and evidence: one pass, all classes. Other tools: {memory.PEER_CLASSES} classes in turn. One run "
        "each."
    )
    if engine:
        words += " As it reads, an engine takes eight images at a time, which bounds its memory."
    title = f"Peak memory, {batch} images"
    return Section(title=title, words=words, header=("way", "peak"), rows=tuple(rows), data=measured)


def many_threads(rounds: int, count: int = 8) -> Section:
    """One network, one explainer object, many threads: what goes wrong."""
    outcomes = {way: [threads.measure(way, threads=count) for _ in range(rounds)] for way in threads.WAYS}
    rows = []
    for way, every in outcomes.items():
        ended = [outcome for outcome in every if not outcome.died]
        calls = sum(outcome.calls for outcome in ended)
        counts = (f"{sum(outcome.wrong for outcome in ended)} of {calls}", f"{sum(o.raised for o in ended)} of {calls}")
        how = sorted({outcome.died for outcome in every if outcome.died})
        died = f"{len(every) - len(ended)} of {len(every)}" + (f" ({'; '.join(how)})" if how else "")
        rows.append((way, *counts, died))
    words = (
        f"{count} threads share one small network and one explainer; each map is compared with the one made alone. "
        "Wrong and raised are counted in the processes that came to their end."
    )
    return Section(
        title=f"{count} threads on one network",
        words=words,
        header=("way", "wrong maps", "calls that raised", "processes that died"),
        rows=tuple(rows),
        data={way: [vars(outcome) for outcome in every] for way, every in outcomes.items()},
    )


def shipped(rounds: int) -> list[Section]:
    """One section an installed engine."""
    return [shipped_engine(bundle, rounds) for bundle in installed_bundles()]
