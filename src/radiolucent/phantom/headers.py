"""DICOM headers of phantoms: complete IODs that a PACS accepts and that nobody can mistake for a patient's."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from radiolucent.imaging.uids import derived_uid
from radiolucent.phantom.picture import Picture

NOTICE = "SYNTHETIC PHANTOM, NOT A PATIENT, NOT FOR CLINICAL USE"

_SOP_CLASSES: Mapping[str, str] = {
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "DX": "1.2.840.10008.5.1.4.1.1.1.1",
}
_FIRST_DAY = date(2024, 1, 8)


def make_datasets(picture: Picture, *, kind: str, key: str, seed: int, days_earlier: int) -> tuple[Dataset, ...]:
    """One dataset per frame, with pixel data and file meta.

    Parameters
    ----------
    key : makes the UIDs: the same key gives the same UIDs.
    seed : numbers the patient and moves the date.
    days_earlier : how long before the current study a prior was made.
    """
    day = _FIRST_DAY + timedelta(days=seed % 360 - days_earlier)
    patient = picture.patient
    label = kind.upper().replace("-", "")
    study: dict[str, Any] = {
        "SpecificCharacterSet": "ISO_IR 192",
        "StudyDate": f"{day:%Y%m%d}",
        "SeriesDate": f"{day:%Y%m%d}",
        "AcquisitionDate": f"{day:%Y%m%d}",
        "ContentDate": f"{day:%Y%m%d}",
        "StudyTime": "101500",
        "SeriesTime": "101700",
        "AcquisitionTime": "101800",
        "ContentTime": "101900",
        "AccessionNumber": f"PH{int(derived_uid(key, 'accession')[5:]) % 10**10:010d}",
        "Modality": picture.modality,
        "Manufacturer": "RADIOLUCENT PHANTOM",
        "InstitutionName": "SYNTHETIC",
        "ReferringPhysicianName": "",
        "StudyDescription": f"{picture.study_description} (SYNTHETIC)",
        "PatientName": f"PHANTOM^{label}^{seed:06d}",
        "PatientID": f"PHANTOM-{label}-{seed:06d}",
        "PatientBirthDate": f"{_FIRST_DAY.year - patient.age_years:04d}0101",
        "PatientSex": patient.sex,
        "PatientAge": f"{patient.age_years:03d}Y",
        "PatientComments": NOTICE,
        "DeviceSerialNumber": "0",
        "SoftwareVersions": "1",
        "StudyID": "1",
        "SeriesNumber": "1",
        "StudyInstanceUID": derived_uid("phantom", key, "study"),
        "SeriesInstanceUID": derived_uid("phantom", key, "series"),
        "ImageComments": NOTICE,
        "BurnedInAnnotation": "NO",
        "LossyImageCompression": "00",
        "PositionReferenceIndicator": "",
    }
    if picture.planes:
        study["FrameOfReferenceUID"] = derived_uid("phantom", key, "frame of reference")
    else:
        del study["PositionReferenceIndicator"]
    return tuple(_instance(picture, study, index, key) for index in range(len(picture.pixels)))


def _instance(picture: Picture, study: Mapping[str, Any], index: int, key: str) -> Dataset:
    dataset = Dataset()
    for keyword, value in {**study, **picture.tags}.items():
        setattr(dataset, keyword, value)
    dataset.SOPClassUID = UID(_SOP_CLASSES[picture.modality])
    dataset.SOPInstanceUID = UID(derived_uid("phantom", key, "instance", str(index)))
    dataset.InstanceNumber = str(index + 1)
    if picture.planes:
        plane = picture.planes[index]
        dataset.ImagePositionPatient = [f"{value:.4f}" for value in plane.position_mm]
        dataset.ImageOrientationPatient = [f"{value:g}" for value in (*plane.row_cosines, *plane.column_cosines)]
        dataset.PixelSpacing = [f"{value:.5f}" for value in plane.spacing_mm]
        position = float(np.array(plane.position_mm) @ np.abs(plane.normal))
        dataset.SliceLocation = f"{position:.4f}"
    _pixels(dataset, picture, index)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.ImplementationClassUID = UID(derived_uid("radiolucent", "phantom"))
    dataset.file_meta.ImplementationVersionName = "RADIOLUCENT"
    return dataset


def _pixels(dataset: Dataset, picture: Picture, index: int) -> None:
    intercept = float(dataset.get("RescaleIntercept", 0) or 0)
    stored = np.round(picture.pixels[index] - intercept).astype("<u2")
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = stored.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation = 0
    dataset.PixelData = stored.tobytes()
