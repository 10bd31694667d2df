"""From a PyTorch network to an engine bundle: trace, cut, understand the head, check against autograd, write, run."""

from __future__ import annotations

import math
import re
import shutil
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn
from torch.onnx import OnnxExporterError

from radiolucent.engines.bundle import Bundle, load_bundle, sign
from radiolucent.engines.manifest import FindingEntry, HeadSpec, InputSpec, Manifest, ScopeSpec
from radiolucent.engines.runtime import OnnxEngine, verify
from radiolucent.errors import IncompleteEvidence, InvalidBundle, OutputExists
from radiolucent.explain.compiler.graph import Cut, Traced, cuts, feature_maps, layers, split, trace
from radiolucent.explain.compiler.heads import Head, Kind, jacobian, summed_slopes, understand
from radiolucent.explain.compiler.texts import card, manifest_toml
from radiolucent.findings.taxonomy import finding_type

LARGEST_DIFFERENCE = 1e-3
"""Relative difference between the compiled evidence and full autograd above which nothing is written."""
OPSET = 21


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a network doesn't say of itself.

    Parameters
    ----------
    name, version, title, summary, licence : of the bundle.
    findings : taxonomy names of the kept classes, in order.
    input : recipe and size; its channels are those of the graph.
    scope : what the engine may be given.
    basis : what its weights were validated on.
    study_rule : how slices make a study.
    rows : network outputs to keep, one per finding; all where None.
    target_layer : name of the module whose output is explained; found where empty.
    mean, std : per network channel; the graph first takes ``(x - mean) / std``, after a single channel is repeated
        where the network wants several.
    display_scale : logit units at which the colour scale ends; where None, the largest evidence on the images that
        the compiler checked itself with, which is a stopgap until it is measured on real ones.
    """

    name: str
    version: str
    title: str
    summary: str
    licence: str
    findings: tuple[str, ...]
    input: InputSpec
    scope: ScopeSpec
    basis: Literal["real", "phantom"] = "phantom"
    study_rule: Literal["image", "largest-slice"] = "image"
    rows: tuple[int, ...] | None = None
    target_layer: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    display_scale: float | None = None


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

    def __init__(self, network: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(std) or min(std) <= 0:
            raise InvalidBundle(f"mean {list(mean)} and std {list(std)} must be one positive std per mean")
        self.network = network
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.tensor(mean).reshape(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).reshape(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.network((x - self.mean) / self.std))


class Explained(nn.Module):
    """Images → logits ``(N, K)`` and evidence ``(N, K, h, w)``, in one pass."""

    def __init__(self, backbone: fx.GraphModule, head: fx.GraphModule, maps: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head, self.maps = backbone, head, maps

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        features = self.backbone(x)
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
    images : float32 ``(N, C, H, W)`` as the recipe gives them, N ≥ 2: the checks run on them as well as on noise.

    Returns
    -------
    What was found and measured.

    Raises
    ------
    InvalidBundle
        If the network can't be traced or cut, is three-dimensional, a finding isn't in the taxonomy, or graph and
        network differ by more than `LARGEST_DIFFERENCE`.
    IncompleteEvidence
        If the evidence differs from full autograd by more than `LARGEST_DIFFERENCE`.
    OutputExists
        If `output` exists.
    """
    if output.exists():
        raise OutputExists(f"{output} exists; name a new folder")
    for name in plan.findings:
        finding_type(name)
    whole = Normalised(network, plan.mean, plan.std) if plan.mean else network
    batch = _batch(plan.input, images)
    traced = trace(whole, batch[:2], plan.rows)
    if traced.classes != len(plan.findings):
        raise InvalidBundle(f"the network gives {traced.classes} scores, the plan names {len(plan.findings)} findings")
    cut, head = find_head(traced, batch, plan.target_layer)
    explained = Explained(*split(traced, cut.node), head.maps).eval()
    autograd = check_against_autograd(traced, head, explained, batch)
    if autograd > LARGEST_DIFFERENCE:
        raise IncompleteEvidence(f"the evidence differs from full autograd by {autograd:.2g}; nothing was written")
    output.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".compiling-", dir=output.parent))
    try:
        export(explained, batch, folder / "graph.onnx")
        manifest = _manifest(plan, head, explained, batch)
        (folder / "manifest.toml").write_text(manifest_toml(manifest), encoding="utf-8")
        (folder / "card.md").write_text(card(manifest, cut.layer, head, autograd, traced.notes), encoding="utf-8")
        sign(folder)
        difference = _check_graph(load_bundle(folder), whole, explained, plan, batch)
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
        notes=traced.notes,
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
        with torch.no_grad():
            features = split(traced, cut.node)[0](batch)
        head = understand(traced, cut, found[: found.index(cut)], features, batch.shape[2] / batch.shape[3])
        if head is not None:
            return cut, head
    known = ", ".join(dict.fromkeys(cut.layer for cut in feature_maps(found) if cut.layer)) or "none"
    wanted = f"layer {target_layer!r} gives no feature map" if target_layer else "the network has no feature map"
    raise InvalidBundle(f"{wanted} that all of the scores pass through; layers that would do: {known}")


def check_against_autograd(traced: Traced, head: Head, explained: Explained, batch: Tensor) -> float:
    """Largest difference between the evidence and what autograd says, relative to the largest evidence."""
    with torch.no_grad():
        features = explained.backbone(batch)
        logits, evidence = explained(batch)
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                explained,
                (batch[:2],),
                path,
                input_names=["image"],
                output_names=["logits", "evidence"],
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


def _batch(spec: InputSpec, images: NDArray[np.float32] | None) -> Tensor:
    noise = torch.randn(2, spec.channels, spec.height, spec.width, generator=torch.Generator().manual_seed(0))
    if images is None:
        return noise
    if images.dtype != np.float32 or images.ndim != 4 or images.shape[1:] != noise.shape[1:]:
        raise InvalidBundle(f"images must be float32 {('N', *noise.shape[1:])}, not {images.dtype} {images.shape}")
    return torch.cat([torch.from_numpy(images.copy()), noise])


def _manifest(plan: Plan, head: Head, explained: Explained, batch: Tensor) -> Manifest:
    if len(head.grid) != 2:
        raise InvalidBundle(f"the evidence has {len(head.grid)} axes; a bundle holds images, not volumes, so far")
    with torch.no_grad():
        largest = explained(batch)[1].amax(dim=(0, 2, 3)).clamp_min(1e-6)
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
            grid=(head.grid[0], head.grid[1]),
            tolerance=LARGEST_DIFFERENCE,
        ),
        scope=plan.scope,
        study_rule=plan.study_rule,
        licence=plan.licence,
    )


def _check_graph(bundle: Bundle, whole: nn.Module, explained: Explained, plan: Plan, batch: Tensor) -> float:
    """ONNX Runtime against PyTorch, and against the network as it was given; on one image and on all."""
    engine, largest = OnnxEngine(bundle), 0.0
    for part in (batch[:1], batch):
        output = engine.run(part.numpy())
        with torch.no_grad():
            logits, evidence = explained(part)
            given = _scores(whole(part), plan.rows)
        largest = max(largest, _relative(torch.from_numpy(output.logits), logits))
        largest = max(largest, _relative(torch.from_numpy(output.evidence), evidence))
        same = min(_relative(value, given) for value in (logits, logits.sigmoid(), logits.softmax(1)))
        largest = max(largest, same)
    if largest > LARGEST_DIFFERENCE:
        raise InvalidBundle(f"graph and network differ by {largest:.2g}; nothing was written")
    return largest


def _scores(result: object, rows: Sequence[int] | None) -> Tensor:
    parts = result.values() if isinstance(result, dict) else result if isinstance(result, list | tuple) else [result]
    scores = torch.cat([part for part in parts if isinstance(part, Tensor)], dim=1)
    return scores if rows is None else scores[:, list(rows)]


def _relative(value: Tensor, wanted: Tensor) -> float:
    return float((value - wanted).abs().max() / wanted.abs().max().clamp_min(1e-6))
