"""What is taken away from an image: detail where a sign is detail, a whole shadow where it is breadth."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from radiolucent.explain.deletion import DeletionTable, default_deletion, dimmed, is_dimmed, taken_away
from radiolucent.explain.methods.perturb import blurred
from radiolucent.findings.tables import InvalidTable, read_table

SIDE = 64


def a_broad_shadow() -> tuple[np.ndarray, np.ndarray]:
    """A bright band of a third of the width between dark fields, and the cover of its middle."""
    image = np.zeros((1, SIDE, SIDE), dtype=np.float32)
    image[0, :, 20:44] = 1
    cover = np.zeros((SIDE, SIDE), dtype=bool)
    cover[16:48, 20:44] = True
    return image, cover


def test_a_broad_shadow_outlasts_the_blur_and_not_the_dimming() -> None:
    image, cover = a_broad_shadow()
    middle = (0, slice(24, 40), slice(28, 36))
    assert np.where(cover, blurred(image), image)[middle].min() > 0.9
    assert taken_away(image, cover, "widened-mediastinum")[middle].max() < 0.1


def test_what_is_far_from_the_cover_stays_as_it_is() -> None:
    image, cover = a_broad_shadow()
    for finding in ("widened-mediastinum", "nodule"):
        assert np.array_equal(taken_away(image, cover, finding)[:, :, :8], image[:, :, :8])


def test_other_findings_are_blurred_inside_the_cover_alone() -> None:
    image, cover = a_broad_shadow()
    out = taken_away(image, cover, "nodule")
    assert np.array_equal(out[0][cover], blurred(image)[0][cover])
    assert np.array_equal(out[0][~cover], image[0][~cover])


@pytest.mark.parametrize("fill", [False, True])
def test_without_a_cover_or_without_surroundings_nothing_changes(fill: bool) -> None:
    image, _ = a_broad_shadow()
    assert np.array_equal(dimmed(image, np.full((SIDE, SIDE), fill)), image)


def test_each_channel_takes_its_own_level() -> None:
    image, cover = a_broad_shadow()
    out = dimmed(np.concatenate([image, image + 5]), cover)
    assert out[1] == pytest.approx(out[0] + 5, abs=1e-4)


@given(
    image=hnp.arrays(np.float32, (1, 24, 24), elements=st.floats(0, 1, width=32)),
    cover=hnp.arrays(np.bool_, (24, 24)),
)
@settings(max_examples=40, deadline=None)
def test_nothing_becomes_brighter_than_the_image_or_darker(image: np.ndarray, cover: np.ndarray) -> None:
    out = dimmed(image, cover)
    assert out.dtype == np.float32
    assert image.min() - 1e-5 <= out.min()
    assert out.max() <= image.max() + 1e-5


def test_the_table_names_findings_alone(tmp_path: Path) -> None:
    assert is_dimmed("widened-mediastinum")
    assert not is_dimmed("tension-pneumothorax")
    assert default_deletion().dense
    (tmp_path / "deletion.toml").write_text('version = "1"\nsource = "expert-default"\ndense = ["heart"]\n', "utf-8")
    with pytest.raises(InvalidTable, match="'heart' is no finding"):
        read_table("deletion", DeletionTable, path=tmp_path / "deletion.toml")
