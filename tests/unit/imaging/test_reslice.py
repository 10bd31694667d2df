"""A ball at a known place in the patient is found there again after re-slicing."""

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy import ndimage

from radiolucent.imaging.geometry import ImagePlane
from radiolucent.imaging.reslice import axial
from radiolucent.imaging.study import Frame, Stack

BALL_MM = np.array([12.0, -20.0, 30.0])
RADIUS_MM = 14.0
DIRECTIONS = {
    "sagittal": ((0.0, 1.0, 0.0), (0.0, 0.0, -1.0)),
    "coronal": ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0)),
    "axial": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0)),
    "oblique": ((0.0, 1.0, 0.0), (np.sqrt(0.5), 0.0, -np.sqrt(0.5))),
}


def volume(direction: str, *, shift_mm: float = 0.0, skip: int | None = None) -> Stack:
    """24 slices of 64 × 72 pixels around the origin that show a ball; `shift_mm` tilts, `skip` leaves a slice out."""
    rows, columns = DIRECTIONS[direction]
    normal = np.cross(rows, columns)
    planes = []
    for index in range(24):
        if index == skip:
            continue
        centre = normal * (index - 11.5) * 4.0 + np.array(columns) * shift_mm * index + np.array([0, 0, 20.0])
        corner = centre - np.array(rows) * 35.5 * 1.5 - np.array(columns) * 31.5 * 1.5
        planes.append(
            ImagePlane(
                position_mm=(corner[0], corner[1], corner[2]),
                row_cosines=rows,
                column_cosines=columns,
                spacing_mm=(1.5, 1.5),
            )
        )

    def decode(index: int) -> NDArray[np.float32]:
        grid = np.moveaxis(np.indices((64, 72), dtype=np.float64), 0, -1)
        distance = np.linalg.norm(planes[index].to_patient(grid) - BALL_MM, axis=-1)
        ball: NDArray[np.float32] = (np.clip(RADIUS_MM - distance, 0, 1) * 100 - 10).astype(np.float32)
        return ball

    header = Dataset()
    header.Rows, header.Columns = 64, 72
    return Stack(
        study_instance_uid="1",
        series_instance_uid="2",
        modality="MR",
        kind="volume",
        frames=tuple(
            Frame(sop_class_uid="1.2", sop_instance_uid=f"1.2.{index}", plane=plane, spacing_mm=(1.5, 1.5))
            for index, plane in enumerate(planes)
        ),
        headers=(header,) * len(planes),
        decode=decode,
        slice_spacing_mm=4.0,
    )


def centroid_mm(stack: Stack) -> NDArray[np.float64]:
    weights = np.clip(stack.pixels + 10, 0, None)
    frame, row, column = ndimage.center_of_mass(weights)
    plane = stack.frames[0].plane
    assert plane is not None
    assert stack.slice_spacing_mm is not None
    up = np.array([0.0, 0.0, frame * stack.slice_spacing_mm])
    found: NDArray[np.float64] = plane.to_patient(np.array([row, column])) + up
    return found


@pytest.mark.parametrize("direction", ["sagittal", "coronal", "oblique"])
def test_a_ball_stays_where_it_is_in_the_patient(direction: str) -> None:
    cut = axial(volume(direction))
    assert np.abs(centroid_mm(cut) - BALL_MM).max() < 0.5
    cells = float(np.clip((cut.pixels + 10) / 100, 0, 1).sum())
    cell = cut.frames[0].spacing_mm
    assert cell is not None
    assert cut.slice_spacing_mm is not None
    ball_mm3 = 4 / 3 * np.pi * (RADIUS_MM - 0.5) ** 3
    assert cells * cell[0] * cell[1] * cut.slice_spacing_mm == pytest.approx(ball_mm3, rel=0.05)


def test_tilted_slices_are_met_where_they_lie() -> None:
    assert np.abs(centroid_mm(axial(volume("sagittal", shift_mm=0.8))) - BALL_MM).max() < 0.5


def test_a_missing_slice_does_not_shift_the_rest() -> None:
    assert np.abs(centroid_mm(axial(volume("sagittal", skip=3))) - BALL_MM).max() < 0.5


def test_slices_go_from_foot_to_head_in_the_asked_distance() -> None:
    cut = axial(volume("sagittal"), slice_spacing_mm=6.0)
    heights = [frame.plane.position_mm[2] for frame in cut.frames if frame.plane is not None]
    assert np.diff(heights).tolist() == pytest.approx([6.0] * (len(cut.frames) - 1))
    assert {frame.plane.orientation for frame in cut.frames if frame.plane is not None} == {"axial"}
    assert cut.pixels.shape[1:] == cut.decode(0).shape


def test_a_slice_names_the_source_image_nearest_its_centre_and_the_note_says_so() -> None:
    cut = axial(volume("sagittal"))
    assert {"1.2.11", "1.2.12"} >= {frame.sop_instance_uid for frame in cut.frames}
    assert "re-sliced from sagittal to axial" in cut.notes[-1]


def test_beyond_the_source_is_the_smallest_value_not_zero() -> None:
    assert axial(volume("oblique")).decode(0).min() == -10


def test_an_axial_volume_is_returned_as_it_is() -> None:
    stack = volume("axial")
    assert axial(stack) is stack


def test_a_single_image_can_not_be_cut() -> None:
    stack = volume("sagittal")
    single = Stack(
        study_instance_uid="1",
        series_instance_uid="2",
        modality="MR",
        kind="image",
        frames=stack.frames[:1],
        headers=stack.headers[:1],
        decode=stack.decode,
    )
    with pytest.raises(ValueError, match="only a volume"):
        axial(single)
