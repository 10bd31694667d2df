import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.explain.faithfulness import curve, faithfulness, shared, stability

SIDE, GRID = 64, (8, 8)
Image = NDArray[np.float32]


def picture() -> Image:
    """Fine texture all over, so that blurring a cell takes its texture away."""
    return np.asarray(np.random.default_rng(3).normal(size=(SIDE, SIDE)), dtype=np.float32)


def energy(images: Image) -> Image:
    """float32 (n, 8, 8): texture in each cell."""
    return np.asarray((images.reshape(len(images), 8, 8, 8, 8) ** 2).mean(axis=(2, 4)), dtype=np.float32)


def looks_at_a_corner(images: Image) -> Image:
    """A network whose score is the texture in four cells, between 0 and 1."""
    return np.asarray(np.clip(energy(images)[:, 1:3, 5:7].mean(axis=(1, 2)), 0, 1), dtype=np.float32)


TRUE_MAP = np.zeros(GRID, dtype=np.float32)
TRUE_MAP[1:3, 5:7] = 1.0


def test_a_map_of_what_the_network_uses_beats_random_orders_both_ways() -> None:
    found = faithfulness(looks_at_a_corner, picture(), TRUE_MAP)
    assert found.deletion < found.random_deletion[0] - 2 * found.random_deletion[1]
    assert found.insertion > found.random_insertion[0] + 2 * found.random_insertion[1]


def test_a_map_of_what_the_network_ignores_does_worse_than_random() -> None:
    found = faithfulness(looks_at_a_corner, picture(), -TRUE_MAP)
    assert found.deletion > found.random_deletion[0]
    assert found.insertion < found.random_insertion[0]


def test_the_same_seed_gives_the_same_figures() -> None:
    first = faithfulness(looks_at_a_corner, picture(), TRUE_MAP, seed=5)
    assert first == faithfulness(looks_at_a_corner, picture(), TRUE_MAP, seed=5)
    assert first != faithfulness(looks_at_a_corner, picture(), TRUE_MAP, seed=6)


def test_deletion_runs_from_the_image_to_its_blur_and_insertion_back() -> None:
    image = picture()
    ends = looks_at_a_corner(np.stack([image, ndimage.gaussian_filter(image, 4, mode="nearest")]))
    order = np.argsort(-TRUE_MAP.ravel(), kind="stable")
    gone = curve(looks_at_a_corner, image, order, GRID, kind="deletion")
    shown = curve(looks_at_a_corner, image, order, GRID, kind="insertion")
    np.testing.assert_allclose([gone.scores[0], gone.scores[-1]], ends, rtol=1e-5)
    np.testing.assert_allclose([shown.scores[-1], shown.scores[0]], ends, rtol=1e-5)


def test_a_score_that_never_changes_has_its_own_value_as_area() -> None:
    flat = curve(lambda images: np.full(len(images), 0.4), picture(), np.arange(64), GRID, kind="deletion")
    assert flat.area == pytest.approx(0.4)


def test_an_order_that_skips_a_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="each of 64 cells once"):
        curve(looks_at_a_corner, picture(), np.zeros(64, dtype=np.intp), GRID, kind="deletion")


def blob(center: tuple[int, int]) -> Image:
    rows, columns = np.indices((SIDE, SIDE))
    return np.asarray(np.exp(-((rows - center[0]) ** 2 + (columns - center[1]) ** 2) / 80.0), dtype=np.float32)


def follows(images: Image) -> Image:
    """A map that moves with the image: the mean of each cell, on a fine grid."""
    return np.asarray(images.reshape(len(images), 32, 2, 32, 2).mean(axis=(2, 4)), dtype=np.float32)


def stays(images: Image) -> Image:
    """A map that always points at the same place, whatever is shown."""
    return np.repeat(follows(blob((20, 44))[None]), len(images), axis=0)


def test_a_map_that_moves_with_the_image_is_stable() -> None:
    assert stability(follows, blob((30, 34))) > 0.97


def test_a_map_that_stays_behind_is_less_stable() -> None:
    assert stability(stays, blob((30, 34))) < 0.8


def test_a_shift_by_part_of_a_cell_is_moved_back_by_as_much() -> None:
    assert stability(follows, blob((30, 34)), shifts=((3, 1), (-1, 5))) > 0.95


maps = arrays(np.float32, (4, 4), elements=st.floats(-5, 5, width=32))


@given(first=maps, second=maps)
def test_shared_evidence_is_symmetric_and_between_zero_and_one(first: Image, second: Image) -> None:
    assert 0 <= shared(first, second) <= 1
    assert shared(first, second) == shared(second, first)
    assert shared(first, first) == 1


def test_maps_on_different_places_share_nothing_and_empty_ones_everything() -> None:
    one, two = np.zeros((2, 4, 4), dtype=np.float32)
    assert shared(one, two) == 1
    one[0, 0], two[3, 3] = 1, 1
    assert shared(one, two) == 0
