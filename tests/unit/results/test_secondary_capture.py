from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from radiolucent.errors import EncodingError
from radiolucent.results.provenance import Provenance
from radiolucent.results.secondary_capture import Picture, encode_secondary_capture

if TYPE_CHECKING:
    from tests.unit.results.cases import Case

Make = Callable[..., "Case"]
Write = Callable[[Dataset], Dataset]
Provenances = Callable[..., Provenance]


def _picture(case: Case) -> Picture:
    return next(iter(case.pictures.values()))[0]


@pytest.mark.parametrize("kind", ["mr", "ct", "cr", "dx", "enhanced-mr"])
def test_the_picture_comes_back_byte_for_byte_in_rgb(
    make_case: Make, written: Write, provenance_of: Provenances, kind: str
) -> None:
    case = make_case(kind)
    picture = _picture(case)
    made = written(encode_secondary_capture(picture, case.series, case.stack, provenance_of(case)))

    np.testing.assert_array_equal(picture.pixels, made.pixel_array)
    assert (made.PhotometricInterpretation, made.SamplesPerPixel, made.PlanarConfiguration) == ("RGB", 3, 0)


def test_an_odd_number_of_bytes_is_padded(make_case: Make, written: Write, provenance_of: Provenances) -> None:
    case = make_case("dx", shape=(1, 9, 11))
    picture = _picture(case)
    made = written(encode_secondary_capture(picture, case.series, case.stack, provenance_of(case)))

    np.testing.assert_array_equal(picture.pixels, made.pixel_array)
    assert len(made.PixelData) % 2 == 0


def test_a_slice_keeps_the_place_of_its_source(make_case: Make, written: Write, provenance_of: Provenances) -> None:
    case = make_case("ct", spacing_mm=(0.4, 0.7))
    picture = _picture(case)
    made = written(encode_secondary_capture(picture, case.series, case.stack, provenance_of(case)))
    plane = case.stack.frames[picture.frame].plane
    assert plane is not None

    np.testing.assert_allclose(made.ImagePositionPatient, plane.position_mm)
    np.testing.assert_allclose(made.ImageOrientationPatient, (*plane.row_cosines, *plane.column_cosines))
    assert [float(value) for value in made.PixelSpacing] == [0.4, 0.7]
    assert made.FrameOfReferenceUID == case.stack.header.FrameOfReferenceUID


def test_the_source_frame_is_named(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("enhanced-mr")
    picture = _picture(case)
    source = encode_secondary_capture(picture, case.series, case.stack, provenance_of(case)).SourceImageSequence[0]

    assert source.ReferencedSOPInstanceUID == case.stack.frames[picture.frame].sop_instance_uid
    assert source.ReferencedFrameNumber == case.stack.frames[picture.frame].number
    assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "121322"


@pytest.mark.parametrize("kind", ["cr", "dx"])
def test_a_radiograph_gets_no_plane_in_a_capture(make_case: Make, provenance_of: Provenances, kind: str) -> None:
    case = make_case(kind)
    made = encode_secondary_capture(_picture(case), case.series, case.stack, provenance_of(case))

    assert "ImagePositionPatient" not in made
    assert "FrameOfReferenceUID" not in made
    assert ("PixelSpacing" in made) == (case.stack.spacing_mm is not None)
    assert list(made.PatientOrientation) == ["L", "F"]


def test_a_picture_of_another_size_has_no_geometry(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("ct")
    larger = replace(_picture(case), pixels=np.zeros((200, 180, 3), np.uint8))
    made = encode_secondary_capture(larger, case.series, case.stack, provenance_of(case))

    assert (made.Rows, made.Columns) == (200, 180)
    assert "ImagePositionPatient" not in made
    assert "PixelSpacing" not in made


def test_it_says_that_it_is_ai_and_not_diagnostic(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")
    made = encode_secondary_capture(_picture(case), case.series, case.stack, provenance_of(case))

    assert "not diagnostic" in made.SeriesDescription
    assert "AI, not diagnostic" in made.DerivationDescription
    assert list(made.ImageType) == ["DERIVED", "SECONDARY"]


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
        np.zeros((0, 8, 3), np.uint8),
    ],
)
def test_anything_but_rgb_bytes_is_refused(
    make_case: Make, provenance_of: Provenances, pixels: np.ndarray[Any, Any]
) -> None:
    case = make_case("mr")

    with pytest.raises(EncodingError, match="a picture must be uint8"):
        encode_secondary_capture(replace(_picture(case), pixels=pixels), case.series, case.stack, provenance_of(case))


@pytest.mark.parametrize("frame", [-1, 24])
def test_a_frame_that_the_series_lacks_is_refused(make_case: Make, provenance_of: Provenances, frame: int) -> None:
    case = make_case("mr")

    with pytest.raises(EncodingError, match="has no frame"):
        encode_secondary_capture(replace(_picture(case), frame=frame), case.series, case.stack, provenance_of(case))


def test_what_the_library_refuses_is_an_encoding_error(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")

    with pytest.raises(EncodingError, match=r"the secondary capture can't be written"):
        encode_secondary_capture(_picture(case), case.series, case.stack, provenance_of(case), number=0)
