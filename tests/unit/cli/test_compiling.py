"""Someone's network on the command line: compiled, verified, read with, quantised, exported; or refused with why."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from radiolucent.cli.main import app  # noqa: E402 - these need torch, which may be absent

NETWORK = """
from torch import nn
def net(classes=3):
    conv = [nn.Conv2d(1, 8, 3, 4, 1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)]
    return nn.Sequential(*conv, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, classes))
"""

Run = Callable[..., Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder: a network, its weights, the list of its outputs."""
    folder = tmp_path_factory.mktemp("mine")
    (folder / "mine.py").write_text(NETWORK)
    (folder / "findings.txt").write_text("glioma\n-\nmeningioma\n")
    namespace: dict[str, Any] = {}
    exec(NETWORK, namespace)
    torch.manual_seed(1)
    torch.save({"state_dict": namespace["net"]().state_dict()}, folder / "weights.pt")
    np.save(folder / "images.npy", np.random.default_rng(0).random((3, 1, 64, 64), dtype=np.float32))
    return folder


@pytest.fixture(scope="module")
def bundle(place: Path) -> Path:
    """The compiled network."""
    words = ["engine", "compile", "--torch", f"{place / 'mine.py'}:net", "--weights", place / "weights.pt"]
    words += ["--findings", place / "findings.txt", "--input", "grey:64x64", "--images", place / "images.npy"]
    words += ["--modality", "MR", "--name", "my-net", "-o", place / "bundle", "--json"]
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exit_code == 0, result.output
    facts = json.loads(result.output)
    assert (facts["engine"], facts["kind"], facts["grid"]) == ("my-net@0.1.0", "linear", [16, 16])
    assert max(facts["autograd"], facts["graph"], facts["completeness"]) < 1e-4
    return place / "bundle"


def test_a_compiled_bundle_is_shown_verified_added_and_listed(
    bundle: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RADIOLUCENT_ENGINES", str(tmp_path))
    assert "nothing is known here of how good it is" in run("engine", "show", bundle)
    assert "Weights: 9 tensors, 140 numbers, from weights.pt" in run("engine", "show", bundle)
    assert "ok      my-net@0.1.0" in run("engine", "verify", bundle)
    run("engine", "add", bundle)
    assert "my-net@0.1.0" in run("engine", "list")


def test_a_study_is_read_with_it_and_no_score_is_shown_as_a_percentage(bundle: Path, run: Run, tmp_path: Path) -> None:
    run("phantom", "make", "--kind", "brain-mr", "--findings", "glioma", "-o", tmp_path / "study")
    printed = run("read", tmp_path / "study", "--engine", bundle, "-o", tmp_path / "out")
    assert "my-net@0.1.0" in printed
    assert "score 0." in printed
    assert "%" not in printed
    reading = json.loads((tmp_path / "out" / "reading.json").read_text())
    findings = reading["studies"][0]["series"][0]["findings"]
    assert {finding["name"] for finding in findings} == {"glioma", "meningioma"}
    assert all(finding["probability"] is None for finding in findings)


def test_it_is_quantised_with_a_report_of_scores_and_evidence(bundle: Path, place: Path, run: Run) -> None:
    images = ("--images", place / "images.npy")
    printed = run("engine", "quantise", bundle, *images, "--method", "static", "-o", place / "int8")
    assert "| glioma |" in printed
    assert "correlation of the maps" in printed
    assert "ok      my-net-int8@0.1.0" in run("engine", "verify", place / "int8")


def test_it_is_exported_to_openvino(bundle: Path, run: Run, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="needs openvino: pip install 'radiolucent[openvino]'")
    assert "largest difference from ONNX Runtime" in run("engine", "export", bundle, "-o", tmp_path / "ir")
    assert (tmp_path / "ir" / "model.xml").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"--torch": "mine"}, "MODULE:FACTORY"),
        ({"--findings": None}, "--findings FILE"),
        ({"--modality": None}, "--modality"),
        ({"--input": "grey:64"}, "RECIPE:HEIGHTxWIDTH"),
        ({"--mean": "half"}, "list of numbers"),
        ({"--argument": "classes"}, "KEY=VALUE"),
        ({"--weights": "nowhere.pt"}, "is no file"),
    ],
)
def test_wrong_use_ends_in_2_and_writes_nothing(
    changed: dict[str, str | None], message: str, place: Path, run: Run, tmp_path: Path
) -> None:
    words = {
        "--torch": f"{place / 'mine.py'}:net",
        "--findings": str(place / "findings.txt"),
        "--modality": "MR",
        "--input": "grey:64x64",
        "-o": str(tmp_path / "bundle"),
        **changed,
    }
    given = [word for flag, value in words.items() if value is not None for word in (flag, value)]
    assert message in run("engine", "compile", *given, ends=2)
    assert list(tmp_path.iterdir()) == []


def test_a_network_of_another_number_of_outputs_ends_in_1(place: Path, run: Run, tmp_path: Path) -> None:
    words = ("--torch", f"{place / 'mine.py'}:net", "--argument", "classes=2", "--findings", place / "findings.txt")
    printed = run(
        "engine", "compile", *words, "--input", "grey:64x64", "--modality", "MR", "-o", tmp_path / "b", ends=1
    )
    assert "don't fit a network of 2 classes" in printed


def test_a_timm_network_is_imported_by_name(place: Path, run: Run, tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="needs timm: pip install 'radiolucent[imports]'")
    words = ("--findings", place / "findings.txt", "--modality", "dx", "-o", tmp_path / "timm")
    printed = run("engine", "import", "timm", "test_resnet", *words, "--argument", "drop_rate=0.1")
    assert "timm-test-resnet@0.1.0: class activation map" in printed
    shown = run("engine", "show", tmp_path / "timm")
    assert "Weights: random: this engine has learned nothing" in shown
    assert "glioma (phantom)" in shown
    printed = run("engine", "import", "timm", "no_such_net", *words[:-1], tmp_path / "other", ends=2)
    assert "timm can't make 'no_such_net'" in printed


def test_a_monai_bundle_is_imported_from_its_folder(place: Path, run: Run, tmp_path: Path) -> None:
    nets = pytest.importorskip("monai.networks.nets", reason="needs monai: pip install 'radiolucent[imports]'")
    made: dict[str, Any] = {"in_channels": 1, "out_channels": 3, "growth_rate": 4, "block_config": [2, 2]}
    for part in ("configs", "models"):
        (tmp_path / "lung" / part).mkdir(parents=True)
    shape = {"inputs": {"image": {"num_channels": 1, "spatial_shape": [64, 64]}}}
    metadata = {"name": "lung", "version": "0.3.1", "description": "Tried.", "network_data_format": shape}
    (tmp_path / "lung" / "configs" / "metadata.json").write_text(json.dumps(metadata))
    network = {"network_def": {"_target_": "DenseNet", "spatial_dims": 2, **made}}
    (tmp_path / "lung" / "configs" / "inference.json").write_text(json.dumps(network))
    torch.manual_seed(0)
    torch.save(nets.DenseNet(spatial_dims=2, **made).state_dict(), tmp_path / "lung" / "models" / "model.pt")
    words = ("--findings", place / "findings.txt", "--modality", "CT", "-o", tmp_path / "bundle")
    printed = run("engine", "import", "monai-bundle", tmp_path / "lung", *words)
    assert "lung@0.3.1: class activation map" in printed
    shown = run("engine", "show", tmp_path / "bundle")
    assert "glioma" in shown
    assert "its performance was not measured here" in shown
