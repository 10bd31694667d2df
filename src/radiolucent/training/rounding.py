"""Images in few bytes where exact ones don't fit: cosine transform of 8 × 8 pixels, rounded to steps.

Needs only numpy, as a pack must be read on a machine that has nothing else. The rounding is that of JPEG with one
step for all frequencies, twice as coarse at the finest.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_SIDE: Final = 8
_AT_ONCE: Final = 64


def round_images(images: NDArray[np.uint8], step: float) -> NDArray[np.int16]:
    """Coefficients of uint8 ``(N, C, S, S)``, int16 ``(64, N, C, blocks, blocks)``, low frequencies first.

    Parameters
    ----------
    step : grey values, above 0. A coefficient is off by half of it, one of the finest waves by all of it; so the root
        mean square error of a block is `step` at most.

    Source
    ------
    ITU-T T.81 (JPEG), annex A.3.3: the orthonormal cosine transform of 8 × 8 samples.
    """
    parts = []
    for start in range(0, len(images), _AT_ONCE):
        blocks = _blocks(images[start : start + _AT_ONCE].astype(np.float32) - 128)
        found = np.einsum("ua,ncyaxb,vb->uvncyx", _BASIS, blocks, _BASIS, optimize=True)
        parts.append(np.rint(found / (step * _COARSER[:, :, None, None, None, None])).astype(np.int16))
    whole = np.concatenate(parts, axis=2)
    return np.ascontiguousarray(whole.reshape(_SIDE * _SIDE, *whole.shape[2:])[_ORDER])


def images_of(coefficients: NDArray[np.int16], step: float, side: int) -> NDArray[np.uint8]:
    """What `round_images` made with `step`, as uint8 ``(N, C, side, side)`` again; `side` in pixels."""
    placed = np.empty_like(coefficients)
    placed[_ORDER] = coefficients
    placed = placed.reshape(_SIDE, _SIDE, *coefficients.shape[1:])
    parts = []
    for start in range(0, placed.shape[2], _AT_ONCE):
        scaled = placed[:, :, start : start + _AT_ONCE] * (step * _COARSER[:, :, None, None, None, None])
        blocks = np.einsum("ua,uvncyx,vb->ncyaxb", _BASIS, scaled.astype(np.float32), _BASIS, optimize=True)
        count, channels, rows, _, columns, _ = blocks.shape
        flat = blocks.reshape(count, channels, rows * _SIDE, columns * _SIDE)[:, :, :side, :side]
        parts.append(np.clip(np.rint(flat + 128), 0, 255).astype(np.uint8))
    return np.concatenate(parts)


def _blocks(images: NDArray[np.float32]) -> NDArray[np.float32]:
    count, channels, side, _ = images.shape
    more = -side % _SIDE
    padded = np.pad(images, ((0, 0), (0, 0), (0, more), (0, more)), mode="edge")
    cells = (side + more) // _SIDE
    return padded.reshape(count, channels, cells, _SIDE, cells, _SIDE)


def _basis() -> NDArray[np.float32]:
    """Orthonormal cosines, ``(frequency, pixel)``."""
    frequency, pixel = np.mgrid[:_SIDE, :_SIDE]
    waves = np.cos(np.pi * frequency * (2 * pixel + 1) / (2 * _SIDE)) * np.sqrt(2 / _SIDE)
    waves[0] /= np.sqrt(2)
    return np.asarray(waves, dtype=np.float32)


_BASIS: Final = _basis()
_SUMS: Final = np.add.outer(np.arange(_SIDE), np.arange(_SIDE))
_COARSER: Final = (1 + _SUMS / (2 * _SIDE - 2)).astype(np.float32)
_ORDER: Final = np.argsort(_SUMS.ravel(), kind="stable")
