"""How what a map points at is taken away, to see whether the score falls: detail is blurred, a broad shadow dimmed.

Blurring leaves a broad shadow as broad as it was: where the sign is the width or size of something dense, that part is
given the level of its darker surroundings instead.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray
from pydantic import model_validator
from scipy import ndimage

from radiolucent.explain.methods.perturb import blurred
from radiolucent.findings.tables import SourceKey, TableModel, read_table
from radiolucent.findings.taxonomy import FINDINGS

Image = NDArray[np.float32]
DIMMED = "a broad shadow, given the level of its darker surroundings"
_EDGE, _GAP, _RING = 1 / 56, 1 / 112, 1 / 11  # of the shorter side
_DARKER = 20  # percentile of the surroundings


class DeletionTable(TableModel):
    """Which findings are a matter of how broad something dense is; all others are blurred."""

    version: str
    dense: tuple[str, ...]
    source: SourceKey

    @model_validator(mode="after")
    def _knows_every_finding(self) -> DeletionTable:
        unknown = sorted(set(self.dense) - set(FINDINGS))
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no finding of the taxonomy")
        return self


@cache
def default_deletion() -> DeletionTable:
    """The packaged table."""
    return read_table("deletion", DeletionTable)


def is_dimmed(finding: str) -> bool:
    """Whether a finding's place is dimmed instead of blurred.

    >>> is_dimmed("widened-mediastinum"), is_dimmed("nodule")
    (True, False)
    """
    return finding in default_deletion().dense


def taken_away(image: Image, cover: NDArray[np.bool_], finding: str) -> Image:
    """The image without what the map of a finding points at.

    Parameters
    ----------
    image : float32 ``(C, H, W)``, network input.
    cover : bool ``(H, W)``, what is coloured.

    Returns
    -------
    float32 ``(C, H, W)``; the image itself where nothing is covered.
    """
    if is_dimmed(finding):
        return dimmed(image, cover)
    return np.where(cover[None], blurred(image), image).astype(np.float32)


def dimmed(image: Image, cover: NDArray[np.bool_]) -> Image:
    """The covered part at the darker level of a ring around it, in each channel, with a soft edge.

    Parameters
    ----------
    image : float32 ``(C, H, W)``; brighter is denser.
    cover : bool ``(H, W)``.

    Returns
    -------
    float32 ``(C, H, W)``; the image itself where the cover is empty or leaves no surroundings.
    """
    side = min(cover.shape)
    edge, gap, ring = (max(1, round(part * side)) for part in (_EDGE, _GAP, _RING))
    around = ndimage.binary_dilation(cover, iterations=ring) & ~ndimage.binary_dilation(cover, iterations=gap)
    if not around.any():
        return image
    soft = ndimage.gaussian_filter(cover.astype(np.float32), edge)
    levels = np.percentile(image[:, around], _DARKER, axis=1).astype(np.float32)
    return np.asarray(image * (1 - soft) + levels[:, None, None] * soft, dtype=np.float32)
