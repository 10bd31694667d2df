"""Places in words: thirds in patient coordinates for any slice direction, zones of a radiograph, size in mm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from radiolucent.findings.location import full_place, short_place, zones
from radiolucent.findings.phrases import phrases
from radiolucent.findings.reading import Finding, Localisation, Reading, Region
from radiolucent.imaging.geometry import ImagePlane

MakeFinding = Callable[..., Finding]
MakeReading = Callable[..., Reading]
WORDS = phrases("en")


@pytest.fixture(scope="session")
def placed(
    a_finding: MakeFinding, a_region: Callable[..., Region], a_localisation: Callable[..., Localisation]
) -> MakeFinding:
    def make(name: str = "glioma", **region: Any) -> Finding:
        return a_finding(name, localisation=a_localisation(a_region(**region)))

    return make


@pytest.mark.parametrize(
    ("centroid", "keys"),
    [
        ((0.0, -60.0, 40.0), ("anterior", "upper")),
        ((0.0, 0.0, 17.0), ("middle-depth", "middle")),
        ((0.0, 70.0, -9.0), ("posterior", "lower")),
        ((0.0, 500.0, -500.0), ("posterior", "lower")),
    ],
)
def test_thirds_follow_patient_coordinates(
    placed: MakeFinding, a_reading: MakeReading, centroid: tuple[float, float, float], keys: tuple[str, str]
) -> None:
    finding = placed(centroid_mm=centroid)
    assert zones(finding, a_reading(finding).series[0]) == keys


def test_thirds_hold_for_sagittal_slices_as_well(placed: MakeFinding, a_reading: MakeReading) -> None:
    finding = placed(centroid_mm=(0.0, -70.0, 70.0))
    series = a_reading(finding).series[0]
    frames = tuple(
        replace(
            frame,
            plane=ImagePlane(
                position_mm=(-30.0 + 6 * index, -80.0, 80.0),
                row_cosines=(0.0, 1.0, 0.0),
                column_cosines=(0.0, 0.0, -1.0),
                spacing_mm=(2.5, 2.5),
            ),
        )
        for index, frame in enumerate(series.frames)
    )
    assert zones(finding, replace(series, frames=frames)) == ("anterior", "upper")


@pytest.mark.parametrize(
    ("name", "row", "text"),
    [
        ("nodule", 5.0, "left, upper zone"),
        ("nodule", 63.0, "left, lower zone"),
        ("fracture", 32.0, "left, middle third of the image"),
    ],
)
def test_a_radiograph_has_zones_or_thirds(
    placed: MakeFinding, a_reading: MakeReading, name: str, row: float, text: str
) -> None:
    finding = placed(name, centroid=(row, 10.0), centroid_mm=None, volume_ml=None)
    frame = replace(a_reading().series[0].frames[0], plane=None)
    series = a_reading(finding, series_changes={"frames": (frame,), "kind": "image", "modality": "DX"}).series[0]
    assert short_place(finding, series, WORDS) == text
    assert full_place(finding, series, WORDS) == f"most of the evidence: {text}; evidence over 30 × 20 mm"


def test_an_unknown_spacing_is_said(placed: MakeFinding, a_reading: MakeReading) -> None:
    finding = placed(extent_mm=None)
    assert "size unknown (no pixel spacing)" in full_place(finding, a_reading(finding).series[0], WORDS)


def test_several_regions_are_counted(
    a_finding: MakeFinding,
    a_reading: MakeReading,
    a_region: Callable[..., Region],
    a_localisation: Callable[..., Localisation],
) -> None:
    finding = a_finding(localisation=a_localisation(a_region(), a_region()))
    assert full_place(finding, a_reading(finding).series[0], WORDS).endswith("; 2 areas")


def test_without_a_region_there_are_no_zones(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    finding = a_finding(localisation=Localisation(status="empty"))
    assert zones(finding, a_reading(finding).series[0]) == ()
