"""Studies as rows: the worklist's filters, what one study holds, and which ones wait to be complete."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, or_, select

from radiolucent.errors import NoSuchStudy
from radiolucent.imaging.kinds import body_parts_meet, modalities_like
from radiolucent.store.records import (
    DeliveryRecord,
    InstanceRecord,
    ReadingRecord,
    RevisionRecord,
    SeriesRecord,
    StudyRecord,
    record,
)
from radiolucent.store.states import STUDY_STATES, names
from radiolucent.store.study_tables import (
    AssociationRow,
    DeliveryRow,
    InstanceRow,
    ReadingRow,
    RevisionRow,
    SeriesRow,
    StudyRow,
)
from radiolucent.store.unit_of_work import Work
from radiolucent.store.way_tables import FetchRow

_LOOKED_INTO = 20
"""How many of the patient's latest studies are looked at for one that can be compared."""


@dataclass(frozen=True, kw_only=True)
class Filters:
    """What a list of studies is narrowed to; empty means all.

    Parameters
    ----------
    text : part of patient ID, name, accession number, description or Study Instance UID.
    urgency : the latest reading's level is this or more urgent (1 is most urgent).
    """

    states: tuple[str, ...] = ()
    modality: str = ""
    text: str = ""
    date_from: str = ""
    date_to: str = ""
    received_since: datetime | None = None
    urgency: int | None = None
    undelivered: bool = False
    limit: int = 200
    offset: int = 0


@dataclass(frozen=True, kw_only=True)
class StudyLine:
    """One study as a list shows it."""

    study: StudyRecord
    instances: int
    reading: ReadingRecord | None
    undelivered: int


@dataclass(frozen=True, kw_only=True)
class StudyView:
    """Everything that is known of one study."""

    study: StudyRecord
    series: tuple[SeriesRecord, ...]
    instances: tuple[InstanceRecord, ...]
    revisions: tuple[RevisionRecord, ...]
    readings: tuple[ReadingRecord, ...]
    deliveries: tuple[DeliveryRecord, ...]


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What is known of a study that may be complete: pure input of the rules in `ingest.assembly`."""

    study: StudyRecord
    series: tuple[SeriesRecord, ...]
    instances_by_series: dict[str, int]
    open_associations: int
    association_closed_at: datetime | None


class Studies:
    """The studies of one transaction."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def find(self, study_instance_uid: str) -> StudyRecord | None:
        """One study, or None."""
        row = self._session.get(StudyRow, study_instance_uid)
        return record(StudyRecord, row) if row else None

    def get(self, study_instance_uid: str) -> StudyRecord:
        """One study.

        Raises
        ------
        NoSuchStudy
            If it isn't known here.
        """
        found = self.find(study_instance_uid)
        if found is None:
            raise NoSuchStudy(f"no study {study_instance_uid} was received here")
        return found

    def show(self, study_instance_uid: str) -> StudyView:
        """Everything that is known of one study. Raises `NoSuchStudy`."""
        study, session = self.get(study_instance_uid), self._session

        def rows(table: Any, order: Any) -> Iterator[Any]:
            return iter(session.scalars(select(table).filter_by(study_instance_uid=study_instance_uid).order_by(order)))

        return StudyView(
            study=study,
            series=tuple(record(SeriesRecord, row) for row in rows(SeriesRow, SeriesRow.series_instance_uid)),
            instances=tuple(record(InstanceRecord, row) for row in rows(InstanceRow, InstanceRow.id)),
            revisions=tuple(record(RevisionRecord, row) for row in rows(RevisionRow, RevisionRow.number)),
            readings=tuple(record(ReadingRecord, row) for row in rows(ReadingRow, ReadingRow.revision)),
            deliveries=tuple(record(DeliveryRecord, row) for row in rows(DeliveryRow, DeliveryRow.id)),
        )

    def list(self, filters: Filters | None = None) -> tuple[StudyLine, ...]:
        """Studies that pass the filters, the last received first."""
        filters = filters or Filters()
        used = (
            select(func.count())
            .select_from(InstanceRow)
            .where(InstanceRow.study_instance_uid == StudyRow.study_instance_uid)
            .scalar_subquery()
        )
        owed = (
            select(func.count())
            .select_from(DeliveryRow)
            .where(
                DeliveryRow.study_instance_uid == StudyRow.study_instance_uid,
                DeliveryRow.state.in_(("waiting", "sending", "dead")),
            )
            .scalar_subquery()
        )
        latest = (ReadingRow.study_instance_uid == StudyRow.study_instance_uid) & (
            ReadingRow.revision == StudyRow.latest_revision
        )
        wanted = select(StudyRow, ReadingRow, used, owed).outerjoin(ReadingRow, latest)
        if filters.states:
            wanted = wanted.where(StudyRow.state.in_(filters.states))
        if filters.modality:
            wanted = wanted.where(StudyRow.modalities.contains(filters.modality, autoescape=True))
        if filters.text:
            columns = (
                StudyRow.patient_id,
                StudyRow.patient_name,
                StudyRow.accession_number,
                StudyRow.description,
                StudyRow.study_instance_uid,
            )
            wanted = wanted.where(or_(*[column.icontains(filters.text, autoescape=True) for column in columns]))
        if filters.date_from:
            wanted = wanted.where(StudyRow.study_date >= filters.date_from)
        if filters.date_to:
            wanted = wanted.where(StudyRow.study_date <= filters.date_to)
        if filters.received_since:
            wanted = wanted.where(StudyRow.last_received_at >= filters.received_since)
        if filters.urgency is not None:
            wanted = wanted.where(ReadingRow.urgency <= filters.urgency)
        if filters.undelivered:
            wanted = wanted.where(owed > 0)
        wanted = wanted.order_by(StudyRow.last_received_at.desc(), StudyRow.study_instance_uid)
        return tuple(
            StudyLine(
                study=record(StudyRecord, study),
                instances=instances,
                reading=record(ReadingRecord, reading) if reading else None,
                undelivered=undelivered,
            )
            for study, reading, instances, undelivered in self._session.execute(
                wanted.limit(filters.limit).offset(filters.offset)
            )
        )

    def counts(self) -> dict[str, int]:
        """How many studies are in each state."""
        counted = self._session.execute(select(StudyRow.state, func.count()).group_by(StudyRow.state))
        return {state: number for state, number in counted}

    def arriving(self) -> tuple[Progress, ...]:
        """Studies that hold something that no revision has read yet, with what completeness depends on."""
        wanted = select(StudyRow).where(StudyRow.state == "arriving").order_by(StudyRow.last_received_at)
        return tuple(self._progress(row) for row in self._session.scalars(wanted))

    def prior_of(self, study: StudyRecord) -> StudyRecord | None:
        """The patient's latest comparable other study that isn't later and has its images, or None.

        Comparable is what `imaging.kinds` calls so: modalities that are alike, and body parts that don't exclude it.
        A study that is being fetched just now isn't one yet.
        """
        if not study.patient_id or not study.study_date:
            return None
        there = select(InstanceRow.id).where(
            InstanceRow.study_instance_uid == StudyRow.study_instance_uid, InstanceRow.removed_at.is_(None)
        )
        coming = select(FetchRow.pacs).where(
            FetchRow.study_instance_uid == StudyRow.study_instance_uid, FetchRow.state == "fetching"
        )
        alike = modalities_like(study.modalities.split("\\")) or {""}
        wanted = select(StudyRow).where(
            StudyRow.patient_id == study.patient_id,
            StudyRow.study_instance_uid != study.study_instance_uid,
            StudyRow.study_date != "",
            StudyRow.study_date <= study.study_date,
            or_(*[StudyRow.modalities.contains(word, autoescape=True) for word in sorted(alike)]),
            there.exists(),
            ~coming.exists(),
        )
        rows = self._session.scalars(
            wanted.order_by(StudyRow.study_date.desc(), StudyRow.study_time.desc(), StudyRow.study_instance_uid).limit(
                _LOOKED_INTO
            )
        )
        parts = study.body_parts.split("\\")
        row = next((one for one in rows if body_parts_meet(parts, one.body_parts.split("\\"))), None)
        return record(StudyRecord, row) if row else None

    def set_state(self, study_instance_uid: str, state: str, *, reason: str = "") -> None:
        """Move a study to a state.

        Raises
        ------
        ValueError
            If there is no such state.
        """
        if state not in names(STUDY_STATES):
            raise ValueError(f"{state!r} is no state of a study")
        row = self._session.get_one(StudyRow, study_instance_uid)
        row.state, row.reason = state, reason

    def hurry(self, study_instance_uid: str) -> None:
        """Note that the order asks for haste: its next revision comes first."""
        self._session.get_one(StudyRow, study_instance_uid).priority = "stat"

    def expect(self, study_instance_uid: str, instances: int) -> None:
        """Note how many instances the archive that sends it says it has."""
        self._session.get_one(StudyRow, study_instance_uid).expected_instances = instances

    def _progress(self, row: StudyRow) -> Progress:
        uid = row.study_instance_uid
        used = (InstanceRow.study_instance_uid == uid) & (InstanceRow.state != "conflict")
        per_series = select(InstanceRow.series_instance_uid, func.count()).where(used)
        brought = select(InstanceRow.association_id).where(used).distinct()
        of_it = AssociationRow.association_id.in_(brought)
        still = select(func.count()).select_from(AssociationRow).where(of_it, AssociationRow.closed_at.is_(None))
        counted = self._session.execute(per_series.group_by(InstanceRow.series_instance_uid))
        return Progress(
            study=record(StudyRecord, row),
            series=tuple(
                record(SeriesRecord, one)
                for one in self._session.scalars(select(SeriesRow).where(SeriesRow.study_instance_uid == uid))
            ),
            instances_by_series={series: number for series, number in counted},
            open_associations=int(self._session.scalar(still) or 0),
            association_closed_at=self._session.scalar(select(func.max(AssociationRow.closed_at)).where(of_it)),
        )
