"""Tables of the reading room: what readers did, how far their training is, and in which phase each engine is."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from radiolucent.store.tables import Base

UID = String(64)
WORD = String(64)
ACCOUNT = String(128)


class DecisionRow(Base):
    """One reader's decision on one finding of one reading; a later one stands beside it, none is replaced.

    `region` is the redrawn outline as JSON ``{"frame": k, "points": [[row, column], …]}``, or empty.
    `open_ms` is how long the page had been open, `overlay_ms` how long of it this finding's map was shown.
    """

    __tablename__ = "decisions"
    __table_args__ = (Index("ix_decisions_at", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    series_key: Mapped[str] = mapped_column(String(80))
    finding: Mapped[str] = mapped_column(WORD)
    engine: Mapped[str] = mapped_column(String(128), index=True)
    reading_digest: Mapped[str] = mapped_column(UID)
    reader: Mapped[str] = mapped_column(ACCOUNT)
    outcome: Mapped[str] = mapped_column(WORD)
    reason: Mapped[str] = mapped_column(WORD, default="")
    note: Mapped[str] = mapped_column(Text, default="")
    trust: Mapped[int | None] = mapped_column(default=None)
    region: Mapped[str] = mapped_column(Text, default="")
    open_ms: Mapped[int] = mapped_column(default=0)
    overlay_ms: Mapped[int] = mapped_column(default=0)
    at: Mapped[datetime] = mapped_column()


class ViewRow(Base):
    """One opening of a study's page; `looked_at` is when the reader said to have looked at the images."""

    __tablename__ = "views"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    reader: Mapped[str] = mapped_column(ACCOUNT)
    opened_at: Mapped[datetime] = mapped_column(index=True)
    with_ai: Mapped[bool] = mapped_column(default=False)
    looked_at: Mapped[datetime | None] = mapped_column(default=None)
    overlays: Mapped[int] = mapped_column(default=0)


class ClaimRow(Base):
    """Who is reading a study."""

    __tablename__ = "claims"

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    reader: Mapped[str] = mapped_column(ACCOUNT)
    at: Mapped[datetime] = mapped_column()


class CommentRow(Base):
    """A reader's words on a study."""

    __tablename__ = "comments"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    reader: Mapped[str] = mapped_column(ACCOUNT)
    text: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column()


class UrgencyRow(Base):
    """An urgency that a reader set by hand; the latest counts."""

    __tablename__ = "urgencies"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(UID, index=True)
    level: Mapped[int] = mapped_column()
    reason: Mapped[str] = mapped_column(Text)
    reader: Mapped[str] = mapped_column(ACCOUNT)
    at: Mapped[datetime] = mapped_column()


class TrainingRow(Base):
    """How far one account is with the training for one major version of an engine's explanations.

    `done` is JSON: step → result. `beat_at` is the last sign of activity that was counted.
    """

    __tablename__ = "training"

    account: Mapped[str] = mapped_column(ACCOUNT, primary_key=True)
    edition: Mapped[str] = mapped_column(WORD, primary_key=True)
    active_s: Mapped[float] = mapped_column(default=0.0)
    beat_at: Mapped[datetime | None] = mapped_column(default=None)
    done: Mapped[str] = mapped_column(Text, default="{}")
    passed_at: Mapped[datetime | None] = mapped_column(default=None)
    granted_by: Mapped[str] = mapped_column(ACCOUNT, default="")
    reason: Mapped[str] = mapped_column(Text, default="")


class PhaseRow(Base):
    """The phase of one engine (by name) at this site."""

    __tablename__ = "phases"

    engine: Mapped[str] = mapped_column(String(128), primary_key=True)
    phase: Mapped[str] = mapped_column(WORD)
    since: Mapped[datetime] = mapped_column()


class SignatureRow(Base):
    """A role's signature under the step to the next phase; used up when the step is taken."""

    __tablename__ = "phase_signatures"

    engine: Mapped[str] = mapped_column(String(128), primary_key=True)
    to: Mapped[str] = mapped_column(WORD, primary_key=True)
    role: Mapped[str] = mapped_column(WORD, primary_key=True)
    account: Mapped[str] = mapped_column(ACCOUNT)
    at: Mapped[datetime] = mapped_column()


class SiteRow(Base):
    """One setting that is changed in the running program."""

    __tablename__ = "site_settings"

    name: Mapped[str] = mapped_column(WORD, primary_key=True)
    value: Mapped[str] = mapped_column(Text)
