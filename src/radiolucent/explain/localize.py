"""Where the evidence of a finding lies: regions, their size, place and side, or EMPTY.

Levels are absolute, in shares of the finding's fixed display scale, so that a faint map never gives a region: a region
is what is connected where evidence reaches the floor (30 % of the scale), the same edge at which colour starts. What is
outlined and measured is what is coloured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage import measure

from radiolucent.explain.laterality import ImageLeft, combine, side, towards_left
from radiolucent.findings.reading import Laterality, Localisation, Region
from radiolucent.imaging.geometry import Float, Shape, map_points, resample, resize_matrix
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Frame

Resolution = Literal["grid", "full"]

SMALLEST_SHARE = 0.05
"""A region with less of the evidence than this is left out: the largest one never is."""
FOCUS_SHARE = 0.15
"""Two regions with at least this much each make a finding multifocal."""
DIFFUSE_AREA = 0.15
"""A region that covers more of the network's field of view than this is diffuse."""
_CONTOUR_STEPS = 8
"""A grid's outline is drawn at this many points per cell, so that it is round."""


@dataclass(frozen=True, kw_only=True)
class _Field:
    """The evidence as it is evaluated: on the grid or at image resolution, with the way to frame pixels."""

    values: NDArray[np.float32]
    to_pixels: Float
    on_grid: bool

    @property
    def cell_pixels(self) -> float:
        """Area of one cell in frame pixels."""
        return float(abs(np.linalg.det(self.to_pixels[:2, :2])))


@dataclass(frozen=True, kw_only=True)
class _Part:
    """One connected part above the floor: (n, 3) indices of frame, row, column, and their evidence."""

    level: float
    cells: NDArray[np.intp]
    values: NDArray[np.float64]


def localise(
    heatmap: Heatmap,
    frames: Sequence[Frame],
    *,
    slice_spacing_mm: float | None,
    resolution: Resolution = "grid",
    midline_mm: float | None = None,
    image_left: ImageLeft | None = None,
) -> Localisation:
    """Find the connected regions of evidence of one finding.

    Parameters
    ----------
    heatmap : evidence on all frames of the stack.
    frames : the same frames, in order.
    slice_spacing_mm : distance between neighbouring slices; a number makes the stack a volume, in which a region may
        span slices. None: each frame for itself.
    resolution : ``full`` evaluates the map at the image's own resolution, ``grid`` on the network's cells, which is
        cheaper and coarser. Both give frame pixels.
    midline_mm : patient x of the body's middle, for images with a plane; None gives laterality ``unknown`` there.
    image_left : which side of the patient is at the left of the picture, for images without a plane.

    Returns
    -------
    Localisation
        ``empty`` where no cell within the image reaches the floor; ``failed`` where the map isn't finite.
        `Region.centroid` is that of the section on the peak frame, `Region.centroid_mm` that of the whole region.

    Raises
    ------
    ValueError
        If the heatmap and `frames` differ in number.
    """
    if len(frames) != len(heatmap.evidence):
        raise ValueError(f"{len(heatmap.evidence)} maps and {len(frames)} frames don't belong together")
    if not np.isfinite(heatmap.evidence).all():
        return Localisation(status="failed", reason="the map holds values that are no finite numbers")
    field = _field(heatmap, resolution)
    parts = _parts(field.values, heatmap, volume=slice_spacing_mm is not None)
    if not parts and resolution == "full":
        # a focus of one cell just at the floor can fall between two pixels: the grid has the last word
        field = _field(heatmap, "grid")
        parts = _parts(field.values, heatmap, volume=slice_spacing_mm is not None)
    if not parts:
        return Localisation(status="empty", contour_level=heatmap.floor * heatmap.display_scale)
    total = sum(float(part.values.sum()) for part in parts)
    parts = [part for part in parts if part is parts[0] or part.values.sum() >= SMALLEST_SHARE * total]
    regions = tuple(_region(part, field, heatmap, frames, slice_spacing_mm, total) for part in parts)
    strongest = max(parts, key=lambda part: part.values.max())
    diffuse = _covers(parts[0], field, heatmap) > DIFFUSE_AREA
    shape = heatmap.record.source_shape
    sides = [
        _side(part, field, frames[region.frame], shape, diffuse=diffuse, midline_mm=midline_mm, image_left=image_left)
        for part, region in zip(parts, regions, strict=True)
        if region.share >= FOCUS_SHARE or part is parts[0]
    ]
    several = sum(region.share >= FOCUS_SHARE for region in regions) > 1
    return Localisation(
        status="located",
        regions=regions,
        laterality=combine(sides),
        focality="diffuse" if diffuse else "multifocal" if several else "focal",
        peak_frame=int(strongest.cells[int(np.argmax(strongest.values)), 0]),
        frames_involved=tuple(sorted({int(frame) for part in parts for frame in np.unique(part.cells[:, 0])})),
        contour_level=parts[0].level,
    )


def _field(heatmap: Heatmap, resolution: Resolution) -> _Field:
    """Positive evidence within the image."""
    cells = _cells(heatmap)
    floor = heatmap.floor * heatmap.display_scale
    if resolution == "grid" or cells.max() < floor:
        return _Field(values=cells, to_pixels=heatmap.record.grid_to_source(heatmap.grid), on_grid=True)
    # only the pixels around the cells that matter are drawn: a radiograph has millions of others
    top, left, bottom, right = _window(heatmap, cells.max(axis=0) >= np.float32(floor))
    shift = np.array([[1.0, 0.0, top], [0.0, 1.0, left], [0.0, 0.0, 1.0]])
    to_grid = np.linalg.inv(heatmap.record.grid_to_source(heatmap.grid)) @ shift
    values = np.zeros((len(cells), bottom - top, right - left), dtype=np.float32)
    for index in np.flatnonzero(heatmap.frame_peaks >= floor):
        drawn = resample(heatmap.evidence[index], to_grid, values.shape[1:], mode="nearest")
        values[index] = np.maximum(drawn, 0)
    return _Field(values=values, to_pixels=shift, on_grid=False)


def _cells(heatmap: Heatmap) -> NDArray[np.float32]:
    """Positive evidence per cell, 0 where no part of a cell lies on the image (padding)."""
    to_pixels = heatmap.record.grid_to_source(heatmap.grid)
    places = map_points(to_pixels, np.moveaxis(np.indices(heatmap.grid, dtype=np.float64), 0, -1))
    reach = (np.abs(to_pixels[:2, :2]).sum(axis=1) + 1) / 2
    last = np.array(heatmap.record.source_shape) - 1
    inside = ((places > -reach) & (places < last + reach)).all(axis=-1)
    return np.where(inside, np.maximum(heatmap.evidence, 0), np.float32(0)).astype(np.float32)


def _window(heatmap: Heatmap, chosen: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """(top, left, bottom, right), half open: pixels within a cell of the chosen ones that the network saw."""
    cells = np.argwhere(chosen)
    around = np.stack([cells.min(axis=0) - 1.0, cells.max(axis=0) + 1.0])
    seen = np.array([[-0.5, -0.5], np.array(heatmap.record.target_shape) - 0.5])
    boxes = [map_points(heatmap.record.grid_to_source(heatmap.grid), around), heatmap.record.to_source(seen)]
    low = np.ceil(np.max([box.min(axis=0) for box in boxes], axis=0) - 1e-9)
    high = np.floor(np.min([box.max(axis=0) for box in boxes], axis=0) + 1e-9)
    top, left = (int(value) for value in np.maximum(low, 0))
    bottom, right = (int(value) for value in np.minimum(high, np.array(heatmap.record.source_shape) - 1))
    return top, left, max(bottom, top) + 1, max(right, left) + 1


def _parts(values: NDArray[np.float32], heatmap: Heatmap, *, volume: bool) -> list[_Part]:
    """Connected parts, most evidence first. In a slice diagonals connect; between slices the same cell does."""
    near = np.zeros((3, 3, 3), dtype=bool)
    near[1] = True
    near[[0, 2], 1, 1] = volume
    floor = heatmap.floor * heatmap.display_scale
    labels, _ = ndimage.label(values >= np.float32(floor), structure=near)
    found: list[_Part] = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        cells = np.argwhere(labels[box] == number)
        weights = values[box][tuple(cells.T)].astype(np.float64)
        found.append(_Part(level=floor, cells=cells + np.array([edge.start for edge in box]), values=weights))
    return sorted(found, key=lambda part: -float(part.values.sum()))


def _region(
    part: _Part, field: _Field, heatmap: Heatmap, frames: Sequence[Frame], slice_spacing_mm: float | None, total: float
) -> Region:
    strongest = int(np.argmax(part.values))
    frame = int(part.cells[strongest, 0])
    section = part.cells[:, 0] == frame
    spacing = frames[frame].spacing_mm
    peak = heatmap.peak_pixel(frame, _nearest_cell(heatmap, field, part.cells[strongest, 1:]))
    centroid = _centroid(part, field, section)
    contour = _contour(heatmap, field, frame, part, part.cells[strongest, 1:])
    area = float(section.sum()) * field.cell_pixels
    volume = None
    if slice_spacing_mm is not None and spacing is not None:
        volume = len(part.cells) * field.cell_pixels * spacing[0] * spacing[1] * slice_spacing_mm / 1000
    size = np.ptp(contour, axis=0)
    plane = frames[frame].plane
    return Region(
        frame=frame,
        peak=_pair(peak),
        centroid=_pair(centroid),
        contour=tuple(_pair(point) for point in contour),
        level=part.level,
        first_frame=int(part.cells[:, 0].min()),
        last_frame=int(part.cells[:, 0].max()),
        area_pixels=area,
        area_mm2=area * spacing[0] * spacing[1] if spacing else None,
        volume_ml=volume,
        extent_mm=(float(size[0] * spacing[0]), float(size[1] * spacing[1])) if spacing else None,
        peak_mm=_triple(plane.to_patient(peak)) if plane else None,
        centroid_mm=_centroid_mm(part, field, frames),
        share=float(part.values.sum()) / total,
    )


def _excess(part: _Part) -> Float:
    """Weights for a centroid: evidence above the level, so that a cell fades in instead of jumping in."""
    return np.maximum(part.values - part.level, 1e-6 * part.level)


def _centroid(part: _Part, field: _Field, chosen: NDArray[np.bool_]) -> Float:
    weights = _excess(part)[chosen]
    cells = part.cells[chosen, 1:].astype(np.float64)
    return map_points(field.to_pixels, (cells * weights[:, None]).sum(axis=0) / weights.sum())


def _centroid_mm(part: _Part, field: _Field, frames: Sequence[Frame]) -> tuple[float, float, float] | None:
    points, weights = [], []
    for frame in np.unique(part.cells[:, 0]):
        plane, chosen = frames[frame].plane, part.cells[:, 0] == frame
        if plane is None:
            return None
        points.append(plane.to_patient(_centroid(part, field, chosen)))
        weights.append(float(_excess(part)[chosen].sum()))
    return _triple(np.average(np.stack(points), axis=0, weights=weights))


def _nearest_cell(heatmap: Heatmap, field: _Field, place: NDArray[np.intp]) -> tuple[int, int]:
    """The cell of the grid that holds a place of the field."""
    from_pixels = np.linalg.inv(heatmap.record.grid_to_source(heatmap.grid)).astype(np.float64)
    cell = np.rint(map_points(from_pixels, map_points(field.to_pixels, place.astype(np.float64))))
    row, column = np.clip(cell, 0, np.array(heatmap.grid) - 1).astype(int)
    return int(row), int(column)


def _contour(heatmap: Heatmap, field: _Field, frame: int, part: _Part, strongest: NDArray[np.intp]) -> Float:
    """The closed outline around the peak at the region's level, (n, 2) frame pixels; a bilinear iso-line."""
    values, to_pixels, inside = field.values[frame], field.to_pixels, strongest.astype(np.float64)
    if field.on_grid:
        fine: Shape = (heatmap.grid[0] * _CONTOUR_STEPS, heatmap.grid[1] * _CONTOUR_STEPS)
        to_fine = resize_matrix(heatmap.grid, fine)
        from_fine = resize_matrix(fine, heatmap.grid)
        values = resample(values, from_fine, fine, mode="nearest")
        to_pixels, inside = to_pixels @ from_fine, map_points(to_fine, inside)
    level = min(part.level, float(values.max()) * (1 - 1e-6))
    lines = measure.find_contours(np.pad(values, 1), level)  # type: ignore[no-untyped-call]
    lines = [line - 1 for line in lines if len(line) >= 4 and measure.points_in_poly([inside + 1], line)[0]]  # type: ignore[no-untyped-call]
    rows, columns = heatmap.record.source_shape
    if not lines:
        corners = np.array([[-0.5, -0.5], [-0.5, 0.5], [0.5, 0.5], [0.5, -0.5], [-0.5, -0.5]])
        line = map_points(field.to_pixels, strongest + corners)
    else:
        line = map_points(to_pixels, max(lines, key=lambda line: float(np.prod(np.ptp(line, axis=0)))))
    line = measure.approximate_polygon(line, tolerance=0.25) if len(line) > 12 else line  # type: ignore[no-untyped-call]
    return np.asarray(np.clip(line, -0.5, np.array([rows, columns]) - 0.5))


def _covers(part: _Part, field: _Field, heatmap: Heatmap) -> float:
    """Largest share of the network's field of view that the region fills on one frame."""
    seen = float(abs(np.linalg.det(heatmap.record.grid_to_source(heatmap.grid)[:2, :2]) * np.prod(heatmap.grid)))
    return float(np.bincount(part.cells[:, 0]).max()) * field.cell_pixels / seen


def _side(
    part: _Part,
    field: _Field,
    frame: Frame,
    shape: Shape,
    *,
    diffuse: bool,
    midline_mm: float | None,
    image_left: ImageLeft | None,
) -> Laterality:
    points = map_points(field.to_pixels, part.cells[:, 1:].astype(np.float64))
    placed = towards_left(points, frame, shape, midline_mm=midline_mm, image_left=image_left)
    if placed is None:
        return "unknown"
    return side(placed[0], _excess(part), placed[1], diffuse=diffuse)


def _pair(point: Float) -> tuple[float, float]:
    return float(point[0]), float(point[1])


def _triple(point: Float) -> tuple[float, float, float]:
    return float(point[0]), float(point[1]), float(point[2])
