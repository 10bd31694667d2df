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

from radiolucent.engines.features import Branches, Features
from radiolucent.errors import InvalidBundle

# a trait counts where it is seen, however small its part of the image
_TRAIT_SHARPNESS = 2.0


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
    routed : sites that a router tells, which `training.routing` fits last; 0: none, and `forward` gives two results.

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
    router : ``Linear(B * top + L, routed)`` of the mean of `features` over the cells; takes no part in the maps.
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
        routed: int = 0,
    ) -> None:
        super().__init__()
        self.pooling, self.sharpness = pooling, sharpness
        self.sites, self.shown, self.mirrored = sites, shown, mirrored
        backbones = branches or (backbone,)
        parts = [Features(channels, stem, widths, depths, top, grid_stride, norm, one, shown > 0) for one in backbones]
        self.features: nn.Module = Branches(parts, top) if branches else parts[0]
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
        self.width = top + (levels if shown else 0)
        self.router = nn.Linear(self.width, routed) if routed else None

    @property
    def biases(self) -> list[float]:
        """What is added to each pooled map, logit units: the findings', then those of the traits shown."""
        shown = self.traits.bias[-self.shown :].tolist() if self.shown and self.traits.bias is not None else []
        return [float(value) for value in (*self.bias.tolist(), *shown)]

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Float32 ``(N, channels, H, W)`` → logits ``(N, K + shown)``, evidence ``(N, K + shown, h, w)``, float32.

        With a router a third: how likely each site is, float32 ``(N, routed)``, each row adding up to 1.
        """
        # the image itself comes last: whoever listens to `features` is left with its activations
        mirrored = self._maps(self.features(x.flip(3))).flip(3) if self.mirrored else None
        features = self.features(x)
        evidence = self._maps(features)
        if mirrored is not None:
            evidence = (evidence + mirrored) / 2
        bias = self.bias
        if self.shown:
            bias = torch.cat([bias, self.traits.get_parameter("bias")[-self.shown :]])
        logits = pool_evidence(evidence, self.pooling, self.sharpness) + bias
        if self.router is None:
            return logits, evidence
        with torch.autocast(x.device.type, enabled=False):
            return logits, evidence, torch.softmax(self.router(features.float().mean(dim=(2, 3))), dim=1)

    def _maps(self, features: Tensor) -> Tensor:
        """Evidence of the findings and of the traits shown."""
        with torch.autocast(features.device.type, enabled=False):
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
