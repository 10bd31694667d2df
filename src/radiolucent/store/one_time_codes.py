"""Codes from an authenticator app: which time step a code belongs to (RFC 6238, SHA-1, 30 s, 6 digits)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from datetime import datetime
from typing import Final
from urllib.parse import quote

STEP_S: Final = 30
_DRIFT: Final = 1  # steps to each side: RFC 6238 5.2 allows for one of delay


def new_secret() -> str:
    """A secret of 160 bits, base 32 (RFC 4226 4, R6)."""
    return base64.b32encode(secrets.token_bytes(20)).decode()


def address(secret: str, *, account: str, site: str) -> str:
    """What an authenticator app reads from a QR code."""
    return f"otpauth://totp/{quote(site)}:{quote(account)}?secret={secret}&issuer={quote(site)}"


def code_at(secret: str, step: int) -> str:
    """The code of a time step.

    >>> code_at("GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ", 59 // 30)
    '287082'
    """
    key = base64.b32decode(secret)
    digest = hmac.new(key, step.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**6:06d}"


def matching_step(secret: str, code: str, now: datetime) -> int | None:
    """The time step whose code this is, of the present one and its neighbours; None where it is none of them."""
    present = int(now.timestamp()) // STEP_S
    try:
        for step in range(present - _DRIFT, present + _DRIFT + 1):
            if hmac.compare_digest(code_at(secret, step).encode(), code.strip().encode()):
                return step
    except binascii.Error:
        return None
    return None
