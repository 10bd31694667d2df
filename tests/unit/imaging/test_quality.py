"""Every table behind the facts, row by row, and the facts of whole stacks."""

from collections.abc import Callable

import numpy as np
import pytest
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from radiolucent.imaging.geometry import ImagePlane
from radiolucent.imaging.quality import age_years, body_parts, contrast, facts, portable, view, weighting
from radiolucent.imaging.study import Frame, Stack
from radiolucent.imaging.terms import (
    ACQUISITION_CONTRASTS,
    BODY_PART,
    BODY_PARTS,
    NO_AGENT,
    VIEW_CODES,
    VIEW_POSITIONS,
    BodyPart,
)


def header(**values: object) -> Dataset:
    """A header as it may arrive: values that break the standard are kept."""
    dataset = Dataset()
    for keyword, value in values.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None
        dataset.add(DataElement(tag, dictionary_VR(tag), value, validation_mode=IGNORE))
    return dataset


def code(value: str) -> Dataset:
    return header(CodeValue=value, CodingSchemeDesignator="SCT", CodeMeaning="x")


@pytest.mark.parametrize("part", BODY_PARTS, ids=lambda part: part.name)
def test_every_term_of_a_body_part_is_recognised(part: BodyPart) -> None:
    assert [((part.name,), False)] * len(part.terms) == [
        body_parts(header(BodyPartExamined=term)) for term in part.terms
    ]


@pytest.mark.parametrize("part", BODY_PARTS, ids=lambda part: part.name)
def test_every_code_of_a_body_part_is_recognised(part: BodyPart) -> None:
    found = [body_parts(header(AnatomicRegionSequence=[code(value)]))[0] for value in part.codes]
    assert [(part.name,)] * len(part.codes) == found


@pytest.mark.parametrize("part", BODY_PARTS, ids=lambda part: part.name)
def test_a_larger_part_is_a_part_itself(part: BodyPart) -> None:
    assert part.within == "" or part.within in BODY_PART


def test_no_code_or_term_means_two_parts() -> None:
    every = [key for part in BODY_PARTS for key in (*part.codes, *part.terms)]
    assert len(every) == len(set(every))


@pytest.mark.parametrize(
    ("name", "concept"),
    [
        ("head", "Head"),
        ("head", "SellaTurcica"),
        ("neck", "Neck"),
        ("cervical-spine", "CervicalSpine"),
        ("thoracic-spine", "ThoracicSpine"),
        ("lumbar-spine", "LumbarSpine"),
        ("chest", "Chest"),
        ("heart", "Heart"),
        ("breast", "Breast"),
        ("abdomen", "Abdomen"),
        ("hip", "Hip"),
        ("pelvis", "Pelvis"),
        ("shoulder", "Shoulder"),
        ("upper-arm", "Humerus"),
        ("elbow", "ElbowJoint"),
        ("forearm", "Forearm"),
        ("wrist", "WristJoint"),
        ("hand", "Hand"),
        ("thigh", "Femur"),
        ("knee", "Knee"),
        ("lower-leg", "LowerLeg"),
        ("ankle", "AnkleJoint"),
        ("foot", "Foot"),
        ("whole-body", "EntireBody"),
    ],
)
def test_the_codes_are_those_of_cid_4031(name: str, concept: str) -> None:
    assert getattr(codes.cid4031, concept).value in BODY_PART[name].codes


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"StudyDescription": "CT Head w/o contrast"}, ("head",)),
        ({"SeriesDescription": "AX T1 POST", "StudyDescription": "MRT Schädel"}, ("head",)),
        ({"StudyDescription": "THORAX PA/LAT"}, ("chest",)),
        ({"StudyDescription": "Thoracic spine AP"}, ("thoracic-spine",)),
        ({"StudyDescription": "CT CHEST ABDOMEN PELVIS"}, ("chest", "abdomen", "pelvis")),
        ({"BodyPartExamined": "EXTREMITY", "StudyDescription": "fracture of distal tibia"}, ("lower-leg", "extremity")),
        ({"BodyPartExamined": "HEAD AND NECK"}, ("head", "neck")),
        ({"SeriesDescription": "abdomen^liver"}, ("abdomen",)),
        ({"StudyDescription": "Headache follow-up"}, ()),
        ({}, ()),
    ],
)
def test_descriptions_name_body_parts_by_whole_words(values: dict[str, object], expected: tuple[str, ...]) -> None:
    assert expected == body_parts(header(**values))[0]


def test_a_coded_part_that_the_description_denies_is_a_conflict() -> None:
    assert body_parts(header(BodyPartExamined="CHEST", SeriesDescription="AX FLAIR BRAIN")) == (("chest", "head"), True)


@pytest.mark.parametrize(("position", "expected"), VIEW_POSITIONS.items())
def test_every_view_position_is_recognised(position: str, expected: str) -> None:
    assert expected == view(header(ViewPosition=position))


@pytest.mark.parametrize(("value", "expected"), VIEW_CODES.items())
def test_every_view_code_is_recognised(value: str, expected: str) -> None:
    assert expected == view(header(ViewCodeSequence=[code(value)]))


@pytest.mark.parametrize(
    ("concept", "expected"),
    [
        ("PosteroAnterior", "PA"),
        ("AnteroPosterior", "AP"),
        ("Frontal", "FRONTAL"),
        ("LateralProjection", "LATERAL"),
        ("LeftLateral", "LATERAL"),
        ("RightLateral", "LATERAL"),
        ("ObliqueProjection", "OBLIQUE"),
        ("AxialProjection", "AXIAL"),
    ],
)
def test_the_view_codes_are_those_of_cid_4010(concept: str, expected: str) -> None:
    assert expected == VIEW_CODES[getattr(codes.cid4010, concept).value]


@pytest.mark.parametrize(
    ("description", "expected"),
    [
        ("CHEST PA", "PA"),
        ("view: AP", "AP"),
        ("Chest lateral", "LATERAL"),
        ("W KNEE LAT", "LATERAL"),
        ("Hand oblique", "OBLIQUE"),
        ("Thorax p.a. 1 Ebene", "PA"),
        ("Chest PA and lateral", ""),
        ("Chest", ""),
        ("Spatial map", ""),
    ],
)
def test_a_description_names_the_view_only_if_it_names_one(description: str, expected: str) -> None:
    assert expected == view(header(SeriesDescription=description))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"SeriesDescription": "CHEST PORTABLE AP"}, True),
        ({"StudyDescription": "XR Chest 1V Port"}, True),
        ({"ManufacturerModelName": "DRX-Revolution"}, True),
        ({"ManufacturerModelName": "MOBILETT XP"}, True),
        ({"StudyDescription": "Support devices"}, False),
        ({"SeriesDescription": "PORTAL VENOUS"}, False),
        ({}, False),
    ],
)
def test_portable_films_are_told_by_words_or_by_the_unit(values: dict[str, object], expected: bool) -> None:
    assert expected == portable(header(**values))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"PatientAge": "034Y"}, 34.0),
        ({"PatientAge": "006M"}, 0.5),
        ({"PatientAge": "014D"}, 14 / 365.25),
        ({"PatientAge": "010W"}, 70 / 365.25),
        ({"PatientAge": "62"}, None),
        ({"PatientBirthDate": "19800101", "StudyDate": "20200101"}, 40.0),
        ({"PatientBirthDate": "19800101", "StudyDate": "2020.01.01"}, 40.0),
        ({"PatientBirthDate": "11111111", "StudyDate": "20200101"}, None),
        ({"PatientBirthDate": "20300101", "StudyDate": "20200101"}, None),
        ({"PatientBirthDate": "20209999", "StudyDate": "20200101"}, None),
        ({}, None),
    ],
)
def test_age_is_in_years_or_unknown(values: dict[str, object], expected: float | None) -> None:
    assert age_years(header(**values)) == (None if expected is None else pytest.approx(expected, abs=0.01))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"ContrastBolusAgent": "GADOLINIUM"}, True),
        ({"ContrastBolusAgentAdministered": "YES"}, True),
        ({"ContrastBolusAgentAdministered": "NO"}, False),
        ({"SeriesDescription": "AX T1 POST"}, True),
        ({"SeriesDescription": "t1_mprage_tra_+C"}, True),
        ({"SeriesDescription": "T1 C+"}, True),
        ({"SeriesDescription": "SAG T1 GAD"}, True),
        ({"SeriesDescription": "T1 mit KM"}, True),
        ({"StudyDescription": "e+1"}, True),
        ({"StudyDescription": "CT ABDOMEN WITH CONTRAST"}, True),
        ({"StudyDescription": "CT HEAD WITHOUT CONTRAST"}, False),
        ({"StudyDescription": "CT HEAD W/O CONTRAST"}, False),
        ({"StudyDescription": "CT HEAD WO"}, False),
        ({"StudyDescription": "MR BRAIN W/O AND W/ CONTRAST"}, None),
        ({"StudyDescription": "MR BRAIN W WO", "SeriesDescription": "AX T1 PRE"}, False),
        ({"SeriesDescription": "5/5mm Plain"}, False),
        ({"SeriesDescription": "Native"}, False),
        ({"SeriesDescription": "Non-contrast 5mm"}, False),
        ({"SeriesDescription": "AX T1 post op"}, None),
        ({"SeriesDescription": "POSTERIOR FOSSA"}, None),
        ({"SeriesDescription": "PRESS spectroscopy"}, None),
        ({"SeriesDescription": "AX T1 PRE", "ContrastBolusAgent": "GADOVIST"}, None),
        ({"SeriesDescription": "AX T1 POST", "ContrastBolusAgent": "NONE"}, None),
        ({}, None),
    ],
)
def test_contrast_is_yes_no_or_unknown(values: dict[str, object], expected: bool | None) -> None:
    assert contrast(header(**values)) is expected


@pytest.mark.parametrize("agent", sorted(NO_AGENT))
def test_what_people_type_for_no_agent_means_none_was_given(agent: str) -> None:
    assert contrast(header(ContrastBolusAgent=agent)) is False


@pytest.mark.parametrize(("coded", "expected"), ACQUISITION_CONTRASTS.items())
def test_acquisition_contrast_names_the_weighting(coded: str, expected: str) -> None:
    assert expected == weighting(header(AcquisitionContrast=coded))


SPIN_ECHO = {"ScanningSequence": "SE"}


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"SeriesDescription": "AX T1 POST"}, "T1"),
        ({"SeriesDescription": "t1_mprage_sag_iso"}, "T1"),
        ({"SeriesDescription": "T1 FLAIR"}, "T1"),
        ({"SeriesDescription": "AX T2 FLAIR"}, "FLAIR"),
        ({"SeriesDescription": "t2_tirm_tra_dark-fluid"}, "FLAIR"),
        ({"SeriesDescription": "T2W_TSE"}, "T2"),
        ({"SeriesDescription": "AX T2* GRE"}, "T2*"),
        ({"SeriesDescription": "FSE PD AXIAL OBL"}, "PD"),
        ({"SeriesDescription": "ep2d_diff_3scan_trace"}, "DWI"),
        ({"SequenceName": "flair"}, "FLAIR"),
        ({"SeriesDescription": "AX PD/T2", "RepetitionTime": 3000, "EchoTime": 15, **SPIN_ECHO}, "PD"),
        ({"SeriesDescription": "AX PD/T2", "RepetitionTime": 3000, "EchoTime": 90, **SPIN_ECHO}, "T2"),
        ({"RepetitionTime": 600, "EchoTime": 12, **SPIN_ECHO}, "T1"),
        ({"RepetitionTime": 2300, "EchoTime": 22, **SPIN_ECHO}, "PD"),
        ({"RepetitionTime": 4000, "EchoTime": 100, **SPIN_ECHO}, "T2"),
        ({"RepetitionTime": 9000, "EchoTime": 120, "InversionTime": 2500, "ScanningSequence": ["SE", "IR"]}, "FLAIR"),
        ({"RepetitionTime": 2300, "EchoTime": 2.98, "InversionTime": 900, "ScanningSequence": ["GR", "IR"]}, "T1"),
        ({"RepetitionTime": 600, "EchoTime": 12, "ScanningSequence": "GR"}, None),
        ({"RepetitionTime": 1200, "EchoTime": 12, **SPIN_ECHO}, None),
        ({"RepetitionTime": 600}, None),
        ({"SeriesDescription": "AX T1", "RepetitionTime": 4000, "EchoTime": 100, **SPIN_ECHO}, None),
        ({}, None),
    ],
)
def test_weighting_comes_from_the_name_or_from_the_timing(values: dict[str, object], expected: str | None) -> None:
    assert expected == weighting(header(**values))


def make_stack(decode: Callable[[int], np.ndarray[tuple[int, ...], np.dtype[np.float32]]], **values: object) -> Stack:
    plane = ImagePlane(position_mm=(0, 0, 0), row_cosines=(0, 1, 0), column_cosines=(0, 0, -1), spacing_mm=(1.0, 1.0))
    frame = Frame(sop_class_uid="1.2", sop_instance_uid="1.2.3", plane=plane, spacing_mm=(1.0, 1.0))
    dataset = header(**values)
    return Stack(
        study_instance_uid="1",
        series_instance_uid="2",
        modality=str(values.get("Modality", "MR")),
        kind="image",
        frames=(frame,),
        headers=(dataset,),
        decode=decode,
    )


def half_white(index: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    image = np.zeros((40, 50), dtype=np.float32)
    image[:20] = 7
    return image


def test_a_picture_without_content_is_constant() -> None:
    found = facts(make_stack(lambda index: np.full((40, 50), 3, dtype=np.float32)))
    assert (found.constant, found.saturation) == (True, 1.0)


def test_saturation_is_the_share_of_pixels_at_the_top() -> None:
    found = facts(make_stack(half_white))
    assert (found.constant, found.saturation, found.rows, found.columns) == (False, 0.5, 40, 50)


def test_orientation_comes_from_the_plane() -> None:
    assert facts(make_stack(half_white)).orientation == "sagittal"


@pytest.mark.parametrize(("value", "expected"), [("YES", True), ("NO", False), ("", None)])
def test_burned_in_text_is_what_the_header_says(value: str, expected: bool | None) -> None:
    assert facts(make_stack(half_white, BurnedInAnnotation=value)).burned_in is expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, (True, False, False)),
        ({"SeriesDescription": "3-plane loc"}, (True, False, False)),
        ({"SeriesDescription": "BLOCK"}, (False, False, False)),
        ({"ImageType": ["DERIVED", "PRIMARY"]}, (False, True, False)),
        ({"ImageType": ["DERIVED", "SECONDARY"]}, (False, True, True)),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, (False, False, True)),
    ],
)
def test_planning_derived_and_captured_images_are_told_apart(
    values: dict[str, object], expected: tuple[bool, bool, bool]
) -> None:
    found = facts(make_stack(half_white, **values))
    assert expected == (found.is_localiser, found.is_derived, found.is_secondary)


def test_raw_and_lossy_images_are_told() -> None:
    raw = facts(make_stack(half_white, PresentationIntentType="FOR PROCESSING", LossyImageCompression="01"))
    fine = facts(make_stack(half_white, PresentationIntentType="FOR PRESENTATION", LossyImageCompression="00"))
    assert (raw.is_for_processing, raw.is_lossy, fine.is_for_processing, fine.is_lossy) == (True, True, False, False)


def chest_film(index: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Bright mediastinum between two dark lungs."""
    image = np.full((200, 200), 100, dtype=np.float32)
    image[40:160, 30:80] = image[40:160, 120:170] = 20
    return image


@pytest.mark.parametrize(
    ("inverted", "values", "expected"),
    [
        (False, {"BodyPartExamined": "CHEST"}, False),
        (True, {"BodyPartExamined": "CHEST"}, True),
        (True, {"BodyPartExamined": "CHEST", "ViewPosition": "LL"}, False),
        (True, {"BodyPartExamined": "HAND"}, False),
        (True, {"BodyPartExamined": "CHEST", "Modality": "CT"}, False),
    ],
)
def test_a_chest_film_with_a_dark_middle_is_doubted(inverted: bool, values: dict[str, object], expected: bool) -> None:
    stack = make_stack(
        lambda index: 120 - chest_film(index) if inverted else chest_film(index), **{"Modality": "DX", **values}
    )
    assert facts(stack).polarity_doubtful is expected


def test_view_is_a_projections_and_weighting_an_mrs() -> None:
    values = {"ViewPosition": "PA", "SeriesDescription": "T1 PORTABLE"}
    film = facts(make_stack(half_white, Modality="DX", **values))
    slice_ = facts(make_stack(half_white, Modality="MR", **values))
    assert (film.view, film.portable, film.weighting) == ("PA", True, None)
    assert (slice_.view, slice_.portable, slice_.weighting) == ("", False, "T1")
