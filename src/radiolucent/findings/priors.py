"""Where a finding usually lies: prior maps in coordinates of the body, and how well the evidence agrees with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.imaging.body import Box
from radiolucent.imaging.geometry import map_points
from radiolucent.imaging.heatmap import Heatmap

PRIOR_SHAPE = (32, 32)
Prior = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How much of the positive evidence lies where it may be expected; all shares in [0, 1].

    Parameters
    ----------
    value : share inside the body *and* where the prior reaches its threshold.
    in_body : share inside the body's box.
    in_tissue : share inside the lung fields or in bone, where the finding belongs there and they were found.
    """

    value: float
    in_body: float
    in_tissue: float | None = None


def agreement(heatmap: Heatmap, prior: Prior, box: Box, *, threshold: float = 0.05) -> Agreement | None:
    """Share of the drawn evidence that lies inside the body and where the prior is at or above `threshold`.

    Evidence counts from the display floor up, weighted by its size, on all frames. Each cell of the grid stands for
    its centre; half a cell of tolerance is given at the border of the body.

    Parameters
    ----------
    heatmap : evidence in logit units on ``(frames, h, w)``.
    prior : float32 ``(rows, columns)`` or ``(slices, rows, columns)``, over the body's box, largest value 1;
        slices follow the frames of the series from first to last.
    box : (top, left, height, width) of the body in pixels of the source frames, as `imaging.body.body_box` gives it.

    Returns
    -------
    None where no cell reaches the display floor: there is nothing that could agree.

    Raises
    ------
    ValueError
        If the prior isn't 2-D or 3-D or the box is empty.
    """
    if prior.ndim not in (2, 3) or min(prior.shape) < 1:
        raise ValueError(f"prior must be (rows, columns) or (slices, rows, columns), not {prior.shape}")
    if min(box[2:]) <= 0:
        raise ValueError(f"the body's box must not be empty, not {box}")
    drawn = np.where(heatmap.evidence >= heatmap.floor * heatmap.display_scale, heatmap.evidence, np.float32(0))
    total = float(drawn.sum(dtype=np.float64))
    if total <= 0:
        return None
    frames, rows, columns = np.nonzero(drawn)
    weights = drawn[frames, rows, columns].astype(np.float64)
    relative, margin = _in_box(heatmap, np.stack([rows, columns], axis=-1).astype(np.float64), box)
    inside = ((relative >= -margin) & (relative <= 1 + margin)).all(axis=-1)
    depth = frames / max(len(heatmap.evidence) - 1, 1)
    usual = _look_up(prior, depth, relative) >= threshold
    in_body = float((weights * inside).sum() / weights.sum())
    return Agreement(value=min(float((weights * (inside & usual)).sum() / weights.sum()), in_body), in_body=in_body)


def inside(heatmap: Heatmap, mask: NDArray[np.bool_]) -> float | None:
    """Share of the drawn evidence that lies in a mask, with half a cell of tolerance at its edge.

    Parameters
    ----------
    mask : bool ``(rows, columns)``, in pixels of the source frames.

    Returns
    -------
    None where no cell reaches the display floor.
    """
    drawn = np.where(heatmap.evidence >= heatmap.floor * heatmap.display_scale, heatmap.evidence, np.float32(0))
    if not float(drawn.sum(dtype=np.float64)) > 0:
        return None
    _, rows, columns = np.nonzero(drawn)
    to_source = heatmap.record.grid_to_source(heatmap.grid)
    half = float(np.abs(to_source[:2, :2]).sum(axis=1).max()) / 2
    near = ndimage.distance_transform_edt(~mask) <= half if mask.any() else np.zeros_like(mask)
    places = np.rint(map_points(to_source, np.stack([rows, columns], axis=-1).astype(np.float64))).astype(int)
    places = np.clip(places, 0, np.array(mask.shape) - 1)
    weights = drawn[np.nonzero(drawn)].astype(np.float64)
    return float((weights * near[places[:, 0], places[:, 1]]).sum() / weights.sum())


def learn_prior(
    outlines: Iterable[NDArray[np.bool_]], boxes: Sequence[Box], *, shape: tuple[int, int] = PRIOR_SHAPE
) -> Prior:
    """A prior map from outlines of known lesions: how often each place of the body's box was covered, largest value 1.

    Parameters
    ----------
    outlines : bool ``(rows, columns)``, one per lesion.
    boxes : the body's box in each of those images.

    Returns
    -------
    float32 of `shape`; smoothed by one cell, so that a few lesions don't leave holes. All 0 without any lesion.
    """
    total = np.zeros(shape, dtype=np.float64)
    for outline, (top, left, height, width) in zip(outlines, boxes, strict=True):
        rows = np.clip(top + (np.arange(shape[0]) + 0.5) / shape[0] * height, 0, outline.shape[0] - 1).astype(int)
        columns = np.clip(left + (np.arange(shape[1]) + 0.5) / shape[1] * width, 0, outline.shape[1] - 1).astype(int)
        total += outline[np.ix_(rows, columns)]
    smooth = ndimage.uniform_filter(total, 3, mode="nearest")
    largest = float(smooth.max())
    return (smooth / largest if largest > 0 else smooth).astype(np.float32)


def _in_box(heatmap: Heatmap, cells: NDArray[np.float64], box: Box) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Cells (row, column) as fractions of the body's box, and half a cell in the same units."""
    to_source = heatmap.record.grid_to_source(heatmap.grid)
    corner, size = np.array(box[:2], dtype=np.float64), np.array(box[2:], dtype=np.float64)
    relative = (map_points(to_source, cells) + 0.5 - corner) / size
    half: NDArray[np.float64] = np.abs(to_source[:2, :2]).sum(axis=1) / 2 / size
    return relative, half


def _look_up(prior: Prior, depth: NDArray[np.float64], relative: NDArray[np.float64]) -> Prior:
    """The prior's cell at each place; places beyond the box take the nearest cell."""
    stack = prior if prior.ndim == 3 else prior[None]
    places = np.column_stack([depth, relative])
    sizes = np.array(stack.shape)
    index = np.clip((places * sizes).astype(np.int64), 0, sizes - 1)
    values: Prior = stack[index[:, 0], index[:, 1], index[:, 2]]
    return values
