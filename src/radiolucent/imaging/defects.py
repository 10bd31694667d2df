"""What can be wrong with the picture itself: exposure, blur, metal, burned-in text, a field of view that cuts off.

Each is a number found cheaply on a few frames at about 512 pixels; whether it matters is decided in `ingest.flagging`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.imaging.burned_text import burned_text
from radiolucent.imaging.study import Stack

SIZE = 512
METAL_HU = 2500.0
"""Denser than any bone or tooth enamel's average in a slice of some mm: metal and its streaks."""
_SAMPLED = 9


@dataclass(frozen=True, kw_only=True)
class Defects:
    """What was measured of one stack.

    Parameters
    ----------
    clipped_bright, clipped_dark : largest share of a frame, away from its border, that has the largest or smallest
        value of the frame: burnt out, or without any exposure.
    sharpness : radiographs only: root mean square of the second difference as a share of the picture's spread (2nd to
        98th percentile), after noise was smoothed over one pixel; a moved or blurred film has little.
    metal_ml : CT only: volume over `METAL_HU`, from sampled slices.
    covered_mm : of a volume: from first to last slice.
    glyphs : of the longest line of text burned into the picture (of a volume, its middle slice); 0 without one.
    """

    clipped_bright: float = 0.0
    clipped_dark: float = 0.0
    sharpness: float | None = None
    metal_ml: float | None = None
    covered_mm: float | None = None
    glyphs: int = 0


def defects(stack: Stack) -> Defects:
    """Measure a stack; decodes at most nine frames.

    Raises
    ------
    UnreadablePixels
        If a sampled frame can't be decoded.
    """
    chosen = sorted({*np.linspace(0, len(stack.frames) - 1, _SAMPLED).round().astype(int).tolist()})
    frames = [stack.decode(index) for index in chosen]
    clipped = [_clipped(frame) for frame in frames]
    volume, spacing, gap = stack.kind == "volume", stack.spacing_mm, stack.slice_spacing_mm
    metal = None
    if stack.modality == "CT" and volume and spacing is not None and gap is not None:
        share = len(stack.frames) / len(frames)
        count = sum(float((frame > METAL_HU).sum()) for frame in frames)
        metal = count * share * spacing[0] * spacing[1] * gap / 1000
    return Defects(
        clipped_bright=max(bright for bright, _ in clipped),
        clipped_dark=max(dark for _, dark in clipped),
        sharpness=None if volume else sharpness(frames[0]),
        metal_ml=metal,
        covered_mm=gap * (len(stack.frames) - 1) if volume and gap is not None else None,
        glyphs=burned_text(frames[len(frames) // 2]),
    )


def sharpness(frame: NDArray[np.float32]) -> float:
    """Root mean square second difference of a film at about 512 pixels, as a share of its spread.

    >>> flat = np.zeros((64, 64), dtype=np.float32)
    >>> sharpness(flat)
    0.0
    """
    small = _small(frame)
    low, high = np.percentile(small, [2, 98])
    if not high > low:
        return 0.0
    smooth = ndimage.gaussian_filter(small, 1.0)
    return float(np.sqrt(np.mean(ndimage.laplace(smooth) ** 2)) / (high - low))


def _clipped(frame: NDArray[np.float32]) -> tuple[float, float]:
    """Share of the middle of a frame (80 % of each side) at its largest and at its smallest value."""
    rows, columns = (slice(size // 10, size - size // 10) for size in frame.shape)
    middle = frame[rows, columns]
    if not middle.size or not float(frame.max()) > float(frame.min()):
        return 0.0, 0.0
    return float((middle == frame.max()).mean()), float((middle == frame.min()).mean())


def _small(frame: NDArray[np.float32]) -> NDArray[np.float32]:
    step = max(1, round(max(frame.shape) / SIZE))
    if step == 1:
        return frame.astype(np.float32)
    rows, columns = (size // step * step for size in frame.shape)
    blocks = frame[:rows, :columns].reshape(rows // step, step, columns // step, step)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)
