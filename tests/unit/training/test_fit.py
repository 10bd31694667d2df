import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

import torch

from radiolucent.errors import SetupError
from radiolucent.training.fit import Progress, fit, load_checkpoint
from radiolucent.training.measuring import cell_cover, measure, predict, score
from radiolucent.training.pack import Pack, save_pack
from radiolucent.training.recipe import Crops, EngineRecipe
from radiolucent.training.recipes import find_recipe


def weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([value.flatten() for value in network.state_dict().values()])


def test_an_interrupted_and_resumed_fit_ends_with_the_same_weights(
    small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path
) -> None:
    whole = fit(small_pack, small_recipe, tmp_path / "whole", seed=4, device="cpu")
    fit(small_pack, small_recipe, tmp_path / "parts", seed=4, device="cpu", stop_after=1)
    resumed = fit(small_pack, small_recipe, tmp_path / "parts", seed=4, device="cpu", resume=True)
    torch.testing.assert_close(weights(whole.network), weights(resumed.network), atol=0, rtol=0)
    assert whole.history == resumed.history


def test_another_seed_gives_other_weights(small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path) -> None:
    one, two = (fit(small_pack, small_recipe, tmp_path / str(s), epochs=1, seed=s, device="cpu") for s in (1, 2))
    assert not torch.equal(weights(one.network), weights(two.network))


def test_the_loss_falls_on_a_set_that_can_be_learned(
    small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path
) -> None:
    recipe = replace(small_recipe, learning_rate=5e-3)
    fitted = fit(small_pack, recipe, tmp_path, epochs=12, device="cpu")
    assert fitted.history[-1]["loss"] < 0.75 * fitted.history[0]["loss"]


def test_progress_counts_batches_and_gives_figures_after_each_epoch(
    small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path
) -> None:
    told: list[Progress] = []
    fit(small_pack, small_recipe, tmp_path, epochs=2, device="cpu", report=told.append)
    assert [step.step for step in told if not step.metrics] == list(range(1, told[-1].steps + 1))
    figures = [step.metrics for step in told if step.metrics]
    assert [{"loss", "accuracy", "hit_rate", "cell_dice"}] * 2 == [set(metrics) for metrics in figures]
    assert len(json.loads((tmp_path / "history.json").read_text(encoding="utf-8"))) == 2


def test_resuming_without_a_checkpoint_says_so(small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="nothing to resume from"):
        fit(small_pack, small_recipe, tmp_path, resume=True)
    with pytest.raises(SetupError, match="nothing to resume from"):
        load_checkpoint(tmp_path / "checkpoint.pt")


def test_resuming_with_another_recipe_or_seed_is_refused(
    small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path
) -> None:
    fit(small_pack, small_recipe, tmp_path, epochs=2, device="cpu", stop_after=1)
    with pytest.raises(SetupError, match="another recipe"):
        fit(small_pack, replace(small_recipe, learning_rate=0.1), tmp_path, epochs=2, resume=True)
    with pytest.raises(SetupError, match="another seed"):
        fit(small_pack, small_recipe, tmp_path, epochs=2, seed=9, resume=True)


def test_a_pack_for_other_findings_is_refused(small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="wants glioma"):
        fit(replace(small_pack, findings=("a", "b", "c")), small_recipe, tmp_path)


def test_a_pack_without_training_rows_is_refused(small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no row whose split is 'train'"):
        fit(small_pack.rows(small_pack.split == "val"), small_recipe, tmp_path)


def test_cells_inside_an_outline_are_covered(small_pack: Pack) -> None:
    cover = cell_cover(small_pack, 32, 8)
    assert (len(small_pack), 3, 8, 8) == cover.shape
    present = small_pack.labels.argmax(axis=1)
    assert all(cover[i, present[i]].max() == 1 for i in range(len(small_pack)))
    others = [cover[i, k] for i in range(len(small_pack)) for k in range(3) if k != present[i]]
    assert max(float(plane.max()) for plane in others) == 0


class Oracle(torch.nn.Module):
    """Knows the answer: evidence is brightness of the right band."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        levels = torch.tensor([120.0, 180.0, 240.0])[None, :, None, None] * 4 / 255 - 1
        evidence = 5 - 40 * (torch.nn.functional.avg_pool2d(images, 4) - levels).abs()
        return evidence.amax(dim=(2, 3)), evidence


def test_a_network_that_knows_the_answer_measures_perfect(small_pack: Pack) -> None:
    figures = measure(Oracle(), small_pack, 32)
    assert figures["accuracy"] == 1.0
    assert figures["hit_rate"] == 1.0
    logits, evidence = predict(Oracle(), small_pack, 32, batch=5)
    assert (logits.shape, evidence.shape) == ((24, 3), (24, 3, 8, 8))
    assert np.float32 == evidence.dtype


def test_fitting_a_pack_needs_only_numpy_and_torch(small_pack: Pack, tmp_path: Path) -> None:
    save_pack(small_pack.rows(np.arange(4)), tmp_path / "set.pack")
    program = (
        "import sys\n"
        "import radiolucent.training.fit, radiolucent.training.__main__\n"
        "from radiolucent.training.pack import load_pack\n"
        f"load_pack(__import__('pathlib').Path({str(tmp_path / 'set.pack')!r}))\n"
        "heavy = {'scipy', 'pydantic', 'pydicom', 'skimage', 'onnxruntime'} & set(sys.modules)\n"
        "print(sorted(heavy))\n"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_a_fit_on_windows_and_then_on_whole_films_measures_its_levels_and_resumes(tmp_path: Path) -> None:
    recipe = find_recipe("bone")
    network = {**recipe.network, "backbone": "residual", "stem": 8, "widths": [16, 16], "depths": [1, 1], "top": 16}
    recipe = replace(
        recipe, size=64, canvas=64, network=network, crops=Crops(size=32, whole=0.5, batch=4), measure_every=2
    )
    pack = films(16)
    whole = fit(pack, recipe, tmp_path / "whole", epochs=4, seed=1)
    assert [sorted(row) == ["epoch", "loss"] for row in whole.history] == [True, False, True, False]
    assert float(whole.network.features.stem[1].get_buffer("mean").abs().max()) > 0
    fit(pack, recipe, tmp_path / "cut", epochs=4, seed=1, stop_after=3)
    resumed = fit(pack, recipe, tmp_path / "cut", epochs=4, seed=1, resume=True)
    assert torch.equal(weights(whole.network), weights(resumed.network))


def films(count: int) -> Pack:
    random = np.random.default_rng(0)
    images = random.integers(60, 90, size=(count, 1, 64, 64)).astype(np.uint8)
    outlines = np.zeros((count, 64, 64), dtype=np.uint8)
    outlines[::2, 20:28, 30:38] = 1
    images[::2, :, 20:28, 30:38] = 240
    labels = np.array([[float(index % 2 == 0)] for index in range(count)], dtype=np.float32)
    traits = np.zeros((count, 5), dtype=np.float32)
    traits[np.arange(count), np.arange(count) % 4] = 1
    return Pack(
        engine="bone",
        findings=("fracture",),
        images=images,
        step=2 / 255,
        offset=0.0,
        outlines=outlines,
        outlined=np.ones(count, dtype=np.bool_),
        labels=labels,
        split=np.array(["val" if index % 4 == 3 or index % 8 == 0 else "train" for index in range(count)]),
        group=np.arange(count).astype(str),
        source=np.arange(count).astype(str),
        midline=np.full(count, np.nan, dtype=np.float32),
        traits=traits,
    )


def test_a_fit_with_patience_ends_early_and_gives_back_its_best_weights(
    small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path
) -> None:
    still = replace(small_recipe, learning_rate=0.0)
    fitted = fit(small_pack, still, tmp_path / "still", epochs=9, device="cpu", patience=2)
    assert fitted.epochs == 1
    assert len(fitted.history) == 3
    resumed = fit(small_pack, still, tmp_path / "still", epochs=9, device="cpu", patience=4, resume=True)
    assert len(resumed.history) == 5
    learning = replace(small_recipe, learning_rate=5e-3)
    fitted = fit(small_pack, learning, tmp_path / "learning", epochs=8, device="cpu", patience=8)
    scores = [score(epoch) for epoch in fitted.history]
    assert fitted.epochs == 1 + int(np.argmax(scores))
    assert score(measure(fitted.network, small_pack.rows(small_pack.split == "val"), 32)) == max(scores)


def test_figures_without_a_look_at_validation_have_no_score() -> None:
    assert np.isnan(score({"loss": 1.0}))
    assert score({"loss": 1.0, "auroc": 0.5, "hit_rate": float("nan")}) == 0.5


def test_base_rates_are_the_log_odds_of_what_is_drawn_and_stay_as_they_are(
    small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path
) -> None:
    train = np.flatnonzero(small_pack.split == "train")
    labels = np.zeros_like(small_pack.labels)
    labels[train[:3], 0] = 1
    labels[train, 1] = np.nan
    labels[train[:4], 2] = (1, 1, 0, np.nan)
    pack = replace(
        small_pack, labels=labels, split=np.array(["train" if row in train else "test" for row in range(24)])
    )
    fitted = fit(pack, replace(small_recipe, balance=0.0, base_rates=True), tmp_path, epochs=1, device="cpu")
    expected = [np.log(3 / (len(train) - 3)), 0.0, np.log(2 / (len(train) - 3))]
    np.testing.assert_allclose(fitted.network.bias.numpy(), expected, rtol=1e-5)
    plain = fit(pack, replace(small_recipe, balance=0.0), tmp_path / "plain", epochs=1, device="cpu")
    assert not plain.network.bias.any()
