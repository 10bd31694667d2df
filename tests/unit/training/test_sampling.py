from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

from radiolucent.training.pack import Pack
from radiolucent.training.recipe import EngineRecipe
from radiolucent.training.sampling import row_weights


def test_small_folders_are_drawn_as_often_as_large_ones_where_asked_for(
    small_pack: Pack, small_recipe: EngineRecipe
) -> None:
    source = np.array([f"small/{i}.png" if i < 3 else f"large/{i}.png" for i in range(20)] + ["synthetic-1-0-0"] * 4)
    pack = replace(small_pack, source=source)
    recipe = replace(small_recipe, balance=0.0, even_folders=True, synthetic_share=0.2)
    weights = row_weights(pack, recipe).numpy()
    np.testing.assert_allclose([weights[:3].sum(), weights[3:20].sum(), weights[20:].sum()], [0.4, 0.4, 0.2])
    plain = row_weights(pack, replace(recipe, even_folders=False)).numpy()
    np.testing.assert_allclose([plain[:3].sum(), plain[3:20].sum(), plain[20:].sum()], [0.12, 0.68, 0.2])
