"""How training images are varied: in batches, on the device, with outlines moved along, all from one generator."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from radiolucent.training.recipe import Augmentation

# pixels kept free between a cut or mirrored edge and the outline
_MARGIN = 4.0
# a finding of which less than this share of pixels stays in view counts as gone
LEAST_LEFT = 0.15
# what is darker than this, in network units above air, is air
_AIR = 0.05


def augment(
    images: Tensor,
    cover: Tensor,
    midline: Tensor,
    *,
    size: int,
    air: float,
    how: Augmentation,
    random: torch.Generator,
    centres: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Draw varied network inputs from packed images.

    Parameters
    ----------
    images : float32 ``(N, C, S, S)``, network units.
    cover : float32 ``(N, K, S, S)``, 1 inside an outline of finding k.
    midline : float32 ``(N,)``, column of the symmetry axis, NaN where there is none.
    size : side of the result, pixels.
    air : value of what lies outside the image.
    random : source of every choice, on the CPU: the same seed gives the same batch.
    centres : float32 ``(N, 2)``, (column, row) of the packed image that comes to lie in the middle; None: its middle.

    Returns
    -------
    images : float32 ``(N, C, size, size)``
    cover : float32 ``(N, K, size, size)``, in [0, 1].
    removed : bool ``(N,)``; True where the whole finding was taken out, so that the image is a true negative.
    """
    mirrored = torch.zeros(len(images), dtype=torch.bool, device=images.device)
    if how.mirror > 0:
        images, cover, mirrored = mirror_half(images, cover, midline, share=how.mirror, random=random)
    images, cover, cut = _cut_side(images, cover, air, how.cut, random)
    before = cover.sum(dim=(1, 2, 3))
    both = _move(torch.cat([images - air, cover], dim=1), size, how, random, centres)
    images, cover = both[:, : images.shape[1]], both[:, images.shape[1] :].clamp(0, 1)
    lost = (before > 0) & (cover.sum(dim=(1, 2, 3)) < LEAST_LEFT * before)
    return _vary_intensity(images, how, random) + air, cover, mirrored | cut | lost


def mirror_half(
    images: Tensor,
    cover: Tensor,
    midline: Tensor,
    *,
    share: float,
    random: torch.Generator,
    emptied: float = 2 / 3,
) -> tuple[Tensor, Tensor, Tensor]:
    """Replace one half of a symmetric head by the mirror image of the other.

    Parameters
    ----------
    images, cover, midline : as in `augment`.
    share : of the rows whose finding lies in one half.
    emptied : of those, the share in which the half with the finding is the one replaced.

    Returns
    -------
    images, cover, and bool ``(N,)``: True where there is nothing left to find.
    """
    count, side, device = len(images), images.shape[-1], images.device
    columns = torch.arange(side, device=device, dtype=torch.float32)
    inside = cover.amax(dim=(1, 2))
    first = torch.where(inside > 0, columns, columns.new_tensor(math.inf)).amin(dim=1)
    last = torch.where(inside > 0, columns, columns.new_tensor(-math.inf)).amax(dim=1)
    left_only, right_only = last < midline - _MARGIN, first > midline + _MARGIN
    usable = left_only | right_only
    wanted = _chosen(count, share, random, device) & usable
    remove = _chosen(count, emptied, random, device)
    keep_right = torch.where(left_only, remove, ~remove)
    axis = torch.where(torch.isfinite(midline), midline, torch.zeros_like(midline))[:, None]
    mirror = (2 * axis - columns).round().clamp(0, side - 1)
    replaced = torch.where(keep_right[:, None], columns < axis, columns > axis) & wanted[:, None]
    index = torch.where(replaced, mirror, columns).long()
    both = torch.cat([images, cover], dim=1)
    both = both.gather(3, index[:, None, None, :].expand(-1, both.shape[1], side, -1))
    return both[:, : images.shape[1]], both[:, images.shape[1] :], wanted & remove


def centre(images: Tensor, size: int) -> Tensor:
    """The middle ``size × size`` pixels of ``(N, C, S, S)``: what the network sees when nothing is varied."""
    start = (images.shape[-1] - size) // 2
    return images[..., start : start + size, start : start + size]


def _uniform(count: int, low: float, high: float, random: torch.Generator, device: torch.device) -> Tensor:
    return (torch.rand(count, generator=random) * (high - low) + low).to(device)


def _chosen(count: int, share: float, random: torch.Generator, device: torch.device) -> Tensor:
    return (torch.rand(count, generator=random) < share).to(device)


def _cut_side(
    images: Tensor, cover: Tensor, air: float, share: float, random: torch.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """Blank what lies beyond a random line: beyond it the finding (half of the time), or only other tissue."""
    count, side, device = len(images), images.shape[-1], images.device
    wanted = _chosen(count, share, random, device)
    remove = _chosen(count, 0.5, random, device)
    angle = _uniform(count, 0, 2 * math.pi, random, device)
    place = _uniform(count, 0, 1, random, device)
    rows = torch.nonzero(wanted)[:, 0]
    if len(rows) == 0:
        return images, cover, wanted
    turn, place, take = angle[rows, None, None], place[rows], remove[rows]
    line = torch.arange(side, device=device, dtype=torch.float32) - (side - 1) / 2
    along = torch.cos(turn) * line[None, None, :] + torch.sin(turn) * line[None, :, None]
    inside = cover[rows].amax(dim=1) > 0
    low = along.masked_fill(~inside, math.inf).amin(dim=(1, 2)) - _MARGIN
    high = along.masked_fill(~inside, -math.inf).amax(dim=(1, 2)) + _MARGIN
    reach, least = 0.4 * side, -0.08 * side
    # taken out: keep the side before the finding, if that is a fair part of the image; kept: cut behind it
    fair = torch.isfinite(low) & torch.where(take, low > least, high < reach)
    edge = torch.where(take, low - place * (low - least), high + place * (reach - high))
    blank = (along > edge[:, None, None]) & fair[:, None, None]
    images, cover = images.clone(), cover.clone()
    images[rows] = images[rows].masked_fill(blank[:, None], air)
    cover[rows] = cover[rows].masked_fill(blank[:, None], 0.0)
    removed = torch.zeros_like(wanted)
    removed[rows] = fair & take
    return images, cover, removed


def _move(
    planes: Tensor, size: int, how: Augmentation, random: torch.Generator, centres: Tensor | None = None
) -> Tensor:
    """Rotate, scale, stretch, shift and flip; what lies outside becomes 0."""
    count, side, device = len(planes), planes.shape[-1], planes.device
    angle = _uniform(count, -how.rotation, how.rotation, random, device) * math.pi / 180
    low, high = math.log(how.scale[0]), math.log(how.scale[1])
    scale = torch.exp(_uniform(count, low, high, random, device))
    stretch = torch.exp(_uniform(count, -how.stretch, how.stretch, random, device))
    shift = 2 / side * torch.stack([_uniform(count, -how.shift, how.shift, random, device) for _ in range(2)], dim=1)
    if centres is not None:
        shift = shift + (2 * centres.to(device) + 1) / side - 1
    flips = torch.stack(
        [
            1 - 2 * (_chosen(count, 0.5, random, device) & allowed).float()
            for allowed in (torch.tensor(how.flip_columns, device=device), torch.tensor(how.flip_rows, device=device))
        ],
        dim=1,
    )
    zoom = torch.stack([stretch, 1 / stretch], dim=1) / scale[:, None] * (size / side)
    turn = torch.stack(
        [torch.stack([torch.cos(angle), -torch.sin(angle)], 1), torch.stack([torch.sin(angle), torch.cos(angle)], 1)], 1
    )
    linear = turn * (zoom * flips)[:, None, :]
    grid = functional.affine_grid(
        torch.cat([linear, shift[:, :, None]], dim=2), [count, planes.shape[1], size, size], align_corners=False
    )
    return functional.grid_sample(planes, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def _vary_intensity(images: Tensor, how: Augmentation, random: torch.Generator) -> Tensor:
    """Gamma, contrast, bias field, blur and noise on images whose air is 0 and whose tissue is about 1."""
    count, device, side = len(images), images.device, images.shape[-1]

    def spread(width: float) -> Tensor:
        return torch.exp(_uniform(count, -width, width, random, device))[:, None, None, None]

    images = images.clamp(min=1e-4) ** spread(how.gamma) * spread(how.contrast)
    field = (torch.randn(count, 1, 4, 4, generator=random) * how.bias_field / 2).to(device)
    images = images * torch.exp(functional.interpolate(field, size=(side, side), mode="bicubic", align_corners=True))
    soft = functional.avg_pool2d(functional.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    amount = (_uniform(count, 0, 1, random, device) * _chosen(count, how.blur, random, device))[:, None, None, None]
    images = torch.lerp(images, soft, amount)
    if how.level > 0:
        shift = _uniform(count, -how.level, how.level, random, device)[:, None, None, None]
        images = torch.where(images > _AIR, images + shift, images)
    level = (_uniform(count, 0, how.noise, random, device) * _chosen(count, 0.5, random, device))[:, None, None, None]
    noise = torch.randn(images.shape, generator=random, dtype=torch.float32).to(device)
    return (images + noise * level).clamp(min=0, max=how.brightest)
