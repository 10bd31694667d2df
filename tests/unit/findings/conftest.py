"""Makers of findings and readings for the tests of this folder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from radiolucent.findings.reading import (
    Completeness,
    EngineRef,
    Finding,
    Localisation,
    Reading,
    Region,
    SeriesReading,
)
from radiolucent.imaging.geometry import ImagePlane, PixelRecord
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Frame

ROWS = COLUMNS = 64
SLICES = 10
RECORD = PixelRecord(source_shape=(ROWS, COLUMNS))

MakeFinding = Callable[..., Finding]
MakeReading = Callable[..., Reading]
MakeRegion = Callable[..., Region]
MakeLocalisation = Callable[..., Localisation]


def make_heatmap(evidence: NDArray[np.float32] | None = None) -> Heatmap:
    if evidence is None:
        evidence = np.zeros((SLICES, 8, 8), dtype=np.float32)
        evidence[4, 2:4, 5:7] = 4.0
    return Heatmap(evidence=evidence, record=RECORD, display_scale=4.0)


def make_region(**changes: Any) -> Region:
    values: dict[str, Any] = {
        "frame": 4,
        "peak": (20.0, 46.0),
        "centroid": (20.0, 46.0),
        "contour": ((16.0, 40.0), (16.0, 52.0), (24.0, 52.0), (24.0, 40.0)),
        "level": 2.0,
        "first_frame": 3,
        "last_frame": 5,
        "area_pixels": 96.0,
        "area_mm2": 600.0,
        "volume_ml": 9.0,
        "extent_mm": (20.0, 30.0),
        "peak_mm": (35.0, -30.0, 20.0),
        "centroid_mm": (35.0, -30.0, 20.0),
        "share": 1.0,
    }
    return Region(**(values | changes))


def make_localisation(*regions: Region, **changes: Any) -> Localisation:
    values: dict[str, Any] = {
        "status": "located",
        "regions": regions or (make_region(),),
        "laterality": "left",
        "focality": "focal",
        "peak_frame": 4,
        "frames_involved": (3, 4, 5),
        "contour_level": 1.2,
    }
    return Localisation(**(values | changes))


def make_finding(name: str = "glioma", **changes: Any) -> Finding:
    values: dict[str, Any] = {
        "name": name,
        "basis": "real",
        "logit": 2.0,
        "score": 0.88,
        "probability": 0.9,
        "operating_point": 0.5,
        "positive": True,
        "frame_logits": (0.0,) * SLICES,
        "heatmap": make_heatmap(),
    }
    values |= changes
    if values["positive"] and "localisation" not in changes:
        values["localisation"] = make_localisation()
    return Finding(**values)


def make_frames() -> tuple[Frame, ...]:
    plane = {"row_cosines": (1.0, 0.0, 0.0), "column_cosines": (0.0, 1.0, 0.0), "spacing_mm": (2.5, 2.5)}
    return tuple(
        Frame(
            sop_class_uid="1.2.840.10008.5.1.4.1.1.4",
            sop_instance_uid=f"2.25.{index}",
            plane=ImagePlane(position_mm=(-80.0, -80.0, -10.0 + 6.0 * index), **plane),  # type: ignore[arg-type]
            spacing_mm=(2.5, 2.5),
        )
        for index in range(SLICES)
    )


def make_series(*findings: Finding, **changes: Any) -> SeriesReading:
    values: dict[str, Any] = {
        "series_instance_uid": "2.25.100",
        "modality": "MR",
        "kind": "volume",
        "description": "T1 post",
        "frames": make_frames(),
        "shape": (ROWS, COLUMNS),
        "slice_spacing_mm": 6.0,
        "engine": EngineRef(name="brain-mri", version="1.0.0", digest="ab" * 32),
        "record": RECORD,
        "findings": findings,
        "completeness": Completeness(pooling="mean", largest_difference=1e-6, tolerance=1e-4),
        "milliseconds": {},
    }
    return SeriesReading(**(values | changes))


def make_reading(*findings: Finding, **changes: Any) -> Reading:
    series_changes = changes.pop("series_changes", {})
    values: dict[str, Any] = {"study_instance_uid": "2.25.1", "series": (make_series(*findings, **series_changes),)}
    return Reading(**(values | changes))


@pytest.fixture(scope="session")
def a_finding() -> MakeFinding:
    return make_finding


@pytest.fixture(scope="session")
def a_reading() -> MakeReading:
    return make_reading


@pytest.fixture(scope="session")
def a_region() -> MakeRegion:
    return make_region


@pytest.fixture(scope="session")
def a_localisation() -> MakeLocalisation:
    return make_localisation


@pytest.fixture(scope="session")
def a_heatmap() -> Callable[..., Heatmap]:
    return make_heatmap
