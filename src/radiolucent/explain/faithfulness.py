"""Whether a map tells the truth about the network: take away what it points at, show only that, move the image.

Forward passes only, any network that is a function of an image; nothing here knows about engines. Whether the map
lies on the lesion is another question (`evaluate.localisation`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.imaging.geometry import Float, resample, resize_matrix

Image = NDArray[np.float32]
Score = Callable[[Image], NDArray[np.floating]]
"""float32 ``(n, rows, columns)`` → ``(n,)``: the network's probability (or score) of the finding."""
Evidence = Callable[[Image], Image]
"""float32 ``(n, rows, columns)`` → float32 ``(n, h, w)``: the network's map of the finding."""


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Score against the share of cells that were blurred away (deletion) or shown (insertion).

    Parameters
    ----------
    shares : ``(steps + 1,)`` from 0 to 1.
    scores : ``(steps + 1,)``.
    """

    shares: Float
    scores: Float

    @property
    def area(self) -> float:
        """Area under the curve, by trapezoids."""
        return float(np.trapezoid(self.scores, self.shares))


@dataclass(frozen=True, kw_only=True)
class Faithfulness:
    """Areas of the map's own order and of random orders of the same cells (mean and standard deviation).

    A faithful map has a deletion area below the random one and an insertion area above it.
    """

    deletion: float
    insertion: float
    random_deletion: tuple[float, float]
    random_insertion: tuple[float, float]


def faithfulness(
    score: Score, image: Image, evidence: Image, *, steps: int = 16, random_orders: int = 4, seed: int = 0
) -> Faithfulness:
    """Deletion and insertion of a map, against random orders of the same cells.

    Without the comparison the areas mean little: they depend on how large the finding is.

    Parameters
    ----------
    score : the network; called once per curve, with ``steps + 1`` images.
    image : float32 ``(rows, columns)``, network input.
    evidence : float32 ``(h, w)``, the map on its own grid.

    Source
    ------
    Petsiuk 2018, arXiv:1806.07421 (deletion, insertion); here blurred both ways, since a black patch is itself a sign.
    """
    order = np.argsort(-evidence.ravel(), kind="stable")
    generator = np.random.default_rng(seed)
    others = [generator.permutation(evidence.size) for _ in range(random_orders)]

    def area(cells: NDArray[np.intp], kind: Literal["deletion", "insertion"]) -> float:
        return curve(score, image, cells.reshape(-1), evidence.shape, kind=kind, steps=steps).area

    random = {kind: [area(cells, kind) for cells in others] for kind in ("deletion", "insertion")}
    return Faithfulness(
        deletion=area(order, "deletion"),
        insertion=area(order, "insertion"),
        random_deletion=(float(np.mean(random["deletion"])), float(np.std(random["deletion"]))),
        random_insertion=(float(np.mean(random["insertion"])), float(np.std(random["insertion"]))),
    )


def curve(
    score: Score,
    image: Image,
    order: NDArray[np.intp],
    grid: tuple[int, ...],
    *,
    kind: Literal["deletion", "insertion"],
    steps: int = 16,
) -> Curve:
    """The score while cells are blurred away, or brought back into a blurred image, in a given order.

    Parameters
    ----------
    order : ``(h * w,)`` indices of the grid's cells, first to go (or to come) first.
    grid : (h, w).

    Raises
    ------
    ValueError
        If `order` isn't a permutation of the grid's cells.
    """
    cells = int(np.prod(grid))
    if not np.array_equal(np.sort(order), np.arange(cells)):
        raise ValueError(f"the order must name each of {cells} cells once")
    rank = np.empty(cells, dtype=np.float32)
    rank[order] = np.arange(cells)
    shape = (image.shape[0], image.shape[1])
    to_grid = resize_matrix(shape, (int(grid[0]), int(grid[1])))
    ranks = resample(rank.reshape(grid), to_grid, shape, mode="nearest", order=0)
    blurred = ndimage.gaussian_filter(image, min(shape) / 16, mode="nearest")
    first, second = (image, blurred) if kind == "deletion" else (blurred, image)
    shares = np.linspace(0, 1, steps + 1)
    batch = np.stack([np.where(ranks < round(share * cells), second, first) for share in shares])
    return Curve(shares=shares, scores=np.asarray(score(batch.astype(np.float32)), dtype=np.float64))


def stability(
    evidence: Evidence, image: Image, *, shifts: Sequence[tuple[int, int]] = ((4, 0), (-4, 0), (0, 4), (0, -4))
) -> float:
    """How much of the map stays the same when the image moves a little, in [0, 1].

    Each shifted image's map is moved back and compared with the map of the image itself (`shared`); the worst shift
    counts. The border that moved in or out is left aside.

    Parameters
    ----------
    shifts : (rows, columns) in pixels of the network's input, each smaller than half of it.
    """
    moved = [np.roll(_padded(image, shift), shift, axis=(0, 1)) for shift in shifts]
    maps = evidence(np.stack([image, *moved]).astype(np.float32))
    here, grid = maps[0], (maps.shape[1], maps.shape[2])
    cell = np.array(image.shape) / grid
    found = []
    for there, shift in zip(maps[1:], shifts, strict=True):
        offset = np.array(shift) / cell
        back = np.array([[1.0, 0.0, offset[0]], [0.0, 1.0, offset[1]], [0.0, 0.0, 1.0]])
        rows, columns = (int(np.ceil(abs(part))) for part in offset)
        inner = (slice(rows, grid[0] - rows), slice(columns, grid[1] - columns))
        found.append(shared(here[inner], resample(there, back, grid, mode="nearest")[inner]))
    return min(found)


def _padded(image: Image, shift: tuple[int, int]) -> Image:
    """The image with the edge that would come in from the other side replaced by its nearest neighbour."""
    out = image.copy()
    for axis, step in enumerate(shift):
        lines = np.moveaxis(out, axis, 0)
        if step > 0:
            lines[-step:] = lines[:1]
        elif step < 0:
            lines[:-step] = lines[-1:]
    return out


def shared(first: Image, second: Image) -> float:
    """Positive evidence that two maps have in common, in [0, 1]: twice the lesser over the sum (Bray–Curtis).

    Amplitude counts: a map half as strong everywhere shares two thirds. Two maps without any evidence share all.

    >>> shared(np.ones((2, 2), dtype=np.float32), 0.5 * np.ones((2, 2), dtype=np.float32))
    0.6666666666666666
    """
    one, two = np.maximum(first, 0).astype(np.float64), np.maximum(second, 0).astype(np.float64)
    total = float(one.sum() + two.sum())
    return 1.0 if total == 0 else float(2 * np.minimum(one, two).sum() / total)
