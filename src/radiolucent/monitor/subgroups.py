"""Groups of patients and scanners in which the same figures are made, from what the headers say."""

from __future__ import annotations

import re
from datetime import date
from typing import Final

UNKNOWN: Final = "not known"
BANDS: Final = ((18, "0 to 17 years"), (40, "18 to 39 years"), (65, "40 to 64 years"), (200, "65 years and more"))
"""Upper end (years, not included) and name."""
_SEXES: Final = {"F": "female", "M": "male", "O": "other"}
_AGE: Final = re.compile(r"(\d{3})([DWMY])")
_PER_YEAR: Final = {"D": 365.25, "W": 52.18, "M": 12.0, "Y": 1.0}


def sex(value: str) -> str:
    """Patient's Sex in a word.

    >>> sex("F"), sex("")
    ('female', 'not known')

    Source
    ------
    DICOM PS3.3 C.7.1.1, Patient's Sex (0010,0040).
    """
    return _SEXES.get(value.strip().upper(), UNKNOWN)


def age_band(age: str, *, born: str = "", studied: str = "") -> str:
    """The band of an age, from Patient's Age, else from birth and study date.

    >>> age_band("045Y"), age_band("006M"), age_band("", born="19500101", studied="20260101"), age_band("x")
    ('40 to 64 years', '0 to 17 years', '65 years and more', 'not known')

    Source
    ------
    DICOM PS3.5 6.2, value representation AS.
    """
    years = _years(age.strip().upper(), born.strip(), studied.strip())
    return next((name for end, name in BANDS if years is not None and 0 <= years < end), UNKNOWN)


def scanner(manufacturer: str, model: str) -> str:
    """Maker and model in one name.

    >>> scanner("ACME ", "One"), scanner("", "")
    ('ACME One', 'not known')
    """
    return " ".join(f"{manufacturer} {model}".split()) or UNKNOWN


def _years(age: str, born: str, studied: str) -> float | None:
    found = _AGE.fullmatch(age)
    if found:
        return int(found[1]) / _PER_YEAR[found[2]]
    try:
        return (date.fromisoformat(studied) - date.fromisoformat(born)).days / 365.25
    except ValueError:
        return None
