"""Networks that timm builds by name: their input size and normalisation are taken from timm's own settings."""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from radiolucent.engines.manifest import InputSpec, ScopeSpec
from radiolucent.errors import MissingExtra, SetupError
from radiolucent.explain.compiler.networks import load_weights
from radiolucent.explain.compiler.plan import Outputs, Plan

_TORCHVISION = ("", ".transforms", ".transforms.functional", ".ops", ".ops.misc", ".datasets")


def timm_engine(
    architecture: str,
    outputs: Outputs,
    scope: ScopeSpec,
    *,
    weights: Path | None,
    name: str = "",
    version: str = "0.1.0",
    licence: str = "not stated",
    arguments: Mapping[str, Any] | None = None,
) -> tuple[nn.Module, Plan]:
    """A timm network for this many outputs, with a user's weights, and what its bundle says.

    Parameters
    ----------
    architecture : as ``timm.create_model`` takes it.
    outputs : what the network's scores are.
    scope : what it may be given.
    weights : the file, see `networks.load_weights`; None leaves random weights, which is good for trying alone.
    arguments : more for ``timm.create_model``, such as ``img_size`` or ``in_chans``.

    Raises
    ------
    MissingExtra
        If timm isn't installed.
    SetupError
        If timm knows no such architecture, or the weights don't fit it.
    """
    timm = import_timm()
    try:
        network = timm.create_model(architecture, pretrained=False, num_classes=outputs.count, **(arguments or {}))
    except Exception as error:  # timm raises RuntimeError, TypeError, AssertionError and others for a wrong name
        raise SetupError(f"timm can't make {architecture!r}: {error}") from error
    loaded = load_weights(network, weights) if weights else "random: this engine has learned nothing"
    settings = network.pretrained_cfg
    channels, height, width = settings.get("input_size", (3, 224, 224))
    size = (arguments or {}).get("img_size", (height, width))
    height, width = (size, size) if isinstance(size, int) else size
    channels = (arguments or {}).get("in_chans", channels)
    mean, std = (tuple(settings[key]) for key in ("mean", "std"))
    if channels == 1:
        mean, std = (sum(mean) / len(mean),), (sum(std) / len(std),)
    elif channels != len(mean):
        raise SetupError(f"{architecture} takes {channels} channels and timm knows the mean of {len(mean)}")
    plan = Plan(
        name=name or f"timm-{architecture.partition('.')[0].replace('_', '-')}",
        version=version,
        title=f"timm {architecture}",
        summary=f"timm's {architecture} with weights that were trained elsewhere.",
        licence=licence,
        findings=outputs.names,
        rows=outputs.rows,
        input=InputSpec(recipe="grey", height=height, width=width),
        scope=scope,
        basis="real" if weights else "phantom",
        mean=mean,
        std=std,
        facts=(f"Network: timm {timm.__version__}, {architecture}", f"Weights: {loaded}"),
    )
    return network, plan


def import_timm() -> Any:
    """The timm package, torchvision or not.

    Raises
    ------
    MissingExtra
        If timm is not installed.
    """
    if "timm" in sys.modules:
        return sys.modules["timm"]
    with _pictures_only_torchvision(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return importlib.import_module("timm")
        except ModuleNotFoundError as error:
            raise MissingExtra("importing timm's networks", extra="imports") from error


@contextmanager
def _pictures_only_torchvision() -> Iterator[None]:
    """Let timm be imported where torchvision is absent, or was built for another torch and so breaks on import.

    timm needs it for pictures and for a frozen norm that none of its classifiers has; empty classes do in their place,
    and are taken away again.
    """
    before = set(sys.modules)
    try:
        importlib.import_module("torchvision.ops.misc")  # an empty stand-in that others left has no such part
    except (ImportError, RuntimeError, OSError):
        names = [f"torchvision{part}" for part in _TORCHVISION]
        for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision" and name not in before]:
            del sys.modules[name]
        others = {name: sys.modules[name] for name in names if name in sys.modules}
        for name in names:
            sys.modules[name] = _Empty(name)
        try:
            yield
        finally:
            for name in names:
                del sys.modules[name]
            sys.modules.update(others)
    else:
        yield


class _Empty(ModuleType):
    """A module in which every name is an empty class of its own."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__spec__ = ModuleSpec(name, None, is_package=True)
        self.__path__ = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        nested = sys.modules.get(f"{self.__name__}.{name}")
        return nested if nested is not None else type(name, (), {"NEAREST": 0, "BILINEAR": 2, "BICUBIC": 3,
                                                               "BOX": 4, "HAMMING": 5, "LANCZOS": 1})  # fmt: skip
