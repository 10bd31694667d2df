"""What a network sees before it judges: norms, residual stages, the top-down path, several side by side."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from radiolucent.engines import lite

BACKBONES = ("residual", lite.NAME)
_GROUP = 16
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


class Features(nn.Module):
    """Stages at stride 4, 8, 16, … and a top-down path back to the finest of `grid_stride`.

    With `levels`, the first stages' own channels come behind those of the path, brought to its grid (of a finer stage
    the average and the maximum in each cell, a coarser one's repeated), and last one channel of ones, so that a map
    can have a level without a bias behind it.

    Float32 ``(N, channels, H, W)`` → ``(N, top + L, H / grid_stride, W / grid_stride)``, where L is `level_channels`
    with `levels`, else 0. The parameters are those of `engines.network.EvidenceNet`.

    Raises
    ------
    ValueError
        If the backbone isn't one of `BACKBONES`.
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


class Branches(nn.Module):
    """Several feature extractors on one image: the channels of their top-down paths, then those of their stages.

    Float32 ``(N, channels, H, W)`` → ``(N, B * (top + L), h, w)`` for B of them; see `Features`.
    """

    def __init__(self, branches: Sequence[Features], top: int) -> None:
        super().__init__()
        self.branches, self.top = nn.ModuleList(branches), top
        self.levels = any(branch.levels for branch in branches)

    def forward(self, x: Tensor) -> Tensor:
        parts = [branch(x) for branch in self.branches]
        if self.levels:
            parts = [part[:, : self.top] for part in parts] + [part[:, self.top :] for part in parts]
        return torch.cat(parts, dim=1)
