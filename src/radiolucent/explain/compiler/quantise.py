"""An engine with eight-bit weights, and by how much its scores and its evidence moved on the way."""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_dynamic, quantize_static

from radiolucent.engines.bundle import Bundle, load_bundle, sign
from radiolucent.engines.runtime import verify
from radiolucent.errors import InvalidBundle, OutputExists
from radiolucent.explain.compiler.texts import manifest_toml

Method = Literal["dynamic", "static"]
Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Moved:
    """How one finding changed, over all images.

    Parameters
    ----------
    finding : its name.
    logit : largest absolute change of the logit.
    score : largest absolute change of ``sigmoid(logit)``.
    flips : images on which the finding passes its operating point with the one graph and not with the other.
    evidence : largest absolute change of the map over its largest absolute value.
    correlation : Pearson's, of all cells of all maps before and after; NaN where one of them is constant.
    peaks_moved : images whose largest cell is another one.
    """

    finding: str
    logit: float
    score: float
    flips: int
    evidence: float
    correlation: float
    peaks_moved: int


@dataclass(frozen=True, kw_only=True)
class Quantised:
    """A bundle with eight-bit weights and what that cost.

    Parameters
    ----------
    images : how many were compared.
    bytes_before, bytes_after : of the graph's file.
    milliseconds_before, milliseconds_after : for one image, median, one thread.
    """

    bundle: Bundle
    method: Method
    moved: tuple[Moved, ...]
    images: int
    bytes_before: int
    bytes_after: int
    milliseconds_before: float
    milliseconds_after: float


def quantise_engine(bundle: Bundle, output: Path, images: Float32, *, method: Method = "dynamic") -> Quantised:
    """Write the engine again with eight-bit weights, and compare the two on images.

    What makes the logits and the evidence out of the feature map stays in float32, so the map still adds up to the
    logit. Calibration and operating points are left behind: the new engine's scores are others and need their own.

    Parameters
    ----------
    bundle : the engine.
    output : the new bundle's folder; it must not exist, and appears whole or not at all.
    images : float32 ``(N, C, …)`` as the recipe gives them; `static` takes its ranges from them.
    method : ``dynamic`` (ranges of activations while it runs) or ``static`` (fixed ranges, faster).

    Raises
    ------
    InvalidBundle
        If there is nothing to make smaller, the images don't fit the engine, or the result can't run.
    IncompleteEvidence
        If the maps no longer add up to the logits.
    OutputExists
        If `output` exists.
    """
    if output.exists():
        raise OutputExists(f"{output} exists; name a new folder")
    spec = bundle.manifest.input
    sides = (spec.depth, spec.height, spec.width) if spec.depth else (spec.height, spec.width)
    if images.dtype != np.float32 or images.shape[1:] != (spec.channels, *sides) or len(images) == 0:
        raise InvalidBundle(f"images must be float32 {('N', spec.channels, *sides)}, not {images.dtype} {images.shape}")
    output.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".quantising-", dir=output.parent))
    try:
        _quantise(bundle.path / "graph.onnx", folder / "graph.onnx", images, method, bundle.label)
        before, slow = _outputs(bundle.path / "graph.onnx", images)
        after, fast = _outputs(folder / "graph.onnx", images)
        moved = compare(bundle, before, after)
        manifest = bundle.manifest.model_copy(
            update={
                "name": f"{bundle.manifest.name}-int8",
                "title": f"{bundle.manifest.title} (8 bit, {method})",
                "twin": None,
            }
        )
        (folder / "manifest.toml").write_text(manifest_toml(manifest), encoding="utf-8")
        result = Quantised(
            bundle=bundle,
            method=method,
            moved=moved,
            images=len(images),
            bytes_before=(bundle.path / "graph.onnx").stat().st_size,
            bytes_after=(folder / "graph.onnx").stat().st_size,
            milliseconds_before=slow,
            milliseconds_after=fast,
        )
        story = (bundle.path / "card.md").read_text(encoding="utf-8")
        (folder / "card.md").write_text(f"{story}\n{report(result)}", encoding="utf-8")
        sign(folder)
        verify(load_bundle(folder))
        folder.chmod(0o755)
        folder.rename(output)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Quantised(**{**vars(result), "bundle": load_bundle(output)})


def compare(bundle: Bundle, before: Mapping[str, Float32], after: Mapping[str, Float32]) -> tuple[Moved, ...]:
    """What changed between two graphs' outputs on the same images, finding by finding.

    Parameters
    ----------
    before, after : ``logits`` float32 ``(N, K)`` and ``evidence`` float32 ``(N, K, …)``.
    """
    return tuple(
        _moved(
            bundle,
            name,
            *(outputs["logits"][:, index].astype(np.float64) for outputs in (before, after)),
            *(outputs["evidence"][:, index].astype(np.float64) for outputs in (before, after)),
        )
        for index, name in enumerate(bundle.manifest.finding_names)
    )


def report(result: Quantised) -> str:
    """Markdown: how scores and evidence moved."""
    lines = [
        f"## Eight bits ({result.method})",
        "",
        f"Compared with the engine in float32 on {result.images} image(s): {result.bytes_before / 2**20:.1f} → "
        f"{result.bytes_after / 2**20:.1f} MiB, {result.milliseconds_before:.1f} → {result.milliseconds_after:.1f} ms "
        "an image (median, one thread).",
        "",
        "| finding | logit, largest change | score, largest change | other side of the threshold | map, largest change "
        "| correlation of the maps | peak in another cell |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row.finding} | {row.logit:.3f} | {row.score:.3f} | {row.flips} | {row.evidence:.1%} | "
        f"{row.correlation:.4f} | {row.peaks_moved} |"
        for row in result.moved
    ]
    lines += ["", "Calibration and operating points were left behind: they belong to the engine in float32."]
    return "\n".join(lines) + "\n"


def _moved(bundle: Bundle, name: str, logits: Float64, new_logits: Float64, maps: Float64, new_maps: Float64) -> Moved:
    scores, new_scores = (1 / (1 + np.exp(-value)) for value in (logits, new_logits))
    flat, new_flat = maps.reshape(len(maps), -1), new_maps.reshape(len(maps), -1)
    constant = flat.std() == 0 or new_flat.std() == 0
    flips = sum(
        _present(bundle, name, one) != _present(bundle, name, other)
        for one, other in zip(logits, new_logits, strict=True)
    )
    return Moved(
        finding=name,
        logit=float(np.abs(new_logits - logits).max()),
        score=float(np.abs(new_scores - scores).max()),
        flips=flips,
        evidence=float(np.abs(new_flat - flat).max() / max(float(np.abs(flat).max()), 1e-12)),
        correlation=float("nan") if constant else float(np.corrcoef(flat.ravel(), new_flat.ravel())[0, 1]),
        peaks_moved=int((flat.argmax(axis=1) != new_flat.argmax(axis=1)).sum()),
    )


def _present(bundle: Bundle, name: str, logit: float) -> bool:
    probability = bundle.probability(name, logit)
    return (bundle.score(logit) if probability is None else probability) >= bundle.operating_point(name)


def _quantise(source: Path, target: Path, images: Float32, method: Method, label: str) -> None:
    model = onnx.load(source)
    del model.graph.value_info[:]  # shapes that the exporter noted before it folded nodes; they are found again
    kept = _heads(model.graph)
    wanted = {"Conv", "MatMul", "Gemm"}
    if not any(node.op_type in wanted and node.name not in kept for node in model.graph.node):
        raise InvalidBundle(f"{label}: there is no convolution or product before the feature map to make smaller")
    options: dict[str, Any] = {"op_types_to_quantize": sorted(wanted), "nodes_to_exclude": kept, "per_channel": True}
    with _quiet():
        if method == "dynamic":
            quantize_dynamic(model, target, weight_type=QuantType.QUInt8, **{**options, "per_channel": False})
        else:
            reader = _Reader(images)
            quantize_static(model, target, reader, quant_format=QuantFormat.QDQ, weight_type=QuantType.QInt8, **options)


def _heads(graph: Any) -> list[str]:
    """Names of the nodes that only the logits or only the evidence need: they stay in float32."""
    made_by = {name: node for node in graph.node for name in node.output}

    def needed(output: str) -> set[str]:
        found, waiting = set(), [output]
        while waiting:
            node = made_by.get(waiting.pop())
            if node is not None and node.name not in found:
                found.add(node.name)
                waiting += node.input
        return found

    heads = needed("logits") ^ needed("evidence")
    return sorted(heads | {f"{name}_MatMul" for name in heads})  # ONNX Runtime renames a Gemm that it splits


class _Reader(CalibrationDataReader):
    def __init__(self, images: Float32) -> None:
        self._images: Iterator[Float32] = iter(images[index : index + 1] for index in range(len(images)))

    def get_next(self) -> dict[str, Float32] | None:
        part = next(self._images, None)
        return None if part is None else {"image": part}


def _outputs(graph: Path, images: Float32) -> tuple[dict[str, Float32], float]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names, parts, times = ["logits", "evidence"], [], []
    place = session.get_inputs()[0].name
    for index in range(len(images)):
        start = time.perf_counter()
        parts.append(session.run(names, {place: images[index : index + 1]}))
        times.append((time.perf_counter() - start) * 1000)
    outputs = {name: np.concatenate([part[place] for part in parts]) for place, name in enumerate(names)}
    return outputs, float(np.median(times))


@contextmanager
def _quiet() -> Iterator[None]:
    """ONNX Runtime's quantisation advises on the root logger; nothing of it can be acted on here."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
