"""Every step and any chain of steps can be inverted, and a bright pixel lands where the matrix says."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from radiolucent.imaging.geometry import (
    Crop,
    Flip,
    ImagePlane,
    PixelRecord,
    Resize,
    Step,
    Turn,
    map_points,
    resample,
    resize_matrix,
)

SIZES = st.integers(4, 60)
SHAPES = st.tuples(SIZES, SIZES)
EXACT_STEPS: st.SearchStrategy[Step] = st.one_of(
    st.builds(Crop, top=st.integers(-20, 20), left=st.integers(-20, 20), height=SIZES, width=SIZES),
    st.builds(Flip, axis=st.sampled_from(["rows", "columns"])),
    st.builds(Turn, quarters=st.integers(-4, 4)),
)
STEPS: st.SearchStrategy[Step] = st.one_of(EXACT_STEPS, st.builds(Resize, height=SIZES, width=SIZES))
RECORDS = st.builds(PixelRecord, source_shape=SHAPES, steps=st.lists(STEPS, max_size=5).map(tuple))
POINTS = st.lists(st.tuples(st.floats(-100, 100), st.floats(-100, 100)), min_size=1, max_size=4).map(np.array)


@given(RECORDS, POINTS)
def test_points_come_back_from_any_chain_of_steps(record: PixelRecord, points: NDArray[np.float64]) -> None:
    assert record.to_source(record.to_target(points)) == pytest.approx(points, abs=1e-6)
    assert record.to_target(record.to_source(points)) == pytest.approx(points, abs=1e-4)


@given(RECORDS)
def test_the_shape_of_the_result_is_foretold(record: PixelRecord) -> None:
    image = np.zeros((2, *record.source_shape), dtype=np.float32)
    assert record.apply(image).shape == (2, *record.target_shape)
    assert record.apply(image).dtype == np.float32


@given(SHAPES, st.lists(EXACT_STEPS, max_size=4), st.data())
@settings(max_examples=60)
def test_a_bright_pixel_lands_exactly_where_the_matrix_says(
    shape: tuple[int, int], steps: list[Step], data: st.DataObject
) -> None:
    record = PixelRecord(source_shape=shape, steps=tuple(steps))
    row, column = data.draw(st.integers(0, shape[0] - 1)), data.draw(st.integers(0, shape[1] - 1))
    image = np.zeros(shape, dtype=np.float32)
    image[row, column] = 1
    inside = True
    for count in range(1, len(steps) + 1):  # a crop on the way may lose the pixel for good
        part = PixelRecord(source_shape=shape, steps=tuple(steps[:count]))
        place = np.rint(part.to_target(np.array([row, column])))
        inside = inside and bool(((place >= 0) & (place < part.target_shape)).all())
    expected = np.rint(record.to_target(np.array([row, column]))).astype(int)
    assert np.argwhere(record.apply(image)).tolist() == ([expected.tolist()] if inside else [])


@given(st.integers(20, 80), st.integers(20, 80), st.integers(16, 160), st.integers(16, 160), st.data())
@settings(max_examples=60)
def test_a_bright_spot_lands_where_resizing_says(
    rows: int, columns: int, height: int, width: int, data: st.DataObject
) -> None:
    # a smooth spot away from the border: its centroid must move with the matrix
    centre = np.array(
        [data.draw(st.floats(rows * 0.4, rows * 0.6)), data.draw(st.floats(columns * 0.4, columns * 0.6))]
    )
    grid = np.moveaxis(np.indices((rows, columns), dtype=np.float64), 0, -1)
    image = np.exp(-(((grid - centre) / (0.06 * np.array([rows, columns]) + 0.5)) ** 2).sum(-1)).astype(np.float32)
    record = PixelRecord(source_shape=(rows, columns), steps=(Resize(height=height, width=width),))
    result = record.apply(image)
    target = np.moveaxis(np.indices(result.shape, dtype=np.float64), 0, -1)
    found = (target * result[..., None]).sum((0, 1)) / result.sum()
    expected = record.to_target(centre)
    assert found == pytest.approx(expected, abs=0.35)


@given(RECORDS)
def test_a_pixel_is_seen_where_its_centre_lies_in_the_target(record: PixelRecord) -> None:
    points = np.moveaxis(np.mgrid[0 : record.source_shape[0], 0 : record.source_shape[1]], 0, -1).astype(np.float64)
    beyond = np.array(record.target_shape) - 0.5
    target = record.to_target(points)
    inside = ((target >= -0.5) & (target <= beyond)).all(axis=-1)
    at_the_edge = (np.minimum(abs(target + 0.5), abs(target - beyond)) < 1e-9).any(axis=-1)  # rounding decides there

    assert (record.seen == inside)[~at_the_edge].all()


def test_a_crop_beyond_the_image_pads_with_its_value() -> None:
    record = PixelRecord(source_shape=(2, 2), steps=(Crop(top=-1, left=-1, height=4, width=4, value=-5),))
    assert record.apply(np.ones((2, 2), dtype=np.float32)).tolist() == [
        [-5, -5, -5, -5],
        [-5, 1, 1, -5],
        [-5, 1, 1, -5],
        [-5, -5, -5, -5],
    ]


def test_a_crop_wholly_outside_is_all_padding() -> None:
    record = PixelRecord(source_shape=(2, 2), steps=(Crop(top=9, left=9, height=2, width=3),))
    assert not record.apply(np.ones((2, 2), dtype=np.float32)).any()


@pytest.mark.parametrize("quarters", range(-4, 5))
def test_a_turn_is_what_numpy_does(quarters: int) -> None:
    image = np.arange(6, dtype=np.float32).reshape(2, 3)
    record = PixelRecord(source_shape=(2, 3), steps=(Turn(quarters=quarters),))
    assert np.array_equal(record.apply(image), np.rot90(image, quarters))


def test_a_constant_image_stays_constant_when_resized() -> None:
    record = PixelRecord(source_shape=(31, 47), steps=(Resize(height=90, width=11),))
    assert record.apply(np.full((31, 47), 7, dtype=np.float32)) == pytest.approx(7)


def test_shrinking_does_not_alias_a_fine_pattern() -> None:
    image = np.indices((64, 64)).sum(0) % 2
    record = PixelRecord(source_shape=(64, 64), steps=(Resize(height=16, width=16),))
    assert record.apply(image.astype(np.float32)) == pytest.approx(0.5, abs=0.15)


def test_corners_map_to_corners() -> None:
    matrix = resize_matrix((10, 20), (100, 5))
    assert map_points(matrix, np.array([[-0.5, -0.5], [9.5, 19.5]])).tolist() == [[-0.5, -0.5], [99.5, 4.5]]


@given(RECORDS)
def test_a_record_comes_back_from_json(record: PixelRecord) -> None:
    assert record == PixelRecord.from_json(json.loads(json.dumps(record.to_json())))


def test_then_adds_behind() -> None:
    record = PixelRecord(source_shape=(4, 6)).then(Turn(quarters=1)).then(Crop(top=0, left=0, height=2, width=2))
    assert [step.kind for step in record.steps] == ["turn", "crop"]


def test_an_image_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"starts at \(4, 6\)"):
        PixelRecord(source_shape=(4, 6)).apply(np.zeros((6, 4), dtype=np.float32))


@given(RECORDS, st.tuples(st.integers(1, 12), st.integers(1, 12)))
def test_the_grid_covers_the_whole_network_input(record: PixelRecord, grid: tuple[int, int]) -> None:
    corners = np.array([[-0.5, -0.5], [grid[0] - 0.5, grid[1] - 0.5]])
    at_target = record.to_target(map_points(record.grid_to_source(grid), corners))
    height, width = record.target_shape
    assert at_target == pytest.approx(np.array([[-0.5, -0.5], [height - 0.5, width - 0.5]]), abs=1e-6)


def test_resampling_outside_is_zero_or_the_nearest_pixel() -> None:
    image = np.ones((4, 4), dtype=np.float32)
    shift = np.array([[1.0, 0, 10], [0, 1, 0], [0, 0, 1]])
    assert resample(image, shift, (4, 4)).max() == 0
    assert resample(image, shift, (4, 4), mode="nearest").min() == 1


UNIT = st.floats(-1, 1)


@st.composite
def planes(draw: Callable[..., float]) -> ImagePlane:
    rows = np.array([draw(UNIT), draw(UNIT), draw(UNIT)])
    other = np.array([draw(UNIT), draw(UNIT), draw(UNIT)])
    assume(np.linalg.norm(np.cross(rows, other)) > 0.05)
    rows = rows / np.linalg.norm(rows)
    columns = other - (other @ rows) * rows
    columns = columns / np.linalg.norm(columns)
    position = [draw(st.floats(-500, 500)) for _ in range(3)]
    return ImagePlane(
        position_mm=(position[0], position[1], position[2]),
        row_cosines=(rows[0], rows[1], rows[2]),
        column_cosines=(columns[0], columns[1], columns[2]),
        spacing_mm=(draw(st.floats(0.1, 5)), draw(st.floats(0.1, 5))),
    )


@given(planes(), POINTS)
def test_pixels_come_back_from_the_patient(plane: ImagePlane, points: NDArray[np.float64]) -> None:
    patient = plane.to_patient(points)
    assert plane.to_pixel(patient) == pytest.approx(points, abs=1e-6)
    assert [plane.distance_mm(point) for point in patient] == pytest.approx([0] * len(points), abs=1e-6)


@given(planes(), RECORDS, st.tuples(st.integers(1, 12), st.integers(1, 12)), st.data())
def test_a_grid_cell_comes_back_from_the_patient(
    plane: ImagePlane, record: PixelRecord, grid: tuple[int, int], data: st.DataObject
) -> None:
    cell = np.array([data.draw(st.integers(0, grid[0] - 1)), data.draw(st.integers(0, grid[1] - 1))], dtype=np.float64)
    to_source = record.grid_to_source(grid)
    patient = plane.to_patient(map_points(to_source, cell))
    assert map_points(np.linalg.inv(to_source).astype(np.float64), plane.to_pixel(patient)) == pytest.approx(
        cell, abs=1e-5
    )


def test_the_standards_equation_is_followed() -> None:
    # PS3.3 C.7.6.2.1-1: column index runs along the row cosines, row index along the column cosines
    plane = ImagePlane(
        position_mm=(-10, -20, 30), row_cosines=(1, 0, 0), column_cosines=(0, 1, 0), spacing_mm=(0.5, 2.0)
    )
    assert plane.to_patient(np.array([4.0, 3.0])).tolist() == [-4.0, -18.0, 30.0]


@pytest.mark.parametrize(
    ("rows", "columns", "name"),
    [
        ((1, 0, 0), (0, 1, 0), "axial"),
        ((1, 0, 0), (0, 0, -1), "coronal"),
        ((0, 1, 0), (0, 0, -1), "sagittal"),
        ((1, 0, 0), (0, 0.8, -0.6), "oblique"),
        ((1, 0, 0), (0, 0.96, -0.28), "axial"),
    ],
)
def test_a_plane_is_named_after_its_normal(
    rows: tuple[float, float, float], columns: tuple[float, float, float], name: str
) -> None:
    plane = ImagePlane(position_mm=(0, 0, 0), row_cosines=rows, column_cosines=columns, spacing_mm=(1, 1))
    assert name == plane.orientation


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"spacing_mm": (0.0, 1.0)}, "positive"),
        ({"row_cosines": (2, 0, 0)}, "length 1"),
        ({"column_cosines": (1, 0, 0)}, "perpendicular"),
    ],
)
def test_an_impossible_plane_is_refused(values: dict[str, tuple[float, ...]], words: str) -> None:
    plane = {"position_mm": (0, 0, 0), "row_cosines": (1, 0, 0), "column_cosines": (0, 1, 0), "spacing_mm": (1, 1)}
    with pytest.raises(ValueError, match=words):
        ImagePlane(**{**plane, **values})  # type: ignore[arg-type]
