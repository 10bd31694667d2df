"""Slices become a volume and its map becomes slices again, so that the mean over slices is the mean over the volume."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.engines.manifest import Manifest
from radiolucent.engines.volumes import overlap, to_slices, to_volume


def manifest(pooling: str = "mean") -> Manifest:
    return Manifest.model_validate(
        {
            "name": "volumes",
            "version": "0.1.0",
            "title": "v",
            "summary": "v",
            "licence": "x",
            "study_rule": "volume",
            "findings": [{"name": "mass", "basis": "real", "display_scale": 1.0, "bias": 0.25}],
            "input": {"recipe": "grey", "height": 4, "width": 4, "depth": 6},
            "head": {"pooling": pooling, "grid": [2, 2], "depth": 3},
            "scope": {"modalities": ["CT"], "limits": []},
        }
    )


@given(st.integers(1, 40), st.integers(1, 40))
def test_every_part_is_shared_out_whole(source: int, target: int) -> None:
    shares = overlap(source, target)
    assert shares.shape == (target, source)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-9)
    np.testing.assert_allclose(shares.mean(axis=0), 1 / source, atol=1e-9)


def test_as_many_slices_as_planes_stay_as_they_are() -> None:
    slices = np.random.default_rng(0).standard_normal((6, 2, 4, 5)).astype(np.float32)
    np.testing.assert_array_equal(to_volume(slices, 6), slices.transpose(1, 0, 2, 3)[None])


@given(st.integers(1, 12))
def test_the_mean_over_the_slices_is_the_volumes_logit(count: int) -> None:
    evidence = np.random.default_rng(1).standard_normal((1, 1, 3, 2, 2)).astype(np.float32)
    logits = evidence.mean(axis=(2, 3, 4)) + np.float32(0.25)
    shared, maps = to_slices(logits, evidence, count, manifest())
    assert (shared.shape, maps.shape) == ((count, 1), (count, 1, 2, 2))
    np.testing.assert_allclose(shared.mean(axis=0), logits[0], atol=1e-5)
    np.testing.assert_allclose(maps.mean(axis=(2, 3)) + 0.25, shared, atol=1e-5)


def test_a_map_that_does_not_add_up_is_seen_slice_by_slice() -> None:
    evidence = np.ones((1, 1, 3, 2, 2), dtype=np.float32)
    shared, maps = to_slices(np.array([[3.25]], dtype=np.float32), evidence, 5, manifest())
    np.testing.assert_allclose(shared - (maps.mean(axis=(2, 3)) + 0.25), 2.0, atol=1e-6)


def test_behind_a_map_of_first_order_every_slice_has_the_volumes_logit() -> None:
    evidence = np.random.default_rng(2).standard_normal((1, 1, 3, 2, 2)).astype(np.float32)
    shared, _ = to_slices(np.array([[0.5]], dtype=np.float32), evidence, 4, manifest("gradient"))
    assert shared.tolist() == [[0.5]] * 4


@pytest.mark.parametrize("part", ["input", "head", "study_rule"])
def test_a_manifest_that_is_a_volume_in_parts_only_is_refused(part: str, tmp_path: Path) -> None:
    values = manifest().model_dump()
    if part == "study_rule":
        values[part] = "image"
    else:
        values[part]["depth"] = None
    with pytest.raises(ValueError, match="belong together"):
        Manifest.model_validate(values)
