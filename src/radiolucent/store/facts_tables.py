"""Tables of readings in short, so that lists and figures need no document, and of studies that are done with."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from radiolucent.store.tables import Base

UID = String(64)
WORD = String(64)


class ReadingFactsRow(Base):
    """One reading in short. Made from its document and made again where it is missing: never the only copy."""

    __tablename__ = "reading_facts"

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    milliseconds: Mapped[float] = mapped_column(default=0.0)
    unread: Mapped[str] = mapped_column(WORD, default="")
    reason: Mapped[str] = mapped_column(Text, default="")


class EngineFactRow(Base):
    """What one engine did in a reading; `level` is of its most urgent finding, None where it has none."""

    __tablename__ = "reading_engines"

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    engine: Mapped[str] = mapped_column(String(128), primary_key=True)
    name: Mapped[str] = mapped_column(String(128), index=True)
    level: Mapped[int | None] = mapped_column(default=None)
    failed: Mapped[bool] = mapped_column(default=False)


class FindingFactRow(Base):
    """One finding of a reading; `gate` is what the quality gate decided.

    `rank` is its place in the report; findings below their operating point come after, from the surest on.
    """

    __tablename__ = "reading_findings"
    __table_args__ = (Index("ix_reading_findings_of", "engine", "name"),)

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    revision: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    rank: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    engine: Mapped[str] = mapped_column(String(128))
    name: Mapped[str] = mapped_column(WORD)
    positive: Mapped[bool] = mapped_column()
    level: Mapped[int] = mapped_column()
    score: Mapped[float] = mapped_column()
    probability: Mapped[float | None] = mapped_column(default=None)
    operating_point: Mapped[float] = mapped_column()
    gate: Mapped[str] = mapped_column(WORD, default="")


class OriginRow(Base):
    """Whom and what a study is of, in groups alone: for figures by group. Read from a header, once."""

    __tablename__ = "origins"

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    sex: Mapped[str] = mapped_column(WORD)
    age: Mapped[str] = mapped_column(WORD)
    scanner: Mapped[str] = mapped_column(String(128))


class FinishedRow(Base):
    """A study that a reader is done with; something newer of it opens it again."""

    __tablename__ = "finished"

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    reader: Mapped[str] = mapped_column(String(128))
    at: Mapped[datetime] = mapped_column()
