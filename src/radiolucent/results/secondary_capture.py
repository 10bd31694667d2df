"""A heatmap as every viewer shows it: colour Secondary Capture with overlay, legend and warning burned in."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from radiolucent.errors import EncodingError
from radiolucent.findings.reading import SeriesReading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.imaging.header import text
from radiolucent.imaging.study import Stack
from radiolucent.results.codes import SOURCE_IMAGE
from radiolucent.results.provenance import MANUFACTURER, Provenance, equipment, refusing, seal
from radiolucent.results.source import (
    CHARACTER_SET,
    copy_body_part,
    decimals,
    identity,
    image_reference,
    patient_orientation,
    slice_thickness,
)

SERIES_NUMBER = 9201


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One drawn frame: overlay, legend and "AI, not diagnostic" burned in.

    Parameters
    ----------
    finding : name of the finding that is drawn.
    frame : index of the source frame.
    pixels : uint8 ``(rows, columns, 3)``, RGB.
    engine : label of the engine whose map is drawn; empty where only one read the series.
    """

    finding: str
    frame: int
    pixels: NDArray[np.uint8]
    engine: str = ""


def encode_secondary_capture(
    picture: Picture,
    series: SeriesReading,
    stack: Stack,
    provenance: Provenance,
    *,
    number: int = 1,
    series_offset: int = 0,
) -> Dataset:
    """Write one drawn frame as an RGB Secondary Capture (PS3.3 A.8.1).

    A picture of the frame's own size keeps its frame of reference, position, orientation and spacing, so that a
    viewer can scroll it along with the source. A picture of another size has no geometry.

    Parameters
    ----------
    number : Instance Number in the series of this finding's pictures.
    series_offset : added to the Series Number, so that each finding's pictures are listed on their own.

    Raises
    ------
    EncodingError
        If the pixels aren't RGB bytes, the frame doesn't exist, or the library refuses the object.
    """
    from highdicom.sc import SCImage

    pixels = picture.pixels
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise EncodingError(
            f"{picture.finding}: a picture must be uint8 (rows, columns, 3), not {pixels.dtype} {pixels.shape}"
        )
    if not 0 <= picture.frame < len(stack.frames):
        raise EncodingError(f"{picture.finding}: the series has no frame {picture.frame}")
    kind, header = finding_type(picture.finding), stack.headers[picture.frame]
    place = provenance.place(
        "secondary-capture",
        series.key,
        series.engine.digest,
        picture.finding,
        series_number=SERIES_NUMBER + series_offset,
        instance_number=number,
    )
    with refusing(f"{picture.finding}: the secondary capture"):
        made = SCImage.from_ref_dataset(
            ref_dataset=_with_class(identity(stack), stack),
            pixel_array=np.ascontiguousarray(pixels),
            photometric_interpretation="RGB",
            bits_allocated=8,
            coordinate_system="PATIENT",
            patient_orientation=("L", "P"),  # replaced below: the library takes no empty value
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            series_description=f"AI overlay: {kind.label} (not diagnostic)"[:64],
            specific_character_set=CHARACTER_SET,
            **place,
            **equipment(series.engine),
        )
    made.ConversionType = "WSD"
    made.ImageType = ["DERIVED", "SECONDARY"]
    made.SecondaryCaptureDeviceManufacturer = MANUFACTURER
    made.BurnedInAnnotation = "YES" if text(header, "BurnedInAnnotation").upper() == "YES" else "NO"
    made.DerivationDescription = f"Evidence of {series.engine.label} drawn over the source. AI, not diagnostic."
    made.LossyImageCompression = "01" if text(header, "LossyImageCompression") == "01" else "00"
    made.PatientOrientation = patient_orientation(stack, picture.frame)
    made.SourceImageSequence = [_source(stack, picture.frame)]
    copy_body_part(made, stack)
    if pixels.shape[:2] == series.shape:
        _copy_plane(made, stack, picture.frame)
    return seal(made, provenance, stack)


def _with_class(who: Dataset, stack: Stack) -> Dataset:
    who.SOPClassUID, who.SOPInstanceUID = stack.frames[0].sop_class_uid, stack.frames[0].sop_instance_uid
    return who


def _source(stack: Stack, index: int) -> Dataset:
    item, purpose = image_reference(stack, index), Dataset()
    purpose.CodeValue, purpose.CodingSchemeDesignator = SOURCE_IMAGE.value, SOURCE_IMAGE.scheme_designator
    purpose.CodeMeaning = SOURCE_IMAGE.meaning
    item.PurposeOfReferenceCodeSequence = [purpose]
    return item


def _copy_plane(made: Dataset, stack: Stack, index: int) -> None:
    frame = stack.frames[index]
    if frame.spacing_mm is not None:
        made.PixelSpacing = decimals(*frame.spacing_mm)
    own = text(stack.headers[index], "FrameOfReferenceUID")
    if frame.plane is None or not own:
        return
    made.FrameOfReferenceUID, made.PositionReferenceIndicator = own, ""
    made.ImagePositionPatient = decimals(*frame.plane.position_mm)
    made.ImageOrientationPatient = decimals(*frame.plane.row_cosines, *frame.plane.column_cosines)
    thickness = slice_thickness(stack, index)
    made.SliceThickness = decimals(thickness)[0] if thickness else None
