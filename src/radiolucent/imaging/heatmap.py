"""A heatmap: raw signed evidence on the network's own grid, with everything needed to place and draw it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from radiolucent.imaging.geometry import Float, Image, PixelRecord, map_points, resample


@dataclass(frozen=True, kw_only=True, eq=False)
class Heatmap:
    """One finding's evidence on the frames of one stack.

    Parameters
    ----------
    evidence : float32 ``(frames, h, w)``, logit units, signed: what the graph's ``evidence`` output held.
    record : frame pixels → network input; the grid covers the whole network input.
    display_scale : evidence (logit units) at which the colour scale ends; fixed per engine version and finding,
        never per image, so that the map of an absent finding looks empty.
    floor : share of `display_scale` under which nothing is drawn.

    Warning
    -------
    Never stretch a map to its own minimum and maximum: it would make an absent finding look present.
    """

    evidence: NDArray[np.float32]
    record: PixelRecord
    display_scale: float
    floor: float = 0.3

    def __post_init__(self) -> None:
        if self.evidence.ndim != 3 or self.evidence.dtype != np.float32:
            raise ValueError(
                f"evidence must be float32 (frames, h, w), not {self.evidence.dtype} {self.evidence.shape}"
            )
        if not self.display_scale > 0:
            raise ValueError(f"display_scale must be positive, not {self.display_scale}")
        if not 0 <= self.floor < 1:
            raise ValueError(f"floor must lie in [0, 1), not {self.floor}")

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w) cells."""
        return self.evidence.shape[1], self.evidence.shape[2]

    @cached_property
    def frame_peaks(self) -> NDArray[np.float32]:
        """float32 ``(frames,)``: the largest evidence of each frame, logit units."""
        peaks: NDArray[np.float32] = self.evidence.max(axis=(1, 2))
        return peaks

    @property
    def peak_frame(self) -> int:
        """Index of the frame that holds the largest evidence."""
        return int(np.argmax(self.frame_peaks))

    @property
    def empty(self) -> bool:
        """True where no cell reaches the display floor: "no focus above threshold"."""
        return bool(self.frame_peaks.max() < self.floor * self.display_scale)

    def peak_pixel(self, frame: int, near: tuple[int, int] | None = None) -> Float:
        """Where the evidence is largest, between the cells: float64 (row, column) in source pixels, inside the image.

        The strongest cell, moved to the top of a parabola through its neighbours along each axis, by half a cell at
        most; across the grid's edge it isn't moved.

        Parameters
        ----------
        near : (row, column) of a cell: the strongest of it and its eight neighbours instead of the whole frame's.
        """
        grid = self.evidence[frame]
        top, left = (max(near[0] - 1, 0), max(near[1] - 1, 0)) if near else (0, 0)
        around = grid[top : near[0] + 2, left : near[1] + 2] if near else grid
        row, column = (int(index) for index in np.unravel_index(int(around.argmax()), around.shape))
        row, column = top + row, left + column
        place = np.array([row + _top(grid[:, column], row), column + _top(grid[row], column)])
        last = np.array(self.record.source_shape) - 0.5
        return np.clip(map_points(self.record.grid_to_source(self.grid), place), -0.5, last)

    def _repr_png_(self) -> bytes:
        """The peak frame's map on its own grid, for a notebook: colours on the fixed scale, nothing below the floor."""
        import io

        from cmap import Colormap
        from PIL import Image as Pillow

        shares = self.relative(self.peak_frame)
        colours = np.asarray(Colormap("inferno")(shares), dtype=np.float64)[..., :3]
        drawn = np.where((shares >= self.floor)[..., None], colours, 0.08)
        cell = max(1, 240 // max(self.grid))
        large = np.kron(np.rint(drawn * 255).astype(np.uint8), np.ones((cell, cell, 1), dtype=np.uint8))
        buffer = io.BytesIO()
        Pillow.fromarray(large).save(buffer, format="PNG")
        return buffer.getvalue()

    def relative(self, frame: int) -> Image:
        """float32 ``(h, w)`` in [0, 1]: positive evidence over the fixed scale, on the grid."""
        shares: Image = np.clip(self.evidence[frame] / np.float32(self.display_scale), 0, 1).astype(np.float32)
        return shares

    def at_pixels(self, frame: int) -> Image:
        """float32 ``(rows, columns)`` of the source frame: evidence in logit units, bilinear between cell centres.

        Pixels that the network never saw (outside its crop) are 0.
        """
        rows, columns = self.record.source_shape
        to_grid = np.linalg.inv(self.record.grid_to_source(self.grid)).astype(np.float64)
        # edge cells reach to the border of the input: take the nearest cell there, then blank what lies outside it
        drawn = resample(self.evidence[frame], to_grid, (rows, columns), mode="nearest")
        return np.where(self.record.seen, drawn, np.float32(0)).astype(np.float32)


def _top(line: NDArray[np.float32], index: int) -> float:
    """Where the parabola through three neighbours has its top, in cells from the middle one; 0 at an edge."""
    if not 0 < index < len(line) - 1:
        return 0.0
    before, middle, after = (float(value) for value in line[index - 1 : index + 2])
    bend = before - 2 * middle + after
    return float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0
