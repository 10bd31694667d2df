"""Evidence in the graph against gradients: torch, ONNX Runtime, Captum and pytorch-grad-cam on one network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
from bench import graphs, networks, peers  # noqa: E402

SIZE, CLASSES = 96, 6


@pytest.fixture(scope="module")
def images() -> np.ndarray[Any, np.dtype[np.float32]]:
    return np.random.default_rng(3).standard_normal((2, 1, SIZE, SIZE)).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> networks.PlainNet:
    return networks.make((2, 2, 2, 2), CLASSES)


@pytest.fixture(scope="module")
def graph(network: networks.PlainNet) -> bytes:
    return networks.onnx_bytes(networks.EvidenceNet(network), SIZE, ["logits", "evidence"])


def _positive(graph: bytes, images: Any) -> Any:
    evidence = graphs.run(graphs.session(graph), images)[1]
    assert evidence.max() > 0
    return np.maximum(evidence, 0) / evidence[0, 0].size


def test_the_evidence_adds_up_to_the_logits_of_the_plain_classifier(
    network: networks.PlainNet, graph: bytes, images: Any
) -> None:
    logits, evidence = graphs.run(graphs.session(graph), images)
    with torch.inference_mode():
        plain = network(torch.from_numpy(images)).numpy()
    bias = network.classifier.bias.detach().numpy()
    np.testing.assert_allclose(logits, plain, atol=1e-4)
    np.testing.assert_allclose(evidence.mean(axis=(2, 3)) + bias, plain, atol=1e-4)


def test_the_positive_evidence_is_captums_grad_cam_up_to_the_number_of_cells(
    network: networks.PlainNet, graph: bytes, images: Any
) -> None:
    pytest.importorskip("captum")
    ours = _positive(graph, images)
    captum = peers.Captum(network)
    for finding in range(CLASSES):
        theirs = captum(torch.from_numpy(images), finding)
        assert np.abs(theirs - ours[:, finding]).max() <= 1e-5 * ours.max()


def test_the_positive_evidence_is_pytorch_grad_cams_in_its_stretched_form(
    network: networks.PlainNet, graph: bytes, images: Any
) -> None:
    if {"pytorch_grad_cam", "cv2"} & set(peers.absent()):
        pytest.skip("needs pytorch_grad_cam: make torch")
    ours = _positive(graph, images)
    grad_cam = peers.GradCam(network)
    for finding in range(CLASSES):
        theirs = grad_cam(torch.from_numpy(images), finding)
        assert np.abs(theirs - peers.GradCam.form(ours[:, finding], (SIZE, SIZE))).max() <= 1e-5


def test_a_graph_without_its_evidence_gives_the_same_logits(graph: bytes, images: Any) -> None:
    fewer = graphs.session(graphs.without_output(graph, "evidence"))
    assert [output.name for output in fewer.get_outputs()] == ["logits"]
    np.testing.assert_array_equal(graphs.run(fewer, images)[0], graphs.run(graphs.session(graph), images)[0])


def test_an_output_that_is_not_there_can_not_be_dropped(graph: bytes) -> None:
    with pytest.raises(ValueError, match="no output 'heat'"):
        graphs.without_output(graph, "heat")
