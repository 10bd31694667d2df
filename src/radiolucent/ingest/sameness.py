"""Do two files hold the same object? Compared by values and decoded samples, whatever transfer syntax each came in."""

from __future__ import annotations

from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from radiolucent.errors import RadiolucentError
from radiolucent.imaging.archive import file_source
from radiolucent.imaging.decoding import check_pixels, stored_values
from radiolucent.imaging.header import BROKEN, frame_count, text
from radiolucent.imaging.instance import Instance, read_instance

_OF_THE_ENCODING: Final = frozenset({"PhotometricInterpretation", "PlanarConfiguration"})
"""What a lossless compression of colour may change; the decoded samples are compared."""
_PADDING: Final = 0xFFFCFFFC
_PIXEL_GROUP: Final = 0x7FE0


def same_object(one: Path, other: Path) -> bool:
    """Whether two DICOM files hold the same object, compared by every element's value and every decoded sample.

    Of objects that can't be read or decoded, or whose compression lost something, it isn't known: False.

    Warning
    -------
    Decodes both; ask only where the bytes differ.
    """
    try:
        ours, theirs = (read_instance(file_source(path, name="instance")) for path in (one, other))
        if not _same_elements(ours.header, theirs.header):
            return False
        return _same_pixels(ours, theirs)
    except (RadiolucentError, *BROKEN):
        return False


def _same_elements(one: Dataset, other: Dataset) -> bool:
    return all(
        ours is not None and theirs is not None and _same(ours, theirs)
        for ours, theirs in zip_longest(_of_object(one), _of_object(other))
    )


def _of_object(dataset: Dataset) -> list[DataElement]:
    """The elements that belong to the object and not to how it is written, by tag."""
    return [
        element
        for element in dataset
        if element.tag.group != _PIXEL_GROUP
        and element.tag.element != 0
        and element.tag != _PADDING
        and element.keyword not in _OF_THE_ENCODING
    ]


def _same(one: DataElement, other: DataElement) -> bool:
    if one.tag != other.tag:
        return False
    if one.VR == "SQ" and other.VR == "SQ":
        return all(
            ours is not None and theirs is not None and _same_elements(ours, theirs)
            for ours, theirs in zip_longest(one.value, other.value)
        )
    ours, theirs = _plain(one.value), _plain(other.value)
    if isinstance(ours, bytes) != isinstance(theirs, bytes):  # UN: an implicit syntax doesn't say what a private one is
        return _encoded(ours) == _encoded(theirs)
    return bool(ours == theirs)


def _plain(value: Any) -> Any:
    """A value without what only its encoding adds: bytes are padded to an even length."""
    if isinstance(value, bytes):
        return value.rstrip(b"\x00 ")
    return "" if value is None else value


def _encoded(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    words = value if isinstance(value, MultiValue) else [value]
    return "\\".join(str(word) for word in words).encode().rstrip(b"\x00 ")


def _same_pixels(one: Instance, other: Instance) -> bool:
    if one.offset is None and other.offset is None:
        return True
    check_pixels(one)
    check_pixels(other)
    grey = int(one.header.get("SamplesPerPixel", 1)) == 1
    if grey and text(one.header, "PhotometricInterpretation") != text(other.header, "PhotometricInterpretation"):
        return False
    frames = frame_count(one.header)
    return frames == frame_count(other.header) and all(
        np.array_equal(stored_values(one, frame), stored_values(other, frame)) for frame in range(frames)
    )
