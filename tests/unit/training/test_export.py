import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

import onnx
import torch

from radiolucent.engines.network import EvidenceNet
from radiolucent.training.export import export_graph, round_features
from radiolucent.training.recipes import find_recipe


@pytest.fixture(scope="module")
def a_network() -> EvidenceNet:
    torch.manual_seed(0)
    return EvidenceNet(findings=3, stem=8, widths=[16, 16], depths=[1, 1], top=16)


def graph_of(network: EvidenceNet, path: Path) -> onnx.ModelProto:
    export_graph(network, replace(find_recipe("brain-mri"), size=32), path)
    return onnx.load(path)


def test_features_are_stored_in_half_precision_and_nothing_else_is(a_network: EvidenceNet, tmp_path: Path) -> None:
    network = round_features(copy.deepcopy(a_network))
    graph = graph_of(network, tmp_path / "half.onnx").graph
    half = {tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT16}
    convolutions = {name for name, value in network.named_parameters() if value.ndim > 1}
    assert half == convolutions - {"evidence.weight"}
    session = onnxruntime.InferenceSession(tmp_path / "half.onnx")
    images = np.random.default_rng(0).random((2, 1, 32, 32), dtype=np.float32)
    _, maps = session.run(["logits", "evidence"], {"images": images})
    with torch.no_grad():
        np.testing.assert_allclose(network(torch.from_numpy(images))[1].numpy(), maps, atol=1e-5)


def test_weights_that_half_precision_would_change_are_stored_whole(a_network: EvidenceNet, tmp_path: Path) -> None:
    graph = graph_of(copy.deepcopy(a_network), tmp_path / "whole.onnx").graph
    assert all(tensor.data_type != onnx.TensorProto.FLOAT16 for tensor in graph.initializer)


def test_a_router_is_the_graphs_third_output(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = EvidenceNet(findings=3, stem=8, widths=[16, 16], depths=[1, 1], top=16, routed=5).eval()
    graph_of(network, tmp_path / "routed.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "routed.onnx")
    assert [output.name for output in session.get_outputs()] == ["logits", "evidence", "sites"]
    images = np.random.default_rng(0).random((2, 1, 32, 32), dtype=np.float32)
    with torch.no_grad():
        for one, other in zip(network(torch.from_numpy(images)), session.run(None, {"images": images}), strict=True):
            np.testing.assert_allclose(one.numpy(), other, atol=1e-5)
