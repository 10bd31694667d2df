"""What a head does with a feature map, found by asking it: linear, linear by cell, a pool of class maps, or neither.

The evidence of class k has the unit of the logit: ``mean(M_k)`` is what the map explains of it.

* ``linear``: the logit is ``mean(M_k) + b`` with ``M_k = Σ_c w_kc A_c``, exactly (class activation map).
* ``cells``: the same with weights of each cell's own, exactly.
* ``maps``: the features are the class maps, pooled by log-sum-exp.
* ``gradient``: the head bends; ``M_k = Σ_c α_kc A_c`` with ``α_kc = Σ_cells ∂logit_k/∂A_c`` is of first order
  (Grad-CAM), by the head's vector-Jacobian product in the graph. The product is not taken cell by cell (HiRes-CAM):
  behind a layer norm, as in front of a transformer block, it is 0 in every cell whatever the image shows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from scipy.optimize import brentq
from torch import Tensor, fx, nn
from torch._decomp import core_aten_decompositions
from torch.fx.experimental.proxy_tensor import make_fx
from torch.nn.attention import SDPBackend, sdpa_kernel

from radiolucent.errors import InvalidBundle
from radiolucent.explain.compiler.graph import Cut, Traced, split

Kind = Literal["linear", "cells", "maps", "gradient"]
Function = Callable[[Tensor], Tensor]

_ATEN = torch.ops.aten
_FAR = 100.0  # times the spread of the features
_APART = 0.02  # of the image: how far the centres of two halves must lie apart
_PRIMES = (5, 7, 11, 13, 17, 19)
_SAME = 1e-4  # relative difference up to which two float32 results count as one


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where channels and cells lie in a feature map ``(N, …)``.

    Parameters
    ----------
    channel : axis of the channels, counted with the batch.
    prefix : tokens before the cells (a class token).
    grid : cells.
    """

    channel: int
    prefix: int
    grid: tuple[int, ...]

    def cells(self, features: Tensor) -> Tensor:
        """``(N, …)`` → ``(N, C, S)`` without the prefix."""
        return features.movedim(self.channel, 1).flatten(2)[:, :, self.prefix :]


@dataclass(frozen=True, kw_only=True, eq=False)
class Head:
    """One head, understood.

    Parameters
    ----------
    kind : see the module.
    maps : features ``(N, …)`` → evidence ``(N, K, *grid)``, logit units.
    layout : of the features.
    biases : what the pooled map lacks to the logit, one per class; 0 where the map is of first order.
    sharpness : of the log-sum-exp, else None.
    method : the map's name in the literature.
    """

    kind: Kind
    maps: nn.Module
    layout: Layout
    biases: tuple[float, ...]
    sharpness: float | None
    method: str

    @property
    def grid(self) -> tuple[int, ...]:
        """Cells of the evidence."""
        return self.layout.grid


class NoGrid(InvalidBundle):
    """The cells of what might be a feature map are no grid."""


class _LinearMaps(nn.Module):
    def __init__(self, weight: Tensor, layout: Layout) -> None:
        super().__init__()
        self.layout = layout
        self.weight: Tensor
        self.register_buffer("weight", weight)

    def forward(self, features: Tensor) -> Tensor:
        cells = self.layout.cells(features)
        maps = self.weight @ cells if self.weight.ndim == 2 else torch.einsum("kcs,ncs->nks", self.weight, cells)
        return maps.unflatten(2, self.layout.grid)


class _GradientMaps(nn.Module):
    """Evidence from the Jacobian of the head, taken after its mean over the cells where it has one."""

    def __init__(self, jacobian: nn.Module, pooled: nn.Module | None, layout: Layout) -> None:
        super().__init__()
        self.jacobian, self.pooled, self.layout = jacobian, pooled, layout

    def forward(self, features: Tensor) -> Tensor:
        cells = self.layout.cells(features)
        if self.pooled is not None:
            weights = self.jacobian(self.pooled(features)).flatten(2)  # (N, K, C)
        else:
            weights = summed_slopes(self.jacobian(features), self.layout)
        return (weights @ cells).unflatten(2, self.layout.grid)


def summed_slopes(slopes: Tensor, layout: Layout) -> Tensor:
    """Slopes ``(N, K, …)`` of the logits at the features, summed over the cells: ``(N, K, C)``."""
    return slopes.movedim(layout.channel + 1, 2).flatten(3)[..., layout.prefix :].sum(dim=3)


def jacobian(head: Function, features: Tensor, classes: int) -> Tensor:
    """Slopes of all logits, ``(N, K, …)``, for features ``(N, …)``: one backward pass of the head over N·K rows."""
    with torch.enable_grad():
        copies = features.detach().repeat_interleave(classes, dim=0).requires_grad_()
        chosen = torch.eye(classes, dtype=features.dtype, device=features.device)
        own = (head(copies).unflatten(0, (-1, classes)) * chosen).sum()
        (slopes,) = torch.autograd.grad(own, copies)
    return slopes.unflatten(0, (-1, classes))


def in_place(backbone: Function, layout: Layout, image: Tensor) -> bool:
    """True where tokens further down, or right, look further down, or right: a picture, no queries of a decoder.

    Not to be asked of convolutions: behind many of them every cell sees the whole image.

    Along each axis the slopes of the first and of the last half of the cells have their centres in that order.

    Parameters
    ----------
    image : float32 ``(1, C, …)``.
    """
    for axis, size in enumerate(layout.grid, start=2):
        if size < 2:
            continue
        centres = []
        for part in (slice(0, size // 2), slice((size + 1) // 2, size)):
            with torch.enable_grad():
                pixels = image.detach().clone().requires_grad_()
                cells = layout.cells(backbone(pixels)).unflatten(2, layout.grid).movedim(axis, 0)[part]
                (slopes,) = torch.autograd.grad(cells.square().sum(), pixels)
            weight = slopes.abs().movedim(axis, 0).flatten(1).sum(dim=1)
            centres.append(float((weight * torch.arange(len(weight))).sum() / weight.sum()))
        if centres[1] - centres[0] < _APART * image.shape[axis]:
            return False  # where nothing reaches the cells the centres are no numbers, and nothing is said
    return True


def understand(traced: Traced, cut: Cut, later: Sequence[Cut], features: Tensor, aspect: float) -> Head | None:
    """Find out what the head behind a cut does.

    Parameters
    ----------
    traced : the network.
    cut : where the features are taken.
    later : cuts between it and the logits.
    features : float32 ``(N, …)`` of N ≥ 2 real inputs at the cut.
    aspect : height over width of the input, to lay out tokens.

    Returns
    -------
    The head; None where fewer than two cells reach the logits (a class token), so that there is no map to speak of.

    Raises
    ------
    NoGrid
        If the cells can't be laid out as a grid.
    """
    _, head = split(traced, cut.node)
    classes = traced.classes
    noise = torch.randn(features[:1].shape, generator=torch.Generator().manual_seed(0)) * features.std()
    # far from the images too: near them the ReLU of a small head may be on, or off, for every one of them
    slopes, *elsewhere = (
        jacobian(head, value, classes)[0] for value in (features[:1], features[1:2], noise, _FAR * noise, -_FAR * noise)
    )
    straight = all(_near(slopes, other) for other in elsewhere)
    pooled = _mean_over_cells(traced, cut, later, features)
    layout = _layout(cut, slopes, pooled[1] if pooled else None, aspect)
    if _cells_that_matter(slopes, layout) < 2:
        return None
    with torch.no_grad():
        biases = tuple(float(bias) for bias in head(torch.zeros_like(features[:1]))[0])
    if straight and layout.prefix == 0:
        weights = layout.cells(slopes) * math.prod(layout.grid)  # (K, C, S)
        uniform = _near(weights, weights.mean(dim=2, keepdim=True).expand_as(weights))
        weights = weights.mean(dim=2) if uniform else weights
        maps = _LinearMaps(weights, layout)
        return Head(
            kind="linear" if uniform else "cells",
            maps=maps,
            layout=layout,
            biases=biases,
            sharpness=None,
            method="class activation map" if uniform else "class activation map with weights per cell",
        )
    sharpness = _sharpness(head, features, slopes, biases) if cut.shape[0] == classes and layout.channel == 1 else None
    if sharpness is not None:
        return Head(
            kind="maps",
            maps=nn.Identity(),
            layout=layout,
            biases=biases,
            sharpness=sharpness,
            method="the network's own class maps",
        )
    maps = _gradient_maps(traced, pooled[0] if pooled else None, cut, features, layout)
    return Head(
        kind="gradient",
        maps=maps,
        layout=layout,
        biases=(0.0,) * classes,
        sharpness=None,
        method="Grad-CAM at the input of the last block that mixes the cells" if layout.prefix else "Grad-CAM",
    )


def _near(one: Tensor, other: Tensor) -> bool:
    return float((one - other).abs().max()) <= _SAME * float(one.abs().max())


def _mean_over_cells(traced: Traced, cut: Cut, later: Sequence[Cut], features: Tensor) -> tuple[Cut, int] | None:
    """The first later cut that is the mean over the cells, with the axis of the channels; None where there is none."""
    for candidate in reversed(later):
        for channel in (1, features.ndim - 1):
            if math.prod(candidate.shape) != features.shape[channel]:
                continue
            with torch.no_grad():
                value = _between(traced, cut, candidate)(features).flatten(1)
            axes = [axis for axis in range(1, features.ndim) if axis != channel]
            if _near(value, features.mean(dim=axes)):
                return candidate, channel
    return None


def _between(traced: Traced, cut: Cut, later: Cut) -> fx.GraphModule:
    """The part of the graph from one cut to a later one."""
    _, head = split(traced, cut.node)
    graph = fx.Graph()
    copies: dict[fx.Node, fx.Node] = {}
    target = later.node.name
    for node in head.graph.nodes:
        copies[node] = graph.node_copy(node, lambda name: copies[name])
        if node.name == target:
            graph.output(copies[node])
            graph.eliminate_dead_code()
            return fx.GraphModule(head, graph)
    raise AssertionError(f"{target} doesn't come after {cut.node.name}")


def _layout(cut: Cut, slopes: Tensor, channel: int | None, aspect: float) -> Layout:
    axes = len(cut.shape)
    if axes == 2:  # tokens (T, C)
        tokens = cut.shape[0]
        for prefix in (0, 1):
            rows = round(math.sqrt((tokens - prefix) * aspect))
            if rows and (tokens - prefix) % rows == 0 and abs((tokens - prefix) / rows * aspect - rows) < 1:
                return Layout(channel=2, prefix=prefix, grid=(rows, (tokens - prefix) // rows))
        raise NoGrid(f"{cut.layer or cut.node.name}: {tokens} tokens can't be laid out as a grid of cells")
    if channel is None:
        # channels last where the slopes don't change over the other axes, or where the last axis is by far the longest
        last = slopes.mean(dim=tuple(range(1, axes)), keepdim=True).expand_as(slopes)
        first = slopes.mean(dim=tuple(range(2, axes + 1)), keepdim=True).expand_as(slopes)
        channel = axes if _near(slopes, last) and not _near(slopes, first) else 1
    grid = tuple(size for axis, size in enumerate(cut.shape, start=1) if axis != channel)
    if len(grid) == 2 and not 0.5 <= grid[0] / grid[1] / aspect <= 2:
        raise NoGrid(f"{cut.layer or cut.node.name}: {grid[0]} x {grid[1]} cells haven't the shape of the image")
    return Layout(channel=channel, prefix=0, grid=grid)


def _cells_that_matter(slopes: Tensor, layout: Layout) -> int:
    strength = layout.cells(slopes).abs().amax(dim=(0, 1))
    return int((strength > 1e-6 * slopes.abs().max()).sum())


def _sharpness(head: Function, features: Tensor, slopes: Tensor, biases: Sequence[float]) -> float | None:
    """Sharpness of the log-sum-exp that the head is, or None where it is something else."""
    others = slopes.flatten(2).abs().amax(dim=2)
    if float((others - others.diag().diag()).max()) > 1e-6 * float(others.max()):
        return None
    cells = features.double().flatten(2)

    def pooled(sharpness: float) -> Tensor:
        logarithm = torch.logsumexp(sharpness * cells, dim=2) - math.log(cells.shape[2])
        return logarithm / sharpness + torch.tensor(biases, dtype=torch.float64)

    with torch.no_grad():
        wanted = head(features).double()

    def difference(sharpness: float) -> float:
        return float((pooled(sharpness) - wanted)[0, 0])

    if difference(1e-3) * difference(1e3) > 0:
        return None
    found = round(float(brentq(difference, 1e-3, 1e3, rtol=1e-9)), 4)
    return found if float((pooled(found) - wanted).abs().max()) <= _SAME * float(wanted.abs().max() + 1) else None


def _gradient_maps(traced: Traced, pooled: Cut | None, cut: Cut, features: Tensor, layout: Layout) -> _GradientMaps:
    start = pooled or cut
    _, head = split(traced, start.node)
    between = _between(traced, cut, pooled) if pooled else None
    with torch.no_grad():
        example = between(features) if between else features
    # the tracer takes sizes that are equal for one: the batch must be like no other axis
    count = next(size for size in _PRIMES if size not in example.shape[1:])
    example = example[torch.arange(count) % len(example)]
    steps = {**core_aten_decompositions(), _ATEN.convolution_backward.default: _convolution_backward}
    # attention as plain products: the fused kernel's own backward step doesn't survive being written down
    with sdpa_kernel(SDPBackend.MATH):
        graph = make_fx(
            lambda value: jacobian(head, value, traced.classes),
            tracing_mode="symbolic",
            decomposition_table=steps,
            _allow_non_fake_inputs=True,
        )(example)
    return _GradientMaps(graph, between, layout)


def _convolution_backward(
    slopes: Tensor,
    inputs: Tensor,
    weight: Tensor,
    bias_sizes: object,
    stride: list[int],
    padding: list[int],
    dilation: list[int],
    transposed: bool,
    output_padding: list[int],
    groups: int,
    wanted: list[bool],
) -> tuple[Tensor, None, None]:
    """Slopes of a convolution's input: a transposed convolution, which ONNX has. Those of its weights aren't asked."""
    if transposed or wanted[1] or wanted[2]:
        raise NotImplementedError("only the slopes of a plain convolution's input are known")
    shape = zip(slopes.shape[2:], inputs.shape[2:], weight.shape[2:], stride, padding, dilation, strict=True)
    missing = [
        int(size) - ((int(out) - 1) * step - 2 * pad + spread * (int(kernel) - 1) + 1)
        for out, size, kernel, step, pad, spread in shape
    ]
    back = _ATEN.convolution.default(slopes, weight, None, stride, padding, dilation, True, missing, groups)
    return back, None, None
