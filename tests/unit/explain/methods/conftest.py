"""A network that is one line of algebra, so that what every method must find is known exactly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from radiolucent.engines.bundle import Bundle
from radiolucent.engines.manifest import FindingEntry, HeadSpec, InputSpec, Manifest, ScopeSpec
from radiolucent.engines.runtime import EngineOutput

SIDE, GRID = 48, 12


class Additive:
    """Logits are the mean of 4 × 4 cells times a fixed weight each: 10 in one cell for glioma, −6 in another."""

    def __init__(self, pooling: str = "mean") -> None:
        sharpness = 2.0 if pooling == "log-sum-exp" else None
        manifest = Manifest(
            name="additive",
            version="1.0.0",
            title="Additive",
            summary="One line of algebra.",
            findings=[FindingEntry(name=name, basis="real", display_scale=4.0) for name in ("glioma", "meningioma")],
            input=InputSpec(recipe="brain-mri", height=SIDE, width=SIDE, spacing_mm=1.25),
            head=HeadSpec(pooling=pooling, sharpness=sharpness, grid=(GRID, GRID)),  # type: ignore[arg-type]
            scope=ScopeSpec(modalities=["MR"], limits=["knows nothing"]),
            study_rule="image",
            licence="Apache-2.0",
        )
        self.bundle = Bundle(path=Path("additive"), manifest=manifest, sums={"graph.onnx": "0" * 64})
        self.weights = np.zeros((2, GRID, GRID), dtype=np.float32)
        self.weights[0, 3, 8], self.weights[0, 9, 2], self.weights[1, 6, 6] = 10.0, -6.0, 8.0
        self.images = 0

    def run(self, batch: NDArray[np.float32]) -> EngineOutput:
        self.images += len(batch)
        cells = batch[:, 0].reshape(len(batch), GRID, 4, GRID, 4).mean(axis=(2, 4))
        evidence = (self.weights[None] * cells[:, None] * GRID * GRID).astype(np.float32)
        logits = evidence.mean(axis=(2, 3), dtype=np.float64).astype(np.float32)
        return EngineOutput(logits=logits, evidence=evidence, milliseconds=1.0)


@pytest.fixture
def additive() -> Callable[..., Additive]:
    return Additive


@pytest.fixture
def spot() -> NDArray[np.float32]:
    """float32 (1, 48, 48): 1 in three cells that the network looks at, 0 elsewhere."""
    image = np.zeros((1, SIDE, SIDE), dtype=np.float32)
    for row, column in ((3, 8), (9, 2), (6, 6)):
        image[0, row * 4 : row * 4 + 4, column * 4 : column * 4 + 4] = 1.0
    return image
