"""Images with exact outlines to judge maps by: phantoms, and the validation splits that a machine holds."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from radiolucent.engines.bundle import Bundle
from radiolucent.engines.preprocess import prepare
from radiolucent.engines.registry import find_bundle, installed_bundles
from radiolucent.evaluate.explanation_release import ReleaseCase
from radiolucent.evaluate.layouts import Row, draw_outlines, read_pixels, read_rows
from radiolucent.imaging.body import body_box
from radiolucent.imaging.geometry import PixelRecord
from radiolucent.phantom.studies import arrays

Image = NDArray[np.float32]
SPLITS = {
    "brain-mri-cheng": "brain-mri",
    "head-ct-ich": "head-ct",
    "head-ct-subtypes": "head-ct",
    "bone-fracatlas": "bone",
}
"""Folder of images with outlines → the engine that reads them."""
WITHOUT_OUTLINES = {"chest-nih": "chest"}
"""The same, with labels alone: the gate judges their maps, but nobody can say whether they lie on the finding."""
_PHANTOM_SPACING = (1.25, 1.25)


@dataclass(frozen=True, kw_only=True, eq=False)
class CaseSet:
    """Some images and the engine that they are for; without outlines their masks are the whole image."""

    name: str
    bundle: Bundle
    cases: Sequence[ReleaseCase]
    outlined: bool = True


def case_sets(count: int) -> list[CaseSet]:
    """Phantoms, and where the variable RADIOLUCENT_DATA names their folder, each validation split."""
    bundles = installed_bundles()
    brain = find_bundle("brain-mri", bundles)
    sets = [CaseSet(name="phantoms", bundle=brain, cases=phantom_cases(count))]
    root = Path(os.environ.get("RADIOLUCENT_DATA", ""))
    for folder, engine in {**SPLITS, **WITHOUT_OUTLINES}.items():
        if "RADIOLUCENT_DATA" in os.environ and (root / folder).is_dir():
            bundle, outlined = find_bundle(engine, bundles), folder in SPLITS
            cases = (real_cases if outlined else labelled_cases)(root / folder, bundle, count)
            sets.append(CaseSet(name=folder, bundle=bundle, cases=cases, outlined=outlined))
    return sets


def real_cases(folder: Path, bundle: Bundle, count: int) -> list[ReleaseCase]:
    """Validation images with an outlined finding of the engine, evenly spread over the split."""
    rows = [row for row in read_rows(folder) if row.split == "val" and _finding(row, bundle)]
    cases = []
    for index in np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int):
        row, finding = rows[index], _finding(rows[index], bundle)
        pixels = read_pixels(row.path)[None]
        batch, record = prepare(pixels, row.spacing_mm, bundle.manifest.input)
        mask = draw_outlines(row, finding, (pixels.shape[1], pixels.shape[2])) >= 0.5
        if mask.any():
            cases.append(_case(finding, batch[0], record, mask, pixels, row.spacing_mm))
    return cases


def labelled_cases(folder: Path, bundle: Bundle, count: int) -> list[ReleaseCase]:
    """Validation images with a finding of the engine and no outline, evenly spread over the split and its findings."""
    names = bundle.manifest.finding_names
    pairs = [
        (names.index(name), row)
        for row in read_rows(folder)
        if row.split == "val"
        for name in names
        if row.labels.get(name) == 1
    ]
    pairs.sort(key=lambda pair: pair[0])
    cases = []
    for number in np.linspace(0, len(pairs) - 1, min(count, len(pairs))).round().astype(int):
        index, row = pairs[number]
        pixels = read_pixels(row.path)[None]
        batch, record = prepare(pixels, row.spacing_mm, bundle.manifest.input)
        whole = np.ones((pixels.shape[1], pixels.shape[2]), dtype=np.bool_)
        cases.append(_case(names[index], batch[0], record, whole, pixels, None))
    return cases


def phantom_cases(count: int, *, seed: int = 0) -> list[ReleaseCase]:
    """Synthetic slices through each kind of brain tumour, with exact masks, as the network sees them."""
    bundle = find_bundle("brain-mri", installed_bundles())
    cases = []
    for number in range(count):
        finding = bundle.manifest.finding_names[number % 3]
        volume, spacing, masks = arrays("brain-mr", [finding], seed=seed + number, slices=5)
        best = int(masks[finding].sum(axis=(1, 2)).argmax())
        batch, record = prepare(volume[best : best + 1], spacing, bundle.manifest.input)
        mask = record.apply(masks[finding][best].astype(np.float32)) > 0.5
        identity = PixelRecord(source_shape=(mask.shape[0], mask.shape[1]))
        if mask.any():
            cases.append(_case(finding, batch[0], identity, mask, batch[:, 0] + 1, _PHANTOM_SPACING))
    return cases


def _finding(row: Row, bundle: Bundle) -> str:
    """The first outlined finding that the engine knows, a kind before "any"; empty where there is none."""
    known = [name for name, _ in row.outlines if name in bundle.manifest.finding_names and row.labels.get(name) == 1]
    return min(known, key=lambda name: (name.startswith("any-"), known.index(name)), default="")


def _case(
    finding: str,
    image: Image,
    record: PixelRecord,
    mask: NDArray[np.bool_],
    pixels: Image,
    spacing: tuple[float, float] | None,
) -> ReleaseCase:
    top, left, height, width = body_box(pixels)
    centre = (top + height / 2, left + width / 2)
    return ReleaseCase(finding=finding, image=image, record=record, mask=mask, centre=centre, spacing_mm=spacing)
