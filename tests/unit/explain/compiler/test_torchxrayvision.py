"""torchxrayvision's chest networks: the same names and shapes as the package's own, its labels, scaling, thresholds."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")

from radiolucent.errors import SetupError  # noqa: E402 - these need torch, which may be absent
from radiolucent.explain.compiler.torchxrayvision import RELEASES, DenseNet, torchxrayvision_engine  # noqa: E402
from radiolucent.findings.taxonomy import TORCHXRAYVISION, finding_type  # noqa: E402

# over the sorted lines "name shape" of torchxrayvision 1.5.7's DenseNet().state_dict(), 727 tensors
THEIRS = "78959fdd36e607eb5fa25368a2cff6dabc3a64825fec41cbde95549f03037ccb"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The architecture's weights, random, with the thresholds that the package keeps beside them."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "nih-pc-chex.pt"
    torch.save({**DenseNet().state_dict(), "op_threshs": torch.rand(18)}, path)
    return path


def test_names_and_shapes_are_those_of_the_package() -> None:
    lines = sorted(f"{name} {tuple(value.shape)}" for name, value in DenseNet().state_dict().items())
    assert len(lines) == 727
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == THEIRS


def test_the_18_pathologies_have_their_codes_scaling_and_thresholds(weights: Path) -> None:
    network, plan = torchxrayvision_engine("densenet121-res224-all", weights)
    assert plan.findings == tuple(TORCHXRAYVISION.values())
    assert plan.rows == tuple(range(18))
    assert all(finding_type(name).code.value for name in plan.findings)
    assert (plan.input.recipe, plan.input.height, plan.input.width, plan.input.channels) == ("chest-xrv", 224, 224, 1)
    assert plan.operating_points["pneumothorax"] == 0.0098118475
    assert plan.operating_points["enlarged-cardiomediastinum"] == 0.05015312
    assert (plan.scope.modalities, plan.scope.body_parts, plan.scope.views) == (["DX", "CR"], ["CHEST"], ["PA", "AP"])
    with torch.no_grad():
        assert network.eval()(torch.zeros(2, 1, 224, 224)).shape == (2, 18)


@pytest.mark.parametrize(
    ("release", "kept"),
    [("densenet121-res224-nih", 14), ("densenet121-res224-rsna", 2), ("densenet121-res224-chex", 11)],
)
def test_a_set_trained_on_fewer_labels_keeps_those_alone(release: str, kept: int, weights: Path) -> None:
    _, plan = torchxrayvision_engine(release, weights)
    assert len(plan.findings) == len(plan.rows or ()) == len(plan.operating_points) == kept


def test_every_set_has_a_threshold_or_none_for_each_of_the_18_outputs() -> None:
    assert {len(release.thresholds) for release in RELEASES.values()} == {18}
    values = [value for release in RELEASES.values() for value in release.thresholds if value is not None]
    assert all(0 < value < 1 for value in values)


def test_an_unknown_set_and_another_networks_weights_are_refused(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(SetupError, match="no known set of weights; known: densenet121-res224-all"):
        torchxrayvision_engine("densenet121-res224-best", weights)
    state: dict[str, Any] = DenseNet().state_dict()
    del state["classifier.bias"]
    torch.save(state, tmp_path / "other.pt")
    with pytest.raises(SetupError, match=r"it lacks classifier\.bias"):
        torchxrayvision_engine("densenet121-res224-all", tmp_path / "other.pt")
