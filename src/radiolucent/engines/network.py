"""The PyTorch twin of an engine's graph: a small residual network whose last layer is the evidence itself.

Imported lazily (torch is an extra). The graph's two outputs are this module's two results:
``logits (N, K)`` and ``evidence (N, K, h, w)``, and each logit is a stated pool of its own map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from radiolucent.engines import lite
from radiolucent.errors import InvalidBundle

BACKBONES = ("residual", lite.NAME)
_GROUP = 16
# a trait counts where it is seen, however small its part of the image
_TRAIT_SHARPNESS = 2.0
# stages whose own channels are given out: up to stride 16, where a cell is still a place
_LEVELS = 3


class LevelNorm(nn.Module):
    """Batch norm whose mean and variance are measured on clean images when training ends, not while it runs.

    In evaluation every pixel is scaled alike, whatever else is in view: what crops taught holds for whole films.

    Attributes
    ----------
    mean, variance : float32 ``(channels,)`` buffers, used in evaluation.
    seen : batches since `forget`; while training, the buffers are the plain average over them.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels))
        self.mean: Tensor
        self.variance: Tensor
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("variance", torch.ones(channels))
        self.seen = 0

    def forget(self) -> None:
        """Start the average over batches anew."""
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.seen += 1
        share = 1.0 / max(1, self.seen)
        return functional.batch_norm(
            x, self.mean, self.variance, self.weight, self.bias, training=self.training, momentum=share
        )


def _norm(channels: int, norm: str) -> nn.Module:
    # group norm: batch norm's running statistics drift away from clean images under augmentation
    return LevelNorm(channels) if norm == "level" else nn.GroupNorm(max(1, channels // _GROUP), channels)


class _Block(nn.Module):
    """Two 3×3 convolutions and a shortcut; the second norm starts at 0, so a new block is the identity."""

    def __init__(self, inputs: int, outputs: int, stride: int, norm: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = _norm(outputs, norm)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = _norm(outputs, norm)
        nn.init.zeros_(self.norm2.get_parameter("weight"))
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            pool: nn.Module = nn.AvgPool2d(stride) if stride != 1 else nn.Identity()
            self.shortcut = nn.Sequential(pool, nn.Conv2d(inputs, outputs, 1, bias=False))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.norm1(self.conv1(x)))
        return functional.relu(self.norm2(self.conv2(y)) + self.shortcut(x))


def _residual_stages(stem: int, widths: Sequence[int], depths: Sequence[int], norm: str) -> list[nn.Module]:
    stages: list[nn.Module] = []
    inputs = stem
    for width, depth in zip(widths, depths, strict=True):
        blocks = [
            _Block(inputs if index == 0 else width, width, 2 if index == 0 else 1, norm) for index in range(depth)
        ]
        stages.append(nn.Sequential(*blocks))
        inputs = width
    return stages


class _Features(nn.Module):
    """Stages at stride 4, 8, 16, … and a top-down path back to the finest of `grid_stride`.

    With `levels`, the first stages' own channels come behind those of the path, brought to its grid (of a finer stage
    the average and the maximum in each cell, a coarser one's repeated), and last one channel of ones, so that a map
    can have a level without a bias behind it.
    """

    def __init__(
        self,
        channels: int,
        stem: int,
        widths: Sequence[int],
        depths: Sequence[int],
        top: int,
        grid_stride: int,
        norm: str,
        backbone: str,
        levels: bool,
    ) -> None:
        super().__init__()
        if backbone == lite.NAME:
            self.stem, stages, widths = lite.stem(channels), lite.stages(), lite.WIDTHS
        elif backbone == "residual":
            self.stem = nn.Sequential(nn.Conv2d(channels, stem, 5, 2, 2, bias=False), _norm(stem, norm), nn.ReLU())
            stages = _residual_stages(stem, widths, depths, norm)
        else:
            raise ValueError(f"backbone {backbone!r} is not known: {' or '.join(BACKBONES)}")
        self.stages = nn.ModuleList(stages)
        self.first = int(math.log2(grid_stride)) - 2
        self.laterals = nn.ModuleList([nn.Conv2d(width, top, 1, bias=False) for width in widths[self.first :]])
        self.smooth = nn.ModuleList(
            [
                nn.Sequential(nn.Conv2d(top, top, 3, 1, 1, bias=False), _norm(top, norm), nn.ReLU())
                for _ in self.laterals
            ]
        )
        self.levels = levels
        copies = [2 if index < self.first else 1 for index in range(_LEVELS)]
        self.level_channels = sum(width * count for width, count in zip(widths, copies, strict=False)) + 1

    def forward(self, x: Tensor) -> Tensor:
        seen = []
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
            seen.append(x)
        levels = seen[self.first :]
        y = self.smooth[-1](self.laterals[-1](levels[-1]))
        for index in range(len(levels) - 2, -1, -1):
            up = functional.interpolate(y, scale_factor=2.0, mode="nearest")
            y = self.smooth[index](self.laterals[index](levels[index]) + up)
        if not self.levels:
            return torch.as_tensor(y)
        return torch.cat([y, *self._on_grid(seen[:_LEVELS]), torch.ones_like(y[:, :1])], dim=1)

    def _on_grid(self, seen: list[Tensor]) -> list[Tensor]:
        parts = []
        for index, level in enumerate(seen):
            step = 2 ** abs(index - self.first)
            if index < self.first:
                parts += [functional.avg_pool2d(level, step), functional.max_pool2d(level, step)]
            else:
                parts.append(functional.interpolate(level, scale_factor=float(step), mode="nearest"))
        return parts


class _Branches(nn.Module):
    """Several feature extractors on one image: the channels of their top-down paths, then those of their stages."""

    def __init__(self, branches: Sequence[_Features], top: int) -> None:
        super().__init__()
        self.branches, self.top = nn.ModuleList(branches), top
        self.levels = any(branch.levels for branch in branches)

    def forward(self, x: Tensor) -> Tensor:
        parts = [branch(x) for branch in self.branches]
        if self.levels:
            parts = [part[:, : self.top] for part in parts] + [part[:, self.top :] for part in parts]
        return torch.cat(parts, dim=1)


def pool_evidence(evidence: Tensor, pooling: str, sharpness: float | None) -> Tensor:
    """Pool maps ``(N, K, h, w)`` to logits ``(N, K)`` without the bias.

    ``mean``: the average. ``log-sum-exp``: ``log(mean(exp(r * M))) / r``, between the average (r → 0) and the
    maximum (r → ∞).

    Raises
    ------
    InvalidBundle
        If `pooling` has another name, or log-sum-exp has no sharpness.
    """
    flat = evidence.flatten(2)
    if pooling == "mean":
        return flat.mean(dim=2)
    if pooling == "log-sum-exp" and sharpness is not None:
        return (torch.logsumexp(sharpness * flat, dim=2) - math.log(flat.shape[2])) / sharpness
    raise InvalidBundle(f"pooling {pooling!r} with sharpness {sharpness} is not known: mean, or log-sum-exp with one")


class EvidenceNet(nn.Module):
    """Residual network with a top-down path; a linear 1×1 convolution turns `features` into one map per finding.

    A cell's class probabilities are ``softmax([0, M_1, …, M_K])``: ``M_k`` is the cell's log-odds of finding k
    against background. Since the last layer has no bias, Grad-CAM of logit k at `features` is ``ReLU(M_k)`` times
    a positive constant under mean pooling.

    Parameters
    ----------
    findings : K.
    channels : input channels.
    stem, widths, depths : channels of the stem (stride 2), and channels and blocks of the stages (stride 4, 8, …).
    top : channels of the top-down path, and of `features`.
    grid_stride : input pixels per cell side: 4, 8, ….
    pooling, sharpness : see `pool_evidence`.
    norm : ``group``, or ``level`` (see `LevelNorm`).
    sites, traits : beside the findings, the image's sites (one head each, mixed by the network's own routing) and
        further traits. ``0`` and ``0``: none, and the maps are ``evidence(features)``.
    shown : so many of the last traits are given out as findings, behind the others, each with its own map. Beside the
        top-down path, which is taught the findings, these maps see what the first stages see.
    mirrored : True reads the image and its mirror image and gives the mean of both maps: twice the time.
    backbone : ``residual``, or ``efficientnet-lite0`` (see `engines.lite`), which needs no stem, widths or depths.
    branches : backbones of feature extractors side by side, as `join_networks` makes them of an ensemble; empty: one.

    Attributes
    ----------
    features : module, (N, channels, H, W) → (N, B * top + L, H / grid_stride, W / grid_stride), where B is the number
        of branches or 1, and L that of the stages' own channels and ones if a trait is `shown`, else 0; the Grad-CAM
        target layer.
    evidence : ``Conv2d(B * top, K, 1, bias=False)``, of the first channels of `features`.
    level_heads : ``Conv2d(L, shown, 1, bias=False)``, of the others: what they add to the maps of the traits shown. 0
        until `training.refit` fits it.
    bias : float32 (K,) buffer: ``logit = pool(M) + bias``.
    site_heads : ``Conv2d(B * top, sites * K, 1, bias=False)``: what each site adds to the maps. The share of
        each site is the softmax of its trait logit, so the maps stay linear in `features` once the image is routed.
    """

    def __init__(
        self,
        *,
        findings: int,
        channels: int = 1,
        stem: int = 32,
        widths: Sequence[int] = (48, 96, 144, 160),
        depths: Sequence[int] = (2, 3, 3, 1),
        top: int = 64,
        grid_stride: int = 4,
        pooling: str = "log-sum-exp",
        sharpness: float | None = 2.0,
        norm: str = "group",
        sites: int = 0,
        traits: int = 0,
        shown: int = 0,
        mirrored: bool = False,
        branches: Sequence[str] = (),
        backbone: str = "residual",
    ) -> None:
        super().__init__()
        self.pooling, self.sharpness = pooling, sharpness
        self.sites, self.shown, self.mirrored = sites, shown, mirrored
        backbones = branches or (backbone,)
        parts = [_Features(channels, stem, widths, depths, top, grid_stride, norm, one, shown > 0) for one in backbones]
        self.features: nn.Module = _Branches(parts, top) if branches else parts[0]
        self.top = top = top * len(parts)
        self.evidence = nn.Conv2d(top, findings, 1, bias=False)
        # most cells are background: start there, since this layer has no bias to learn it with
        nn.init.normal_(self.evidence.weight, mean=-0.1, std=0.05)
        self.bias: Tensor
        self.register_buffer("bias", torch.zeros(findings))
        if sites + traits:
            self.traits = nn.Conv2d(top, sites + traits, 1)
        if sites:
            self.site_heads = nn.Conv2d(top, sites * findings, 1, bias=False)
            nn.init.zeros_(self.site_heads.weight)
        if shown:
            levels = sum(part.level_channels for part in parts)
            self.level_heads = nn.Conv2d(levels, shown, 1, bias=False).requires_grad_(False)
            nn.init.zeros_(self.level_heads.weight)

    @property
    def biases(self) -> list[float]:
        """What is added to each pooled map, logit units: the findings', then those of the traits shown."""
        shown = self.traits.bias[-self.shown :].tolist() if self.shown and self.traits.bias is not None else []
        return [float(value) for value in (*self.bias.tolist(), *shown)]

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Float32 ``(N, channels, H, W)`` → logits ``(N, K + shown)``, evidence ``(N, K + shown, h, w)``, float32."""
        # the image itself comes last: whoever listens to `features` is left with its activations
        mirrored = self._maps(x.flip(3)).flip(3) if self.mirrored else None
        evidence = self._maps(x)
        if mirrored is not None:
            evidence = (evidence + mirrored) / 2
        bias = self.bias
        if self.shown:
            bias = torch.cat([bias, self.traits.get_parameter("bias")[-self.shown :]])
        return pool_evidence(evidence, self.pooling, self.sharpness) + bias, evidence

    def _maps(self, x: Tensor) -> Tensor:
        """Evidence of the findings and of the traits shown, of one image."""
        features = self.features(x)
        with torch.autocast(x.device.type, enabled=False):
            evidence, maps, _ = self._heads(features.float())
            return torch.cat([evidence, maps[:, -self.shown :]], dim=1) if self.shown else evidence

    def describe(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What training looks at: logits and evidence of the findings alone, and the logits of sites and traits.

        Returns
        -------
        logits ``(N, K)``, evidence ``(N, K, h, w)``, described ``(N, sites + traits)``, all float32
        """
        features = self.features(x)
        with torch.autocast(x.device.type, enabled=False):
            evidence, _, described = self._heads(features.float())
            logits = pool_evidence(evidence, self.pooling, self.sharpness) + self.bias
        return logits, evidence, described

    def _heads(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Evidence of the findings, maps of sites and traits without their bias, and the logits of these."""
        top, levels = (features[:, : self.top], features[:, self.top :]) if self.shown else (features, None)
        evidence = self.evidence(top)
        if not hasattr(self, "traits"):
            none = features.new_zeros(features.shape[0], 0)
            return evidence, none[:, :, None, None], none
        maps = functional.conv2d(top, self.traits.weight)
        if levels is not None:
            further = self.level_heads(levels)
            maps = torch.cat([maps[:, : -self.shown], maps[:, -self.shown :] + further], dim=1)
        described = pool_evidence(maps, "log-sum-exp", _TRAIT_SHARPNESS) + self.traits.get_parameter("bias")
        if self.sites:
            # the routing takes no part in the gradient: to the maps' slopes it is a constant
            share = torch.softmax(described[:, : self.sites].detach(), dim=1)
            heads = self.site_heads(top).unflatten(1, (self.sites, -1))
            evidence = evidence + (share[:, :, None, None, None] * heads).sum(dim=1)
        return evidence, maps, described


def join_networks(
    members: Sequence[EvidenceNet], arguments: Sequence[dict[str, Any]]
) -> tuple[EvidenceNet, dict[str, Any]]:
    """An ensemble as one network: each member is a branch, and every map is the mean of the members' maps.

    The mean of linear maps is a linear map of all features together, so the contract stays what it was: one pass, maps
    that pool to the logits, Grad-CAM at `features`. The image is routed to its site once, by the members' mean maps.

    Parameters
    ----------
    members : one branch each; a single one comes back as it is.
    arguments : of `EvidenceNet`, of each member: they may differ in ``backbone`` alone.

    Returns
    -------
    The network, in evaluation mode, and its arguments.

    Raises
    ------
    InvalidBundle
        If there is no member, or they can't be joined.
    """
    if not members:
        raise InvalidBundle("no network to join")
    if len(members) == 1:
        return members[0], arguments[0]
    shared, *others = [{name: value for name, value in one.items() if name != "backbone"} for one in arguments]
    if any(other != shared for other in others):
        raise InvalidBundle(f"{len(members)} networks can't be joined to one: they differ in more than the backbone")
    shared["branches"] = [str(one.get("backbone", "residual")) for one in arguments]
    try:
        joined: EvidenceNet = EvidenceNet(**shared).eval()
        with torch.no_grad():
            for branch, member in zip(joined.features.get_submodule("branches").children(), members, strict=True):
                branch.load_state_dict(member.features.state_dict())
            heads = {name: value for name, value in joined.state_dict().items() if not name.startswith("features.")}
            for name, value in heads.items():
                parts = [member.state_dict()[name] for member in members]
                value.copy_(torch.cat(parts, dim=1) / len(parts) if value.ndim > 1 else torch.stack(parts).mean(dim=0))
    except (AttributeError, KeyError, RuntimeError, TypeError, ValueError) as error:
        raise InvalidBundle(f"{len(members)} networks can't be joined to one: {error}") from error
    return joined, shared


NETWORKS: dict[str, type[nn.Module]] = {"evidence-net": EvidenceNet}


def build_network(name: str, arguments: dict[str, Any]) -> nn.Module:
    """Make the twin that a manifest names (``TwinSpec``).

    Raises
    ------
    InvalidBundle
        If no network has this name, or it doesn't take these arguments.
    """
    if name not in NETWORKS:
        raise InvalidBundle(f"network {name!r} is not known; known: {', '.join(sorted(NETWORKS))}")
    try:
        return NETWORKS[name](**arguments)
    except (TypeError, ValueError) as error:
        raise InvalidBundle(f"network {name!r} can't be built from its arguments: {error}") from error
