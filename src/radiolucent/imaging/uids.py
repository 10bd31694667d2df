"""UIDs that follow from their inputs, so that a retry makes the same object and not a second one."""

import hashlib


def derived_uid(*parts: str) -> str:
    """A UID under ``2.25`` (PS3.5 B.2) made from the SHA-256 of `parts`; the same parts give the same UID.

    >>> derived_uid("study", "1.2.3") == derived_uid("study", "1.2.3")
    True
    >>> len(derived_uid("a")) <= 64
    True
    """
    digest = hashlib.sha256("\x1f".join(parts).encode()).digest()
    value = bytearray(digest[:16])
    value[6] = (value[6] & 0x0F) | 0x50  # version 5 and variant bits, so that it is a valid UUID (ISO/IEC 9834-8)
    value[8] = (value[8] & 0x3F) | 0x80
    return f"2.25.{int.from_bytes(value, 'big')}"
