"""Classifiers from MONAI bundles: the network by name and literal arguments, its size and intensities, its weights.

A bundle's configuration can hold any Python expression. None is run here: the network must be one of MONAI's own, its
arguments plain values, or the bundle is refused with the reason.
Source: MONAI Bundle Specification 0.1.1 (``metadata.json``, ``network_def``, ``network_data_format``).
"""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from radiolucent.engines.manifest import InputSpec, ScopeSpec
from radiolucent.errors import MissingExtra, SetupError
from radiolucent.explain.compiler.networks import load_weights
from radiolucent.explain.compiler.plan import Outputs, Plan

_CONFIGS = ("inference.json", "evaluate.json", "train.json", "inference.yaml", "inference.yml", "train.yaml")
_WEIGHTS = ("model.pt", "model.safetensors")
_NETS = "monai.networks.nets"
# transforms that bring no numbers of their own: loading, order of the axes, types
_STRUCTURAL = ("LoadImage", "EnsureChannelFirst", "AddChannel", "AsChannelFirst", "EnsureType", "ToTensor")


def monai_engine(
    folder: Path, outputs: Outputs, scope: ScopeSpec, *, name: str = "", version: str = "", spatial: str = ""
) -> tuple[nn.Module, Plan]:
    """The classifier of a MONAI bundle, and what its engine bundle says.

    Parameters
    ----------
    folder : of the MONAI bundle (``configs/metadata.json``, ``configs/inference.json``, ``models/model.pt``).
    outputs : what the network's scores are.
    scope : what it may be given.
    name, version : of the engine; the bundle's own where empty.
    spatial : ``HxW`` or ``DxHxW``, where the metadata don't give the size in numbers.

    Raises
    ------
    MissingExtra
        If monai isn't installed.
    SetupError
        If a file is missing or can't be parsed, the network isn't one of MONAI's, an argument is an expression, or the
        weights don't fit.
    """
    metadata, config = _configs(folder)
    network = _network(config)
    weights = next((folder / "models" / name for name in _WEIGHTS if (folder / "models" / name).is_file()), None)
    if weights is None:
        raise SetupError(f"{folder.name} has no models/{_WEIGHTS[0]}")
    loaded = load_weights(network, weights)
    image = _first(metadata.get("network_data_format", {}).get("inputs", {}))
    sides = _sides(image, spatial, folder)
    window, mean, std, left_out = _intensities(config)
    channels = int(image.get("num_channels", 1))
    plan = Plan(
        name=name or _engine_name(str(metadata.get("name", folder.name))),
        version=version or str(metadata.get("version", "0.1.0")),
        title=str(metadata.get("name", folder.name)),
        summary=str(metadata.get("description", "A MONAI bundle.")),
        licence=str(metadata.get("license", metadata.get("copyright", "not stated"))),
        findings=outputs.names,
        rows=outputs.rows,
        input=InputSpec(
            recipe="grey",
            depth=sides[2] if len(sides) == 3 else None,
            height=sides[1] if len(sides) == 3 else sides[0],
            width=sides[0] if len(sides) == 3 else sides[1],
            channels=channels,
            window=window,
        ),
        scope=scope,
        basis="real",
        axes="xyz" if len(sides) == 3 else "zyx",
        mean=mean * channels,
        std=std * channels,
        facts=(
            f"Network: MONAI {config['network_def'].get('_target_')}",
            f"Weights: {loaded}",
            *(f"Not repeated here: the bundle's transform {transform}" for transform in left_out),
        ),
    )
    return network, plan


def _configs(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    metadata = _parsed(folder / "configs" / "metadata.json")
    for name in _CONFIGS:
        path = folder / "configs" / name
        if path.is_file():
            config = _parsed(path)
            if isinstance(config.get("network_def"), dict):
                return metadata, config
    raise SetupError(f"{folder.name}: no file in configs/ has a network_def; looked in {', '.join(_CONFIGS)}")


def _parsed(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            content = json.loads(text)
        else:
            import yaml  # type: ignore[import-untyped, unused-ignore]

            content = yaml.safe_load(text)
    except FileNotFoundError:
        raise SetupError(f"no {path.parent.name}/{path.name}: a MONAI bundle is a folder that has one") from None
    except ModuleNotFoundError as error:
        raise MissingExtra("reading a bundle's YAML", extra="imports") from error
    except (OSError, ValueError) as error:
        raise SetupError(f"{path.name} can't be parsed: {error}") from error
    if not isinstance(content, dict):
        raise SetupError(f"{path.name} holds no table")
    return content


def _network(config: Mapping[str, Any]) -> nn.Module:
    definition = dict(config["network_def"])
    target = str(definition.pop("_target_", ""))
    place, _, kind = target.rpartition(".")
    if not target or (place and not place.startswith("monai.")) or target.startswith("$"):
        raise SetupError(f"network {target or 'without _target_'!r} is not one of MONAI's; compile it with --torch")
    arguments = {key: _literal(value, config, key) for key, value in definition.items() if not key.startswith("_")}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            nets = importlib.import_module(_NETS)
            made = getattr(nets, kind)(**arguments)
    except ModuleNotFoundError as error:
        raise MissingExtra("importing MONAI bundles", extra="imports") from error
    except Exception as error:  # wrong arguments end in whatever the network's own code raises
        raise SetupError(f"MONAI can't make {kind}: {type(error).__name__}: {error}") from error
    if not isinstance(made, nn.Module):
        raise SetupError(f"{target} is no network")
    return made


def _literal(value: Any, config: Mapping[str, Any], key: str, depth: int = 0) -> Any:
    """A plain value; a reference to another top-level value (``@name``) is followed, an expression is refused."""
    if isinstance(value, str) and value.startswith("@") and depth < 8:
        name = value[1:]
        if name not in config:
            raise SetupError(f"network_def.{key} refers to {value}, which the bundle doesn't have")
        return _literal(config[name], config, key, depth + 1)
    if isinstance(value, str) and value.startswith(("$", "@", "%")):
        raise SetupError(f"network_def.{key} is an expression ({value[:60]}), which isn't run; compile it with --torch")
    if isinstance(value, dict):
        if "_target_" in value:
            raise SetupError(f"network_def.{key} makes an object; compile the network with --torch")
        return {name: _literal(inner, config, key, depth) for name, inner in value.items()}
    return [_literal(inner, config, key, depth) for inner in value] if isinstance(value, list) else value


def _first(table: Mapping[str, Any]) -> dict[str, Any]:
    value: Any = table.get("image") or next(iter(table.values()), {})
    return dict(value) if isinstance(value, dict) else {}


def _sides(image: Mapping[str, Any], given: str, folder: Path) -> tuple[int, ...]:
    """(rows, columns), or (x, y, z) as MONAI orders the axes of a volume."""
    if given:
        try:
            sides = tuple(int(side) for side in given.split("x"))
        except ValueError:
            raise SetupError(f"name the size as HxW or DxHxW, not {given!r}") from None
        return sides[::-1] if len(sides) == 3 else sides
    shape = image.get("spatial_shape")
    numbers = isinstance(shape, list) and all(isinstance(side, int) and side > 0 for side in shape)
    if not isinstance(shape, list) or not numbers or len(shape) not in (2, 3):
        raise SetupError(f"{folder.name}: the metadata give no spatial_shape in numbers; name it with --size")
    return tuple(shape)


def _intensities(
    config: Mapping[str, Any],
) -> tuple[tuple[float, float] | None, tuple[float, ...], tuple[float, ...], list[str]]:
    """Window, mean and std that do what the bundle's intensity transform does, and the transforms that aren't done."""
    window: tuple[float, float] | None = None
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    left_out = []
    for transform in _transforms(config.get("preprocessing")):
        kind = str(transform.get("_target_", "")).rpartition(".")[2].removesuffix("d").removesuffix("D")
        if kind == "ScaleIntensityRange" and window is None:
            low, high, start, end = (float(transform.get(key, value)) for key, value in
                                     (("a_min", 0), ("a_max", 1), ("b_min", 0), ("b_max", 1)))  # fmt: skip
            window = (low, high)
            if (start, end) != (0.0, 1.0) and end > start:
                mean, std = (-start / (end - start),), (1 / (end - start),)
        elif kind not in _STRUCTURAL:
            left_out.append(kind or "without a name")
    return window, mean, std, left_out


def _transforms(value: Any) -> Iterator[Mapping[str, Any]]:
    inner = value.get("transforms") if isinstance(value, dict) else None
    for item in inner if isinstance(inner, list) else []:
        if isinstance(item, dict):
            yield item


def _engine_name(text: str) -> str:
    plain = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text.lower()).strip("-")
    return plain if plain[:1].isalpha() else f"monai-{plain}"
