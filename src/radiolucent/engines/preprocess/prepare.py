"""What a network is fed: one recipe per kind of image, used in training and in reading alike.

A recipe takes a stack of frames and gives a batch together with the `PixelRecord` that leads from the frames'
pixels to the network's input, so that evidence can be placed back on the image. Only numpy, scipy and scikit-image.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from radiolucent.engines.manifest import InputSpec
from radiolucent.engines.preprocess.bone import bone
from radiolucent.engines.preprocess.brain_mri import brain_mri
from radiolucent.engines.preprocess.chest import chest
from radiolucent.engines.preprocess.framing import Spacing
from radiolucent.engines.preprocess.grey import chest_xrv, grey
from radiolucent.engines.preprocess.head_ct import head_ct
from radiolucent.errors import InvalidBundle
from radiolucent.imaging.geometry import Image, PixelRecord

Recipe = Callable[[Image, Spacing | None, InputSpec], tuple[Image, PixelRecord]]

RECIPES: dict[str, Recipe] = {
    "bone": bone,
    "brain-mri": brain_mri,
    "chest": chest,
    "chest-xrv": chest_xrv,
    "grey": grey,
    "head-ct": head_ct,
}


def prepare(pixels: Image, spacing_mm: Spacing | None, spec: InputSpec) -> tuple[Image, PixelRecord]:
    """Turn the frames of one stack into the network's input.

    Parameters
    ----------
    pixels : float32 ``(frames, rows, columns)``, brighter is more signal (MONOCHROME2), any scale.
    spacing_mm : (between rows, between columns) in mm, or None where it isn't known: each recipe says what it does
        then.
    spec : the manifest's input table; `spec.recipe` names the recipe.

    Returns
    -------
    batch : float32 ``(frames, channels, height, width)``
    record : the steps from a frame's pixels to the input, the same for all frames of the stack.

    Raises
    ------
    InvalidBundle
        If no recipe has the name that `spec` gives.
    ValueError
        If `pixels` isn't a float32 stack with at least one frame and one pixel, or a spacing isn't positive.
    """
    if spec.recipe not in RECIPES:
        raise InvalidBundle(f"input recipe {spec.recipe!r} is not known; known: {', '.join(sorted(RECIPES))}")
    if pixels.ndim != 3 or pixels.dtype != np.float32 or pixels.size == 0:
        raise ValueError(f"pixels must be float32 (frames, rows, columns), not {pixels.dtype} {pixels.shape}")
    if spacing_mm is not None and min(spacing_mm) <= 0:
        raise ValueError(f"spacing_mm must be positive or None, not {spacing_mm}")
    return RECIPES[spec.recipe](pixels, spacing_mm, spec)
