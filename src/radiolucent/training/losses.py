"""What the network is asked for: the right logit for the image, and evidence inside the outlines and nowhere else."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from radiolucent.training.recipe import Loss


def image_loss(logits: Tensor, labels: Tensor, *, exclusive: bool) -> Tensor:
    """Binary cross-entropy per finding, and cross-entropy over ``[0, logits]`` where findings exclude each other.

    Parameters
    ----------
    logits : float32 ``(N, K)``
    labels : float32 ``(N, K)``; 1, 0, or NaN where it isn't known: such an entry teaches nothing.

    Returns
    -------
    float32 scalar
    """
    known = torch.isfinite(labels)
    target = torch.where(known, labels, torch.zeros_like(labels))
    each = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    loss = (each * known).sum() / known.sum().clamp(min=1) * logits.shape[1]
    if exclusive:
        scores = torch.cat([torch.zeros_like(logits[:, :1]), logits], dim=1)
        nothing = (target.sum(dim=1, keepdim=True) == 0).float()
        wanted = torch.cat([nothing, target], dim=1)
        rows = known.all(dim=1).float()
        cross = -(wanted * functional.log_softmax(scores, dim=1)).sum(dim=1)
        loss = loss + (cross * rows).sum() / rows.sum().clamp(min=1)
    return loss


def cell_losses(evidence: Tensor, cover: Tensor, outlined: Tensor, inside: float) -> tuple[Tensor, Tensor]:
    """Cross-entropy and Dice of the cells' classes.

    Parameters
    ----------
    evidence : float32 ``(N, K, h, w)``; a cell's classes are ``softmax([0, M_1, …, M_K])``.
    cover : float32 ``(N, K, h, w)``, share of the cell inside an outline of finding k.
    outlined : bool ``(N,)``; rows that are False teach nothing here.
    inside : weight of a wholly covered cell against a background cell.

    Returns
    -------
    cross-entropy (weighted mean over cells), 1 − Dice (over all images of the batch, mean over findings present)
    """
    rows = outlined.float()[:, None, None]
    some = cover.sum(dim=1).clamp(0, 1)
    shares = cover / cover.sum(dim=1, keepdim=True).clamp(min=1)
    target = torch.cat([1 - some[:, None], shares], dim=1)
    scores = torch.cat([torch.zeros_like(evidence[:, :1]), evidence], dim=1)
    cross = -(target * functional.log_softmax(scores, dim=1)).sum(dim=1)
    weight = (1 + (inside - 1) * some) * rows
    mean = (cross * weight).sum() / weight.sum().clamp(min=1)
    found = torch.softmax(scores, dim=1)[:, 1:] * rows[:, None]
    wanted = shares * rows[:, None]
    overlap = (found * wanted).sum(dim=(0, 2, 3))
    total = (found + wanted).sum(dim=(0, 2, 3))
    present = (wanted.sum(dim=(0, 2, 3)) > 0).float()
    dice = (2 * overlap + 1) / (total + 1)
    return mean, ((1 - dice) * present).sum() / present.sum().clamp(min=1)


def independent_cell_losses(evidence: Tensor, cover: Tensor, known: Tensor, inside: float) -> tuple[Tensor, Tensor]:
    """Binary cross-entropy and Dice of each finding's cells by themselves, for findings that overlap.

    Parameters
    ----------
    evidence : float32 ``(N, K, h, w)``, log-odds of each cell.
    cover : float32 ``(N, K, h, w)``, share of the cell inside an outline of finding k.
    known : bool ``(N, K)``; maps that are False teach nothing.
    inside : weight of a wholly covered cell against a background cell.

    Returns
    -------
    cross-entropy (weighted mean over known cells, times K), 1 − Dice (over the batch, mean over findings present)
    """
    maps = known.float()[:, :, None, None]
    cross = functional.binary_cross_entropy_with_logits(evidence, cover, reduction="none")
    weight = (1 + (inside - 1) * cover) * maps
    mean = (cross * weight).sum() / weight.sum().clamp(min=1) * evidence.shape[1]
    found, wanted = torch.sigmoid(evidence) * maps, cover * maps
    overlap, total = (found * wanted).sum(dim=(0, 2, 3)), (found + wanted).sum(dim=(0, 2, 3))
    present = (wanted.sum(dim=(0, 2, 3)) > 0).float()
    dice = (2 * overlap + 1) / (total + 1)
    return mean, ((1 - dice) * present).sum() / present.sum().clamp(min=1)


def total_loss(
    logits: Tensor,
    evidence: Tensor,
    *,
    labels: Tensor,
    cover: Tensor,
    outlined: Tensor,
    weights: Loss,
    exclusive: bool,
    doubtful: Tensor | None = None,
) -> Tensor:
    """The recipe's loss; see `training.recipe.Loss`.

    Where `doubtful`, bool ``(N, K)``, is True the image's label teaches nothing, its outlines do.
    """
    pooled = labels if doubtful is None else labels.masked_fill(doubtful, float("nan"))
    loss = weights.image * image_loss(logits, pooled, exclusive=exclusive)
    if weights.evidence > 0 or weights.overlap > 0:
        if weights.cells == "exclusive":
            cells, overlap = cell_losses(evidence, cover, outlined, weights.inside)
        else:
            known = outlined[:, None] & torch.isfinite(labels)
            cells, overlap = independent_cell_losses(evidence, cover, known, weights.inside)
        loss = loss + weights.evidence * cells + weights.overlap * overlap
    return loss
