r"""How HL7 v2 writes text: separators, escapes, character sets, names and moments (HL7 v2.5.1 chapters 2 and 2A)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from pydicom.valuerep import PersonName

from radiolucent.errors import EncodingError
from radiolucent.findings.taxonomy import Code

SEPARATORS: Final = "|^~\\&"
CHARACTER_SETS: Final[Mapping[str, str]] = MappingProxyType(
    {  # HL7 table 0211 → codec
        "ASCII": "ascii",
        "8859/1": "iso-8859-1",
        "8859/2": "iso-8859-2",
        "8859/5": "iso-8859-5",
        "8859/7": "iso-8859-7",
        "8859/9": "iso-8859-9",
        "8859/15": "iso-8859-15",
        "UNICODE UTF-8": "utf-8",
    }
)
_ESCAPES: Final = {
    "|": "\\F\\",
    "^": "\\S\\",
    "&": "\\T\\",
    "~": "\\R\\",
    "\\": "\\E\\",
    **{chr(value): f"\\X{value:02X}\\" for value in [*range(32), 127]},
}
_TABLE: Final = str.maketrans(_ESCAPES)
_FORMATTED: Final = str.maketrans({**_ESCAPES, "\n": "\\.br\\"})
_REPRESENTATIONS: Final = ("A", "I", "P")  # DICOM PN component groups in HL7 table 4000


def escaped(text: str) -> str:
    r"""Text with every separator and control character written as an escape (2.7).

    >>> escaped("A|B^C\n")
    'A\\F\\B\\S\\C\\X0A\\'
    """
    return text.translate(_TABLE)


def formatted(text: str) -> str:
    r"""The same for FT fields, with ``\.br\`` for each line break (2.7.6)."""
    return text.replace("\r\n", "\n").replace("\r", "\n").translate(_FORMATTED)


def components(*parts: str) -> str:
    """Escaped components of one field; empty ones at the end are left out."""
    return "^".join(escaped(part) for part in parts).rstrip("^")


def coded(code: Code, *, other: Code | None = None, original: str = "", schemes: Mapping[str, str]) -> str:
    """CWE (or, without `original`, CE): code, alternative code, and the words of the reader's language."""

    def triple(one: Code | None) -> tuple[str, str, str]:
        return ("", "", "") if one is None else (one.value, one.meaning, schemes.get(one.scheme, one.scheme))

    return components(*triple(code), *triple(other), "", "", original)


def entity(identifier: str, namespace: str = "") -> str:
    """EI or the leading part of CX: an identifier and who assigned it; empty where there is none."""
    return components(identifier, namespace) if identifier else ""


def moment(value: datetime) -> str:
    """TS to the millisecond, with the offset from UTC where it is known (2A.77).

    >>> moment(datetime(2026, 3, 4, 5, 6, 7, 890000))
    '20260304050607.890'
    """
    return f"{value:%Y%m%d%H%M%S}.{value.microsecond // 1000:03d}{value:%z}"[:23]


def person_names(name: str) -> str:
    """XPN: each component group of a DICOM name as one repetition; ``U`` (unspecified) for a name that isn't known.

    DICOM orders family, given, middle, prefix, suffix; HL7 family, given, middle, suffix, prefix (2A.88).
    """
    groups = [group.split("^") for group in str(PersonName(name)).split("=")]
    written = []
    for group, representation in zip(groups, _REPRESENTATIONS, strict=False):
        parts = [part.strip() for part in (*group, *[""] * 5)][:5]
        if any(parts):
            family, given, middle, prefix, suffix = parts
            kind = representation if len(groups) > 1 else ""
            written.append(components(family, given, middle, suffix, prefix, "", "L", kind))
    return "~".join(written) or components("", "", "", "", "", "", "U")


def staff_name(name: str) -> str:
    """XCN of a person of whom only the name is known; empty where it isn't."""
    group = str(PersonName(name)).split("=")[0].split("^")
    family, given, middle, prefix, suffix = [part.strip() for part in (*group, *[""] * 5)][:5]
    return components("", family, given, middle, suffix, prefix)


def segment(name: str, fields: Mapping[int, str]) -> str:
    """One segment from encoded fields by number; everything between them is empty."""
    last = max((number for number, content in fields.items() if content), default=0)
    return "|".join([name, *(fields.get(number, "") for number in range(1, last + 1))])


def message_bytes(segments: list[str], character_set: str) -> bytes:
    """The message in its character set, each segment ended by a carriage return.

    Raises
    ------
    EncodingError
        If a character doesn't exist in the character set: nothing is replaced unseen.
    """
    try:
        return ("\r".join(segments) + "\r").encode(CHARACTER_SETS[character_set])
    except UnicodeEncodeError as error:
        raise EncodingError(
            f"the message holds a character (U+{ord(error.object[error.start]):04X}) that {character_set} lacks: "
            "set the mapping's character_set to 'UNICODE UTF-8'"
        ) from None
