from dataclasses import replace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

import torch

from radiolucent.engines.network import EvidenceNet
from radiolucent.training.pack import Pack
from radiolucent.training.recipe import EngineRecipe
from radiolucent.training.recipes import find_recipe
from radiolucent.training.refit import refit_trait

NETWORK: dict[str, Any] = {
    "stem": 8,
    "widths": [16, 16],
    "depths": [1, 1],
    "top": 16,
    "sharpness": 2.0,
    "sites": 4,
    "traits": 1,
}


def films(recipe: EngineRecipe) -> Pack:
    """Sixteen dark films; a bright bar lies in every fourth, which is said to have hardware."""
    random = np.random.default_rng(0)
    images = random.integers(20, 40, size=(16, 1, 64, 64)).astype(np.uint8)
    images[::4, :, 10:50, 30:36] = 255
    traits = np.zeros((16, 5), dtype=np.float32)
    traits[::4, 4] = 1
    return Pack(
        engine="bone",
        findings=recipe.findings,
        images=images,
        step=recipe.step,
        offset=recipe.offset,
        outlines=np.zeros((16, 64, 64), dtype=np.uint8),
        outlined=np.ones(16, dtype=np.bool_),
        labels=np.zeros((16, 1), dtype=np.float32),
        split=np.full(16, "train"),
        group=np.arange(16).astype(str),
        source=np.arange(16).astype(str),
        midline=np.full(16, np.nan, dtype=np.float32),
        traits=traits,
    )


@pytest.fixture
def recipe() -> EngineRecipe:
    bone = find_recipe("bone")
    return replace(bone, size=64, canvas=64, network={**bone.network, "shown": 1})


def test_a_trait_is_learned_from_whole_films_and_all_else_stays(recipe: EngineRecipe) -> None:
    torch.manual_seed(0)
    network = EvidenceNet(findings=1, shown=1, **NETWORK)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    pack = films(recipe)
    first = refit_trait(network, pack, recipe, "hardware", steps=1)
    last = refit_trait(network, pack, recipe, "hardware", steps=80)
    assert last < first
    images = torch.from_numpy(pack.images).float() * pack.step
    logits = network(images)[0][:, 1].detach()
    assert float(logits[::4].min()) > float(logits.reshape(4, 4)[:, 1:].max())
    for name, value in network.state_dict().items():
        same = value == before[name]
        if name in ("traits.weight", "traits.bias"):
            assert bool(same[:4].all())
            assert not bool(same[4:].all())
        else:
            assert bool(same.all()) == (name != "level_heads.weight")


def test_a_refitted_map_rises_where_the_trait_is_and_mostly_stays_below_0(recipe: EngineRecipe) -> None:
    torch.manual_seed(0)
    network = EvidenceNet(findings=1, shown=1, **NETWORK)
    pack = films(recipe)
    refit_trait(network, pack, recipe, "hardware", steps=80)
    assert network.biases == [0, 0]
    with torch.no_grad():
        maps = network(torch.from_numpy(pack.images).float() * pack.step)[1][:, 1]
    # cells are 4 pixels: the bar covers rows 2 to 12 and columns 7 and 8; they see 2 further
    for one in maps[::4]:
        row, column = divmod(int(one.argmax()), 16)
        assert float(one.max()) > 0
        assert 1 <= row <= 13
        assert 5 <= column <= 10
    assert float(maps.median()) < 0


def test_a_trait_that_no_film_has_changes_nothing(recipe: EngineRecipe) -> None:
    network = EvidenceNet(findings=1, shown=1, **NETWORK)
    pack = films(recipe)
    before = network.traits.weight.clone()
    assert np.isnan(refit_trait(network, pack.rows(pack.traits[:, 4] == 0), recipe, "hardware"))
    assert torch.equal(before, network.traits.weight)
