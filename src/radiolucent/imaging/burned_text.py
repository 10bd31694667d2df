"""Text that was burned into the pixels: lines of glyphs, found by their form, never read.

A glyph is a small spot of strokes that are much brighter (or, for dark text, darker) than what surrounds them, and all
of one value; a line is several of them, of one height and one value, side by side. A single side marker is no line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

Image = NDArray[np.float32]

LEAST_GLYPHS: Final = 4
"""Glyphs of a line; with fewer a side marker or two screws would do."""
_SIZE: Final = 768  # of the longer side, at least, at which glyphs are looked for
_STROKE: Final = 9  # pixels: broader strokes are no text's
_CONTRAST: Final = 0.25  # of the picture's range, between stroke and surroundings
_ABOVE_GRAIN: Final = 6.0  # the same in standard deviations of the grain: on 0 of 7580 pictures of grain a line
_HEIGHTS: Final = (5, 48)
_FILLED: Final = (0.18, 0.85)  # share of its box that a glyph fills
_EVEN: Final = 0.06  # of the range: spread of the values inside a glyph, and between glyphs of a line


_MEDIAN_OF_NORMAL: Final = 0.6745  # median of the absolute value of a standard normal


@dataclass(frozen=True, kw_only=True)
class Glyph:
    """One spot that may be a letter: its box in pixels, and the value of its strokes as a share of the range."""

    top: int
    left: int
    bottom: int
    right: int
    value: float

    @property
    def height(self) -> int:
        """Rows of the box."""
        return self.bottom - self.top


def burned_text(frame: Image) -> int:
    """Glyphs of the longest line of text in a frame; 0 where no line has `LEAST_GLYPHS`.

    Parameters
    ----------
    frame : float32 ``(rows, columns)``, any range.

    Examples
    --------
    >>> burned_text(np.zeros((64, 64), dtype=np.float32))
    0
    """
    grey = _unit(_reduced(frame))
    longest = max(_longest_line(_glyphs(one)) for one in (grey, 1 - grey))
    return longest if longest >= LEAST_GLYPHS else 0


def _reduced(frame: Image) -> Image:
    step = max(1, max(frame.shape) // _SIZE)
    if step == 1:
        return frame
    rows, columns = (size // step * step for size in frame.shape)
    return np.asarray(frame[:rows, :columns].reshape(rows // step, step, columns // step, step).mean(axis=(1, 3)))


def _unit(frame: Image) -> Image:
    """Smallest value to largest as 0 to 1: burned text is usually the largest of all, so no percentile may cut it."""
    low, high = float(frame.min()), float(frame.max())
    return (frame - low) / (high - low) if high > low else np.zeros_like(frame)


def _glyphs(grey: Image) -> list[Glyph]:
    """Spots of strokes brighter than their surroundings."""
    without_strokes = _running(_running(grey, np.minimum), np.maximum)
    strokes = grey - without_strokes > max(_CONTRAST, _ABOVE_GRAIN * _grain(grey))
    labels, _ = ndimage.label(strokes)
    found = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        rows, columns = box
        height, width = rows.stop - rows.start, columns.stop - columns.start
        if not (_HEIGHTS[0] <= height <= _HEIGHTS[1] and width <= 1.6 * height):
            continue
        inside = labels[box] == number
        if not _FILLED[0] <= inside.mean() <= _FILLED[1] and width > 0.35 * height:
            continue  # only I, l and 1 may fill their box
        values = grey[box][inside]
        core = values[values >= np.percentile(values, 75)]
        if float(core.std()) > _EVEN:
            continue
        found.append(
            Glyph(top=rows.start, left=columns.start, bottom=rows.stop, right=columns.stop, value=float(core.mean()))
        )
    return found


def _grain(grey: Image) -> float:
    """Standard deviation of the grain, from the median difference between neighbours; outlines and text don't count."""
    if grey.shape[1] < 2:
        return 0.0
    return float(np.median(np.abs(np.diff(grey, axis=1)))) / (_MEDIAN_OF_NORMAL * 2**0.5)


def _running(grey: Image, extreme: Callable[[Image, Image], Image]) -> Image:
    """The extreme of a square of `_STROKE` pixels around each, as `ndimage` has it, in a sixth of its time.

    A window of 9 is one of 8 and its neighbour, one of 8 is two of 4, and so on.
    """
    for axis in (0, 1):
        margin = [(_STROKE // 2,) * 2 if axis == one else (0, 0) for one in (0, 1)]
        line, have = np.moveaxis(np.pad(grey, margin, mode="symmetric"), axis, 0), 1
        while have < _STROKE:
            step = min(have, _STROKE - have)
            line, have = extreme(line[:-step], line[step:]), have + step
        grey = np.moveaxis(line, 0, axis)
    return grey


def _longest_line(glyphs: list[Glyph]) -> int:
    """Most glyphs that stand side by side, chained from left to right."""
    ordered = sorted(glyphs, key=lambda glyph: glyph.left)
    lengths: list[int] = []
    for index, glyph in enumerate(ordered):
        before = [lengths[at] for at in range(index) if _neighbours(ordered[at], glyph)]
        lengths.append(1 + max(before, default=0))
    return max(lengths, default=0)


def _neighbours(left: Glyph, right: Glyph) -> bool:
    """Whether the second stands beside the first as in a line: height, foot or head, gap and value."""
    taller = max(left.height, right.height)
    gap = right.left - left.right
    return (
        min(left.height, right.height) >= 0.6 * taller
        and (abs(left.bottom - right.bottom) <= 0.2 * taller or abs(left.top - right.top) <= 0.2 * taller)
        and -0.1 * taller <= gap <= 0.9 * taller
        and abs(left.value - right.value) <= _EVEN
    )
