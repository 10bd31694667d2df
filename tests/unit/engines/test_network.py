import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

import torch

from radiolucent.engines.network import EvidenceNet, build_network, join_networks, pool_evidence
from radiolucent.errors import InvalidBundle

SMALL = {"findings": 3, "stem": 8, "widths": [16, 16, 16], "depths": [1, 1, 1], "top": 16}


def a_network(**more: object) -> EvidenceNet:
    torch.manual_seed(0)
    network = build_network("evidence-net", {**SMALL, **more})
    assert isinstance(network, EvidenceNet)
    network.eval()
    return network


@pytest.mark.parametrize("stride", [4, 8])
def test_the_grid_is_the_input_over_the_stride(stride: int) -> None:
    logits, evidence = a_network(grid_stride=stride)(torch.zeros(2, 1, 64, 64))
    assert ((2, 3), (2, 3, 64 // stride, 64 // stride)) == (logits.shape, evidence.shape)


@pytest.mark.parametrize(("pooling", "sharpness"), [("mean", None), ("log-sum-exp", 2.0)])
def test_the_logit_is_the_pool_of_its_map_and_the_bias(pooling: str, sharpness: float | None) -> None:
    network = a_network(pooling=pooling, sharpness=sharpness)
    network.bias += torch.tensor([0.5, -1.0, 2.0])
    logits, evidence = network(torch.randn(2, 1, 64, 64))
    if sharpness is None:
        expected = evidence.mean(dim=(2, 3))
    else:
        expected = (sharpness * evidence).exp().mean(dim=(2, 3)).log() / sharpness
    torch.testing.assert_close(expected + network.bias, logits)


def test_log_sum_exp_lies_between_the_mean_and_the_maximum() -> None:
    maps = torch.randn(3, 2, 6, 6)
    mean, largest = maps.mean(dim=(2, 3)), maps.amax(dim=(2, 3))
    soft, sharp = (pool_evidence(maps, "log-sum-exp", r) for r in (0.01, 200.0))
    torch.testing.assert_close(mean, soft, atol=0.02, rtol=0)
    torch.testing.assert_close(largest, sharp, atol=0.03, rtol=0)


@pytest.mark.parametrize(("pooling", "sharpness"), [("largest", None), ("log-sum-exp", None)])
def test_an_unknown_pooling_is_refused(pooling: str, sharpness: float | None) -> None:
    with pytest.raises(InvalidBundle, match="is not known"):
        pool_evidence(torch.zeros(1, 1, 2, 2), pooling, sharpness)


def test_grad_cam_at_the_features_is_the_positive_evidence() -> None:
    network = a_network(pooling="mean", sharpness=None)
    features = network.features(torch.randn(1, 1, 64, 64))
    features.retain_grad()
    evidence = network.evidence(features)
    evidence.mean(dim=(2, 3))[0, 1].backward()
    assert features.grad is not None
    weights = features.grad.mean(dim=(2, 3), keepdim=True)
    cam = (weights * features).sum(dim=1).relu()
    torch.testing.assert_close(evidence[0, 1].relu() / 256, cam[0], atol=1e-7, rtol=1e-4)


def test_a_fresh_network_sees_background_everywhere() -> None:
    _, evidence = a_network()(torch.randn(2, 1, 64, 64))
    assert evidence.mean() < -0.3


def test_an_unknown_network_is_named() -> None:
    with pytest.raises(InvalidBundle, match="known: evidence-net"):
        build_network("resnet", {})


def test_arguments_that_it_does_not_take_are_refused() -> None:
    with pytest.raises(InvalidBundle, match="can't be built"):
        build_network("evidence-net", {"colour": 3})


def test_with_level_norms_a_crop_is_read_as_the_film_that_it_is_cut_from() -> None:
    film = torch.randn(1, 1, 256, 256)
    network = a_network(norm="level", grid_stride=8)
    _, whole = network(film)
    _, crop = network(film[:, :, 64:192, 64:192])
    # the cells in the middle see nothing of the crop's edge
    torch.testing.assert_close(whole[:, :, 14:18, 14:18], crop[:, :, 6:10, 6:10], atol=1e-4, rtol=0)


def test_site_heads_are_mixed_by_the_networks_own_routing() -> None:
    network = a_network(sites=2, traits=1, grid_stride=8)
    film = torch.randn(1, 1, 64, 64)
    _, before, described = network.describe(film)
    assert described.shape == (1, 3)
    features = network.features(film)
    with torch.no_grad():
        network.site_heads.weight[3:] = 0.5  # the second site's three maps
    _, after, _ = network.describe(film)
    share = torch.softmax(described[:, :2], dim=1)[0, 1]
    torch.testing.assert_close(before + share * 0.5 * features.sum(dim=1, keepdim=True), after)


def test_shown_traits_come_behind_the_findings_with_maps_that_give_their_logits() -> None:
    network = a_network(sites=2, traits=1, shown=1, grid_stride=8)
    logits, evidence = network(torch.randn(2, 1, 64, 64))
    assert (logits.shape, evidence.shape) == ((2, 4), (2, 4, 8, 8))
    expected = pool_evidence(evidence, "log-sum-exp", 2.0) + torch.tensor(network.biases)
    torch.testing.assert_close(expected, logits)
    plain, maps, _ = network.describe(torch.zeros(2, 1, 64, 64))
    assert (plain.shape, maps.shape) == ((2, 3), (2, 3, 8, 8))


def test_shown_traits_also_see_what_each_stage_sees() -> None:
    network = a_network(traits=1, shown=1, grid_stride=8)
    film = torch.randn(1, 1, 64, 64)
    features = network.features(film)
    # the path's 16; the finest stage's average and maximum; the others' own; ones
    assert features.shape == (1, 16 + 2 * 16 + 16 + 16 + 1, 8, 8)
    first = network.features.stages[0](network.features.stem(film))
    second = network.features.stages[1](first)
    third = network.features.stages[2](second)
    torch.testing.assert_close(torch.nn.functional.avg_pool2d(first, 2), features[:, 16:32])
    torch.testing.assert_close(torch.nn.functional.max_pool2d(first, 2), features[:, 32:48])
    torch.testing.assert_close(second, features[:, 48:64])
    torch.testing.assert_close(third.repeat_interleave(2, 2).repeat_interleave(2, 3), features[:, 64:80])
    assert bool((features[:, 80] == 1).all())
    _, before = network(film)
    with torch.no_grad():
        network.level_heads.weight[:, 32:] = 0.25
    _, after = network(film)
    torch.testing.assert_close(before[:, :3], after[:, :3])
    torch.testing.assert_close(before[:, 3] + 0.25 * features[:, 48:].sum(dim=1), after[:, 3])


def test_a_mirroring_network_reads_an_image_and_its_mirror_image_alike() -> None:
    network = a_network(mirrored=True, sites=2, traits=1, shown=1, grid_stride=8)
    film = torch.randn(1, 1, 64, 64)
    logits, evidence = network(film)
    turned_logits, turned = network(film.flip(3))
    torch.testing.assert_close(logits, turned_logits)
    torch.testing.assert_close(evidence, turned.flip(3))
    network.mirrored = False
    _, plain = network(film)
    _, other = network(film.flip(3))
    torch.testing.assert_close((plain + other.flip(3)) / 2, evidence)


def members(count: int, **more: object) -> list[EvidenceNet]:
    networks = []
    for seed in range(count):
        torch.manual_seed(seed)
        network = EvidenceNet(**SMALL, **more)  # type: ignore[arg-type]
        network.bias += torch.randn(3)
        networks.append(network.eval())
    return networks


def test_the_maps_of_a_joined_network_are_the_mean_of_its_members() -> None:
    parts = members(3)
    joined, _ = join_networks(parts, [SMALL] * 3)
    film = torch.randn(2, 1, 64, 64)
    logits, evidence = joined(film)
    torch.testing.assert_close(torch.stack([part(film)[1] for part in parts]).mean(dim=0), evidence)
    bias = torch.stack([part.bias for part in parts]).mean(dim=0)
    torch.testing.assert_close(pool_evidence(evidence, "log-sum-exp", 2.0) + bias, logits)
    features = joined.features(film)
    assert features.shape == (2, 48, 16, 16)
    torch.testing.assert_close(joined.evidence(features), evidence)


def test_a_joined_network_routes_by_the_mean_of_its_members_maps_of_sites() -> None:
    options: dict[str, object] = {"sites": 2, "traits": 1, "shown": 1, "norm": "level"}
    parts = members(2, **options)
    for part in parts:
        torch.nn.init.normal_(part.level_heads.weight)
    joined, _ = join_networks(parts, [{**SMALL, **options}] * 2)
    film = torch.randn(1, 1, 64, 64)
    features = [part.features(film) for part in parts]
    weights = [part.traits.get_parameter("weight") for part in parts]
    maps = [torch.nn.functional.conv2d(x[:, :16], weight) for x, weight in zip(features, weights, strict=True)]
    for map_, x, part in zip(maps, features, parts, strict=True):
        map_[:, 2:] += part.level_heads(x[:, 16:])
    bias = torch.stack([part.traits.get_parameter("bias") for part in parts]).mean(dim=0)
    expected = pool_evidence(torch.stack(maps).mean(dim=0), "log-sum-exp", 2.0) + bias
    torch.testing.assert_close(expected, joined.describe(film)[2], atol=1e-4, rtol=1e-3)
    shown = torch.stack([part(film)[1][:, 3] for part in parts]).mean(dim=0)
    torch.testing.assert_close(shown, joined(film)[1][:, 3], atol=1e-4, rtol=1e-3)


def test_one_member_stays_as_it_is() -> None:
    (only,) = members(1)
    assert join_networks([only], [SMALL]) == (only, SMALL)


def test_networks_of_another_make_are_not_joined() -> None:
    with pytest.raises(InvalidBundle, match="no network to join"):
        join_networks([], [])
    with pytest.raises(InvalidBundle, match="2 networks can't be joined"):
        join_networks([*members(1), *members(1, norm="level")], [SMALL, SMALL])
    with pytest.raises(InvalidBundle, match="2 networks can't be joined"):
        join_networks(members(2), [{**SMALL, "top": 32}] * 2)
    with pytest.raises(InvalidBundle, match="differ in more than the backbone"):
        join_networks(members(2), [SMALL, {**SMALL, "top": 32}])


@pytest.mark.parametrize("shown", [0, 1])
def test_a_router_reads_the_mean_of_all_features_and_leaves_the_maps_alone(shown: int) -> None:
    torch.manual_seed(0)
    plain = a_network(sites=2, traits=1, shown=shown, grid_stride=8)
    routed = a_network(sites=2, traits=1, shown=shown, grid_stride=8, routed=3)
    routed.load_state_dict(plain.state_dict(), strict=False)
    film = torch.randn(2, 1, 64, 64)
    logits, evidence, told = routed(film)
    for one, other in zip(plain(film), (logits, evidence), strict=True):
        assert torch.equal(one, other)
    assert routed.router is not None
    expected = torch.softmax(routed.router(plain.features(film).mean(dim=(2, 3))), dim=1)
    torch.testing.assert_close(expected, told)
    assert told.shape == (2, 3)
