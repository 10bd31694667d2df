"""An engine without a network: its evidence is how bright a cell is, so that what it must find is known exactly."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from radiolucent.engines.bundle import Bundle, Calibration, CalibrationEntry, OperatingPoint, OperatingPoints
from radiolucent.engines.manifest import FindingEntry, HeadSpec, InputSpec, Manifest, ScopeSpec
from radiolucent.engines.runtime import EngineOutput
from radiolucent.errors import EngineError

GRID = 48
NAMES = ("glioma", "meningioma")


def a_manifest() -> Manifest:
    return Manifest(
        name="bright-spots",
        version="1.2.3",
        title="Bright spots",
        summary="Evidence is brightness.",
        findings=[FindingEntry(name=name, basis="real", display_scale=4.0) for name in NAMES],
        input=InputSpec(recipe="brain-mri", height=192, width=192, spacing_mm=1.25),
        head=HeadSpec(pooling="log-sum-exp", sharpness=2.0, grid=(GRID, GRID)),
        scope=ScopeSpec(
            modalities=["MR"], body_parts=["head"], weighting="T1", contrast=True, limits=["finds what is bright"]
        ),
        study_rule="largest-slice",
        licence="Apache-2.0",
    )


def a_bundle() -> Bundle:
    manifest = a_manifest()
    entry = CalibrationEntry(slope=1.0, intercept=0.0, n=10, source="made up for a test")
    return Bundle(
        path=Path("bright-spots"),
        manifest=manifest,
        sums={"graph.onnx": "0" * 64},
        calibration=Calibration(findings={"glioma": entry}),
        operating_points=OperatingPoints(
            engine=manifest.label,
            rule="half",
            findings={name: OperatingPoint(probability=0.5) for name in NAMES},
        ),
    )


class BrightSpots:
    """Evidence for the first finding: +6 where a cell is far brighter than tissue, −4 elsewhere; −4 for the second.

    `lie` is added to the logits, so that the maps no longer add up to them; `broken` makes every run fail.
    """

    def __init__(self, *, lie: float = 0.0, broken: bool = False) -> None:
        self.bundle = a_bundle()
        self.lie, self.broken = lie, broken

    def run(self, batch: NDArray[np.float32]) -> EngineOutput:
        if self.broken:
            raise EngineError("the network failed: out of memory")
        cells = batch[:, 0].reshape(len(batch), GRID, 4, GRID, 4).mean(axis=(2, 4))
        evidence = np.full((len(batch), 2, GRID, GRID), -4.0, dtype=np.float32)
        evidence[:, 0][cells > 1.2] = 6.0
        sharp = 2.0 * evidence.astype(np.float64).reshape(len(batch), 2, -1)
        logits = (np.log(np.exp(sharp).mean(axis=2)) / 2.0 + self.lie).astype(np.float32)
        return EngineOutput(logits=logits, evidence=evidence, milliseconds=1.0)


@pytest.fixture(scope="session")
def bright_spots() -> Callable[..., BrightSpots]:
    return BrightSpots
