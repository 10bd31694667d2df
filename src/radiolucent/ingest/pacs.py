"""What a PACS is asked and what it answers, whichever protocol it speaks.

`pacs_dimse.DimsePacs` asks by C-FIND and fetches by C-GET or C-MOVE; `pacs_web.WebPacs` by QIDO-RS and WADO-RS.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, fields
from typing import Final, Protocol

from pydicom.dataset import Dataset

from radiolucent.imaging.header import text, texts
from radiolucent.ingest.receiving import Outcome, Receiver, Way, is_uid

_DATE: Final = re.compile(r"\d{8}")
_WILD: Final = re.compile(r"[*?\\]")

STUDY_KEYS: Final = (
    "StudyInstanceUID",
    "PatientID",
    "IssuerOfPatientID",
    "StudyDate",
    "StudyTime",
    "AccessionNumber",
    "StudyDescription",
    "ModalitiesInStudy",
    "NumberOfStudyRelatedInstances",
)
"""What is asked of each study (PS3.4 table C.6-5)."""
SERIES_KEYS: Final = (
    "SeriesInstanceUID",
    "Modality",
    "BodyPartExamined",
    "SeriesDescription",
    "NumberOfSeriesRelatedInstances",
)


@dataclass(frozen=True, kw_only=True)
class StudyQuery:
    """Which studies are asked for; empty fields aren't asked.

    Parameters
    ----------
    date_from, date_to : Study Date, ``YYYYMMDD``, both included.
    modality : one of the study's series has it.

    Raises
    ------
    ValueError
        If nothing narrows the query, a date has another form, or a value holds wildcards or separators: an identifier
        from one study must not become a search for all.
    """

    patient_id: str = ""
    study_instance_uid: str = ""
    accession_number: str = ""
    date_from: str = ""
    date_to: str = ""
    modality: str = ""

    def __post_init__(self) -> None:
        if not any(getattr(self, field.name) for field in fields(self)):
            raise ValueError("a query must be narrowed by something")
        for name in ("date_from", "date_to"):
            if getattr(self, name) and not _DATE.fullmatch(getattr(self, name)):
                raise ValueError(f"{name} has no valid form")
        for name in ("patient_id", "study_instance_uid", "accession_number", "modality"):
            if _WILD.search(getattr(self, name)):
                raise ValueError(f"{name} holds a wildcard or a separator")

    @property
    def dates(self) -> str:
        """Study Date as a matching range (PS3.4 C.2.2.2.5), or empty."""
        if self.date_from == self.date_to:
            return self.date_from
        return f"{self.date_from}-{self.date_to}"

    def __repr__(self) -> str:  # a log line must not name a patient
        asked = [field.name for field in fields(self) if getattr(self, field.name)]
        return f"StudyQuery(by: {', '.join(asked)})"


@dataclass(frozen=True, kw_only=True)
class StudyMatch:
    """One study that a PACS holds.

    Parameters
    ----------
    instances : Number of Study Related Instances, None where the PACS doesn't say.
    body_parts : from its series; empty where they weren't asked for or don't say.
    """

    study_instance_uid: str
    patient_id: str = ""
    issuer_of_patient_id: str = ""
    study_date: str = ""
    study_time: str = ""
    accession_number: str = ""
    description: str = ""
    modalities: tuple[str, ...] = ()
    body_parts: tuple[str, ...] = ()
    instances: int | None = None

    def __repr__(self) -> str:  # a log line must not name a patient
        return f"StudyMatch({self.study_instance_uid})"


@dataclass(frozen=True, kw_only=True)
class SeriesMatch:
    """One series of a study that a PACS holds."""

    series_instance_uid: str
    modality: str = ""
    body_part: str = ""
    description: str = ""
    instances: int | None = None


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """What a retrieval brought.

    Parameters
    ----------
    outcomes : of the instances that came through this association; empty for C-MOVE, where they come to the listener.
    failed : instances that the PACS says it couldn't send.
    """

    outcomes: Counter[Outcome]
    completed: int
    failed: int = 0


class Pacs(Protocol):
    """A PACS that can be asked. Every method raises `QueryFailed` where it can't or won't answer."""

    @property
    def name(self) -> str:
        """For logs and rows."""

    def find_studies(self, query: StudyQuery) -> tuple[StudyMatch, ...]:
        """Studies that match."""

    def find_series(self, study_instance_uid: str) -> tuple[SeriesMatch, ...]:
        """Series of one study."""

    def fetch(self, study_instance_uid: str, receiver: Receiver, *, way: Way) -> Fetched:
        """Bring all instances of one study here."""


def study_match(answer: Dataset) -> StudyMatch | None:
    """One answer to a query; None where it holds no valid Study Instance UID."""
    uid = text(answer, "StudyInstanceUID")
    if not is_uid(uid):
        return None
    date = text(answer, "StudyDate")
    return StudyMatch(
        study_instance_uid=uid,
        patient_id=text(answer, "PatientID"),
        issuer_of_patient_id=text(answer, "IssuerOfPatientID"),
        study_date=date if _DATE.fullmatch(date) else "",
        study_time=text(answer, "StudyTime"),
        accession_number=text(answer, "AccessionNumber"),
        description=text(answer, "StudyDescription"),
        modalities=texts(answer, "ModalitiesInStudy"),
        instances=_count(answer, "NumberOfStudyRelatedInstances"),
    )


def series_match(answer: Dataset) -> SeriesMatch | None:
    """One answer to a query on series; None where it holds no valid Series Instance UID."""
    uid = text(answer, "SeriesInstanceUID")
    if not is_uid(uid):
        return None
    return SeriesMatch(
        series_instance_uid=uid,
        modality=text(answer, "Modality"),
        body_part=text(answer, "BodyPartExamined"),
        description=text(answer, "SeriesDescription"),
        instances=_count(answer, "NumberOfSeriesRelatedInstances"),
    )


def fits(match: StudyMatch, query: StudyQuery) -> bool:
    """Whether an answer is what was asked for: not every PACS matches every key, and a wrong patient must not come."""
    if query.patient_id and match.patient_id != query.patient_id:
        return False
    if query.study_instance_uid and match.study_instance_uid != query.study_instance_uid:
        return False
    if query.modality and match.modalities and query.modality not in match.modalities:
        return False
    if (query.date_from or query.date_to) and not match.study_date:
        return False
    return (query.date_from or "0") <= match.study_date <= (query.date_to or "9") if match.study_date else True


def _count(answer: Dataset, keyword: str) -> int | None:
    digits = text(answer, keyword)
    return int(digits) if digits.isdecimal() and len(digits) < 10 else None
