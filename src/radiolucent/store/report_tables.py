"""Tables of what readers made of a study's results: versions of the report, findings taken out of what is sent."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from radiolucent.store.tables import Base


class ReportRow(Base):
    """One version; a later one stands beside it, none is replaced.

    `status` is ``preliminary`` until it is signed, then ``final``, or ``corrected`` after a signed one.
    `ai_findings` and `ai_impression` are the AI's draft as its author was shown it, or empty: they tell which of its
    sentences are the AI's.
    """

    __tablename__ = "reports"
    __table_args__ = (UniqueConstraint("study_instance_uid", "number"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(String(64), index=True)
    number: Mapped[int] = mapped_column()
    status: Mapped[str] = mapped_column(String(64))
    findings: Mapped[str] = mapped_column(Text)
    impression: Mapped[str] = mapped_column(Text)
    ai_findings: Mapped[str] = mapped_column(Text, default="")
    ai_impression: Mapped[str] = mapped_column(Text, default="")
    reading_digest: Mapped[str] = mapped_column(String(64), default="")
    author: Mapped[str] = mapped_column(String(128))
    at: Mapped[datetime] = mapped_column()


class AmendmentRow(Base):
    """A finding that a reader took out of a study's result because it is wrong, or whose place is; `what` says which.

    It holds for the same engine's same logit on the same series: with other images or another version it is asked anew.
    """

    __tablename__ = "amendments"

    id: Mapped[int] = mapped_column(primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(String(64), index=True)
    series_key: Mapped[str] = mapped_column(String(80))
    finding: Mapped[str] = mapped_column(String(64))
    engine: Mapped[str] = mapped_column(String(128))
    logit: Mapped[float] = mapped_column()
    what: Mapped[str] = mapped_column(String(64))
    reader: Mapped[str] = mapped_column(String(128))
    at: Mapped[datetime] = mapped_column()
    undone_by: Mapped[str] = mapped_column(String(128), default="")
    undone_at: Mapped[datetime | None] = mapped_column(default=None)
