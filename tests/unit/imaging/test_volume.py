"""Frames of a series find their stack and their order by geometry, whatever the order of the files."""

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from radiolucent.imaging.geometry import ImagePlane
from radiolucent.imaging.loading import load
from radiolucent.imaging.study import Loaded, Stack
from radiolucent.imaging.volume import stacks_of_series, tilt_degrees

AXIAL: list[float] = [1, 0, 0, 0, 1, 0]
CORONAL: list[float] = [1, 0, 0, 0, 0, -1]
SAGITTAL: list[float] = [0, 1, 0, 0, 0, -1]
SPACING = {"PixelSpacing": [1.0, 1.0]}


@pytest.fixture
def write_series(write_image: Any, tmp_path: Path) -> Any:
    """Write one image per position (and further values); pixel (0, 0) of each is its index."""
    written = 0

    def write(positions: list[list[float]], orientation: list[float] = AXIAL, **values: Any) -> Path:
        nonlocal written
        for position in positions:
            pixels = np.arange(40 * 40, dtype=np.uint16).reshape(40, 40)
            pixels[0, 0] = written
            each = {key: value[written] if isinstance(value, tuple) else value for key, value in values.items()}
            where = {"ImagePositionPatient": position, "ImageOrientationPatient": orientation}
            write_image(f"{written:04d}", pixels, **{**SPACING, **where, "InstanceNumber": written, **each})
            written += 1
        return tmp_path

    return write


def stacks(loaded: Loaded) -> tuple[Stack, ...]:
    (study,) = loaded.studies
    return study.stacks


def order(stack: Stack) -> list[int]:
    return [int(value) for value in stack.pixels[:, 0, 0]]


def codes(loaded: Loaded) -> list[str]:
    return [problem.code for study in loaded.studies for problem in study.problems]


@pytest.mark.parametrize(
    ("orientation", "positions", "name"),
    [
        (AXIAL, [[0, 0, z] for z in (20, -10, 5)], "axial"),  # foot to head
        (CORONAL, [[0, -y, 0] for y in (20, -10, 5)], "coronal"),  # back to front: falling y
        (SAGITTAL, [[x, 0, 0] for x in (20, -10, 5)], "sagittal"),  # right to left: rising x
        ([-1, 0, 0, 0, 1, 0], [[0, 0, z] for z in (20, -10, 5)], "axial"),  # a reversed normal changes nothing
    ],
)
def test_a_volume_is_sorted_by_where_its_slices_lie(
    write_series: Any, orientation: list[float], positions: list[list[float]], name: str
) -> None:
    (stack,) = stacks(load(write_series(positions, orientation)))
    assert (stack.kind, order(stack), stack.slice_spacing_mm) == ("volume", [1, 2, 0], 15.0)
    assert stack.frames[0].plane is not None
    assert name == stack.frames[0].plane.orientation


@given(st.randoms(use_true_random=False), st.integers(3, 12), st.floats(0.5, 8), st.floats(-0.4, 0.4))
@settings(max_examples=40)
def test_the_order_of_the_instances_changes_nothing(shuffler: Random, count: int, spacing: float, angle: float) -> None:
    instances = [fake_instance(index, spacing, angle) for index in range(count)]
    shuffled = list(instances)
    shuffler.shuffle(shuffled)
    (expected,), _ = stacks_of_series(instances)  # type: ignore[arg-type]
    (found,), problems = stacks_of_series(shuffled)  # type: ignore[arg-type]
    assert expected.frames == found.frames
    assert [frame.sop_instance_uid for frame in found.frames] == [f"1.{index}" for index in range(count)]
    assert found.slice_spacing_mm == pytest.approx(spacing)
    assert problems == ()


class fake_instance:  # noqa: N801 - stands where read_instance would
    """What volume.py asks of an instance: a header, a source with a name, notes."""

    notes = ()

    def __init__(self, index: int, spacing: float, angle: float) -> None:
        cosine, sine = float(np.cos(angle)), float(np.sin(angle))
        normal = np.array([0, -sine, cosine])
        header = Dataset()
        header.Modality, header.PhotometricInterpretation = "MR", "MONOCHROME2"
        header.SOPInstanceUID, header.SeriesInstanceUID = f"1.{index}", "2"
        header.Rows, header.Columns, header.PixelSpacing = 40, 50, [1.0, 1.0]
        header.ImageOrientationPatient = [1, 0, 0, 0, round(cosine, 8), round(sine, 8)]
        header.ImagePositionPatient = [round(float(value), 6) for value in normal * index * spacing]
        self.header = header


def test_a_missing_slice_is_noted_with_its_gap(write_series: Any) -> None:
    (stack,) = stacks(load(write_series([[0, 0, z] for z in (0, 5, 10, 25, 30)])))
    assert stack.slice_spacing_mm == 5
    assert "gap of 15.0 mm between slices 3 and 4: about 2 missing (spacing 5.0 mm)" in stack.notes


def test_uneven_slices_are_noted(write_series: Any) -> None:
    (stack,) = stacks(load(write_series([[0, 0, z] for z in (0, 5, 10, 12, 17)])))
    assert any("unevenly spaced: 2.00 to 5.00 mm" in note for note in stack.notes)


def test_gantry_tilt_is_noted_with_its_angle(write_series: Any) -> None:
    (stack,) = stacks(load(write_series([[0, 1.763 * index, 10.0 * index] for index in range(4)])))
    assert any("gantry tilt" in note and "10.0°" in note for note in stack.notes)
    assert stack.slice_spacing_mm == 10


def test_tilt_is_the_angle_between_the_way_and_the_normal() -> None:
    def plane(position: tuple[float, float, float]) -> ImagePlane:
        return ImagePlane(position_mm=position, row_cosines=(1, 0, 0), column_cosines=(0, 1, 0), spacing_mm=(1, 1))

    assert tilt_degrees([plane((0, 0, 0)), plane((0, 10, 10))]) == pytest.approx(45)
    assert tilt_degrees([plane((0, 0, 0)), plane((0, 0, -10))]) == 0
    assert tilt_degrees([plane((0, 0, 0))]) == 0


def test_two_images_in_one_place_that_nothing_tells_apart_are_a_problem(write_series: Any) -> None:
    loaded = load(write_series([[0, 0, 0], [0, 0, 5], [0, 0, 5], [0, 0, 10]]))
    (stack,) = stacks(loaded)
    assert order(stack) == [0, 1, 3]
    assert codes(loaded) == ["duplicate-position"]
    assert "1 images lie where another one lies; the first of each is used" in stack.notes


@pytest.mark.parametrize(
    ("keyword", "first", "second"),
    [
        ("EchoTime", 12, 90),
        ("AcquisitionNumber", 1, 2),
        ("TriggerTime", 0, 40),
        ("ImageType", ["ORIGINAL", "PRIMARY", "M"], ["ORIGINAL", "PRIMARY", "P"]),
        ("DiffusionBValue", 0, 1000),
        ("TemporalPositionIdentifier", 1, 2),
        ("ConvolutionKernel", "B30f", "B70f"),
        ("InversionTime", 100, 2500),
    ],
)
def test_two_passes_over_the_same_places_are_two_volumes(
    write_series: Any, keyword: str, first: object, second: object
) -> None:
    positions: list[list[float]] = [[0, 0, z] for z in (0, 5, 10, 0, 5, 10)]
    loaded = load(write_series(positions, **{keyword: (first, first, first, second, second, second)}))
    assert [order(stack) for stack in stacks(loaded)] == [[0, 1, 2], [3, 4, 5]]
    assert [stack.part for stack in stacks(loaded)] == [1, 2]
    assert codes(loaded) == []


def test_two_facts_that_vary_together_make_four_volumes(write_series: Any) -> None:
    positions: list[list[float]] = [[0, 0, z] for _ in range(4) for z in (0, 5)]
    found = stacks(
        load(
            write_series(
                positions,
                EchoTime=(12, 12, 90, 90, 12, 12, 90, 90),
                TemporalPositionIdentifier=(1, 1, 1, 1, 2, 2, 2, 2),
            )
        )
    )
    assert [order(stack) for stack in found] == [[0, 1], [2, 3], [4, 5], [6, 7]]


def test_directions_are_told_apart(write_series: Any) -> None:
    write_series([[0, 0, z] for z in (0, 5, 10)])
    write_series([[x, 0, 0] for x in (0, 5)], SAGITTAL)
    loaded = load(write_series([[0, y, 0] for y in (0, 5)], CORONAL))
    assert [order(stack) for stack in stacks(loaded)] == [[0, 1, 2], [3, 4], [6, 5]]
    assert all("the series has images in 3 directions" in stack.notes for stack in stacks(loaded))


def test_a_localiser_stands_apart_from_the_volume(write_series: Any) -> None:
    original, planning = ["ORIGINAL", "PRIMARY", "AXIAL"], ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    positions: list[list[float]] = [[0, 0, 50], [0, 0, 0], [0, 0, 5]]
    found = stacks(load(write_series(positions, ImageType=(planning, original, original))))
    assert [(stack.kind, order(stack)) for stack in found] == [("image", [0]), ("volume", [1, 2])]
    assert "localiser: a planning image" in found[0].notes


def test_other_pixel_sizes_are_another_stack(write_series: Any) -> None:
    positions: list[list[float]] = [[0, 0, 0], [0, 0, 5], [0, 0, 10]]
    found = stacks(load(write_series(positions, PixelSpacing=([1, 1], [1, 1], [0.5, 0.5]))))
    assert [order(stack) for stack in found] == [[0, 1], [2]]


def test_slices_without_geometry_are_ordered_by_instance_number_and_say_so(write_image: Any, tmp_path: Path) -> None:
    for index in (3, 1, 2):
        write_image(str(index), np.full((40, 40), index, dtype=np.uint16), InstanceNumber=index)
    (stack,) = stacks(load(tmp_path))
    assert (stack.kind, order(stack), stack.slice_spacing_mm) == ("frames", [1, 2, 3], None)
    assert any("ordered by Instance Number" in note for note in stack.notes)


def test_radiographs_of_one_series_stand_alone(write_image: Any, tmp_path: Path) -> None:
    for index in range(2):
        write_image(str(index), np.full((40, 40), index, dtype=np.uint16), InstanceNumber=index, Modality="DX")
    assert [stack.kind for stack in stacks(load(tmp_path))] == ["image", "image"]


def functional_groups(height: float, **values: object) -> Dataset:
    group, position, transform, window = Dataset(), Dataset(), Dataset(), Dataset()
    position.ImagePositionPatient = [0, 0, height]
    transform.RescaleSlope, transform.RescaleIntercept, transform.RescaleType = values.get("slope", 1), -100, "US"
    window.WindowCenter, window.WindowWidth = values.get("center", 50), 100
    group.PlanePositionSequence = [position]
    group.PixelValueTransformationSequence = [transform]
    group.FrameVOILUTSequence = [window]
    return group


def shared_groups() -> Dataset:
    group, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = AXIAL
    measures.PixelSpacing, measures.SliceThickness = [0.8, 0.9], 3
    group.PlaneOrientationSequence = [orientation]
    group.PixelMeasuresSequence = [measures]
    return group


def test_an_enhanced_object_is_a_volume_with_each_frames_own_values(write_image: Any) -> None:
    pixels: NDArray[np.uint16] = np.stack([np.full((40, 50), value, dtype=np.uint16) for value in (10, 20, 30)])
    path = write_image(
        "enhanced",
        pixels,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.2.1",
        Modality="CT",
        SharedFunctionalGroupsSequence=[shared_groups()],
        PerFrameFunctionalGroupsSequence=[
            functional_groups(6, slope=1),
            functional_groups(0, slope=2, center=77),
            functional_groups(3, slope=3),
        ],
    )
    (stack,) = stacks(load(path))
    assert (stack.kind, stack.slice_spacing_mm, stack.spacing_mm) == ("volume", 3.0, (0.8, 0.9))
    assert [frame.number for frame in stack.frames] == [2, 3, 1]
    assert stack.pixels[:, 0, 0].tolist() == [20 * 2 - 100, 30 * 3 - 100, 10 - 100]
    assert stack.window is not None
    assert stack.window.center == 77
    assert stack.headers[0] is stack.headers[2]
