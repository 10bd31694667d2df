"""Networks of three libraries on the command line: imported, verified, a phantom read with them and explained."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from radiolucent.phantom.studies import make_study  # noqa: E402 - torch may be absent

Run = Callable[..., str]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A frontal film of the chest."""
    folder: Path = tmp_path_factory.mktemp("film")
    make_study("chest-xr", ["pneumothorax"], seed=3).save(folder)
    return folder


@pytest.fixture
def findings(tmp_path: Path) -> Path:
    """A list for a network of three outputs, the second of which isn't kept."""
    path = tmp_path / "findings.txt"
    path.write_text("pneumothorax\n-\nmass\n")
    return path


def read_and_explained(run: Run, study: Path, bundle: Path, finding: str, out: Path) -> Any:
    """What a user does next; the map of the finding as it is stored."""
    assert run("engine", "verify", bundle).startswith("ok")
    printed = run("read", study, "--engine", bundle, "-o", out / "reading")
    assert "%" not in printed  # nothing is known of how good it is
    reading = json.loads((out / "reading" / "reading.json").read_text())
    (series,) = reading["studies"][0]["series"]
    assert finding in {one["name"] for one in series["findings"]}
    assert series["completeness"]["largest_difference"] < 1e-3
    run("explain", study, "--engine", bundle, "-f", finding, "-m", "grad-cam", "--threads", 1, "-o", out / "why")
    assert (out / "why" / "grad-cam.png").read_bytes().startswith(b"\x89PNG")
    with np.load(out / "why" / "maps.npz") as maps:
        return maps["grad-cam"]


@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_torchxrayvisions_network_of_18_pathologies_from_its_own_kind_of_file(
    film: Path, run: Run, tmp_path: Path
) -> None:
    from radiolucent.explain.compiler.torchxrayvision import DenseNet

    torch.manual_seed(0)
    network = DenseNet()
    network.register_buffer("op_threshs", torch.rand(18))
    torch.save(network, tmp_path / "weights.pt")  # the whole network, as the package's files hold it
    words = ("densenet121-res224-all", "--weights", tmp_path / "weights.pt", "-o", tmp_path / "bundle", "--json")
    facts = json.loads(run("engine", "import", "torchxrayvision", *words))
    assert (facts["engine"], facts["kind"], facts["grid"]) == ("xrv-densenet121-res224-all@1.0.0", "linear", [7, 7])
    assert max(facts["autograd"], facts["graph"], facts["completeness"]) < 1e-4
    map_ = read_and_explained(run, film, tmp_path / "bundle", "pneumothorax", tmp_path)
    assert map_.shape == (7, 7)
    assert np.ptp(map_) > 0
    findings = json.loads((tmp_path / "reading" / "reading.json").read_text())["studies"][0]["series"][0]["findings"]
    assert len(findings) == 18
    assert all(one["operating_point"] is not None and one["probability"] is None for one in findings)


def test_a_timm_network_reads_and_explains(film: Path, findings: Path, run: Run, tmp_path: Path) -> None:
    pytest.importorskip("safetensors", reason="needs timm: pip install 'radiolucent[imports]'")
    from radiolucent.explain.compiler.plan import read_findings, scope
    from radiolucent.explain.compiler.timm_models import timm_engine

    torch.manual_seed(0)
    network, _ = timm_engine("test_resnet", read_findings(findings), scope(["DX"], [], []), weights=None)
    torch.save({"state_dict": network.state_dict(), "epoch": 3}, tmp_path / "tuned.pth.tar")
    words = ("--findings", findings, "--weights", tmp_path / "tuned.pth.tar", "-o", tmp_path / "bundle")
    assert "class activation map" in run("engine", "import", "timm", "test_resnet", "--modality", "dx", *words)
    map_ = read_and_explained(run, film, tmp_path / "bundle", "pneumothorax", tmp_path)
    assert map_.ndim == 2
    assert np.ptp(map_) > 0


def test_a_monai_bundle_reads_and_explains(findings: Path, film: Path, run: Run, tmp_path: Path) -> None:
    nets = pytest.importorskip("monai.networks.nets", reason="needs monai: pip install 'radiolucent[imports]'")
    made: dict[str, Any] = {"in_channels": 1, "out_channels": 3, "growth_rate": 4, "block_config": [2, 2]}
    lung = tmp_path / "lung"
    for part in ("configs", "models"):
        (lung / part).mkdir(parents=True)
    shape = {"inputs": {"image": {"num_channels": 1, "spatial_shape": [64, 64]}}}
    metadata = {"name": "lung", "version": "0.3.1", "description": "Tried.", "network_data_format": shape}
    (lung / "configs" / "metadata.json").write_text(json.dumps(metadata))
    network = {"network_def": {"_target_": "DenseNet", "spatial_dims": 2, **made}}
    (lung / "configs" / "inference.json").write_text(json.dumps(network))
    torch.manual_seed(0)
    torch.save(nets.DenseNet(spatial_dims=2, **made).state_dict(), lung / "models" / "model.pt")
    words = ("--findings", findings, "--modality", "DX", "-o", tmp_path / "bundle")
    assert "lung@0.3.1: class activation map" in run("engine", "import", "monai-bundle", lung, *words)
    map_ = read_and_explained(run, film, tmp_path / "bundle", "mass", tmp_path)
    assert map_.ndim == 2
    assert np.ptp(map_) > 0
