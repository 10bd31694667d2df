"""An engine's graph as OpenVINO IR, told to compute in float32 and compared with ONNX Runtime."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from radiolucent.engines.bundle import Bundle
from radiolucent.errors import InvalidBundle, MissingExtra, OutputExists

LARGEST_DIFFERENCE = 1e-3
"""Relative difference from ONNX Runtime above which nothing is written."""


def export_openvino(bundle: Bundle, output: Path) -> float:
    """Write ``model.xml`` and ``model.bin`` with the outputs ``logits`` and ``evidence``.

    OpenVINO computes in bfloat16 by itself where the processor can, which moves logits by up to a percent; the file
    says ``INFERENCE_PRECISION_HINT`` f32, and who loads it should set it too.

    Parameters
    ----------
    output : folder; it must not exist, and appears whole or not at all.

    Returns
    -------
    Largest relative difference from ONNX Runtime on seeded noise.

    Raises
    ------
    MissingExtra
        If openvino isn't installed.
    InvalidBundle
        If OpenVINO can't take the graph, or gives other values.
    OutputExists
        If `output` exists.
    """
    try:
        import openvino
    except ModuleNotFoundError as error:
        raise MissingExtra("exporting to OpenVINO", extra="openvino") from error
    if output.exists():
        raise OutputExists(f"{output} exists; name a new folder")
    output.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".exporting-", dir=output.parent))
    try:
        try:
            core = openvino.Core()
            model = core.read_model(bundle.path / "graph.onnx")
            model.set_rt_info("f32", ["runtime_options", "INFERENCE_PRECISION_HINT"])
            openvino.save_model(model, folder / "model.xml", compress_to_fp16=False)
            settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
            compiled = core.compile_model(folder / "model.xml", "CPU", settings)
        except RuntimeError as error:
            raise InvalidBundle(f"{bundle.label}: OpenVINO can't take the graph: {str(error)[:300]}") from error
        difference = _difference(bundle, compiled)
        if difference > LARGEST_DIFFERENCE:
            raise InvalidBundle(f"{bundle.label}: OpenVINO and ONNX Runtime differ by {difference:.2g}")
        folder.chmod(0o755)
        folder.rename(output)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return difference


def _difference(bundle: Bundle, compiled: Any) -> float:
    spec = bundle.manifest.input
    sides = (spec.depth, spec.height, spec.width) if spec.depth else (spec.height, spec.width)
    noise = np.random.default_rng(0).standard_normal((2, spec.channels, *sides)).astype(np.float32)
    session = onnxruntime.InferenceSession(bundle.path / "graph.onnx", providers=["CPUExecutionProvider"])
    wanted = session.run(["logits", "evidence"], {session.get_inputs()[0].name: noise})
    given = compiled({0: noise})
    return max(
        float(np.abs(given[name] - value).max() / max(float(np.abs(value).max()), 1e-6))
        for name, value in zip(("logits", "evidence"), wanted, strict=True)
    )
