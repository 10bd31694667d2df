"""A MONAI bundle's classifier is made from plain values alone; an expression is refused and never run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
nets = pytest.importorskip("monai.networks.nets", reason="needs monai: pip install monai")

from radiolucent.errors import SetupError  # noqa: E402 - these need torch, which may be absent
from radiolucent.explain.compiler.monai_bundle import monai_engine  # noqa: E402
from radiolucent.explain.compiler.plan import Outputs, scope  # noqa: E402

OUTPUTS = Outputs(names=("mass", "nodule"), rows=(0, 1), count=2)
SCOPE = scope(["CT"], ["CHEST"], [])
DENSE: dict[str, Any] = {"in_channels": 1, "out_channels": 2, "growth_rate": 4, "block_config": [2, 2]}


def bundle(folder: Path, *, dimensions: int = 2, **changes: Any) -> Path:
    """A bundle with random weights; `changes` go into its configuration."""
    (folder / "configs").mkdir(parents=True)
    (folder / "models").mkdir()
    shape = [64, 48] if dimensions == 2 else [64, 48, 32]
    metadata = {
        "name": "Lung 3D? (tried)",
        "version": "0.3.1",
        "description": "Tried.",
        "network_data_format": {"inputs": {"image": {"num_channels": 1, "spatial_shape": shape}}},
    }
    config = {
        "dims": dimensions,
        "network_def": {"_target_": "DenseNet", "spatial_dims": "@dims", **DENSE},
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", "keys": "image"},
                {"_target_": "ScaleIntensityRanged", "a_min": -1000, "a_max": 400, "b_min": -1, "b_max": 1},
                {"_target_": "Spacingd", "pixdim": [1, 1, 1]},
            ],
        },
        **changes,
    }
    (folder / "configs" / "metadata.json").write_text(json.dumps(metadata))
    (folder / "configs" / "inference.json").write_text(json.dumps(config))
    torch.manual_seed(0)
    torch.save(nets.DenseNet(spatial_dims=dimensions, **DENSE).state_dict(), folder / "models" / "model.pt")
    return folder


def test_network_size_intensities_and_terms_come_from_the_bundle(tmp_path: Path) -> None:
    network, plan = monai_engine(bundle(tmp_path / "b"), OUTPUTS, SCOPE)
    assert "DenseNet" in repr(type(network))
    assert (plan.name, plan.version) == ("lung-3d---tried", "0.3.1")
    assert (plan.input.height, plan.input.width, plan.input.depth) == (64, 48, None)
    assert list(plan.input.window or ()) == [-1000, 400]
    assert (plan.mean, plan.std) == ((0.5,), (0.5,))  # 0…1 becomes −1…1
    assert "Not repeated here: the bundle's transform Spacing" in plan.facts


def test_a_volumes_axes_are_taken_as_monai_orders_them(tmp_path: Path) -> None:
    _, plan = monai_engine(bundle(tmp_path / "b", dimensions=3), OUTPUTS, SCOPE)
    assert (plan.axes, plan.input.depth, plan.input.height, plan.input.width) == ("xyz", 32, 48, 64)


def test_the_size_can_be_named_where_the_metadata_have_no_numbers(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "b", dimensions=3)
    text = (folder / "configs" / "metadata.json").read_text().replace("[64, 48, 32]", '["8*n", "8*n", "8*n"]')
    (folder / "configs" / "metadata.json").write_text(text)
    with pytest.raises(SetupError, match="no spatial_shape in numbers; name it with --size"):
        monai_engine(folder, OUTPUTS, SCOPE)
    _, plan = monai_engine(folder, OUTPUTS, SCOPE, spatial="16x32x40")
    assert (plan.input.depth, plan.input.height, plan.input.width) == (16, 32, 40)
    with pytest.raises(SetupError, match="HxW or DxHxW"):
        monai_engine(folder, OUTPUTS, SCOPE, spatial="large")


@pytest.mark.parametrize(
    ("definition", "message"),
    [
        ({"_target_": "os.system", "command": "touch ran"}, "is not one of MONAI's"),
        ({"_target_": "$__import__('os').system"}, "is not one of MONAI's"),
        ({"spatial_dims": 2}, "is not one of MONAI's"),
        ({"_target_": "DenseNet", "spatial_dims": "$1 + 1"}, r"spatial_dims is an expression \(\$1 \+ 1\)"),
        ({"_target_": "DenseNet", "spatial_dims": "@nowhere"}, "refers to @nowhere"),
        ({"_target_": "DenseNet", "act": {"_target_": "torch.nn.ReLU"}}, "makes an object"),
        ({"_target_": "DenseNet", "spatial_dims": 7}, "MONAI can't make DenseNet"),
        ({"_target_": "NoSuchNet"}, "MONAI can't make NoSuchNet"),
    ],
)
def test_anything_but_a_monai_network_with_plain_values_is_refused(
    definition: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SetupError, match=message):
        monai_engine(bundle(tmp_path / "b", network_def=definition), OUTPUTS, SCOPE)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("configs/metadata.json", "no configs/metadata.json"),
        ("configs/inference.json", "no file in configs/ has a network_def"),
        ("models/model.pt", "has no models/model.pt"),
    ],
)
def test_a_bundle_with_a_file_missing_is_refused(missing: str, message: str, tmp_path: Path) -> None:
    folder = bundle(tmp_path / "b")
    (folder / missing).unlink()
    with pytest.raises(SetupError, match=message):
        monai_engine(folder, OUTPUTS, SCOPE)


@pytest.mark.parametrize(("text", "message"), [("{", "can't be parsed"), ("[1]", "holds no table")])
def test_a_configuration_that_is_no_table_is_refused(text: str, message: str, tmp_path: Path) -> None:
    folder = bundle(tmp_path / "b")
    (folder / "configs" / "metadata.json").write_text(text)
    with pytest.raises(SetupError, match=message):
        monai_engine(folder, OUTPUTS, SCOPE)
