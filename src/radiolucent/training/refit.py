"""A last step after `fit`: a trait that windows can't teach, as few films have it and few windows show it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from radiolucent.engines.network import EvidenceNet, pool_evidence
from radiolucent.training.pack import Pack
from radiolucent.training.recipe import EngineRecipe

_DECAY = 1e-3


def refit_trait(
    network: EvidenceNet,
    pack: Pack,
    recipe: EngineRecipe,
    trait: str,
    *,
    others: int = 240,
    steps: int = 120,
    seed: int = 0,
    batch: int = 4,
) -> float:
    """Fit one trait's map anew, in place, on all training films that have it and as many others; the rest stays.

    Parameters
    ----------
    pack : its ``train`` rows are used.
    trait : one of the recipe's; it is a linear map of `features`, pooled as the network pools what it shows.
    others : films without it, drawn by `seed`.

    Returns
    -------
    Loss after the last step, nats per film; NaN, and nothing is changed, where no training film has it or all have.
    """
    column = (*recipe.sites, *recipe.traits).index(trait)
    rows = pack.split == "train"
    with_it = torch.from_numpy((rows & (pack.traits[:, column] > 0.5)).nonzero()[0])
    without = torch.from_numpy((rows & (pack.traits[:, column] < 0.5)).nonzero()[0])
    if len(with_it) == 0 or len(without) == 0:
        return float("nan")
    random = torch.Generator().manual_seed(seed)
    without = without[torch.randperm(len(without), generator=random)[:others]]
    chosen = torch.cat([with_it, without])
    target = torch.cat([torch.ones(len(with_it)), torch.zeros(len(without))]).to(network.bias.device)
    weight = torch.where(target > 0, len(target) / (2 * len(with_it)), len(target) / (2 * len(without)))
    features = torch.cat([_features(network, pack, chosen[at : at + batch]) for at in range(0, len(chosen), batch)])
    start = network.traits.weight.detach()[column].clone()
    line = start.clone().requires_grad_(True)
    bias = network.traits.get_parameter("bias").detach()[column].clone().requires_grad_(True)
    optimiser = torch.optim.Adam([line, bias], lr=0.05)
    loss = torch.zeros(())
    for _ in range(steps):
        maps = torch.einsum("nchw,c->nhw", features, line[:, 0, 0])[:, None]
        logits = pool_evidence(maps, network.pooling, network.sharpness)[:, 0] + bias
        loss = functional.binary_cross_entropy_with_logits(logits, target, weight=weight)
        optimiser.zero_grad()
        (loss + _DECAY * line.square().sum()).backward()
        optimiser.step()
    with torch.no_grad():
        network.traits.weight[column] = line
        network.traits.get_parameter("bias")[column] = bias
    return float(loss.detach())


def _features(network: EvidenceNet, pack: Pack, rows: Tensor) -> Tensor:
    with torch.inference_mode():
        images = torch.from_numpy(pack.images[rows.numpy()]).to(network.bias.device).float() * pack.step + pack.offset
        found: Tensor = network.eval().features(images)
    return found.clone()
