"""A kept map comes back as it was; a file that isn't what its name says counts as none."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from radiolucent.explain.cache import ExplanationCache
from radiolucent.explain.explanation import METHODS, Explanation
from radiolucent.imaging.geometry import Crop, PixelRecord

DIGEST = "a" * 64


def made(**changes: object) -> Explanation:
    facts: dict[str, object] = {
        "finding": "glioma",
        "method": METHODS["shap"],
        "values": np.arange(4, dtype=np.float32).reshape(2, 2),
        "record": PixelRecord(source_shape=(9, 9), steps=(Crop(top=1, left=0, height=4, width=4),)),
        "frame": 3,
        "logit": 1.5,
        "display_scale": 0.25,
        "expected_sum": 6.5,
        "passes": 12,
        "seconds": 0.5,
        "seed": 7,
        "parameters": {"cells": 2},
        "engine": "brain-mri@0.1.0",
        "digest": DIGEST,
    }
    return Explanation(**{**facts, **changes})  # type: ignore[arg-type]


def test_a_map_comes_back_with_everything_that_was_said_of_it(tmp_path: Path) -> None:
    cache, one = ExplanationCache(tmp_path / "maps"), made()
    cache.put([one])
    back = cache.get(DIGEST)
    assert back is not None
    assert back.from_cache
    assert back.to_json() == one.to_json()
    assert back.missing == pytest.approx(-0.5)


def test_an_unknown_digest_gives_nothing(tmp_path: Path) -> None:
    assert ExplanationCache(tmp_path).get(DIGEST) is None


def test_a_broken_file_or_one_of_another_digest_counts_as_none(tmp_path: Path) -> None:
    cache = ExplanationCache(tmp_path)
    cache.put([made()])
    (tmp_path / f"{'b' * 64}.npz").write_bytes((tmp_path / f"{DIGEST}.npz").read_bytes())
    assert cache.get("b" * 64) is None
    (tmp_path / f"{DIGEST}.npz").write_bytes(b"broken")
    assert cache.get(DIGEST) is None


def test_a_map_without_a_digest_is_not_kept(tmp_path: Path) -> None:
    ExplanationCache(tmp_path).put([made(digest="")])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (np.zeros((2, 2)), "float32"),
        (np.zeros(4, dtype=np.float32), "float32"),
        (np.full((2, 2), np.nan, dtype=np.float32), "no finite numbers"),
    ],
)
def test_a_map_that_is_none_is_refused(values: object, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        made(values=values)


def _aged(folder: Path, *ages_s: float) -> ExplanationCache:
    """A cache with one file of 100 bytes for each age."""
    folder.mkdir()
    for number, age in enumerate(ages_s):
        path = folder / f"{number}.npz"
        path.write_bytes(b"x" * 100)
        os.utime(path, (1000.0 - age, 1000.0 - age))
    return ExplanationCache(folder)


@pytest.mark.parametrize(
    ("before", "most_bytes", "left"),
    [
        (0.0, 10_000, "0123"),
        (985.0, 10_000, "01"),
        (0.0, 250, "01"),
        (0.0, 200, "01"),
        (0.0, 0, ""),
        (2000.0, 10_000, ""),
    ],
)
def test_old_maps_go_first_and_none_that_may_stay(tmp_path: Path, before: float, most_bytes: int, left: str) -> None:
    cache = _aged(tmp_path / "maps", 0, 10, 20, 30)
    assert cache.forget(before=before, most_bytes=most_bytes) == 4 - len(left)
    assert "".join(sorted(path.stem for path in cache.files())) == left


def test_a_cache_that_holds_nothing_forgets_nothing(tmp_path: Path) -> None:
    assert ExplanationCache(tmp_path / "none").forget(before=1e9, most_bytes=0) == 0
