import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the torch extra: make torch")

import torch

from radiolucent.training.recipe import Crops
from radiolucent.training.windows import choose_centres, draw_metal

SIDE = 100


def films(count: int) -> tuple[np.ndarray, np.ndarray]:
    images = np.zeros((count, 1, SIDE, SIDE), dtype=np.uint8)
    images[:, :, :, 60:90] = 200
    outlines = np.zeros((count, SIDE, SIDE), dtype=np.uint8)
    outlines[:, 20:24, 70:74] = 1
    return images, outlines


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_windows_are_laid_near_outlines_and_no_farther_than_the_jitter() -> None:
    images, outlines = films(40)
    centres = choose_centres(images, outlines, Crops(beside=1.0, jitter=5.0), generator())
    assert float((centres - torch.tensor([71.5, 21.5])).abs().max()) <= 7.0


def test_windows_of_films_without_a_finding_lie_on_the_limb() -> None:
    images, outlines = films(40)
    centres = choose_centres(images, np.zeros_like(outlines), Crops(), generator())
    assert float(centres[:, 0].min()) >= 60
    assert float(centres[:, 0].max()) < 90


def test_an_empty_film_gets_a_window_all_the_same() -> None:
    centres = choose_centres(
        np.zeros((2, 1, SIDE, SIDE), np.uint8), np.zeros((2, SIDE, SIDE), np.uint8), Crops(), generator()
    )
    assert bool(((centres >= 0.1 * SIDE) & (centres <= 0.9 * SIDE)).all())


def test_the_same_seed_lays_the_same_windows() -> None:
    images, outlines = films(6)
    first, again = (choose_centres(images, outlines, Crops(), generator(3)) for _ in range(2))
    assert torch.equal(first, again)


def test_metal_is_drawn_into_the_images_said_to_have_it_and_into_no_others() -> None:
    images = torch.full((60, 1, SIDE, SIDE), 0.5)
    images[:, :, 50:, :] = 1.5
    before = images.clone()
    drawn = draw_metal(images, torch.full((60, 2), 50.0), 0.5, generator())
    changed = (images != before).flatten(1).any(dim=1)
    assert torch.equal(changed, drawn)
    assert 15 < int(drawn.sum()) < 45
    assert float(images.max()) <= 1.5 * 1.1


def test_metal_beyond_the_edge_leaves_the_film_as_it_is() -> None:
    images = torch.ones(3, 1, SIDE, SIDE)
    draw_metal(images, torch.full((3, 2), 4000.0), 1.0, generator())
    assert torch.equal(images, torch.ones(3, 1, SIDE, SIDE))
