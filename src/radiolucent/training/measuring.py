"""What a network gives on a pack, and quick figures of it at grid resolution: enough to choose between epochs."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from radiolucent.training.augment import centre
from radiolucent.training.draw import cover_of
from radiolucent.training.pack import Pack

# of images in one forward pass without gradients: more costs memory and gains no time
_PIXELS_AT_ONCE = 1 << 20


def score(metrics: dict[str, float]) -> float:
    """What one look at the validation rows is worth: how often the finding and its place are right; NaN without a look.

    >>> score({"loss": 2.0, "auroc": 0.9, "hit_rate": 0.7})
    0.8
    """
    told = [metrics[name] for name in ("accuracy", "auroc", "hit_rate") if np.isfinite(metrics.get(name, np.nan))]
    return float(np.mean(told)) if told else float("nan")


def predict(
    network: nn.Module, pack: Pack, size: int, batch: int | None = None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Logits ``(N, K)`` and evidence ``(N, K, h, w)`` of every row, float32, nothing varied; `batch` rows at a time."""
    batch = batch or max(1, min(32, _PIXELS_AT_ONCE // size**2))
    device = next(network.parameters()).device
    logits, evidence = [], []
    network.eval()
    with torch.inference_mode():
        for start in range(0, len(pack), batch):
            images = torch.from_numpy(pack.images[start : start + batch]).to(device).float() * pack.step + pack.offset
            scores, maps = network(centre(images, size))[:2]
            logits.append(scores.cpu().numpy())
            evidence.append(maps.cpu().numpy())
    return np.concatenate(logits), np.concatenate(evidence)


def cell_cover(pack: Pack, size: int, grid: int) -> NDArray[np.float32]:
    """Share of each cell inside the outlines, float32 ``(N, K, h, w)``, for unvaried images."""
    planes = centre(cover_of(torch.from_numpy(pack.outlines), len(pack.findings)), size)
    return np.asarray(functional.adaptive_avg_pool2d(planes, grid).numpy(), dtype=np.float32)


def measure(network: nn.Module, pack: Pack, size: int, *, exclusive: bool = True) -> dict[str, float]:
    """Quick figures at grid resolution, for choosing between epochs; `evaluate` gives those that are quoted."""
    logits, evidence = predict(network, pack, size)
    if not exclusive:
        return _measure_each(logits, evidence, pack, size)
    known = np.isfinite(pack.labels).all(axis=1) & (np.nansum(pack.labels, axis=1) > 0)
    truth = np.where(known[:, None], pack.labels, 0).argmax(axis=1)
    rows = np.flatnonzero(known)
    accuracy = float((logits.argmax(axis=1) == truth)[known].mean()) if len(rows) else float("nan")
    cover = cell_cover(pack, size, evidence.shape[-1])
    drawn = [row for row in rows if pack.outlined[row] and cover[row, truth[row]].max() > 0.5]
    hits = [cover[row, truth[row]].flat[evidence[row, truth[row]].argmax()] > 0.5 for row in drawn]
    overlap = [_dice(evidence[row, truth[row]] > 0, cover[row, truth[row]] > 0.5) for row in drawn]
    return {
        "accuracy": accuracy,
        "hit_rate": float(np.mean(hits)) if hits else float("nan"),
        "cell_dice": float(np.mean(overlap)) if overlap else float("nan"),
    }


def _measure_each(
    logits: NDArray[np.float32], evidence: NDArray[np.float32], pack: Pack, size: int
) -> dict[str, float]:
    """Mean and single AUROC, and how often the map of an outlined finding peaks inside it."""
    areas: dict[str, float] = {}
    hits: list[bool] = []
    cover = cell_cover(pack, size, evidence.shape[-1])
    for k, name in enumerate(pack.findings):
        positive, negative = pack.labels[:, k] > 0.5, pack.labels[:, k] < 0.5
        if positive.any() and negative.any():
            pairs = logits[positive, k][:, None] - logits[negative, k][None, :]
            areas[name] = float((pairs > 0).mean() + 0.5 * (pairs == 0).mean())
        drawn = np.flatnonzero(positive & pack.outlined & (cover[:, k].max(axis=(1, 2)) > 0))
        hits += [bool(cover[row, k].flat[evidence[row, k].argmax()] > 0) for row in drawn]
    return {
        "auroc": float(np.mean(list(areas.values()))) if areas else float("nan"),
        "hit_rate": float(np.mean(hits)) if hits else float("nan"),
        **{f"auroc {name}": area for name, area in areas.items()},
    }


def _dice(found: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> float:
    total = int(found.sum() + wanted.sum())
    return 2.0 * float((found & wanted).sum()) / total if total else 1.0
