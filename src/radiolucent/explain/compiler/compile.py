"""From a PyTorch network to an engine bundle: trace, cut, understand the head, check against autograd, write, run."""

from __future__ import annotations

import logging
import math
import re
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.onnx import OnnxExporterError

from radiolucent.engines.bundle import Bundle, OperatingPoint, OperatingPoints, load_bundle, sign
from radiolucent.engines.manifest import FindingEntry, HeadSpec, InputSpec, Manifest
from radiolucent.engines.preprocess import prepare
from radiolucent.engines.runtime import verify
from radiolucent.errors import IncompleteEvidence, InvalidBundle, OutputExists
from radiolucent.explain.compiler.answers import as_given, scores_of
from radiolucent.explain.compiler.graph import Cut, Traced, cuts, feature_maps, layers, split, trace
from radiolucent.explain.compiler.heads import Head, Kind, NoGrid, in_place, jacobian, summed_slopes, understand
from radiolucent.explain.compiler.plan import Plan
from radiolucent.explain.compiler.rollout import NOTE, attention_rollout
from radiolucent.explain.compiler.texts import card, manifest_toml
from radiolucent.findings.taxonomy import finding_type

LARGEST_DIFFERENCE = 1e-3
"""Relative difference between the compiled evidence and full autograd above which nothing is written."""
OPSET = 21


@dataclass(frozen=True, kw_only=True)
class Compiled:
    """What the compiler found and measured.

    Parameters
    ----------
    layer : module whose output is explained.
    kind, method : of the head, see `heads`.
    autograd : largest relative difference between the evidence and Grad-CAM, ``Σ_c (Σ_cells ∂logit/∂A_c) A_c``, by
        full autograd (weights per cell: the product cell by cell; class maps: between their pool and the logits).
    graph : largest relative difference between ONNX Runtime and PyTorch, logits and evidence.
    completeness : largest difference between pooled maps and logits, logit units; None for a map of first order.
    notes : what was changed on the way.
    """

    bundle: Bundle
    layer: str
    kind: Kind
    method: str
    autograd: float
    graph: float
    completeness: float | None
    notes: tuple[str, ...] = field(default=())


class Normalised(nn.Module):
    """A network behind its own normalisation: repeats a single channel, takes off `mean`, divides by `std`."""

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float], axes: int = 2) -> None:
        super().__init__()
        if len(mean) != len(std) or min(std) <= 0:
            raise InvalidBundle(f"mean {list(mean)} and std {list(std)} must be one positive std per mean")
        self.wrapped_network = network
        self.mean: Tensor
        self.std: Tensor
        ones = (1,) * axes
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, *ones))
        self.register_buffer("std", torch.tensor(std).reshape(1, -1, *ones))

    def forward(self, x: Tensor) -> Any:
        return self.wrapped_network((x - self.mean) / self.std)


class Turned(nn.Module):
    """A network or map whose three axes of space come in the opposite order: MONAI's (x, y, z) are our (z, y, x)."""

    def __init__(self, inner: nn.Module, *, result: bool) -> None:
        super().__init__()
        self.wrapped_network, self.result = inner, result

    def forward(self, x: Tensor) -> Any:
        if self.result:
            return self.wrapped_network(x).permute(0, 1, 4, 3, 2)
        return self.wrapped_network(x.permute(0, 1, 4, 3, 2))


class Explained(nn.Module):
    """Images → logits ``(N, K)`` and evidence ``(N, K, h, w)``, in one pass; then the rollout where there is one."""

    def __init__(
        self, backbone: fx.GraphModule, head: fx.GraphModule, maps: nn.Module, rollout: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.backbone, self.head, self.maps, self.rollout = backbone, head, maps, rollout

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        features = self.backbone(x)
        if self.rollout is not None:
            return self.head(features), self.maps(features), self.rollout(x)
        return self.head(features), self.maps(features)


def compile_engine(
    network: nn.Module, plan: Plan, output: Path, *, images: NDArray[np.float32] | None = None
) -> Compiled:
    """Write a bundle whose one graph gives the network's scores and their evidence.

    Parameters
    ----------
    network : takes one batch of images; its weights are loaded. It is put into evaluation mode.
    plan : what the network doesn't say of itself.
    output : the bundle's folder; it must not exist, and appears whole or not at all.
    images : float32 ``(N, C, H, W)``, or ``(N, C, D, H, W)`` for volumes, as the recipe gives them: the checks run on
        them as well as on noise.

    Returns
    -------
    What was found and measured.

    Raises
    ------
    InvalidBundle
        If the network can't be asked (`answers`), traced or cut, its maps don't fit a bundle, a finding isn't in the
        taxonomy, a threshold is missing, or graph and network differ by more than `LARGEST_DIFFERENCE`.
    IncompleteEvidence
        If the evidence differs from full autograd by more than `LARGEST_DIFFERENCE`, or is 0 everywhere.
    OutputExists
        If `output` exists.
    """
    if output.exists():
        raise OutputExists(f"{output} exists; name a new folder")
    for name in plan.findings:
        finding_type(name)
    axes, turned = 3 if plan.input.depth else 2, plan.axes == "xyz"
    network, changed = as_given(network)
    network = Turned(network, result=False) if turned else network
    whole = Normalised(network, plan.mean, plan.std, axes) if plan.mean else network
    batch = _batch(plan.input, images)
    whole, left_out = scores_of(whole.eval(), batch[:2], plan.result)
    traced = trace(whole, batch[:2], plan.rows)
    remarks = (*changed, *left_out, *traced.notes)
    if traced.classes != len(plan.findings):
        several = f" (results {', '.join(whole.names)}; --result names one)" if len(whole.names) > 1 else ""
        raise InvalidBundle(
            f"the network gives {traced.classes} scores{several}, the plan names {len(plan.findings)} findings"
        )
    cut, head = find_head(traced, batch, plan.target_layer)
    rollout = attention_rollout(traced, head.layout)
    explained = Explained(*split(traced, cut.node), head.maps, rollout).eval()
    autograd = check_against_autograd(traced, head, explained, batch)
    if autograd > LARGEST_DIFFERENCE:
        raise IncompleteEvidence(f"the evidence differs from full autograd by {autograd:.2g}; nothing was written")
    if turned:
        explained.maps = Turned(head.maps, result=True)
        head = replace(head, layout=replace(head.layout, grid=head.layout.grid[::-1]))
    output.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".compiling-", dir=output.parent))
    try:
        export(explained, batch, folder / "graph.onnx")
        manifest = _manifest(plan, head, explained, batch)
        (folder / "manifest.toml").write_text(manifest_toml(manifest), encoding="utf-8")
        notes = (*plan.facts, *remarks, *([NOTE] if rollout is not None else []))
        (folder / "card.md").write_text(card(manifest, cut.layer, head, autograd, notes), encoding="utf-8")
        if plan.operating_points:
            (folder / "operating_points.json").write_text(_operating_points(plan), encoding="utf-8")
        sign(folder)
        difference = _check_graph(folder / "graph.onnx", whole, traced, explained, plan.rows, batch)
        report = verify(load_bundle(folder))
        folder.chmod(0o755)
        folder.rename(output)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Compiled(
        bundle=load_bundle(output),
        layer=cut.layer,
        kind=head.kind,
        method=head.method,
        autograd=autograd,
        graph=difference,
        completeness=None if head.kind == "gradient" else report.largest_difference,
        notes=(*remarks, *([NOTE] if rollout is not None else [])),
    )


def find_head(traced: Traced, batch: Tensor, target_layer: str = "") -> tuple[Cut, Head]:
    """The last feature map whose head can be understood, or the one that a named layer gives.

    Parameters
    ----------
    traced : the network.
    batch : float32 images, N ≥ 2.
    target_layer : module name, as in ``network.named_modules()``; the last feature map where empty.

    Raises
    ------
    InvalidBundle
        If there is none, with the names of the layers that would do.
    """
    found = cuts(traced)
    candidates = feature_maps(found)
    if target_layer:
        candidates = [cut for cut in candidates if target_layer in layers(cut.node)][:1]
    for cut in candidates:
        backbone = split(traced, cut.node)[0]
        with torch.no_grad():
            features = backbone(batch)
        try:
            head = understand(traced, cut, found[: found.index(cut)], features, batch.shape[2] / batch.shape[3])
            if head is not None and len(cut.shape) == 2 and not in_place(backbone, head.layout, batch[:1]):
                raise NoGrid(f"{cut.layer or cut.node.name}: its cells don't lie as the image does")
        except NoGrid:
            if target_layer:
                raise
            continue  # queries, heads of attention, the largest values of a map: no picture
        if head is not None:
            return cut, head
    known = ", ".join(dict.fromkeys(cut.layer for cut in feature_maps(found) if cut.layer)) or "none"
    wanted = f"layer {target_layer!r} gives no feature map" if target_layer else "the network has no feature map"
    raise InvalidBundle(f"{wanted} that all of the scores pass through; layers that would do: {known}")


def check_against_autograd(traced: Traced, head: Head, explained: Explained, batch: Tensor) -> float:
    """Largest difference between the evidence and what autograd says, relative to the largest evidence."""
    with torch.no_grad():
        features = explained.backbone(batch)
        logits, evidence = explained(batch)[:2]
    if not evidence.any():
        raise IncompleteEvidence(
            "the evidence is 0 everywhere on all that was tried, so nothing was checked: give images, or other weights"
        )
    if head.kind == "maps":
        cells = evidence.flatten(2) * float(head.sharpness or 1.0)
        pooled = (torch.logsumexp(cells, 2) - math.log(cells.shape[2])) / float(head.sharpness or 1.0)
        return _relative(pooled + torch.tensor(head.biases), logits)
    slopes, cells = jacobian(explained.head, features, traced.classes), head.layout.cells(features)
    if head.kind == "cells":
        products = slopes.movedim(head.layout.channel + 1, 2).flatten(3) * cells[:, None]
        return _relative(evidence.flatten(2), products.sum(dim=2) * math.prod(head.grid))
    return _relative(evidence.flatten(2), summed_slopes(slopes, head.layout) @ cells)


def export(explained: nn.Module, batch: Tensor, path: Path) -> None:
    """Write a module with logits and evidence as an ONNX graph with a free batch axis.

    Raises
    ------
    InvalidBundle
        If ONNX lacks an operation.
    """
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)  # it says that packages are missing which no graph of ours needs
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                explained,
                (batch[:2],),
                path,
                input_names=["image"],
                output_names=["logits", "evidence", "rollout"][: len(explained(batch[:2]))],
                dynamic_shapes=({0: torch.export.Dim("n")},),
                opset_version=OPSET,
                dynamo=True,
                external_data=False,
                verbose=False,
            )
        except OnnxExporterError as error:
            missing = re.findall(r"overload='[^']*'|op='([^']*)'", str(error))
            names = ", ".join(dict.fromkeys(name for name in missing if name)) or "see above"
            raise InvalidBundle(f"ONNX lacks an operation of the head ({names}); name a later target layer") from error
        finally:
            quiet.setLevel(level)


def _batch(spec: InputSpec, images: NDArray[np.float32] | None) -> Tensor:
    space = (spec.depth, spec.height, spec.width) if spec.depth else (spec.height, spec.width)
    noise = torch.randn(2, spec.channels, *space, generator=torch.Generator().manual_seed(0))
    # on the scale that the recipe gives: a network for -1024 … 1024 is asleep at 1
    low, high = spec.window or (0.0, 1.0)
    sample = np.random.default_rng(0).uniform(low, high, (1, spec.height, spec.width)).astype(np.float32)
    usual, _ = prepare(sample, None, spec)
    noise = noise * float(usual.std()) + float(usual.mean())
    if images is None:
        return noise
    if images.dtype != np.float32 or images.shape[1:] != noise.shape[1:] or len(images) == 0:
        raise InvalidBundle(f"images must be float32 {('N', *noise.shape[1:])}, not {images.dtype} {images.shape}")
    return torch.cat([torch.from_numpy(images.copy()), noise])


def _manifest(plan: Plan, head: Head, explained: Explained, batch: Tensor) -> Manifest:
    depth = head.grid[0] if plan.input.depth else None
    if len(head.grid) != (3 if depth else 2):
        raise InvalidBundle(f"the evidence has {len(head.grid)} axes; an input of {batch.ndim - 2} needs as many")
    if depth and head.kind == "maps":
        raise InvalidBundle("a volume's logit that is the log-sum-exp of its map can't be shared out to its slices")
    with torch.no_grad():
        largest = explained(batch)[1].flatten(2).amax(dim=(0, 2)).clamp_min(1e-6)
    pooling: dict[Kind, Literal["mean", "log-sum-exp", "gradient"]] = {"maps": "log-sum-exp", "gradient": "gradient"}
    return Manifest(
        name=plan.name,
        version=plan.version,
        title=plan.title,
        summary=plan.summary,
        findings=[
            FindingEntry(name=name, basis=plan.basis, display_scale=plan.display_scale or float(scale), bias=bias)
            for name, scale, bias in zip(plan.findings, largest, head.biases, strict=True)
        ],
        input=plan.input,
        head=HeadSpec(
            pooling=pooling.get(head.kind, "mean"),
            sharpness=head.sharpness,
            grid=(head.grid[-2], head.grid[-1]),
            depth=depth,
            tolerance=LARGEST_DIFFERENCE,
        ),
        scope=plan.scope,
        study_rule="volume" if depth else plan.study_rule,
        licence=plan.licence,
    )


def _operating_points(plan: Plan) -> str:
    if set(plan.operating_points) != set(plan.findings):
        different = ", ".join(sorted(set(plan.operating_points) ^ set(plan.findings)))
        raise InvalidBundle(f"thresholds and findings disagree on {different}")
    points = OperatingPoints(
        engine=f"{plan.name}@{plan.version}",
        rule=plan.operating_rule or "not stated",
        findings={name: OperatingPoint(probability=value) for name, value in plan.operating_points.items()},
    )
    return points.model_dump_json(indent=1) + "\n"


def _check_graph(
    graph: Path,
    whole: nn.Module,
    traced: Traced,
    explained: Explained,
    rows: Sequence[int] | None,
    batch: Tensor,
) -> float:
    """ONNX Runtime against PyTorch, and against the network as it was given; on one image and on all."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    largest = 0.0
    for part in (batch[:1], batch):
        outputs = [torch.from_numpy(value) for value in session.run(["logits", "evidence"], {"image": part.numpy()})]
        with torch.no_grad():
            logits, evidence = explained(part)[:2]
            given, wanted = traced.as_given(part), torch.cat(whole(part.clone()), dim=1)
            kept = _kept(traced.whole(part), rows)
        largest = max(largest, _relative(outputs[0], logits), _relative(outputs[1], evidence))
        largest = max(largest, _relative(given, wanted), _relative(logits, kept))
    if largest > LARGEST_DIFFERENCE:
        raise InvalidBundle(f"graph and network differ by {largest:.2g}; nothing was written")
    return largest


def _kept(logits: Tensor, rows: Sequence[int] | None) -> Tensor:
    return logits if rows is None else logits[:, list(rows)]


def _relative(value: Tensor, wanted: Tensor) -> float:
    return float((value - wanted).abs().max() / wanted.abs().max().clamp_min(1e-6))
