"""Where windows of large films are laid for training, and the metal drawn into some of them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from radiolucent.training.recipe import Crops

# share of an 8-bit image's range above which a pixel is part of a limb rather than of air
_LIMB = 0.3
_TRIES = 20


def choose_centres(
    images: NDArray[np.uint8], outlines: NDArray[np.integer], crops: Crops, random: torch.Generator
) -> Tensor:
    """Middle of one window per film: near one of its outlines, or somewhere on the limb.

    Parameters
    ----------
    images : uint8 ``(N, C, S, S)``
    outlines : ``(N, S, S)``, not 0 inside an outline.

    Returns
    -------
    float32 ``(N, 2)``, (column, row) in pixels of the images.
    """
    draw = _numpy_generator(random)
    side = images.shape[-1]
    centres = np.empty((len(images), 2), dtype=np.float32)
    for index, (image, outline) in enumerate(zip(images, outlines, strict=True)):
        inside = np.argwhere(outline > 0)
        if len(inside) and draw.random() < crops.beside:
            line, column = inside[draw.integers(len(inside))]
            shift = draw.uniform(-crops.jitter, crops.jitter, size=2)
            centres[index] = (column + shift[0], line + shift[1])
            continue
        tries = draw.integers(0, side, size=(_TRIES, 2))
        bright = np.flatnonzero(image[0, tries[:, 0], tries[:, 1]] > 255 * _LIMB)
        line, column = tries[bright[0] if len(bright) else 0]
        centres[index] = (column, line)
    return torch.from_numpy(np.clip(centres, 0.1 * side, 0.9 * side))


def draw_metal(images: Tensor, centres: Tensor, share: float, random: torch.Generator) -> Tensor:
    """Draw a plate with screws, a nail or wires into some images, in place.

    Parameters
    ----------
    images : float32 ``(N, C, S, S)``, air 0.
    centres : float32 ``(N, 2)``, (column, row): the metal is laid near them.

    Returns
    -------
    bool ``(N,)``: True where metal was drawn.
    """
    draw = _numpy_generator(random)
    chosen = draw.random(len(images)) < share
    for index in np.flatnonzero(chosen):
        metal = torch.from_numpy(_metal(images.shape[-1], centres[index].numpy(), draw))
        level = float(images[index].max()) * draw.uniform(0.85, 1.1)
        images[index] = torch.lerp(images[index], torch.full_like(images[index], level), metal)
    return torch.from_numpy(chosen)


def _metal(side: int, centre: NDArray[np.float32], draw: np.random.Generator) -> NDArray[np.float32]:
    """Cover of the metal, float32 ``(side, side)``."""
    cover = np.zeros((side, side), dtype=np.float32)
    angle, length = draw.uniform(0, np.pi), draw.uniform(50, 220)
    along = np.array([np.cos(angle), np.sin(angle)])
    across = np.array([-along[1], along[0]])
    middle = centre + draw.uniform(-50, 50, size=2)

    def line(start: NDArray[np.floating], end: NDArray[np.floating], width: float) -> None:
        _line(cover, start, end, width)

    kind = draw.choice(["plate", "nail", "wires"])
    if kind == "plate":
        line(middle - along * length / 2, middle + along * length / 2, draw.uniform(5, 12))
        reach = draw.uniform(10, 34)
        for place in np.linspace(-0.45, 0.45, int(draw.integers(3, 9))):
            start = middle + along * length * place
            line(start, start + across * reach * draw.uniform(0.7, 1.2), draw.uniform(2, 4))
    elif kind == "nail":
        line(middle - along * length / 2, middle + along * length / 2, draw.uniform(6, 14))
        for place in draw.uniform(-0.48, 0.48, size=2):
            start = middle + along * length * place
            line(start - across * 15, start + across * 15, 3)
    else:
        for _ in range(int(draw.integers(1, 4))):
            turn = angle + draw.normal(0, 0.4)
            way = np.array([np.cos(turn), np.sin(turn)]) * length / 3
            line(middle - way, middle + way, draw.uniform(1.5, 3))
    return np.asarray(cover * draw.uniform(0.75, 1.0), dtype=np.float32)


def _line(cover: NDArray[np.float32], start: NDArray[np.floating], end: NDArray[np.floating], width: float) -> None:
    """Add a line with soft edges; `start` and `end` are (column, row)."""
    low = np.clip(np.floor(np.minimum(start, end) - width), 0, len(cover)).astype(int)
    high = np.clip(np.ceil(np.maximum(start, end) + width) + 1, 0, len(cover)).astype(int)
    columns, rows = np.arange(low[0], high[0])[None, :] - start[0], np.arange(low[1], high[1])[:, None] - start[1]
    way = end - start
    along = np.clip((columns * way[0] + rows * way[1]) / max(float(way @ way), 1e-6), 0, 1)
    away = np.hypot(columns - along * way[0], rows - along * way[1])
    part = cover[low[1] : high[1], low[0] : high[0]]
    np.maximum(part, np.clip((width / 2 - away) / 1.5 + 0.5, 0, 1), out=part, casting="same_kind")


def _numpy_generator(random: torch.Generator) -> np.random.Generator:
    return np.random.default_rng(int(torch.randint(2**62, (1,), generator=random)))
