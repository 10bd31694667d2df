from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import UID

from radiolucent.errors import EncodingError
from radiolucent.imaging.study import Frame, Stack
from radiolucent.results.objects import encode_reading
from radiolucent.results.source import (
    NOMINAL_MM,
    copy_body_part,
    decimals,
    frame_of_reference,
    identity,
    image_reference,
    instance_headers,
    name_people,
    patient_orientation,
    planar_headers,
    private_plane,
    slice_thickness,
)

if TYPE_CHECKING:
    from tests.unit.results.cases import Case

Make = Callable[..., "Case"]
Write = Callable[[Dataset], Dataset]


def test_patient_and_study_are_copied_as_text(make_case: Make) -> None:
    stack = make_case("ct", patient="Müller^Zoë=山田^太郎").stack
    who = identity(stack)
    name_people(who, stack)

    assert who.PatientName == "Müller^Zoë=山田^太郎"
    assert (who.PatientID, who.StudyID, who.AccessionNumber) == ("PHANTOM-1", "S1", "ACC1")
    assert who.SpecificCharacterSet == "ISO_IR 192"


def test_what_the_source_lacks_is_empty_not_invented(make_case: Make) -> None:
    who = identity(make_case("ct", bare=True).stack)

    for keyword in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"):
        assert not getattr(who, keyword)


def test_nothing_unlisted_is_copied(make_case: Make) -> None:
    stack = make_case("ct").stack
    header = Dataset()
    header.update({element.tag: element for element in stack.header})
    header.PatientComments, header.InstitutionName = "secret", "secret"

    who = identity(replace(stack, headers=(header, *stack.headers[1:])))

    assert "PatientComments" not in who
    assert "InstitutionName" not in who


def test_a_name_of_one_word_is_written_as_it_is_without_complaint(make_case: Make, written: Write) -> None:
    case = make_case("ct", patient="ward")
    for item in encode_reading(case.reading, case.stacks, case.pictures, made_at=datetime(2026, 3, 4)):
        assert written(item.dataset).PatientName == "ward"


@pytest.mark.parametrize(("age", "expected"), [("062Y", "062Y"), ("62", None), ("", None)])
def test_an_age_is_copied_where_it_is_one(make_case: Make, age: str, expected: str | None) -> None:
    stack, header = make_case("dx").stack, Dataset()
    header.add_new("PatientAge", "LO", age)

    assert identity(replace(stack, headers=(header,))).get("PatientAge") == expected


@pytest.mark.parametrize(("method", "expected"), [("by hand", "by hand"), ("", "not stated by the source")])
def test_a_deidentified_patient_stays_so_with_a_method(make_case: Make, method: str, expected: str) -> None:
    stack, header = make_case("dx").stack, Dataset()
    header.PatientIdentityRemoved, header.DeidentificationMethod = "YES", method
    who = identity(replace(stack, headers=(header,)))

    assert (who.PatientIdentityRemoved, who.DeidentificationMethod) == ("YES", expected)


@pytest.mark.parametrize(
    ("keyword", "content", "expected"),
    [
        ("StudyDate", "19960611", "19960611"),
        ("StudyDate", "1996.06.11", "19960611"),
        ("StudyDate", "19961311", ""),
        ("StudyTime", "101112.5", "101112.5"),
        ("StudyTime", "10:11:12", "101112"),
        ("StudyTime", "10", "10"),
        ("StudyTime", "25", ""),
        ("StudyID", "S" * 16, "S" * 16),
        ("StudyID", "S" * 17, ""),
    ],
)
def test_an_outdated_date_is_modernised_and_an_impossible_value_left_empty(
    make_case: Make, keyword: str, content: str, expected: str
) -> None:
    stack, header = make_case("dx").stack, Dataset()
    header.add_new(keyword, "LO", content)

    assert identity(replace(stack, headers=(header,)))[keyword].value == expected


def test_an_unknown_slice_thickness_is_nominal_where_a_number_must_stand(make_case: Make) -> None:
    case = make_case("ct", shape=(1, 33, 65), thick=False)

    assert slice_thickness(case.stack, 0) is None
    assert planar_headers(case.stack, [0], (33, 65))[0].SliceThickness == NOMINAL_MM


def test_a_broken_date_or_sex_is_left_empty(make_case: Make) -> None:
    stack = make_case("dx").stack
    header = Dataset()
    header.PatientSex = "X"
    header.add_new("StudyDate", "LO", "last week")
    header.add_new("StudyTime", "LO", "noon")

    who = identity(replace(stack, headers=(header,)))

    assert (who.PatientSex, who.StudyDate, who.StudyTime) == ("", "", "")


@pytest.mark.parametrize("level", ["study_instance_uid", "series_instance_uid"])
def test_a_study_or_series_without_a_valid_uid_is_refused(make_case: Make, level: str) -> None:
    stack: Stack = replace(make_case("dx").stack, **{level: "not a uid"})  # type: ignore[arg-type]

    with pytest.raises(EncodingError, match="no valid UID"):
        identity(stack)


def test_each_radiograph_gets_a_private_space_of_its_own(make_case: Make) -> None:
    stack = make_case("cr").stack
    other: Frame = replace(stack.frames[0], sop_instance_uid="1.2.3.4.5")

    one = frame_of_reference(stack, 0)

    assert UID(one).is_valid
    assert one == frame_of_reference(stack, 0)
    assert one != frame_of_reference(replace(stack, frames=(other,)), 0)


def test_a_volume_keeps_its_frame_of_reference(make_case: Make) -> None:
    stack = make_case("mr").stack

    assert stack.header.FrameOfReferenceUID == frame_of_reference(stack, 3)


def test_a_volume_without_frame_of_reference_gets_one_for_all_its_slices(make_case: Make) -> None:
    stack = make_case("mr", bare=True).stack

    assert len({frame_of_reference(stack, index) for index in range(len(stack.frames))}) == 1


def test_a_private_plane_has_the_known_spacing_or_one_unit_a_pixel(make_case: Make) -> None:
    assert private_plane(make_case("dx").stack, 0).spacing_mm == (0.5, 0.5)
    assert private_plane(make_case("cr").stack, 0).spacing_mm == (1.0, 1.0)


def test_frames_that_may_share_one_place_get_private_planes(make_case: Make) -> None:
    stack = replace(make_case("mr").stack, kind="frames")

    places = {tuple(header.ImagePositionPatient) for header in planar_headers(stack, range(24), (64, 64))}

    assert len(places) == 24


def test_a_multiframe_object_is_one_instance_with_numbered_frames(make_case: Make) -> None:
    stack = make_case("enhanced-mr").stack

    headers = instance_headers(stack, [2, 3, 4], (64, 48))

    assert len(headers) == 1
    assert image_reference(stack, 4).ReferencedFrameNumber == 5


def test_a_single_frame_reference_has_no_frame_number(make_case: Make) -> None:
    assert "ReferencedFrameNumber" not in image_reference(make_case("mr").stack, 4)


def test_slice_thickness_falls_back_to_the_distance_between_slices(make_case: Make) -> None:
    assert slice_thickness(make_case("enhanced-mr").stack, 0) == 3.0
    assert slice_thickness(make_case("cr").stack, 0) == 1.0


def test_a_broken_slice_thickness_counts_as_unknown(make_case: Make) -> None:
    stack = make_case("mr").stack
    header = Dataset()
    header.add_new("SliceThickness", "LO", "thin")

    assert slice_thickness(replace(stack, headers=(header, *stack.headers[1:])), 0) == 3.0


@pytest.mark.parametrize(
    ("part", "side", "expected"),
    [("CHEST", "", None), ("HAND", "", ""), ("HAND", "L", "L"), ("KNEE", "R", "R"), ("HAND", "B", "")],
)
def test_a_side_is_sent_empty_only_where_it_matters(
    make_case: Make, part: str, side: str, expected: str | None
) -> None:
    made = Dataset()
    copy_body_part(made, make_case("dx", body_part=part, side=side).stack)

    assert part == made.BodyPartExamined
    assert expected == made.get("Laterality")


def test_patient_orientation_is_the_sources_or_empty(make_case: Make) -> None:
    assert patient_orientation(make_case("cr").stack, 0) == ["L", "F"]
    assert patient_orientation(make_case("cr", bare=True).stack, 0) == []


@given(st.floats(-1e6, 1e6, allow_nan=False))
@settings(max_examples=200)
def test_decimals_fit_sixteen_characters_and_keep_the_value(number: float) -> None:
    text = str(decimals(number)[0])

    assert len(text) <= 16
    assert abs(float(text) - number) <= max(abs(number) * 1e-9, 1e-9)
