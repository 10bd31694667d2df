"""A network like DenseNet-121, written here and with random weights: with its evidence, without, and as ONNX graphs.

Source of the layout: G. Huang et al., Densely Connected Convolutional Networks, 2017, table 1 (growth rate 32).
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

DENSENET_121 = (6, 12, 24, 16)
CLASSES = 18  # the chest findings of issue and literature alike


class _DenseLayer(nn.Module):
    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.BatchNorm2d(inputs), nn.Conv2d(inputs, 4 * growth, 1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(4 * growth), nn.Conv2d(4 * growth, growth, 3, 1, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(functional.relu(self.norm1(x)))
        return torch.cat([x, self.conv2(functional.relu(self.norm2(y)))], 1)


class _Features(nn.Sequential):
    """(N, 1, H, W) → (N, channels, H / 32, W / 32), not negative."""

    def __init__(self, blocks: Sequence[int], growth: int = 32, stem: int = 64) -> None:
        layers: list[nn.Module] = [
            nn.Conv2d(1, stem, 7, 2, 3, bias=False),
            nn.BatchNorm2d(stem),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        ]
        channels = stem
        for index, depth in enumerate(blocks):
            for _ in range(depth):
                layers.append(_DenseLayer(channels, growth))
                channels += growth
            if index < len(blocks) - 1:
                layers += [nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, channels // 2, 1, bias=False)]
                layers.append(nn.AvgPool2d(2))
                channels //= 2
        super().__init__(*layers, nn.BatchNorm2d(channels), nn.ReLU())
        self.channels = channels


class PlainNet(nn.Module):
    """Features, mean over space, linear: the usual classifier. Gives logits ``(N, K)``."""

    def __init__(self, blocks: Sequence[int] = DENSENET_121, classes: int = CLASSES) -> None:
        super().__init__()
        self.features = _Features(blocks)
        self.classifier = nn.Linear(self.features.channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.classifier(self.features(x).mean((2, 3))))


class EvidenceNet(nn.Module):
    """The same weights, last layer first: logits ``(N, K)`` are the mean of the evidence ``(N, K, h, w)`` plus bias."""

    def __init__(self, plain: PlainNet) -> None:
        super().__init__()
        self.plain = plain
        self.train(plain.training)  # the exporter leaves the whole network in the mode that it found here

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        classifier = self.plain.classifier
        evidence = functional.conv2d(self.plain.features(x), classifier.weight[:, :, None, None])
        return evidence.mean((2, 3)) + classifier.bias, evidence


class LogitsAlone(nn.Module):
    """An engine's twin as a usual classifier: its logits alone, and `features` for tools that hang hooks on a layer."""

    def __init__(self, twin: nn.Module) -> None:
        super().__init__()
        self.twin, self.features = twin, twin.get_submodule("features")
        self.train(twin.training)

    def forward(self, x: Tensor) -> Tensor:
        return torch.as_tensor(self.twin(x)[0])


def make(blocks: Sequence[int] = DENSENET_121, classes: int = CLASSES, seed: int = 0) -> PlainNet:
    """A network in evaluation mode whose activations neither vanish nor explode, so that its maps can be compared."""
    torch.manual_seed(seed)
    network = PlainNet(blocks, classes)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    network.eval()
    return network


def onnx_bytes(network: nn.Module, size: int, outputs: Sequence[str]) -> bytes:
    """The network as an ONNX graph with a free first axis and input ``image (N, 1, size, size)``."""
    stream = io.BytesIO()
    axes = {name: {0: "N"} for name in ("image", *outputs)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package calls itself old
        torch.onnx.export(
            network,
            (torch.zeros(1, 1, size, size),),
            stream,
            input_names=["image"],
            output_names=list(outputs),
            dynamic_axes=axes,
            dynamo=False,
        )
    return stream.getvalue()
