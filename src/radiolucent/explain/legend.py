"""What is written beside a heatmap, always: engine, finding, method, grid, the absolute scale, and that it is AI.

Text is drawn with Pillow's built-in scalable font, so that a result looks the same on every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from cmap import Colormap
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Colour = NDArray[np.uint8]

WARNING = "AI, not diagnostic. Not for clinical use."
COLOUR_MAPS = ("inferno", "viridis", "cividis", "hot")
"""Lightness rises all the way (CIELAB, 256 steps), for colour-blind readers too: the eye reads it as more."""
LOWEST = 0.25
"""The lowest part of a map is left out: inferno's is darker than lung, so little evidence would look like a lucency."""

_PAPER, _INK, _QUIET = (16, 19, 24), (240, 242, 245), (176, 184, 194)
_BRIGHT, _SOFT = (255, 255, 255), (205, 210, 216)


def colours(name: str) -> Colour:
    """uint8 ``(256, 3)``: the used part of a colour map, from the floor to the end of the scale.

    Raises
    ------
    ValueError
        If the map isn't one of `COLOUR_MAPS`. Jet and turbo are refused: their lightness rises and falls, so that
        the largest value isn't the brightest.
    """
    if name not in COLOUR_MAPS:
        raise ValueError(f"{name!r} is no colour map with rising lightness; take one of {', '.join(COLOUR_MAPS)}")
    return _table(name)


@cache
def _table(name: str) -> Colour:
    lut = Colormap(name)(np.linspace(LOWEST, 1, 256))
    table = np.rint(np.asarray(lut, dtype=np.float64)[:, :3] * 255).astype(np.uint8)
    table.setflags(write=False)
    return table


@dataclass(frozen=True, kw_only=True)
class Legend:
    """Everything that has to be said beside one map.

    Parameters
    ----------
    finding, engine, method : in words, as shown.
    grid : (h, w) cells of the map.
    display_scale : logit units at which the colours end.
    floor : share of it at which they start.
    contour : share of it at which the contour runs, or None where there is none.
    peak : largest evidence on the frame that is shown, logit units: it may lie beyond the scale.
    empty : no cell of the whole map reaches the floor.
    colour_map : one of `COLOUR_MAPS`.
    """

    finding: str
    engine: str
    method: str
    grid: tuple[int, int]
    display_scale: float
    floor: float
    contour: float | None
    peak: float
    empty: bool
    colour_map: str

    @property
    def headline(self) -> str:
        """Finding first; an empty map says so in words."""
        return f"{self.finding}: no focus above threshold" if self.empty else f"{self.finding}: model attention"

    @property
    def facts(self) -> str:
        """Engine, method and grid in one line; the typeface has no multiplication sign."""
        return f"{self.engine} · {self.method} · grid {self.grid[0]} x {self.grid[1]}"

    @property
    def reach(self) -> str:
        """The largest value on this frame, which may lie beyond the scale's end."""
        return f"largest here {self.peak:.1f}"


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own typeface in pixels."""
    return ImageFont.load_default(size)


def wrap(text: str, size: int, width: float) -> list[str]:
    """Break text between words so that no line is wider than `width` pixels; a longer word stands alone, shortened."""
    lines: list[str] = []
    for word in text.split():
        joined = f"{lines[-1]} {word}" if lines else word
        if lines and font(size).getlength(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(shorten(word, size, width))
    return lines


def shorten(text: str, size: int, width: float) -> str:
    """Cut text with an ellipsis where it is wider than `width` pixels."""
    if font(size).getlength(text) <= width:
        return text
    while text and font(size).getlength(text + "...") > width:
        text = text[:-1]
    return text + "..."


def panel(legend: Legend, width: int) -> Colour:
    """uint8 ``(height, width, 3)``: the legend as a strip to stand under a picture."""
    size = max(11, round(width / 29))
    small = max(10, round(size * 0.84))
    margin = round(size * 0.7)
    inner = width - 2 * margin
    lines = [(line, size, _INK) for line in wrap(legend.headline, size, inner)]
    lines += [(line, small, _QUIET) for line in wrap(legend.facts, small, inner)]
    warning = [(line, small, _INK) for line in wrap(WARNING, small, inner)]
    bar_height, leading = round(size * 0.8), 1.32
    text_height = sum(round(height * leading) for _, height, _ in lines + warning)
    height = margin + text_height + round(size * 0.5) + bar_height + round(small * 2.1) + round(margin * 0.8)
    picture = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(picture)
    top = _write(draw, lines, margin, round(margin * 0.7), leading) + round(size * 0.45)
    scale_bar(draw, legend, (margin, top, inner, bar_height), small)
    below = top + bar_height + round(small * 1.75)
    _write(draw, warning, margin, below, leading)
    room = inner - max(font(small).getlength(line) for line, _, _ in warning)
    if font(small).getlength(legend.reach) < room - small:
        draw.text((width - margin, below), legend.reach, fill=_QUIET, font=font(small), anchor="ra")
    return np.asarray(picture)


def _write(
    draw: ImageDraw.ImageDraw, lines: list[tuple[str, int, tuple[int, int, int]]], left: int, top: int, leading: float
) -> int:
    for text, size, ink in lines:
        draw.text((left, top), text, fill=ink, font=font(size))
        top += round(size * leading)
    return top


def scale_bar(
    draw: ImageDraw.ImageDraw, legend: Legend, box: tuple[int, int, int, int], size: int, *, labels: bool = True
) -> None:
    """Draw the colour scale from 0 to its end, the part under the floor left uncoloured, with its numbers below.

    Parameters
    ----------
    box : (left, top, width, height) of the bar alone, in pixels.
    size : of the numbers, in pixels.
    """
    left, top, width, height = box
    table, start = colours(legend.colour_map), round(legend.floor * width)
    draw.rectangle((left, top, left + width - 1, top + height - 1), outline=_QUIET)
    for step in range(start, width):
        colour = table[min(255, round((step - start) / max(1, width - 1 - start) * 255))]
        draw.line((left + step, top, left + step, top + height - 1), fill=tuple(int(part) for part in colour))
    if legend.contour is not None:
        mark = left + round(legend.contour * (width - 1))
        for thickness, ink in ((round(height / 4) + 2, (0, 0, 0)), (max(1, round(height / 9)), (255, 255, 255))):
            draw.line((mark, top - 2, mark, top + height + 1), fill=ink, width=thickness)
    if labels:
        _numbers(draw, legend, box, size)


def _numbers(draw: ImageDraw.ImageDraw, legend: Legend, box: tuple[int, int, int, int], size: int) -> None:
    """Numbers under the bar, the ones that matter most first: one that would touch another is left out."""
    left, top, width, height = box
    scale = legend.display_scale
    wanted = [(legend.floor, f"{legend.floor * scale:.1f} floor"), (1.0, f"{scale:.1f} logits"), (0.0, "0")]
    if legend.contour is not None:
        wanted.append((legend.contour, f"{legend.contour * scale:.1f} contour"))
    taken: list[tuple[float, float]] = []
    for share, text in wanted:
        long = font(size).getlength(text)
        begin = min(max(left + share * width - long / 2, left), left + width - long)
        if all(begin > after + size * 0.4 or begin + long < before - size * 0.4 for before, after in taken):
            taken.append((begin, begin + long))
            draw.text((begin, top + height + round(size * 0.25)), text, fill=_QUIET, font=font(size))


def band_height(shape: tuple[int, int]) -> int:
    """Rows that `band` takes of an image of `shape`."""
    size = _band_size(shape)
    return 3 * round(size * 1.2) + round(size * 1.7)


def band(picture: Image.Image, legend: Legend, top: int) -> None:
    """Draw the legend into an RGB picture as a dark strip of three lines and a colour bar, from row `top` on."""
    width, height = picture.size
    size, tall = _band_size((height, width)), band_height((height, width))
    margin, leading = round(size * 0.5), round(size * 1.2)
    below = picture.crop((0, top, width, top + tall))
    picture.paste(Image.blend(below, Image.new("RGB", below.size), 0.8), (0, top))
    draw, inner = ImageDraw.Draw(picture), width - 2 * margin
    for number, text in enumerate((legend.headline, f"{legend.engine}, {legend.method}", WARNING)):
        place = (margin, top + round(margin * 0.5) + number * leading)
        draw.text(place, shorten(text, size, inner), fill=_BRIGHT if number != 1 else _SOFT, font=font(size))
    floor, (rows, columns) = legend.floor * legend.display_scale, legend.grid
    scale = f"{floor:.1f} to {legend.display_scale:.1f} logits, grid {rows} x {columns}"
    down = top + round(margin * 0.7) + 3 * leading
    bar = int(inner - font(size).getlength(scale) - size * 0.6)
    if bar > 2 * size:
        scale_bar(draw, legend, (margin, down, bar, round(size * 0.6)), size, labels=False)
    draw.text((width - margin, down - round(size * 0.25)), scale, fill=_SOFT, font=font(size), anchor="ra")


def _band_size(shape: tuple[int, int]) -> int:
    """Height of letters: 10 pixels at 256, 45 at 2400; in between it grows more slowly than the image."""
    return int(max(10, round(10.5 * (min(shape) / 256) ** 0.65)))
