"""What a result takes over from the images it was made from: who, which study, and where each frame lies.

highdicom reads geometry from single-frame images with a plane. `planar_headers` gives it such stand-ins for every
kind of source (multi-frame, radiograph, image without a frame of reference); `point_to_source` then lets the finished
object name the real instances and frames. Nothing but what is listed here is copied, so no private element and no
free text of the sender can travel along.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage
from pydicom.valuerep import DSfloat, PersonName

from radiolucent.errors import EncodingError
from radiolucent.imaging.geometry import ImagePlane
from radiolucent.imaging.header import frame_count, text, value
from radiolucent.imaging.study import Stack
from radiolucent.imaging.uids import derived_uid

CHARACTER_SET: Final = "ISO_IR 192"
"""Every object is written in UTF-8, whatever the source used (PS3.3 C.12.1.1.2)."""

NOMINAL_MM: Final = 1.0
"""Stands where a segmentation must have a number and the source has none; it is no size (docs/conformance.md)."""
_UID: Final = re.compile(r"[0-9.]{1,64}")  # leading zeros occur in practice and do no harm
_AGE: Final = re.compile(r"[0-9]{3}[DWMY]")
_DATE: Final = re.compile(r"[0-9]{4}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])")
_TIME: Final = re.compile(r"([01][0-9]|2[0-3])([0-5][0-9]([0-5][0-9](\.[0-9]{1,6})?)?)?")
_REQUIRED: Final = ("PatientID", "StudyID", "AccessionNumber")  # type 2 in every IOD: present, possibly empty
_OPTIONAL: Final = (
    "IssuerOfPatientID",
    "StudyDescription",
    "BodyPartExamined",
    "LossyImageCompression",
)
# Body Part Examined terms without a side, among those of PS3.16 annex L
_UNPAIRED: Final = (
    "ABDOMEN ABDOMENPELVIS ANUS AORTA BILEDUCT BLADDER BRAIN CHEST CHESTABDOMEN COCCYX COLON CSPINE DUODENUM ESOPHAGUS "
    "GALLBLADDER HEAD HEADNECK HEART ILEUM JEJUNUM LARYNX LIVER LSPINE MEDIASTINUM MOUTH NECK NOSE PANCREAS PELVIS "
    "PENIS PHARYNX PITUITARY PROSTATE RECTUM RETROPERITONEUM SACRUM SKULL SPINE SPLEEN SSPINE STERNUM STOMACH THYMUS "
    "THYROID TONGUE TRACHEA TSPINE UTERUS VAGINA WHOLEBODY"
)
_NAMES: Final = ("PatientName", "ReferringPhysicianName")


def identity(stack: Stack) -> Dataset:
    """Patient, study and body part of a stack, as text in UTF-8; what the source lacks is empty.

    Raises
    ------
    EncodingError
        If the study or series has no valid UID: a result without one belongs nowhere.
    """
    header, found = stack.header, Dataset()
    for name, uid in (("Study", stack.study_instance_uid), ("Series", stack.series_instance_uid)):
        if not _UID.fullmatch(uid):
            raise EncodingError(
                f"{name} Instance UID {uid!r} is no valid UID: results can't be tied to the {name.lower()}"
            )
    found.SpecificCharacterSet = CHARACTER_SET
    for keyword in _REQUIRED:
        content = text(header, keyword)
        # a longer Study ID is no valid value, and nothing is found by it
        setattr(found, keyword, "" if keyword == "StudyID" and len(content) > 16 else content)
    for keyword in _NAMES:
        setattr(found, keyword, "")  # highdicom warns of names without a caret: `name_people` sets them in the end
    for keyword in _OPTIONAL:
        if content := text(header, keyword):
            setattr(found, keyword, content)
    found.PatientBirthDate = _date(text(header, "PatientBirthDate"))
    found.PatientSex = sex if (sex := text(header, "PatientSex").upper()) in {"M", "F", "O"} else ""
    if _AGE.fullmatch(age := text(header, "PatientAge")):
        found.PatientAge = age
    if text(header, "PatientIdentityRemoved").upper() == "YES":
        found.PatientIdentityRemoved = "YES"
        found.DeidentificationMethod = text(header, "DeidentificationMethod")[:64] or "not stated by the source"
    found.StudyDate = _date(text(header, "StudyDate"))
    found.StudyTime = _time(text(header, "StudyTime"))
    found.StudyInstanceUID = stack.study_instance_uid
    found.SeriesInstanceUID = stack.series_instance_uid
    found.Modality = stack.modality or "OT"
    if (side := (text(header, "ImageLaterality") or text(header, "Laterality")).upper()) in {"L", "R"}:
        found.Laterality = side
    return found


def name_people(dataset: Dataset, stack: Stack) -> None:
    """Write the names of patient and referring physician as the source has them, decoded."""
    for keyword in _NAMES:
        if keyword in dataset:
            setattr(dataset, keyword, PersonName(str(value(stack.header, keyword) or "")))


def instance_headers(stack: Stack, indexes: Sequence[int], shape: tuple[int, int]) -> list[Dataset]:
    """One stand-in per instance (not per frame) that holds the given frames, under its real class and UID."""
    made: dict[str, Dataset] = {}
    for index in indexes:
        frame = stack.frames[index]
        if frame.sop_instance_uid in made:
            continue
        header = identity(stack)
        header.SOPClassUID, header.SOPInstanceUID = frame.sop_class_uid, frame.sop_instance_uid
        header.Rows, header.Columns = shape
        made[frame.sop_instance_uid] = header
    return list(made.values())


def planar_headers(stack: Stack, indexes: Sequence[int], shape: tuple[int, int]) -> list[Dataset]:
    """One stand-in per frame: a single-frame image with a plane and a frame of reference, without pixels.

    A frame without a plane of its own (most radiographs) gets a private one: see `private_plane`.
    """
    made = []
    for index in indexes:
        frame, header = stack.frames[index], identity(stack)
        plane = own_plane(stack, index) or private_plane(stack, index)
        header.SOPClassUID = CTImageStorage
        header.SOPInstanceUID = derived_uid("stand-in", frame.sop_instance_uid, str(frame.number))
        header.Rows, header.Columns = shape
        header.FrameOfReferenceUID = frame_of_reference(stack, index)
        header.PositionReferenceIndicator = ""
        header.ImagePositionPatient = decimals(*plane.position_mm)
        header.ImageOrientationPatient = decimals(*plane.row_cosines, *plane.column_cosines)
        header.PixelSpacing = decimals(*plane.spacing_mm)
        header.SliceThickness = decimals(slice_thickness(stack, index) or NOMINAL_MM)[0]
        made.append(header)
    return made


def own_plane(stack: Stack, index: int) -> ImagePlane | None:
    """The frame's plane; None for `frames` stacks, whose frames may share one place (a cine)."""
    return None if stack.kind == "frames" else stack.frames[index].plane


def private_plane(stack: Stack, index: int) -> ImagePlane:
    """The plane given to a frame that has none: its own pixel grid, frame number as depth.

    Its alignment with the source rests on pixel identity, not on geometry. Where the pixel spacing is unknown one
    unit is one pixel: nothing may be measured on it.
    """
    return ImagePlane(
        position_mm=(0.0, 0.0, float(index)),
        row_cosines=(1.0, 0.0, 0.0),
        column_cosines=(0.0, 1.0, 0.0),
        spacing_mm=stack.frames[index].spacing_mm or (NOMINAL_MM, NOMINAL_MM),
    )


def frame_of_reference(stack: Stack, index: int) -> str:
    """The source's Frame of Reference UID; where it has none, or no plane, one derived for that series or image.

    Two radiographs of one study are not registered with each other, so each image gets a space of its own.
    """
    if own_plane(stack, index) is None:
        instance = stack.frames[index].sop_instance_uid
        return derived_uid("private-plane", stack.study_instance_uid, stack.series_instance_uid, instance)
    own = text(stack.headers[index], "FrameOfReferenceUID")
    return (
        own
        if _UID.fullmatch(own)
        else derived_uid("frame-of-reference", stack.study_instance_uid, stack.series_instance_uid)
    )


def is_multiframe(stack: Stack) -> bool:
    """True where frames share an instance, so that a reference needs a frame number."""
    return frame_count(stack.header) > 1


def slice_thickness(stack: Stack, index: int) -> float | None:
    """Slice Thickness in mm, else the distance between slices; None where neither is known.

    A private plane has a nominal one.
    """
    if own_plane(stack, index) is None:
        return NOMINAL_MM
    found = value(stack.headers[index], "SliceThickness")
    try:
        thickness = float(found) if found is not None else 0.0
    except (TypeError, ValueError):
        thickness = 0.0
    return thickness if thickness > 0 else stack.slice_spacing_mm


def image_reference(stack: Stack, index: int) -> Dataset:
    """Image SOP Instance Reference (PS3.3 table 10-3) to one frame."""
    frame, item = stack.frames[index], Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = frame.sop_class_uid, frame.sop_instance_uid
    if is_multiframe(stack):
        item.ReferencedFrameNumber = frame.number
    return item


def point_to_source(dataset: Dataset, stack: Stack, indexes: Sequence[int]) -> None:
    """Name the real instances and frames in a multi-frame object made from `planar_headers` of `indexes`.

    Each frame of `dataset` is matched to its source by position, so frames may be sorted or left out.
    """
    order = frame_order(dataset, stack, indexes)
    dataset.SourceImageSequence = whole_instances(stack, order)
    series = Dataset()
    series.SeriesInstanceUID = stack.series_instance_uid
    series.ReferencedInstanceSequence = whole_instances(stack, order)
    dataset.ReferencedSeriesSequence = [series]
    for group, index in zip(dataset.PerFrameFunctionalGroupsSequence, order, strict=True):
        source = group.DerivationImageSequence[0].SourceImageSequence[0]
        for element in image_reference(stack, index):
            source[element.tag] = element
    copy_body_part(dataset, stack)
    if own_plane(stack, indexes[0]) is None:
        dataset.PatientOrientation = patient_orientation(stack, indexes[0])


def frame_order(dataset: Dataset, stack: Stack, indexes: Sequence[int]) -> list[int]:
    """The source frame of each frame of a multi-frame object, told by Image Position (Patient)."""
    known = np.array([(own_plane(stack, index) or private_plane(stack, index)).position_mm for index in indexes])
    found = []
    for group in dataset.PerFrameFunctionalGroupsSequence:
        position = np.array([float(part) for part in group.PlanePositionSequence[0].ImagePositionPatient])
        found.append(indexes[int(np.argmin(np.linalg.norm(known - position, axis=1)))])
    return found


def copy_body_part(dataset: Dataset, stack: Stack) -> None:
    """Copy Body Part Examined and Laterality; the side is sent empty, "unknown", where it may matter.

    Laterality is of type 2C (PS3.3 C.7.3.1): it is left out only where the body part is known to be unpaired.
    """
    who = identity(stack)
    for keyword in ("BodyPartExamined", "Laterality"):
        if keyword in who:
            dataset[keyword] = who[keyword]
    if "Laterality" not in who and str(who.get("BodyPartExamined", "")).upper() not in _UNPAIRED.split():
        dataset.Laterality = ""


def patient_orientation(stack: Stack, index: int) -> list[str]:
    """Patient Orientation as the source has it; empty (unknown) where it has none."""
    found = text(stack.headers[index], "PatientOrientation").split("\\")
    return found if len(found) == 2 and all(found) else []


def whole_instances(stack: Stack, indexes: Sequence[int]) -> list[Dataset]:
    """One reference per instance that holds any of the frames, without frame numbers."""
    items: dict[str, Dataset] = {}
    for index in indexes:
        item = image_reference(stack, index)
        if "ReferencedFrameNumber" in item:
            del item.ReferencedFrameNumber
        items.setdefault(item.ReferencedSOPInstanceUID, item)
    return list(items.values())


def decimals(*numbers: float) -> list[DSfloat]:
    """Decimal strings of at most 16 characters (PS3.5 6.2)."""
    return [DSfloat(float(number), auto_format=True) for number in numbers]


def _date(content: str) -> str:
    """A date as PS3.5 6.2 wants it now: ``1996.06.11`` was right until 1993, anything else is left out."""
    compact = content.replace(".", "")
    return compact if _DATE.fullmatch(compact) else ""


def _time(content: str) -> str:
    compact = content.replace(":", "")
    return compact if _TIME.fullmatch(compact) else ""
