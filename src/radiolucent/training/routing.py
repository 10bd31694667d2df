"""The router: which site a film shows, fitted last on whole films, real and synthetic; and its figures for the card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from radiolucent.engines.manifest import SITE_DOUBTED, SITE_REFUSED
from radiolucent.engines.network import EvidenceNet
from radiolucent.engines.preprocess import prepare
from radiolucent.errors import SetupError
from radiolucent.evaluate.classification import auroc
from radiolucent.phantom import arrays
from radiolucent.training.augment import centre
from radiolucent.training.datasets import canvas_spec, quantise
from radiolucent.training.pack import Pack
from radiolucent.training.recipe import EngineRecipe, Router

# far from the seeds that demos, tests and trainings use
_FIRST_SEED = 5_000_000
_DECAY = 1e-2
_ITERATIONS = 300
# a channel that hardly varies isn't blown up
_LEAST_SPREAD = 1e-3


@dataclass(frozen=True, kw_only=True, eq=False)
class SiteFilms:
    """Synthetic films of known sites.

    Parameters
    ----------
    images : uint8 ``(N, C, side, side)``, as a pack holds them.
    truth : float32 ``(N, S)``, 1 in the column of the router's site that a film shows.
    """

    images: NDArray[np.uint8]
    truth: NDArray[np.float32]


def site_films(recipe: EngineRecipe, *, seed: int = 0, report: Callable[[int, int], None] | None = None) -> SiteFilms:
    """Draw the synthetic films that the recipe's router asks for.

    Parameters
    ----------
    seed : another seed gives other patients.
    report : called with (films done, films in all).

    Raises
    ------
    SetupError
        If the recipe has no router.
    """
    router = _router(recipe)
    wanted = [
        (column, {"site": drawn} if drawn else {})
        for column, site in enumerate(router.sites)
        for drawn in site.drawn or ("",)
        for _ in range(router.each if site.name in recipe.sites else router.strange)
    ]
    images = []
    for index, (column, options) in enumerate(wanted):
        site = router.sites[column]
        findings = site.findings[int(np.random.default_rng([seed, index]).integers(len(site.findings)))]
        film = arrays(site.kind, findings, seed=_FIRST_SEED + 10_000 * seed + index, **router.options, **options)
        batch, _ = prepare(film[0], film[1], canvas_spec(recipe))
        images.append(quantise(batch[0], recipe))
        if report is not None:
            report(index + 1, len(wanted))
    truth = np.eye(len(router.sites), dtype=np.float32)[[column for column, _ in wanted]]
    return SiteFilms(images=np.stack(images), truth=truth)


def fit_router(
    network: EvidenceNet,
    pack: Pack,
    recipe: EngineRecipe,
    synthetic: SiteFilms,
    *,
    seed: int = 0,
    report: Callable[[int, int], None] | None = None,
) -> float:
    """Give the network a router, in place; nothing else of it changes.

    Multinomial logistic regression on the mean of `features` over the cells, each channel centred and scaled, with
    weight decay. A film that shows several sites counts for each alike. Films of the sites that no real film shows
    weigh as much together as all others: of 203 real chest films bone 0.6.0 refuses 114; with equal weights, and 60
    chests of five kinds drawn instead of 80 of eight, it was 67; of 424 real limbs none either way.

    Parameters
    ----------
    pack : its ``train`` rows are used, as many as the router asks for, drawn by `seed`.
    synthetic : films of all sites, from `site_films`.
    report : called with (films seen, films in all).

    Returns
    -------
    The loss with weight decay, nats per film.

    Raises
    ------
    SetupError
        If the recipe has no router.
    """
    router = _router(recipe)
    truth = known_sites(pack, recipe)
    rows = np.flatnonzero((pack.split == "train") & (truth.sum(axis=1) > 0))
    rows = np.random.default_rng(seed).permutation(rows)[: router.films]
    seen = _means(network, np.concatenate([pack.images[rows], synthetic.images]), recipe, report)
    shown = torch.from_numpy(np.concatenate([truth[rows], synthetic.truth]))
    shown = shown / shown.sum(dim=1, keepdim=True)
    strange = shown[:, [name not in recipe.sites for name in router.names]].sum(dim=1) > 0
    weight = torch.ones(len(shown))
    if 0 < int(strange.sum()) < len(shown):
        weight[strange] = float((~strange).sum() / strange.sum())
    weight /= weight.sum()
    mean, spread = seen.mean(dim=0), seen.std(dim=0).clamp(min=_LEAST_SPREAD)
    scaled = (seen - mean) / spread
    line = torch.zeros(len(router.sites), seen.shape[1], requires_grad=True)
    level = torch.zeros(len(router.sites), requires_grad=True)
    optimiser = torch.optim.LBFGS([line, level], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        told = (scaled @ line.T + level).log_softmax(dim=1)
        value = -(weight * (shown * told).sum(dim=1)).sum() + _DECAY * line.square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    value = float(loss().detach())
    with torch.no_grad():
        network.router = nn.Linear(network.width, len(router.sites)).to(network.bias.device).requires_grad_(False)
        network.router.weight.copy_(line / spread)
        network.router.bias.copy_(level - (line / spread) @ mean)
    return value


def known_sites(pack: Pack, recipe: EngineRecipe) -> NDArray[np.float32]:
    """Which of the router's sites each row shows, float32 ``(N, S)``; 0 throughout where nobody says."""
    truth = np.zeros((len(pack), len(_router(recipe).sites)), dtype=np.float32)
    for column, name in enumerate(_router(recipe).names):
        if name in recipe.sites:
            truth[:, column] = np.nan_to_num(pack.traits[:, recipe.sites.index(name)]) > 0.5
    return truth


def measure_routing(network: EvidenceNet, recipe: EngineRecipe, pack: Pack, synthetic: SiteFilms) -> dict[str, Any]:
    """Compare what the router tells with what films show.

    Parameters
    ----------
    pack : real films, all of which are used; those whose site nobody says count nowhere.
    synthetic : films that the router wasn't fitted to.

    Returns
    -------
    ``sites`` : site → n (films that show it), auroc, found (share of them for which it is the likeliest), wrongly
        (other films for which it is);
    ``synthetic`` : the same of the synthetic films;
    ``all`` : real films, on how many the likeliest site is one that they show (``right``), how many would be refused
        (``refused``), or doubted although their header names a site that they show (``doubted``); ``noticed`` is the
        share of wrong headers, of all that name a site which a film doesn't show, that would be.
    """
    router = _router(recipe)
    known = known_sites(pack, recipe)
    rows = np.flatnonzero(known.sum(axis=1) > 0)
    truth, told = known[rows] > 0.5, route(network, pack.images[rows], recipe)
    read = np.array([name in recipe.sites for name in router.names])
    others = ~truth & read
    return {
        "sites": _by_site(told, truth, router),
        "synthetic": _by_site(route(network, synthetic.images, recipe), synthetic.truth > 0.5, router),
        "all": {
            "films": float(len(rows)),
            "right": float(truth[np.arange(len(rows)), told.argmax(axis=1)].sum()),
            "refused": float((told[:, ~read].sum(axis=1) >= SITE_REFUSED).sum()),
            "doubted": float(((told < SITE_DOUBTED) & truth).any(axis=1).sum()),
            "noticed": float((told < SITE_DOUBTED)[others].mean()) if others.any() else float("nan"),
        },
    }


def route(network: EvidenceNet, images: NDArray[np.uint8], recipe: EngineRecipe) -> NDArray[np.float32]:
    """How likely each site is on each film, float32 ``(N, S)``."""
    told = []
    with torch.inference_mode():
        for image in images:
            told.append(network.eval()(_film(network, image, recipe))[2].cpu().numpy())
    return np.concatenate(told)


def _by_site(told: NDArray[np.float32], truth: NDArray[np.bool_], router: Router) -> dict[str, dict[str, float]]:
    likeliest = told.argmax(axis=1)
    return {
        name: {
            "n": float(truth[:, column].sum()),
            "auroc": auroc(told[:, column], truth[:, column]),
            "found": float((likeliest == column)[truth[:, column]].mean()) if truth[:, column].any() else float("nan"),
            "wrongly": float((likeliest == column)[~truth[:, column]].sum()),
        }
        for column, name in enumerate(router.names)
    }


def _means(
    network: EvidenceNet, images: NDArray[np.uint8], recipe: EngineRecipe, report: Callable[[int, int], None] | None
) -> Tensor:
    """Mean of `features` over the cells, float32 ``(N, channels)``, on the CPU."""
    network.eval()
    parts = []
    with torch.inference_mode():
        for image in images:
            parts.append(network.features(_film(network, image, recipe)).float().mean(dim=(2, 3)).cpu())
            if report is not None:
                report(len(parts), len(images))
    return torch.cat(parts).clone()


def _film(network: EvidenceNet, image: NDArray[np.uint8], recipe: EngineRecipe) -> Tensor:
    values = torch.from_numpy(image[None]).to(network.bias.device).float() * recipe.step + recipe.offset
    return centre(values, recipe.size)


def _router(recipe: EngineRecipe) -> Router:
    if recipe.router is None:
        raise SetupError(f"{recipe.engine} has no router")
    return recipe.router
