"""Midline shift on drawn heads with exact shifts, on phantoms, and where it can't be measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from radiolucent.imaging.geometry import ImagePlane
from radiolucent.imaging.loading import load
from radiolucent.imaging.midline import midline_shift
from radiolucent.imaging.study import Frame, Stack
from radiolucent.phantom.studies import make_study

SPACING, GAP, SLICES = (1.0, 1.0), 5.0, 24


def head(shift_mm: float, *, clot: bool = False, fluid: bool = True, top: bool = True) -> NDArray[np.float32]:
    """A skull with two frontal horns, 4 mm left and right of a septum that is `shift_mm` towards growing columns."""
    rows, columns = np.mgrid[0:200, 0:180].astype(np.float64)
    slices = []
    for index in range(SLICES):
        height = index * GAP
        size = np.sqrt(max(1 - (height / 117) ** 2, 0.03)) if top else 1.0
        inner = np.hypot((columns - 90) / (65 * size), (rows - 100) / (83 * size))
        outer = np.hypot((columns - 90) / (65 * size + 6), (rows - 100) / (83 * size + 6))
        hu = np.where(outer <= 1, np.where(inner <= 1, 35.0, 1000.0), -1000.0)
        if fluid and 35 <= height <= 75:
            for side, full in ((-1, True), (1, not clot)):
                horn = np.hypot((columns - 90 - shift_mm - side * 6) / 4, (rows - 85) / 15) <= 1
                hu[horn] = 6 if full else 65
        slices.append(hu)
    return np.stack(slices).astype(np.float32)


def stack(hu: NDArray[np.float32], *, modality: str = "CT", row_sign: float = 1.0) -> Stack:
    planes = [
        ImagePlane(
            position_mm=(0.0, 0.0, index * GAP),
            row_cosines=(row_sign, 0.0, 0.0),
            column_cosines=(0.0, row_sign, 0.0),
            spacing_mm=SPACING,
        )
        for index in range(len(hu))
    ]
    frames = tuple(
        Frame(sop_class_uid="1.2", sop_instance_uid=f"1.2.{index}", plane=plane, spacing_mm=SPACING)
        for index, plane in enumerate(planes)
    )
    return Stack(
        study_instance_uid="1",
        series_instance_uid="1.1",
        modality=modality,
        kind="volume",
        frames=frames,
        headers=tuple(Dataset() for _ in frames),
        decode=lambda index: hu[index],
        slice_spacing_mm=GAP,
    )


@pytest.mark.parametrize("shift", [-12.0, -5.0, 0.0, 3.0, 9.0])
def test_a_drawn_shift_is_measured_within_a_millimetre(shift: float) -> None:
    found = midline_shift(stack(head(shift)))
    assert found.mm is not None, found.reason
    assert abs(found.mm - shift) <= 1.0


def test_positive_means_towards_the_left_of_the_patient_however_the_picture_lies() -> None:
    upright, turned = midline_shift(stack(head(6.0))), midline_shift(stack(head(6.0), row_sign=-1.0))
    assert upright.mm is not None
    assert turned.mm is not None
    assert upright.mm > 0 > turned.mm
    assert upright.mm == pytest.approx(-turned.mm)


def test_the_points_to_draw_lie_on_the_septum_and_on_the_middle_of_the_skull() -> None:
    found = midline_shift(stack(head(8.0)))
    assert found.septum is not None
    assert found.line is not None
    assert found.frame is not None
    assert found.septum[1] == pytest.approx(98, abs=1.0)
    assert [point[1] for point in found.line] == pytest.approx([90, 90], abs=1.0)
    assert found.line[0][0] < found.septum[0] < found.line[1][0]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (stack(head(4.0, clot=True)), "blood"),
        (stack(head(0.0, fluid=False)), "too little fluid"),
        (stack(head(0.0, top=False)), "top"),
        (stack(np.clip(head(0.0), -100, 200)), "Hounsfield"),
        (stack(head(0.0), modality="MR"), "only an axial CT"),
        (replace(stack(head(0.0)), slice_spacing_mm=None), "only an axial CT"),
    ],
    ids=["one ventricle full of clot", "no fluid", "top not covered", "no HU", "MR", "no volume"],
)
def test_what_cannot_be_measured_says_why_and_gives_no_number(made: Stack, words: str) -> None:
    found = midline_shift(made)
    assert found.mm is None
    assert words in found.reason


def test_phantoms_with_a_subdural_bleed_are_measured_within_three_millimetres(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("head")
    study = make_study("head-ct", ("subdural-haemorrhage",), seed=14, rows=192, slices=28)
    study.save(folder)
    found = midline_shift(load(folder).studies[0].stacks[0])
    true = study.lesions[0].extras["midline_shift_mm"]
    assert true > 4
    assert found.mm is not None, found.reason
    assert abs(abs(found.mm) - true) <= 3.0
