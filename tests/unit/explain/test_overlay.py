import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from radiolucent.explain.legend import band_height, colours
from radiolucent.explain.localize import localise
from radiolucent.explain.overlay import burned_in, edge_letters, overlay, plain, png
from radiolucent.findings.reading import Localisation
from radiolucent.imaging.geometry import Crop, ImagePlane, PixelRecord, Resize
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Frame

SHAPE = (256, 256)
RECORD = PixelRecord(source_shape=SHAPE, steps=(Resize(height=160, width=160),))
WORDS: dict[str, Any] = {"finding_label": "Glioma", "engine_label": "brain-mri@1.0.0"}
GREY = np.full(SHAPE, 100, dtype=np.uint8)


def heatmap(peak: float, *, record: PixelRecord = RECORD, frames: int = 1, at: tuple[int, int] = (6, 6)) -> Heatmap:
    rows, columns = np.indices((20, 20))
    shape = np.exp(-((rows - at[0]) ** 2 + (columns - at[1]) ** 2) / 4.0)
    return Heatmap(
        evidence=np.repeat(peak * shape[None], frames, axis=0).astype(np.float32), record=record, display_scale=4.0
    )


def located(shown: Heatmap, *, spacing_mm: float | None = None) -> Localisation:
    frames = [Frame(sop_class_uid="1", sop_instance_uid=str(index)) for index in range(len(shown.evidence))]
    return localise(shown, frames, slice_spacing_mm=spacing_mm)


def chroma(picture: NDArray[np.uint8]) -> NDArray[np.int64]:
    """How far each pixel is from grey."""
    return np.asarray(np.ptp(picture.astype(np.int64), axis=2))


def draw(shown: Heatmap, grey: NDArray[np.uint8] = GREY, **options: Any) -> NDArray[np.uint8]:
    """The anatomy part of the burned-in picture, legend aside."""
    picture = burned_in(grey, shown, 0, located(shown), **WORDS, **options)
    return picture[: -band_height((grey.shape[0], grey.shape[1]))]


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0, 0.299))
def test_a_map_under_the_floor_leaves_the_image_as_it_is(share: float) -> None:
    picture = draw(heatmap(share * 4.0))
    assert (picture == 100).all()


def test_what_lies_under_the_floor_is_not_coloured_beside_a_focus() -> None:
    shown = heatmap(4.0)
    faint = shown.at_pixels(0)[: 256 - band_height(SHAPE)] < 0.25 * 4.0
    assert (draw(shown, style="heat")[faint] == 100).all()


def test_the_same_evidence_looks_the_same_whatever_the_rest_of_the_map_holds() -> None:
    alone, crowded = heatmap(2.0), heatmap(2.0)
    crowded.evidence[0, 1:3, 15:18] = 9.0
    part = (slice(40, 140), slice(30, 130))
    np.testing.assert_array_equal(
        burned_in(GREY, alone, 0, located(alone), **WORDS)[part],
        burned_in(GREY, crowded, 0, located(alone), **WORDS)[part],
    )


def test_more_evidence_is_shown_with_more_opacity() -> None:
    textured = np.tile(np.array([[60, 140]], dtype=np.uint8), (256, 128))
    contrasts = []
    for peak in (1.4, 2.4, 4.0):
        picture = draw(heatmap(peak), textured).astype(float)
        contrasts.append(float(np.abs(np.diff(picture[82:86, 82:86, 1], axis=1)).mean()))
    assert 80 > contrasts[0] > contrasts[1] > contrasts[2] > 20, "anatomy shows through even at the peak"


def test_colour_comes_from_the_upper_part_of_the_map() -> None:
    assert colours("inferno")[0].max() > 80, "the darkest quarter would look like a lucency"


def test_the_contour_is_drawn_in_full_opacity_with_a_dark_halo() -> None:
    picture = draw(heatmap(4.0), style="contour")
    assert (picture == colours("inferno")[-1]).all(axis=2).any()
    assert (picture.max(axis=2) < 60).any()
    middle = picture[83:86, 83:86]
    assert (middle == 100).all(), "no heat inside a contour alone"


def test_a_slice_beside_the_peak_gets_the_contour_of_its_own_section() -> None:
    shown = heatmap(4.0, frames=2)
    shown.evidence[1] *= 0.6
    found = located(shown, spacing_mm=3.0)
    assert found.regions[0].frame == 0
    picture = burned_in(GREY, shown, 1, found, style="contour", **WORDS)
    rows = np.flatnonzero((picture[:180] == colours("inferno")[-1]).all(axis=2).any(axis=1))
    peak_slice = burned_in(GREY, shown, 0, found, style="contour", **WORDS)
    wider = np.flatnonzero((peak_slice[:180] == colours("inferno")[-1]).all(axis=2).any(axis=1))
    assert 0 < np.ptp(rows) < np.ptp(wider)


def test_a_slice_outside_the_region_gets_no_contour() -> None:
    shown = heatmap(4.0, frames=2)
    shown.evidence[1] = 0.0
    picture = burned_in(GREY, shown, 1, located(shown, spacing_mm=3.0), **WORDS)
    assert (picture[: -band_height(SHAPE)] == 100).all()


def test_without_a_localisation_the_contour_runs_where_colour_starts() -> None:
    picture = burned_in(GREY, heatmap(4.0), 0, None, **WORDS)
    assert (picture[:180] == colours("inferno")[-1]).all(axis=2).any()


def test_padding_that_the_network_saw_is_not_painted_beside_the_image() -> None:
    record = PixelRecord(
        source_shape=(256, 160), steps=(Crop(top=0, left=-48, height=256, width=256), Resize(height=160, width=160))
    )
    shown = heatmap(4.0, record=record, at=(6, 2))
    grey = np.full((256, 160), 100, dtype=np.uint8)
    picture = burned_in(grey, shown, 0, None, **WORDS)
    assert picture.shape == (256, 160, 3)
    assert (chroma(picture)[:180, 40:] == 0).all()


@pytest.mark.parametrize("shape", [(128, 128), (256, 256), (300, 700), (900, 720)])
def test_a_burned_in_picture_keeps_rows_and_columns_and_always_has_a_legend(shape: tuple[int, int]) -> None:
    record = PixelRecord(source_shape=shape, steps=(Resize(height=160, width=160),))
    for peak in (0.0, 4.0):
        picture = burned_in(np.full(shape, 100, dtype=np.uint8), heatmap(peak, record=record), 0, None, **WORDS)
        assert picture.shape == (*shape, 3)
        assert picture.dtype == np.uint8
        strip = picture[-band_height(shape) :]
        assert strip.max() > 230
        assert np.median(strip) < 40


def test_the_legend_moves_to_the_top_where_the_bottom_is_hot() -> None:
    shown = heatmap(4.0, at=(19, 10))
    picture = burned_in(GREY, shown, 0, located(shown), **WORDS)
    assert picture[: band_height(SHAPE)].max() > 230
    assert (picture[120:150] == 100).all()


def test_an_image_too_small_for_a_legend_is_refused() -> None:
    record = PixelRecord(source_shape=(64, 64), steps=(Resize(height=160, width=160),))
    with pytest.raises(ValueError, match="use overlay"):
        burned_in(np.zeros((64, 64), dtype=np.uint8), heatmap(4.0, record=record), 0, None, **WORDS)


def test_a_picture_that_the_map_was_not_made_from_is_refused() -> None:
    for make in (overlay, burned_in):
        with pytest.raises(ValueError, match="made from"):
            make(np.zeros((200, 256), dtype=np.uint8), heatmap(4.0), 0, None, **WORDS)


def test_jet_is_refused() -> None:
    with pytest.raises(ValueError, match="rising lightness"):
        overlay(GREY, heatmap(4.0), 0, None, colour_map="jet", **WORDS)


def test_the_legend_panel_stands_below_the_anatomy_and_covers_none_of_it() -> None:
    shown = heatmap(0.0)
    picture, alone = overlay(GREY, shown, 0, located(shown), **WORDS), plain(GREY)
    assert picture.shape[0] > alone.shape[0]
    np.testing.assert_array_equal(picture[: alone.shape[0]], alone)


@pytest.mark.parametrize(("shape", "expected"), [((2048, 2500), 720), ((3000, 1000), 300), ((64, 64), 256)])
def test_pictures_are_shrunk_to_fit_and_enlarged_at_most_fourfold(shape: tuple[int, int], expected: int) -> None:
    picture = plain(np.zeros(shape, dtype=np.uint8))
    assert picture.shape[1] == expected
    assert picture.shape[0] == round(shape[0] / shape[1] * expected)


def test_pixels_that_are_not_square_are_drawn_in_true_proportions() -> None:
    tall = Frame(sop_class_uid="1", sop_instance_uid="2", spacing_mm=(2.0, 1.0))
    assert plain(np.zeros((100, 200), dtype=np.uint8), place=tall).shape[:2] == (720, 720)


def test_a_scale_bar_is_drawn_only_where_the_spacing_is_known() -> None:
    known = Frame(sop_class_uid="1", sop_instance_uid="2", spacing_mm=(1.0, 1.0))
    unknown = Frame(sop_class_uid="1", sop_instance_uid="2")
    assert plain(GREY, place=known).max() > 200
    assert (plain(GREY, place=unknown) == 100).all()


def test_edge_letters_follow_the_plane() -> None:
    def letters(row: tuple[float, float, float], column: tuple[float, float, float]) -> tuple[str, ...]:
        return edge_letters(
            ImagePlane(position_mm=(0, 0, 0), row_cosines=row, column_cosines=column, spacing_mm=(1, 1))
        )

    assert letters((1, 0, 0), (0, 1, 0)) == ("R", "L", "A", "P")
    assert letters((-1, 0, 0), (0, 0, -1)) == ("L", "R", "H", "F")
    assert letters((0, 1, 0), (0, 0, -1)) == ("A", "P", "H", "F")


def test_letters_may_be_given_for_a_radiograph() -> None:
    assert plain(GREY, edges=("R", "L", "H", "F")).max() > 200


def test_several_regions_are_numbered() -> None:
    shown = heatmap(4.0)
    shown.evidence[0] = np.maximum(shown.evidence[0], heatmap(3.0, at=(6, 16)).evidence[0])
    found = located(shown)
    assert len(found.regions) == 2
    one = Localisation(status="located", regions=found.regions[:1], contour_level=found.contour_level)
    assert (overlay(GREY, shown, 0, found, **WORDS) == 235).sum() > (overlay(GREY, shown, 0, one, **WORDS) == 235).sum()


def test_a_grey_picture_takes_one_channel() -> None:
    grey = np.random.default_rng(5).integers(0, 256, (40, 30), dtype=np.uint8)
    read = Image.open(io.BytesIO(png(np.repeat(grey[..., None], 3, axis=2))))

    assert read.mode == "L"
    assert np.array_equal(np.asarray(read), grey)


def test_a_png_gives_the_picture_back_and_carries_no_text() -> None:
    picture = plain(GREY)
    read = Image.open(io.BytesIO(png(picture)))
    np.testing.assert_array_equal(np.asarray(read.convert("RGB")), picture)
    assert read.info == {}
