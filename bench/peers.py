"""The tools that are compared with: how each is called for one class of one batch, and what its map must equal."""

from __future__ import annotations

import importlib.util
import sys
import types
from typing import Any

import numpy as np
from numpy.typing import NDArray

Images = NDArray[np.float32]


def absent() -> list[str]:
    """Which packages of the full comparison are not installed."""
    wanted = ("torch", "onnx", "captum", "pytorch_grad_cam", "cv2", "torchcam")
    return [name for name in wanted if importlib.util.find_spec(name) is None]


def stand_in_for_torchvision() -> None:
    """Let pytorch-grad-cam be imported where torchvision isn't: it needs it for pictures and boxes, not for maps."""
    if "torchvision" in sys.modules or importlib.util.find_spec("torchvision") is not None:
        return
    modules = {
        "torchvision": (),
        "torchvision.transforms": ("Compose", "Normalize", "ToTensor"),
        "torchvision.transforms.functional": ("resize",),
    }
    for name, members in modules.items():
        module = types.ModuleType(name)
        for member in members:
            setattr(module, member, None)
        sys.modules[name] = module


class Captum:
    """Captum's LayerGradCam on the feature layer of a `networks.PlainNet`."""

    def __init__(self, network: Any) -> None:
        from captum.attr import LayerGradCam

        self._method = LayerGradCam(network, network.features)

    def __call__(self, images: Any, finding: int) -> NDArray[np.float32]:
        """Map of one class at the network's own grid, ``(N, h, w)``, not negative."""
        maps = self._method.attribute(images, target=finding, relu_attributions=True)
        return np.asarray(maps.detach().numpy()[:, 0])


class GradCam:
    """pytorch-grad-cam's GradCAM on the same layer."""

    def __init__(self, network: Any) -> None:
        stand_in_for_torchvision()
        from pytorch_grad_cam import GradCAM
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        self._method = GradCAM(model=network, target_layers=[network.features])
        self._target = ClassifierOutputTarget

    def __call__(self, images: Any, finding: int) -> NDArray[np.float32]:
        """Map of one class, stretched to [0, 1] and enlarged to the image, ``(N, H, W)``: it has no other form."""
        return np.asarray(self._method(input_tensor=images, targets=[self._target(finding)] * len(images)))

    @staticmethod
    def form(maps: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
        """A map that isn't negative, ``(N, h, w)``, as this tool would return it."""
        stand_in_for_torchvision()
        from pytorch_grad_cam.utils.image import scale_cam_image

        return np.asarray(scale_cam_image(scale_cam_image(maps, shape[::-1])))


class TorchCam:
    """torchcam's GradCAM on the same layer; its hooks stay on the network."""

    def __init__(self, network: Any) -> None:
        stand_in_for_torchvision()
        from torchcam.methods import GradCAM

        self._network = network
        self._method = GradCAM(network, target_layer=network.features)

    def __call__(self, images: Any, finding: int) -> NDArray[np.float32]:
        """Map of one class at the network's own grid, stretched to [0, 1], ``(N, h, w)``: it keeps no other scale."""
        maps = self._method(finding, self._network(images))[0]
        return np.asarray(maps.detach().numpy()).reshape(len(images), *maps.shape[-2:])


PEERS = {"Captum LayerGradCam": Captum, "pytorch-grad-cam": GradCam, "torchcam": TorchCam}
"""Name → class; each is made with a network that has `features` and gives logits alone."""


def make(name: str, network: Any) -> Any:
    """The peer of that name on a network."""
    return PEERS[name](network)
