"""What a header says: one dataset's values as plain types, where absent, empty or broken is None.

Knows also where a multi-frame object keeps a frame's own facts (functional groups, PS3.3 C.7.6.16).
"""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Iterable
from typing import Any, Final

from pydicom.config import IGNORE
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.uid import UID

BROKEN: Final = (
    AttributeError,
    BytesLengthException,
    EOFError,
    IndexError,
    KeyError,
    LookupError,
    NotImplementedError,
    OSError,
    OverflowError,
    RecursionError,
    TypeError,
    UnicodeError,
    ValueError,
    struct.error,
)
"""What pydicom raises on a header that breaks the standard."""

# attribute → the functional group that holds it (PS3.3 C.7.6.16.2, C.8.13.5, C.8.15.3)
_GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "PixelSpacing": ("PixelMeasuresSequence",),
    "SliceThickness": ("PixelMeasuresSequence",),
    "SpacingBetweenSlices": ("PixelMeasuresSequence",),
    "ImagePositionPatient": ("PlanePositionSequence",),
    "ImageOrientationPatient": ("PlaneOrientationSequence",),
    "RescaleSlope": ("PixelValueTransformationSequence",),
    "RescaleIntercept": ("PixelValueTransformationSequence",),
    "RescaleType": ("PixelValueTransformationSequence",),
    "WindowCenter": ("FrameVOILUTSequence",),
    "WindowWidth": ("FrameVOILUTSequence",),
    "VOILUTFunction": ("FrameVOILUTSequence",),
    "StackID": ("FrameContentSequence",),
    "TemporalPositionIndex": ("FrameContentSequence",),
    "FrameAcquisitionNumber": ("FrameContentSequence",),
    "EffectiveEchoTime": ("MREchoSequence",),
    "RepetitionTime": ("MRTimingAndRelatedParametersSequence",),
    "FlipAngle": ("MRTimingAndRelatedParametersSequence",),
    "InversionTimes": ("MRModifierSequence",),
    "DiffusionBValue": ("MRDiffusionSequence",),
    "FrameType": ("MRImageFrameTypeSequence", "CTImageFrameTypeSequence"),
    "ContrastBolusAgentAdministered": ("ContrastBolusUsageSequence",),
}


def settle(dataset: Dataset) -> tuple[str, ...]:
    """Convert every element once, so that no later look can fail; elements that can't be converted are removed.

    Returns
    -------
    Keywords (or tags) of the removed elements.
    """
    removed: list[str] = []
    for tag in list(dataset.keys()):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                element = dataset[tag]
                if element.VR == "SQ":
                    removed += [f"{element.keyword or tag}.{inner}" for item in element.value for inner in settle(item)]
                elif element.VR in {"DS", "IS"} and element.value not in (None, ""):
                    parts = [element.value] if isinstance(element.value, (str, int, float)) else element.value
                    [float(part) for part in parts]  # pydicom gives text that is no number as it is
                else:
                    str(element.value)
        except BROKEN:
            del dataset[tag]
            removed.append(keyword_for_tag(tag) or str(tag))
    return tuple(removed)


def syntax_uid(dataset: Dataset) -> UID:
    """Transfer Syntax UID of a file's header, valid or not."""
    return UID(str(dataset.file_meta.TransferSyntaxUID), validation_mode=IGNORE)


def value(dataset: Dataset, keyword: str) -> Any:
    """The element's value, or None where it is absent, empty or can't be read."""
    try:
        found = dataset.get(keyword)
    except BROKEN:
        return None
    if found is None or found == "" or (hasattr(found, "__len__") and len(found) == 0):
        return None
    return found


def text(dataset: Dataset, keyword: str) -> str:
    """The value as one stripped string (several values joined by a backslash), empty where absent."""
    found = value(dataset, keyword)
    if found is None:
        return ""
    if isinstance(found, (str, bytes)) or not isinstance(found, Iterable):
        return str(found).strip()
    return "\\".join(str(part).strip() for part in found)


def texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    """The values as upper-case strings, empty where absent."""
    joined = text(dataset, keyword).upper()
    return tuple(joined.split("\\")) if joined else ()


def numbers(dataset: Dataset, keyword: str, count: int | None = None) -> tuple[float, ...] | None:
    """The values as finite floats; None where absent, not a number, or not `count` of them."""
    found = value(dataset, keyword)
    if found is None:
        return None
    parts = [found] if isinstance(found, (str, bytes)) or not isinstance(found, Iterable) else list(found)
    try:
        values = tuple(float(part) for part in parts)
    except (TypeError, ValueError):
        return None
    if not all(math.isfinite(number) for number in values) or (count is not None and len(values) != count):
        return None
    return values


def number(dataset: Dataset, keyword: str) -> float | None:
    """The first value as a finite float, or None."""
    found = numbers(dataset, keyword)
    return found[0] if found else None


def whole(dataset: Dataset, keyword: str) -> int | None:
    """The first value as an int, or None."""
    found = number(dataset, keyword)
    return None if found is None else int(found)


def is_signed(dataset: Dataset) -> bool:
    """True where stored values are two's complement (Pixel Representation 1)."""
    return whole(dataset, "PixelRepresentation") == 1


def frame_count(dataset: Dataset) -> int:
    """Number of Frames, at least 1."""
    return max(1, whole(dataset, "NumberOfFrames") or 1)


def frame_holder(dataset: Dataset, frame: int, keyword: str) -> Dataset:
    """The dataset that holds `keyword` for one frame.

    Parameters
    ----------
    frame : Frame Number, from 1.

    Returns
    -------
    The frame's own functional group, else the shared one, else the dataset itself.
    """
    groups = _GROUPS.get(keyword, ())
    for place in (_item(dataset, "PerFrameFunctionalGroupsSequence", frame - 1), _shared(dataset)):
        if place is None:
            continue
        for group in groups:
            item = _item(place, group, 0)
            if item is not None and value(item, keyword) is not None:
                return item
    return dataset


def _shared(dataset: Dataset) -> Dataset | None:
    return _item(dataset, "SharedFunctionalGroupsSequence", 0)


def _item(dataset: Dataset, keyword: str, index: int) -> Dataset | None:
    items = value(dataset, keyword)
    if items is None or not 0 <= index < len(items):
        return None
    item = items[index]
    return item if isinstance(item, Dataset) else None
