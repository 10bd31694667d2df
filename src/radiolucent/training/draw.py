"""What one training step is fed: rows of a pack, varied, with the labels that the varied images still deserve."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from radiolucent.training.augment import LEAST_LEFT, augment
from radiolucent.training.pack import Pack
from radiolucent.training.recipe import Augmentation, Crops, EngineRecipe
from radiolucent.training.windows import choose_centres, draw_metal

# a window that shows fewer pixels of a finding than this has none; one with less than this share may as well be either
_FEW_PIXELS = 12.0
_BARELY = 0.25


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """One batch.

    Parameters
    ----------
    images : float32 ``(N, C, S, S)``
    cover : float32 ``(N, K, S, S)``, in [0, 1].
    labels : float32 ``(N, K)``; 1, 0 or NaN.
    doubtful : bool ``(N, K)``: labels that the pooled logit shouldn't learn from, though the outlines may teach; None
        where there can be none.
    traits : float32 ``(N, sites + T)``; 1, 0, or NaN where the image may not show what the film has.
    outlined : bool ``(N,)``
    """

    images: Tensor
    cover: Tensor
    labels: Tensor
    doubtful: Tensor | None
    traits: Tensor
    outlined: Tensor


def draw_rows(
    pack: Pack,
    rows: Tensor,
    recipe: EngineRecipe,
    *,
    crops: Crops | None,
    random: torch.Generator,
    device: torch.device,
    still: bool = False,
) -> Drawn:
    """Vary some rows.

    Parameters
    ----------
    rows : int64 ``(N,)``
    crops : how windows are laid; None for whole images.
    random : source of every choice.
    still : only cut and scaled, not bent or shaded.
    """
    index = rows.numpy()
    packed, outlines = pack.images[index], pack.outlines[index]
    images = torch.from_numpy(packed).to(device).float() * pack.step + pack.offset
    cover = cover_of(torch.from_numpy(outlines).to(device), len(recipe.findings))
    before = cover.sum(dim=(2, 3))
    metal, centres = torch.zeros(len(rows), dtype=torch.bool), None
    if recipe.crops:
        centres = choose_centres(packed, outlines, recipe.crops, random)
        metal = draw_metal(images, centres, recipe.crops.metal, random)
    images, cover, removed = augment(
        images,
        cover,
        torch.from_numpy(pack.midline[index]).to(device),
        size=crops.size if crops else recipe.size,
        air=pack.offset,
        how=_unbent(recipe.augmentation) if still else recipe.augmentation,
        random=random,
        centres=centres if crops else None,
    )
    left = cover.sum(dim=(2, 3))
    labels = torch.from_numpy(pack.labels[index]).to(device)
    if recipe.exclusive:
        gone = removed[:, None].expand_as(labels)
    elif crops:
        gone = (before > 0) & (left < (LEAST_LEFT * before).clamp(max=_FEW_PIXELS))
    else:
        gone = removed[:, None] | ((before > 0) & (left < LEAST_LEFT * before))
    labels = torch.where(gone & torch.isfinite(labels), torch.zeros_like(labels), labels)
    traits = torch.from_numpy(pack.traits[index]).to(device)
    return Drawn(
        images=images,
        cover=cover,
        labels=labels,
        doubtful=_doubtful(recipe, labels, traits, barely=left < _BARELY * before if crops else None),
        traits=visible_traits(traits, metal.to(device), sites=len(recipe.sites), window=crops is not None),
        outlined=torch.from_numpy(pack.outlined[index]).to(device),
    )


def cover_of(outlines: Tensor, findings: int) -> Tensor:
    """Outline bits ``(N, S, S)``, as a pack holds them → float32 ``(N, findings, S, S)``, 1 inside."""
    bits = (2 ** torch.arange(findings, device=outlines.device)).to(outlines.dtype)[:, None, None]
    return ((outlines[:, None] & bits) > 0).float()


def visible_traits(traits: Tensor, metal: Tensor, *, sites: int, window: bool) -> Tensor:
    """What a network can be asked to tell of an image: NaN where a window may not show what the film has.

    Parameters
    ----------
    traits : float32 ``(N, sites + T)``, of the whole film.
    metal : bool ``(N,)``: metal was drawn in, so the first trait after the sites is present.
    window : True where only a part of the film is seen.
    """
    wanted = traits.clone()
    if window:
        several = wanted[:, :sites].sum(dim=1, keepdim=True) > 1
        wanted[:, :sites] = wanted[:, :sites].masked_fill(several, float("nan"))
        wanted[:, sites:] = wanted[:, sites:].masked_fill(wanted[:, sites:] > 0, float("nan"))
    if wanted.shape[1] > sites:
        wanted[:, sites] = torch.where(metal, torch.ones_like(wanted[:, sites]), wanted[:, sites])
    return wanted


def _doubtful(recipe: EngineRecipe, labels: Tensor, traits: Tensor, *, barely: Tensor | None) -> Tensor | None:
    if barely is None and not recipe.doubtful:
        return None
    doubtful = torch.zeros_like(labels, dtype=torch.bool)
    if recipe.doubtful:
        column = (*recipe.sites, *recipe.traits).index(recipe.doubtful)
        doubtful |= (labels > 0) & (traits[:, column, None] > 0)
    if barely is not None:
        doubtful |= (labels > 0) & barely
    return doubtful


def _unbent(how: Augmentation) -> Augmentation:
    return replace(
        how, rotation=0.0, stretch=0.0, shift=0.0, gamma=0.0, contrast=0.0, bias_field=0.0, noise=0.0, blur=0.0
    )
