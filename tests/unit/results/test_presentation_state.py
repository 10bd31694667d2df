from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from radiolucent.errors import EncodingError
from radiolucent.findings.reading import Region
from radiolucent.imaging.study import Stack
from radiolucent.results.presentation_state import (
    LONGEST_CONTOUR,
    caption,
    encode_presentation_states,
    graphic_points,
)
from radiolucent.results.provenance import Provenance

if TYPE_CHECKING:
    from tests.unit.results.cases import Case

Make = Callable[..., "Case"]
Write = Callable[[Dataset], Dataset]
Provenances = Callable[..., Provenance]


def _region(case: Case) -> Region:
    assert case.finding.localisation is not None
    return case.finding.localisation.regions[0]


def _with_header(stack: Stack, **values: object) -> Stack:
    headers = []
    for old in stack.headers:
        header = Dataset()
        header.update({element.tag: element for element in old})
        for keyword, value in values.items():
            setattr(header, keyword, value)
        headers.append(header)
    return replace(stack, headers=tuple(headers))


def _state(case: Case, provenance: Provenance, stack: Stack | None = None) -> Dataset:
    states = encode_presentation_states(case.series, stack or case.stack, provenance)
    assert len(states) == 1
    return states[0]


@pytest.mark.parametrize("kind", ["mr", "ct", "cr", "dx", "enhanced-mr"])
def test_the_contour_comes_back_on_its_own_frame(
    make_case: Make, written: Write, provenance_of: Provenances, kind: str
) -> None:
    case = make_case(kind)
    made = written(_state(case, provenance_of(case)))
    region, frame = _region(case), case.stack.frames[_region(case).frame]
    annotation = made.GraphicAnnotationSequence[0]

    points = np.array(annotation.GraphicObjectSequence[0].GraphicData).reshape(-1, 2)
    np.testing.assert_allclose(points, graphic_points(region, case.series.shape), rtol=1e-6)
    reference = annotation.ReferencedImageSequence[0]
    assert reference.ReferencedSOPInstanceUID == frame.sop_instance_uid
    assert reference.get("ReferencedFrameNumber", 1) == frame.number


def test_points_count_from_the_corner_of_the_first_pixel_column_first(make_case: Make) -> None:
    region = replace(_region(make_case("mr")), contour=((0.0, 1.0), (0.0, 3.0), (2.0, 3.0)))

    points = graphic_points(region, (64, 64))

    np.testing.assert_array_equal(points, [[1.5, 0.5], [3.5, 0.5], [3.5, 2.5], [1.5, 0.5]])


@given(
    count=st.integers(3, 3 * LONGEST_CONTOUR),
    rows=st.integers(2, 4000),
    columns=st.integers(2, 4000),
    closed=st.booleans(),
)
@settings(max_examples=50, deadline=None)
def test_any_contour_within_the_image_gives_a_closed_line_that_fits_its_element(
    make_case: Make, count: int, rows: int, columns: int, closed: bool
) -> None:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    contour = np.stack([(np.sin(angle) + 1) / 2 * rows - 0.5, (np.cos(angle) + 1) / 2 * columns - 0.5], axis=1)
    if closed:
        contour = np.vstack([contour, contour[:1]])
    region = replace(_region(make_case("mr")), contour=tuple((float(row), float(column)) for row, column in contour))

    points = graphic_points(region, (rows, columns))

    assert 4 <= len(points) <= LONGEST_CONTOUR + 1
    assert points.size * 4 < 65534
    np.testing.assert_array_equal(points[0], points[-1])
    assert points.min() >= 0
    assert (points <= [columns, rows]).all()


def test_a_contour_of_two_points_is_refused(make_case: Make) -> None:
    with pytest.raises(EncodingError, match="at least three points"):
        graphic_points(replace(_region(make_case("mr")), contour=((0.0, 0.0), (1.0, 1.0), (0.0, 0.0))), (64, 64))


@pytest.mark.parametrize("stray", [(-2.0, 0.0), (0.0, 70.0), (float("nan"), 1.0)])
def test_a_contour_outside_its_image_is_refused(make_case: Make, stray: tuple[float, float]) -> None:
    region = replace(_region(make_case("mr")), contour=((1.0, 1.0), (1.0, 5.0), stray))

    with pytest.raises(EncodingError, match="leaves its image"):
        graphic_points(region, (64, 64))


def test_the_text_says_what_was_found_and_what_it_is_not(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("cr")
    text = _state(case, provenance_of(case)).GraphicAnnotationSequence[0].TextObjectSequence[0]

    assert text.UnformattedTextValue == "Pneumothorax 91% - AI, not diagnostic"


@pytest.mark.parametrize("columns", [(1.0, 9.0), (30.0, 62.0), (0.0, 63.0)])
def test_the_text_stands_beside_the_contour_within_the_image(
    make_case: Make, provenance_of: Provenances, columns: tuple[float, float]
) -> None:
    case = make_case("mr")
    first, last = columns
    where = case.finding.localisation
    assert where is not None
    region = replace(where.regions[0], contour=((20.0, first), (30.0, first), (30.0, last), (20.0, last)))
    finding = replace(case.finding, localisation=replace(where, regions=(region,)))
    series = replace(case.series, findings=(finding,))
    text = encode_presentation_states(series, case.stack, provenance_of(case))[0].GraphicAnnotationSequence[0]

    words = text.TextObjectSequence[0]
    (left, top), (right, bottom) = words.BoundingBoxTopLeftHandCorner, words.BoundingBoxBottomRightHandCorner
    assert 0 <= left < right <= 64
    assert 0 <= top < bottom <= 64
    assert words.AnchorPoint[0] in (first + 0.5, last + 0.5)
    if last - first < 40:
        assert right < first + 0.5 or left > last + 0.5


def test_without_calibration_no_percentage_is_shown(make_case: Make) -> None:
    assert "%" not in caption(replace(make_case("cr").finding, probability=None))


def test_inverse_polarity_is_kept_for_monochrome1(make_case: Make, provenance_of: Provenances) -> None:
    inverse, plain = make_case("cr", monochrome1=True), make_case("cr")

    assert _state(inverse, provenance_of(inverse)).PresentationLUTShape == "INVERSE"
    assert _state(plain, provenance_of(plain)).PresentationLUTShape == "IDENTITY"


def test_rescale_and_window_of_the_source_are_kept(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("ct")
    made = _state(case, provenance_of(case))

    assert (made.RescaleSlope, made.RescaleIntercept, made.RescaleType) == (1, -1024, "HU")
    window = made.SoftcopyVOILUTSequence[0]
    assert (window.WindowCenter, window.WindowWidth) == (40, 80)


def test_lookup_tables_of_the_source_are_kept(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("dx", bare=True)
    table = Dataset()
    table.LUTDescriptor, table.LUTData, table.ModalityLUTType = [3, 0, 16], b"\0\0\1\0\2\0", "US"
    stack = _with_header(case.stack, ModalityLUTSequence=[table], VOILUTSequence=[table])
    made = _state(case, provenance_of(case), stack)

    assert made.ModalityLUTSequence[0].LUTData == table.LUTData
    assert made.SoftcopyVOILUTSequence[0].VOILUTSequence[0].LUTData == table.LUTData
    assert "RescaleSlope" not in made


def test_pixels_are_shown_in_their_own_shape(make_case: Make, provenance_of: Provenances) -> None:
    known, unknown = make_case("mr", spacing_mm=(0.3, 1.7)), make_case("cr")
    stack = _with_header(unknown.stack, PixelAspectRatio=[4, 3])

    area = _state(known, provenance_of(known)).DisplayedAreaSelectionSequence[0]
    assert [float(value) for value in area.PresentationPixelSpacing] == [0.3, 1.7]
    area = _state(unknown, provenance_of(unknown), stack).DisplayedAreaSelectionSequence[0]
    assert list(area.PresentationPixelAspectRatio) == [4, 3]


def test_slices_that_were_rescaled_differently_get_a_state_each(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")
    where = case.finding.localisation
    assert where is not None
    other = replace(where.regions[0], frame=where.regions[0].frame + 1)
    finding = replace(case.finding, localisation=replace(where, regions=(where.regions[0], other)))
    stack = _with_header(case.stack, RescaleSlope=1, RescaleIntercept=0)
    stack.headers[other.frame].RescaleSlope = 2

    states = encode_presentation_states(replace(case.series, findings=(finding,)), stack, provenance_of(case))

    assert [float(state.RescaleSlope) for state in states] == [1, 2]
    assert len({state.SOPInstanceUID for state in states}) == 2


def test_each_finding_has_a_layer_and_a_tracking_uid_of_its_own(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")
    other = replace(case.finding, name="meningioma")
    series = replace(case.series, findings=(case.finding, other))
    made = encode_presentation_states(series, case.stack, provenance_of(case))[0]

    assert len({layer.GraphicLayer for layer in made.GraphicLayerSequence}) == 2
    annotations = made.GraphicAnnotationSequence
    assert len({item.GraphicObjectSequence[0].TrackingUID for item in annotations}) == 2


def test_a_colour_image_gets_no_grayscale_state(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("cr")

    assert encode_presentation_states(case.series, replace(case.stack, colour=True), provenance_of(case)) == ()


def test_nothing_located_gives_no_state(make_case: Make, provenance_of: Provenances) -> None:
    case = make_case("mr")
    series = replace(case.series, findings=case.series.findings[1:])

    assert encode_presentation_states(series, case.stack, provenance_of(case)) == ()
