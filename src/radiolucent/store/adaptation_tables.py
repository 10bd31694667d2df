"""Tables of what adapts to a reader: the site's trust rules, and what they did for whom with which study."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String, Text
from sqlalchemy.orm import Mapped, mapped_column

from radiolucent.store.tables import Base


class AdaptationRow(Base):
    """What the rules did when a reader first opened a reading; it stays so for this reader and reading.

    `rules` are names separated by spaces; `withheld` is whether the AI came only after the reader's own reading, which
    is `said` (findings, separated by spaces; empty for none) with `note`, made at `revealed_at`.
    """

    __tablename__ = "adaptations"

    study_instance_uid: Mapped[str] = mapped_column(String(64), primary_key=True)
    reader: Mapped[str] = mapped_column(String(128), primary_key=True)
    reading_digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    rules: Mapped[str] = mapped_column(Text, default="")
    figures: Mapped[str] = mapped_column(Text, default="")
    withheld: Mapped[bool] = mapped_column(default=False)
    at: Mapped[datetime] = mapped_column()
    revealed_at: Mapped[datetime | None] = mapped_column(default=None)
    said: Mapped[str] = mapped_column(Text, default="")
    note: Mapped[str] = mapped_column(Text, default="")


class TrustRulesRow(Base):
    """One edition of the site's trust rules (TOML); the latest counts, earlier ones stay."""

    __tablename__ = "trust_rules"

    id: Mapped[int] = mapped_column(primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    account: Mapped[str] = mapped_column(String(128))
    at: Mapped[datetime] = mapped_column()
