"""Earlier studies of the patient: which ones a new study can be compared with, and bringing the latest of them here."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from radiolucent.imaging.kinds import body_part_name, body_parts_meet, modalities_like
from radiolucent.ingest.pacs import Fetched, Pacs, StudyMatch, StudyQuery
from radiolucent.ingest.receiving import Receiver, Way

LOG: Final = logging.getLogger(__name__)
_LOOKED_INTO: Final = 10
"""Of how many of the latest studies the series are asked for."""


@dataclass(frozen=True, kw_only=True)
class PriorTerms:
    """Which earlier studies are wanted.

    Parameters
    ----------
    most : studies for one new study.
    oldest_days : before the new study.
    """

    most: int = 2
    oldest_days: int = 5 * 365


def comparable(current: StudyMatch, earlier: StudyMatch) -> bool:
    """Whether an earlier study may show the same as the current one: patient, modality, body part, and not later.

    A body part that either doesn't say excludes nothing; one that both say must agree (a part within another does).
    """
    if not current.patient_id or current.patient_id != earlier.patient_id:
        return False
    if current.issuer_of_patient_id and earlier.issuer_of_patient_id not in ("", current.issuer_of_patient_id):
        return False
    if earlier.study_instance_uid == current.study_instance_uid or not earlier.study_date or not current.study_date:
        return False
    if (earlier.study_date, earlier.study_time) >= (current.study_date, current.study_time or "9"):
        return False
    return _modalities_meet(current, earlier) and body_parts_meet(current.body_parts, earlier.body_parts)


def choose(current: StudyMatch, earlier: Sequence[StudyMatch], terms: PriorTerms) -> tuple[StudyMatch, ...]:
    """The comparable ones that `terms` ask for: those that say the same body part first, then the latest."""
    oldest = _days_before(current.study_date, terms.oldest_days)
    fitting = [one for one in earlier if comparable(current, one) and one.study_date >= oldest]
    said = {body_part_name(part) for part in current.body_parts} - {""}

    def rank(one: StudyMatch) -> tuple[bool, str, str, str]:
        same = bool(said & {body_part_name(part) for part in one.body_parts})
        return same, one.study_date, one.study_time, one.study_instance_uid

    return tuple(sorted(fitting, key=rank, reverse=True)[: terms.most])


def find_priors(pacs: Pacs, current: StudyMatch, terms: PriorTerms) -> tuple[StudyMatch, ...]:
    """Ask a PACS for the studies of the patient that the current one can be compared with.

    Nothing is asked where the current study has no patient ID, date or modality: no patient is guessed.

    Raises
    ------
    QueryFailed
        If the PACS doesn't answer or refuses.
    """
    if not (current.patient_id and current.study_date and current.modalities):
        return ()
    if any(sign in current.patient_id for sign in "*?\\"):
        LOG.warning("priors of %s aren't asked for: its patient ID holds a wildcard", current.study_instance_uid)
        return ()
    query = StudyQuery(
        patient_id=current.patient_id,
        date_from=_days_before(current.study_date, terms.oldest_days),
        date_to=current.study_date,
    )
    found = [one for one in pacs.find_studies(query) if comparable(current, one)]
    found.sort(key=lambda one: (one.study_date, one.study_time), reverse=True)
    return choose(current, [_with_body_parts(pacs, one) for one in found[:_LOOKED_INTO]], terms)


def fetch_priors(
    pacs: Pacs,
    current: StudyMatch,
    receiver: Receiver,
    *,
    is_here: Callable[[str], bool],
    terms: PriorTerms | None = None,
) -> tuple[tuple[StudyMatch, Fetched | None], ...]:
    """Find the priors of a study and bring those that aren't here.

    Parameters
    ----------
    is_here : whether a study, by its UID, is held already; such a one is listed with None.

    Raises
    ------
    QueryFailed
        If the PACS doesn't answer or refuses.
    """
    priors = find_priors(pacs, current, terms or PriorTerms())
    return tuple(
        (
            one,
            None if is_here(one.study_instance_uid) else pacs.fetch(one.study_instance_uid, receiver, way=Way.PRIOR),
        )
        for one in priors
    )


def _with_body_parts(pacs: Pacs, study: StudyMatch) -> StudyMatch:
    series = pacs.find_series(study.study_instance_uid)
    parts = tuple(dict.fromkeys(one.body_part for one in series if one.body_part))
    modalities = study.modalities or tuple(dict.fromkeys(one.modality for one in series if one.modality))
    return StudyMatch(
        study_instance_uid=study.study_instance_uid,
        patient_id=study.patient_id,
        issuer_of_patient_id=study.issuer_of_patient_id,
        study_date=study.study_date,
        study_time=study.study_time,
        accession_number=study.accession_number,
        description=study.description,
        modalities=modalities,
        body_parts=parts,
        instances=study.instances,
    )


def _modalities_meet(current: StudyMatch, earlier: StudyMatch) -> bool:
    """Whether they share a kind; a PACS that doesn't say the earlier one's is asked for its series."""
    return not earlier.modalities or bool(modalities_like(current.modalities) & set(earlier.modalities))


def _days_before(date: str, days: int) -> str:
    """``YYYYMMDD``, or empty where `date` is no day of the calendar: then nothing is too old."""
    try:
        return f"{datetime.strptime(date, '%Y%m%d') - timedelta(days=days):%Y%m%d}"
    except (ValueError, OverflowError):
        return ""
