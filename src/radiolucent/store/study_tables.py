"""Tables of what arrived and what became of it: from instances and studies to readings, deliveries and workers."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, ForeignKeyConstraint, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from radiolucent.store.tables import Base

UID = String(64)  # PS3.5 9.1: at most 64 characters
DIGEST = String(64)  # SHA-256, hexadecimal
WORD = String(32)
NAME = String(255)


class StudyRow(Base):
    """One imaging study, from its first instance on.

    `state` is one of `store.states.STUDY_STATES`. `patient_id` and `patient_name` are for the worklist and the PACS
    query alone; they stand in no log, path or address.
    """

    __tablename__ = "studies"

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    patient_id: Mapped[str] = mapped_column(NAME, default="")
    patient_name: Mapped[str] = mapped_column(NAME, default="")
    accession_number: Mapped[str] = mapped_column(NAME, default="")
    study_date: Mapped[str] = mapped_column(WORD, default="")
    study_time: Mapped[str] = mapped_column(WORD, default="")
    description: Mapped[str] = mapped_column(NAME, default="")
    modalities: Mapped[str] = mapped_column(NAME, default="")
    body_parts: Mapped[str] = mapped_column(NAME, default="")
    priority: Mapped[str] = mapped_column(WORD, default="live")
    source_kind: Mapped[str] = mapped_column(WORD, default="")
    calling_ae: Mapped[str] = mapped_column(WORD, default="")
    partial: Mapped[bool] = mapped_column(default=False)
    expected_instances: Mapped[int | None] = mapped_column(default=None)
    state: Mapped[str] = mapped_column(WORD, default="arriving", index=True)
    reason: Mapped[str] = mapped_column(Text, default="")
    latest_revision: Mapped[int] = mapped_column(default=0)
    first_received_at: Mapped[datetime] = mapped_column(index=True)
    last_received_at: Mapped[datetime] = mapped_column(index=True)


class SeriesRow(Base):
    """One series of a study, as its first instance described it."""

    __tablename__ = "series"

    series_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(
        UID, ForeignKey("studies.study_instance_uid"), primary_key=True, index=True
    )
    modality: Mapped[str] = mapped_column(WORD, default="")
    description: Mapped[str] = mapped_column(NAME, default="")
    body_part: Mapped[str] = mapped_column(NAME, default="")
    series_number: Mapped[str] = mapped_column(WORD, default="")


class InstanceRow(Base):
    """One object that was accepted: its file is in the archive before this row is.

    `digest` is the SHA-256 of the encoded data set (without the file meta information, which a sender may vary).
    Of one SOP Instance UID one row is used; others with other content are kept in state ``conflict``.
    `read_in` is the latest revision of the study whose inputs hold it.
    """

    __tablename__ = "instances"
    __table_args__ = (
        UniqueConstraint("sop_instance_uid", "digest"),
        Index(
            "ix_instances_used",
            "sop_instance_uid",
            unique=True,
            sqlite_where=text("state != 'conflict'"),
            postgresql_where=text("state != 'conflict'"),
        ),
        ForeignKeyConstraint(
            ["series_instance_uid", "study_instance_uid"],
            ["series.series_instance_uid", "series.study_instance_uid"],
        ),
        Index("ix_instances_place", "study_instance_uid", "series_instance_uid"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    sop_instance_uid: Mapped[str] = mapped_column(UID)
    sop_class_uid: Mapped[str] = mapped_column(UID)
    series_instance_uid: Mapped[str] = mapped_column(UID)
    study_instance_uid: Mapped[str] = mapped_column(UID)
    transfer_syntax_uid: Mapped[str] = mapped_column(UID)
    digest: Mapped[str] = mapped_column(DIGEST)
    path: Mapped[str] = mapped_column(Text)
    size_bytes: Mapped[int] = mapped_column()
    source_kind: Mapped[str] = mapped_column(WORD, default="")
    calling_ae: Mapped[str] = mapped_column(WORD, default="")
    association_id: Mapped[str] = mapped_column(NAME, default="", index=True)
    received_at: Mapped[datetime] = mapped_column(index=True)
    state: Mapped[str] = mapped_column(WORD, default="received", index=True)
    reason: Mapped[str] = mapped_column(Text, default="")
    read_in: Mapped[int] = mapped_column(default=0)
    removed_at: Mapped[datetime | None] = mapped_column(default=None)


class TurnedAwayRow(Base):
    """One object that was not accepted, so that its sender's question has an answer."""

    __tablename__ = "turned_away"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    outcome: Mapped[str] = mapped_column(WORD)
    reason: Mapped[str] = mapped_column(Text, default="")
    sop_instance_uid: Mapped[str] = mapped_column(String(128), default="")
    study_instance_uid: Mapped[str] = mapped_column(String(128), default="", index=True)
    calling_ae: Mapped[str] = mapped_column(WORD, default="")
    source_kind: Mapped[str] = mapped_column(WORD, default="")


class AssociationRow(Base):
    """One association (or request) that brought something: a study isn't complete while it is open."""

    __tablename__ = "associations"

    association_id: Mapped[str] = mapped_column(NAME, primary_key=True)
    calling_ae: Mapped[str] = mapped_column(WORD, default="")
    opened_at: Mapped[datetime] = mapped_column()
    closed_at: Mapped[datetime | None] = mapped_column(default=None, index=True)
    aborted: Mapped[bool] = mapped_column(default=False)


class RevisionRow(Base):
    """One reading of a study: which inputs, which workflow, how far. A later one supersedes the earlier.

    `made_at` is the time that goes into every result object, fixed here so that a retry writes the same bytes.
    `inputs_digest` is over the digests of its instances and of the engines.
    """

    __tablename__ = "revisions"

    study_instance_uid: Mapped[str] = mapped_column(UID, ForeignKey("studies.study_instance_uid"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    workflow_id: Mapped[str] = mapped_column(NAME, unique=True)
    inputs_digest: Mapped[str] = mapped_column(DIGEST)
    priority: Mapped[str] = mapped_column(WORD)
    state: Mapped[str] = mapped_column(WORD, default="queued", index=True)
    reason: Mapped[str] = mapped_column(Text, default="")
    prior_study_instance_uid: Mapped[str] = mapped_column(String(64), default="")
    worker: Mapped[str] = mapped_column(NAME, default="")
    attempts: Mapped[int] = mapped_column(default=0)
    made_at: Mapped[datetime] = mapped_column()
    enqueued_at: Mapped[datetime | None] = mapped_column(default=None)
    started_at: Mapped[datetime | None] = mapped_column(default=None)
    finished_at: Mapped[datetime | None] = mapped_column(default=None)


class RevisionInputRow(Base):
    """Which instances one revision reads, fixed when it is made."""

    __tablename__ = "revision_inputs"
    __table_args__ = (
        ForeignKeyConstraint(["study_instance_uid", "number"], ["revisions.study_instance_uid", "revisions.number"]),
    )

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    instance_id: Mapped[int] = mapped_column(ForeignKey("instances.id"), primary_key=True)


class ReadingRow(Base):
    """What one revision found, and where its files lie: below the store's folder, in `folder`."""

    __tablename__ = "readings"
    __table_args__ = (
        ForeignKeyConstraint(["study_instance_uid", "revision"], ["revisions.study_instance_uid", "revisions.number"]),
    )

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    state: Mapped[str] = mapped_column(WORD)
    folder: Mapped[str] = mapped_column(Text)
    digest: Mapped[str] = mapped_column(DIGEST)
    urgency: Mapped[int | None] = mapped_column(default=None, index=True)
    positives: Mapped[str] = mapped_column(Text, default="")
    engines: Mapped[str] = mapped_column(Text, default="")
    made_at: Mapped[datetime] = mapped_column(index=True)
    withdrawn_at: Mapped[datetime | None] = mapped_column(default=None)
    withdrawn_reason: Mapped[str] = mapped_column(Text, default="")


class DeliveryRow(Base):
    """One result on its way to one destination: its state survives whatever happens to the process."""

    __tablename__ = "deliveries"
    __table_args__ = (
        UniqueConstraint("study_instance_uid", "revision", "destination", "kind"),
        ForeignKeyConstraint(["study_instance_uid", "revision"], ["revisions.study_instance_uid", "revisions.number"]),
        Index("ix_deliveries_due", "state", "next_try_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(UID)
    revision: Mapped[int] = mapped_column()
    destination: Mapped[str] = mapped_column(NAME)
    kind: Mapped[str] = mapped_column(WORD, default="result")
    state: Mapped[str] = mapped_column(WORD, default="waiting")
    attempts: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime | None] = mapped_column(default=None)
    reason: Mapped[str] = mapped_column(Text, default="")
    receipt: Mapped[str] = mapped_column(Text, default="")
    created_at: Mapped[datetime] = mapped_column()
    finished_at: Mapped[datetime | None] = mapped_column(default=None)


class WorkerRow(Base):
    """One process that works, and when it was last alive: who is silent too long is taken over from."""

    __tablename__ = "workers"

    executor_id: Mapped[str] = mapped_column(NAME, primary_key=True)
    host: Mapped[str] = mapped_column(NAME, default="")
    pid: Mapped[int] = mapped_column()
    role: Mapped[str] = mapped_column(WORD, default="worker")
    version: Mapped[str] = mapped_column(WORD, default="")
    started_at: Mapped[datetime] = mapped_column()
    heartbeat_at: Mapped[datetime] = mapped_column(index=True)
    state: Mapped[str] = mapped_column(WORD, default="alive")
