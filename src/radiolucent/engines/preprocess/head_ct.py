"""Head CT as the bleed network sees it: one brain window, 0.95 mm a pixel, nose up or down, brain at one grey level.

Every real image that the network learned from is an 8-bit picture of the brain window, so that window is the only one
it is fed: a subdural or bone window could come from synthetic heads alone and would tell drawn heads from real ones.
Frames in HU are drawn through the same window (0 to 80 HU); 8-bit frames are taken to be that window already
("pseudo-HU", `to_hounsfield`). Both are then shifted so that brain has the same level: windows of other centres differ
by a shift.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radiolucent.engines.manifest import InputSpec
from radiolucent.engines.preprocess.framing import Box, Spacing, box, inside, resampled_and_centred
from radiolucent.imaging.geometry import Image, PixelRecord, Turn

# Pictures are taken to be this wide: at 0.612 mm (384 pixels) and 0.918 mm (256 pixels) the heads of the two training
# sets are 180 mm long in the median.
FIELD_MM = 235.0
# A head that fills more of the picture than this was cut out tightly: then its length is taken to be `HEAD_MM`.
TIGHT = 0.95
HEAD_MM = 190.0
WINDOW_HU = 80.0
# Level of brain after the shift, and the levels within which a shift is believed: 36.7 in the median of 256 pictures
# of head-ct-subtypes, about 52 in those whose window sits lower.
BRAIN_HU = 36.0
_BELIEVED = (22.0, 60.0)
# A head is turned where it is this much longer across than down (ratio of the variances of its pixels).
_SIDEWAYS = 1.1


def head_ct(pixels: Image, spacing_mm: Spacing | None, spec: InputSpec) -> tuple[Image, PixelRecord]:
    """Head CT without contrast: `spec.spacing_mm` a pixel, centred, long axis down; 0 HU is −1, 80 HU is 1.

    Where the spacing is unknown, the picture is taken to be `FIELD_MM` wide. A head that lies on its side is turned
    clockwise by a quarter (its nose is taken to point left, as in series exported sideways).
    """
    units = np.clip(to_hounsfield(pixels), 0, WINDOW_HU)
    heads = np.stack([inside(frame) for frame in units])
    around = box(np.asarray(heads.any(axis=0)))
    if spacing_mm is None:
        spacing_mm = assumed_spacing(pixels.shape[1:], around)
    level = brain_level(units, heads)
    # what the window cut off stays cut off: air is black and bone white whatever the shift
    ends = (units <= 0.5) | (units >= WINDOW_HU - 0.5)
    shown = np.clip(np.where(ends, units, units + (BRAIN_HU - level)), 0, WINDOW_HU).astype(np.float32)
    steps: tuple[Turn, ...] = ()
    rows, columns = pixels.shape[1:]
    if is_sideways(heads, spacing_mm):
        steps = (Turn(quarters=3),)
        around = (around[1], rows - around[2], around[3], rows - around[0])
        rows, columns, spacing_mm = columns, rows, (spacing_mm[1], spacing_mm[0])
    placed = resampled_and_centred(
        (rows, columns), spacing_mm, spec.spacing_mm or 0.95, around, (spec.height, spec.width)
    )
    record = PixelRecord(source_shape=(pixels.shape[1], pixels.shape[2]), steps=(*steps, *placed.steps))
    batch = record.apply(shown) * np.float32(2 / WINDOW_HU) - 1
    return batch[:, None].astype(np.float32), record


def to_hounsfield(pixels: Image) -> Image:
    """HU of the frames; of 8-bit pictures, pseudo-HU: 0 to 255 is read as the brain window's 0 to 80 HU.

    Frames are taken for pictures where no value is below 0 or above 255: a CT frame in HU always holds air. Values
    from 0 beyond 255 are taken for HU + 1024, which scanners store.
    """
    low, high = float(pixels.min()), float(pixels.max())
    if low >= 0 and high <= 255:
        return pixels * np.float32(WINDOW_HU / 255)
    return pixels - np.float32(1024) if low >= 0 else pixels


def brain_level(units: Image, heads: NDArray[np.bool_]) -> float:
    """Median (HU) of soft tissue in the frames with the most head; `BRAIN_HU` where that can't be brain."""
    sizes = heads.sum(axis=(1, 2))
    large = sizes >= 0.6 * max(int(sizes.max()), 1)
    values = units[large][heads[large]]
    values = values[(values > 8) & (values < 72)]
    level = float(np.median(values)) if len(values) else BRAIN_HU
    return level if _BELIEVED[0] <= level <= _BELIEVED[1] else BRAIN_HU


def is_sideways(heads: NDArray[np.bool_], spacing_mm: Spacing) -> bool:
    """True where the stack's heads are clearly longer across than down."""
    count = heads.sum(axis=0, dtype=np.float64)
    if count.sum() < 2:
        return False
    spread = []
    for axis, mm in ((1, spacing_mm[0]), (0, spacing_mm[1])):
        weights = count.sum(axis=axis)
        places = np.arange(len(weights))
        middle = float(np.average(places, weights=weights))
        spread.append(float(np.average((places - middle) ** 2, weights=weights)) * mm**2)
    return spread[1] > _SIDEWAYS * spread[0]


def assumed_spacing(shape: tuple[int, ...], around: Box) -> Spacing:
    """(mm, mm) per pixel of a picture of unknown spacing whose head lies in `around`."""
    width, length = max(shape), max(around[2] - around[0], around[3] - around[1])
    millimetres = HEAD_MM / length if length > TIGHT * width else FIELD_MM / width
    return millimetres, millimetres
