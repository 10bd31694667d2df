"""Learning without labels: the network fills in what is hidden of an image; a fit then starts from its features."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from radiolucent.engines import lite
from radiolucent.engines.network import EvidenceNet
from radiolucent.errors import SetupError
from radiolucent.training.draw import draw_rows
from radiolucent.training.pack import Pack
from radiolucent.training.photographs import learn_from_photographs
from radiolucent.training.recipe import EngineRecipe

# share of an image that is hidden, in blocks of so many cells a side; He et al. 2022 hide three quarters in blocks of
# 16 pixels from a network that sees the rest in one piece; a convolution sees the seams, so less is hidden
HIDDEN = 0.6
BLOCK = 4
_FLAT = 1e-3  # standard deviation below which a cell shows nothing to fill in

Report = Callable[[int, int, float], None]


def pretrain(
    pack: Pack,
    recipe: EngineRecipe,
    file: Path,
    *,
    epochs: int,
    seed: int = 0,
    device: str | None = None,
    report: Report | None = None,
) -> list[float]:
    """Learn to fill in hidden blocks of the pack's ``train`` rows, and write the features' weights to `file`.

    Each cell's pixels are asked for after its own mean is taken away and its deviation is divided out, so that texture
    counts as much as shade. Labels and outlines aren't looked at; validation rows aren't seen.

    Parameters
    ----------
    epochs : looks at every training row.
    report : called with (batches done, batches in all, loss of the last one).

    Returns
    -------
    Mean loss of each epoch; 1 is what filling in each cell's own mean would give.

    Raises
    ------
    SetupError
        If the pack has no training rows.

    Source
    ------
    He et al., Masked autoencoders are scalable vision learners, CVPR 2022: hidden patches, normalised targets.
    """
    train = pack.rows(pack.split == "train")
    if not len(train):
        raise SetupError("the pack has no row whose split is 'train'")
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    torch.manual_seed(seed)
    # without the stages' own channels, which traits that are shown see: the path's are what fills
    arguments = {**recipe.network, "shown": 0}
    network = EvidenceNet(findings=len(recipe.findings), channels=recipe.channels, **arguments)
    if recipe.network.get("backbone") == lite.NAME:
        learn_from_photographs(network.features, step=pack.step, offset=pack.offset)
    stride, width = int(recipe.network["grid_stride"]), int(recipe.network["top"])
    features = network.features.to(where).to(memory_format=torch.channels_last).train()
    fill = nn.Conv2d(width, recipe.channels * stride**2, 1).to(where)
    parts = [*features.parameters(), *fill.parameters()]
    batches = max(1, len(train) // recipe.batch)
    optimiser = torch.optim.AdamW(parts, lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
    falling = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, max_lr=recipe.learning_rate, total_steps=batches * epochs, pct_start=0.1
    )
    means = []
    for epoch in range(epochs):
        random = torch.Generator().manual_seed(1_000_003 * seed + epoch)
        order = torch.randperm(len(train), generator=random)
        total = 0.0
        for step in range(batches):
            rows = order[step * recipe.batch : (step + 1) * recipe.batch]
            images = draw_rows(train, rows, recipe, crops=recipe.crops, random=random, device=where).images
            with torch.autocast(where.type, torch.bfloat16):
                loss = hidden_loss(features, fill, images, stride, random)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(parts, 2.0)
            optimiser.step()
            falling.step()
            total += float(loss.detach())
            if report is not None:
                report(epoch * batches + step + 1, batches * epochs, float(loss.detach()))
        means.append(total / batches)
    file.parent.mkdir(parents=True, exist_ok=True)
    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in features.state_dict().items()}
    torch.save({"network": _described(recipe), "epochs": epochs, "seed": seed, "features": weights}, file)
    return means


def start_from(network: EvidenceNet, recipe: EngineRecipe, file: Path) -> None:
    """Give a network the features that `pretrain` wrote to `file`.

    Raises
    ------
    SetupError
        If there is no such file, or it was made for another network.
    """
    if not file.is_file():
        raise SetupError(f"{file} is missing: run the pretraining first")
    stored = torch.load(file, map_location="cpu", weights_only=True)
    if stored["network"] != _described(recipe):
        raise SetupError(f"{file} holds the features of another network than {recipe.engine}'s: pretrain again")
    network.features.load_state_dict(stored["features"])


def hidden_loss(features: nn.Module, fill: nn.Module, images: Tensor, stride: int, random: torch.Generator) -> Tensor:
    """Mean square difference over hidden cells that show something, images float32 ``(N, C, S, S)``.

    Parameters
    ----------
    features : ``(N, C, S, S)`` → ``(N, top, S / stride, S / stride)``
    fill : ``(N, top, h, w)`` → ``(N, C * stride**2, h, w)``
    """
    hidden = hidden_cells(images.shape[0], images.shape[-1] // stride, random).to(images.device)
    cover = functional.interpolate(hidden[:, None].float(), scale_factor=float(stride), mode="nearest")
    seen = images * (1 - cover) + images.mean(dim=(2, 3), keepdim=True) * cover
    filled = fill(features(seen.contiguous(memory_format=torch.channels_last))).float()
    wanted = functional.pixel_unshuffle(images, stride)
    spread, mean = torch.std_mean(wanted, dim=1, keepdim=True)
    counted = hidden & (spread[:, 0] > _FLAT)
    wanted = (wanted - mean) / spread.clamp(min=_FLAT)
    return ((filled - wanted) ** 2).mean(dim=1)[counted].sum() / counted.sum().clamp(min=1)


def hidden_cells(count: int, cells: int, random: torch.Generator) -> Tensor:
    """Bool ``(count, cells, cells)``: the share `HIDDEN` of blocks of `BLOCK` cells a side, others in each image."""
    side = -(-cells // BLOCK)
    ranks = torch.rand(count, side * side, generator=random).argsort(dim=1).argsort(dim=1)
    blocks = (ranks < round(HIDDEN * side * side)).view(count, side, side)
    return blocks.repeat_interleave(BLOCK, 1).repeat_interleave(BLOCK, 2)[:, :cells, :cells]


def _described(recipe: EngineRecipe) -> str:
    """What must be alike in two networks for one's features to fit the other."""
    heads = ("sites", "traits", "shown")
    network = {name: value for name, value in asdict(recipe)["network"].items() if name not in heads}
    return json.dumps({"channels": recipe.channels, **network}, sort_keys=True)
