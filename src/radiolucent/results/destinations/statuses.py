"""What a peer's answer means for the next attempt: tables of DIMSE, HTTP and SMTP status, each with its source."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal

Meaning = Literal["delivered", "retriable", "final"]

_STORE: Final[Mapping[int, tuple[Meaning, str]]] = MappingProxyType(
    {  # PS3.4 table B.2-1, PS3.7 annex C
        0x0000: ("delivered", "success"),
        0xB000: ("delivered", "coercion of data elements"),
        0xB006: ("delivered", "elements discarded"),
        0xB007: ("delivered", "data set does not match SOP class"),
        0x0105: ("final", "no such attribute"),
        0x0106: ("final", "invalid attribute value"),
        0x0110: ("retriable", "processing failure"),
        0x0111: ("delivered", "duplicate SOP instance: it was there already"),
        0x0117: ("final", "invalid object instance"),
        0x0118: ("final", "no such SOP class"),
        0x0119: ("final", "class-instance conflict"),
        0x0120: ("final", "missing attribute"),
        0x0121: ("final", "missing attribute value"),
        0x0122: ("final", "SOP class not supported"),
        0x0124: ("final", "not authorized"),
        0x0131: ("final", "SOP class in UID is not supported"),
        0x0210: ("retriable", "duplicate invocation"),
        0x0211: ("final", "unrecognized operation"),
        0x0212: ("final", "mistyped argument"),
        0x0213: ("retriable", "resource limitation"),
    }
)
_STORE_FAMILIES: Final[tuple[tuple[int, int, Meaning, str], ...]] = (
    (0xA700, 0xA7FF, "retriable", "out of resources"),
    (0xA800, 0xA8FF, "final", "SOP class not supported"),
    (0xA900, 0xA9FF, "final", "data set does not match SOP class"),
    (0xB000, 0xBFFF, "delivered", "a warning"),
    (0xC000, 0xCFFF, "final", "the data set can't be understood"),
)
_COMMITMENT: Final[Mapping[int, tuple[Meaning, str]]] = MappingProxyType(
    {  # PS3.3 C.14.1.1, Failure Reason
        0x0110: ("retriable", "processing failure"),
        0x0112: ("retriable", "no such object instance: it is sent again"),
        0x0213: ("retriable", "resource limitation"),
        0x0122: ("final", "referenced SOP class not supported"),
        0x0119: ("final", "class-instance conflict"),
        0x0131: ("retriable", "duplicate transaction UID"),
    }
)
_HTTP_RETRIABLE: Final = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 507})
"""RFC 9110 15.5.9, 15.5.10, 15.6; RFC 8470 5.2; RFC 6585 4; RFC 4918 11.5. All other 4xx and 5xx are final."""


def store_status(status: int) -> tuple[Meaning, str]:
    """What the status of a C-STORE response, or a Failure Reason of STOW-RS, means.

    >>> store_status(0xA702), store_status(0xC123)
    (('retriable', 'out of resources'), ('final', "the data set can't be understood"))
    """
    if status in _STORE:
        return _STORE[status]
    for first, last, meaning, words in _STORE_FAMILIES:
        if first <= status <= last:
            return meaning, words
    return "retriable", "a status that no standard lists"


def commitment_reason(reason: int) -> tuple[Meaning, str]:
    """What a Failure Reason in a storage commitment report means."""
    return _COMMITMENT.get(reason, ("retriable", "a reason that no standard lists"))


def http_meaning(status: int) -> Meaning:
    """What the status of an HTTP response means; redirections are final, because they aren't followed.

    >>> [http_meaning(status) for status in (200, 301, 401, 429, 501, 503)]
    ['delivered', 'final', 'final', 'retriable', 'final', 'retriable']
    """
    if 200 <= status < 300:
        return "delivered"
    return "retriable" if status in _HTTP_RETRIABLE else "final"


def smtp_meaning(code: int) -> Meaning:
    """What an SMTP reply code means (RFC 5321 4.2.1): 4yz is transient, 5yz permanent.

    >>> [smtp_meaning(code) for code in (250, 421, 550, 0)]
    ['delivered', 'retriable', 'final', 'retriable']
    """
    if 200 <= code < 400:
        return "delivered"
    return "final" if 500 <= code < 600 else "retriable"
