"""``make bench-explain``: ten methods and three peers on one network: time, and who points at the lesion.

Prints the section and, with ``--markdown docs/benchmarks.md``, writes it between its marks.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench import cases as case_source
from bench.peers import Captum, GradCam, stand_in_for_torchvision
from bench.timing import compare, spread
from radiolucent.engines.registry import Bundle, find_bundle, installed_bundles
from radiolucent.engines.runtime import Engine, load_engine, load_twin
from radiolucent.evaluate.explanation_release import ReleaseCase
from radiolucent.evaluate.localisation import is_inside
from radiolucent.explain import metrics
from radiolucent.explain.explanation import METHODS
from radiolucent.explain.methods import Budget, attribute
from radiolucent.imaging.geometry import map_points, resample

Map = NDArray[np.float32]
START, END = "<!-- bench-explain -->", "<!-- /bench-explain -->"
OUTLINED = 0.5  # of a map's own largest value: peers stretch their maps, so no absolute level serves all alike


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.explain", description=__doc__)
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the section into this page")
    parser.add_argument("--cases", type=int, default=16, help="images of each kind for localisation")
    parser.add_argument(
        "--slow-cases", type=int, default=4, help="of them for methods that need many passes; 0: leave those out"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=10.0, help="start no further part after this")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    started, load = time.monotonic(), os.getloadavg()[0]
    bundle = find_bundle("brain-mri", installed_bundles())
    lines = _head(bundle, load)
    parts: list[Callable[[], list[str]]] = [
        lambda: localisation(bundle, arguments.cases, arguments.slow_cases),
        lambda: times(bundle, arguments.rounds),
        lambda: batch_of_64(bundle),
        lambda: cuda(bundle),
    ]
    skipped = 0
    for part in parts:
        if time.monotonic() - started > 60 * arguments.minutes:
            skipped += 1
            continue
        lines += ["", *part()]
        print(f"{time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    took = f"It took {time.monotonic() - started:.0f} s."
    lines += ["", took + (f" {skipped} part(s) were left out for want of time." if skipped else "")]
    text = "\n".join(lines)
    print(text)
    if arguments.markdown:
        _write(arguments.markdown, text)
    return 0


def _head(bundle: Bundle, load: float) -> list[str]:
    from bench.__main__ import _machine

    facts = _machine(load)
    from importlib.metadata import version

    packages = ", ".join(f"{name} {version(name)}" for name in ("torchcam", "shap", "lime"))
    return [
        "## Explaining by other methods, and by other tools",
        "",
        f"Made by `make bench-explain`. Engine {bundle.label}, its own weights in every tool; one thread.",
        "",
        *(f"- {name}: {value}" for name, value in facts.items()),
        f"- further: {packages}",
    ]


def _peers(bundle: Bundle) -> dict[str, Callable[[Map, int], Map]]:
    """Peer → map of one finding of one image ``(C, H, W)``, on the same weights."""
    import torch

    class Logits(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = load_twin(bundle)
            self.features = self.network.features

        def forward(self, x: Any) -> Any:
            return self.network(x)[0]

    stand_in_for_torchvision()
    captum, grad_cam = Captum(Logits()), GradCam(Logits())
    torch_cam = Logits()

    def by_torchcam(image: Map, finding: int) -> Map:
        from torchcam.methods import GradCAM, LayerCAM  # noqa: F401 - both are offered

        with GradCAM(torch_cam, target_layer=torch_cam.features) as extractor:
            scores = torch_cam(torch.from_numpy(image[None]).requires_grad_())
            return np.asarray(extractor(finding, scores)[0][0].detach().numpy())

    return {
        "Captum LayerGradCam": lambda image, k: captum(torch.from_numpy(image[None]), k)[0],
        "pytorch-grad-cam": lambda image, k: grad_cam(torch.from_numpy(image[None]), k)[0],
        "torchcam GradCAM": by_torchcam,
    }


def localisation(bundle: Bundle, count: int, slow: int) -> list[str]:
    """Hit rate, distance and overlap of every method and peer, on the same images and weights."""
    engine = load_engine(bundle, threads=1)
    peers = _peers(bundle)
    sets: dict[str, list[ReleaseCase]] = {"phantoms": case_source.phantom_cases(count)}
    if os.environ.get("RADIOLUCENT_DATA"):
        sets["validation slices"] = case_source.real_cases(
            Path(os.environ["RADIOLUCENT_DATA"]) / "brain-mri-cheng", bundle, count
        )
    lines = [
        "### Who points at the lesion",
        "",
        "Strongest cell inside the outline (hit), centroid of the map above half of its own peak to the outline's",
        "centroid (median with quartiles, mm), overlap at the same level (IoU, median). *n* images, evenly spread;",
        "methods that need hundreds of passes got fewer. Baselines know nothing of the image.",
        "",
        "| images | method | n | hit | mm | IoU | s an image |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, cases in sets.items():
        ways: dict[str, Callable[[ReleaseCase, int], Map]] = {
            **{key: _own(engine, key) for key in METHODS},
            **{key: _peer(peer) for key, peer in peers.items()},
            "baseline: middle of the image": lambda case, k: metrics.centre_prior(case.mask.shape),
        }
        for key, way in ways.items():
            few = key in METHODS and METHODS[key].passes > 20
            if few and slow == 0:
                continue
            lines.append(_placed_row(name, key, way, _spread_out(cases, slow) if few else cases, bundle))
            print(lines[-1], file=sys.stderr, flush=True)
    return lines


def _own(engine: Engine, key: str) -> Callable[[ReleaseCase, int], Map]:
    def way(case: ReleaseCase, k: int) -> Map:
        budget = Budget(passes=129 if METHODS[key].passes > 200 else None)
        return attribute(engine, case.image, case.record, case.finding, key, budget=budget)[0].values

    return way


def _peer(peer: Callable[[Map, int], Map]) -> Callable[[ReleaseCase, int], Map]:
    return lambda case, k: peer(case.image, k)


def _spread_out(cases: Sequence[ReleaseCase], count: int) -> list[ReleaseCase]:
    return [cases[i] for i in np.linspace(0, len(cases) - 1, min(count, len(cases))).round().astype(int)]


def _placed_row(
    images: str, key: str, way: Callable[[ReleaseCase, int], Map], cases: Sequence[ReleaseCase], bundle: Bundle
) -> str:
    hits, distances, overlaps, seconds = [], [], [], []
    for case in cases:
        k = bundle.manifest.finding_names.index(case.finding)
        started = time.perf_counter()
        values = np.maximum(way(case, k), 0)
        seconds.append(time.perf_counter() - started)
        drawn = values if values.shape == case.mask.shape else _drawn(values, case)
        peak = np.unravel_index(int(values.argmax()), values.shape)
        if values.shape == case.mask.shape:
            point = (float(peak[0]), float(peak[1]))
        else:
            row, column = map_points(case.record.grid_to_source(values.shape), np.array(peak, dtype=np.float64))
            point = (float(row), float(column))
        hits.append(is_inside(point, case.mask))
        level = OUTLINED * float(drawn.max())
        overlaps.append(metrics.overlap_at(drawn, case.mask, level)[0] if level > 0 else 0.0)
        distances.append(
            metrics.centroid_distance_mm(np.where(drawn >= level, drawn, 0), case.mask, case.spacing_mm or (1, 1))
        )
    far = np.percentile(distances, [25, 50, 75], method="nearest")
    mm = f"{far[1]:.1f} ({far[0]:.1f} to {far[2]:.1f})"
    return (
        f"| {images} | {key} | {len(cases)} | {np.mean(hits):.2f} | {mm} | {np.median(overlaps):.2f} "
        f"| {np.median(seconds):.2f} |"
    )


def _drawn(values: Map, case: ReleaseCase) -> Map:
    to_grid = np.linalg.inv(case.record.grid_to_source((values.shape[0], values.shape[1]))).astype(np.float64)
    shape = (case.mask.shape[0], case.mask.shape[1])
    return resample(values, to_grid, shape, mode="nearest")


def times(bundle: Bundle, rounds: int) -> list[str]:
    """One image: plain reading, all maps in the graph, and each peer for one finding and for all."""
    engine, peers, count = load_engine(bundle, threads=1), _peers(bundle), len(bundle.manifest.findings)
    spec = bundle.manifest.input
    image = np.random.default_rng(0).standard_normal((spec.channels, spec.height, spec.width)).astype(np.float32)
    ways: dict[str, Callable[[], object]] = {f"this engine, all {count} maps": lambda: engine.run(image[None])}
    for name, peer in peers.items():
        ways[f"{name}, 1 map"] = lambda peer=peer: peer(image, 0)  # type: ignore[misc]
        ways[f"{name}, {count} maps"] = lambda peer=peer: [peer(image, k) for k in range(count)]  # type: ignore[misc]
    rows = compare(ways, rounds=rounds, warm_up=1)
    return [
        "### Time, one image",
        "",
        f"{rounds} rounds, each beginning with another way; ratios within a round, by processor time, which other work",
        "on the machine disturbs least.",
        "",
        "| way | × the engine's reading | ms |",
        "|---|---|---|",
        *(f"| {row.name} | {row.cpu} | {row.milliseconds} |" for row in rows),
    ]


def batch_of_64(bundle: Bundle) -> list[str]:
    """64 slices: milliseconds a slice, and the largest difference from each slice alone."""
    engine, spec = load_engine(bundle, threads=1), bundle.manifest.input
    images = np.random.default_rng(1).standard_normal((64, spec.channels, spec.height, spec.width)).astype(np.float32)
    started = time.process_time()
    together = engine.run(images)
    seconds = time.process_time() - started
    alone = [engine.run(images[i : i + 1]).evidence[0] for i in (0, 31, 63)]
    off = max(float(np.abs(together.evidence[i] - one).max()) for i, one in zip((0, 31, 63), alone, strict=True))
    return [
        "### A batch of 64 slices",
        "",
        f"All maps of 64 slices: {1000 * seconds / 64:.1f} ms of processor time a slice; largest difference from the",
        f"same slice read alone {off:.1e} logits (three slices).",
    ]


def cuda(bundle: Bundle) -> list[str]:
    """512 slices on a GPU, where there is one."""
    import torch

    if not torch.cuda.is_available():
        return ["### On a GPU", "", "Not measured: this machine has none that PyTorch can use."]
    from radiolucent.engines.runtime import TorchEngine

    engine, spec = TorchEngine(bundle, largest_batch=64), bundle.manifest.input
    images = np.random.default_rng(2).standard_normal((512, spec.channels, spec.height, spec.width)).astype(np.float32)
    engine.run(images)
    found = spread([engine.run(images).milliseconds for _ in range(5)])
    return ["### On a GPU", "", f"All maps of 512 slices on {torch.cuda.get_device_name()}: {found} ms, 5 rounds."]


def _write(page: Path, text: str) -> None:
    """Put the section between its marks; at the end where the page has none yet."""
    before = page.read_text(encoding="utf-8") if page.exists() else "# Benchmarks\n"
    block = f"{START}\n{text}\n{END}\n"
    if START in before:
        before = re.sub(f"{re.escape(START)}.*?{re.escape(END)}\n?", lambda _: block, before, flags=re.DOTALL)
    else:
        before = before.rstrip("\n") + "\n\n" + block
    page.write_text(before, encoding="utf-8")


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sys.exit(main())
