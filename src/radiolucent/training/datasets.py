"""How folders of labelled images become a pack: preprocessed once, at training resolution."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.engines.manifest import InputSpec
from radiolucent.engines.preprocess import prepare
from radiolucent.errors import SetupError
from radiolucent.evaluate.layouts import draw_outlines, folder_rows, read_pixels
from radiolucent.imaging.geometry import Image
from radiolucent.training.cores import CORES
from radiolucent.training.pack import Pack, bit_type
from radiolucent.training.recipe import EngineRecipe

Report = Callable[[int, int], None]

# Correlation between a head and its mirror image above which it has a left and a right half.
SYMMETRIC = 0.93


def build_pack(
    recipe: EngineRecipe, folders: list[Path], report: Report | None = None, *, split: str | None = None
) -> Pack:
    """Preprocess every row of the folders once, at canvas size.

    Parameters
    ----------
    split : only rows of it; None takes all.
    report : called with (rows done, rows in all).

    Raises
    ------
    SetupError
        If a folder can't be read, or no row has a finding of the recipe.
    """
    rows = [
        row
        for row in folder_rows(folders)
        if split in (None, row.split) and any(name in row.labels for name in recipe.findings)
    ]
    if not rows:
        raise SetupError(f"the folders of --data hold no image labelled with {', '.join(recipe.findings)}")
    side = recipe.canvas
    images = np.empty((len(rows), recipe.channels, side, side), dtype=np.uint8)
    outlines = np.zeros((len(rows), side, side), dtype=bit_type(len(recipe.findings)))
    midline = np.full(len(rows), np.nan, dtype=np.float32)
    for index, row in enumerate(rows):
        pixels = read_pixels(row.path)
        batch, record = prepare(pixels[None], row.spacing_mm, canvas_spec(recipe))
        images[index] = quantise(batch[0], recipe)
        for bit, finding in enumerate(recipe.findings if row.outlines else ()):
            inside = draw_outlines(row, finding, (pixels.shape[0], pixels.shape[1]), record)
            if recipe.outline_core:
                inside = CORES[recipe.outline_core](batch[0, 0], inside)
            outlines[index] |= (inside >= 0.5).astype(outlines.dtype) << bit
        if recipe.augmentation.mirror > 0:
            midline[index] = symmetry_axis(batch[0, 0])
        if report is not None:
            report(index + 1, len(rows))
    return Pack(
        engine=recipe.engine,
        findings=recipe.findings,
        images=images,
        step=recipe.step,
        offset=recipe.offset,
        outlines=outlines,
        outlined=np.array([row.outlined for row in rows]),
        labels=np.array([[row.labels.get(name, np.nan) for name in recipe.findings] for row in rows], dtype=np.float32),
        split=np.array([row.split for row in rows]),
        group=np.array([row.group for row in rows]),
        source=np.array([f"{row.path.parent.parent.name}/{row.path.name}" for row in rows]),
        midline=midline,
        traits=np.array(
            [[row.labels.get(name, np.nan) for name in (*recipe.sites, *recipe.traits)] for row in rows],
            dtype=np.float32,
        ).reshape(len(rows), -1),
    )


def quantise(image: Image, recipe: EngineRecipe) -> NDArray[np.uint8]:
    """Network units → 8 bits, as `training.pack` stores them."""
    return np.asarray(np.clip(np.rint((image - recipe.offset) / recipe.step), 0, 255), dtype=np.uint8)


def canvas_spec(recipe: EngineRecipe) -> InputSpec:
    """The recipe's input, but of canvas size: augmentation draws the network's input from inside it."""
    return InputSpec(
        recipe=recipe.preprocess,
        height=recipe.canvas,
        width=recipe.canvas,
        channels=recipe.channels,
        spacing_mm=recipe.spacing_mm,
    )


def symmetry_axis(image: Image, reach: int = 14) -> float:
    """Column (pixels, centre of a pixel is whole) around which a head is its own mirror image; NaN where it isn't."""
    smooth = ndimage.gaussian_filter(image, 3.0)[::3, ::3]
    width = smooth.shape[1]
    best, axis = SYMMETRIC, float("nan")
    for twice in range(width - 1 - 2 * reach // 3, width + 2 * reach // 3):
        low, high = max(0, twice - width + 1), min(width - 1, twice)
        part = smooth[:, low : high + 1]
        if part.std() == 0:
            continue
        score = float(np.corrcoef(part.ravel(), part[:, ::-1].ravel())[0, 1])
        if score > best:
            best, axis = score, 3 * twice / 2
    return axis
