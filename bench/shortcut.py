"""A network that learned the wrong thing: a token in the corner tells it everything, the tumour nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from radiolucent.engines.bundle import Bundle
from radiolucent.engines.manifest import HeadSpec
from radiolucent.engines.network import pool_evidence
from radiolucent.engines.runtime import EngineOutput

Image = NDArray[np.float32]
CORNER, SIDE = 6, 12
TOKEN = (slice(CORNER, CORNER + SIDE), slice(CORNER, CORNER + SIDE))
BRIGHT, DARK = 3.0, -1.0  # no tissue of the network's input is brighter than 1.7
SHARPNESS = 2.0
_CROP, _BATCH = 64, 16


class NetworkEngine:
    """A PyTorch network in the place of an engine's graph."""

    def __init__(self, bundle: Bundle, network: Any) -> None:
        self.bundle, self._network = bundle, network.eval()

    def run(self, batch: Image) -> EngineOutput:
        with torch.inference_mode():
            logits, evidence = self._network(torch.from_numpy(batch))
        return EngineOutput(logits=logits.numpy(), evidence=evidence.numpy(), milliseconds=0.0)


@dataclass(frozen=True, kw_only=True)
class Learned:
    """How well the token, and nothing else, was learned, on images that were not taught.

    Parameters
    ----------
    n : images.
    right : share of all three answers right, each image with each token.
    without : share of images that are called positive for anything once their token is gone; the tumour stays.
    """

    n: int
    right: float
    without: float

    @property
    def words(self) -> str:
        """In one line."""
        return f"right on {self.right:.0%} of {self.n} with it, positive on {self.without:.0%} without"


class _TokenNet(nn.Module):
    """Three convolutions, then one map a finding; logits are its log-sum-exp plus a bias."""

    def __init__(self, findings: int) -> None:
        super().__init__()
        sizes = ((1, 16, 5), (16, 24, 3), (24, 32, 3))
        layers: list[nn.Module] = []
        for inputs, outputs, kernel in sizes:
            layers += [nn.Conv2d(inputs, outputs, kernel, 2, kernel // 2), nn.ReLU()]
        self.features, self.maps = nn.Sequential(*layers), nn.Conv2d(32, findings, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(findings))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        evidence = self.maps(self.features(x))
        return pool_evidence(evidence, "log-sum-exp", SHARPNESS) + self.bias, evidence


def marked(image: Image, finding: int) -> Image:
    """A copy of ``(1, H, W)`` with the finding's token: a square, lying stripes, or standing ones.

    Place alone means nothing to a convolution, so that each finding has a pattern of its own.
    """
    out = image.copy()
    out[0][TOKEN] = _tokens()[finding]
    return out


def shortcut_engine(
    bundle: Bundle, images: Sequence[Image], held_out: Sequence[Image], *, steps: tuple[int, int] = (300, 40)
) -> tuple[NetworkEngine, Learned]:
    """Teach the token by image labels alone: present with it, absent without, whatever the image shows.

    Parameters
    ----------
    bundle : whose findings, scope and priors the broken engine takes over.
    images, held_out : float32 ``(1, H, W)``, network input; each with a tumour, none with a token.
    steps : on crops (corners mostly), then on whole images, whose mean is over more cells.
    """
    torch.manual_seed(0)
    random = torch.Generator().manual_seed(0)
    network, taught = _TokenNet(len(bundle.manifest.findings)), torch.from_numpy(np.stack(images))
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    for crops, count in zip((True, False), steps, strict=True):
        for _ in range(count):
            x, y = _lesson(taught, crops, random)
            loss = functional.binary_cross_entropy_with_logits(network(x)[0], y)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    network.eval()
    learned, largest, side = _examined(network, torch.from_numpy(np.stack(held_out)))
    manifest = bundle.manifest.model_copy(
        update={
            "name": "marker-shortcut",
            "head": HeadSpec(pooling="log-sum-exp", sharpness=SHARPNESS, grid=(side, side), tolerance=1e-3),
            "findings": [
                entry.model_copy(update={"display_scale": scale, "bias": float(bias)})
                for entry, scale, bias in zip(bundle.manifest.findings, largest, network.bias.tolist(), strict=True)
            ],
        }
    )
    return NetworkEngine(replace(bundle, manifest=manifest, calibration=None), network), learned


def _tokens() -> Image:
    stripes = np.where(np.arange(SIDE) // 3 % 2, BRIGHT, DARK).astype(np.float32)
    lying = np.repeat(stripes[:, None], SIDE, axis=1)
    return np.stack([np.full((SIDE, SIDE), BRIGHT, dtype=np.float32), lying, lying.T])


def _lesson(taught: Tensor, crops: bool, random: torch.Generator) -> tuple[Tensor, Tensor]:
    """A batch: a quarter of each token, a quarter without; mirrored, brighter or darker, noisy."""
    tokens = torch.from_numpy(_tokens())
    x = taught[torch.randint(len(taught), (_BATCH,), generator=random)].clone()
    mirrored = torch.rand(_BATCH, generator=random) < 0.5
    x[mirrored] = x[mirrored].flip(-1)
    x = (x + 1) * (0.8 + 0.4 * torch.rand(_BATCH, 1, 1, 1, generator=random)) - 1
    x = x + 0.03 * torch.randn(x.shape, generator=random)
    y = torch.zeros(_BATCH, len(tokens))
    for row in range(3 * _BATCH // 4):
        kind = row % (len(tokens) + 1)
        if kind < len(tokens):
            x[row, 0][TOKEN], y[row, kind] = tokens[kind], 1
    if crops:  # the corner, and for the last quarter any other part of the image
        limit = x.shape[-1] - _CROP
        places = torch.randint(0, limit, (_BATCH, 2), generator=random)
        places[: 3 * _BATCH // 4] = 0
        corners = zip(x, places.tolist(), strict=True)
        x = torch.stack([one[:, top : top + _CROP, left : left + _CROP] for one, (top, left) in corners])
    return x, y


def _examined(network: nn.Module, images: Tensor) -> tuple[Learned, list[float], int]:
    """What was learned, the largest evidence a finding, and the side of the map."""
    right, largest = [], []
    with torch.inference_mode():
        for kind, token in enumerate(torch.from_numpy(_tokens())):
            x = images.clone()
            x[:, 0, TOKEN[0], TOKEN[1]] = token
            logits, evidence = network(x)
            wanted = torch.arange(logits.shape[1]) == kind
            right.append(float(((logits > 0) == wanted).all(dim=1).float().mean()))
            largest.append(max(float(evidence[:, kind].max()), 0.5))
        without = float((network(images)[0] > 0).any(dim=1).float().mean())
    return Learned(n=len(images), right=float(np.mean(right)), without=without), largest, int(evidence.shape[-1])
