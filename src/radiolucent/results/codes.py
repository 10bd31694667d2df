"""Codes that results use beside the findings table; all of them stand in PS3.16 (grade A) or are this project's own."""

from __future__ import annotations

from typing import Final

from pydicom.sr.coding import Code as SrCode

from radiolucent.findings.taxonomy import LOCAL_SCHEME, Code

AI: Final = SrCode("123110", "DCM", "Artificial Intelligence")
ALGORITHM_PARAMETERS: Final = SrCode("111002", "DCM", "Algorithm Parameters")
COMMENT: Final = SrCode("121106", "DCM", "Comment")
DEVICE_OBSERVER: Final = SrCode("121007", "DCM", "Device")
GRAD_CAM: Final = SrCode("130403", "DCM", "Gradient-weighted class activation")
MORPHOLOGICALLY_ABNORMAL: Final = SrCode("49755003", "SCT", "Morphologically Abnormal Structure")
OF_INTEREST: Final = SrCode("113000", "DCM", "Of Interest")
PRESENCE: Final = SrCode("121052", "DCM", "Presence of property")
PRESENT: Final = SrCode("52101004", "SCT", "Present")
ABSENT: Final = SrCode("272519000", "SCT", "Absent")
UNDETERMINED: Final = SrCode("373068000", "SCT", "Undetermined")
PROBABILITY: Final = SrCode("122157", "DCM", "Probability")
REPORT: Final = SrCode("126000", "DCM", "Imaging Measurement Report")
SOURCE_IMAGE: Final = SrCode("121322", "DCM", "Source image for image processing operation")
VISUAL_EXPLANATION: Final = SrCode("130401", "DCM", "Visual explanation")
AREA: Final = SrCode("42798000", "SCT", "Area")
VOLUME: Final = SrCode("118565006", "SCT", "Volume")
NO_UNITS: Final = SrCode("1", "UCUM", "no units")
MILLIMETRE: Final = SrCode("mm", "UCUM", "mm")
SQUARE_MILLIMETRE: Final = SrCode("mm2", "UCUM", "square millimeter")
CUBIC_CENTIMETRE: Final = SrCode("cm3", "UCUM", "cubic centimeter")

# this project's own
SCORE: Final = SrCode("score", LOCAL_SCHEME, "Uncalibrated score")
OPERATING_POINT: Final = SrCode("operating-point", LOCAL_SCHEME, "Operating point")
LOCALISATION: Final = SrCode("localisation", LOCAL_SCHEME, "Localisation of evidence")
LOCATED: Final = SrCode("located", LOCAL_SCHEME, "Located")
NO_FOCUS: Final = SrCode("no-focus", LOCAL_SCHEME, "No focus above threshold")
NO_EXPLANATION: Final = SrCode("no-explanation", LOCAL_SCHEME, "No explanation")
WITHHELD: Final = SrCode("withheld", LOCAL_SCHEME, "Localisation withheld")
MIDLINE_SHIFT: Final = SrCode("midline-shift", LOCAL_SCHEME, "Midline shift")
BLOOD_VOLUME: Final = SrCode("blood-volume", LOCAL_SCHEME, "Volume of fresh blood")
NOT_READ: Final = SrCode("not-read", LOCAL_SCHEME, "Not read")
TRAINING_BASIS: Final = SrCode("training-basis", LOCAL_SCHEME, "Training basis")
REAL_IMAGES: Final = SrCode("real", LOCAL_SCHEME, "Real images")
PHANTOM_IMAGES: Final = SrCode("phantom", LOCAL_SCHEME, "Synthetic images (phantom) only")

_PROCEDURES: Final = {
    # CID 100: the procedure is named no closer than the modality says
    "CT": SrCode("25045-6", "LN", "CT unspecified body region"),
    "MR": SrCode("25056-3", "LN", "MRI unspecified body region"),
}
_RADIOGRAPH: Final = SrCode("43468-8", "LN", "XR unspecified body region")


def procedure(modality: str) -> SrCode:
    """What was imaged, as far as the modality tells (CID 100)."""
    return _PROCEDURES.get(modality, _RADIOGRAPH)


def sr_code(code: Code) -> SrCode:
    """A code of the findings table in the form that pydicom and highdicom take."""
    return SrCode(code.value, code.scheme, code.meaning)
