"""Accounts, sessions and tokens: who may come in, how often they may try, and for how long they stay."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError
from sqlalchemy import delete, select

from radiolucent.errors import SetupError
from radiolucent.store.one_time_codes import matching_step
from radiolucent.store.people_tables import AccountRow, SessionRow, TokenRow
from radiolucent.store.unit_of_work import Work

SHORTEST_PASSWORD: Final = 12
"""NIST SP 800-63B-4 3.1.1.2 asks for 8 with a second factor and 15 without; in between, as a lockout is in place."""
ATTEMPTS: Final = 5
LOCKED_FOR: Final = timedelta(minutes=15)
IDLE: Final = timedelta(hours=1)
LONGEST_SESSION: Final = timedelta(hours=12)
"""A shift: NIST SP 800-63B-4 2.2.3 (AAL2) asks for a new login after at most 24 h, or 1 h idle."""
_SEEN_EVERY: Final = timedelta(minutes=1)

Refused = Literal["credentials", "locked", "inactive", "code"]

# Argon2id with 19 MiB, two passes, one lane: OWASP Password Storage Cheat Sheet, first of its equal choices
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# checked where there is no such account, so that both take the same time
_NOBODY = _hasher.hash(secrets.token_hex(16))


@dataclass(frozen=True, kw_only=True)
class Account:
    """One person, without secrets."""

    name: str
    display_name: str
    role: str
    active: bool
    two_factor: bool
    locked_until: datetime | None


@dataclass(frozen=True, kw_only=True)
class Login:
    """The outcome of an attempt: the account, or why not."""

    account: Account | None = None
    refused: Refused | None = None


@dataclass(frozen=True, kw_only=True)
class Session:
    """Who is behind a request: the account, the role that counts now, and the form token (empty for API tokens)."""

    account: Account
    role: str
    csrf: str


@dataclass(frozen=True, kw_only=True)
class Token:
    """One API token, without its secret: `number` is the beginning of its digest."""

    number: str
    label: str
    role: str
    expires_at: datetime


class People:
    """Accounts, sessions and tokens, as one transaction sees them."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def add(self, name: str, *, role: str, password: str, now: datetime, display_name: str = "") -> Account:
        """Make an account; an empty password makes one that can come in by single sign-on alone.

        Raises
        ------
        SetupError
            If the name is taken or empty, or the password is too short.
        """
        if not name or self._session.get(AccountRow, name) is not None:
            raise SetupError(f"the account name {name!r} is empty or taken: choose another")
        row = AccountRow(
            name=name,
            role=role,
            display_name=display_name,
            password_hash=_hashed(password) if password else "",
            active=True,
            failures=0,
            totp_secret="",
            created_at=now,
        )
        self._session.add(row)
        self._session.flush()
        return _account(row)

    def follow(self, name: str, *, identity: str, role: str, display_name: str, now: datetime) -> str:
        """Make the account of a person that a provider vouches for, or let it follow what the provider says now.

        Parameters
        ----------
        identity : of the person at the provider; an account is theirs alone.

        Returns
        -------
        What changed, in words; empty where nothing did. A changed role ends the sessions that had the old one.

        Raises
        ------
        SetupError
            If the name is that of a local account or of somebody else, or the account was switched off here.
        """
        row = self._session.get(AccountRow, name, with_for_update=True)
        if row is None:
            self.add(name, role=role, password="", now=now, display_name=display_name)
            self._row(name).issuer = identity
            return f"made with role {role}"
        if row.issuer != identity:
            raise SetupError("an account of this name is here already, and it is another person's")
        if not row.active:
            raise SetupError("this account is switched off")
        row.display_name = display_name
        if row.role == role:
            return ""
        self.change(name, role=role)
        return f"role {role}"

    def get(self, name: str) -> Account | None:
        """The account of this name."""
        row = self._session.get(AccountRow, name)
        return _account(row) if row else None

    def every(self) -> list[Account]:
        """All accounts, by name."""
        return [_account(row) for row in self._session.scalars(select(AccountRow).order_by(AccountRow.name))]

    def change(self, name: str, *, role: str | None = None, active: bool | None = None, password: str = "") -> None:
        """Change an account; its sessions end, so that nobody keeps a role that was taken away.

        Raises
        ------
        SetupError
            If there is no such account, or the new password is too short.
        """
        row = self._row(name)
        if role is not None:
            row.role = role
        if active is not None:
            row.active = active
        if password:
            row.password_hash = _hashed(password)
        row.failures, row.locked_until = 0, None
        self._session.execute(delete(SessionRow).where(SessionRow.account == name))

    def set_one_time_codes(self, name: str, secret: str, *, used: int = 0) -> None:
        """Ask for a code at login from now on (secret in base 32), or no longer (empty).

        Codes of the step `used` and of those before it open nothing any more.
        """
        row = self._row(name)
        row.totp_secret, row.totp_counter = secret, used

    def log_in(self, name: str, password: str, *, now: datetime, code: str = "") -> Login:
        """Check a password, and the code where the account has one; too many failures lock it for a while."""
        row = self._session.get(AccountRow, name, with_for_update=True)
        right = _matches(row.password_hash if row and row.password_hash else _NOBODY, password)
        if row is None:
            return Login(refused="credentials")
        if row.locked_until and row.locked_until > now:
            return Login(refused="locked")
        step = matching_step(row.totp_secret, code, now) if row.totp_secret else None
        used = step is not None and step <= row.totp_counter
        if not right or not row.password_hash or (row.totp_secret and (step is None or used)):
            row.failures += 1
            if row.failures >= ATTEMPTS:
                row.failures, row.locked_until = 0, now + LOCKED_FOR
            return Login(refused="code" if right and row.password_hash else "credentials")
        if not row.active:
            return Login(refused="inactive")
        row.failures, row.locked_until = 0, None
        row.totp_counter = step or row.totp_counter
        return Login(account=_account(row))

    def knows(self, name: str, password: str) -> bool:
        """Whether this is the account's password, for someone who is logged in already."""
        return _matches(self._row(name).password_hash, password)

    def open_session(self, name: str, *, now: datetime) -> str:
        """The secret for the cookie of a new session; it is kept nowhere."""
        secret = secrets.token_urlsafe(32)
        row = SessionRow(
            digest=_digest(secret), account=name, csrf=secrets.token_urlsafe(24), created_at=now, seen_at=now
        )
        self._session.add(row)
        self._session.execute(delete(SessionRow).where(SessionRow.created_at < now - LONGEST_SESSION))
        self._session.flush()
        return secret

    def session(self, secret: str, *, now: datetime) -> Session | None:
        """Who holds this cookie; None where it has run out, or the account was switched off."""
        row = self._session.get(SessionRow, _digest(secret))
        if row is None or now - row.seen_at > IDLE or now - row.created_at > LONGEST_SESSION:
            return None
        account = self._session.get(AccountRow, row.account)
        if account is None or not account.active:
            return None
        return Session(account=_account(account), role=account.role, csrf=row.csrf)

    def is_due(self, secret: str, *, now: datetime) -> bool:
        """Whether `seen` would write something."""
        row = self._session.get(SessionRow, _digest(secret))
        return row is not None and now - row.seen_at > _SEEN_EVERY

    def seen(self, secret: str, *, now: datetime) -> None:
        """Note that the session is in use; written at most once a minute."""
        row = self._session.get(SessionRow, _digest(secret))
        if row is not None and now - row.seen_at > _SEEN_EVERY:
            row.seen_at = now

    def close_session(self, secret: str) -> None:
        """End one session."""
        self._session.execute(delete(SessionRow).where(SessionRow.digest == _digest(secret)))

    def make_token(self, name: str, *, label: str, role: str, now: datetime, days: int = 90) -> str:
        """The secret of a new API token; it is shown once and kept nowhere."""
        secret = "rl_" + secrets.token_urlsafe(32)
        expires = now + timedelta(days=days)
        self._session.add(
            TokenRow(
                digest=_digest(secret),
                account=self._row(name).name,
                label=label,
                role=role,
                created_at=now,
                expires_at=expires,
            )
        )
        self._session.flush()
        return secret

    def token(self, secret: str, *, now: datetime) -> Session | None:
        """Who holds this token, with the token's own role; None where it ran out or was revoked."""
        row = self._session.get(TokenRow, _digest(secret))
        if row is None or row.revoked_at is not None or row.expires_at <= now:
            return None
        account = self._session.get(AccountRow, row.account)
        if account is None or not account.active:
            return None
        return Session(account=_account(account), role=row.role, csrf="")

    def tokens(self, name: str, *, now: datetime) -> list[Token]:
        """An account's tokens that still open something, the newest first."""
        wanted = select(TokenRow).where(
            TokenRow.account == name, TokenRow.revoked_at.is_(None), TokenRow.expires_at > now
        )
        return [
            Token(number=row.digest[:16], label=row.label, role=row.role, expires_at=row.expires_at)
            for row in self._session.scalars(wanted.order_by(TokenRow.created_at.desc()))
        ]

    def revoke_token(self, name: str, number: str, *, now: datetime) -> bool:
        """Revoke one token of an account by its number; False where it has no such token."""
        wanted = select(TokenRow).where(TokenRow.account == name, TokenRow.revoked_at.is_(None))
        for row in self._session.scalars(wanted):
            if row.digest[:16] == number:
                row.revoked_at = now
                return True
        return False

    def revoke_tokens(self, name: str, *, now: datetime) -> int:
        """Revoke all tokens of an account; how many there were."""
        rows = self._session.scalars(select(TokenRow).where(TokenRow.account == name, TokenRow.revoked_at.is_(None)))
        found = list(rows)
        for row in found:
            row.revoked_at = now
        return len(found)

    def _row(self, name: str) -> AccountRow:
        row = self._session.get(AccountRow, name)
        if row is None:
            raise SetupError(f"there is no account {name!r}")
        return row


def _hashed(password: str) -> str:
    if len(password) < SHORTEST_PASSWORD:
        raise SetupError(f"the password is too short: it needs {SHORTEST_PASSWORD} characters")
    return _hasher.hash(password)


def _matches(hashed: str, password: str) -> bool:
    try:
        return _hasher.verify(hashed, password)
    except (VerifyMismatchError, InvalidHashError):
        return False


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _account(row: AccountRow) -> Account:
    return Account(
        name=row.name,
        display_name=row.display_name or row.name,
        role=row.role,
        active=row.active,
        two_factor=bool(row.totp_secret),
        locked_until=row.locked_until,
    )
