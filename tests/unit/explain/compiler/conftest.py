"""Small networks of the usual families: each keeps the part of its family that an explanation stumbles over."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

torch = pytest.importorskip("torch")
nn, functional = torch.nn, torch.nn.functional


def _conv(inputs: int, outputs: int, stride: int = 2, activation: Any = None) -> Any:
    layers = [nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, activation or nn.ReLU(inplace=True))


class ResNet(nn.Module):  # type: ignore[name-defined]
    """In-place additions and ReLU, average pooling, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.down = _conv(1, 16), _conv(16, 24)
        self.conv = nn.Sequential(nn.Conv2d(24, 24, 3, 1, 1), nn.BatchNorm2d(24))
        self.fc = nn.Linear(24, 3)

    def forward(self, x: Any) -> Any:
        x = self.down(self.stem(x))
        y = self.conv(x)
        y += x
        return self.fc(torch.flatten(functional.adaptive_avg_pool2d(functional.relu_(y), 1), 1))


class DenseNet(nn.Module):  # type: ignore[name-defined]
    """The last ReLU is a function and not a module, and works in place; dropout before the classifier."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv(1, 12)
        self.dense = nn.ModuleList([nn.Conv2d(12 + 8 * index, 8, 3, 1, 1) for index in range(3)])
        self.norm = nn.BatchNorm2d(36)
        self.classifier = nn.Linear(36, 3)

    def forward(self, x: Any) -> Any:
        x = self.stem(x)
        for layer in self.dense:
            x = torch.cat([x, functional.relu(layer(x))], dim=1)
        x = functional.relu(self.norm(x), inplace=True)
        x = functional.adaptive_avg_pool2d(x, (1, 1)).view(x.size(0), -1)
        return self.classifier(functional.dropout(x, 0.2, self.training))


class EfficientNet(nn.Module):  # type: ignore[name-defined]
    """Squeeze and excitation, SiLU, depthwise convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _conv(1, 16, activation=nn.SiLU(inplace=True))
        self.depthwise = nn.Conv2d(16, 16, 3, 2, 1, groups=16)
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 4, 1), nn.SiLU(), nn.Conv2d(4, 16, 1))
        self.head = _conv(16, 32, 1, nn.SiLU(inplace=True))
        self.classifier = nn.Sequential(nn.Dropout(0.2, inplace=True), nn.Linear(32, 3))

    def forward(self, x: Any) -> Any:
        x = self.depthwise(self.stem(x))
        x = self.head(x * torch.sigmoid(self.squeeze(x)))
        return self.classifier(x.mean((2, 3)))


class ConvNeXt(nn.Module):  # type: ignore[name-defined]
    """Layer norm after the pooling: the logit bends with the pooled vector."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 16, 4, 4)
        self.block = nn.Sequential(nn.Conv2d(16, 16, 7, 1, 3, groups=16), nn.Conv2d(16, 32, 1), nn.GELU())
        self.norm, self.fc = nn.LayerNorm(32), nn.Linear(32, 3)

    def forward(self, x: Any) -> Any:
        x = functional.adaptive_avg_pool2d(self.block(self.stem(x)), 1)
        return self.fc(self.norm(x.permute(0, 2, 3, 1)).flatten(1))


class MobileNet(nn.Module):  # type: ignore[name-defined]
    """Two linear layers with a hard swish between them after the pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(_conv(1, 16, activation=nn.Hardswish()), _conv(16, 24, activation=nn.Hardswish()))
        self.classifier = nn.Sequential(
            nn.Linear(24, 40), nn.Hardswish(inplace=True), nn.Dropout(0.2), nn.Linear(40, 3)
        )

    def forward(self, x: Any) -> Any:
        return self.classifier(functional.adaptive_avg_pool2d(self.features(x), 1).flatten(1))


class Swin(nn.Module):  # type: ignore[name-defined]
    """Channels last, windows, layer norm, then a mean over two axes in the middle."""

    def __init__(self) -> None:
        super().__init__()
        self.patches, self.norm, self.head = nn.Conv2d(1, 24, 4, 4), nn.LayerNorm(24), nn.Linear(24, 3)
        self.attention = nn.MultiheadAttention(24, 2, batch_first=True)

    def forward(self, x: Any) -> Any:
        x = self.patches(x).permute(0, 2, 3, 1)
        n, h, w, c = x.shape
        windows = x.view(n, h // 4, 4, w // 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(-1, 16, c)
        windows = self.attention(windows, windows, windows, need_weights=False)[0]
        y = windows.view(n, h // 4, w // 4, 4, 4, c).permute(0, 1, 3, 2, 4, 5).reshape(n, h, w, c)
        return self.head(self.norm(x + y).mean(dim=(1, 2)))


class ViT(nn.Module):  # type: ignore[name-defined]
    """Tokens; the classifier looks at their mean, or at a class token alone."""

    def __init__(self, pool: str) -> None:
        super().__init__()
        self.pool = pool
        self.patches, self.token = nn.Conv2d(1, 24, 8, 8), nn.Parameter(torch.randn(1, 1, 24))
        layer = nn.TransformerEncoderLayer(24, 2, 48, batch_first=True, norm_first=True, activation="gelu")
        self.blocks = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(24), nn.Linear(24, 3)

    def forward(self, x: Any) -> Any:
        x = self.patches(x).flatten(2).transpose(1, 2)
        if self.pool == "mean":
            return self.head(self.norm(self.blocks(x)).mean(dim=1))
        x = self.blocks(torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1))
        return self.head(self.norm(x[:, 0]))


class Vgg(nn.Module):  # type: ignore[name-defined]
    """No pooling to one cell: a flattened map into two linear layers, with or without a ReLU between them."""

    def __init__(self, bends: bool) -> None:
        super().__init__()
        self.features = nn.Sequential(_conv(1, 8), _conv(8, 12))
        middle = nn.ReLU(inplace=True) if bends else nn.Identity()
        self.classifier = nn.Sequential(nn.Flatten(), nn.Linear(12 * 64, 20), middle, nn.Linear(20, 3))

    def forward(self, x: Any) -> Any:
        return self.classifier(functional.adaptive_avg_pool2d(self.features(x), (8, 8)))


class ClassMaps(nn.Module):  # type: ignore[name-defined]
    """One map per class, pooled by log-sum-exp, mean or maximum."""

    def __init__(self, pool: str) -> None:
        super().__init__()
        self.features = nn.Sequential(_conv(1, 12), _conv(12, 16))
        self.maps, self.pool = nn.Conv2d(16, 3, 1), pool

    def forward(self, x: Any) -> Any:
        maps = self.maps(self.features(x)).flatten(2)
        if self.pool == "log-sum-exp":
            return (torch.logsumexp(5 * maps, dim=2) - torch.log(torch.tensor(float(maps.shape[2])))) / 5
        return maps.mean(dim=2) if self.pool == "mean" else maps.amax(dim=2)


class AttentionPool(nn.Module):  # type: ignore[name-defined]
    """Each cell's weight in the pool comes from the cell itself, by a softmax over all cells."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(_conv(1, 12), _conv(12, 16))
        self.attention, self.fc = nn.Conv2d(16, 1, 1), nn.Linear(16, 3)

    def forward(self, x: Any) -> Any:
        x = self.features(x)
        weights = self.attention(x).flatten(2).softmax(dim=2)
        return self.fc((x.flatten(2) * weights).sum(dim=2))


class SigmoidInside(ResNet):
    """Gives probabilities: the target of an explanation is the logit before them."""

    def forward(self, x: Any) -> Any:
        return torch.sigmoid(super().forward(x))


class SiteHeads(nn.Module):  # type: ignore[name-defined]
    """One head per site on a shared backbone, as a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(_conv(1, 12), _conv(12, 16))
        self.heads = nn.ModuleDict({"wrist": nn.Linear(16, 1), "ankle": nn.Linear(16, 2)})

    def forward(self, x: Any) -> Any:
        x = self.features(x).mean((2, 3))
        return {name: head(x) for name, head in self.heads.items()}


class Volume(nn.Module):  # type: ignore[name-defined]
    """Three axes of space."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv3d(1, 8, 3, 2, 1), nn.ReLU(inplace=True), nn.Conv3d(8, 12, 3, 2, 1), nn.ReLU()
        )
        self.fc = nn.Linear(12, 3)

    def forward(self, x: Any) -> Any:
        return self.fc(functional.adaptive_avg_pool3d(self.features(x), 1).flatten(1))


FAMILIES: dict[str, Callable[[], Any]] = {
    "resnet": ResNet,
    "densenet": DenseNet,
    "efficientnet": EfficientNet,
    "convnext": ConvNeXt,
    "mobilenet-v3": MobileNet,
    "swin": Swin,
    "vit-mean": lambda: ViT("mean"),
    "vit-class-token": lambda: ViT("class"),
    "vgg": lambda: Vgg(bends=True),
    "flat-linear": lambda: Vgg(bends=False),
    "maps-log-sum-exp": lambda: ClassMaps("log-sum-exp"),
    "maps-mean": lambda: ClassMaps("mean"),
    "maps-maximum": lambda: ClassMaps("maximum"),
    "attention-pool": AttentionPool,
    "sigmoid-inside": SigmoidInside,
    "site-heads": SiteHeads,
}


@pytest.fixture(scope="session")
def build() -> Callable[[str], Any]:
    """Make a network of a family with seeded weights, norms away from their start included."""

    def make(family: str) -> Any:
        torch.manual_seed(7)
        network = {**FAMILIES, "volume": Volume}[family]().eval()
        for name, value in [*network.named_parameters(), *network.named_buffers()]:
            if value.is_floating_point() and value.ndim == 1:
                value.data.uniform_(0.5, 1.5) if "var" in name or "weight" in name else value.data.normal_(0, 0.3)
        return network

    return make
