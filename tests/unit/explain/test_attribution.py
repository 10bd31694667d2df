"""Gradient methods against torchcam and Captum on the same weights, and what random weights do to a map."""

from __future__ import annotations

import threading
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")

from radiolucent.engines.network import build_network  # noqa: E402 - needs torch, which may be absent
from radiolucent.errors import InvalidBundle  # noqa: E402
from radiolucent.explain import attribution  # noqa: E402
from radiolucent.explain.methods.perturb import Budget, blurred  # noqa: E402

Maps = NDArray[np.float32]


class Plain(torch.nn.Module):  # type: ignore[name-defined]
    """Convolutions, global average pooling, one linear layer."""

    def __init__(self) -> None:
        super().__init__()
        nn = torch.nn
        self.features = nn.Sequential(nn.Conv2d(1, 8, 5, 2, 2), nn.ReLU(), nn.Conv2d(8, 12, 3, 2, 1), nn.ReLU())
        self.classifier = nn.Linear(12, 3)

    def forward(self, x: Any) -> Any:
        return self.classifier(self.features(x).mean(dim=(2, 3)))


def plain() -> Any:
    torch.manual_seed(4)
    return Plain().eval()


def image(seed: int = 1) -> Maps:
    return np.random.default_rng(seed).standard_normal((1, 32, 32)).astype(np.float32)


def torchcam_map(name: str, finding: int) -> Maps:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        methods = pytest.importorskip("torchcam.methods", exc_type=ImportError)
        network = plain()
        with getattr(methods, name)(network, target_layer="features") as extractor:
            scores = network(torch.from_numpy(image()[None]).requires_grad_())
            return np.asarray(extractor(finding, scores, normalized=False)[0][0].detach().numpy())


@pytest.mark.parametrize(("name", "ours"), [("GradCAM", attribution.grad_cam), ("LayerCAM", attribution.layer_cam)])
def test_torchcam_finds_the_same_map(name: str, ours: Any) -> None:
    maps = ours(attribution.Twin(plain()), image())
    for finding in range(3):
        theirs = np.maximum(torchcam_map(name, finding), 0)
        scale = float(maps[finding].max())
        assert scale > 0
        np.testing.assert_allclose(theirs / theirs.max(), maps[finding] / scale, atol=1e-5)


def test_grad_cam_plus_plus_is_the_papers_formula_where_the_gradient_is_constant() -> None:
    # torchcam 0.5.0 is no oracle here: it divides a copy (``alpha[mask].div_(…)``), so that its alpha is the square
    twin = attribution.Twin(plain())
    _, kept, _ = twin.activations(image())
    maps = attribution.grad_cam_plus_plus(twin, image())
    cells = kept[0].size
    for finding in range(3):
        slope = twin.network.classifier.weight[finding].detach().numpy() / cells
        weights = cells * np.maximum(slope, 0) / (2 + slope * kept.sum(axis=(1, 2)))
        expected = np.maximum(np.einsum("c,chw->hw", weights, kept), 0)
        np.testing.assert_allclose(maps[finding], expected, rtol=1e-4, atol=1e-7)


def test_hires_cam_under_mean_pooling_adds_up_to_the_logit_less_its_bias() -> None:
    network = plain()
    maps = attribution.hires_cam(attribution.Twin(network), image())
    with torch.no_grad():
        logits = network(torch.from_numpy(image()[None]))[0] - network.classifier.bias
    np.testing.assert_allclose(maps.sum(axis=(1, 2)), logits.numpy(), atol=1e-5)


def test_hires_cam_of_an_evidence_network_is_its_evidence_times_the_slope_of_its_pool() -> None:
    torch.manual_seed(4)
    sizes = {"stem": 8, "widths": [16], "depths": [1], "top": 16, "grid_stride": 4}
    network = build_network("evidence-net", {"findings": 2, "pooling": "log-sum-exp", "sharpness": 2.0, **sizes}).eval()
    maps = attribution.hires_cam(attribution.Twin(network), image())
    with torch.no_grad():
        evidence = network(torch.from_numpy(image()[None]))[1][0].numpy().astype(np.float64)
    slopes = np.exp(2 * evidence)
    expected = evidence * slopes / slopes.sum(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(maps, expected, atol=1e-5)


def test_integrated_gradients_add_up_to_the_difference_from_the_blurred_image() -> None:
    pytest.importorskip("captum")
    twin = attribution.Twin(plain())
    map_, total = attribution.integrated_gradients(twin, image(), 1, grid=(8, 8), steps=64, budget=Budget())
    ends = torch.from_numpy(np.stack([image(), blurred(image())]))
    with torch.no_grad():
        logits = twin.logits(ends)[:, 1]
    assert total == pytest.approx(float(logits[0] - logits[1]), abs=1e-6)
    assert float(map_.sum()) == pytest.approx(total, abs=0.02 * abs(total) + 1e-3)


def test_gradient_shap_repeats_itself_and_leaves_random_numbers_as_they_were() -> None:
    pytest.importorskip("captum")
    twin = attribution.Twin(plain())
    np.random.seed(5)
    torch.manual_seed(5)
    before = (np.random.get_state()[1][:3].tolist(), torch.get_rng_state()[:8].tolist())  # type: ignore[index]
    first, again = (
        attribution.gradient_shap(twin, image(), 0, grid=(8, 8), samples=12, seed=3, budget=Budget())[0]
        for _ in range(2)
    )
    np.testing.assert_array_equal(first, again)
    assert (np.random.get_state()[1][:3].tolist(), torch.get_rng_state()[:8].tolist()) == before  # type: ignore[index]


def test_eight_threads_on_one_network_get_their_own_maps() -> None:
    twin = attribution.Twin(plain())
    alone = [attribution.layer_cam(twin, image(seed)) for seed in range(8)]
    wrong: list[int] = []

    def work(seed: int) -> None:
        for _ in range(5):
            if not np.allclose(attribution.layer_cam(twin, image(seed)), alone[seed], atol=1e-5):
                wrong.append(seed)

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert wrong == []


def test_random_weights_are_made_from_the_last_layer_on_and_the_given_network_stays() -> None:
    network = plain()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    seen = []
    for name, changed in attribution.randomised(network):
        seen.append(name)
        values = changed.state_dict()[f"{name}.weight"]
        assert not torch.equal(values, before[f"{name}.weight"])
        assert torch.equal(values.flatten().sort().values, before[f"{name}.weight"].flatten().sort().values)
    assert seen == ["classifier", "features.2", "features.0"]
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_a_network_without_a_layer_to_explain_is_refused() -> None:
    with pytest.raises(InvalidBundle, match="no layer 'features'"):
        attribution.Twin(torch.nn.Linear(2, 2))
