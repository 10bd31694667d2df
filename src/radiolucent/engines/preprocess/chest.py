"""Frontal chest films as the chest network sees them: whole film in a square, window by percentiles, CLAHE."""

from __future__ import annotations

import numpy as np

from radiolucent.engines.manifest import InputSpec
from radiolucent.engines.preprocess.bone import RANGE, equalise, windowed
from radiolucent.engines.preprocess.framing import Spacing, whole_film
from radiolucent.imaging.geometry import Image, PixelRecord


def chest(pixels: Image, spacing_mm: Spacing | None, spec: InputSpec) -> tuple[Image, PixelRecord]:
    """Film: longer side resized to the input's, centred, what lies beside it 0; each frame windowed and equalised.

    The polarity is the header's: a chest has no air around it that would tell. The spacing is not used: films are
    taken at the size of their cassette.
    """
    record, film = whole_film((pixels.shape[1], pixels.shape[2]), (spec.height, spec.width))
    placed = record.apply(pixels)
    batch = np.zeros_like(placed)
    for frame, target in zip(placed, batch, strict=True):
        target[film] = RANGE * equalise(windowed(frame[film]))
    return batch[:, None].astype(np.float32), record
