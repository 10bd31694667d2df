"""Frontal chest films as the chest network sees them: film in a square, window by percentiles, CLAHE."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from radiolucent.engines.manifest import InputSpec
from radiolucent.engines.preprocess.bone import RANGE, equalise, windowed
from radiolucent.engines.preprocess.framing import Spacing, whole_film
from radiolucent.imaging.geometry import Crop, Image, PixelRecord


def chest(pixels: Image, spacing_mm: Spacing | None, spec: InputSpec) -> tuple[Image, PixelRecord]:
    """Film: longer side resized, centred, what lies beside it 0; each frame windowed and equalised.

    The longer side fills the input and `InputSpec.margin` pixels more on each side, which are then cut off. The
    polarity is the header's: a chest has no air around it that would tell. The spacing is not used: films are taken at
    the size of their cassette.
    """
    margin, height, width = spec.margin, spec.height, spec.width
    record, film = whole_film((pixels.shape[1], pixels.shape[2]), (height + 2 * margin, width + 2 * margin))
    placed = record.apply(pixels)
    batch = np.zeros_like(placed)
    for frame, target in zip(placed, batch, strict=True):
        target[film] = RANGE * equalise(windowed(frame[film]))
    if margin:
        batch = batch[:, margin : margin + height, margin : margin + width]
        cut = Crop(top=margin, left=margin, height=height, width=width)
        record = replace(record, steps=(*record.steps, cut))
    return np.ascontiguousarray(batch[:, None], dtype=np.float32), record
