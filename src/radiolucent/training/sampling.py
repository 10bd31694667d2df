"""How often each row of a pack is drawn for training, and how common that makes each finding."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from radiolucent.training.pack import Pack
from radiolucent.training.recipe import EngineRecipe

# how the `source` of a synthetic row begins
SYNTHETIC = "synthetic-"
# a base rate is never taken to be below this, nor above its complement
_RAREST = 0.01


def row_weights(pack: Pack, recipe: EngineRecipe) -> Tensor:
    """How often each row is drawn: shares for synthetic rows and for folders first, rare findings more often in each.

    Where a share for synthetic rows is given, the others' weights don't depend on them.
    """
    weights = np.zeros(len(pack))
    for chosen, share in _parts(pack, recipe):
        part = _rare_first(pack.rows(chosen), recipe.balance)
        weights[chosen] = part / part.sum() * share
    return torch.from_numpy(weights)


def log_odds(pack: Pack, weights: NDArray[np.float64]) -> NDArray[np.float32]:
    """Log odds of each finding among rows drawn with these weights; 0 for one that no row tells of."""
    known = np.isfinite(pack.labels) * weights[:, None]
    rate = (np.nan_to_num(pack.labels) * known).sum(axis=0) / np.maximum(known.sum(axis=0), 1e-12)
    rate = np.where(known.any(axis=0), np.clip(rate, _RAREST, 1 - _RAREST), 0.5)
    return np.asarray(np.log(rate / (1 - rate)), dtype=np.float32)


def _parts(pack: Pack, recipe: EngineRecipe) -> list[tuple[NDArray[np.bool_], float]]:
    """Rows that share one part of the draws, and that part."""
    synthetic = np.char.startswith(pack.source, SYNTHETIC)
    mixed = recipe.synthetic_share is not None and bool(synthetic.any()) and not bool(synthetic.all())
    real = ~synthetic if mixed else np.ones(len(pack), dtype=np.bool_)
    left = 1.0 - float(recipe.synthetic_share or 0) * mixed
    folders = pack.folders if recipe.even_folders else None
    names = [""] if folders is None else sorted(set(folders[real]))
    parts = [(real if folders is None else real & (folders == name), left / len(names)) for name in names]
    return [*parts, (synthetic, 1.0 - left)] if mixed else parts


def _rare_first(pack: Pack, balance: float) -> NDArray[np.float64]:
    """Weight = (1 / frequency of the row's rarest finding) ** balance."""
    positive = np.nan_to_num(pack.labels) > 0
    frequency = np.maximum(positive.mean(axis=0), 1.0 / max(1, len(pack)))
    negative = max(float((~positive.any(axis=1)).mean()), 1.0 / max(1, len(pack)))
    rarest = np.where(positive, frequency, np.inf).min(axis=1)
    rarest = np.where(np.isfinite(rarest), rarest, negative)
    return np.asarray((1.0 / rarest) ** balance, dtype=np.float64)
