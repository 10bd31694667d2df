"""How well a network tells which site a film shows, and its traits: figures for the card."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from radiolucent.engines.network import EvidenceNet
from radiolucent.evaluate.classification import auroc
from radiolucent.training.augment import centre
from radiolucent.training.pack import Pack
from radiolucent.training.recipe import EngineRecipe


def measure_routing(network: EvidenceNet, recipe: EngineRecipe, pack: Pack, batch: int = 16) -> dict[str, Any]:
    """Compare the network's sites and traits with those of the rows.

    Returns
    -------
    ``sites`` : site, or trait that isn't shown as a finding → n (films that show it), auroc, sensitivity and
        specificity at a score of one half;
    ``all`` : films, and on how many the strongest site is one that the film shows (``right``).
    """
    scores = describe(network.eval(), pack, recipe.size, batch)
    truth = pack.traits
    rows: dict[str, dict[str, float]] = {}
    hidden = len(recipe.sites) + len(recipe.traits) - len(recipe.shown)
    for column, name in enumerate((*recipe.sites, *recipe.traits)[:hidden]):
        known = np.isfinite(truth[:, column])
        real, score = truth[known, column] > 0.5, scores[known, column]
        rows[name] = {
            "n": float(real.sum()),
            "auroc": auroc(score, real),
            "sensitivity": float((score[real] > 0).mean()) if real.any() else float("nan"),
            "specificity": float((score[~real] <= 0).mean()) if (~real).any() else float("nan"),
        }
    strongest = scores[:, : len(recipe.sites)].argmax(axis=1)
    right = truth[np.arange(len(truth)), strongest] > 0.5
    return {"sites": rows, "all": {"films": float(len(pack)), "right": float(right.sum())}}


def describe(network: EvidenceNet, pack: Pack, size: int, batch: int = 16) -> NDArray[np.float32]:
    """Logits of sites and traits of every row, float32 ``(N, sites + traits)``."""
    found = []
    with torch.inference_mode():
        for start in range(0, len(pack), batch):
            images = torch.from_numpy(pack.images[start : start + batch]).float() * pack.step + pack.offset
            found.append(network.describe(centre(images, size))[2].numpy())
    return np.concatenate(found)
