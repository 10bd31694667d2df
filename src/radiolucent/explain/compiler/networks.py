"""Someone's network: made by the factory that they name, filled with weights from a file whose code never runs."""

from __future__ import annotations

import importlib
import importlib.util
import pickle
import sys
import warnings
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from radiolucent.errors import MissingExtra, SetupError

# where training frameworks put the weights inside of a checkpoint, and what they put before each name
_NESTS = ("state_dict", "model_state_dict", "model", "network", "net", "weights")
_PREFIXES = ("_orig_mod.", "module.", "model.", "network.", "net.")
_COUNTS = "num_batches_tracked"
_SHOWN = 4  # names in a message


def make_network(where: str, arguments: Mapping[str, Any] | None = None) -> nn.Module:
    """Call a factory.

    Parameters
    ----------
    where : ``MODULE:FACTORY`` or ``FILE.py:FACTORY``. The module is looked for in the current folder as well. The
        factory is a function or class that gives a ``torch.nn.Module``, or such a module itself.
    arguments : for the factory, by name.

    Raises
    ------
    SetupError
        If there is no such module or factory, it fails, or what it gives is no network.

    Warning
    -------
    This runs the module's code, as importing it does: name only code that you trust.
    """
    place, _, name = where.rpartition(":")
    if not place or not name:
        raise SetupError(f"name the network as MODULE:FACTORY or FILE.py:FACTORY, not {where!r}")
    factory: Any = _module(place)
    for part in name.split("."):
        if not hasattr(factory, part):
            raise SetupError(f"{place} has no {name}")
        factory = getattr(factory, part)
    if isinstance(factory, nn.Module):
        return factory
    try:
        made = factory(**(arguments or {}))
    except Exception as error:  # someone else's code: anything can be raised
        raise SetupError(f"{where} failed: {type(error).__name__}: {error}") from error
    if not isinstance(made, nn.Module):
        raise SetupError(f"{where} gives {type(made).__name__}, not a torch.nn.Module")
    return made


def load_weights(network: nn.Module, path: Path) -> str:
    """Fill a network with the weights of a file: every one of them, and nothing else.

    Parameters
    ----------
    path : as for `read_weights`.

    Returns
    -------
    What was loaded, in words.

    Raises
    ------
    SetupError
        If the file can't be read safely, or a name or shape is missing, left over or different.
    """
    return load_tensors(network, read_weights(path), path.name)


def load_tensors(network: nn.Module, tensors: Mapping[str, Tensor], source: str) -> str:
    """Fill a network with named tensors; `source` is what messages call them. See `load_weights`.

    Raises
    ------
    SetupError
        If a name or shape is missing, left over or different.
    """
    wanted = network.state_dict()
    given = _fitting(tensors, wanted)
    missing, extra = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    shapes = [
        f"{name} {tuple(given[name].shape)} for {tuple(wanted[name].shape)}"
        for name in wanted
        if name in given and given[name].shape != wanted[name].shape
    ]
    for names, words in ((missing, "lacks"), (extra, "has, and the network hasn't,"), (shapes, "holds other shapes:")):
        if names:
            more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
            raise SetupError(f"{source} doesn't fit the network: it {words} {', '.join(names[:_SHOWN])}{more}")
    network.load_state_dict(given)
    return f"{len(given)} tensors, {sum(value.numel() for value in given.values())} numbers, from {source}"


def read_weights(path: Path) -> dict[str, Tensor]:
    """The named tensors of a weights file, on the CPU; no code of the file is run.

    Parameters
    ----------
    path : a ``state_dict`` or a checkpoint that holds one (``torch.save``), a whole pickled network (only its tensors
        are taken out of it), or a ``.safetensors`` file.

    Raises
    ------
    SetupError
        If the file is missing, can't be read without running code, or holds no tensors.
    MissingExtra
        If the file is a ``.safetensors`` one and that package isn't installed.
    """
    if not path.is_file():
        raise SetupError(f"{path} is no file; name the file of weights")
    if path.suffix == ".safetensors":
        return _read_safetensors(path)
    if _is_torchscript(path):
        raise SetupError(
            f"{path.name} is TorchScript, which holds code; write its weights alone with "
            "torch.save(torch.jit.load(FILE).state_dict(), OTHER) and name that file"
        )
    try:
        content = _load(path)
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, ValueError, AttributeError, TypeError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise SetupError(f"{path.name} can't be read as weights without running code: {reason[:200]}") from error
    tensors = _tensors(content)
    if not tensors:
        raise SetupError(
            f"{path.name} holds no named tensors, or several tables of them; save the network's state_dict()"
        )
    return tensors


def _is_torchscript(path: Path) -> bool:
    """True for what ``torch.jit.save`` wrote: an archive whose constants lie beside its code."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


class _Inert:
    """Stands in for every class and function that a pickled network names: it takes anything and does nothing."""

    dump_patches = False  # torch asks for it in files from before 1.6

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, dict):
            self.__dict__.update(state)

    def __setitem__(self, key: Any, value: Any) -> None:
        pass

    def append(self, value: Any) -> None:
        pass


class _TensorsOnly(pickle.Unpickler):
    """Rebuilds tensors; whatever else the file names is inert, so that nothing of it can run."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _HARMLESS or (module == "torch" and name.endswith("Storage")):
            return super().find_class(module, name)
        return _Inert


_HARMLESS = {
    ("builtins", "set"),
    ("__builtin__", "set"),
    ("collections", "OrderedDict"),
    ("torch", "Size"),
    ("torch._utils", "_rebuild_parameter"),
    ("torch._utils", "_rebuild_tensor"),
    ("torch._utils", "_rebuild_tensor_v2"),
    ("torch.nn.parameter", "Parameter"),
}


def _load(path: Path) -> Any:
    """The file's content: by torch's own safe loader, or where the file holds a whole network, its tensors alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return torch.load(path, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            loader = SimpleNamespace(Unpickler=_TensorsOnly, load=lambda file, **_: _TensorsOnly(file).load())
            loader.__name__ = "tensors_only"
            return torch.load(path, map_location="cpu", weights_only=False, pickle_module=loader)


def _tensors(content: Any) -> dict[str, Tensor]:
    """The named tensors of a file: where frameworks put them, at its top, or in the one table that has any."""
    if isinstance(content, _Inert):
        return dict(_module_tensors(content))
    if not isinstance(content, Mapping):
        return {}
    for nest in _NESTS:
        inner = content.get(nest)
        if isinstance(inner, _Inert | Mapping) and (found := _tensors(inner)):
            return found
    if own := _own_tensors(content):
        return own
    tables = [found for inner in content.values() if isinstance(inner, Mapping) and (found := _own_tensors(inner))]
    return tables[0] if len(tables) == 1 else {}


def _own_tensors(table: Mapping[Any, Any]) -> dict[str, Tensor]:
    return {str(name): value.detach() for name, value in table.items() if isinstance(value, Tensor)}


def _module_tensors(module: _Inert, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Parameters and buffers of a pickled network, by the names that its state_dict would give them."""
    left_out = getattr(module, "_non_persistent_buffers_set", None)
    for table in ("_parameters", "_buffers"):
        for name, value in (getattr(module, table, None) or {}).items():
            if isinstance(value, Tensor) and not (isinstance(left_out, set) and name in left_out):
                yield prefix + str(name), value.detach()
    for name, child in (getattr(module, "_modules", None) or {}).items():
        if isinstance(child, _Inert):
            yield from _module_tensors(child, f"{prefix}{name}.")


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise MissingExtra("reading .safetensors files", extra="imports") from error
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise SetupError(f"{path.name} is no readable safetensors file: {error}") from error


def _fitting(held: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors under the network's own names, without a prefix that training put before them.

    What lies outside of the prefix (a loss, a metric) is left, as long as the network is found whole inside of it.
    """
    given = dict(held)
    while not set(given) & set(wanted):
        prefix = next((word for word in _PREFIXES if given and all(name.startswith(word) for name in given)), None)
        if prefix is None:
            break
        given = {name.removeprefix(prefix): value for name, value in given.items()}
    needed = {name for name in wanted if not name.endswith(_COUNTS)}
    if not needed <= set(given) and needed:
        last = min(needed)
        ends = [name.removesuffix(last) for name in given if name.endswith("." + last)]
        inside = [prefix for prefix in ends if all(prefix + name in given for name in needed)]
        if len(inside) > 1:
            places = ", ".join(repr(prefix) for prefix in sorted(inside))
            raise SetupError(
                f"the file holds the weights several times, under {places}; save those that are meant alone"
            )
        if inside:
            given = {name.removeprefix(inside[0]): value for name, value in given.items() if name.startswith(inside[0])}
    # older files lack the counts of batch norm, which nothing but training reads
    counts = {name: value for name, value in wanted.items() if name.endswith(_COUNTS) and name not in given}
    return given | counts if needed <= set(given) else given


def _module(place: str) -> ModuleType:
    if not place.endswith(".py"):
        added = "" not in sys.path and str(Path.cwd()) not in sys.path
        if added:
            sys.path.insert(0, str(Path.cwd()))
        try:
            return importlib.import_module(place)
        except ImportError as error:
            raise SetupError(f"{place} can't be imported: {error}") from error
        finally:
            if added:
                sys.path.remove(str(Path.cwd()))
    path = Path(place)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise SetupError(f"{place} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # someone else's code: anything can be raised
        raise SetupError(f"{place} failed: {type(error).__name__}: {error}") from error
    return module
