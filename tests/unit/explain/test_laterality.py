import numpy as np
import pytest

from radiolucent.explain.laterality import combine, side, towards_left
from radiolucent.imaging.geometry import ImagePlane
from radiolucent.imaging.study import Frame

FLAT = Frame(sop_class_uid="1.2", sop_instance_uid="1.3")
SAGITTAL = Frame(
    sop_class_uid="1.2",
    sop_instance_uid="1.3",
    plane=ImagePlane(
        position_mm=(12.0, 0.0, 0.0), row_cosines=(0, 1, 0), column_cosines=(0, 0, -1), spacing_mm=(1.0, 1.0)
    ),
)


def test_on_a_sagittal_slice_every_point_lies_on_the_side_of_the_slice() -> None:
    placed = towards_left(np.array([[0.0, 0.0], [9.0, 5.0]]), SAGITTAL, (10, 10), midline_mm=2.0, image_left=None)
    assert placed is not None
    np.testing.assert_allclose(placed[0], [10.0, 10.0])


def test_a_plane_without_a_midline_says_nothing_even_if_the_picture_would() -> None:
    points = np.array([[0.0, 0.0]])
    assert towards_left(points, SAGITTAL, (10, 10), midline_mm=None, image_left="patient-right") is None
    assert towards_left(points, FLAT, (10, 10), midline_mm=3.0, image_left=None) is None


def test_in_a_radiograph_the_middle_column_is_the_midline() -> None:
    placed = towards_left(np.array([[3.0, 49.5]]), FLAT, (100, 100), midline_mm=None, image_left="patient-right")
    assert placed is not None
    assert placed[0][0] == 0.0


@pytest.mark.parametrize(
    ("offsets", "diffuse", "expected"),
    [
        ([-30.0, -20.0], False, "right"),
        ([20.0, 30.0], True, "left"),
        ([-20.0, 20.0], False, "midline"),
        ([-20.0, 20.0], True, "bilateral"),
        ([-3.0, 3.0], True, "midline"),
    ],
)
def test_one_region_has_one_side_unless_it_is_diffuse(offsets: list[float], diffuse: bool, expected: str) -> None:
    assert side(np.array(offsets), np.ones(len(offsets)), 5.0, diffuse=diffuse) == expected


def test_the_midline_gives_way_to_a_side_and_two_sides_are_both() -> None:
    assert combine(["midline"]) == "midline"
    assert combine(["midline", "right"]) == "right"
    assert combine(["right", "left", "midline"]) == "bilateral"
    assert combine(["unknown"]) == "unknown"
    assert combine([]) == "unknown"
