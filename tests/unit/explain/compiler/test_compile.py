"""The usual networks become bundles whose evidence is what full autograd says, or are refused with the reason."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from radiolucent.engines.bundle import load_bundle  # noqa: E402 - these need torch, which may be absent
from radiolucent.engines.manifest import InputSpec, ScopeSpec  # noqa: E402
from radiolucent.engines.pooling import recompute  # noqa: E402
from radiolucent.engines.runtime import load_engine  # noqa: E402
from radiolucent.errors import IncompleteEvidence, InvalidBundle, OutputExists  # noqa: E402
from radiolucent.explain.compiler import Compiled, Plan, compile_engine  # noqa: E402
from radiolucent.explain.compiler.compile import find_head  # noqa: E402
from radiolucent.explain.compiler.graph import split, trace  # noqa: E402
from radiolucent.explain.compiler.heads import understand  # noqa: E402
from radiolucent.explain.completeness import check  # noqa: E402
from radiolucent.results.report_view import completeness_words  # noqa: E402

Build = Callable[[str], Any]
# family → kind of head, grid, layer whose output is explained
EXPECTED = {
    "resnet": ("linear", (16, 16)),
    "densenet": ("linear", (32, 32)),
    "efficientnet": ("linear", (16, 16)),
    "convnext": ("gradient", (16, 16)),
    "mobilenet-v3": ("gradient", (16, 16)),
    "swin": ("linear", (16, 16)),
    "vit-mean": ("linear", (8, 8)),
    "vit-class-token": ("gradient", (8, 8)),
    "vgg": ("gradient", (8, 8)),
    "flat-linear": ("cells", (8, 8)),
    "maps-log-sum-exp": ("maps", (16, 16)),
    "maps-mean": ("linear", (16, 16)),
    "maps-maximum": ("gradient", (16, 16)),
    "attention-pool": ("gradient", (16, 16)),
    "sigmoid-inside": ("linear", (16, 16)),
    "site-heads": ("linear", (16, 16)),
}


def plan(**changes: Any) -> Plan:
    values: dict[str, Any] = {
        "name": "tried",
        "version": "0.1.0",
        "title": 'A "tried" engine',
        "summary": "A network with random weights.",
        "licence": "Apache-2.0",
        "findings": ("mass", "nodule", "effusion"),
        "input": InputSpec(recipe="brain-mri", height=64, width=64),
        "scope": ScopeSpec(modalities=["DX"], limits=["it has random weights"]),
    }
    return Plan(**values | changes)


def images(count: int = 3, side: int = 64) -> NDArray[np.float32]:
    return np.random.default_rng(2).standard_normal((count, 1, side, side)).astype(np.float32)


@pytest.fixture(scope="module")
def compiled_family(build: Build, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Compiled]:
    """A family's network, compiled once."""

    @cache
    def compiled(family: str) -> Compiled:
        return compile_engine(build(family), plan(), tmp_path_factory.mktemp(family) / "bundle", images=images())

    return compiled


@pytest.mark.parametrize("family", EXPECTED)
def test_a_family_compiles_to_the_evidence_that_full_autograd_gives(
    family: str, compiled_family: Callable[[str], Compiled]
) -> None:
    compiled = compiled_family(family)
    assert (compiled.kind, compiled.bundle.manifest.head.grid) == EXPECTED[family]
    assert compiled.autograd <= 1e-4
    assert compiled.graph <= 1e-4
    assert compiled.completeness is None or compiled.completeness <= 1e-4
    assert (compiled.completeness is None) == (compiled.kind == "gradient")
    output = load_engine(compiled.bundle, threads=1).run(images(5))
    assert np.abs(output.evidence).max() > 1e-3
    assert [path.name for path in compiled.bundle.path.parent.iterdir()] == ["bundle"]


def test_the_evidence_is_captums_layer_grad_cam_of_the_network_as_given(
    build: Build, compiled_family: Callable[[str], Compiled]
) -> None:
    attr = pytest.importorskip("captum.attr")
    for family, layer in (("mobilenet-v3", "features"), ("efficientnet", "head"), ("site-heads", "features")):
        network = build(family)
        compiled = compiled_family(family)
        flat = network if family != "site-heads" else _Joined(network)
        method = attr.LayerGradCam(flat, getattr(network, layer))
        ours = load_engine(compiled.bundle, threads=1).run(images()).evidence
        for index in range(3):
            theirs = method.attribute(torch.from_numpy(images()), target=index, relu_attributions=True)
            theirs = theirs.detach().numpy()[:, 0] * ours[0, 0].size
            np.testing.assert_allclose(np.maximum(ours[:, index], 0), theirs, atol=1e-5 * max(1.0, theirs.max()))


class _Joined(torch.nn.Module):  # type: ignore[name-defined]
    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Any) -> Any:
        return torch.cat(list(self.network(x).values()), dim=1)


def test_the_bundle_says_how_its_logit_follows_from_its_map(compiled_family: Callable[[str], Compiled]) -> None:
    compiled = compiled_family("maps-log-sum-exp")
    head = load_bundle(compiled.bundle.path).manifest.head
    assert (head.pooling, head.sharpness) == ("log-sum-exp", 5.0)
    assert "Cells have no share" in compiled.bundle.read("card.md").decode()
    assert "nothing is known here of how good it is" in compiled.bundle.read("card.md").decode()


def test_a_map_of_first_order_claims_no_sum_and_the_words_say_so(compiled_family: Callable[[str], Compiled]) -> None:
    bundle = compiled_family("convnext").bundle
    output = load_engine(bundle, threads=1).run(images())
    completeness = check(output.logits, output.evidence, bundle.manifest)
    assert (completeness.pooling, completeness.largest_difference, completeness.holds) == ("gradient", 0.0, True)
    assert "doesn't add up" in completeness_words(completeness)
    broken = check(output.logits, output.evidence * np.float32(np.nan), bundle.manifest)
    assert not broken.holds
    assert "can't be trusted" in completeness_words(broken)
    with pytest.raises(ValueError, match="of first order doesn't give the logit back"):
        recompute(output.evidence, bundle.manifest.head, [0.0, 0.0, 0.0])


def test_a_class_tokens_rollout_is_in_the_graph_and_labelled_for_what_it_is(
    build: Build, compiled_family: Callable[[str], Compiled]
) -> None:
    compiled = compiled_family("vit-class-token")
    assert compiled.method.startswith("Grad-CAM at the input of the last block")
    assert any("class-agnostic" in note for note in compiled.notes)
    assert "no evidence for any" in compiled.bundle.read("card.md").decode()
    session = onnxruntime.InferenceSession(compiled.bundle.path / "graph.onnx", providers=["CPUExecutionProvider"])
    (given,) = session.run(["rollout"], {"image": images()})
    network, seen = build("vit-class-token"), []

    def note_attention(layer: Any, inputs: Any, output: Any) -> None:
        normed = layer.norm1(inputs[0])
        seen.append(layer.self_attn(normed, normed, normed, average_attn_weights=True)[1])

    for layer in network.blocks.layers:
        layer.register_forward_hook(note_attention)
    with torch.no_grad():
        network(torch.from_numpy(images()))
        eye = torch.eye(65)
        first, second = ((weights + eye) / 2 for weights in seen)
        wanted = (second @ first)[:, :1, 1:].unflatten(2, (8, 8))
    np.testing.assert_allclose(given, wanted.numpy(), atol=1e-6)
    assert compiled_family("vit-mean").notes == ()


def test_a_sigmoid_in_the_network_is_taken_off_and_noted(
    build: Build, compiled_family: Callable[[str], Compiled]
) -> None:
    compiled = compiled_family("sigmoid-inside")
    assert compiled.notes == ("a final sigmoid was taken off: the target is the logit",)
    with torch.no_grad():
        probabilities = build("sigmoid-inside")(torch.from_numpy(images()))
    logits = load_engine(compiled.bundle, threads=1).run(images()).logits
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), probabilities.numpy(), atol=1e-5)


def test_chosen_rows_and_the_networks_own_normalisation_are_in_the_graph(build: Build, tmp_path: Path) -> None:
    network = build("resnet")
    chosen = plan(rows=(2, 0), findings=("mass", "nodule"), mean=(0.5,), std=(0.25,), display_scale=3.0)
    compiled = compile_engine(network, chosen, tmp_path / "bundle")
    with torch.no_grad():
        wanted = network((torch.from_numpy(images()) - 0.5) / 0.25)[:, [2, 0]]
    np.testing.assert_allclose(load_engine(compiled.bundle, threads=1).run(images()).logits, wanted, atol=1e-4)
    assert [finding.display_scale for finding in compiled.bundle.manifest.findings] == [3.0, 3.0]


def test_one_channel_is_repeated_for_a_network_of_colour_images(tmp_path: Path) -> None:
    nn = torch.nn
    network = nn.Sequential(nn.Conv2d(3, 8, 3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 3))
    compiled = compile_engine(network, plan(mean=(0.4, 0.5, 0.6), std=(0.2, 0.2, 0.3)), tmp_path / "bundle")
    assert compiled.bundle.manifest.input.channels == 1
    assert compiled.kind == "linear"


def test_a_named_layer_is_explained_instead_of_the_last(build: Build, tmp_path: Path) -> None:
    compiled = compile_engine(build("resnet"), plan(target_layer="stem"), tmp_path / "bundle")
    assert (compiled.kind, compiled.bundle.manifest.head.grid) == ("gradient", (32, 32))
    with pytest.raises(InvalidBundle, match=r"layer 'fc' gives no feature map .* layers that would do: .*down"):
        compile_engine(build("resnet"), plan(target_layer="fc"), tmp_path / "other")


def test_the_display_scale_is_the_largest_evidence_seen_where_none_is_given(
    compiled_family: Callable[[str], Compiled],
) -> None:
    bundle = compiled_family("resnet").bundle
    peaks = load_engine(bundle, threads=1).run(images()).evidence.max(axis=(0, 2, 3))
    assert all(entry.display_scale >= peak - 1e-5 for entry, peak in zip(bundle.manifest.findings, peaks, strict=True))


def test_a_volume_network_is_understood_in_three_axes(build: Build) -> None:
    batch = torch.randn(2, 1, 16, 16, 16, generator=torch.Generator().manual_seed(1))
    traced = trace(build("volume"), batch)
    cut, head = find_head(traced, batch)
    assert (head.kind, head.grid) == ("linear", (4, 4, 4))
    with torch.no_grad():
        features = split(traced, cut.node)[0](batch)
        pooled = head.maps(features).mean(dim=(2, 3, 4)) + torch.tensor(head.biases)
    np.testing.assert_allclose(pooled.numpy(), build("volume")(batch).detach().numpy(), atol=1e-5)


def test_a_network_that_is_asleep_is_not_called_checked(build: Build, tmp_path: Path) -> None:
    network = build("resnet")
    network.conv[1].bias.data.fill_(-1e6)
    network.down[1].weight.data.zero_()
    network.down[1].bias.data.zero_()
    with pytest.raises(IncompleteEvidence, match="0 everywhere on all that was tried"):
        compile_engine(network, plan(), tmp_path / "bundle")


def test_the_noise_has_the_scale_of_the_recipe(build: Build) -> None:
    from radiolucent.explain.compiler.compile import _batch

    films = _batch(InputSpec(recipe="chest-xrv", height=64, width=64), None)
    assert 300 < float(films.std()) < 1000
    assert 0.1 < float(_batch(InputSpec(recipe="grey", height=64, width=64, window=(-160, 240)), None).std()) < 0.5


@pytest.mark.parametrize("axes", ["zyx", "xyz"])
def test_a_volume_network_becomes_a_bundle_that_reads_slices(axes: Any, build: Build, tmp_path: Path) -> None:
    spec = InputSpec(recipe="grey", depth=16, height=16, width=24)
    network = build("volume")
    compiled = compile_engine(network, plan(input=spec, axes=axes), tmp_path / "bundle")
    manifest = compiled.bundle.manifest
    assert (manifest.study_rule, manifest.head.depth, manifest.head.grid) == ("volume", 4, (4, 6))
    slices = np.random.default_rng(3).random((16, 1, 16, 24), dtype=np.float32)
    output = load_engine(compiled.bundle, threads=1).run(slices)
    assert (output.logits.shape, output.evidence.shape) == ((16, 3), (16, 3, 4, 6))
    volume = torch.from_numpy(slices.transpose(1, 0, 2, 3)[None].copy())
    with torch.no_grad():
        wanted = network(volume if axes == "zyx" else volume.permute(0, 1, 4, 3, 2))[0].numpy()
    np.testing.assert_allclose(output.logits.mean(axis=0), wanted, atol=1e-5)
    assert check(output.logits, output.evidence, manifest).holds
    brightened = slices.copy()
    brightened[0:2, :, 0:4, 0:8] += 1  # only the first planes, the top left
    moved = np.abs(load_engine(compiled.bundle, threads=1).run(brightened).evidence - output.evidence).max(axis=1)
    assert moved[:4].max() > 1e-3
    assert moved[8:].max() < 1e-6
    assert moved[:, 2:].max() < 1e-6
    assert moved[:, :, 3:].max() < 1e-6


def test_two_inputs_are_refused_with_their_names(tmp_path: Path) -> None:
    class Two(torch.nn.Module):  # type: ignore[name-defined]
        def forward(self, image: Any, age: Any) -> Any:
            return image.mean((2, 3)) + age

    with pytest.raises(InvalidBundle, match=r"takes 2 inputs \(image, age\); wrap it"):
        compile_engine(Two(), plan(), tmp_path / "bundle")


def test_a_network_that_branches_on_its_pixels_is_refused(tmp_path: Path) -> None:
    class Branches(torch.nn.Module):  # type: ignore[name-defined]
        def forward(self, x: Any) -> Any:
            return x.mean((2, 3)) if x.sum() > 0 else x.amax((2, 3))

    with pytest.raises(InvalidBundle, match="can't be written as one graph for any batch size"):
        compile_engine(Branches(), plan(findings=("mass",)), tmp_path / "bundle")


def test_a_network_that_gives_maps_instead_of_scores_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match=r"must give scores of shape \(N, K\)"):
        compile_engine(torch.nn.Conv2d(1, 3, 3), plan(), tmp_path / "bundle")


def test_a_network_without_a_feature_map_is_refused(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64 * 64, 3))
    with pytest.raises(InvalidBundle, match=r"the network has no feature map .* would do: none"):
        compile_engine(network, plan(), tmp_path / "bundle")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"findings": ("mass",)}, "gives 3 scores, the plan names 1 findings"),
        ({"findings": ("mass", "nodule", "edema")}, "'edema' is not in the taxonomy"),
        ({"rows": (0, 7), "findings": ("mass", "nodule")}, "don't fit a network of 3 classes"),
        ({"mean": (0.5,), "std": ()}, "one positive std per mean"),
        ({"mean": (0.5,), "std": (0.0,)}, "one positive std per mean"),
    ],
)
def test_a_plan_that_does_not_fit_is_refused_and_nothing_written(
    changes: dict[str, Any], message: str, build: Build, tmp_path: Path
) -> None:
    with pytest.raises(InvalidBundle, match=message):
        compile_engine(build("resnet"), plan(**changes), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []


def test_images_of_another_size_are_refused(build: Build, tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match=r"images must be float32"):
        compile_engine(build("resnet"), plan(), tmp_path / "bundle", images=images(side=32))


def test_an_existing_folder_is_left_alone(build: Build, tmp_path: Path) -> None:
    with pytest.raises(OutputExists, match="name a new folder"):
        compile_engine(build("resnet"), plan(), tmp_path)


def test_evidence_off_from_autograd_is_measured_and_would_be_refused(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from radiolucent.explain.compiler import compile as compiling

    def wrong(*arguments: Any) -> Any:
        head = understand(*arguments)
        assert head is not None
        head.maps.weight[0, 0] *= 1.5
        return head

    monkeypatch.setattr(compiling, "understand", wrong)
    with pytest.raises(IncompleteEvidence, match="differs from full autograd by"):
        compile_engine(build("resnet"), plan(), tmp_path / "bundle")
    assert list(tmp_path.iterdir()) == []
