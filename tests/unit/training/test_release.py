from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

import torch
from PIL import Image as Pillow

from radiolucent.engines.bundle import load_bundle
from radiolucent.engines.network import EvidenceNet, join_networks
from radiolucent.engines.runtime import load_twin, verify
from radiolucent.errors import OutputExists
from radiolucent.evaluate.layouts import Row
from radiolucent.training.pack import Pack
from radiolucent.training.recipe import EngineRecipe
from radiolucent.training.recipes import find_recipe, find_scope
from radiolucent.training.release import (
    Origin,
    calibrated,
    display_scales,
    release,
    to_toml,
    with_emptied,
    with_shown,
)

ORIGIN = Origin(command="radiolucent train brain-mri", seed=3, epochs=1)


@pytest.fixture(scope="module")
def a_network() -> EvidenceNet:
    torch.manual_seed(0)
    return EvidenceNet(findings=3, stem=8, widths=[16, 16], depths=[1, 1], top=16)


def rows_of(folder: Path) -> list[Row]:
    picture = np.zeros((60, 60), dtype=np.uint8)
    picture[5:55, 10:50] = 90
    Pillow.fromarray(picture).save(folder / "one.png")
    corners = np.array([[12.0, 12.0], [12.0, 20.0], [20.0, 20.0], [20.0, 12.0]])
    return [
        Row(
            path=folder / "one.png",
            labels={"glioma": 1.0},
            outlines=(("glioma", corners),),
            outlined=True,
            spacing_mm=None,
            split="train",
            group="a",
        )
    ]


def test_a_released_bundle_verifies_and_says_what_it_is(
    a_network: EvidenceNet, small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path
) -> None:
    enough = small_pack.rows(np.tile(np.arange(len(small_pack)), 6))
    out = release(
        a_network,
        small_recipe,
        find_scope("brain-mri"),
        pack=enough,
        rows=rows_of(tmp_path),
        origin=ORIGIN,
        out=tmp_path / "brain-mri",
        card=lambda folder: f"# {load_bundle(folder).label}\n",
    )
    bundle = load_bundle(out)
    report = verify(bundle)
    assert report.twin_difference is not None
    assert report.twin_difference <= 1e-4
    assert (out / "card.md").read_text(encoding="utf-8") == f"# brain-mri@{find_scope('brain-mri').version}\n"
    assert bundle.manifest.training is not None
    assert bundle.manifest.training.seed == 3
    assert bundle.manifest.head.grid == (8, 8)
    assert list(bundle.priors) == ["glioma"]
    assert bundle.priors["glioma"][:16, :16].max() == 1
    assert bundle.priors["glioma"][20:, 20:].max() == 0
    assert {"glioma", "meningioma", "pituitary-tumour"} == set(
        bundle.calibration.findings if bundle.calibration else ()
    )
    assert not list(tmp_path.glob(".release-*"))


def test_a_finding_with_few_validation_images_is_not_calibrated_and_never_above_a_half(
    a_network: EvidenceNet, small_pack: Pack, small_recipe: EngineRecipe
) -> None:
    calibration, points = calibrated(a_network, small_recipe, small_pack.rows(small_pack.split == "val"), small_pack)
    assert calibration == {}
    assert set(points) == set(small_pack.findings)
    assert all(0 < row["probability"] <= 0.5 for row in points.values())


def test_nothing_is_overwritten(
    a_network: EvidenceNet, small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path
) -> None:
    with pytest.raises(OutputExists):
        release(
            a_network,
            small_recipe,
            find_scope("brain-mri"),
            pack=small_pack,
            rows=[],
            origin=ORIGIN,
            out=tmp_path,
            card=lambda folder: "",
        )


def test_a_release_that_fails_leaves_nothing_behind(
    a_network: EvidenceNet, small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path
) -> None:
    def no_card(folder: Path) -> str:
        raise ValueError("nothing to say")

    with pytest.raises(ValueError, match="nothing to say"):
        release(
            a_network,
            small_recipe,
            find_scope("brain-mri"),
            pack=small_pack,
            rows=rows_of(tmp_path),
            origin=ORIGIN,
            out=tmp_path / "out" / "brain-mri",
            card=no_card,
        )
    assert list((tmp_path / "out").iterdir()) == []


def test_emptied_images_have_no_finding_and_no_label(small_pack: Pack) -> None:
    symmetric = replace(small_pack, midline=np.full(len(small_pack), 35.0, dtype=np.float32))
    more = with_emptied(symmetric)
    added = more.rows(np.arange(len(small_pack), len(more)))
    assert len(added) > 0
    assert 0 == added.labels.sum() == added.outlines.sum()
    assert added.images.max() <= 70


class Ramp(torch.nn.Module):
    """Evidence that runs from 0 to 1000 over the cells of each image; none at all for the last finding."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        ramp = torch.linspace(0, 1000, 64).reshape(1, 1, 8, 8).expand(len(images), 2, 8, 8)
        evidence = torch.cat([ramp, torch.full((len(images), 1, 8, 8), -5.0)], dim=1)
        return evidence.amax(dim=(2, 3)), evidence


def test_a_scale_ends_where_one_cell_in_a_thousand_lies_above(small_pack: Pack, small_recipe: EngineRecipe) -> None:
    scales = display_scales(Ramp(), small_recipe, small_pack)
    assert scales["glioma"] == pytest.approx(1000, rel=0.01)
    assert scales["pituitary-tumour"] == 0.1


class Bright(torch.nn.Module):
    """Evidence of every finding is 100 in each cell of images that have a bright pixel, and 1 elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        level = torch.where(images.amax(dim=(1, 2, 3)) > 0, 100.0, 1.0)
        evidence = level[:, None, None, None].expand(len(images), 3, 8, 8)
        return evidence.amax(dim=(2, 3)), evidence


def test_a_scale_of_a_rare_finding_is_measured_on_images_that_show_it(
    small_pack: Pack, small_recipe: EngineRecipe
) -> None:
    count = 3000
    rare = small_pack.rows(np.zeros(count, dtype=np.intp))
    labels = np.zeros((count, 3), dtype=np.float32)
    labels[:2, 0] = 1
    images = np.zeros_like(rare.images)
    images[:2] = 255
    rare = replace(rare, images=images, labels=labels, split=np.full(count, "val"))
    assert display_scales(Bright(), small_recipe, rare)["glioma"] == 100
    assert display_scales(Bright(), small_recipe, rare)["meningioma"] == 1
    none = rare.rows(np.arange(2, 200))
    assert display_scales(Bright(), small_recipe, none)["glioma"] == 1
    assert display_scales(Bright(), small_recipe, none, rare)["glioma"] == 100


def test_heads_without_a_midline_give_no_emptied_images(small_pack: Pack) -> None:
    assert len(small_pack) == len(with_emptied(small_pack))


def test_tables_survive_the_way_through_toml() -> None:
    import tomllib

    tables = {"a": 1, "t": {"x": 0.5, "deep": {"y": True}}, "rows": [{"n": "é"}, {"n": 'q"'}], "words": ["a", "b"]}
    assert tables == tomllib.loads(to_toml(tables))


def test_a_shown_trait_is_a_finding_of_the_bundle(small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path) -> None:
    more = {**small_recipe.network, "traits": 1, "shown": 1}
    recipe = replace(small_recipe, traits=("hardware",), network=more)
    enough = small_pack.rows(np.tile(np.arange(len(small_pack)), 6))
    pack = replace(enough, traits=(np.arange(len(enough)) % 3 == 0).astype(np.float32)[:, None])
    torch.manual_seed(0)
    network = EvidenceNet(findings=3, channels=recipe.channels, **more)
    torch.nn.init.normal_(network.level_heads.weight)
    out = release(
        network,
        recipe,
        find_scope("brain-mri"),
        pack=pack,
        rows=rows_of(tmp_path),
        origin=ORIGIN,
        out=tmp_path / "brain-mri",
        card=lambda folder: f"# {load_bundle(folder).label}\n",
    )
    bundle = load_bundle(out)
    assert verify(bundle).twin_difference is not None
    assert [finding.name for finding in bundle.manifest.findings] == [*small_recipe.findings, "hardware"]
    assert bundle.operating_points is not None
    assert "hardware" in bundle.operating_points.findings


def test_shown_traits_become_findings_with_labels_and_nothing_else_does() -> None:
    recipe = find_recipe("bone")
    recipe = replace(recipe, network={**recipe.network, "shown": 1})
    pack = Pack(
        engine="bone",
        findings=("fracture",),
        images=np.zeros((2, 1, 8, 8), dtype=np.uint8),
        step=1.0,
        offset=0.0,
        outlines=np.zeros((2, 8, 8), dtype=np.uint8),
        outlined=np.ones(2, dtype=np.bool_),
        labels=np.array([[1], [0]], dtype=np.float32),
        split=np.array(["val", "val"]),
        group=np.array(["a", "b"]),
        source=np.array(["a", "b"]),
        midline=np.full(2, np.nan, dtype=np.float32),
        traits=np.array([[1, 0, 0, 0, 0], [0, 1, 0, 0, 1]], dtype=np.float32),
    )
    shown = with_shown(pack, recipe)
    assert shown.findings == recipe.reported.findings == ("fracture", "hardware")
    assert shown.labels.tolist() == [[1, 0], [0, 1]]
    assert with_shown(shown, recipe) is shown
    assert with_shown(pack, replace(recipe, network={})) is pack


def test_a_joined_network_is_released_with_a_twin_of_as_many_branches(
    a_network: EvidenceNet, small_pack: Pack, small_recipe: EngineRecipe, tmp_path: Path
) -> None:
    arguments: dict[str, Any] = {"findings": 3, "stem": 8, "widths": [16, 16], "depths": [1, 1], "top": 16}
    torch.manual_seed(1)
    joined, _ = join_networks([a_network, EvidenceNet(**arguments)], [arguments] * 2)
    out = release(
        joined,
        replace(small_recipe, network={**small_recipe.network, "branches": ["residual"] * 2}),
        find_scope("brain-mri"),
        pack=small_pack,
        rows=rows_of(tmp_path),
        origin=ORIGIN,
        out=tmp_path / "brain-mri",
        card=lambda folder: "# card\n",
    )
    bundle = load_bundle(out)
    assert verify(bundle).twin_difference is not None
    twin = load_twin(bundle)
    assert sorted(twin.state_dict()) == sorted(joined.state_dict())
