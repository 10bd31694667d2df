"""Pixel spacing is what the header says, corrected as PS3.3 10.7.1.3 says, or unknown; never 1 mm by default."""

import pytest
from pydicom.dataset import Dataset

from radiolucent.imaging.spacing import image_plane, pixel_size


def header(**values: object) -> Dataset:
    dataset = Dataset()
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize("modality", ["CT", "MR", "CR", "DX"])
@pytest.mark.parametrize("spacing", [None, [0, 0], [0.0, 0.5], [-1, 1], [99, 99], [1e-6, 1e-6], [0.5]])
def test_missing_zero_or_absurd_spacing_is_unknown_and_noted(modality: str, spacing: list[float] | None) -> None:
    found = pixel_size(header(Modality=modality, **({} if spacing is None else {"PixelSpacing": spacing})))
    assert found.spacing_mm is None
    assert "unknown" in found.note


def test_a_slice_has_the_spacing_of_its_header() -> None:
    found = pixel_size(header(Modality="CT", PixelSpacing=[0.5, 0.6]))
    assert (found.spacing_mm, found.note) == ((0.5, 0.6), "")


@pytest.mark.parametrize(
    ("values", "expected", "detector"),
    [
        # calibrated by a fiducial: Pixel Spacing holds in the patient
        ({"PixelSpacing": [0.12, 0.12], "PixelSpacingCalibrationType": "FIDUCIAL"}, 0.12, False),
        # corrected by the device: Pixel Spacing differs from Imager Pixel Spacing
        ({"PixelSpacing": [0.12, 0.12], "ImagerPixelSpacing": [0.15, 0.15]}, 0.12, False),
        # both the same: nothing was corrected
        ({"PixelSpacing": [0.15, 0.15], "ImagerPixelSpacing": [0.15, 0.15]}, 0.15, True),
        ({"ImagerPixelSpacing": [0.15, 0.15]}, 0.15, True),
        ({"ImagerPixelSpacing": [0.15, 0.15], "EstimatedRadiographicMagnificationFactor": 1.25}, 0.12, False),
        ({"ImagerPixelSpacing": [0.15, 0.15], "EstimatedRadiographicMagnificationFactor": 0}, 0.15, True),
        ({"PixelSpacing": [0.12, 0.12]}, 0.12, False),
    ],
)
def test_a_radiographs_spacing_is_corrected_for_magnification_where_the_header_allows(
    values: dict[str, object], expected: float, detector: bool
) -> None:
    found = pixel_size(header(Modality="DX", **values))
    assert found.spacing_mm == pytest.approx((expected, expected))
    assert ("detector" in found.note) is detector


GOOD = {
    "Modality": "MR",
    "PixelSpacing": [0.5, 0.6],
    "ImagePositionPatient": [1, 2, 3],
    "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
}


def test_a_plane_is_read_from_the_header() -> None:
    plane = image_plane(header(**GOOD))
    assert plane is not None
    assert (plane.position_mm, plane.spacing_mm, plane.orientation) == ((1, 2, 3), (0.5, 0.6), "axial")


def test_rounded_cosines_are_made_exact() -> None:
    plane = image_plane(header(**{**GOOD, "ImageOrientationPatient": [0.99, 0.005, 0, 0, 1.01, 0.02]}))
    assert plane is not None
    assert sum(a * b for a, b in zip(plane.row_cosines, plane.column_cosines, strict=True)) == pytest.approx(
        0, abs=1e-12
    )


@pytest.mark.parametrize(
    "values",
    [
        {"ImagePositionPatient": None},
        {"ImageOrientationPatient": None},
        {"PixelSpacing": [0, 0]},
        {"ImageOrientationPatient": [0, 0, 0, 0, 0, 0]},
        {"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]},
        {"ImageOrientationPatient": [1, 0, 0]},
        {"ImagePositionPatient": [1e9, 0, 0]},
    ],
)
def test_a_plane_that_the_header_does_not_give_is_none(values: dict[str, object]) -> None:
    assert image_plane(header(**{key: value for key, value in {**GOOD, **values}.items() if value is not None})) is None
