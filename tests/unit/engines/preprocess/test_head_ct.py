import numpy as np
import pytest

from radiolucent.engines.manifest import InputSpec
from radiolucent.engines.preprocess import prepare
from radiolucent.engines.preprocess.head_ct import BRAIN_HU, to_hounsfield
from radiolucent.imaging.geometry import Image

SPEC = InputSpec(recipe="head-ct", height=64, width=64, spacing_mm=4.0)


def a_head(rows: int = 200, columns: int = 200, *, level: float = BRAIN_HU, across: bool = False) -> Image:
    """An ellipse of brain in a ring of bone with a bleed in it, in HU."""
    line, column = np.indices((rows, columns), dtype=np.float32)
    down, wide = (60, 85) if across else (85, 60)
    radius = ((line - rows / 2) / down) ** 2 + ((column - columns / 2) / wide) ** 2
    head = np.full((rows, columns), -1000, dtype=np.float32)
    head[radius < 1] = 1200
    head[radius < 0.85] = level
    head[rows // 2 - 25 : rows // 2 - 10, columns // 2 + 12 : columns // 2 + 27] = level + 30
    return head


def as_picture(head: Image) -> Image:
    """The head as an 8-bit picture of the brain window, 0 to 80 HU."""
    return np.asarray(np.round(np.clip(head, 0, 80) / 80 * 255), dtype=np.float32)


def test_hounsfield_units_and_their_picture_give_the_same_input() -> None:
    head = a_head()
    units, _ = prepare(head[None], (1.0, 1.0), SPEC)
    picture, _ = prepare(as_picture(head)[None], (1.0, 1.0), SPEC)
    np.testing.assert_allclose(units, picture, atol=0.01)


def test_a_window_that_sits_lower_gives_the_same_brain() -> None:
    usual, _ = prepare(as_picture(a_head())[None], (1.0, 1.0), SPEC)
    bright, _ = prepare(as_picture(a_head(level=BRAIN_HU + 14))[None], (1.0, 1.0), SPEC)
    assert abs(float(np.median(usual[0, 0, 24:40, 24:30]) - np.median(bright[0, 0, 24:40, 24:30]))) < 0.02
    assert usual.min() == bright.min() == -1
    assert min(usual.max(), bright.max()) > 0.9


def test_a_head_on_its_side_is_turned_and_its_record_leads_back() -> None:
    head = a_head(across=True)
    batch, record = prepare(head[None], (1.0, 1.0), SPEC)
    shown = batch[0, 0] > -0.9
    assert np.flatnonzero(shown.any(axis=1)).size > np.flatnonzero(shown.any(axis=0)).size
    row, column = np.rint(record.to_target(np.array([82.0, 119.0]))).astype(int)
    assert batch[0, 0, row, column] == pytest.approx((BRAIN_HU + 30) / 40 - 1, abs=0.08)
    np.testing.assert_allclose(record.to_source(record.to_target(np.array([82.0, 119.0]))), (82, 119))


def test_an_upright_head_is_not_turned() -> None:
    _, record = prepare(a_head()[None], (1.0, 1.0), SPEC)
    assert [step.kind for step in record.steps] == ["resize", "crop"]


def test_a_picture_without_spacing_is_taken_to_be_235_mm_wide() -> None:
    known, _ = prepare(a_head()[None], (235 / 200, 235 / 200), SPEC)
    assumed, _ = prepare(a_head()[None], None, SPEC)
    np.testing.assert_array_equal(known, assumed)


def test_a_head_that_fills_its_picture_is_taken_to_be_190_mm_long() -> None:
    tight = a_head()[16:184, 41:159]
    known, _ = prepare(tight[None], (190 / 168, 190 / 168), SPEC)
    assumed, _ = prepare(tight[None], None, SPEC)
    np.testing.assert_allclose(known, assumed, atol=0.15)


def test_stored_values_from_0_beyond_255_are_hounsfield_units_plus_1024() -> None:
    np.testing.assert_array_equal(to_hounsfield(a_head() + 1024), a_head())


def test_a_black_picture_gives_air() -> None:
    batch, _ = prepare(np.zeros((1, 50, 50), dtype=np.float32), None, SPEC)
    assert batch.min() == batch.max() == -1
