"""EfficientNet-Lite0's convolutions as four stages, batch norms folded in: what photographs taught can go on from here.

Source: Tan and Le, EfficientNet, ICML 2019; the Lite variant (Google, 2020) leaves out squeeze-and-excitation and uses
ReLU6.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

NAME = "efficientnet-lite0"
# (channels, kernel, stride, expansion, blocks) of each run of blocks, in the order of the paper's table 1
_RUNS = (
    (16, 3, 1, 1, 1),
    (24, 3, 2, 6, 2),
    (40, 5, 2, 6, 2),
    (80, 3, 2, 6, 3),
    (112, 5, 1, 6, 3),
    (192, 5, 2, 6, 4),
    (320, 3, 1, 6, 1),
)
# runs that make up the stages at stride 4, 8, 16 and 32
_STAGES = ((0, 1), (2,), (3, 4), (5, 6))
STEM = 32
WIDTHS = (24, 40, 112, 320)


class _Conv(nn.Conv2d):
    """Convolution with a bias, padded as TensorFlow's SAME does for an even side: more behind than before."""

    def forward(self, x: Tensor) -> Tensor:
        total = self.kernel_size[0] - self.stride[0]
        before, behind = total // 2, total - total // 2
        if before != behind:
            return super().forward(functional.pad(x, (before, behind, before, behind)))
        return functional.conv2d(x, self.weight, self.bias, self.stride, before, groups=self.groups)


class _Depthwise(_Conv):
    """One filter per channel, in single precision: on a CPU its gradient in bfloat16 takes twice the time."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


class Block(nn.Module):
    """Inverted residual: widen (unless `expansion` is 1), filter each channel, narrow; added to its input if alike."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        self.widen = _Conv(inputs, inner, 1) if expansion > 1 else None
        self.filter = _Depthwise(inner, inner, kernel, stride, groups=inner)
        self.narrow = _Conv(inner, outputs, 1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x if self.widen is None else functional.relu6(self.widen(x))
        y = self.narrow(functional.relu6(self.filter(y)))
        return x + y if self.adds else torch.as_tensor(y)


def stem(channels: int) -> nn.Module:
    """(N, channels, H, W) → (N, 32, H / 2, W / 2)."""
    return nn.Sequential(_Conv(channels, STEM, 3, 2), nn.ReLU6())


def stages() -> list[nn.Module]:
    """Four stages, one behind the other, of `WIDTHS` channels at stride 4, 8, 16 and 32."""
    made, inputs = [], STEM
    for runs in _STAGES:
        blocks = []
        for outputs, kernel, stride, expansion, count in (_RUNS[run] for run in runs):
            for index in range(count):
                blocks.append(Block(inputs, outputs, kernel, stride if index == 0 else 1, expansion))
                inputs = outputs
        made.append(nn.Sequential(*blocks))
    return made
