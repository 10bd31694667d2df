"""A tiny set of its own kind: dark squares with one bright or one striped spot, learned in seconds."""

from dataclasses import replace

import numpy as np
import pytest

from radiolucent.training.pack import Pack
from radiolucent.training.recipe import EngineRecipe
from radiolucent.training.recipes import find_recipe

SIDE = 40


@pytest.fixture
def small_recipe() -> EngineRecipe:
    recipe = find_recipe("brain-mri")
    # nothing of the engine's own network: its next release must not change what is tested here
    network = {
        "backbone": "residual",
        "stem": 8,
        "widths": [16, 16],
        "depths": [1, 1],
        "top": 16,
        "grid_stride": 4,
        "pooling": "log-sum-exp",
        "sharpness": 2.0,
    }
    how = replace(recipe.augmentation, shift=2.0, mirror=0.0, cut=0.0)
    return replace(recipe, size=32, canvas=SIDE, network=network, augmentation=how, batch=4, epochs=3)


@pytest.fixture
def small_pack(small_recipe: EngineRecipe) -> Pack:
    return make_pack(small_recipe, 24)


def make_pack(recipe: EngineRecipe, count: int) -> Pack:
    random = np.random.default_rng(5)
    images = random.integers(50, 70, size=(count, 1, SIDE, SIDE)).astype(np.uint8)
    outlines = np.zeros((count, SIDE, SIDE), dtype=np.uint8)
    labels = np.zeros((count, 3), dtype=np.float32)
    for index in range(count):
        finding = index % 3
        top, left = random.integers(8, 22, size=2)
        images[index, 0, top : top + 9, left : left + 9] = (120, 180, 240)[finding]
        outlines[index, top : top + 9, left : left + 9] = 1 << finding
        labels[index, finding] = 1
    return Pack(
        engine=recipe.engine,
        findings=recipe.findings,
        images=images,
        step=recipe.step,
        offset=recipe.offset,
        outlines=outlines,
        outlined=np.ones(count, dtype=np.bool_),
        labels=labels,
        split=np.array(["val" if index % 4 == 3 else "train" for index in range(count)]),
        group=np.array([f"patient-{index // 2}" for index in range(count)]),
        source=np.array([f"{index:04d}.png" for index in range(count)]),
        midline=np.full(count, np.nan, dtype=np.float32),
    )
