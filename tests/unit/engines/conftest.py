"""Tiny engine bundles, written on the fly: one convolution is the evidence, its mean the logit."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from radiolucent.engines.bundle import sign

MANIFEST = """
schema_version = 1
name = "tiny"
version = "{version}"
title = "A tiny engine"
summary = "One convolution."
study_rule = "image"
licence = "Apache-2.0"

[[findings]]
name = "glioma"
basis = "phantom"
display_scale = 2.0
bias = 0.5

[[findings]]
name = "{second}"
basis = "phantom"
display_scale = 2.0
bias = {second_bias}

[input]
recipe = "brain-mri"
height = 16
width = 16

[head]
pooling = "mean"
grid = [{grid}, {grid}]

[scope]
modalities = ["MR"]
limits = ["it is tiny"]
"""


@dataclass(frozen=True, kw_only=True)
class Tiny:
    """Makes tiny bundles under a folder, and knows what their graph computes."""

    folder: Path
    findings: tuple[str, ...] = ("glioma", "meningioma")
    biases: tuple[float, float] = (0.5, -0.25)
    kernel: NDArray[np.float32] = field(
        default_factory=lambda: np.random.default_rng(3).standard_normal((2, 1, 4, 4)).astype(np.float32)
    )

    def graph(
        self,
        *,
        names: tuple[str, str] = ("logits", "evidence"),
        batch: int | str = "n",
        more: str = "",
        sites: float = 0.0,
    ) -> bytes:
        """An ONNX graph: a convolution of stride 4 is the evidence, its mean plus a bias the logits.

        `more` names further inputs, which nothing uses. Of two `sites`, the softmax of the means adds up to that value.
        """
        onnx = pytest.importorskip("onnx")
        helper, kind = onnx.helper, onnx.TensorProto.FLOAT
        constants = {"kernel": self.kernel, "bias": np.array(self.biases, dtype=np.float32)}
        nodes = [
            helper.make_node("Conv", ["image", "kernel"], [names[1]], strides=[4, 4]),
            helper.make_node("ReduceMean", [names[1]], ["pooled"], axes=[2, 3], keepdims=0),
            helper.make_node("Add", ["pooled", "bias"], [names[0]]),
        ]
        told = []
        if sites:
            constants["total"] = np.array(sites, dtype=np.float32)
            nodes += [
                helper.make_node("Softmax", ["pooled"], ["shares"], axis=1),
                helper.make_node("Mul", ["shares", "total"], ["sites"]),
            ]
            told = [helper.make_tensor_value_info("sites", kind, [batch, 2])]
        graph = helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info(name, kind, [batch, 1, 16, 16]) for name in ("image", *more.split())],
            [
                helper.make_tensor_value_info(names[0], kind, [batch, 2]),
                helper.make_tensor_value_info(names[1], kind, [batch, 2, 4, 4]),
                *told,
            ],
            [onnx.numpy_helper.from_array(value, name) for name, value in constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        return bytes(model.SerializeToString())

    def calibration(self, **changes: Any) -> dict[str, Any]:
        """``calibration.json`` for the glioma alone."""
        entry = {"slope": 2.0, "intercept": -1.0, "n": 40, "source": "made up for a test"}
        return {"schema_version": 1, "findings": {"glioma": entry | changes}}

    def operating_points(
        self, engine: str = "tiny@1.0.0", findings: tuple[str, ...] = ("glioma", "meningioma"), **changes: Any
    ) -> dict[str, Any]:
        """``operating_points.json``."""
        point = {"probability": 0.4, "sensitivity": 0.9, "specificity": 0.8, "n": 40} | changes
        table = dict.fromkeys(findings, point)
        return {"schema_version": 1, "engine": engine, "rule": "fixed for a test", "findings": table}

    def make(
        self,
        name: str = "tiny",
        *,
        version: str = "1.0.0",
        second: str = "meningioma",
        second_bias: float = -0.25,
        grid: int = 4,
        more: str = "",
        files: dict[str, Any] | None = None,
    ) -> Path:
        """Write a signed bundle to ``folder / name``; `files` replaces contents by name, None leaves one out."""
        target = self.folder / name
        target.mkdir(parents=True)
        text = MANIFEST.format(version=version, second=second, second_bias=second_bias, grid=grid) + more
        contents: dict[str, Any] = {
            "manifest.toml": text.encode(),
            "card.md": b"# tiny\n",
            "calibration.json": self.calibration(),
            "operating_points.json": self.operating_points(f"tiny@{version}", ("glioma", second)),
        } | (files or {})
        if "graph.onnx" not in contents:
            contents["graph.onnx"] = self.graph()
        for file, content in contents.items():
            if content is not None:
                written = content if isinstance(content, bytes) else json.dumps(content).encode()
                (target / file).write_bytes(written)
        sign(target)
        return target


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    """Makes tiny bundles under the test's own folder."""
    return Tiny(folder=tmp_path)


@pytest.fixture(scope="session")
def tiny_in() -> Callable[[Path], Tiny]:
    """Makes tiny bundles under any folder: for what a whole file of tests shares."""
    return lambda folder: Tiny(folder=folder)
