from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

import torch

from radiolucent.training.draw import Drawn, draw_rows, visible_traits
from radiolucent.training.pack import Pack
from radiolucent.training.recipe import Crops, EngineRecipe
from radiolucent.training.recipes import find_recipe

SIDE = 64
NAN = float("nan")
CPU = torch.device("cpu")
BESIDE = Crops(size=32, metal=0.0, beside=1.0, jitter=0.0)


def a_recipe(crops: Crops) -> EngineRecipe:
    recipe = find_recipe("bone")
    still = replace(
        recipe.augmentation, rotation=0.0, scale=(1.0, 1.0), stretch=0.0, flip_columns=False, flip_rows=False
    )
    return replace(recipe, size=SIDE, canvas=SIDE, augmentation=still, crops=crops)


def a_pack(recipe: EngineRecipe, hardware: float = 0.0) -> Pack:
    """Four films of one grey with a fracture of 6 × 6 pixels in the upper left part."""
    outlines = np.zeros((4, SIDE, SIDE), dtype=np.uint8)
    outlines[:, 10:16, 10:16] = 1
    return Pack(
        engine="bone",
        findings=recipe.findings,
        images=np.full((4, 1, SIDE, SIDE), 150, dtype=np.uint8),
        step=recipe.step,
        offset=recipe.offset,
        outlines=outlines,
        outlined=np.ones(4, dtype=np.bool_),
        labels=np.ones((4, 1), dtype=np.float32),
        split=np.full(4, "train"),
        group=np.array(["a", "b", "c", "d"]),
        source=np.array(["a", "b", "c", "d"]),
        midline=np.full(4, np.nan, dtype=np.float32),
        traits=np.tile(np.array([[1, 0, 0, 0, hardware]], dtype=np.float32), (4, 1)),
    )


def drawn(recipe: EngineRecipe, pack: Pack, *, windows: bool = True) -> Drawn:
    crops = recipe.crops if windows else None
    random = torch.Generator().manual_seed(0)
    return draw_rows(pack, torch.arange(4), recipe, crops=crops, random=random, device=CPU, still=True)


def test_a_window_beside_the_outline_shows_it_and_keeps_the_label() -> None:
    recipe = a_recipe(BESIDE)
    batch = drawn(recipe, a_pack(recipe))
    assert batch.images.shape == (4, 1, 32, 32)
    assert bool((batch.cover.sum(dim=(1, 2, 3)) > 20).all())
    assert batch.labels.tolist() == [[1.0]] * 4
    assert batch.doubtful is not None
    assert not bool(batch.doubtful.any())


def test_a_window_that_shows_nothing_of_the_finding_is_a_negative() -> None:
    recipe = a_recipe(BESIDE)
    pack = a_pack(recipe)
    away = replace(pack, outlines=np.roll(pack.outlines, 40, axis=(1, 2)))
    batch = drawn(replace(recipe, crops=Crops(size=16, metal=0.0, beside=0.0)), away)
    shown = batch.cover.sum(dim=(1, 2, 3)) > 0
    assert torch.equal(batch.labels[:, 0] == 1, shown | (batch.labels[:, 0] == 1))
    assert not bool((batch.labels[:, 0] == 1)[~shown].any())


def test_the_label_of_a_film_with_hardware_is_doubtful_and_its_outline_is_not() -> None:
    recipe = replace(a_recipe(BESIDE), doubtful="hardware")
    batch = drawn(recipe, a_pack(recipe, hardware=1.0))
    assert batch.doubtful is not None
    assert bool(batch.doubtful.all())
    assert bool(batch.outlined.all())
    assert float(batch.cover.sum()) > 0


def test_drawn_metal_is_hardware_wherever_the_film_has_none() -> None:
    recipe = a_recipe(Crops(size=32, metal=1.0))
    batch = drawn(recipe, a_pack(recipe))
    assert batch.traits[:, -1].tolist() == [1.0] * 4


def test_whole_films_are_drawn_at_full_size_with_their_own_traits() -> None:
    recipe = a_recipe(BESIDE)
    batch = drawn(recipe, a_pack(recipe, hardware=1.0), windows=False)
    assert batch.images.shape == (4, 1, SIDE, SIDE)
    assert batch.traits.tolist() == [[1.0, 0.0, 0.0, 0.0, 1.0]] * 4


def test_a_window_of_a_film_of_several_sites_says_nothing_of_them() -> None:
    traits = torch.tensor([[1.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0, 1.0, 0.0]])
    wanted = visible_traits(traits, torch.tensor([False, False, True]), sites=2, window=True)
    expected = torch.tensor([[NAN, NAN, 0.0], [0.0, 1.0, NAN], [0.0, 1.0, 1.0]])
    torch.testing.assert_close(wanted, expected, equal_nan=True)
    whole = visible_traits(traits, torch.tensor([False] * 3), sites=2, window=False)
    assert torch.equal(whole, traits)
