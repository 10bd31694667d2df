"""The evidence that one pass gives is what pytorch-grad-cam and Captum find by going backward, up to a known scale."""

from __future__ import annotations

import sys
import types
import warnings
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from radiolucent.engines.network import build_network  # noqa: E402 - needs torch, which may be absent

Maps = NDArray[np.float32]
CLASSES = 3
POOLINGS = [("mean", None), ("log-sum-exp", 2.0), ("log-sum-exp", 8.0)]


def gradcam() -> Any:
    """pytorch-grad-cam; it imports torchvision for pictures and boxes alone: an empty one will do where it's absent."""
    stand_ins = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")
    present = "torchvision" in sys.modules or find_spec("torchvision") is not None
    missing = () if present else stand_ins
    for name in missing:
        module: Any = types.ModuleType(name)
        module.Compose = module.Normalize = module.ToTensor = module.resize = None
        sys.modules[name] = module
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            peer = pytest.importorskip("pytorch_grad_cam")
            pytest.importorskip("pytorch_grad_cam.utils.model_targets")
    finally:
        for name in missing:
            del sys.modules[name]
    return peer


class Logits(torch.nn.Module):  # type: ignore[name-defined]
    """The first of a network's two results."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Any) -> Any:
        return self.network(x)[0]


class Plain(torch.nn.Module):  # type: ignore[name-defined]
    """Convolutions, global average pooling, one linear layer: the textbook case of a class activation map."""

    def __init__(self) -> None:
        super().__init__()
        nn = torch.nn
        self.features = nn.Sequential(
            nn.Conv2d(1, 12, 5, 2, 2), nn.BatchNorm2d(12), nn.ReLU(), nn.Conv2d(12, 20, 3, 2, 1), nn.ReLU()
        )
        self.classifier = nn.Linear(20, CLASSES)

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x).mean(dim=(2, 3)))


def images(side: int = 64) -> Any:
    return torch.randn(4, 1, side, side, generator=torch.Generator().manual_seed(1))


def evidence_net(pooling: str, sharpness: float | None) -> tuple[Any, Any, Maps]:
    """Network of logits, its Grad-CAM target layer, and its own evidence for `images`."""
    torch.manual_seed(4)
    sizes = {"stem": 8, "widths": [16, 24], "depths": [1, 1], "top": 16, "grid_stride": 4}
    network = build_network("evidence-net", {"findings": CLASSES, "pooling": pooling, "sharpness": sharpness, **sizes})
    torch.nn.init.normal_(network.evidence.weight, std=0.3)
    network.eval()
    with torch.inference_mode():
        evidence = network(images())[1].numpy()
    return Logits(network), network.features, evidence


def plain_net() -> tuple[Any, Any, Maps]:
    torch.manual_seed(4)
    network = Plain().eval()
    with torch.inference_mode():
        evidence = torch.einsum("kc,nchw->nkhw", network.classifier.weight, network.features(images()))
    return network, network.features, evidence.numpy()


CASES = [*(pytest.param(lambda p=p, s=s: evidence_net(p, s), id=f"{p}-{s}") for p, s in POOLINGS), plain_net]


@pytest.mark.parametrize("case", CASES)
def test_captum_finds_the_same_map_over_the_number_of_cells(case: Any) -> None:
    attr = pytest.importorskip("captum.attr")
    network, layer, evidence = case()
    method = attr.LayerGradCam(network, layer)
    for index in range(CLASSES):
        theirs = method.attribute(images(), target=index, relu_attributions=True).detach().numpy()[:, 0]
        ours = np.maximum(evidence[:, index], 0)
        assert ours.max() > 1e-2
        np.testing.assert_allclose(theirs * evidence[0, 0].size, ours, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_pytorch_grad_cam_finds_the_same_map_after_its_own_stretching(case: Any) -> None:
    peer = gradcam()
    network, layer, evidence = case()
    stretch = peer.utils.image.scale_cam_image
    with peer.GradCAM(model=network, target_layers=[layer]) as method:
        for index in range(CLASSES):
            target = peer.utils.model_targets.ClassifierOutputTarget(index)
            theirs = method(input_tensor=images(), targets=[target] * len(images()))
            ours = stretch(stretch(np.maximum(evidence[:, index], 0), (64, 64)))
            assert theirs.max() > 0.9
            np.testing.assert_allclose(theirs, ours, atol=1e-5)


def test_one_pass_gives_each_image_of_a_batch_its_own_map() -> None:
    _, _, together = evidence_net("mean", None)
    network, _, _ = evidence_net("mean", None)
    with torch.inference_mode():
        alone = np.concatenate([network.network(image[None])[1].numpy() for image in images()])
    np.testing.assert_allclose(together, alone, atol=1e-5)
