from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

import torch

from radiolucent.engines.network import EvidenceNet
from radiolucent.errors import SetupError
from radiolucent.training.fit import fit
from radiolucent.training.pack import Pack
from radiolucent.training.pretrain import BLOCK, HIDDEN, hidden_cells, hidden_loss, pretrain, start_from
from radiolucent.training.recipe import EngineRecipe


def network_of(recipe: EngineRecipe) -> EvidenceNet:
    return EvidenceNet(findings=len(recipe.findings), channels=recipe.channels, **recipe.network)


def test_the_stated_share_is_hidden_in_whole_blocks_and_elsewhere_in_each_image() -> None:
    hidden = hidden_cells(3, 5 * BLOCK, torch.Generator().manual_seed(1))
    blocks = hidden.view(3, 5, BLOCK, 5, BLOCK).float().mean(dim=(2, 4))
    assert set(blocks.unique().tolist()) == {0.0, 1.0}
    assert blocks.mean(dim=(1, 2)).tolist() == pytest.approx([HIDDEN] * 3)
    assert not torch.equal(hidden[0], hidden[1])


def test_a_side_that_no_block_divides_is_covered_to_its_end() -> None:
    assert hidden_cells(2, BLOCK + 1, torch.Generator().manual_seed(0)).shape == (2, BLOCK + 1, BLOCK + 1)


def test_only_hidden_cells_count_and_those_without_any_texture_dont() -> None:
    images = torch.rand(2, 1, 32, 32)
    images[1] = 0.3  # flat: nothing to fill in
    nothing = torch.nn.Conv2d(1, 16, 4, 4)
    torch.nn.init.zeros_(nothing.weight)
    torch.nn.init.zeros_(nothing.bias)
    loss = hidden_loss(nothing, torch.nn.Conv2d(16, 16, 1, bias=False), images, 4, torch.Generator().manual_seed(0))
    assert float(loss.detach()) == pytest.approx(15 / 16, rel=1e-5)  # each cell's variance, by n instead of n - 1


def test_the_loss_falls_and_the_fit_starts_from_what_was_learned(
    small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path
) -> None:
    told: list[tuple[int, int]] = []
    recipe = replace(small_recipe, learning_rate=5e-3)
    file = tmp_path / "work" / "features.pt"
    means = pretrain(small_pack, recipe, file, epochs=12, device="cpu", report=lambda a, b, _: told.append((a, b)))
    assert means[-1] < 0.9 * means[0]
    assert told == [(index + 1, len(told)) for index in range(len(told))]
    network = network_of(recipe)
    start_from(network, recipe, file)
    stored = torch.load(file, weights_only=True)["features"]
    assert all(torch.equal(value, stored[name]) for name, value in network.features.state_dict().items())
    still = replace(recipe, learning_rate=0.0)
    fitted = fit(small_pack, still, tmp_path / "fit", epochs=1, device="cpu", features=file)
    assert all(torch.equal(value, stored[name]) for name, value in fitted.network.features.state_dict().items())


def test_neither_labels_nor_validation_images_are_looked_at(
    small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path
) -> None:
    other = replace(small_pack, labels=1 - small_pack.labels, images=small_pack.images.copy())
    other.images[small_pack.split == "val"] = 0
    first = pretrain(small_pack, small_recipe, tmp_path / "a.pt", epochs=1, seed=3, device="cpu")
    assert first == pretrain(other, small_recipe, tmp_path / "b.pt", epochs=1, seed=3, device="cpu")


def test_what_doesnt_fit_is_refused(small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path) -> None:
    unseen = replace(small_pack, split=np.full(len(small_pack), "val"))
    with pytest.raises(SetupError, match="split"):
        pretrain(unseen, small_recipe, tmp_path / "none.pt", epochs=1, device="cpu")
    with pytest.raises(SetupError, match="is missing"):
        start_from(network_of(small_recipe), small_recipe, tmp_path / "none.pt")
    pretrain(small_pack, small_recipe, tmp_path / "made.pt", epochs=1, device="cpu")
    wider = replace(small_recipe, network={**small_recipe.network, "top": 32})
    with pytest.raises(SetupError, match="another network"):
        start_from(network_of(wider), wider, tmp_path / "made.pt")
