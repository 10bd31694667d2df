"""What a network answers: which of its results are scores, and whether an image always gets the same ones."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from radiolucent.errors import InvalidBundle

STEADY = 1e-3
"""Relative difference up to which two scores of the same image count as one."""
WRAPPED = "wrapped_network"
"""Attribute in which each wrapper of a network keeps it: layers are named as the network itself names them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """One tensor of what a network gives.

    Parameters
    ----------
    name : as in its own answer: a key, an attribute, or a number; joined by dots where they are nested.
    """

    name: str
    value: Tensor

    @property
    def words(self) -> str:
        """Name and shape, for messages."""
        return f"{self.name or 'its result'} ({', '.join(map(str, self.value.shape))})"


class Scores(nn.Module):
    """A network that gives its scores alone: float32 ``(N, K_i)``, one tensor for each of the results in `names`."""

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.wrapped_network, self.names = network, tuple(names)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        kept = [one.value for one in results(self.wrapped_network(x)) if one.name in self.names]
        rows = [value if value.ndim == 2 else value.reshape(x.shape[0], -1) for value in kept]
        return tuple(value if value.dtype == torch.float32 else value.float() for value in rows)


def as_given(network: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """A network without what training and speed put around it, in evaluation mode and float32.

    Returns
    -------
    The network, and what was changed, one sentence each.

    Raises
    ------
    InvalidBundle
        If it is TorchScript, or takes several inputs.
    """
    while isinstance(network, nn.DataParallel | nn.parallel.DistributedDataParallel) or hasattr(network, "_orig_mod"):
        network = network._orig_mod if hasattr(network, "_orig_mod") else network.module
    if isinstance(network, torch.jit.ScriptModule):
        raise InvalidBundle(
            "the network is TorchScript, which can't be taken apart; name the Python class that it was made from, and "
            "give its weights (torch.jit.load(FILE).state_dict()) with --weights"
        )
    _refuse_several_inputs(network)
    others = {value.dtype for value in network.state_dict().values() if value.is_floating_point()} - {torch.float32}
    if not others:
        return network.eval(), ()
    kinds = ", ".join(sorted(str(kind).removeprefix("torch.") for kind in others))
    return network.float().eval(), (f"weights of {kinds} were taken as float32",)


def scores_of(network: nn.Module, batch: Tensor, wanted: str = "") -> tuple[Scores, tuple[str, ...]]:
    """The network with its scores alone, after asking it three times.

    Results that hold no scores (feature maps, anything without a row an image) are left out, and so are probabilities
    beside the logits that they were made from.

    Parameters
    ----------
    network : in evaluation mode; its answer is a tensor, or tensors in tuples, lists, mappings, dataclasses.
    batch : float32, N ≥ 2 images.
    wanted : name of the one result that is meant; all that can be scores where empty.

    Returns
    -------
    The network, and what was left out, one sentence each.

    Raises
    ------
    InvalidBundle
        If it fails on the batch, has no such result, gives no scores, or gives an image other scores when it is asked
        again or alone; with what to change.
    """
    found = _asked(network, batch)
    listed = ", ".join(one.words for one in found) or "nothing"
    kept = (
        [one for one in found if one.name == wanted] if wanted else [one for one in found if _holds_scores(one, batch)]
    )
    if wanted and not kept:
        raise InvalidBundle(f"the network has no result {wanted!r}; it gives {listed}")
    if not kept or not all(_holds_scores(one, batch) for one in kept):
        raise InvalidBundle(f"the network must give scores of shape (N, K), not {listed}")
    kept = [one for one in kept if not any(_made_from(one, other) for other in kept)]
    names = [one.name for one in kept]
    left = [one.words for one in found if one.name not in names]
    whole = Scores(network, names)
    _refuse_unsteady(whole, batch)
    return whole, (f"left out of what the network gives: {', '.join(left)}",) if left else ()


def results(answer: object, name: str = "") -> Iterator[Result]:
    """All tensors of an answer, in order."""
    if isinstance(answer, Tensor):
        yield Result(name=name, value=answer)
        return
    for key, inner in _parts(answer):
        yield from results(inner, f"{name}.{key}" if name else key)


def _parts(answer: object) -> Iterator[tuple[str, Any]]:
    if isinstance(answer, Mapping):
        yield from ((str(key), value) for key, value in answer.items())
    elif isinstance(answer, list | tuple):
        yield from ((str(index), value) for index, value in enumerate(answer))
    elif is_dataclass(answer):
        yield from ((part.name, getattr(answer, part.name)) for part in fields(answer))


def _refuse_several_inputs(network: nn.Module) -> None:
    needed = [
        name
        for name, parameter in inspect.signature(network.forward).parameters.items()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]
    if len(needed) > 1:
        raise InvalidBundle(
            f"the network takes {len(needed)} inputs ({', '.join(needed)}); wrap it so that it takes one"
        )


def _asked(network: nn.Module, batch: Tensor) -> list[Result]:
    try:
        with torch.no_grad():
            return list(results(network(batch.clone())))  # a copy: some networks write into their input
    except Exception as error:  # someone else's code: anything can be raised
        reason = next(iter(str(error).strip().splitlines()), "")
        shape = ", ".join(map(str, batch.shape))
        raise InvalidBundle(
            f"the network fails on images ({shape}): {type(error).__name__}: {reason}; look at --input, --channels and "
            "--mean"
        ) from error


def _holds_scores(one: Result, batch: Tensor) -> bool:
    """A row for each image, and nothing behind the classes but axes of length 1."""
    shape = one.value.shape
    return (
        one.value.is_floating_point() and len(shape) > 0 and shape[0] == len(batch) and all(n == 1 for n in shape[2:])
    )


def _made_from(one: Result, other: Result) -> bool:
    """True where one result is the probabilities of another."""
    if one is other or one.value.shape != other.value.shape or one.value.ndim < 2:
        return False
    logits = other.value
    ways = (logits.sigmoid(), logits.softmax(1), logits.log_softmax(1))
    return any(torch.allclose(one.value, way, atol=1e-6) for way in ways)


def _refuse_unsteady(network: Scores, batch: Tensor) -> None:
    with torch.no_grad():
        first, again, alone = (torch.cat(network(part.clone()), 1) for part in (batch, batch, batch[:1]))
    size = first.abs().max().clamp_min(1e-6)
    if not float((again - first).abs().max() / size) <= STEADY:
        raise InvalidBundle(
            "the network gives the same images other scores when it is asked again: switch off its dropout or noise "
            "in evaluation mode (functional.dropout wants training=self.training)"
        )
    if not float((alone - first[:1]).abs().max() / size) <= STEADY:
        raise InvalidBundle(
            "the scores of an image depend on the images beside it: a norm works on the batch in evaluation mode"
        )
