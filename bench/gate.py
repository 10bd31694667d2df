"""The quality gate on engines as they are and on broken ones: ``python -m bench.gate`` prints how often it says what.

Broken on purpose: weights shuffled, and a small network that learned a marker in the corner instead of the tumour.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.cases import CaseSet, case_sets, phantom_cases
from bench.sections import Section
from bench.shortcut import NetworkEngine, marked, shortcut_engine
from radiolucent.engines.bundle import Bundle
from radiolucent.engines.runtime import Engine, EngineOutput, load_engine, load_twin
from radiolucent.evaluate.explanation_release import ReleaseCase, release_checks
from radiolucent.explain.completeness import check
from radiolucent.explain.gate import CaseMeasures, default_gate, judge_case, judge_engine
from radiolucent.explain.localize import localise
from radiolucent.findings.reading import ExplanationVerdict, Finding
from radiolucent.findings.stability import stability
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Frame
from radiolucent.pipeline.quality_gate import gated

Image = NDArray[np.float32]
ASKED_OF_ANY = ("focus-share", "random-logit", "randomisation")
"""Release checks that need no outline."""
DECISIONS = ("show", "show-with-warning", "do-not-show")
_FRAME = Frame(sop_class_uid="1.2", sop_instance_uid="1.2")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.gate", description=__doc__)
    parser.add_argument("--cases", type=int, default=60, help="images of each kind")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", action="append", metavar="SET", help="this set of images alone; can be repeated")
    arguments = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    sets = [one for one in case_sets(arguments.cases) if not arguments.only or one.name in arguments.only]
    results = measure(sets)
    if arguments.json:
        print(json.dumps(results, indent=1))
    else:
        print("\n".join(_lines(results)))
    return 0


def measure(sets: Sequence[CaseSet], *, taught: int = 9) -> list[dict[str, Any]]:
    """One row an engine and set of images: on phantoms one that learned a marker; each engine shuffled, and as it is.

    Of an engine as it is, maps of findings above their threshold count; of a broken one every map, whatever its score.
    """
    results = [_marker_row(one, taught) for one in sets if one.name == "phantoms"]
    for one in sets:
        every = NetworkEngine(one.bundle, shuffled(one.bundle))
        heads = NetworkEngine(one.bundle, shuffled(one.bundle, heads=True))
        label, intact = one.bundle.label, load_engine(one.bundle, threads=1)
        results += [
            _row(f"{label}, every layer's weights shuffled, {one.name}", every, one.cases, outlined=one.outlined),
            _row(f"{label}, heads' weights shuffled, {one.name}", heads, one.cases, outlined=one.outlined),
            _row(f"{label}, {one.name}", intact, one.cases, scrambled=every, broken=False, outlined=one.outlined),
        ]
    return results


def _marker_row(phantoms: CaseSet, taught: int) -> dict[str, Any]:
    start, bundle = time.perf_counter(), phantoms.bundle
    lessons = [case.image for case in phantom_cases(taught, seed=10_000)]
    shortcut, learned = shortcut_engine(bundle, lessons, [case.image for case in phantoms.cases])
    _tell(f"shortcut learned in {time.perf_counter() - start:.0f} s: {learned.words}")
    index = bundle.manifest.finding_names.index
    tokens = [replace(case, image=marked(case.image, index(case.finding))) for case in phantoms.cases]
    return _row(f"marker in the corner learned ({learned.words}), phantoms", shortcut, tokens)


def _tell(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def shuffled(bundle: Bundle, *, heads: bool = False) -> Any:
    """The engine's network with the weights of every layer shuffled, or of those alone that read its features."""
    from radiolucent.explain.attribution import randomised

    twin = load_twin(bundle)
    layers = [name for name, part in twin.named_modules() if any(True for _ in part.parameters(recurse=False))]
    count = sum(not name.startswith("features.") for name in layers) if heads else len(layers)
    *_, (_, network) = islice(randomised(twin), count)
    return network


def finding_of(case: ReleaseCase, engine: Engine, output: EngineOutput) -> Finding:
    """The case's own finding, as if above its threshold, on as many frames as `output` has."""
    manifest = engine.bundle.manifest
    index = manifest.finding_names.index(case.finding)
    heatmap = Heatmap(
        evidence=np.ascontiguousarray(output.evidence[:, index]),
        record=case.record,
        display_scale=manifest.findings[index].display_scale,
    )
    logits = tuple(float(value) for value in output.logits[:, index])
    return Finding(
        name=case.finding,
        basis="real",
        logit=max(logits),
        score=0.5,
        probability=None,
        operating_point=0.5,
        positive=True,
        frame_logits=logits,
        heatmap=heatmap,
        localisation=localise(heatmap, [_FRAME] * len(logits), slice_spacing_mm=None),
    )


def verdicts(engine: Engine, case: ReleaseCase) -> dict[str, ExplanationVerdict]:
    """The gate's word on the map of the case's own finding, for every use case, with all checks measured."""
    manifest, output = engine.bundle.manifest, engine.run(case.image[None])
    index, finding = manifest.finding_names.index(case.finding), finding_of(case, engine, output)
    pixels = as_pixels(case)
    whole = check(output.logits, output.evidence, manifest)
    if finding.localisation is not None and finding.localisation.status == "located":
        run = lambda images: ((found := engine.run(images)).logits, found.evidence)  # noqa: E731
        finding = replace(finding, stability=stability(run, case.image, index, grid=manifest.head.grid))

    def judged(use_case: str) -> ExplanationVerdict:
        (one,) = gated(
            [finding], pixels, case.image[None], engine, completeness=whole, thorough=True, use_case=use_case
        )
        if one.explanation is None:
            raise ValueError("a positive finding has a verdict")
        return one.explanation

    uses = default_gate().use_cases
    if finding.localisation is None or finding.localisation.status != "located":
        return {name: judged(name) for name in uses}
    found = judged("")
    measured: dict[str, Any] = {check.name.replace("-", "_"): check.value for check in found.checks}
    measures = CaseMeasures(**measured)
    return {name: judge_case(measures, use_case=name) for name in uses}


def as_pixels(case: ReleaseCase) -> Image:
    """The network's input laid back on the frame: enough to find the body."""
    from radiolucent.imaging.geometry import resample

    return resample(case.image[:1] + 1, case.record.matrix, case.record.source_shape, mode="nearest")


def _row(
    name: str,
    engine: Engine,
    cases: Sequence[ReleaseCase],
    *,
    scrambled: Engine | None = None,
    broken: bool = True,
    outlined: bool = True,
) -> dict[str, Any]:
    called = [_is_called(engine, case) for case in cases]
    judged = [verdicts(engine, case) for case, above in zip(cases, called, strict=True) if above or broken]
    values = release_checks(engine, cases, scrambled=scrambled)
    if not outlined:  # whether a map lies on the finding can't be asked
        values = {name: value for name, value in values.items() if name in ASKED_OF_ANY}
    word = judge_engine(values)
    row = {
        "engine": name,
        "n": len(cases),
        "above_threshold": sum(called),
        "judged": len(judged),
        "rates": {use: _rates([one[use] for one in judged]) for use in default_gate().use_cases},
        "failed_checks": dict(
            Counter(c.name for one in judged for c in one["second-reader"].checks if c.result == "fail").most_common()
        ),
        "medians": _medians([one["second-reader"] for one in judged]),
        "release": {key: round(value, 3) if np.isfinite(value) else "none" for key, value in values.items()},
        "release_passes": word.passes and outlined,
        "outlined": outlined,
        "release_failed": list(word.failed),
    }
    _tell("\n".join(_lines([row])))
    return row


def _is_called(engine: Engine, case: ReleaseCase) -> bool:
    bundle = engine.bundle
    logit = float(engine.run(case.image[None]).logits[0, bundle.manifest.finding_names.index(case.finding)])
    probability = bundle.probability(case.finding, logit)
    score = bundle.score(logit) if probability is None else probability
    return score >= bundle.operating_point(case.finding)


def _rates(every: Sequence[ExplanationVerdict]) -> dict[str, float]:
    count: Counter[str] = Counter(one.decision for one in every)
    return {decision: count[decision] / max(1, len(every)) for decision in DECISIONS}


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
        lines.append(
            f"{row['engine']} (n = {row['n']}, above threshold {row['above_threshold']}, maps judged {row['judged']})"
        )
        for use, rates in row["rates"].items():
            lines.append(f"  {use}: " + ", ".join(f"{key} {value:.0%}" for key, value in rates.items()))
        lines.append(f"  failed checks (second reader): {row['failed_checks']}")
        lines.append(f"  10th, 50th, 90th percentile: {row['medians']}")
        lines.append(f"  release: {_at_release(row)}; {row['release']}")
    return lines


def _at_release(row: dict[str, Any]) -> str:
    if row["release_failed"]:
        return f"refused: {', '.join(row['release_failed'])}"
    return "passes" if row["release_passes"] else "not judged: no outlines"


def section(results: Sequence[dict[str, Any]], use_case: str = "second-reader") -> Section:
    """The rows as a table of one use case."""
    rows = []
    for row in results:
        rates = (f"{row['rates'][use_case][decision]:.0%}" for decision in DECISIONS)
        by = ", ".join(f"{name} {count}" for name, count in row["failed_checks"].items()) or "–"
        numbers = (str(row[key]) for key in ("n", "above_threshold", "judged"))
        rows.append((row["engine"], *numbers, *rates, by, _at_release(row)))
    words = (
        f"Policy: {use_case}. Of an engine as it is, maps of findings above their threshold are judged; of one broken "
        "on purpose every map, whatever its score. Held back by focus: the map is empty."
    )
    header = (
        "engine, images",
        "n",
        "above threshold",
        "maps judged",
        "shown",
        "with a warning",
        "held back",
        "by",
        "at release",
    )
    data = {row["engine"]: row for row in results}
    return Section(title="What the quality gate says", words=words, header=header, rows=tuple(rows), data=data)


if __name__ == "__main__":
    sys.exit(main())
