"""How an evidence map is shown: perceptual colours on an absolute scale, a contour, and a legend beside the anatomy.

The map is never stretched to its own range. What lies under the floor is not coloured at all, opacity grows with
value, and a contour with a dark halo is drawn in full opacity. ``docs/explanations.md`` says why.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from skimage import measure

from radiolucent.explain.legend import Legend, band, band_height, colours, font, panel
from radiolucent.findings.reading import Localisation
from radiolucent.imaging.geometry import Float, ImagePlane, Shape, map_points, resample, resize_matrix
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Frame

Grey = NDArray[np.uint8]
Colour = NDArray[np.uint8]
Edges = tuple[str, str, str, str]
Style = Literal["heat", "contour"]

METHOD = "evidence map (Grad-CAM)"
OPACITY = 0.62
"""Of the end of the scale; a value in between has its share of it."""
SMALLEST_BURNED_IN = 128
"""Rows and columns from which a legend inside the image can be read."""
_HALO = (0, 0, 0)
_SMOOTH = 2


def plain(grey: Grey, *, place: Frame | None = None, edges: Edges | None = None, maximum_width: int = 720) -> Colour:
    """The image alone, as large as `overlay` draws it, in true proportions, with orientation letters at its edges.

    Parameters
    ----------
    grey : uint8 ``(rows, columns)``, ready for display.
    place : gives pixel spacing (proportions, scale bar) and plane (letters); None draws neither.
    edges : letters at (left, right, top, bottom), where they are known otherwise: a radiograph's Patient Orientation.
    maximum_width : of the picture, in pixels; the height is at most a quarter more. Small images are enlarged.

    Returns
    -------
    uint8 ``(height, width, 3)``
    """
    picture = Image.fromarray(_sized(grey, place, maximum_width)).convert("RGB")
    _annotate(picture, grey.shape, place, edges)
    return np.asarray(picture)


def overlay(
    grey: Grey,
    heatmap: Heatmap,
    index: int,
    localisation: Localisation | None,
    *,
    finding_label: str,
    engine_label: str,
    method: str = METHOD,
    colour_map: str = "inferno",
    style: Style = "heat",
    place: Frame | None = None,
    edges: Edges | None = None,
    maximum_width: int = 720,
) -> Colour:
    """Image, map and contour in true proportions, with a legend panel below that covers no anatomy.

    Parameters
    ----------
    grey : uint8 ``(rows, columns)`` of frame `index`.
    localisation : its contours are drawn; None draws the line where colour starts.
    style : ``contour`` leaves the colours out.
    place, edges, maximum_width : as in `plain`.

    Returns
    -------
    uint8 ``(height + legend, width, 3)``

    Raises
    ------
    ValueError
        If `grey` isn't of the shape that the heatmap was made from, or the colour map isn't allowed.
    """
    _same_shape(grey, heatmap)
    base = _sized(grey, place, maximum_width)
    picture = Image.fromarray(_painted(base, heatmap, index, localisation, colour_map, style))
    _annotate(picture, grey.shape, place, edges)
    _number(picture, index, localisation, heatmap.record.source_shape)
    words = _legend(heatmap, index, localisation, finding_label, engine_label, method, colour_map)
    return np.concatenate([np.asarray(picture), panel(words, picture.width)])


def burned_in(
    grey: Grey,
    heatmap: Heatmap,
    index: int,
    localisation: Localisation | None,
    *,
    finding_label: str,
    engine_label: str,
    method: str = METHOD,
    colour_map: str = "inferno",
    style: Style = "heat",
) -> Colour:
    """The same in the source's own rows and columns, for Secondary Capture, with the legend in a band at its edge.

    The band lies at the bottom, or at the top where it would cover less of the map: side markers are mostly there.

    Returns
    -------
    uint8 ``(rows, columns, 3)``

    Raises
    ------
    ValueError
        If the image is too small for a legend that can be read (`SMALLEST_BURNED_IN`): use `overlay` there.
    """
    _same_shape(grey, heatmap)
    if min(grey.shape) < SMALLEST_BURNED_IN:
        raise ValueError(f"a legend can't be read in {grey.shape[0]} x {grey.shape[1]} pixels: use overlay()")
    picture = Image.fromarray(_painted(grey, heatmap, index, localisation, colour_map, style))
    _number(picture, index, localisation, heatmap.record.source_shape)
    words = _legend(heatmap, index, localisation, finding_label, engine_label, method, colour_map)
    band(picture, words, _band_top(heatmap, index))
    return np.asarray(picture)


def png(picture: Colour | Grey) -> bytes:
    """Encode uint8 ``(height, width)`` or ``(height, width, 3)`` as PNG, without metadata."""
    if picture.ndim == 3 and (picture == picture[..., :1]).all():
        picture = picture[..., 0]  # one channel says it all
    buffer = io.BytesIO()
    # of level 6 these pictures, which are mostly noise, take three times as long and come out larger
    Image.fromarray(picture).save(buffer, format="PNG", compress_level=3)
    return buffer.getvalue()


def edge_letters(plane: ImagePlane) -> Edges:
    """Letters at (left, right, top, bottom): L and R, A and P, H and F, as the patient lies (PS3.3 C.7.6.1.1.1)."""

    def letters(direction: Sequence[float]) -> tuple[str, str]:
        axis = int(np.argmax(np.abs(direction)))
        names = (("R", "L"), ("A", "P"), ("F", "H"))[axis]
        return names if direction[axis] > 0 else (names[1], names[0])

    return (*letters(plane.row_cosines), *letters(plane.column_cosines))


def _same_shape(grey: Grey, heatmap: Heatmap) -> None:
    if grey.shape != heatmap.record.source_shape:
        raise ValueError(f"the image is {grey.shape}, the heatmap was made from {heatmap.record.source_shape}")


def _sized(grey: Grey, place: Frame | None, maximum_width: int) -> Grey:
    """The image in true proportions: shrunk where it is larger, enlarged at most fourfold where it is smaller."""
    rows, columns = grey.shape
    between_rows, between_columns = place.spacing_mm if place and place.spacing_mm else (1.0, 1.0)
    height = rows * between_rows / between_columns
    scale = min(maximum_width / columns, 1.25 * maximum_width / height, 4.0)
    size = (max(1, round(columns * scale)), max(1, round(height * scale)))
    method = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.BICUBIC
    return np.asarray(Image.fromarray(grey).resize(size, method))


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """Evidence over the fixed scale, float32, on the part of a canvas where it can reach the floor; 0 elsewhere."""

    values: NDArray[np.float32]
    top: int
    left: int

    @property
    def box(self) -> tuple[slice, slice]:
        rows, columns = self.values.shape
        return slice(self.top, self.top + rows), slice(self.left, self.left + columns)


def _drawn(heatmap: Heatmap, index: int, shape: Shape) -> _Drawn:
    """Bilinear between cell centres, on a canvas of `shape` over the whole image, where the network saw it."""
    cells = np.argwhere(heatmap.evidence[index] >= np.float32(heatmap.floor * heatmap.display_scale))
    if not len(cells):
        return _Drawn(values=np.zeros((0, 0), dtype=np.float32), top=0, left=0)
    record, to_canvas = heatmap.record, resize_matrix(heatmap.record.source_shape, shape)
    to_source: Float = np.linalg.inv(to_canvas).astype(np.float64)
    around = np.stack([cells.min(axis=0) - 1.0, cells.max(axis=0) + 1.0])
    seen = np.array([[-0.5, -0.5], np.array(record.target_shape) - 0.5])
    boxes = [map_points(record.grid_to_source(heatmap.grid), around), record.to_source(seen)]
    boxes = [map_points(to_canvas, box) for box in boxes] + [np.array([[0.0, 0.0], np.array(shape) - 1.0])]
    top, left = np.ceil(np.max([box.min(axis=0) for box in boxes], axis=0) - 1e-9).astype(int)
    bottom, right = np.floor(np.min([box.max(axis=0) for box in boxes], axis=0) + 1e-9).astype(int) + 1
    size = (max(0, int(bottom - top)), max(0, int(right - left)))
    shift = np.array([[1.0, 0.0, top], [0.0, 1.0, left], [0.0, 0.0, 1.0]])
    to_grid: Float = np.linalg.inv(record.grid_to_source(heatmap.grid)) @ to_source @ shift
    values = resample(heatmap.evidence[index], to_grid, size, mode="nearest") / np.float32(heatmap.display_scale)
    return _Drawn(values=values, top=int(top), left=int(left))


def _painted(
    base: Grey, heatmap: Heatmap, index: int, localisation: Localisation | None, colour_map: str, style: Style
) -> Colour:
    """Grey, map and contours on a canvas of any size over the whole image."""
    table, drawn = colours(colour_map), _drawn(heatmap, index, (base.shape[0], base.shape[1]))
    colour = np.repeat(base[..., None], 3, axis=2)
    if style == "heat":
        step = np.clip((drawn.values - heatmap.floor) / (1 - heatmap.floor), 0, 1)
        alpha = np.where(drawn.values >= heatmap.floor, OPACITY * np.minimum(drawn.values, 1), 0)[..., None]
        mixed = colour[drawn.box] * (1 - alpha) + table[np.rint(step * 255).astype(np.intp)] * alpha
        colour[drawn.box] = np.rint(mixed)
    to_canvas = resize_matrix(heatmap.record.source_shape, (base.shape[0], base.shape[1]))
    lines = _lines(drawn, heatmap, index, localisation, to_canvas)
    return _outlined(colour, lines, tuple(int(part) for part in table[-1]))


def _lines(
    drawn: _Drawn, heatmap: Heatmap, index: int, localisation: Localisation | None, to_canvas: Float
) -> list[Float]:
    """Closed lines in canvas pixels: regions that peak here with their own contour, others at their level."""
    if localisation is None:
        return _iso_lines(drawn, heatmap.floor)
    regions = localisation.regions
    own = [map_points(to_canvas, np.array(region.contour)) for region in regions if region.frame == index]
    through = [
        region for region in regions if region.frame != index and region.first_frame <= index <= region.last_frame
    ]
    if not through:
        return own
    peaks = [map_points(to_canvas, np.array(region.peak)) for region in regions if region.frame == index]
    others = _iso_lines(drawn, through[0].level / heatmap.display_scale)
    return own + [line for line in others if not any(_holds(line, peak) for peak in peaks)]


def _iso_lines(drawn: _Drawn, level: float) -> list[Float]:
    if not drawn.values.size:
        return []
    found = measure.find_contours(np.pad(drawn.values, 1), level)  # type: ignore[no-untyped-call]
    return [np.asarray(line, dtype=np.float64) - 1 + (drawn.top, drawn.left) for line in found if len(line) >= 4]


def _holds(line: Float, point: Float) -> bool:
    return bool(measure.points_in_poly([point], line)[0])  # type: ignore[no-untyped-call]


def _outlined(colour: Colour, lines: Sequence[Float], ink: tuple[int, ...]) -> Colour:
    """Draw lines with a dark halo, smoothed by drawing them larger, on the part of the picture that they touch."""
    if not lines:
        return colour
    rows, columns = colour.shape[:2]
    thick = max(1.2, min(rows, columns) / 320)
    margin = int(4 * thick) + 2
    every = np.concatenate(lines)
    top, left = np.clip(np.floor(every.min(axis=0)).astype(int) - margin, 0, None)
    bottom, right = np.minimum(np.ceil(every.max(axis=0)).astype(int) + margin, (rows, columns))
    out = colour.copy()
    patch = out[top:bottom, left:right].astype(np.float64)
    for width, paint, opacity in ((3.0 * thick, _HALO, 0.75), (thick, ink, 1.0)):
        mask = Image.new("L", ((right - left) * _SMOOTH, (bottom - top) * _SMOOTH))
        draw = ImageDraw.Draw(mask)
        for line in lines:
            points = ((line - (top, left) + 0.5) * _SMOOTH)[:, ::-1]
            draw.line([(float(x), float(y)) for x, y in points], 255, round(width * _SMOOTH), joint="curve")
        cover = np.asarray(mask.resize((right - left, bottom - top), Image.Resampling.BOX))[..., None] / 255.0
        patch = patch * (1 - opacity * cover) + np.array(paint) * opacity * cover
    out[top:bottom, left:right] = np.rint(patch)
    return out


def _number(picture: Image.Image, index: int, localisation: Localisation | None, source: Shape) -> None:
    """1, 2, 3 beside the contours of several regions, in the order of their share, as the report counts them."""
    regions = localisation.regions if localisation else ()
    if len(regions) < 2:
        return
    draw, to_canvas = ImageDraw.Draw(picture), resize_matrix(source, (picture.height, picture.width))
    size = max(10, round(min(picture.size) / 26))
    for number, region in enumerate(regions, start=1):
        if region.frame == index:
            line = map_points(to_canvas, np.array(region.contour))
            row, column = line[int(np.argmax(line[:, 1] - line[:, 0]))]
            _haloed(draw, (float(column) + size * 0.3, float(row) - size * 0.3), str(number), size, "lb")


def _annotate(picture: Image.Image, shape: Shape, place: Frame | None, edges: Edges | None) -> None:
    """Orientation letters in the middle of the edges, and a bar of a round length where the spacing is known."""
    width, height = picture.size
    size = max(10, round(min(width, height) / 28))
    draw, gap = ImageDraw.Draw(picture), round(size * 0.5)
    letters = edges or (edge_letters(place.plane) if place and place.plane else None)
    spots = (
        (gap, height / 2, "lm"),
        (width - gap, height / 2, "rm"),
        (width / 2, gap, "mt"),
        (width / 2, height - gap, "mb"),
    )
    for letter, (across, down, anchor) in zip(letters or (), spots, strict=False):
        _haloed(draw, (across, down), letter, size, anchor)
    if place and place.spacing_mm:
        _length_bar(draw, shape[1] * place.spacing_mm[1], width, height, size)


def _length_bar(draw: ImageDraw.ImageDraw, width_mm: float, width: int, height: int, size: int) -> None:
    length = max((value for value in (1, 2, 5, 10, 20, 50, 100) if value <= width_mm / 4), default=None)
    if length is None:
        return
    right, down, long = width - size * 0.6, height - size * 0.8, length / width_mm * width
    for thick, ink in ((max(3, size // 4), _HALO), (max(1, size // 10), (235, 235, 235))):
        draw.line((right - long, down, right, down), fill=ink, width=thick)
    _haloed(draw, (right, down - size * 0.35), f"{length} mm", round(size * 0.85), "rb")


def _haloed(draw: ImageDraw.ImageDraw, place: tuple[float, float], text: str, size: int, anchor: str) -> None:
    draw.text(
        place,
        text,
        fill=(235, 235, 235),
        font=font(size),
        anchor=anchor,
        stroke_width=max(1, size // 9),
        stroke_fill=_HALO,
    )


def _legend(
    heatmap: Heatmap, index: int, localisation: Localisation | None, finding: str, engine: str, method: str, name: str
) -> Legend:
    located = localisation is not None and localisation.status == "located"
    contour = localisation.contour_level / heatmap.display_scale if localisation and located else None
    return Legend(
        finding=finding,
        engine=engine,
        method=method,
        grid=heatmap.grid,
        display_scale=heatmap.display_scale,
        floor=heatmap.floor,
        contour=contour,
        peak=float(heatmap.frame_peaks[index]),
        empty=localisation.status == "empty" if localisation else heatmap.empty,
        colour_map=name,
    )


def _band_top(heatmap: Heatmap, index: int) -> int:
    """First row of the legend: the bottom of the image, or the top (where side markers are) if evidence is lower."""
    shape = heatmap.record.source_shape
    tall, drawn = band_height(shape), _drawn(heatmap, index, shape)
    hot = np.flatnonzero((drawn.values >= heatmap.floor).any(axis=1)) + drawn.top
    above, below = int((hot < tall).sum()), int((hot >= shape[0] - tall).sum())
    return 0 if below > above else shape[0] - tall
