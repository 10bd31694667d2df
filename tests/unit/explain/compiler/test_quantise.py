"""Eight bits: the engine still adds up, what moved is said finding by finding, and old thresholds are left behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from radiolucent.engines.bundle import Bundle  # noqa: E402 - these need torch, which may be absent
from radiolucent.engines.manifest import InputSpec, ScopeSpec  # noqa: E402
from radiolucent.engines.runtime import load_engine  # noqa: E402
from radiolucent.errors import InvalidBundle, OutputExists  # noqa: E402
from radiolucent.explain.compiler import Plan, compile_engine  # noqa: E402
from radiolucent.explain.compiler.openvino_ir import export_openvino  # noqa: E402
from radiolucent.explain.compiler.quantise import compare, quantise_engine, report  # noqa: E402

IMAGES = np.random.default_rng(2).standard_normal((4, 1, 64, 64)).astype(np.float32)


@pytest.fixture(scope="module")
def engine(build: Callable[[str], Any], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A compiled residual network with thresholds."""
    plan = Plan(
        name="tried",
        version="0.1.0",
        title="Tried",
        summary="Random weights.",
        licence="Apache-2.0",
        findings=("mass", "nodule", "effusion"),
        input=InputSpec(recipe="grey", height=64, width=64),
        scope=ScopeSpec(modalities=["DX"], limits=[]),
        operating_points={"mass": 0.2, "nodule": 0.4, "effusion": 0.6},
        operating_rule="by hand",
    )
    return compile_engine(build("resnet"), plan, tmp_path_factory.mktemp("engine") / "bundle").bundle


def test_thresholds_of_the_plan_are_in_the_bundle(engine: Bundle) -> None:
    assert (engine.operating_point("mass"), engine.operating_point("effusion")) == (0.2, 0.6)
    assert engine.probability("mass", 1.0) is None


@pytest.mark.parametrize("method", ["dynamic", "static"])
def test_an_engine_in_eight_bits_reads_and_says_how_it_moved(method: Any, engine: Bundle, tmp_path: Path) -> None:
    result = quantise_engine(engine, tmp_path / "int8", IMAGES, method=method)
    assert result.bundle.label == "tried-int8@0.1.0"
    assert result.bytes_after < result.bytes_before
    assert (result.images, [row.finding for row in result.moved]) == (4, ["mass", "nodule", "effusion"])
    assert all(0 < row.logit < 1 and row.correlation > 0.9 for row in result.moved)
    assert result.bundle.operating_points is None
    output = load_engine(result.bundle, threads=1).run(IMAGES)
    biases = np.array([finding.bias for finding in result.bundle.manifest.findings])
    np.testing.assert_allclose(output.evidence.mean(axis=(2, 3)) + biases, output.logits, atol=1e-4)
    assert report(result) in result.bundle.read("card.md").decode()
    assert [path.name for path in tmp_path.iterdir()] == ["int8"]


def test_what_moved_is_counted_against_hand_made_outputs(engine: Bundle) -> None:
    logits = np.array([[-1.0, 0.0, 3.0], [-2.0, 0.0, 0.0]], dtype=np.float32)
    maps = np.zeros((2, 3, 1, 2), dtype=np.float32)
    maps[:, :, 0, 0] = 2.0
    new_logits, new_maps = logits.copy(), maps.copy()
    new_logits[1, 0] = 0.0  # passes the threshold of .2: a flip
    new_maps[0, 1, 0] = (0.0, 1.0)  # peak in the other cell
    mass, nodule, effusion = compare(
        engine, {"logits": logits, "evidence": maps}, {"logits": new_logits, "evidence": new_maps}
    )
    assert (mass.logit, mass.flips, mass.evidence, mass.peaks_moved) == (2.0, 1, 0.0, 0)
    assert (nodule.flips, nodule.evidence, nodule.peaks_moved) == (0, 1.0, 1)
    assert effusion.logit == 0.0
    assert effusion.correlation == pytest.approx(1.0)


def test_images_of_another_size_and_a_taken_folder_are_refused(engine: Bundle, tmp_path: Path) -> None:
    with pytest.raises(InvalidBundle, match="images must be float32"):
        quantise_engine(engine, tmp_path / "int8", IMAGES[:, :, :32])
    with pytest.raises(OutputExists, match="name a new folder"):
        quantise_engine(engine, tmp_path, IMAGES)
    assert list(tmp_path.iterdir()) == []


def test_openvinos_graph_gives_the_same_scores_and_evidence(engine: Bundle, tmp_path: Path) -> None:
    pytest.importorskip("openvino", reason="needs openvino: pip install 'radiolucent[openvino]'")
    assert export_openvino(engine, tmp_path / "ir") < 1e-4
    assert sorted(path.name for path in (tmp_path / "ir").iterdir()) == ["model.bin", "model.xml"]
    assert 'INFERENCE_PRECISION_HINT value="f32"' in (tmp_path / "ir" / "model.xml").read_text()
    with pytest.raises(OutputExists, match="name a new folder"):
        export_openvino(engine, tmp_path / "ir")
