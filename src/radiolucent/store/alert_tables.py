"""Tables of alerts: each alert once, and one row for each message about it to each channel."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from radiolucent.store.tables import Base

KEY = String(64)
WORD = String(32)
NAME = String(255)


class AlertRow(Base):
    """One alert about one finding, kept for good: the web shows it, channels carry it. No patient identity in it.

    `revision` is the latest one of the study that holds the finding. `state` is one of `store.states.ALERT_STATES`.
    The words are those that were true when it was raised: a table that is changed later changes no alert.
    """

    __tablename__ = "alerts"

    key: Mapped[str] = mapped_column(KEY, primary_key=True)
    study_instance_uid: Mapped[str] = mapped_column(String(64), index=True)
    revision: Mapped[int] = mapped_column()
    finding: Mapped[str] = mapped_column(String(64))
    engine: Mapped[str] = mapped_column(NAME, default="")
    tier: Mapped[str] = mapped_column(WORD)
    level: Mapped[int] = mapped_column()
    language: Mapped[str] = mapped_column(WORD)
    subject: Mapped[str] = mapped_column(Text)
    message: Mapped[str] = mapped_column(Text)
    disclaimer: Mapped[str] = mapped_column(Text)
    table_version: Mapped[str] = mapped_column(NAME)
    state: Mapped[str] = mapped_column(WORD, default="open", index=True)
    reason: Mapped[str] = mapped_column(Text, default="")
    raised_at: Mapped[datetime] = mapped_column(index=True)
    escalated_at: Mapped[datetime | None] = mapped_column(default=None)
    acknowledged_at: Mapped[datetime | None] = mapped_column(default=None)
    acknowledged_by: Mapped[str] = mapped_column(String(128), default="")
    ended_at: Mapped[datetime | None] = mapped_column(default=None)


class NoticeRow(Base):
    """One message about an alert to one channel: its state survives whatever happens to the process.

    `turn` says which message: ``first``, ``escalation``, ``acknowledged`` or ``withdrawn``. `granted_at` is when the
    rate limit let it through; before that it is never due. `held` is how many more waited then.
    """

    __tablename__ = "alert_notices"
    __table_args__ = (
        UniqueConstraint("alert_key", "channel", "turn"),
        Index("ix_alert_notices_due", "state", "next_try_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    alert_key: Mapped[str] = mapped_column(KEY, ForeignKey("alerts.key"))
    channel: Mapped[str] = mapped_column(NAME, index=True)
    turn: Mapped[str] = mapped_column(WORD)
    level: Mapped[int] = mapped_column()
    state: Mapped[str] = mapped_column(WORD, default="waiting")
    attempts: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[datetime] = mapped_column()
    granted_at: Mapped[datetime | None] = mapped_column(default=None)
    held: Mapped[int] = mapped_column(default=0)
    next_try_at: Mapped[datetime | None] = mapped_column(default=None)
    reason: Mapped[str] = mapped_column(Text, default="")
    receipt: Mapped[str] = mapped_column(Text, default="")
    finished_at: Mapped[datetime | None] = mapped_column(default=None)
