"""A bundle without intervals gets those of its own cases, and of no others."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

import torch

from radiolucent.engines.bundle import Bundle, load_bundle, sign
from radiolucent.engines.network import EvidenceNet
from radiolucent.errors import InvalidBundle, OutputExists, SetupError
from radiolucent.training.pack import Pack
from radiolucent.training.recipe import EngineRecipe
from radiolucent.training.recipes import find_scope
from radiolucent.training.release import Origin, release
from radiolucent.training.respread import respread, rewritten, spreads


@pytest.fixture
def enough(small_pack: Pack) -> Pack:
    """Validation cases enough of each kind, in groups of their own."""
    many = small_pack.rows(np.tile(np.arange(len(small_pack)), 6))
    return replace(many, group=np.array([f"patient-{index // 3}" for index in range(len(many))]))


@pytest.fixture
def released(enough: Pack, small_recipe: EngineRecipe, tmp_path: Path) -> Bundle:
    torch.manual_seed(0)
    network = EvidenceNet(findings=3, stem=8, widths=[16, 16], depths=[1, 1], top=16)
    origin = Origin(command="radiolucent train brain-mri", seed=3, epochs=1)
    out = release(
        network,
        small_recipe,
        find_scope("brain-mri"),
        pack=enough,
        rows=[],
        origin=origin,
        out=tmp_path / "brain-mri",
        card=lambda folder: f"# {load_bundle(folder).label}\n",
    )
    return load_bundle(out)


def without_spread(bundle: Bundle) -> Bundle:
    path = bundle.path / "calibration.json"
    table = json.loads(path.read_text(encoding="utf-8"))
    for entry in table["findings"].values():
        del entry["spread"]
    path.write_text(json.dumps(table), encoding="utf-8")
    sign(bundle.path)
    return load_bundle(bundle.path)


def test_a_release_holds_the_spread_of_its_calibration(released: Bundle) -> None:
    assert released.calibration is not None
    assert all(entry.spread is not None for entry in released.calibration.findings.values())
    for name in released.calibration.findings:
        bounds, value = released.probability_interval(name, 0.5), released.probability(name, 0.5)
        assert bounds is not None
        assert value is not None
        assert bounds[0] < value < bounds[1]


def test_spreads_made_afterwards_are_those_of_the_release(
    released: Bundle, enough: Pack, small_recipe: EngineRecipe
) -> None:
    assert released.calibration is not None
    wanted = {name: entry.spread for name, entry in released.calibration.findings.items()}
    made = spreads(without_spread(released), small_recipe, enough.rows(enough.split == "val"))
    assert set(made) == set(wanted)
    for name, table in made.items():
        spread = wanted[name]
        assert spread is not None
        assert table == pytest.approx(spread.model_dump(), rel=1e-3)


def test_other_cases_are_refused(released: Bundle, enough: Pack, small_recipe: EngineRecipe) -> None:
    turned = replace(enough, labels=np.roll(enough.labels, 1, axis=1))
    with pytest.raises(SetupError, match="give the folders that it was calibrated on"):
        spreads(released, small_recipe, turned.rows(turned.split == "val"))


def test_the_new_bundle_is_another_version_with_the_same_weights(released: Bundle, tmp_path: Path) -> None:
    bare = without_spread(released)
    table = {"slope": 0.01, "intercept": 0.02, "covariance": 0.0, "groups": 9, "draws": 9}
    made = load_bundle(rewritten(bare, tmp_path / "new", "9.9.9", {"glioma": table}))
    assert made.label == "brain-mri@9.9.9"
    assert made.operating_points is not None
    assert made.operating_points.engine == "brain-mri@9.9.9"
    assert (made.path / "card.md").read_text(encoding="utf-8") == "# brain-mri@9.9.9\n"
    assert made.sums["graph.onnx"] == bare.sums["graph.onnx"]
    assert made.probability_interval("glioma", 0.0) is not None
    assert made.probability_interval("meningioma", 0.0) is None


@pytest.mark.parametrize(
    ("version", "table"),
    [("new", {}), ("1.0.0", {"slope": 0.01, "intercept": 0.01, "covariance": 0.5, "groups": 9, "draws": 9})],
)
def test_what_is_no_version_or_no_covariance_is_refused_and_nothing_is_written(
    released: Bundle, tmp_path: Path, version: str, table: dict[str, float]
) -> None:
    with pytest.raises(InvalidBundle):
        rewritten(released, tmp_path / "new", version, {"glioma": table} if table else {})
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_there_and_data_that_are_not_stop_it(released: Bundle, tmp_path: Path) -> None:
    with pytest.raises(OutputExists):
        respread(released, tmp_path, "1.0.0", data=[tmp_path])
    with pytest.raises(SetupError):
        respread(released, tmp_path / "new", "1.0.0", data=[tmp_path / "nowhere"])
