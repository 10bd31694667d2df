"""Where a frame lies and how large its pixels are, as far as the header says; what it doesn't say stays unknown.

Source: PS3.3 C.7.6.2 (Image Plane), C.7.6.16.2 (functional groups), 10.7.1.3 (Pixel Spacing and its calibration).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from pydicom.dataset import Dataset

from radiolucent.imaging.geometry import ImagePlane
from radiolucent.imaging.header import frame_holder, number, numbers, text

PROJECTIONS: Final = frozenset({"CR", "DX", "DR", "RF", "XA", "MG", "RG", "IO", "PX"})
"""Modalities whose pixels are shadows: their spacing holds at the detector unless the header corrects it."""
SMALLEST_MM, LARGEST_MM = 0.001, 50.0


@dataclass(frozen=True, kw_only=True)
class PixelSize:
    """(between rows, between columns) in mm or None, and what must be said about it."""

    spacing_mm: tuple[float, float] | None
    note: str = ""


def pixel_size(header: Dataset, frame: int = 1) -> PixelSize:
    """Pixel size of one frame, numbered from 1; zero, negative or absurd spacing is unknown, never 1 mm.

    Projection images (10.7.1.3): Pixel Spacing where it is calibrated or differs from Imager Pixel Spacing; else
    Imager Pixel Spacing over Estimated Radiographic Magnification Factor; else Imager Pixel Spacing, with a note that
    lengths in the patient are smaller.
    """
    given = _spacing(frame_holder(header, frame, "PixelSpacing"), "PixelSpacing")
    if text(header, "Modality") not in PROJECTIONS:
        found = given or _spacing(header, "NominalScannedPixelSpacing")
        return PixelSize(spacing_mm=found, note="" if found else "pixel spacing is unknown: no lengths in mm")
    imager = _spacing(header, "ImagerPixelSpacing")
    magnification = number(header, "EstimatedRadiographicMagnificationFactor")
    if given and (text(header, "PixelSpacingCalibrationType") or imager is None or given != imager):
        return PixelSize(spacing_mm=given)
    if imager and magnification and 1.0 <= magnification <= 10.0:
        return PixelSize(spacing_mm=(imager[0] / magnification, imager[1] / magnification))
    if imager:
        return PixelSize(
            spacing_mm=imager, note="pixel spacing holds at the detector: lengths in the patient are smaller"
        )
    return PixelSize(spacing_mm=None, note="pixel spacing is unknown: no lengths in mm")


def _spacing(dataset: Dataset, keyword: str) -> tuple[float, float] | None:
    found = numbers(dataset, keyword, 2)
    if found is None or not all(SMALLEST_MM <= part <= LARGEST_MM for part in found):
        return None
    return found[0], found[1]


def image_plane(header: Dataset, frame: int = 1) -> ImagePlane | None:
    """The plane of one frame, numbered from 1; None where position, orientation or spacing is missing or no geometry.

    Direction cosines that are a little off (rounded in the header) are made exact.
    """
    position = numbers(frame_holder(header, frame, "ImagePositionPatient"), "ImagePositionPatient", 3)
    orientation = numbers(frame_holder(header, frame, "ImageOrientationPatient"), "ImageOrientationPatient", 6)
    spacing = pixel_size(header, frame).spacing_mm
    if position is None or orientation is None or spacing is None or max(map(abs, position)) > 1e5:
        return None
    along_row, along_column = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.linalg.norm(along_row), np.linalg.norm(along_column)
    if not all(0.9 < length < 1.1 for length in lengths):
        return None
    along_row, along_column = along_row / lengths[0], along_column / lengths[1]
    if abs(float(along_row @ along_column)) > 0.01:
        return None
    along_column = along_column - (along_column @ along_row) * along_row
    along_column = along_column / np.linalg.norm(along_column)
    return ImagePlane(
        position_mm=(position[0], position[1], position[2]),
        row_cosines=_triple(along_row),
        column_cosines=_triple(along_column),
        spacing_mm=spacing,
    )


def _triple(vector: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> tuple[float, float, float]:
    return float(vector[0]), float(vector[1]), float(vector[2])
