"""The quality gate on engines as they are and on broken ones: ``python -m bench.gate`` prints how often it says what.

Broken on purpose: weights shuffled, and a small network that learned a marker in the corner instead of the tumour.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radiolucent.engines.bundle import Bundle
from radiolucent.engines.manifest import HeadSpec
from radiolucent.engines.preprocess import prepare
from radiolucent.engines.registry import find_bundle, installed_bundles
from radiolucent.engines.runtime import Engine, EngineOutput, load_engine, load_twin
from radiolucent.evaluate.explanation_release import ReleaseCase, release_checks
from radiolucent.evaluate.layouts import draw_outlines, read_pixels, read_rows
from radiolucent.explain.completeness import check
from radiolucent.explain.gate import CaseMeasures, default_gate, judge_case, judge_engine
from radiolucent.explain.localize import localise
from radiolucent.findings.reading import ExplanationVerdict, Finding
from radiolucent.findings.stability import stability
from radiolucent.imaging.body import body_box
from radiolucent.imaging.geometry import PixelRecord
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Frame
from radiolucent.phantom.studies import arrays
from radiolucent.pipeline.quality_gate import gated

Image = NDArray[np.float32]
TOKEN = (slice(6, 18), slice(6, 18))
SPACING = (1.25, 1.25)
_FRAME = Frame(sop_class_uid="1.2", sop_instance_uid="1.2")


class NetworkEngine:
    """A PyTorch network in the place of an engine's graph."""

    def __init__(self, bundle: Bundle, network: Any) -> None:
        self.bundle, self._network = bundle, network.eval()

    def run(self, batch: Image) -> EngineOutput:
        import torch

        with torch.inference_mode():
            logits, evidence = self._network(torch.from_numpy(batch))
        return EngineOutput(logits=logits.numpy(), evidence=evidence.numpy(), milliseconds=0.0)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gate", description=__doc__)
    parser.add_argument("--cases", type=int, default=60, help="images of each kind")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    results = measure(arguments.cases)
    if arguments.json:
        print(json.dumps(results, indent=1))
    else:
        print("\n".join(_lines(results)))
    return 0


def measure(count: int) -> list[dict[str, Any]]:
    """One row an engine and set of images."""
    bundle = find_bundle("brain-mri", installed_bundles())
    engine: Engine = load_engine(bundle, threads=1)
    scrambled = NetworkEngine(bundle, shuffled(bundle))
    phantoms = phantom_cases(count)
    print(f"{len(phantoms)} phantoms drawn", file=sys.stderr, flush=True)
    plan: list[tuple[str, Engine, Sequence[ReleaseCase], Engine | None]] = []
    plan.append(("weights shuffled, phantoms", scrambled, phantoms, None))
    plan.append(("brain-mri, phantoms", engine, phantoms, scrambled))
    start = time.perf_counter()
    shortcut, accuracy = shortcut_engine(bundle)
    seconds = time.perf_counter() - start
    print(
        f"shortcut learned in {seconds:.0f} s, right on {accuracy:.0%} of what it was taught",
        file=sys.stderr,
        flush=True,
    )
    index = bundle.manifest.finding_names.index
    marked = [replace(case, image=_marked(case.image, index(case.finding))) for case in phantoms]
    plan.insert(0, ("marker in the corner learned, phantoms", shortcut, marked, None))
    if os.environ.get("RADIOLUCENT_DATA"):
        real = real_cases(Path(os.environ["RADIOLUCENT_DATA"]) / "brain-mri-cheng", bundle, count)
        plan.append(("brain-mri, validation slices", engine, real, scrambled))
        plan.append(("weights shuffled, validation slices", scrambled, real, None))
    results = []
    for row in plan:
        results.append(_row(*row))
        print("\n".join(_lines(results[-1:])), file=sys.stderr, flush=True)
    return results


def real_cases(folder: Path, bundle: Bundle, count: int) -> list[ReleaseCase]:
    """Validation slices, evenly spread."""
    rows = [row for row in read_rows(folder) if row.split == "val" and row.outlined]
    cases = []
    for index in np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int):
        row = rows[index]
        pixels = read_pixels(row.path)[None]
        batch, record = prepare(pixels, row.spacing_mm, bundle.manifest.input)
        finding = next(name for name, value in row.labels.items() if value == 1)
        mask = draw_outlines(row, finding, (pixels.shape[1], pixels.shape[2])) >= 0.5
        cases.append(_case(finding, batch[0], record, mask, pixels, row.spacing_mm))
    return cases


def phantom_cases(count: int, *, seed: int = 0) -> list[ReleaseCase]:
    """Synthetic slices through each kind of tumour, with exact masks, as the network sees them."""
    bundle = find_bundle("brain-mri", installed_bundles())
    cases = []
    for number in range(count):
        finding = bundle.manifest.finding_names[number % 3]
        volume, spacing, masks = _drawn(finding, seed + number)
        best = int(masks.sum(axis=(1, 2)).argmax())
        batch, record = prepare(volume[best : best + 1], spacing, bundle.manifest.input)
        mask = record.apply(masks[best].astype(np.float32)) > 0.5
        identity = PixelRecord(source_shape=(mask.shape[0], mask.shape[1]))
        if mask.any():
            cases.append(_case(finding, batch[0], identity, mask, batch[:, 0] + 1, SPACING))
    return cases


def _drawn(finding: str, seed: int) -> tuple[Image, tuple[float, float], NDArray[np.bool_]]:
    volume, spacing, masks = arrays("brain-mr", [finding], seed=seed, slices=5)
    return volume, spacing, masks[finding]


def _case(
    finding: str, image: Image, record: PixelRecord, mask: NDArray[np.bool_], pixels: Image, spacing: Any
) -> ReleaseCase:
    top, left, height, width = body_box(pixels)
    centre = (top + height / 2, left + width / 2)
    return ReleaseCase(finding=finding, image=image, record=record, mask=mask, centre=centre, spacing_mm=spacing)


def shuffled(bundle: Bundle) -> Any:
    """The engine's network with the weights of every layer shuffled."""
    from radiolucent.explain.attribution import randomised

    return [network for _, network in randomised(load_twin(bundle))][-1]


def shortcut_engine(bundle: Bundle, *, images: int = 24, epochs: int = 40) -> tuple[NetworkEngine, float]:
    """A small network, taught by image labels alone, on phantoms with a bright token wherever there is a tumour.

    The token's pattern tells the kind of tumour, in the upper left corner.
    """
    import torch

    from radiolucent.engines.network import build_network

    findings = bundle.manifest.finding_names
    cases = phantom_cases(images, seed=10_000)
    x = torch.from_numpy(np.stack([_marked(case.image, findings.index(case.finding)) for case in cases]))
    plain = torch.from_numpy(np.stack([case.image for case in cases]))
    y = torch.zeros(len(cases), 3)
    for row, case in enumerate(cases):
        y[row, findings.index(case.finding)] = 1
    torch.manual_seed(0)
    sizes = {"stem": 8, "widths": [12, 16], "depths": [1, 1], "top": 16, "grid_stride": 8}
    network = build_network("evidence-net", {"findings": 3, "pooling": "log-sum-exp", "sharpness": 2.0, **sizes})
    optimiser = torch.optim.AdamW(network.parameters(), lr=5e-3)
    both, labels = torch.cat([x, plain]), torch.cat([y, torch.zeros_like(y)])  # without its token: nothing to find
    for _ in range(epochs):
        order = torch.randperm(len(both))
        for part in order.split(12):
            loss = torch.nn.functional.binary_cross_entropy_with_logits(network(both[part])[0], labels[part])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    network.eval()
    with torch.inference_mode():
        logits, evidence = network(x)
    side = int(evidence.shape[-1])
    manifest = bundle.manifest.model_copy(
        update={
            "name": "marker-shortcut",
            "head": HeadSpec(pooling="log-sum-exp", sharpness=2.0, grid=(side, side), tolerance=1e-3),
            "findings": [
                entry.model_copy(update={"display_scale": max(float(evidence[:, k].quantile(0.999)), 0.5)})
                for k, entry in enumerate(bundle.manifest.findings)
            ],
        }
    )
    accuracy = float((logits.argmax(1) == y.argmax(1)).float().mean())
    return NetworkEngine(replace(bundle, manifest=manifest, calibration=None), network), accuracy


def _marked(image: Image, finding: int) -> Image:
    out, token = image.copy(), np.full((12, 12), 3.0, dtype=np.float32)
    if finding:  # a plain square, lying stripes, standing stripes: place alone means nothing to a convolution
        stripes = np.where(np.arange(12) // 2 % 2, np.float32(3.0), np.float32(-1.0))
        token = np.repeat(stripes[:, None], 12, axis=1) if finding == 1 else np.repeat(stripes[None], 12, axis=0)
    out[0][TOKEN] = token
    return out


def verdicts(engine: Engine, case: ReleaseCase) -> dict[str, ExplanationVerdict]:
    """The gate's word on the map of the case's own finding, for every use case, with all checks measured."""
    manifest = engine.bundle.manifest
    index = manifest.finding_names.index(case.finding)
    output = engine.run(case.image[None])
    heatmap = Heatmap(
        evidence=np.ascontiguousarray(output.evidence[:, index]),
        record=case.record,
        display_scale=manifest.findings[index].display_scale,
    )
    finding = Finding(
        name=case.finding,
        basis="real",
        logit=float(output.logits[0, index]),
        score=0.5,
        probability=None,
        operating_point=0.5,
        positive=True,
        frame_logits=(float(output.logits[0, index]),),
        heatmap=heatmap,
        localisation=localise(heatmap, [_FRAME], slice_spacing_mm=None),
    )
    pixels = _as_pixels(case)
    whole = check(output.logits, output.evidence, manifest)
    if finding.localisation is not None and finding.localisation.status == "located":
        run = lambda images: ((found := engine.run(images)).logits, found.evidence)  # noqa: E731
        finding = replace(finding, stability=stability(run, case.image, index, grid=manifest.head.grid))
    (one,) = gated([finding], pixels, case.image[None], engine, completeness=whole, thorough=True)
    found = one.explanation
    if found is None:
        raise ValueError("a positive finding has a verdict")
    if len(found.checks) < 2:  # no map was located: empty, or failed
        return dict.fromkeys(default_gate().use_cases, found)
    measured = {check.name.replace("-", "_"): check.value for check in found.checks}
    return {name: judge_case(CaseMeasures(**measured), use_case=name) for name in default_gate().use_cases}


def _as_pixels(case: ReleaseCase) -> Image:
    """The network's input laid back on the frame: enough to find the body."""
    from radiolucent.imaging.geometry import resample

    return resample(case.image[:1] + 1, case.record.matrix, case.record.source_shape, mode="nearest")


def _row(name: str, engine: Engine, cases: Sequence[ReleaseCase], scrambled: Engine | None) -> dict[str, Any]:
    every = [verdicts(engine, case) for case in cases]
    values = release_checks(engine, cases, scrambled=scrambled)
    word = judge_engine(values)
    return {
        "engine": name,
        "n": len(cases),
        "rates": {
            use: {key: count / len(cases) for key, count in sorted(Counter(one[use].decision for one in every).items())}
            for use in default_gate().use_cases
        },
        "failed_checks": dict(
            Counter(c.name for one in every for c in one["second-reader"].checks if c.result == "fail").most_common()
        ),
        "medians": _medians([one["second-reader"] for one in every]),
        "release": {key: round(value, 3) for key, value in values.items()},
        "release_passes": word.passes,
        "release_failed": list(word.failed),
    }


def _medians(every: Sequence[ExplanationVerdict]) -> dict[str, list[float]]:
    """Tenth percentile, median and ninetieth of each value that was measured."""
    found: dict[str, list[float]] = {}
    for verdict in every:
        for one in verdict.checks:
            if one.value is not None:
                found.setdefault(one.name, []).append(one.value)
    return {name: [round(float(q), 3) for q in np.percentile(values, [10, 50, 90])] for name, values in found.items()}


def _lines(results: Sequence[dict[str, Any]]) -> list[str]:
    lines = []
    for row in results:
        lines.append(f"{row['engine']} (n = {row['n']})")
        for use, rates in row["rates"].items():
            lines.append(f"  {use}: " + ", ".join(f"{key} {value:.0%}" for key, value in rates.items()))
        lines.append(f"  failed checks (second reader): {row['failed_checks']}")
        lines.append(f"  10th, 50th, 90th percentile: {row['medians']}")
        word = "passes" if row["release_passes"] else f"FAILS by {', '.join(row['release_failed'])}"
        lines.append(f"  release: {word}; {row['release']}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
