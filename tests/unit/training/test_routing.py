from dataclasses import replace

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

import torch
from torch import Tensor

from radiolucent.engines.network import EvidenceNet
from radiolucent.training.pack import Pack
from radiolucent.training.recipes import find_recipe
from radiolucent.training.routing import measure_routing


class ByBrightness(EvidenceNet):
    """Dark films are hands and bright ones legs; nothing is ever hardware."""

    def describe(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, evidence, _ = super().describe(x)
        level = x.mean(dim=(1, 2, 3)) - 1
        return logits, evidence, torch.stack([-level, level, level * 0 - 3, level * 0 - 3, level * 0 - 1], dim=1)


def test_right_and_wrong_routes_are_counted() -> None:
    bone = find_recipe("bone")
    recipe = replace(bone, size=64, canvas=64, network={**bone.network, "shown": 0})
    images = np.zeros((4, 1, 64, 64), dtype=np.uint8)
    images[2:] = 250
    # the last film is bright and yet a hand
    traits = np.array([[1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 1, 0, 0, 0], [1, 0, 0, 0, 1]], dtype=np.float32)
    pack = Pack(
        engine="bone",
        findings=recipe.findings,
        images=images,
        step=recipe.step,
        offset=recipe.offset,
        outlines=np.zeros((4, 64, 64), dtype=np.uint8),
        outlined=np.ones(4, dtype=np.bool_),
        labels=np.zeros((4, 1), dtype=np.float32),
        split=np.full(4, "val"),
        group=np.arange(4).astype(str),
        source=np.arange(4).astype(str),
        midline=np.full(4, np.nan, dtype=np.float32),
        traits=traits,
    )
    network = ByBrightness(findings=1, stem=8, widths=[16, 16], depths=[1, 1], top=16, sites=4, traits=1)
    measured = measure_routing(network, recipe, pack)
    assert measured["all"] == {"films": 4.0, "right": 3.0}
    assert measured["sites"]["hand"]["n"] == 3
    assert measured["sites"]["hand"]["sensitivity"] == pytest.approx(2 / 3)
    assert measured["sites"]["leg"]["specificity"] == pytest.approx(2 / 3)
    assert measured["sites"]["hardware"] == pytest.approx(
        {"n": 1.0, "auroc": 0.5, "sensitivity": 0.0, "specificity": 1.0}
    )
    assert np.isnan(measured["sites"]["hip"]["auroc"])
    # a finding has its own rows
    assert set(measure_routing(network, replace(bone, size=64, canvas=64), pack)["sites"]) == set(bone.sites)
