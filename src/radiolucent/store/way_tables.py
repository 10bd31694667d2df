"""Tables of what is asked and fetched: ways in and how they fare, fetched studies, questions about a study."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from radiolucent.store.tables import Base

UID = String(64)
WORD = String(32)
NAME = String(96)


class WayRow(Base):
    """One way in (or other thing that runs beside the listener), and whether it works: written by its thread."""

    __tablename__ = "ways"

    name: Mapped[str] = mapped_column(NAME, primary_key=True)
    state: Mapped[str] = mapped_column(WORD, default="starting")
    reason: Mapped[str] = mapped_column(Text, default="")
    failures: Mapped[int] = mapped_column(default=0)
    taken: Mapped[int] = mapped_column(default=0)
    ok_at: Mapped[datetime | None] = mapped_column(default=None)
    failed_at: Mapped[datetime | None] = mapped_column(default=None)
    next_at: Mapped[datetime | None] = mapped_column(default=None)


class FetchRow(Base):
    """One study that was, is or will be fetched from a PACS, so that none is fetched twice or for ever.

    `purpose` is ``watched-pacs`` or ``prior``; it becomes the study's source, also where C-MOVE brings it by C-STORE.
    `instances` is what the PACS said it has, None where it didn't.
    """

    __tablename__ = "fetches"

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    pacs: Mapped[str] = mapped_column(NAME, primary_key=True)
    purpose: Mapped[str] = mapped_column(WORD)
    state: Mapped[str] = mapped_column(WORD)
    instances: Mapped[int | None] = mapped_column(default=None)
    attempts: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str] = mapped_column(Text, default="")
    at: Mapped[datetime] = mapped_column()
    next_try_at: Mapped[datetime | None] = mapped_column(default=None)


class QuestionRow(Base):
    """One question about a study to the PACS or the RIS (`kind`: ``priors`` or ``order``) and its answer.

    `answer` is JSON. That of an order names the patient: like the study's own columns, it goes into no log.
    """

    __tablename__ = "questions"

    study_instance_uid: Mapped[str] = mapped_column(UID, primary_key=True)
    kind: Mapped[str] = mapped_column(WORD, primary_key=True)
    state: Mapped[str] = mapped_column(WORD, index=True)
    attempts: Mapped[int] = mapped_column(default=0)
    reason: Mapped[str] = mapped_column(Text, default="")
    answer: Mapped[str] = mapped_column(Text, default="")
    first_at: Mapped[datetime] = mapped_column()
    last_at: Mapped[datetime] = mapped_column()
    next_try_at: Mapped[datetime | None] = mapped_column(default=None)


class ReconciliationRow(Base):
    """One comparison of a PACS with what was received; `body` is JSON, without a patient."""

    __tablename__ = "reconciliations"

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    pacs: Mapped[str] = mapped_column(NAME)
    differences: Mapped[int] = mapped_column()
    body: Mapped[str] = mapped_column(Text)
