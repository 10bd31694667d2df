import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

from PIL import Image as Pillow

from radiolucent.engines.bundle import load_bundle
from radiolucent.engines.runtime import load_twin, verify
from radiolucent.errors import OutputExists, SetupError
from radiolucent.training.__main__ import main
from radiolucent.training.engine import Plan, default_command, make_pack, train
from radiolucent.training.fit import load_checkpoint
from radiolucent.training.pack import Pack, load_pack, save_pack
from radiolucent.training.recipes import find_recipe
from radiolucent.training.release import calibrated

KINDS = ("glioma", "meningioma", "pituitary")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("set")
    (home / "images").mkdir()
    random = np.random.default_rng(0)
    with (home / "labels.csv").open("w", newline="", encoding="utf-8") as stream:
        table = csv.writer(stream)
        table.writerow(["file", "split", "class", "block", "polygon_xy"])
        for index in range(9):
            picture = random.integers(0, 4, size=(128, 128)).astype(np.uint8)
            picture[20:110, 30:100] = 80
            picture[50:60, 60:70] = (120, 160, 230)[index % 3]
            Pillow.fromarray(picture).save(home / "images" / f"{index}.png")
            square = [[60, 50], [69, 50], [69, 59], [60, 59]]
            split = "val" if index >= 6 else "train"
            table.writerow([f"{index}.png", split, KINDS[index % 3], index, json.dumps(square)])
    return home


def test_one_call_makes_a_bundle_whose_card_quotes_its_figures(folder: Path, tmp_path: Path) -> None:
    told: set[str] = set()
    plan = Plan(epochs=1, seed=2, pretrain=1)
    out = train(
        "brain-mri", [folder], tmp_path / "b", plan=plan, report=lambda what, done, total: told.add(what.split(",")[0])
    )
    bundle = load_bundle(out)
    card = (out / "card.md").read_text(encoding="utf-8")
    assert told == {"preparing", "learning without labels", "fitting", "measuring"}
    assert bundle.manifest.training is not None
    assert bundle.manifest.training.command == default_command("brain-mri", plan)
    assert "Not for clinical use" in card
    assert "| Accuracy | all |" in card
    assert "n = 3" in card
    assert sum(file.stat().st_size for file in out.iterdir()) < 12 * 2**20
    assert {file.name for file in (tmp_path / "b.work").iterdir()} >= {"features.pt", "checkpoint.pt"}


def test_a_pack_is_fitted_by_the_program_for_bare_machines(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_pack(make_pack("brain-mri", [folder]), tmp_path / "set.pack")
    main([str(tmp_path / "set.pack"), str(tmp_path / "away"), "--epochs", "1", "--batch", "2"])
    assert load_checkpoint(tmp_path / "away" / "checkpoint.pt")["epoch"] == 1
    assert "epoch 1 of 1" in capsys.readouterr().out


def test_what_is_released_is_measured_on_exact_images_even_with_a_rounded_pack(folder: Path, tmp_path: Path) -> None:
    exact = make_pack("brain-mri", [folder])
    save_pack(exact, tmp_path / "exact.pack")
    step = save_pack(exact, tmp_path / "rounded.pack", largest=(tmp_path / "exact.pack").stat().st_size // 3)
    rounded = load_pack(tmp_path / "rounded.pack")
    assert rounded.rounded == step > 0
    main([str(tmp_path / "rounded.pack"), str(tmp_path / "away"), "--epochs", "1", "--batch", "2"])
    plan = Plan(weights=(tmp_path / "away" / "checkpoint.pt",), pack=tmp_path / "rounded.pack")
    bundle = load_bundle(train("brain-mri", [folder], tmp_path / "b", plan=plan))
    recipe = find_recipe("brain-mri")
    network = load_twin(bundle)

    def points(pack: Pack) -> list[float]:
        found = calibrated(network, recipe, pack.rows(pack.split == "val"), pack)[1]
        return [found[name]["probability"] for name in recipe.findings]

    assert bundle.operating_points is not None
    given = [bundle.operating_points.findings[name].probability for name in recipe.findings]
    assert given == pytest.approx(points(exact), abs=2e-6)
    assert given != pytest.approx(points(rounded), abs=2e-6)


def test_members_are_fitted_one_by_one_resumed_and_joined(folder: Path, tmp_path: Path) -> None:
    save_pack(make_pack("brain-mri", [folder]), tmp_path / "set.pack")
    told: set[str] = set()

    def tell(what: str, done: int, total: int) -> None:
        told.add(what.split(",")[0])

    plan = Plan(epochs=1, seed=4, backbone="residual", members=2, pack=tmp_path / "set.pack")
    out = train("brain-mri", [folder], tmp_path / "b", plan=plan, report=tell)
    assert {"fitting member 1 of 2", "fitting member 2 of 2"} <= told
    checkpoints = tuple(tmp_path / "b.work" / f"member-{number}" / "checkpoint.pt" for number in (1, 2))
    assert [load_checkpoint(path)["seed"] for path in checkpoints] == [4, 5]
    bundle, card = load_bundle(out), (out / "card.md").read_text(encoding="utf-8")
    assert bundle.manifest.twin is not None
    assert bundle.manifest.twin.arguments["branches"] == ["residual", "residual"]
    assert "ensemble of 2 fits (2 × residual)" in card
    assert "--members 2" in card
    assert sum(file.stat().st_size for file in out.iterdir()) < 12e6
    # the same weights, whether fitted, taken up again after the second was lost, or released from checkpoints
    checkpoints[1].unlink()
    again = train(
        "brain-mri", [folder], tmp_path / "c", plan=replace(plan, resume=True), work=tmp_path / "b.work", report=tell
    )
    joined = train("brain-mri", [folder], tmp_path / "d", plan=replace(plan, weights=checkpoints), report=tell)
    assert (again / "graph.onnx").read_bytes() == (out / "graph.onnx").read_bytes()
    assert (joined / "graph.onnx").read_bytes() == (out / "graph.onnx").read_bytes()


def test_checkpoints_of_both_backbones_are_released_as_one(folder: Path, tmp_path: Path) -> None:
    save_pack(make_pack("brain-mri", [folder]), tmp_path / "set.pack")
    checkpoints = []
    for backbone in ("residual", "efficientnet-lite0"):
        plan = Plan(epochs=1, backbone=backbone, pack=tmp_path / "set.pack")
        train("brain-mri", [folder], tmp_path / backbone, plan=plan)
        checkpoints.append(tmp_path / f"{backbone}.work" / "checkpoint.pt")
    out = train("brain-mri", [folder], tmp_path / "b", plan=replace(plan, weights=tuple(checkpoints)))
    bundle, card = load_bundle(out), (out / "card.md").read_text(encoding="utf-8")
    assert bundle.manifest.twin is not None
    assert bundle.manifest.twin.arguments["branches"] == ["residual", "efficientnet-lite0"]
    assert "ensemble of 2 fits (1 × residual and 1 × efficientnet-lite0)" in card
    assert verify(bundle).twin_difference is not None
    assert sum(file.stat().st_size for file in out.iterdir()) < 12e6


def test_an_engine_without_data_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no folder to train on"):
        train("brain-mri", [], tmp_path / "b")


def test_a_bundle_that_is_there_is_refused_before_any_work(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputExists):
        train("brain-mri", [folder], tmp_path)


def test_the_command_repeats_the_plan() -> None:
    plan = Plan(epochs=5, seed=3, phantoms=8, backbone="residual", members=2, evidence_supervision=False, pretrain=4)
    command = default_command("brain-mri", plan)
    assert command.endswith(
        "--epochs 5 --seed 3 --phantoms 8 --backbone residual --members 2 --no-evidence-supervision --pretrain 4"
    )
