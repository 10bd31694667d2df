"""A last step after `fit`: a trait that windows can't teach, as few films have it and few windows show it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from radiolucent.engines.network import EvidenceNet, pool_evidence
from radiolucent.training.pack import Pack
from radiolucent.training.recipe import EngineRecipe

_DECAY = 1e-4
_LEARNING_RATE = 0.02
# films with the trait and without it in a step: few enough that their maps fit, twice as many without
_WITH, _WITHOUT = 12, 24
# a channel that hardly varies isn't blown up
_LEAST_SPREAD = 1e-3


def refit_trait(
    network: EvidenceNet,
    pack: Pack,
    recipe: EngineRecipe,
    trait: str,
    *,
    others: int = 360,
    steps: int = 300,
    seed: int = 0,
) -> float:
    """Fit one shown trait's map anew, in place, on all training films that have it and as many others; the rest stays.

    The map is a line through all channels of `features` (see `EvidenceNet`), each centred and scaled. It pools to the
    logit as the network pools what it shows, with a bias of 0: a cell says its own log-odds. On 424 validation films a
    line through the top-down path alone told metal with an AUROC of .91, this one with .99.

    Parameters
    ----------
    pack : its ``train`` rows are used.
    trait : one of those that the recipe shows.
    others : films without it, drawn by `seed`.

    Returns
    -------
    Loss of the last step, nats per film; NaN, and nothing is changed, where no training film has it or all have.
    """
    column = (*recipe.sites, *recipe.traits).index(trait)
    rows = pack.split == "train"
    draw = np.random.default_rng(seed)
    with_it = np.flatnonzero(rows & (pack.traits[:, column] > 0.5))
    without = np.flatnonzero(rows & (pack.traits[:, column] < 0.5))
    if len(with_it) == 0 or len(without) == 0:
        return float("nan")
    without = draw.permutation(without)[:others]
    seen = _features(network, pack, np.concatenate([with_it, without]))
    device = network.bias.device
    mean, spread = (value.to(device) for value in _levels(seen))
    line = torch.zeros(seen.shape[1], device=device, requires_grad=True)
    optimiser = torch.optim.Adam([line], lr=_LEARNING_RATE)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    few, many = min(_WITH, len(with_it)), min(_WITHOUT, len(without))
    target = (torch.arange(few + many, device=device) < few).float()
    weight = torch.where(target > 0, 0.5 / few, 0.5 / many)
    value = torch.zeros(())
    for _ in range(steps):
        chosen = np.concatenate(
            [
                draw.choice(len(with_it), few, replace=False),
                len(with_it) + draw.choice(len(without), many, replace=False),
            ]
        )
        films = seen[torch.from_numpy(chosen)].to(device).float()
        maps = torch.einsum("nchw,c->nhw", films, _folded(line, mean, spread))
        logits = pool_evidence(maps[:, None], network.pooling, network.sharpness)[:, 0]
        value = functional.binary_cross_entropy_with_logits(logits, target, weight=weight, reduction="sum")
        optimiser.zero_grad()
        (value + _DECAY * line.square().sum()).backward()
        optimiser.step()
        falling.step()
    with torch.no_grad():
        fitted = _folded(line, mean, spread)[:, None, None]
        network.traits.weight[column] = fitted[: network.top]
        network.traits.get_parameter("bias")[column] = 0
        network.level_heads.weight[recipe.shown.index(trait)] = fitted[network.top :]
    return float(value.detach())


def _features(network: EvidenceNet, pack: Pack, rows: NDArray[np.intp]) -> Tensor:
    """Features of these films, in half precision and on the CPU: some hundred films are several GB."""
    parts = []
    network.eval()
    for row in rows:
        image = torch.from_numpy(pack.images[row : row + 1]).to(network.bias.device).float() * pack.step + pack.offset
        with torch.inference_mode():
            parts.append(network.features(image).half().cpu())
    return torch.cat(parts).clone()


def _levels(seen: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel over the cells of every eighth film; of ones, the last, 0 and 1."""
    some = seen[::8].float().transpose(0, 1).flatten(1)
    mean, spread = some.mean(dim=1), some.std(dim=1).clamp(min=_LEAST_SPREAD)
    mean[-1], spread[-1] = 0, 1
    return mean, spread


def _folded(line: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
    """The same line through channels as they are: what centring takes away goes to the channel of ones."""
    plain = line / spread
    return torch.cat([plain[:-1], plain[-1:] - (plain * mean).sum()])
