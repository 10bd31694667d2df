"""What a row says, as a plain value that outlives its transaction."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, TypeVar


@dataclass(frozen=True, kw_only=True)
class StudyRecord:
    """One study. Patient ID and name are for the worklist alone; they don't show in the value's text."""

    study_instance_uid: str
    patient_id: str
    patient_name: str
    accession_number: str
    study_date: str
    study_time: str
    description: str
    modalities: str
    body_parts: str
    priority: str
    source_kind: str
    calling_ae: str
    partial: bool
    expected_instances: int | None
    state: str
    reason: str
    latest_revision: int
    first_received_at: datetime
    last_received_at: datetime

    def __repr__(self) -> str:  # a log line must not name a patient
        return f"StudyRecord({self.study_instance_uid}, {self.state})"


@dataclass(frozen=True, kw_only=True)
class SeriesRecord:
    """One series of a study."""

    series_instance_uid: str
    study_instance_uid: str
    modality: str
    description: str
    body_part: str
    series_number: str


@dataclass(frozen=True, kw_only=True)
class InstanceRecord:
    """One stored object; `path` is relative to the store's folder, `digest` is of the data set."""

    id: int
    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    digest: str
    path: str
    size_bytes: int
    source_kind: str
    calling_ae: str
    association_id: str
    received_at: datetime
    state: str
    reason: str
    read_in: int
    removed_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class TurnedAwayRecord:
    """One object that was not accepted, and why."""

    at: datetime
    outcome: str
    reason: str
    sop_instance_uid: str
    study_instance_uid: str
    calling_ae: str
    source_kind: str


@dataclass(frozen=True, kw_only=True)
class RevisionRecord:
    """One reading of a study: planned, under way or done."""

    study_instance_uid: str
    number: int
    workflow_id: str
    inputs_digest: str
    priority: str
    state: str
    reason: str
    prior_study_instance_uid: str
    worker: str
    attempts: int
    made_at: datetime
    enqueued_at: datetime | None
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class ReadingRecord:
    """What a revision found, and the folder of its files, relative to the store's folder.

    `urgency` is 1 (most urgent) to 5, None where nothing was found; `positives` are finding names, `engines` labels.
    """

    study_instance_uid: str
    revision: int
    state: str
    folder: str
    digest: str
    urgency: int | None
    positives: str
    engines: str
    made_at: datetime
    withdrawn_at: datetime | None
    withdrawn_reason: str


@dataclass(frozen=True, kw_only=True)
class DeliveryRecord:
    """One result on its way to one destination."""

    id: int
    study_instance_uid: str
    revision: int
    destination: str
    kind: str
    state: str
    attempts: int
    next_try_at: datetime | None
    reason: str
    receipt: str
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class WorkerRecord:
    """One process that works, or worked."""

    executor_id: str
    host: str
    pid: int
    role: str
    version: str
    started_at: datetime
    heartbeat_at: datetime
    state: str


_Record = TypeVar("_Record")


def record(kind: type[_Record], row: Any) -> _Record:
    """The value of `kind` that a row holds: every field is a column of the same name."""
    return kind(**{field.name: getattr(row, field.name) for field in fields(kind)})  # type: ignore[arg-type]
