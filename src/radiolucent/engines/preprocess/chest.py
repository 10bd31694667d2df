"""Frontal chest films as the chest network sees them: whole film in a square, window by percentiles, CLAHE."""

from __future__ import annotations

import numpy as np

from radiolucent.engines.manifest import InputSpec
from radiolucent.engines.preprocess.bone import RANGE, equalise, windowed
from radiolucent.engines.preprocess.framing import Spacing
from radiolucent.imaging.geometry import Crop, Image, PixelRecord, Resize


def chest(pixels: Image, spacing_mm: Spacing | None, spec: InputSpec) -> tuple[Image, PixelRecord]:
    """Film: longer side resized to the input's, centred, what lies beside it 0; each frame windowed and equalised.

    The polarity is the header's: a chest has no air around it that would tell. The spacing is not used: films are
    taken at the size of their cassette.
    """
    rows, columns = pixels.shape[1:]
    factor = min(spec.height / rows, spec.width / columns)
    height, width = (max(1, round(side * factor)) for side in (rows, columns))
    top, left = (spec.height - height) // 2, (spec.width - width) // 2
    record = PixelRecord(
        source_shape=(rows, columns),
        steps=(
            Resize(height=height, width=width),
            Crop(top=-top, left=-left, height=spec.height, width=spec.width),
        ),
    )
    placed = record.apply(pixels)
    batch = np.zeros_like(placed)
    film = np.s_[top : top + height, left : left + width]
    for frame, target in zip(placed, batch, strict=True):
        target[film] = RANGE * equalise(windowed(frame[film]))
    return batch[:, None].astype(np.float32), record
