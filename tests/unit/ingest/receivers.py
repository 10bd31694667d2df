"""Receivers for tests of ways in: a folder that keeps what arrives by its digest, and small objects to send."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, CTImageStorage, ExplicitVRLittleEndian

from radiolucent.imaging.uids import derived_uid
from radiolucent.ingest.receiving import Outcome, ReceivedInstance


@dataclass(eq=False)
class FolderReceiver:
    """Keeps instances in a folder, synced; `limit_bytes` is its watermark."""

    folder: Path
    limit_bytes: int = 2**40
    received: list[ReceivedInstance] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    ended: list[tuple[str, bool]] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    used_bytes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)
    one_ended: threading.Condition = field(default_factory=threading.Condition)

    def receive(self, instance: ReceivedInstance) -> Outcome:
        with self.lock:
            outcome = self._keep(instance)
            self.outcomes.append(outcome)
            if outcome is Outcome.STORED:
                self.received.append(instance)
            return outcome

    def association_ended(self, association_id: str, *, aborted: bool) -> None:
        with self.one_ended:
            self.ended.append((association_id, aborted))
            self.one_ended.notify_all()

    def wait_until_ended(self, count: int, timeout_s: float = 20.0) -> list[bool]:
        """Whether each of the first `count` associations that ended was aborted."""
        with self.one_ended:
            assert self.one_ended.wait_for(lambda: len(self.ended) >= count, timeout_s), self.ended
            return [aborted for _, aborted in self.ended[:count]]

    def stored(self, sop_instance_uid: str) -> Path:
        return self.folder / f"{sop_instance_uid}.dcm"

    def _keep(self, instance: ReceivedInstance) -> Outcome:
        known = self.digests.get(instance.sop_instance_uid)
        if known is not None:
            return Outcome.DUPLICATE if known == instance.digest else Outcome.CONFLICT
        if self.used_bytes + instance.size_bytes > self.limit_bytes:
            return Outcome.OUT_OF_SPACE
        self.folder.mkdir(parents=True, exist_ok=True)
        with instance.path.open("rb") as stream:
            os.fsync(stream.fileno())
        instance.path.rename(self.stored(instance.sop_instance_uid))
        self.used_bytes += instance.size_bytes
        self.digests[instance.sop_instance_uid] = instance.digest
        return Outcome.STORED


def small_object(
    number: int = 1,
    *,
    study: str = "a",
    series: str = "1",
    sop_class: str = CTImageStorage,
    transfer_syntax: UID = ExplicitVRLittleEndian,
    rows: int = 16,
) -> Dataset:
    """An instance of noise, complete enough to be filed, with UIDs that follow from the arguments."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = transfer_syntax
    dataset.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    dataset.SOPClassUID = UID(sop_class)
    dataset.StudyInstanceUID = derived_uid("test", study)
    dataset.SeriesInstanceUID = derived_uid("test", study, series)
    dataset.SOPInstanceUID = derived_uid("test", study, series, str(number))
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.Modality = "CT"
    dataset.PatientID, dataset.PatientName = "NOBODY", "Secret^Name"
    dataset.InstanceNumber = number
    dataset.Rows = dataset.Columns = rows
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    noise = np.random.default_rng(number).integers(0, 4096, (rows, rows), dtype=np.uint16)
    dataset.PixelData = noise.tobytes()
    dataset["PixelData"].VR = "OW"
    return dataset


def write_object(path: Path, dataset: Dataset) -> Path:
    """`dataset` as a file."""
    dataset.save_as(path, enforce_file_format=True)
    return path
