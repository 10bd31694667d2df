"""Phantom studies read by the route with a made-up engine, and everything that goes out of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from radiolucent.engines.bundle import Bundle, Calibration, CalibrationEntry, OperatingPoint, OperatingPoints
from radiolucent.engines.manifest import FindingEntry, HeadSpec, InputSpec, Manifest, ScopeSpec
from radiolucent.engines.runtime import EngineOutput
from radiolucent.findings.reading import Reading
from radiolucent.phantom.studies import make_study
from radiolucent.pipeline.output import write_readings
from radiolucent.pipeline.read_path import StudyResult, read_path
from radiolucent.results.destinations import Package
from radiolucent.results.destinations.package import package_files
from radiolucent.results.fhir import bundle
from radiolucent.results.hl7 import oru
from radiolucent.results.order import OrderFacts, facts_of
from radiolucent.results.reading_json import readings_from_json, unpack_evidence

MADE_AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
GRID, CELL = 48, 4
PHANTOMS: dict[str, dict[str, Any]] = {
    "cr": {"kind": "chest-xr", "findings": ("pneumothorax",), "seed": 3, "options": {"rows": 512}},
    "ct": {"kind": "head-ct", "findings": ("subdural-haemorrhage",), "seed": 3, "options": {"slices": 12}},
    "mr": {"kind": "brain-mr", "findings": ("glioma",), "seed": 3, "options": {"slices": 12}},
}
_NAMES = {"cr": ("pneumothorax", "effusion"), "ct": ("subdural-haemorrhage", "acute-infarct")}
_NAMES["mr"] = ("glioma", "meningioma")
_SCOPES: dict[str, dict[str, Any]] = {
    "cr": {"modalities": ["CR", "DX"]},
    "ct": {"modalities": ["CT"]},
    "mr": {"modalities": ["MR"]},
}


class Detail:
    """Evidence for the first finding where the middle of an image has detail, −4 elsewhere and for the second."""

    def __init__(self, modality: str) -> None:
        names = _NAMES[modality]
        manifest = Manifest(
            name=f"detail-{modality}",
            version="1.0.0",
            title="Detail in the middle",
            summary="Evidence is detail.",
            findings=[FindingEntry(name=name, basis="real", display_scale=4.0) for name in names],
            input=InputSpec(recipe="grey", height=GRID * CELL, width=GRID * CELL),
            head=HeadSpec(pooling="log-sum-exp", sharpness=2.0, grid=(GRID, GRID)),
            scope=ScopeSpec(**_SCOPES[modality], limits=["finds what has detail"]),
            study_rule="largest-slice",
            licence="Apache-2.0",
        )
        entry = CalibrationEntry(slope=1.0, intercept=0.0, n=10, source="made up for a test")
        self.bundle = Bundle(
            path=Path(manifest.name),
            manifest=manifest,
            sums={"graph.onnx": "0" * 64},
            calibration=Calibration(findings={names[0]: entry}),
            operating_points=OperatingPoints(
                engine=manifest.label,
                rule="half",
                findings={name: OperatingPoint(probability=0.5) for name in names},
            ),
        )

    def run(self, batch: NDArray[np.float32]) -> EngineOutput:
        """Each frame by itself; what is blurred has no detail, so that its evidence goes."""
        image = batch[:, 0].astype(np.float64)
        detail = np.abs(image - gaussian_filter(image, (0, 3, 3)))
        cells = gaussian_filter(detail.reshape(len(batch), GRID, CELL, GRID, CELL).mean(axis=(2, 4)), (0, 2, 2))
        usual = cells.mean(axis=(1, 2), keepdims=True) + 1e-9
        evidence = np.full((len(batch), 2, GRID, GRID), -4.0, dtype=np.float32)
        evidence[:, 0] = -4.0 + 12.0 * _MIDDLE * np.clip(cells / usual, 0, 1)
        sharp = 2.0 * evidence.astype(np.float64).reshape(len(batch), 2, -1)
        logits = (np.log(np.exp(sharp).mean(axis=2)) / 2.0).astype(np.float32)
        return EngineOutput(logits=logits, evidence=evidence, milliseconds=1.0)


_ACROSS = np.exp(-(((np.arange(GRID) - GRID / 2) / 5.0) ** 2) / 2)
_MIDDLE = np.outer(_ACROSS, _ACROSS)


@dataclass(frozen=True, kw_only=True)
class Gone:
    """A study that was read and written, ready to go out."""

    sources: tuple[Path, ...]
    document: dict[str, Any]
    result: StudyResult
    reading: Reading  # as reading.json holds it
    facts: OrderFacts
    package: Package


def read_phantom(modality: str, folder: Path) -> Gone:
    """Make, read, write; the messages are made from what reading.json and evidence.npz hold."""
    wanted = PHANTOMS[modality]
    make_study(wanted["kind"], wanted["findings"], seed=wanted["seed"], **wanted["options"]).save(folder / "study")
    read = read_path(folder / "study", [Detail(modality)])
    document = write_readings(read, folder / "out", made_at=MADE_AT)
    stored = json.loads((folder / "out" / "reading.json").read_text(encoding="utf-8"))
    maps = unpack_evidence((folder / "out" / "evidence.npz").read_bytes())
    (reading,) = readings_from_json(stored, maps)
    facts = facts_of(read.results[0].study.stacks[0])
    package = package_files(
        sorted((folder / "out" / "dicom").rglob("*.dcm")),
        study_instance_uid=reading.study_instance_uid,
        oru=oru(reading, facts, made_at=MADE_AT),
        fhir=bundle(reading, facts, made_at=MADE_AT),
    )
    return Gone(
        sources=tuple(sorted((folder / "study").rglob("*.dcm"))),
        document=document,
        result=read.results[0],
        reading=reading,
        facts=facts,
        package=package,
    )
