from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from radiolucent.explain.localize import localise
from radiolucent.findings.reading import Localisation
from radiolucent.imaging.geometry import (
    Crop,
    Flip,
    ImagePlane,
    PixelRecord,
    Resize,
    Turn,
    map_points,
)
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Frame

GRID = (20, 20)
SCALE = 4.0
PLAIN = PixelRecord(source_shape=(200, 160), steps=(Resize(height=160, width=160),))


def frames(count: int = 1, *, spacing: float | None = 0.5, plane: bool = False) -> list[Frame]:
    """Axial slices 3 mm apart, foot to head, with the patient's right at the left of the picture."""
    return [
        Frame(
            sop_class_uid="1.2",
            sop_instance_uid=f"1.2.{index}",
            spacing_mm=(spacing, spacing) if spacing else None,
            plane=ImagePlane(
                position_mm=(-40.0, -50.0, 3.0 * index),
                row_cosines=(1, 0, 0),
                column_cosines=(0, 1, 0),
                spacing_mm=(spacing, spacing),
            )
            if plane and spacing
            else None,
        )
        for index in range(count)
    ]


def bump(
    record: PixelRecord, center: tuple[float, float], *, width_cells: float = 1.5, height: float = SCALE
) -> NDArray[np.float32]:
    """float32 (h, w): a Gaussian whose top lies at a pixel of the source image, as the network's grid would see it."""
    to_grid = np.linalg.inv(record.grid_to_source(GRID)).astype(np.float64)
    row, column = map_points(to_grid, np.array(center))
    rows, columns = np.indices(GRID)
    distance = (rows - row) ** 2 + (columns - column) ** 2
    return np.asarray(height * np.exp(-distance / (2 * width_cells**2)), dtype=np.float32)


def heatmap(*maps: NDArray[np.float32], record: PixelRecord = PLAIN, scale: float = SCALE) -> Heatmap:
    return Heatmap(evidence=np.stack(maps).astype(np.float32), record=record, display_scale=scale)


def locate(found: Heatmap, **options: Any) -> Localisation:
    arguments: dict[str, Any] = {"slice_spacing_mm": None, **options}
    return localise(found, arguments.pop("frames", frames(len(found.evidence))), **arguments)


@st.composite
def records(draw: st.DrawFn) -> PixelRecord:
    """A letterbox or crop, a resize, and turns and flips, as recipes of engines have them."""
    rows, columns = draw(st.integers(90, 260)), draw(st.integers(90, 260))
    margin = draw(st.integers(-20, 40))
    crop = Crop(top=-margin, left=-margin, height=rows + 2 * margin, width=columns + 2 * margin)
    side = draw(st.sampled_from([128, 160, 224]))
    turned = (Turn(quarters=draw(st.integers(0, 3))), Flip(axis=draw(st.sampled_from(["rows", "columns"]))))
    return PixelRecord(source_shape=(rows, columns), steps=(crop, Resize(height=side, width=side), *turned))


@settings(max_examples=60, deadline=None)
@given(record=records(), place=st.tuples(st.floats(0.3, 0.7), st.floats(0.3, 0.7)), full=st.booleans())
def test_a_bump_placed_at_a_pixel_is_found_there_through_any_record(
    record: PixelRecord, place: tuple[float, float], full: bool
) -> None:
    rows, columns = record.source_shape
    center = (place[0] * (rows - 1), place[1] * (columns - 1))
    found = locate(heatmap(bump(record, center), record=record), resolution="full" if full else "grid")
    to_cells = np.linalg.inv(record.grid_to_source(GRID)).astype(np.float64)
    missed = map_points(to_cells, np.array([center, found.regions[0].centroid, found.regions[0].peak]))
    assert len(found.regions) == 1
    assert np.abs(missed[1] - missed[0]).max() < 0.15, "centroid, in cells"
    assert np.abs(missed[2] - missed[0]).max() < 0.15, "peak, in cells"


@settings(max_examples=40, deadline=None)
@given(record=records(), share=st.floats(0.0, 0.29), full=st.booleans())
def test_evidence_under_the_floor_gives_empty_however_it_is_shaped(
    record: PixelRecord, share: float, full: bool
) -> None:
    rows, columns = record.source_shape
    faint = bump(record, (rows / 2, columns / 2), height=share * SCALE)
    found = locate(heatmap(faint, record=record), resolution="full" if full else "grid")
    assert (found.status, found.regions, found.focality, found.laterality) == ("empty", (), "none", "unknown")
    assert found.peak_frame is None


@pytest.mark.parametrize("resolution", ["grid", "full"])
@pytest.mark.parametrize("share", [0.301, 0.35, 0.49, 0.51, 0.99, 3.0])
def test_located_means_that_the_heatmap_is_not_empty(resolution: str, share: float) -> None:
    lone = np.zeros(GRID, dtype=np.float32)
    lone[10, 10] = share * SCALE
    found = heatmap(lone)
    assert not found.empty
    assert locate(found, resolution=resolution).status == "located"


@settings(max_examples=25, deadline=None)
@given(shift=st.tuples(st.integers(-4, 4), st.integers(-4, 4)))
def test_moving_the_evidence_by_cells_moves_the_region_by_as_many(shift: tuple[int, int]) -> None:
    here = bump(PLAIN, (97.0, 83.0))
    before = locate(heatmap(here)).regions[0]
    after = locate(heatmap(np.roll(here, shift, axis=(0, 1)))).regions[0]
    cell = (200 / 20, 160 / 20)
    moved = (shift[0] * cell[0], shift[1] * cell[1])
    np.testing.assert_allclose(np.subtract(after.centroid, before.centroid), moved, atol=1e-4)
    np.testing.assert_allclose(np.subtract(after.peak, before.peak), moved, atol=1e-3)
    assert after.area_pixels == before.area_pixels


def test_the_level_is_the_floor_whatever_the_peak() -> None:
    levels = [
        locate(heatmap(bump(PLAIN, (95.0, 76.0), height=share * SCALE))).contour_level / SCALE
        for share in (0.4, 0.8, 1.0, 2.5)
    ]
    np.testing.assert_allclose(levels, [0.3, 0.3, 0.3, 0.3], atol=1e-6)


def test_more_evidence_never_makes_a_region_smaller_once_it_is_over_the_scale() -> None:
    areas = [
        locate(heatmap(bump(PLAIN, (95.0, 76.0), height=share * SCALE)), resolution="full").regions[0].area_pixels
        for share in (1.0, 1.5, 2.0, 4.0)
    ]
    assert all(smaller < larger for smaller, larger in pairwise(areas))


def test_sizes_are_those_of_what_is_coloured() -> None:
    found = locate(heatmap(bump(PLAIN, (100.0, 80.0), width_cells=3.0)), resolution="full").regions[0]
    radius = 3.0 * np.sqrt(2 * np.log(1 / 0.3))  # cells, of 10 x 8 pixels of 0.5 mm
    assert found.area_mm2 == pytest.approx(np.pi * radius**2 * 80 * 0.25, rel=0.03)
    assert found.extent_mm == pytest.approx((2 * radius * 5, 2 * radius * 4), rel=0.03)
    assert found.volume_ml is None
    coarse = locate(heatmap(bump(PLAIN, (100.0, 80.0), width_cells=3.0))).regions[0]
    assert coarse.area_pixels == pytest.approx(found.area_pixels, rel=0.15)
    assert coarse.extent_mm == pytest.approx(found.extent_mm, rel=0.03)


def test_the_contour_is_closed_and_holds_peak_and_centroid() -> None:
    for resolution in ("grid", "full"):
        region = locate(heatmap(bump(PLAIN, (60.0, 50.0))), resolution=resolution).regions[0]
        line = np.array(region.contour)
        assert region.contour[0] == region.contour[-1]
        assert (line.min(axis=0) < region.centroid).all()
        assert (line.max(axis=0) > region.centroid).all()
        assert (line >= -0.5).all()
        assert (line <= [199.5, 159.5]).all()


def test_a_region_at_the_edge_of_the_image_keeps_its_contour_inside() -> None:
    region = locate(heatmap(bump(PLAIN, (0.0, 0.0))), resolution="full").regions[0]
    line = np.array(region.contour)
    assert line.min() >= -0.5
    assert region.contour[0] == region.contour[-1]


def test_without_a_pixel_spacing_nothing_is_given_in_mm() -> None:
    region = locate(heatmap(bump(PLAIN, (95.0, 76.0))), frames=frames(spacing=None)).regions[0]
    assert (region.area_mm2, region.extent_mm, region.volume_ml) == (None, None, None)
    assert (region.peak_mm, region.centroid_mm) == (None, None)
    assert region.area_pixels > 0


def test_two_bumps_are_two_regions_largest_share_first() -> None:
    found = locate(heatmap(np.maximum(bump(PLAIN, (50, 40)), bump(PLAIN, (150, 120), width_cells=2.5))))
    assert found.focality == "multifocal"
    assert [round(region.share + 0.0, 1) for region in found.regions] == [0.7, 0.3]
    assert found.regions[0].centroid[0] > 140


def test_two_tops_are_two_regions_only_where_the_floor_lies_between_them() -> None:
    both = np.maximum(bump(PLAIN, (50, 40)), bump(PLAIN, (150, 120)))
    assert len(locate(heatmap(np.maximum(np.full(GRID, 0.25 * SCALE, dtype=np.float32), both))).regions) == 2
    assert len(locate(heatmap(np.maximum(np.full(GRID, 0.35 * SCALE, dtype=np.float32), both))).regions) == 1


def test_a_speck_beside_a_focus_is_left_out_but_a_lone_speck_is_not() -> None:
    speck = np.zeros(GRID, dtype=np.float32)
    speck[2, 2] = 0.5 * SCALE
    assert len(locate(heatmap(np.maximum(speck, bump(PLAIN, (150, 120), width_cells=3.0)))).regions) == 1
    assert len(locate(heatmap(speck)).regions) == 1


def test_a_map_that_is_hot_all_over_is_diffuse() -> None:
    assert locate(heatmap(bump(PLAIN, (100, 80), width_cells=5.0))).focality == "diffuse"
    assert locate(heatmap(bump(PLAIN, (100, 80)))).focality == "focal"


def test_evidence_in_the_padding_is_no_place_in_the_image() -> None:
    padded = PixelRecord(
        source_shape=(100, 50),
        steps=(Crop(top=0, left=-25, height=100, width=100), Resize(height=160, width=160)),
    )
    outside = np.zeros(GRID, dtype=np.float32)
    outside[10, 1] = SCALE
    for resolution in ("grid", "full"):
        assert locate(heatmap(outside, record=padded), resolution=resolution).status == "empty"


def test_a_region_that_spans_slices_is_one_region_with_a_volume() -> None:
    heights = [0.0, 0.6, 1.0, 0.6, 0.0]
    found = locate(
        heatmap(*(bump(PLAIN, (100.0, 80.0), width_cells=3.0, height=height * SCALE) for height in heights)),
        frames=frames(5, plane=True),
        slice_spacing_mm=3.0,
        midline_mm=0.0,
        resolution="full",
    )
    (region,) = found.regions
    assert (found.peak_frame, region.frame, region.first_frame, region.last_frame) == (2, 2, 1, 3)
    assert found.frames_involved == (1, 2, 3)
    assert region.volume_ml is not None
    assert region.area_mm2 is not None
    assert region.area_mm2 * 3 / 1000 < region.volume_ml < region.area_mm2 * 9 / 1000
    assert region.centroid_mm == pytest.approx((-40 + 80 * 0.5, -50 + 100 * 0.5, 6.0), abs=0.5)
    assert region.peak_mm == pytest.approx((0.0, 0.0, 6.0), abs=0.5)


def test_without_a_volume_each_frame_stands_for_itself() -> None:
    same = bump(PLAIN, (100.0, 80.0))
    found = locate(heatmap(same, same, same))
    assert [(region.first_frame, region.last_frame) for region in found.regions] == [(0, 0), (1, 1), (2, 2)]


def test_the_centroid_of_a_volume_leans_to_the_slices_with_more_evidence() -> None:
    found = locate(
        heatmap(*(bump(PLAIN, (100.0, 80.0), height=height * SCALE) for height in (1.0, 0.8, 0.0))),
        frames=frames(3, plane=True),
        slice_spacing_mm=3.0,
    )
    assert found.regions[0].centroid_mm is not None
    assert 0.0 < found.regions[0].centroid_mm[2] < 1.5


@pytest.mark.parametrize(("column", "expected"), [(30.0, "right"), (130.0, "left"), (80.0, "midline")])
def test_the_side_is_the_patients_in_slices_and_radiographs(column: float, expected: str) -> None:
    # patient x of column 80 is 0
    shown = heatmap(bump(PLAIN, (100.0, column)))
    by_plane = locate(shown, frames=frames(plane=True), midline_mm=0.0)
    by_picture = locate(shown, image_left="patient-right")
    mirrored = locate(shown, image_left="patient-left")
    opposite = {"left": "right", "right": "left", "midline": "midline"}[expected]
    assert (by_plane.laterality, by_picture.laterality, mirrored.laterality) == (expected, expected, opposite)


def test_without_a_midline_or_an_orientation_the_side_is_unknown() -> None:
    shown = heatmap(bump(PLAIN, (100.0, 30.0)))
    assert locate(shown).laterality == "unknown"
    assert locate(shown, frames=frames(plane=True), image_left="patient-right").laterality == "unknown"


def test_two_sides_make_bilateral() -> None:
    both = np.maximum(bump(PLAIN, (100, 30)), bump(PLAIN, (100, 130)))
    assert locate(heatmap(both), image_left="patient-right").laterality == "bilateral"


def test_a_map_that_is_not_finite_is_a_failed_explanation() -> None:
    broken = bump(PLAIN, (100, 80))
    broken[0, 0] = np.inf
    found = locate(heatmap(broken))
    assert found.status == "failed"
    assert "no finite numbers" in found.reason


def test_maps_and_frames_of_different_number_are_refused() -> None:
    with pytest.raises(ValueError, match="belong together"):
        localise(heatmap(bump(PLAIN, (100, 80))), frames(2), slice_spacing_mm=None)


@settings(max_examples=30, deadline=None)
@given(record=records(), place=st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 1.0)))
def test_full_resolution_counts_the_very_pixels_that_the_overlay_draws(
    record: PixelRecord, place: tuple[float, float]
) -> None:
    anywhere_seen = record.to_source(np.array(place) * (np.array(record.target_shape) - 1))
    row, column = np.clip(anywhere_seen, 0, np.array(record.source_shape) - 1)
    shown = heatmap(bump(record, (row, column), width_cells=2.0), record=record)
    found = locate(shown, resolution="full")
    drawn = shown.at_pixels(0)
    assert found.regions[0].area_pixels == pytest.approx((drawn >= found.contour_level).sum(), abs=2)
