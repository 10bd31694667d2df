"""Small DICOM objects made in memory: what the tests of this package read."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from radiolucent.imaging.uids import derived_uid

Pixels = NDArray[np.generic]
WriteImage = Callable[..., Path]

MR = "1.2.840.10008.5.1.4.1.1.4"


def build(pixels: Pixels, **values: object) -> FileDataset:
    """A data set around `pixels`; `values` override or, where None, remove what is set here, valid or not."""
    colour = pixels.ndim == 3 and pixels.shape[-1] == 3
    frames = 1 if colour or pixels.ndim == 2 else pixels.shape[0]
    rows, columns = pixels.shape[:2] if colour else pixels.shape[-2:]
    content = derived_uid("test", repr(sorted(values.items(), key=str)), str(pixels.sum()))
    uid = str(values.get("SOPInstanceUID") or content)
    signed = pixels.dtype.kind == "i"
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(str(values.get("SOPClassUID", MR)))
    meta.MediaStorageSOPInstanceUID = UID(uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset("", Dataset(), file_meta=meta, preamble=b"\0" * 128)
    defaults: dict[str, object] = {
        "SOPClassUID": MR,
        "SOPInstanceUID": uid,
        "StudyInstanceUID": "1.2.3",
        "SeriesInstanceUID": "1.2.3.4",
        "Modality": "MR",
        "PatientID": "phantom",
        "Rows": int(rows),
        "Columns": int(columns),
        "SamplesPerPixel": 3 if colour else 1,
        "PhotometricInterpretation": "RGB" if colour else "MONOCHROME2",
        "BitsAllocated": pixels.dtype.itemsize * 8,
        "BitsStored": pixels.dtype.itemsize * 8,
        "HighBit": pixels.dtype.itemsize * 8 - 1,
        "PixelRepresentation": int(signed),
        "PixelData": pixels.tobytes(),
    }
    if colour:
        defaults["PlanarConfiguration"] = 0
    if frames > 1:
        defaults["NumberOfFrames"] = frames
    for keyword, value in {**defaults, **values}.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None, keyword
        if value is None:
            continue
        vr = dictionary_VR(tag)
        if keyword == "PixelData":
            vr = "OW" if pixels.dtype.itemsize > 1 else "OB"
        vr = ("SS" if signed else "US") if vr == "US or SS" else vr.split(" or ")[0]
        dataset.add(DataElement(tag, vr, value, validation_mode=IGNORE))
    return dataset


@pytest.fixture
def write_image(tmp_path: Path) -> WriteImage:
    """``write_image("name.dcm", pixels, Keyword=value)`` writes a file below the test's folder and gives its path.

    ``syntax`` is the transfer syntax it is written in: compressed where it is an encapsulated one.
    """

    def write(name: str, pixels: Pixels, *, syntax: UID = ExplicitVRLittleEndian, **values: object) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if syntax.is_encapsulated:
            dataset = build(pixels, **values)
            dataset.compress(syntax, generate_instance_uid=False)
        else:
            dataset = build(pixels.astype(pixels.dtype.newbyteorder("<" if syntax.is_little_endian else ">")), **values)
            dataset.file_meta.TransferSyntaxUID = syntax
            dataset.set_original_encoding(syntax.is_implicit_VR, syntax.is_little_endian)
        dataset.save_as(path, enforce_file_format=True)
        return path

    return write


@pytest.fixture
def ramp() -> NDArray[np.uint16]:
    """48 × 64 pixels, 0 to 3071, every value once."""
    return np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)
