"""torchxrayvision's DenseNet-121 chest networks: the architecture by its own names, its labels, scaling and thresholds.

The package itself isn't needed (nor torchvision, which it needs): its weights files load strictly into this network.
Source: torchxrayvision 1.5.7, ``models.py`` (Apache-2.0); J. P. Cohen et al., TorchXRayVision, MIDL 2022.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import torch
from torch import Tensor, nn
from torch.nn import functional

from radiolucent.engines.manifest import InputSpec
from radiolucent.errors import SetupError
from radiolucent.explain.compiler.networks import load_tensors, read_weights
from radiolucent.explain.compiler.plan import Plan, scope
from radiolucent.findings.taxonomy import TORCHXRAYVISION

RESOLUTION = 224
_LABELS = tuple(TORCHXRAYVISION)


@dataclass(frozen=True, kw_only=True)
class Release:
    """One of the package's weight sets.

    Parameters
    ----------
    data : what it was trained on.
    thresholds : operating point of each of the 18 labels on ``sigmoid(logit)``; None where the set has no such label.
    """

    data: str
    thresholds: tuple[float | None, ...]


_: float | None = None
# fmt: off
RELEASES: Mapping[str, Release] = MappingProxyType({
    "densenet121-res224-all": Release(
        data="NIH ChestX-ray14, PadChest, CheXpert, MIMIC-CXR, Google, OpenI and RSNA",
        thresholds=(
            0.07422872, 0.038290843, 0.09814756, 0.0098118475, 0.023601074, 0.0022490358, 0.010060724, 0.103246614,
            0.056810737, 0.026791653, 0.050318155, 0.023985857, 0.01939503, 0.042889766, 0.053369623, 0.035975814,
            0.20204692, 0.05015312)),
    "densenet121-res224-nih": Release(
        data="NIH ChestX-ray14",
        thresholds=(
            0.039117552, 0.0034529066, 0.11396341, 0.0057298196, 0.00045666535, 0.0018880932, 0.012037827,
            0.038744126, 0.0037213727, 0.014730946, 0.016149804, 0.054241467, 0.037198864, 0.0004403434, _, _, _, _)),
    "densenet121-res224-pc": Release(
        data="PadChest",
        thresholds=(
            0.031012505, 0.013347598, 0.081435576, 0.001262615, 0.002587246, 0.0035944257, 0.0023071, 0.055412333,
            0.044385884, 0.042766232, 0.043258056, 0.037629247, 0.005658899, 0.0091741895, _, 0.026507627, _, _)),
    "densenet121-res224-chex": Release(
        data="CheXpert",
        thresholds=(
            0.1988969, 0.05710573, _, 0.0531293, 0.1435217, _, _, 0.27212676, 0.07749717, _, 0.19712369, _, _, _,
            0.09932402, 0.09273402, 0.3270967, 0.10888247)),
    "densenet121-res224-rsna": Release(
        data="the RSNA Pneumonia Challenge",
        thresholds=(
            _, _, _, _, _, _, _, _, 0.13486601, _, _, _, _, _, _, _, 0.13511065, _)),
    "densenet121-res224-mimic_nb": Release(
        data="MIMIC-CXR",
        thresholds=(
            0.08558747, 0.011884617, _, 0.0040595434, 0.010733786, _, _, 0.118761964, 0.022924708, _, 0.06358637,
            _, _, _, 0.022143636, 0.017476924, 0.1258702, 0.014020768)),
    "densenet121-res224-mimic_ch": Release(
        data="MIMIC-CXR",
        thresholds=(
            0.09121389, 0.010573786, _, 0.005023008, 0.003698257, _, _, 0.08001232, 0.037242252, _, 0.05006329, _,
            _, _, 0.019866971, 0.03823637, 0.11303808, 0.0069147074)),
})
# fmt: on


class _Layer(nn.Sequential):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.norm1, self.relu1 = nn.BatchNorm2d(inputs), nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(inputs, 128, 1, bias=False)
        self.norm2, self.relu2 = nn.BatchNorm2d(128), nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(128, 32, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x, super().forward(x)], 1)


class DenseNet(nn.Module):
    """DenseNet-121 for one-channel films of 224 × 224 in −1024 … 1024; gives 18 logits."""

    def __init__(self) -> None:
        super().__init__()
        features, channels = nn.Sequential(), 64
        features.add_module("conv0", nn.Conv2d(1, channels, 7, 2, 3, bias=False))
        features.add_module("norm0", nn.BatchNorm2d(channels))
        features.add_module("relu0", nn.ReLU(inplace=True))
        features.add_module("pool0", nn.MaxPool2d(3, 2, 1))
        for block, layers in enumerate((6, 12, 24, 16), start=1):
            dense = nn.Sequential()
            for layer in range(layers):
                dense.add_module(f"denselayer{layer + 1}", _Layer(channels + 32 * layer))
            features.add_module(f"denseblock{block}", dense)
            channels += 32 * layers
            if block < 4:
                down = nn.Sequential()
                down.add_module("norm", nn.BatchNorm2d(channels))
                down.add_module("relu", nn.ReLU(inplace=True))
                down.add_module("conv", nn.Conv2d(channels, channels // 2, 1, bias=False))
                down.add_module("pool", nn.AvgPool2d(2, 2))
                features.add_module(f"transition{block}", down)
                channels //= 2
        features.add_module("norm5", nn.BatchNorm2d(channels))
        self.features, self.classifier = features, nn.Linear(channels, len(_LABELS))

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.features(x), inplace=True)
        return torch.as_tensor(self.classifier(functional.adaptive_avg_pool2d(x, (1, 1)).flatten(1)))


def torchxrayvision_engine(
    release: str, weights: Path, *, name: str = "", version: str = "1.0.0"
) -> tuple[DenseNet, Plan]:
    """A chest network of torchxrayvision with a user's weights file, and what its bundle says.

    Parameters
    ----------
    release : name of the weight set, as ``densenet121-res224-all``.
    weights : the file that torchxrayvision downloads (a pickled network; its code never runs), or a state_dict.
    name : of the engine; `release` with ``xrv-`` before it where empty.

    Raises
    ------
    SetupError
        If the set isn't known, or the file doesn't hold exactly this network's weights.
    """
    if release not in RELEASES:
        raise SetupError(f"{release!r} is no known set of weights; known: {', '.join(RELEASES)}")
    network, known = DenseNet(), RELEASES[release]
    tensors = read_weights(weights)
    tensors.pop("op_threshs", None)  # the thresholds that the package adds when it loads; they are in the table above
    loaded = load_tensors(network, tensors, weights.name)
    kept = [(row, label, value) for row, (label, value) in enumerate(zip(_LABELS, known.thresholds, strict=True))
            if value is not None]  # fmt: skip
    plan = Plan(
        name=name or f"xrv-{release}",
        version=version,
        title=f"torchxrayvision {release}",
        summary=f"Findings of frontal chest films, trained by others on {known.data}.",
        licence="code Apache-2.0; the weights' terms are those of whoever gave you the file",
        findings=tuple(TORCHXRAYVISION[label] for _, label, _ in kept),
        rows=tuple(row for row, _, _ in kept),
        input=InputSpec(recipe="chest-xrv", height=RESOLUTION, width=RESOLUTION),
        scope=scope(["DX", "CR"], ["CHEST"], ["PA", "AP"], limits=["frontal films alone"]),
        basis="real",
        operating_points={TORCHXRAYVISION[label]: value for _, label, value in kept},
        operating_rule="torchxrayvision's own op_threshs for these weights; not measured on your images",
        facts=(f"Weights: {loaded}", f"Trained by others on {known.data}"),
    )
    return network, plan
