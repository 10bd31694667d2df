"""Shapes, noise, pose and canvas of the 3-D scene."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.imaging.geometry import ImagePlane
from radiolucent.phantom.picture import stack_planes
from radiolucent.phantom.scene import (
    Canvas,
    Noise,
    Points,
    Pose,
    Waves,
    common,
    ellipsoid,
    half_space,
    slab,
    stream,
    tube,
    union,
)


def at(*places: tuple[float, float, float]) -> Points:
    return Points(*(np.array([place[axis] for place in places], dtype=np.float32) for axis in range(3)))


def planes(count: int = 21) -> tuple[ImagePlane, ...]:
    return stack_planes(
        "axial", shape=(40, 40), spacing_mm=(2.0, 2.0), count=count, slice_spacing_mm=4.0, centre_mm=(0, 0, 0)
    )


def test_a_sphere_is_as_far_away_as_it_should_be() -> None:
    distance = ellipsoid(at((10, 0, 0), (14, 0, 0), (0, 7, 0)), (0, 0, 0), (10, 10, 10))
    np.testing.assert_allclose(distance, [0, 4, -3], atol=1e-3)


def test_a_turned_ellipsoid_is_long_in_the_turned_direction() -> None:
    distance = ellipsoid(at((0, 19, 0), (19, 0, 0)), (0, 0, 0), (20, 5, 5), turn=np.pi / 2)
    assert distance[0] < 0 < distance[1]


def test_a_tube_follows_its_nodes_and_widens() -> None:
    distance = tube(at((0, 3, 0), (10, 3, 0), (20, 3, 0)), [(0, 0, 0), (10, 0, 0), (20, 0, 0)], [2, 3, 5])
    np.testing.assert_allclose(distance, [1, 0, -2], atol=1e-5)


def test_a_tube_of_one_node_is_refused() -> None:
    with pytest.raises(ValueError, match="two nodes"):
        tube(at((0, 0, 0)), [(0, 0, 0)], [1])


def test_slab_and_half_space_measure_along_their_normal() -> None:
    np.testing.assert_allclose(slab(at((0, 0, 5)), (0, 0, 0), (0, 0, 2), 3), [2])
    np.testing.assert_allclose(half_space(at((0, -4, 0)), (0, 0, 0), (0, 1, 0)), [-4])


def test_union_and_common_part_are_what_they_say() -> None:
    a, b = np.array([-1.0, 2.0], dtype=np.float32), np.array([3.0, -2.0], dtype=np.float32)
    np.testing.assert_array_equal(union(a, b), [-1, -2])
    np.testing.assert_array_equal(common(a, b), [3, 2])
    assert np.all(union(a, b, 8.0) < union(a, b))


def test_streams_depend_on_seed_and_name_alone() -> None:
    assert stream(1, "a").random() == stream(1, "a").random()
    assert stream(1, "a").random() != stream(1, "b").random()
    assert stream(1, "a", "b").random() != stream(1, "ab").random()


def test_noise_has_mean_0_and_deviation_1() -> None:
    axis = np.linspace(-60, 60, 40, dtype=np.float32)
    p = Points(*(part.astype(np.float32) for part in np.meshgrid(axis, axis, axis)))
    for values in (Noise(stream(1, "n"), 9.0).at(p), Waves(stream(1, "w"), 9.0, 8).at(p)):
        assert abs(values.mean()) < 0.15
        assert values.std() == pytest.approx(1, abs=0.25)


@given(st.tuples(*[st.floats(-0.5, 0.5)] * 3))
def test_a_pose_turns_without_stretching(turn: tuple[float, float, float]) -> None:
    matrix = Pose(turn=turn).matrix
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(matrix) == pytest.approx(1)


def test_a_painted_sphere_has_its_volume_wherever_the_body_lies() -> None:
    pose = Pose(turn=(0.2, -0.1, 0.3), shift_mm=(3, -2, 1))
    canvas = Canvas(planes(), (40, 40), pose=pose, thickness_mm=4.0, layers=2)
    cover = canvas.paint(1.0, ellipsoid(canvas.points, (5, 0, 0), (20, 20, 20)))
    volume = canvas.frames_of(cover).sum() * 2 * 2 * 4
    assert volume == pytest.approx(4 / 3 * np.pi * 20**3, rel=0.02)
    np.testing.assert_array_equal(canvas.values, cover)


def test_a_window_holds_all_of_a_shape_and_painting_there_is_painting_on_the_canvas() -> None:
    pose = Pose(turn=(0.1, 0.2, -0.3), shift_mm=(4, 2, 1))
    whole = Canvas(planes(), (40, 40), pose=pose, thickness_mm=4.0, layers=2)
    windowed = Canvas(planes(), (40, 40), pose=pose, thickness_mm=4.0, layers=2)
    whole.paint(1.0, ellipsoid(whole.points, (8, -5, 6), (9, 6, 7)))
    window = windowed.window((8, -5, 6), 12)
    assert window is not None
    part = windowed.part(window)
    part.paint(1.0, ellipsoid(part.points, (8, -5, 6), (9, 6, 7)))
    np.testing.assert_allclose(windowed.values, whole.values, atol=1e-6)


def test_a_window_outside_the_canvas_is_none() -> None:
    canvas = Canvas(planes(), (40, 40), pose=Pose(), thickness_mm=4.0, layers=1)
    assert canvas.window((500, 0, 0), 10) is None
