"""An engine gives scores and maps in one pass, the same from any thread, or says what is wrong."""

from __future__ import annotations

import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from radiolucent.engines.bundle import load_bundle
from radiolucent.engines.runtime import (
    OnnxEngine,
    TorchEngine,
    load_engine,
    load_twin,
    threads_per_worker,
    verify,
)
from radiolucent.errors import DigestMismatch, EngineError, IncompleteEvidence, InvalidBundle, MissingExtra

Float = NDArray[np.float32]


def images(count: int, seed: int = 0) -> Float:
    return np.random.default_rng(seed).standard_normal((count, 1, 16, 16)).astype(np.float32)


def convolved(batch: Float, kernel: Float) -> Float:
    cells = batch[:, 0].reshape(len(batch), 4, 4, 4, 4)
    return np.asarray(np.einsum("nhawb,kab->nkhw", cells, kernel[:, 0]), dtype=np.float32)


def test_scores_and_maps_are_what_the_graph_computes(tiny: Any) -> None:
    batch = images(3)
    output = OnnxEngine(load_bundle(tiny.make())).run(batch)
    evidence = convolved(batch, tiny.kernel)
    np.testing.assert_allclose(output.evidence, evidence, atol=1e-5)
    np.testing.assert_allclose(output.logits, evidence.mean(axis=(2, 3)) + np.array(tiny.biases), atol=1e-5)
    assert output.milliseconds > 0


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_a_long_series_in_parts_gives_what_one_pass_gives(tiny: Any, count: int) -> None:
    bundle = load_bundle(tiny.make())
    whole = OnnxEngine(bundle, largest_batch=100).run(images(count))
    parts = OnnxEngine(bundle, largest_batch=2).run(images(count))
    assert np.array_equal(whole.logits, parts.logits)
    assert np.array_equal(whole.evidence, parts.evidence)


def test_eight_threads_on_one_engine_give_identical_results(tiny: Any) -> None:
    engine = OnnxEngine(load_bundle(tiny.make()), threads=2)
    batches = [images(5, seed) for seed in range(64)]
    alone = [engine.run(batch) for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(engine.run, batches))
    for one, other in zip(alone, together, strict=True):
        assert np.array_equal(one.logits, other.logits)
        assert np.array_equal(one.evidence, other.evidence)


def test_a_view_that_is_not_contiguous_is_read_right(tiny: Any) -> None:
    engine = OnnxEngine(load_bundle(tiny.make()))
    batch = images(2)
    assert np.array_equal(engine.run(batch[:, :, ::-1]).logits, engine.run(batch[:, :, ::-1].copy()).logits)


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((1, 1, 16, 16)),
        np.zeros((1, 16, 16), np.float32),
        np.zeros((1, 1, 16, 15), np.float32),
        np.zeros((1, 3, 16, 16), np.float32),
        np.zeros((0, 1, 16, 16), np.float32),
    ],
)
def test_a_batch_of_another_shape_or_type_is_refused(tiny: Any, batch: Any) -> None:
    with pytest.raises(EngineError, match=r"tiny@1\.0\.0 reads float32 \(N, 1, 16, 16\), not"):
        OnnxEngine(load_bundle(tiny.make())).run(batch)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_with_a_value_that_is_not_finite_is_refused(tiny: Any, value: float) -> None:
    batch = images(1)
    batch[0, 0, 3, 3] = value
    with pytest.raises(EngineError, match="the images hold values that are not finite"):
        OnnxEngine(load_bundle(tiny.make())).run(batch)


def test_a_network_that_overflows_is_an_error_and_not_a_result(tiny: Any) -> None:
    with pytest.raises(EngineError, match="the network gave values that are not finite"):
        OnnxEngine(load_bundle(tiny.make())).run(np.full((1, 1, 16, 16), 3e38, np.float32))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        ({"names": ("scores", "evidence")}, "no float32 output 'logits'"),
        ({"names": ("logits", "maps")}, "no float32 output 'evidence'"),
        ({"batch": 1}, "fixes its batch size"),
        ({"more": "age"}, "one input, float32"),
    ],
)
def test_a_graph_off_the_contract_is_refused(tiny: Any, graph: dict[str, Any], message: str) -> None:
    bundle = load_bundle(tiny.make(files={"graph.onnx": tiny.graph(**graph)}))
    with pytest.raises(InvalidBundle, match=message):
        OnnxEngine(bundle)


def test_a_graph_that_is_no_graph_is_refused(tiny: Any) -> None:
    bundle = load_bundle(tiny.make(files={"graph.onnx": b"no graph"}))
    with pytest.raises(InvalidBundle, match=r"ONNX Runtime can't load graph\.onnx"):
        OnnxEngine(bundle)


def test_a_graph_changed_after_loading_is_refused(tiny: Any) -> None:
    bundle = load_bundle(tiny.make())
    (bundle.path / "graph.onnx").write_bytes(b"another")
    with pytest.raises(DigestMismatch, match=r"graph\.onnx"):
        OnnxEngine(bundle)


def test_a_grid_other_than_the_manifests_is_refused(tiny: Any) -> None:
    engine = OnnxEngine(load_bundle(tiny.make(grid=8)))
    with pytest.raises(InvalidBundle, match=r"on a grid of \(8, 8\), the graph gave logits \(1, 2\)"):
        engine.run(images(1))


SITES = """
[[sites]]
name = "hand"
basis = "real"
read = true
[[sites]]
name = "spine"
basis = "phantom"
read = false
"""


def test_a_graph_that_tells_sites_gives_their_shares(tiny: Any) -> None:
    bundle = load_bundle(tiny.make(more=SITES, files={"graph.onnx": tiny.graph(sites=1.0)}))
    batch = images(3)
    output = OnnxEngine(bundle, largest_batch=2).run(batch)
    means = np.exp(convolved(batch, tiny.kernel).mean(axis=(2, 3)))
    assert output.sites is not None
    np.testing.assert_allclose(output.sites, means / means.sum(axis=1, keepdims=True), atol=1e-5)
    assert OnnxEngine(load_bundle(tiny.make("none"))).run(batch).sites is None


def test_a_manifest_with_sites_wants_a_graph_that_tells_them(tiny: Any) -> None:
    with pytest.raises(InvalidBundle, match="no float32 output 'sites'"):
        OnnxEngine(load_bundle(tiny.make(more=SITES)))
    third = SITES + '[[sites]]\nname = "leg"\nbasis = "real"\nread = true\n'
    engine = OnnxEngine(load_bundle(tiny.make("three", more=third, files={"graph.onnx": tiny.graph(sites=1.0)})))
    with pytest.raises(InvalidBundle, match=r"the manifest says 3 sites, the network gave \(1, 2\)"):
        engine.run(images(1))


def test_shares_that_do_not_add_up_are_an_error(tiny: Any) -> None:
    engine = OnnxEngine(load_bundle(tiny.make(more=SITES, files={"graph.onnx": tiny.graph(sites=0.9)})))
    with pytest.raises(EngineError, match="the shares of the sites don't add up to 1"):
        engine.run(images(1))


def test_the_cpu_is_always_among_the_providers(tiny: Any) -> None:
    assert OnnxEngine(load_bundle(tiny.make())).providers[-1] == "CPUExecutionProvider"


def test_cores_are_shared_out_among_workers_and_never_less_than_one() -> None:
    assert threads_per_worker(1) >= threads_per_worker(2) >= threads_per_worker(10_000) == 1


def test_verifying_a_sound_bundle_measures_how_well_its_maps_add_up(tiny: Any) -> None:
    bundle = load_bundle(tiny.make())
    report = verify(bundle)
    assert (report.engine, report.digest) == ("tiny@1.0.0", bundle.digest)
    assert report.largest_difference <= 1e-5
    assert report.twin_difference is None


def test_verifying_refuses_maps_that_do_not_add_up(tiny: Any) -> None:
    with pytest.raises(IncompleteEvidence, match=r"the maps miss the logits by 0\.75"):
        verify(load_bundle(tiny.make(second_bias=0.5)))


def test_verifying_refuses_a_finding_that_the_taxonomy_has_not(tiny: Any) -> None:
    with pytest.raises(InvalidBundle, match="'edema' is not in the taxonomy"):
        verify(load_bundle(tiny.make(second="edema")))


def test_without_torch_the_onnx_backend_works_and_the_other_says_what_to_install(
    tiny: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = load_bundle(tiny.make())
    monkeypatch.setitem(sys.modules, "torch", None)
    assert isinstance(load_engine(bundle), OnnxEngine)
    with pytest.raises(MissingExtra, match=r"radiolucent\[torch\]"):
        load_engine(bundle, "torch")


def test_a_bundle_without_a_twin_has_no_torch_backend(tiny: Any) -> None:
    pytest.importorskip("torch")
    with pytest.raises(InvalidBundle, match="names no twin"):
        load_engine(load_bundle(tiny.make()), "torch")


def test_a_graph_without_the_twins_weights_is_refused(tiny: Any) -> None:
    pytest.importorskip("torch")
    bundle = load_bundle(tiny.make(more='\n[twin]\nnetwork = "evidence-net"\narguments = { findings = 2 }\n'))
    with pytest.raises(InvalidBundle, match=r"holds no features\.stem\.0\.weight of shape"):
        load_twin(bundle)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, bytes, Any]:
    """A small evidence net with random weights: its twin table, its graph and itself."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")
    from radiolucent.engines.network import build_network

    table = """
[twin]
network = "evidence-net"
[twin.arguments]
findings = 2
stem = 8
widths = [16, 16]
depths = [1, 1]
top = 16
grid_stride = 4
pooling = "mean"
"""
    torch.manual_seed(5)
    arguments = {"findings": 2, "stem": 8, "widths": [16, 16], "depths": [1, 1], "top": 16, "grid_stride": 4}
    network = build_network("evidence-net", {**arguments, "pooling": "mean"}).eval()
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.2)
    network.bias.copy_(torch.tensor([0.5, -0.25]))
    path = tmp_path_factory.mktemp("export") / "graph.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's own, from inside its exporter
        torch.onnx.export(
            network,
            (torch.zeros(2, 1, 16, 16),),
            path,
            input_names=["image"],
            output_names=["logits", "evidence"],
            dynamic_shapes=({0: torch.export.Dim("n")},),
            opset_version=21,
            dynamo=True,
            external_data=False,
            verbose=False,
        )
    return table, path.read_bytes(), network


def test_graph_and_twin_agree_and_the_twin_has_the_graphs_weights(tiny: Any, exported: tuple[str, bytes, Any]) -> None:
    table, graph, network = exported
    bundle = load_bundle(tiny.make(more=table, files={"graph.onnx": graph}))
    batch = images(9)
    onnx, torch = load_engine(bundle, threads=1).run(batch), load_engine(bundle, "torch").run(batch)
    assert np.abs(onnx.logits - torch.logits).max() <= 1e-4
    assert np.abs(onnx.evidence - torch.evidence).max() <= 1e-4
    assert np.abs(onnx.logits).max() > 1e-2
    for name, value in load_twin(bundle).state_dict().items():
        assert value.equal(network.state_dict()[name])
    report = verify(bundle)
    assert report.twin_difference is not None
    assert report.twin_difference <= 1e-4


def test_verifying_refuses_a_twin_that_differs_from_the_graph(tiny: Any, exported: tuple[str, bytes, Any]) -> None:
    table, graph, _ = exported
    bundle = load_bundle(tiny.make(more=table.replace('"mean"', '"log-sum-exp"'), files={"graph.onnx": graph}))
    assert isinstance(load_engine(bundle, "torch"), TorchEngine)
    with pytest.raises(InvalidBundle, match="graph and PyTorch twin differ by"):
        verify(bundle)
