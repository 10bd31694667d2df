"""Stability under small shifts and noise, with networks that are stable, nervous or blind by construction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from radiolucent.findings.stability import map_similarity, stability

Outputs = tuple[NDArray[np.float32], NDArray[np.float32]]
IMAGE = np.zeros((1, 64, 64), dtype=np.float32)
IMAGE[0, 20:36, 24:40] = 1.0


def averaging(images: NDArray[np.float32]) -> Outputs:
    """Evidence is the mean brightness of each 8 x 8 block: it follows a shift."""
    evidence = 8 * images.reshape(len(images), 1, 8, 8, 8, 8).mean(axis=(3, 5))
    return evidence.mean(axis=(2, 3)), evidence.astype(np.float32)


def nervous(images: NDArray[np.float32]) -> Outputs:
    """The map jumps with each image of the batch."""
    logits, evidence = averaging(images)
    return logits, np.stack([np.roll(part, 3 * index, axis=-1) for index, part in enumerate(evidence)])


def moody(images: NDArray[np.float32]) -> Outputs:
    """The map stays, the score changes its mind."""
    logits, evidence = averaging(images)
    return logits * 0 + np.array([4.0, -4.0, 4.0, 4.0][: len(images)], dtype=np.float32)[:, None], evidence


def test_a_network_that_follows_the_image_is_stable() -> None:
    assert stability(averaging, IMAGE, 0, grid=(8, 8)) > 0.8


def test_a_map_that_jumps_is_not_stable() -> None:
    assert stability(nervous, IMAGE, 0, grid=(8, 8)) < 0.3


def test_a_score_that_changes_its_mind_is_not_stable() -> None:
    assert stability(moody, IMAGE, 0, grid=(8, 8)) == pytest.approx(
        1 - (1 / (1 + np.exp(-4)) - 1 / (1 + np.exp(4))), abs=1e-6
    )


def test_the_same_seed_gives_the_same_number() -> None:
    assert stability(averaging, IMAGE, 0, grid=(8, 8), seed=3) == stability(averaging, IMAGE, 0, grid=(8, 8), seed=3)


@given(
    first=arrays.arrays(np.float32, (6, 6), elements=st.floats(-5, 5, width=32)),
    second=arrays.arrays(np.float32, (6, 6), elements=st.floats(-5, 5, width=32)),
)
def test_similarity_is_a_share_the_same_both_ways_and_1_for_the_same_map(
    first: NDArray[np.float32], second: NDArray[np.float32]
) -> None:
    there = map_similarity(first, second)
    assert 0 <= there <= 1 + 1e-6
    assert there == pytest.approx(map_similarity(second, first), abs=1e-5)
    assert map_similarity(first, first) == pytest.approx(1)


def test_maps_that_share_nothing_have_no_similarity() -> None:
    left, right = np.zeros((2, 16, 16), dtype=np.float32)
    left[:, 5:7] = 1
    right[:, 11:13] = 1
    assert map_similarity(left, right) < 0.01
    assert map_similarity(left * 0, right * 0) == 1.0
    assert map_similarity(left, right, (0.0, -6.0)) > 0.9
