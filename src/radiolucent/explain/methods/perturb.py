"""How an image is hidden in parts and asked about: blurred cells, batched passes, progress, limit, stop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.errors import SetupError
from radiolucent.imaging.geometry import resample, resize_matrix

Image = NDArray[np.float32]
Logits = NDArray[np.float64]
Run = Callable[[Image], NDArray[np.float32]]
"""float32 ``(N, C, H, W)`` → logits ``(N, K)``."""
Progress = Callable[[str, int, int], None]
Cancel = Callable[[], bool]

BATCH = 16
BLUR = 1 / 16  # of the shorter side: hides what is there without drawing an edge or a black patch, itself a sign


class ExplanationStopped(SetupError):
    """An explanation was cancelled, or needed longer than it was given: ask for fewer passes, or for more time."""


@dataclass(kw_only=True)
class Budget:
    """What an explanation may take, and who is told.

    Parameters
    ----------
    passes : forward passes; None takes the method's own number.
    limit_s : wall time; None sets no limit. Looked at between batches.
    progress : called with (method, passes done, passes in all).
    cancel : asked between batches; True stops.
    """

    passes: int | None = None
    limit_s: float | None = None
    progress: Progress | None = None
    cancel: Cancel | None = None
    started: float = field(default_factory=time.perf_counter)

    def check(self, what: str, done: int, total: int) -> None:
        """Tell of the progress, and stop where that is wanted.

        Raises
        ------
        ExplanationStopped
            If `cancel` says so, or the time is over.
        """
        if self.progress is not None:
            self.progress(what, min(done, total), total)
        if self.cancel is not None and self.cancel():
            raise ExplanationStopped(f"{what}: stopped after {done} of {total} passes, as asked")
        if self.limit_s is not None and done < total and time.perf_counter() - self.started > self.limit_s:
            raise ExplanationStopped(
                f"{what}: {done} of {total} passes took the {self.limit_s:g} s that were given; "
                "ask for fewer passes or give more time"
            )


class Hidden:
    """One image under many masks: its logits of all findings where cells are blurred away.

    Parameters
    ----------
    run : the network.
    image : float32 ``(C, H, W)``, network input.
    what : the method's name, for progress.
    passes : how many there will be, for progress.
    """

    def __init__(self, run: Run, image: Image, *, what: str, passes: int, budget: Budget) -> None:
        self._run, self.image, self._what, self._budget = run, image, what, budget
        self.passes, self._done = passes, 0
        self.baseline = blurred(image)

    def __call__(self, masks: NDArray[np.floating], *, smooth: bool = False) -> Logits:
        """Logits ``(n, K)`` under masks ``(n, h, w)`` over the whole image: 0 shows, 1 hides.

        Parameters
        ----------
        smooth : bilinear between cell centres, else each cell by itself.
        """
        return np.concatenate([self._part(part, smooth) for part in _parts(masks)])

    def ends(self) -> Logits:
        """Logits ``(2, K)`` of the image and of its blur."""
        return self(np.stack([np.zeros((1, 1)), np.ones((1, 1))]))

    @property
    def done(self) -> int:
        """Images that went through the network."""
        return self._done

    def _part(self, masks: NDArray[np.floating], smooth: bool) -> Logits:
        self._budget.check(self._what, self._done, self.passes)
        shape = (self.image.shape[1], self.image.shape[2])
        to_cells = resize_matrix(shape, (masks.shape[1], masks.shape[2]))
        cover = resample(masks.astype(np.float32), to_cells, shape, mode="nearest", order=1 if smooth else 0)[:, None]
        logits = self._run((self.image * (1 - cover) + self.baseline * cover).astype(np.float32))
        self._done += len(masks)
        self._budget.check(self._what, self._done, self.passes)
        return logits.astype(np.float64)


def blurred(image: Image) -> Image:
    """The image ``(C, H, W)`` without its detail: what every perturbation method here compares with."""
    sigma = min(image.shape[1:]) * BLUR
    return ndimage.gaussian_filter(image, (0, sigma, sigma), mode="nearest")


def _parts(masks: NDArray[np.floating]) -> Iterator[NDArray[np.floating]]:
    for first in range(0, len(masks), BATCH):
        yield masks[first : first + BATCH]


def to_cells(pixels: NDArray[np.floating], grid: tuple[int, int]) -> NDArray[np.float32]:
    """Sum a map ``(H, W)`` over the cells of a grid ``(h, w)``; the sum of all stays the same.

    >>> to_cells(np.ones((4, 4)), (2, 2)).tolist()
    [[4.0, 4.0], [4.0, 4.0]]
    """
    rows = (np.arange(pixels.shape[0]) * grid[0]) // pixels.shape[0]
    columns = (np.arange(pixels.shape[1]) * grid[1]) // pixels.shape[1]
    out = np.zeros(grid)
    np.add.at(out, (rows[:, None], columns[None, :]), pixels)
    return out.astype(np.float32)
