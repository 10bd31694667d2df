"""What has changed between two maps of one finding: the prior's evidence at the same places, taken away."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.findings.reading import Finding, SeriesReading
from radiolucent.imaging.geometry import Float, ImagePlane, map_points
from radiolucent.imaging.registration import Alignment

Known = NDArray[np.bool]
Pair = tuple[Finding, SeriesReading]
"""A finding and the series that it was found in."""


def difference(current: Pair, prior: Pair, alignment: Alignment) -> NDArray[np.float32]:
    """Positive evidence now minus before, at the same places of the patient.

    Only what a map shows is compared: on both sides evidence below 0 counts as 0.

    Parameters
    ----------
    current, prior : of one engine version, both volumes whose slices have planes.
    alignment : brings the prior's patient coordinates onto the current ones.

    Returns
    -------
    float32 ``(frames, h, w)`` on the current map's grid, logit units; 0 where the prior doesn't reach.

    Raises
    ------
    ValueError
        If the two were read by different engines, or a slice has no plane: then nothing can be compared.

    Warning
    -------
    A cell is several mm wide and a registration has an error of its own: at edges of a focus the difference is not 0
    although nothing has changed.
    """
    (now, series), (before, old_series) = current, prior
    if series.engine != old_series.engine:
        raise ValueError(f"maps of {series.engine.label} and {old_series.engine.label} don't compare")
    planes, old_planes = _planes(series), _planes(old_series)
    height, width = now.heatmap.grid
    cells = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), axis=-1).astype(np.float64)
    pixels = map_points(now.heatmap.record.grid_to_source(now.heatmap.grid), cells)
    to_prior = np.linalg.inv(alignment.to_current)
    old_cells = np.linalg.inv(before.heatmap.record.grid_to_source(before.heatmap.grid)).astype(np.float64)
    old_values = np.maximum(before.heatmap.evidence, 0).astype(np.float64)
    result = np.zeros(now.heatmap.evidence.shape, dtype=np.float32)
    for index, plane in enumerate(planes):
        points = plane.to_patient(pixels) @ to_prior[:3, :3].T + to_prior[:3, 3]
        earlier, known = _sample(old_values, points, old_planes, old_cells)
        result[index] = np.where(known, np.maximum(now.heatmap.evidence[index], 0) - earlier, 0)
    return result


def _planes(series: SeriesReading) -> list[ImagePlane]:
    planes = [frame.plane for frame in series.frames if frame.plane is not None]
    if len(planes) != len(series.frames) or len(planes) < 2:
        raise ValueError("only volumes of placed slices compare")
    return planes


def _sample(values: Float, points_mm: Float, planes: list[ImagePlane], to_cells: Float) -> tuple[Float, Known]:
    """Trilinear values of a volume of maps at patient points ``(h, w, 3)``, and where the volume reaches to."""
    first = planes[0]
    positions = np.array([plane.position_mm for plane in planes])
    heights = (positions - positions[0]) @ first.normal
    order = np.argsort(heights)
    height = (points_mm - positions[0]) @ first.normal
    slack = float(np.abs(np.diff(heights[order])).max()) / 2
    number = np.interp(height, heights[order], order.astype(np.float64))
    origin = np.stack([np.interp(height, heights[order], positions[order, axis]) for axis in range(3)], axis=-1)
    offset = points_mm - origin
    row = offset @ np.array(first.column_cosines) / first.spacing_mm[0]
    column = offset @ np.array(first.row_cosines) / first.spacing_mm[1]
    cells = map_points(to_cells, np.stack([row, column], axis=-1))
    sampled = ndimage.map_coordinates(values, np.stack([number, cells[..., 0], cells[..., 1]]), order=1, mode="nearest")
    known = (height >= heights.min() - slack) & (height <= heights.max() + slack)
    for axis in range(2):
        known &= (cells[..., axis] >= -0.5) & (cells[..., axis] <= values.shape[axis + 1] - 0.5)
    return sampled, known
