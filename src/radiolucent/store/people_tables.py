"""Tables of accounts, their sessions and their tokens; secrets are kept as digests only."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from radiolucent.store.tables import Base

ACCOUNT = String(128)


class AccountRow(Base):
    """One person (or program) that may log in. `totp_counter` is the last time step whose code was used."""

    __tablename__ = "accounts"

    name: Mapped[str] = mapped_column(ACCOUNT, primary_key=True)
    display_name: Mapped[str] = mapped_column(String(255), default="")
    role: Mapped[str] = mapped_column(String(32))
    password_hash: Mapped[str] = mapped_column(Text, default="")
    issuer: Mapped[str] = mapped_column(String(255), default="")
    totp_secret: Mapped[str] = mapped_column(String(64), default="")
    totp_counter: Mapped[int] = mapped_column(default=0)
    failures: Mapped[int] = mapped_column(default=0)
    locked_until: Mapped[datetime | None] = mapped_column(default=None)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column()


class SessionRow(Base):
    """One browser that is logged in: `digest` is the SHA-256 of the cookie's secret."""

    __tablename__ = "sessions"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    account: Mapped[str] = mapped_column(ACCOUNT, ForeignKey("accounts.name"), index=True)
    csrf: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime] = mapped_column()
    seen_at: Mapped[datetime] = mapped_column()


class TokenRow(Base):
    """One secret for a program, with a role of its own that is never above the account's."""

    __tablename__ = "api_tokens"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    account: Mapped[str] = mapped_column(ACCOUNT, ForeignKey("accounts.name"), index=True)
    label: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column()
    expires_at: Mapped[datetime] = mapped_column()
    revoked_at: Mapped[datetime | None] = mapped_column(default=None)
