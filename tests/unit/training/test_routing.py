from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

import torch
from numpy.typing import NDArray

from radiolucent.engines.network import EvidenceNet
from radiolucent.errors import SetupError
from radiolucent.training.pack import Pack
from radiolucent.training.recipe import EngineRecipe, RoutedSite, Router
from radiolucent.training.recipes import find_recipe
from radiolucent.training.routing import SiteFilms, fit_router, known_sites, measure_routing, route, site_films

NETWORK: dict[str, Any] = {"stem": 8, "widths": [16, 16], "depths": [1, 1], "top": 16, "sites": 4, "traits": 1}
ROUTER = Router(
    options={"rows": 64},
    sites=(
        RoutedSite(name="hand", drawn=("wrist",), body_parts=("hand",)),
        RoutedSite(name="leg", drawn=("ankle", "knee"), body_parts=("knee",)),
        RoutedSite(name="spine", drawn=("spine",), body_parts=("spine",)),
    ),
    each=1,
    strange=3,
)


@pytest.fixture
def recipe() -> EngineRecipe:
    bone = find_recipe("bone")
    return replace(bone, size=64, canvas=64, network={**bone.network, "shown": 0}, router=ROUTER)


def films(recipe: EngineRecipe, traits: NDArray[np.float32], split: str = "train") -> Pack:
    """A bar across the film for a hand, one along it for a leg, a dot where neither is said."""
    random = np.random.default_rng(len(traits))
    images = random.integers(20, 40, size=(len(traits), 1, 64, 64)).astype(np.uint8)
    for image, shows in zip(images, traits, strict=True):
        if shows[0] == 1:
            image[:, 30:36] = 200
        if shows[1] == 1:
            image[:, :, 30:36] = 200
    return Pack(
        engine="bone",
        findings=recipe.findings,
        images=images,
        step=recipe.step,
        offset=recipe.offset,
        outlines=np.zeros((len(traits), 64, 64), dtype=np.uint8),
        outlined=np.ones(len(traits), dtype=np.bool_),
        labels=np.zeros((len(traits), 1), dtype=np.float32),
        split=np.full(len(traits), split),
        group=np.arange(len(traits)).astype(str),
        source=np.arange(len(traits)).astype(str),
        midline=np.full(len(traits), np.nan, dtype=np.float32),
        traits=traits,
    )


def sites(*shown: tuple[int, ...]) -> NDArray[np.float32]:
    """Rows of traits: four sites and hardware, 1 where listed."""
    traits = np.zeros((len(shown), 5), dtype=np.float32)
    for row, columns in enumerate(shown):
        traits[row, list(columns)] = 1
    return traits


def blank(count: int) -> SiteFilms:
    """Bright films, which are said to show spines."""
    truth = np.zeros((count, 3), dtype=np.float32)
    truth[:, 2] = 1
    return SiteFilms(images=np.full((count, 1, 64, 64), 230, dtype=np.uint8), truth=truth)


def test_films_of_every_site_are_drawn_and_more_of_those_that_no_real_film_shows(recipe: EngineRecipe) -> None:
    told = []
    drawn = site_films(recipe, seed=1, report=lambda done, total: told.append((done, total)))
    assert drawn.images.shape == (6, 1, 64, 64)
    assert drawn.truth.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0], *[[0, 0, 1]] * 3]
    assert told[-1] == (6, 6)
    assert len({image.tobytes() for image in drawn.images}) == 6
    assert not np.array_equal(drawn.images, site_films(recipe, seed=2).images)
    assert np.array_equal(drawn.images, site_films(recipe, seed=1).images)


def test_a_recipe_without_a_router_is_told_so(recipe: EngineRecipe) -> None:
    with pytest.raises(SetupError, match="bone has no router"):
        site_films(replace(recipe, router=None))


def test_what_nobody_says_is_no_site(recipe: EngineRecipe) -> None:
    traits = sites((0,), (0, 1), (2,))
    traits[2, :4] = np.nan
    assert known_sites(films(recipe, traits), recipe).tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 0]]


def test_a_router_learns_the_sites_and_nothing_else_changes(recipe: EngineRecipe) -> None:
    torch.manual_seed(0)
    network = EvidenceNet(findings=1, **NETWORK).eval()
    pack = films(recipe, sites(*[(0,), (1,)] * 8))
    image = torch.from_numpy(pack.images[:2]).float() * pack.step
    before = {name: value.clone() for name, value in network.state_dict().items()}
    logits, evidence = network(image)
    seen: list[tuple[int, int]] = []
    loss = fit_router(network, pack, recipe, blank(6), report=lambda done, total: seen.append((done, total)))
    assert 0 < loss < 0.3
    assert seen == [(done, 22) for done in range(1, 23)]
    later, same, told = network(image)
    assert torch.equal(later, logits)
    assert torch.equal(same, evidence)
    assert told.shape == (2, 3)
    assert told.sum(dim=1).tolist() == pytest.approx([1, 1])
    new = {name for name in network.state_dict() if name not in before}
    assert new == {"router.weight", "router.bias"}
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())
    # a network that is built with a router takes the same weights
    EvidenceNet(findings=1, **NETWORK, routed=3).load_state_dict(network.state_dict())
    unseen = films(recipe, sites((0,), (1,), (0,)))
    assert route(network, unseen.images, recipe).argmax(axis=1).tolist() == [0, 1, 0]
    assert route(network, blank(2).images, recipe).argmax(axis=1).tolist() == [2, 2]


def test_a_router_never_learns_from_validation_films(recipe: EngineRecipe) -> None:
    torch.manual_seed(0)
    network = EvidenceNet(findings=1, **NETWORK).eval()
    held = films(recipe, sites(*[(0,), (1,)] * 4), split="val")
    fit_router(network, held, recipe, blank(6))
    assert route(network, held.images, recipe).argmax(axis=1).tolist() == [2] * 8


class ByBrightness(EvidenceNet):
    """Dark films are hands, bright ones legs, the brightest spines."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        level = x.mean(dim=(1, 2, 3))
        told = torch.stack([(level < 0.5), (level >= 0.5) & (level < 1.5), level >= 1.5], dim=1).float()
        return (*super().forward(x)[:2], 0.9 * told + 0.1 / 3)


def test_right_and_wrong_routes_are_counted(recipe: EngineRecipe) -> None:
    # a hand, a leg, a bright hand, a leg as bright as a spine, and a film of which nobody says what it shows
    pack = films(recipe, sites((0,), (1,), (0,), (1,), ()), split="val")
    pack.images[:] = np.array([10, 100, 100, 250, 100], dtype=np.uint8)[:, None, None, None]
    measured = measure_routing(ByBrightness(findings=1, **NETWORK), recipe, pack, blank(5))
    assert measured["all"] == pytest.approx(
        # of the four headers that name the other site all but that of the bright hand are noticed
        {"films": 4, "right": 2, "refused": 1, "doubted": 2, "noticed": 3 / 4}
    )
    assert measured["sites"]["hand"] == pytest.approx({"n": 2, "auroc": 0.75, "found": 0.5, "wrongly": 0})
    assert measured["sites"]["leg"] == pytest.approx({"n": 2, "auroc": 0.5, "found": 0.5, "wrongly": 1})
    assert measured["sites"]["spine"]["n"] == 0
    assert measured["sites"]["spine"]["wrongly"] == 1
    assert np.isnan(measured["sites"]["spine"]["found"])
    assert measured["synthetic"]["spine"]["found"] == 1
