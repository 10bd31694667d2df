"""Where the body lies: box, midline, and the side of a radiograph."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from radiolucent.imaging.body import body_box, edges, image_left, midline_mm
from radiolucent.imaging.geometry import ImagePlane
from radiolucent.imaging.study import Frame, Stack


def a_stack(pixels: NDArray[np.float32], planes: Sequence[ImagePlane | None], header: Dataset | None = None) -> Stack:
    return Stack(
        study_instance_uid="1",
        series_instance_uid="1.1",
        modality="MR",
        kind="volume" if len(planes) > 1 else "image",
        frames=tuple(
            Frame(sop_class_uid="1", sop_instance_uid=f"1.{n}", plane=plane) for n, plane in enumerate(planes)
        ),
        headers=(header or Dataset(),) * len(planes),
        decode=lambda index: pixels[index],
    )


def axial(x: float, z: float) -> ImagePlane:
    return ImagePlane(position_mm=(x, -50.0, z), row_cosines=(1, 0, 0), column_cosines=(0, 1, 0), spacing_mm=(2.0, 2.0))


@given(top=st.integers(0, 20), left=st.integers(0, 20), height=st.integers(12, 40), width=st.integers(12, 40))
def test_a_bright_block_is_found_within_a_pixel(top: int, left: int, height: int, width: int) -> None:
    pixels = np.zeros((2, 64, 64), dtype=np.float32)
    pixels[1, top : top + height, left : left + width] = 100
    found = np.array(body_box(pixels))
    assert np.abs(found - np.array([top, left, height, width])).max() <= 2


def test_an_image_without_content_is_taken_whole() -> None:
    assert body_box(np.zeros((1, 30, 40), dtype=np.float32)) == (0, 0, 30, 40)


def test_the_midline_is_the_middle_of_the_head_and_not_of_the_image() -> None:
    pixels = np.zeros((2, 64, 64), dtype=np.float32)
    pixels[:, 10:50, 30:61] = 100  # columns 30..60, middle 45
    stack = a_stack(pixels, [axial(-40.0, 0.0), axial(-40.0, 5.0)])
    assert midline_mm(stack) == pytest.approx(-40.0 + 45 * 2.0, abs=2.0)


def test_sagittal_slices_have_their_midline_in_the_middle_of_the_stack() -> None:
    planes = [
        ImagePlane(position_mm=(x, 0, 0), row_cosines=(0, 1, 0), column_cosines=(0, 0, -1), spacing_mm=(1.0, 1.0))
        for x in (-30.0, 0.0, 36.0)
    ]
    stack = a_stack(np.ones((3, 8, 8), dtype=np.float32), planes)
    assert midline_mm(stack) == pytest.approx(2.0)


def test_without_planes_the_midline_is_unknown() -> None:
    assert midline_mm(a_stack(np.ones((2, 8, 8), dtype=np.float32), [None, None])) is None


@pytest.mark.parametrize(
    ("orientation", "side"),
    [(["L", "F"], "patient-right"), (["R", "F"], "patient-left"), (["P", "F"], None), (None, None)],
)
def test_the_left_side_of_a_radiograph_follows_patient_orientation(
    orientation: list[str] | None, side: str | None
) -> None:
    header = Dataset()
    if orientation:
        header.PatientOrientation = orientation
    assert image_left(a_stack(np.ones((1, 8, 8), dtype=np.float32), [None], header)) == side


@pytest.mark.parametrize(
    ("orientation", "letters"),
    [
        (["L", "F"], ("R", "L", "H", "F")),
        (["R", "H"], ("L", "R", "F", "H")),
        (["P", "FL"], ("A", "P", "H", "F")),
        (["L"], None),
        (["X", "F"], None),
        ([], None),
    ],
)
def test_a_radiographs_edges_follow_from_patient_orientation(
    orientation: list[str], letters: tuple[str, str, str, str] | None
) -> None:
    header = Dataset()
    if orientation:
        header.PatientOrientation = orientation
    assert edges(a_stack(np.ones((1, 8, 8), dtype=np.float32), [None], header)) == letters
