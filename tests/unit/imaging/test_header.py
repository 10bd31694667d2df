"""Header values come as plain types; absent, empty and broken ones are None or empty."""

import pytest
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from radiolucent.imaging.header import (
    frame_count,
    frame_holder,
    is_signed,
    number,
    numbers,
    settle,
    text,
    texts,
    value,
    whole,
)


def header(**values: object) -> Dataset:
    dataset = Dataset()
    for keyword, each in values.items():
        setattr(dataset, keyword, each)
    return dataset


def broken(keyword: str, vr: str, content: str) -> Dataset:
    dataset = Dataset()
    dataset.add(DataElement(keyword, vr, content, validation_mode=IGNORE))
    return dataset


@pytest.mark.parametrize(
    ("dataset", "expected"),
    [
        (header(PixelSpacing=[0.5, 0.25]), (0.5, 0.25)),
        (header(PixelSpacing=[0.5]), None),
        (header(PixelSpacing=None), None),
        (header(), None),
    ],
)
def test_numbers_are_floats_of_the_wanted_count(dataset: Dataset, expected: tuple[float, ...] | None) -> None:
    assert expected == numbers(dataset, "PixelSpacing", 2)


@pytest.mark.parametrize("content", ["inf", "nan", "1e999"])
def test_a_number_that_is_not_finite_is_none(content: str) -> None:
    assert number(header(EchoTime=1), "EchoTime") == 1
    assert number(broken("EchoTime", "FD", float(content)), "EchoTime") is None  # type: ignore[arg-type]


def test_text_is_stripped_and_joined() -> None:
    dataset = header(SeriesDescription="  AX T1 ", ImageType=["ORIGINAL", "PRIMARY"])
    assert text(dataset, "SeriesDescription") == "AX T1"
    assert text(dataset, "ImageType") == "ORIGINAL\\PRIMARY"
    assert texts(dataset, "ImageType") == ("ORIGINAL", "PRIMARY")
    assert texts(dataset, "SeriesDescription") == ("AX T1",)
    assert texts(header(SeriesDescription="ax t1"), "SeriesDescription") == ("AX T1",)
    assert texts(dataset, "StudyDescription") == ()


def test_an_empty_value_counts_as_absent() -> None:
    assert value(header(SeriesDescription=""), "SeriesDescription") is None
    assert value(header(AnatomicRegionSequence=[]), "AnatomicRegionSequence") is None


@pytest.mark.parametrize(("content", "expected"), [(None, 1), (0, 1), (1, 1), (7, 7)])
def test_an_object_has_at_least_one_frame(content: int | None, expected: int) -> None:
    assert expected == frame_count(header(NumberOfFrames=content))


def test_signedness_and_whole_numbers() -> None:
    assert is_signed(header(PixelRepresentation=1))
    assert not is_signed(header())
    assert whole(header(Rows=12), "Rows") == 12


def test_a_frames_own_group_comes_before_the_shared_one_and_that_before_the_object() -> None:
    own, shared, own_group, shared_group = Dataset(), Dataset(), Dataset(), Dataset()
    own_group.PixelMeasuresSequence, shared_group.PixelMeasuresSequence = [own], [shared]
    own.PixelSpacing, shared.PixelSpacing = [1, 1], [2, 2]
    dataset = header(
        PixelSpacing=[3, 3],
        SharedFunctionalGroupsSequence=[shared_group],
        PerFrameFunctionalGroupsSequence=[own_group, Dataset()],
    )
    assert [frame_holder(dataset, frame, "PixelSpacing").PixelSpacing[0] for frame in (1, 2, 9)] == [1, 2, 2]
    assert frame_holder(header(PixelSpacing=[3, 3]), 1, "PixelSpacing").PixelSpacing[0] == 3


def test_settling_takes_out_what_is_no_number_in_items_too() -> None:
    item = Dataset()
    item[0x00180081] = RawDataElement(Tag(0x00180081), "DS", 2, b"xy", 0, False, True)
    dataset = header(AnatomicRegionSequence=[item], SeriesDescription="kept")
    assert settle(dataset) == ("AnatomicRegionSequence.EchoTime",)
    assert dataset.SeriesDescription == "kept"
    assert len(dataset.AnatomicRegionSequence[0]) == 0
