"""Line integrals in closed form, against counting and geometry."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.phantom.projection import Direction, Span, View, grain, smooth_closed
from radiolucent.phantom.scene import Field, stream


def view(direction: Direction = "frontal", rows: int = 100) -> View:
    return View((rows, rows), spacing_mm=100 / rows, centre_mm=(0, 0), direction=direction)


def constant(value: float, rows: int = 100) -> Field:
    return np.full((rows, 1), value, dtype=np.float32)


def span(low: float, high: float) -> Span:
    return Span(np.array([[low]], dtype=np.float32), np.array([[high]], dtype=np.float32))


@given(st.lists(st.tuples(st.integers(-20, 20), st.integers(-5, 25)), min_size=1, max_size=4))
def test_what_is_left_of_a_span_is_what_counting_says(others: list[tuple[int, int]]) -> None:
    places = np.arange(-10, 10) + 0.5
    free = np.ones(len(places), dtype=bool)
    for low, high in others:
        free &= ~((places > low) & (places < high))
    left = span(-10, 10).length_without(*(span(low, high) for low, high in others))
    assert float(left[0, 0]) == free.sum()


@pytest.mark.parametrize("direction", ["frontal", "lateral"])
def test_an_ellipsoid_has_its_volume_in_every_view(direction: Direction) -> None:
    length = view(direction).ellipsoid((3, -2, 5), (20, 30, 25)).length
    assert length.sum() == pytest.approx(4 / 3 * np.pi * 20 * 30 * 25, rel=0.01)
    assert length.max() == pytest.approx(60 if direction == "frontal" else 40, rel=0.01)


def test_a_column_is_as_deep_as_its_section() -> None:
    column = view().column(x=constant(0), x_half=constant(20), y=constant(5), y_half=constant(12), power=2.0)
    middle = column.length[50]
    assert middle.max() == pytest.approx(24, rel=0.01)
    assert (middle > 0).sum() == pytest.approx(40, abs=2)


def test_under_a_dome_everything_is_covered_and_above_it_nothing() -> None:
    dome = view().below_dome((0, 0, 0), (50, 50))
    assert dome.length[20].max() == 0
    assert dome.length[80, 50] > 100


def test_a_strand_is_as_thick_as_its_radius_and_a_hollow_one_is_bright_at_its_edge() -> None:
    solid, hollow = view(rows=400).blank(), view(rows=400).blank()
    view(rows=400).strand(solid, [(0, 0, -30), (0, 0, 30)], [8, 8])
    view(rows=400).strand(hollow, [(0, 0, -30), (0, 0, 30)], [8, 8], wall_mm=2)
    assert solid[200].max() == pytest.approx(16, rel=0.01)
    assert hollow[200, 200] == pytest.approx(4, rel=0.05)
    assert hollow[200].argmax() != 200
    assert view().pixel((0, 0, 0)) == pytest.approx((49.5, 49.5))


def test_an_outline_measures_the_distance_from_its_edge() -> None:
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = [(20 * float(np.cos(angle)), 20 * float(np.sin(angle))) for angle in angles]
    distance = view(rows=200).outline(circle)
    assert distance[100, 100] == pytest.approx(-20, abs=1)
    assert distance[100, 150] == pytest.approx(5, abs=1)


def test_a_closed_curve_goes_through_its_points() -> None:
    points = [(0.0, 0.0), (4.0, 0.0), (4.0, 3.0), (0.0, 3.0)]
    np.testing.assert_allclose(smooth_closed(points)[::12], points)


@pytest.mark.parametrize("feature", [2.0, 5.0, 40.0])
def test_grain_has_the_size_asked_for_and_deviation_1(feature: float) -> None:
    noise = grain(stream(1, "grain"), (128, 96), feature)
    assert noise.shape == (128, 96)
    assert noise.std() == pytest.approx(1, abs=1e-3)
