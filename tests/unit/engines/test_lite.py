from typing import Any

import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

import torch

from radiolucent.engines import lite
from radiolucent.engines.network import EvidenceNet, build_network, join_networks
from radiolucent.errors import InvalidBundle

LITE: dict[str, Any] = {"findings": 2, "backbone": "efficientnet-lite0", "top": 16, "grid_stride": 8}


def test_stages_have_the_widths_and_strides_of_the_paper() -> None:
    x = lite.stem(1)(torch.zeros(1, 1, 64, 96))
    assert x.shape == (1, lite.STEM, 32, 48)
    for stage, width, stride in zip(lite.stages(), lite.WIDTHS, (4, 8, 16, 32), strict=True):
        x = stage(x)
        assert x.shape == (1, width, 64 // stride, 96 // stride)


def test_it_has_as_many_weights_as_the_published_network_without_its_head() -> None:
    parts = [lite.stem(3), *lite.stages()]
    kernels = sum(p.numel() for part in parts for p in part.parameters() if p.ndim > 1)
    # Lite0 has 4 652 008 with 1280 × 1001 - 1 of the classifier, 320 × 1280 + 2560 of its head, and two per channel
    # for each norm where one bias stays after folding
    biases = sum(p.numel() for part in parts for p in part.parameters() if p.ndim == 1)
    assert kernels + 2 * biases + (320 * 1280 + 2 * 1280) + (1280 * 1000 + 1000) == 4_652_008


def test_a_side_is_padded_behind_so_that_a_cell_looks_at_its_own_middle() -> None:
    stem = lite.stem(1)
    torch.nn.init.constant_(stem.get_parameter("0.weight"), 1.0)
    torch.nn.init.zeros_(stem.get_parameter("0.bias"))
    image = torch.zeros(1, 1, 8, 8)
    image[0, 0, 7, 7] = 1.0
    seen = stem(image)[0, 0] > 0
    assert seen.nonzero().tolist() == [[3, 3]]


def test_depthwise_filters_stay_in_single_precision() -> None:
    block = lite.Block(8, 8, 5, 1, 6)
    with torch.autocast("cpu", torch.bfloat16):
        inside = block.filter(torch.randn(1, 48, 8, 8).bfloat16())
    assert inside.dtype == torch.float32


def test_maps_pool_to_the_logits_on_this_backbone_as_well() -> None:
    torch.manual_seed(0)
    network = EvidenceNet(**LITE).eval()
    logits, evidence = network(torch.randn(2, 1, 64, 64))
    assert evidence.shape == (2, 2, 8, 8)
    pooled = (torch.logsumexp(2.0 * evidence.flatten(2), dim=2) - torch.log(torch.tensor(64.0))) / 2.0
    assert torch.allclose(logits, pooled, atol=1e-5)


def test_one_of_each_backbone_is_joined_to_the_mean_of_their_maps() -> None:
    torch.manual_seed(0)
    arguments = [{**LITE, "backbone": name} for name in ("residual", "efficientnet-lite0")]
    members = [EvidenceNet(**one).eval() for one in arguments]
    joined, described = join_networks(members, arguments)
    assert described == {"findings": 2, "top": 16, "grid_stride": 8, "branches": ["residual", "efficientnet-lite0"]}
    assert joined.state_dict().keys() == build_network("evidence-net", described).state_dict().keys()
    x = torch.randn(1, 1, 64, 64)
    with torch.no_grad():
        wanted = torch.stack([member(x)[1] for member in members]).mean(dim=0)
        assert torch.allclose(joined(x)[1], wanted, atol=1e-5)


def test_another_backbone_is_refused_by_name() -> None:
    with pytest.raises(InvalidBundle, match="backbone 'vgg'"):
        build_network("evidence-net", {**LITE, "backbone": "vgg"})


def test_as_many_depths_as_widths_are_asked_for() -> None:
    with pytest.raises(InvalidBundle, match="can't be built"):
        build_network("evidence-net", {"findings": 1, "widths": [16, 16], "depths": [1], "top": 16})
