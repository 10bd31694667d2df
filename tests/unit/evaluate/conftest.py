"""An engine that needs no training: its evidence for ``glioma`` is how bright a cell is; ``meningioma`` never shows."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from radiolucent.engines.bundle import Bundle, Calibration, CalibrationEntry, OperatingPoint, OperatingPoints
from radiolucent.engines.manifest import FindingEntry, HeadSpec, InputSpec, Manifest, ScopeSpec
from radiolucent.engines.runtime import EngineOutput

NAMES = ("glioma", "meningioma", "pituitary-tumour")


class BrightSpots:
    def __init__(self) -> None:
        manifest = Manifest(
            name="bright-spots",
            version="1.2.3",
            title="Bright spots",
            summary="Evidence is brightness.",
            findings=[FindingEntry(name=name, basis="real", display_scale=4.0) for name in NAMES],
            input=InputSpec(recipe="brain-mri", height=192, width=192, spacing_mm=1.25),
            head=HeadSpec(pooling="log-sum-exp", sharpness=2.0, grid=(48, 48)),
            scope=ScopeSpec(modalities=["MR"], limits=["finds what is bright"]),
            study_rule="largest-slice",
            licence="Apache-2.0",
        )
        entry = CalibrationEntry(slope=1.0, intercept=0.0, n=10, source="made up for a test")
        prior = np.zeros((4, 4), dtype=np.float32)
        prior[1, 2] = 1
        self.bundle = Bundle(
            path=Path("bright-spots"),
            manifest=manifest,
            sums={"graph.onnx": "0" * 64},
            calibration=Calibration(findings={"glioma": entry}),
            operating_points=OperatingPoints(
                engine=manifest.label, rule="half", findings={name: OperatingPoint(probability=0.5) for name in NAMES}
            ),
            priors={"glioma": prior},
        )

    def run(self, batch: NDArray[np.float32]) -> EngineOutput:
        cells = batch[:, 0].reshape(-1, 48, 4, 48, 4).mean(axis=(2, 4))
        evidence = np.full((len(batch), len(NAMES), 48, 48), -4, dtype=np.float32)
        evidence[:, 0] = np.where(cells > 1.0, 6, -4)
        logits = np.log(np.exp(2 * evidence.astype(np.float64)).mean(axis=(2, 3))) / 2
        return EngineOutput(logits=logits.astype(np.float32), evidence=evidence, milliseconds=1.0)


@pytest.fixture
def engine() -> BrightSpots:
    return BrightSpots()
