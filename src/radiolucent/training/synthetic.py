"""Slices of synthetic studies as training rows: exact outlines, and heads in which there is nothing to find.

They are only ever ``train`` rows: no figure of an engine is measured on them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from radiolucent.engines.preprocess import prepare
from radiolucent.errors import SetupError
from radiolucent.imaging.geometry import Image, PixelRecord
from radiolucent.phantom import arrays
from radiolucent.training.datasets import canvas_spec, quantise, symmetry_axis
from radiolucent.training.pack import Pack, bit_type
from radiolucent.training.recipe import EngineRecipe
from radiolucent.training.sampling import SYNTHETIC

# far from the seeds that demos and tests use
FIRST_SEED = 1_000_000
# a slice that holds less of a lesion than this is neither an example nor a counter-example
SMALLEST_MM2 = 50.0


def synthetic_pack(
    recipe: EngineRecipe, count: int, *, seed: int = 0, report: Callable[[int, int], None] | None = None
) -> Pack:
    """Slices of `count` studies: each finding in turn, then a healthy one, and so on.

    Parameters
    ----------
    count : studies; of each, up to three slices with the most of the finding and as many (at least two) without any.
    seed : another seed gives other patients.
    report : called with (studies done, studies in all).

    Raises
    ------
    SetupError
        If the recipe names no kind of synthetic study, or `count` isn't positive.
    """
    if not recipe.synthetic_kind:
        raise SetupError(f"{recipe.engine} has no synthetic studies to train on: leave out --phantoms")
    if count < 1:
        raise SetupError(f"--phantoms wants a positive number of studies, not {count}")
    images, outlines, labels, sources, groups = [], [], [], [], []
    for index in range(count):
        random = np.random.default_rng([seed, index])
        turns = recipe.synthetic_findings or (*((name,) for name in recipe.findings), ())
        wanted = turns[index % len(turns)]
        options = {name: values[int(random.integers(len(values)))] for name, values in recipe.synthetic_options.items()}
        pixels, spacing_mm, masks = arrays(
            recipe.synthetic_kind, wanted, seed=FIRST_SEED + 10_000 * seed + index, **options
        )
        masks = _known_masks(recipe, masks)
        batch, record = prepare(pixels, spacing_mm, canvas_spec(recipe))
        frames = _chosen_frames(pixels, masks, spacing_mm, random)
        for frame in frames:
            images.append(quantise(batch[frame], recipe))
            outlines.append(_bits(recipe, masks, frame, record))
            labels.append([float(name in masks and bool(masks[name][frame].any())) for name in recipe.findings])
            sources.append(f"{SYNTHETIC}{seed}-{index}-{frame}")
            groups.append(f"synthetic-{seed}-{index}")
        if report is not None:
            report(index + 1, count)
    return Pack(
        engine=recipe.engine,
        findings=recipe.findings,
        images=np.stack(images),
        step=recipe.step,
        offset=recipe.offset,
        outlines=np.asarray(np.stack(outlines), dtype=bit_type(len(recipe.findings))),
        outlined=np.ones(len(images), dtype=np.bool_),
        labels=np.array(labels, dtype=np.float32),
        split=np.full(len(images), "train"),
        group=np.array(groups),
        source=np.array(sources),
        midline=np.array(
            [symmetry_axis(image[0] * np.float32(recipe.step) + np.float32(recipe.offset)) for image in images],
            dtype=np.float32,
        ),
    )


def _known_masks(recipe: EngineRecipe, masks: dict[str, NDArray[np.bool_]]) -> dict[str, NDArray[np.bool_]]:
    """The masks of the recipe's findings, those of several made of what they contain, slice by slice."""
    known = {name: mask for name, mask in masks.items() if name in recipe.findings}
    for name, members in recipe.umbrella.items():
        parts = [known[member] for member in members if member in known]
        if parts:
            known[name] = np.logical_or.reduce(parts)
    for name, members in recipe.several.items():
        parts = [known[member] for member in members if member in known]
        together = np.sum([part.any(axis=(1, 2)) for part in parts], axis=0) > 1
        if np.any(together):
            known[name] = np.logical_or.reduce(parts) & together[:, None, None]
    return known


def _chosen_frames(
    pixels: Image, masks: dict[str, NDArray[np.bool_]], spacing_mm: tuple[float, float], random: np.random.Generator
) -> list[int]:
    area = np.zeros(len(pixels))
    if masks:
        area += np.logical_or.reduce(list(masks.values())).sum(axis=(1, 2)) * spacing_mm[0] * spacing_mm[1]
    shown = [int(frame) for frame in np.argsort(-area)[:3] if area[frame] >= SMALLEST_MM2]
    empty = np.flatnonzero(area == 0)
    others = random.choice(empty, size=min(len(empty), max(2, len(shown))), replace=False)
    return shown + [int(frame) for frame in others]


def _bits(
    recipe: EngineRecipe, masks: dict[str, NDArray[np.bool_]], frame: int, record: PixelRecord
) -> NDArray[np.uint8] | NDArray[np.int32]:
    bits = np.zeros(record.target_shape, dtype=bit_type(len(recipe.findings)))
    for bit, name in enumerate(recipe.findings):
        if name in masks:
            inside = record.apply(masks[name][frame].astype(np.float32)) >= 0.5
            bits |= inside.astype(bits.dtype) << bit
    return bits
