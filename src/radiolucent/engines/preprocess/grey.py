"""Grey images for networks trained elsewhere: the whole image in a frame, or its middle square, on a known scale."""

from __future__ import annotations

import numpy as np

from radiolucent.engines.manifest import InputSpec
from radiolucent.engines.preprocess.framing import Spacing
from radiolucent.imaging.geometry import Crop, Image, PixelRecord, Resize

# Where a manifest gives no window: percentiles of the stack that become black and white. The largest and smallest
# pixels of a radiograph are its collimator, its markers and dead cells.
DARKEST, BRIGHTEST = 0.5, 99.5
# torchxrayvision.utils.normalize: 0 … the largest value becomes -1024 … 1024
XRV_RANGE = 1024.0


def grey(pixels: Image, spacing_mm: Spacing | None, spec: InputSpec) -> tuple[Image, PixelRecord]:
    """Any grey stack: padded to the input's shape, so that nothing is cut off; `spec.window` becomes 0 to 1.

    Mean and standard deviation of a network belong to its graph. Pixels that aren't square (by their spacing) are
    made square. Without a window the 0.5th and 99.5th percentile of the stack take its place.
    """
    rows, columns = pixels.shape[1:]
    tall, wide = (rows, columns) if spacing_mm is None else (rows * spacing_mm[0], columns * spacing_mm[1])
    scale = min(spec.height / tall, spec.width / wide)
    height, width = max(1, round(tall * scale)), max(1, round(wide * scale))
    top, left = -((spec.height - height) // 2), -((spec.width - width) // 2)
    record = PixelRecord(
        source_shape=(rows, columns),
        steps=(
            Resize(height=height, width=width),
            Crop(top=top, left=left, height=spec.height, width=spec.width),
        ),
    )
    return _channels(record.apply(_unit(pixels, spec)), spec), record


def chest_xrv(pixels: Image, spacing_mm: Spacing | None, spec: InputSpec) -> tuple[Image, PixelRecord]:
    """Chest films as torchxrayvision's networks saw them: the middle square, resized, −1024 to 1024.

    Source: torchxrayvision 1.5.7, ``XRayCenterCrop``, ``XRayResizer`` and ``utils.normalize``. It scales by the
    largest value that the file's bits can hold; a DICOM film may use any part of them, so here `spec.window`, or
    else the 0.5th and 99.5th percentile, take their place.
    """
    rows, columns = pixels.shape[1:]
    side = min(rows, columns)
    record = PixelRecord(
        source_shape=(rows, columns),
        steps=(
            Crop(top=rows // 2 - side // 2, left=columns // 2 - side // 2, height=side, width=side),
            Resize(height=spec.height, width=spec.width),
        ),
    )
    return _channels((record.apply(_unit(pixels, spec)) * 2 - 1) * np.float32(XRV_RANGE), spec), record


def _unit(pixels: Image, spec: InputSpec) -> Image:
    low, high = spec.window or tuple(float(value) for value in np.percentile(pixels, (DARKEST, BRIGHTEST)))
    unit: Image = np.clip((pixels - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)
    return unit


def _channels(images: Image, spec: InputSpec) -> Image:
    """(frames, height, width) → (frames, channels, height, width), each channel the same."""
    repeated: Image = np.repeat(images[:, None], spec.channels, axis=1).astype(np.float32)
    return repeated
