"""What an ORU message says in which OBX, in which order and under which codes: a table that a site may replace."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, model_validator

from radiolucent.findings.tables import TableModel, read_table
from radiolucent.findings.taxonomy import FINDINGS, Code
from radiolucent.results.hl7_text import CHARACTER_SETS

ValueType = Literal["CWE", "FT", "HD", "NM", "RP", "ST", "TX"]
Section = Literal["study", "positive", "negative", "unread", "end"]

_TEXT: Final = ("TX", "FT", "ST")
_CODED: Final = ("CWE", "ST", "TX")
_UID: Final = ("HD", "ST")
_LINK: Final = ("RP", "ST", "TX")
_STUDY: Final[Mapping[str, tuple[str, ...]]] = {
    "disclaimer": _TEXT,
    "state": _CODED,
    "withdrawal": _TEXT,
    "urgency": _CODED,
    "findings-text": _TEXT,
    "impression-text": _TEXT,
    "not-read-text": _TEXT,
    "scope-text": _TEXT,
    "study-uid": _UID,
    "viewer-link": _LINK,
}
_EITHER: Final[Mapping[str, tuple[str, ...]]] = {
    "probability": ("NM",),
    "score": ("NM",),
    "interval": _TEXT,
    "operating-point": ("NM",),
    "change": _CODED,
    "basis": _CODED,
    "site": _CODED,
    "engine": _TEXT,
    "engine-digest": ("ST", "TX"),
    "series": _TEXT,
    "study-uid": _UID,
    "series-uid": _UID,
    "tracking-uid": _UID,
    "viewer-link": _LINK,
}
VOCABULARY: Final[Mapping[Section, Mapping[str, tuple[str, ...]]]] = MappingProxyType(
    {
        "study": _STUDY,
        "positive": {
            **_EITHER,
            "finding": _CODED,
            "urgency": _CODED,
            "urgency-reasons": _TEXT,
            "confidence": _CODED,
            "confidence-reasons": _TEXT,
            "laterality": _CODED,
            "heatmap": _CODED,
            "place": _TEXT,
        },
        "negative": {**_EITHER, "result": _CODED},
        "unread": {
            "reasons": _TEXT,
            "code": ("ST", "TX"),
            "series": _TEXT,
            "modality": ("ST", "TX"),
            "series-uid": _UID,
        },
        "end": _STUDY,
    }
)
"""What each section may say, and the value types (OBX-2) that it can be said in."""

_REQUIRED: Final[Mapping[Section, tuple[str, ...]]] = {
    "positive": ("finding", "probability", "score"),
    "negative": ("result",),
    "unread": ("reasons",),
}
_OWN_CODE: Final = {("positive", "finding"), ("negative", "result")}


class MappingCode(TableModel):
    """A code as it stands in the table."""

    value: str = Field(min_length=1, max_length=16)
    scheme: str = Field(min_length=1, max_length=16)
    meaning: str = Field(min_length=1, max_length=64)

    @property
    def code(self) -> Code:
        """The code itself."""
        return Code(value=self.value, scheme=self.scheme, meaning=self.meaning)


class Row(TableModel):
    """One OBX.

    Parameters
    ----------
    say : what it tells (`VOCABULARY`). It is left out where there is nothing to tell.
    type : OBX-2. unit : OBX-6, UCUM, of numbers.
    code : OBX-3. Of ``finding`` and ``result`` alone it may be the word ``finding``: the finding's own code.
    """

    say: str
    type: ValueType
    code: MappingCode | Literal["finding"]
    unit: str = Field(default="", max_length=20)


class StatusCodes(TableModel):
    """OBR-25 (table 0123) and OBX-11 (table 0085). Final is no choice: no person has read the result."""

    order: Literal["P", "R", "C", "X"]
    result: Literal["P", "R", "C", "W", "D", "X"]


class Statuses(TableModel):
    """The codes of each kind of message."""

    preliminary: StatusCodes
    corrected: StatusCodes
    withdrawn: StatusCodes


class MessageTable(TableModel):
    """What stands in the message header and the order."""

    sending_application: str = Field(min_length=1, max_length=180)
    sending_facility: str = Field(default="", max_length=180)
    receiving_application: str = Field(default="", max_length=180)
    receiving_facility: str = Field(default="", max_length=180)
    processing_id: Literal["P", "T", "D"]
    character_set: str
    filler: Literal["own", "accession"]
    diagnostic_service: str = Field(default="", max_length=10)

    @model_validator(mode="after")
    def _known_character_set(self) -> MessageTable:
        if self.character_set not in CHARACTER_SETS:
            raise ValueError(f"character_set must be one of {', '.join(CHARACTER_SETS)}")
        return self


class Flags(TableModel):
    """OBX-8 of the coded finding, by urgency; a finding below its threshold never gets one, least of all "normal"."""

    critical: Literal["", "A", "AA"]
    positive: Literal["", "A"]


def _known_finding(name: str) -> str:
    if name not in FINDINGS:
        raise ValueError(f"{name!r} is no finding of the taxonomy")
    return name


class OruMapping(TableModel):
    """A whole table, valid or refused.

    Parameters
    ----------
    priority : TQ1-9 (table 0485) by urgency level, ``"1"`` to ``"5"``.
    schemes : DICOM coding scheme designator → the name that the receiver knows (table 0396).
    codes : a site's own code of a finding, by its name; the standard code then becomes the alternative.
    """

    version: str
    message: MessageTable
    status: Statuses
    priority: dict[Literal["1", "2", "3", "4", "5"], Literal["S", "A", "R", "P", "C", "T"]]
    flags: Flags
    schemes: dict[str, str] = Field(default_factory=dict)
    codes: dict[Annotated[str, AfterValidator(_known_finding)], MappingCode] = Field(default_factory=dict)
    study: tuple[Row, ...]
    positive: tuple[Row, ...]
    negative: tuple[Row, ...]
    unread: tuple[Row, ...]
    end: tuple[Row, ...] = ()

    @model_validator(mode="after")
    def _rows_are_possible(self) -> OruMapping:
        for section, vocabulary in VOCABULARY.items():
            rows = self.rows(section)
            for row in rows:
                if row.say not in vocabulary:
                    raise ValueError(f"{section}: nothing is called {row.say!r}; use one of {', '.join(vocabulary)}")
                if row.type not in vocabulary[row.say]:
                    raise ValueError(f"{section}.{row.say}: {row.type} can't hold it; use {vocabulary[row.say]}")
                if row.code == "finding" and (section, row.say) not in _OWN_CODE:
                    raise ValueError(f"{section}.{row.say}: only finding and result may stand under a finding's code")
            says = [row.say for row in rows]
            if missing := [say for say in _REQUIRED.get(section, ()) if say not in says]:
                raise ValueError(f"{section}: {missing[0]!r} must be said")
        _refuse_twins(self.study + self.end, "study and end")
        for section in ("positive", "negative", "unread"):
            _refuse_twins(self.rows(section), section)
        if missing := [row for row in ("disclaimer", "state") if row not in {one.say for one in self.study}]:
            raise ValueError(f"study: {missing[0]!r} must be said")
        if set(self.priority) != set("12345"):
            raise ValueError("priority must name the levels 1 to 5")
        return self

    def rows(self, section: Section) -> tuple[Row, ...]:
        """The rows of one section, in order."""
        rows: tuple[Row, ...] = getattr(self, section)
        return rows

    def finding_codes(self, name: str) -> tuple[Code, Code | None]:
        """Code and alternative code of a finding; a site's own code comes first, RadLex is the usual alternative."""
        kind = FINDINGS[name]
        own = self.codes.get(name)
        if own is None:
            return kind.code, kind.radlex
        return own.code, kind.code


def _refuse_twins(rows: tuple[Row, ...], where: str) -> None:
    """Within one group OBX-3 alone tells the observations apart (OBX-3 and OBX-4 together name one, 7.4.2.4)."""
    codes = [row.code if isinstance(row.code, str) else (row.code.value, row.code.scheme) for row in rows]
    if twins := [code for code in codes if codes.count(code) > 1]:
        raise ValueError(f"{where}: two rows have the code {twins[0]}; a receiver would keep only one")


@cache
def default_mapping() -> OruMapping:
    """The packaged table, ``results/mappings/oru.toml``."""
    with resources.as_file(resources.files("radiolucent.results").joinpath("mappings", "oru.toml")) as path:
        return read_table("oru", OruMapping, path=path)


def site_mapping(path: Path) -> OruMapping:
    """A site's own table.

    Raises
    ------
    InvalidTable
        If a row says what doesn't exist, in a type that can't hold it, under a code that another row has, or if the
        disclaimer, the state, a finding or its probability and score are left out.
    """
    return read_table("oru", OruMapping, path=path)
