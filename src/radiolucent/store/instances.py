"""Instances, series and associations as rows: what is kept, what was turned away, who is still sending."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from sqlalchemy import func, select, update

from radiolucent.store.records import InstanceRecord, TurnedAwayRecord, record
from radiolucent.store.states import INSTANCE_STATES, names
from radiolucent.store.study_tables import AssociationRow, InstanceRow, SeriesRow, StudyRow, TurnedAwayRow
from radiolucent.store.unit_of_work import Work


@dataclass(frozen=True, kw_only=True)
class NewInstance:
    """One object whose file is in the archive, with what it says of its study and series."""

    sop_instance_uid: str
    sop_class_uid: str
    series_instance_uid: str
    study_instance_uid: str
    transfer_syntax_uid: str
    digest: str
    path: str
    size_bytes: int
    source_kind: str
    association_id: str
    calling_ae: str = ""


@dataclass(frozen=True, kw_only=True)
class StudyHeader:
    """What the first object of a study and series says of them, cut to the columns' lengths by `Instances.add`."""

    patient_id: str = field(default="", repr=False)
    patient_name: str = field(default="", repr=False)
    accession_number: str = field(default="", repr=False)
    study_date: str = ""
    study_time: str = ""
    study_description: str = ""
    modality: str = ""
    body_part: str = ""
    series_description: str = ""
    series_number: str = ""
    priority: str = "live"


class Instances:
    """The instances of one transaction."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def used(self, sop_instance_uid: str) -> InstanceRecord | None:
        """The one object of this UID that is used, or None."""
        found = self._session.scalars(
            select(InstanceRow).where(InstanceRow.sop_instance_uid == sop_instance_uid, InstanceRow.state != "conflict")
        ).one_or_none()
        return record(InstanceRecord, found) if found else None

    def add(self, new: NewInstance, header: StudyHeader, *, at: datetime) -> InstanceRecord:
        """Add an object that is used, with its study and series where they are new. Opens its study again."""
        study = self._study(new, header, at)
        study.last_received_at = max(study.last_received_at, at)
        if study.state not in ("queued", "reading"):
            study.state, study.reason = "arriving", ""
        key = (new.series_instance_uid, new.study_instance_uid)
        if self._session.get(SeriesRow, key) is None:
            self._session.add(
                SeriesRow(
                    series_instance_uid=new.series_instance_uid,
                    study_instance_uid=new.study_instance_uid,
                    modality=header.modality[:32],
                    description=header.series_description[:255],
                    body_part=header.body_part[:255],
                    series_number=header.series_number[:32],
                )
            )
            study.modalities = _joined(study.modalities, header.modality)
            study.body_parts = _joined(study.body_parts, header.body_part)
        self._session.flush()
        return self._insert(new, at, state="received", reason="")

    def add_conflict(self, new: NewInstance, *, at: datetime) -> InstanceRecord:
        """Keep an object whose UID is taken by other content; nothing is read from it. Its series must exist."""
        twice = select(InstanceRow).where(
            InstanceRow.sop_instance_uid == new.sop_instance_uid, InstanceRow.digest == new.digest
        )
        again = self._session.scalars(twice).one_or_none()
        if again is not None:
            return record(InstanceRecord, again)
        reason = "another object with the same SOP Instance UID and other content was received first"
        return self._insert(new, at, state="conflict", reason=reason)

    def of_study(self, study_instance_uid: str, *, states: Sequence[str] = ()) -> list[InstanceRecord]:
        """The objects of a study, in the order they came in; all, or those in one of `states`."""
        wanted = (
            select(InstanceRow).where(InstanceRow.study_instance_uid == study_instance_uid).order_by(InstanceRow.id)
        )
        if states:
            wanted = wanted.where(InstanceRow.state.in_(states))
        return [record(InstanceRecord, row) for row in self._session.scalars(wanted)]

    def finish(self, ids: Iterable[int], state: str, *, reason: str = "", revision: int) -> None:
        """Note what became of these objects in a revision.

        Raises
        ------
        ValueError
            If `state` is no terminal state of an instance.
        """
        if state not in names(INSTANCE_STATES, terminal=True):
            raise ValueError(f"{state!r} is no terminal state of an instance")
        wanted = list(ids)
        for start in range(0, len(wanted), 500):
            self._session.execute(
                update(InstanceRow)
                .where(InstanceRow.id.in_(wanted[start : start + 500]))
                .values(state=state, reason=reason, read_in=revision)
            )

    def counts(self) -> dict[str, int]:
        """How many objects are in each state."""
        counted = self._session.execute(select(InstanceRow.state, func.count()).group_by(InstanceRow.state))
        return {state: number for state, number in counted}

    def bytes_kept(self) -> int:
        """Size of all objects whose files are there."""
        total = select(func.coalesce(func.sum(InstanceRow.size_bytes), 0)).where(InstanceRow.removed_at.is_(None))
        return int(self._session.scalar(total) or 0)

    def bytes_by_study(self, studies: Sequence[str]) -> dict[str, int]:
        """Size of the objects of these studies whose files are there."""
        sizes: dict[str, int] = {}
        for start in range(0, len(studies), 500):
            wanted = (
                select(InstanceRow.study_instance_uid, func.sum(InstanceRow.size_bytes))
                .where(
                    InstanceRow.removed_at.is_(None),
                    InstanceRow.study_instance_uid.in_(studies[start : start + 500]),
                )
                .group_by(InstanceRow.study_instance_uid)
            )
            sizes |= {study: int(size) for study, size in self._session.execute(wanted)}
        return sizes

    def paths(self) -> set[str]:
        """Where the files of all objects lie that weren't removed."""
        return set(self._session.scalars(select(InstanceRow.path).where(InstanceRow.removed_at.is_(None))))

    def removed(self, ids: Iterable[int], *, at: datetime) -> None:
        """Note that the files of these objects are deleted; their rows stay."""
        self._session.execute(update(InstanceRow).where(InstanceRow.id.in_(list(ids))).values(removed_at=at))

    def turn_away(self, what: TurnedAwayRecord) -> None:
        """Note an object that was not accepted, so that its sender's question has an answer."""
        self._session.add(TurnedAwayRow(**asdict(what)))

    def turned_away(self, *, limit: int = 100) -> list[TurnedAwayRecord]:
        """The latest objects that were not accepted."""
        wanted = select(TurnedAwayRow).order_by(TurnedAwayRow.id.desc()).limit(limit)
        return [record(TurnedAwayRecord, row) for row in self._session.scalars(wanted)]

    def _study(self, new: NewInstance, header: StudyHeader, at: datetime) -> StudyRow:
        study = self._session.get(StudyRow, new.study_instance_uid)
        if study is None:
            study = StudyRow(
                study_instance_uid=new.study_instance_uid,
                patient_id=header.patient_id[:255],
                patient_name=header.patient_name[:255],
                accession_number=header.accession_number[:255],
                study_date=header.study_date[:32],
                study_time=header.study_time[:32],
                description=header.study_description[:255],
                modalities="",
                body_parts="",
                priority=header.priority,
                source_kind=new.source_kind,
                calling_ae=new.calling_ae[:32],
                first_received_at=at,
                last_received_at=at,
            )
            self._session.add(study)
        return study

    def _insert(self, new: NewInstance, at: datetime, *, state: str, reason: str) -> InstanceRecord:
        row = InstanceRow(**asdict(new), received_at=at, state=state, reason=reason)
        self._session.add(row)
        self._session.flush()
        return record(InstanceRecord, row)


class Associations:
    """Who is sending: a study isn't complete while an association that brought part of it is open."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def opened(self, association_id: str, *, calling_ae: str, at: datetime) -> None:
        """Note that something came in an association; the first time opens it."""
        if self._session.get(AssociationRow, association_id) is None:
            row = AssociationRow(association_id=association_id, calling_ae=calling_ae[:32], opened_at=at)
            self._session.add(row)
            self._session.flush()

    def ended(self, association_id: str, *, aborted: bool, at: datetime) -> list[str]:
        """Note that nothing more comes in it. Its studies, which are partial if it was aborted, are returned."""
        row = self._session.get(AssociationRow, association_id)
        if row is None:
            return []
        row.closed_at, row.aborted = at, aborted
        studies = list(
            self._session.scalars(
                select(InstanceRow.study_instance_uid).where(InstanceRow.association_id == association_id).distinct()
            )
        )
        if studies:
            self._session.execute(
                update(StudyRow).where(StudyRow.study_instance_uid.in_(studies)).values(partial=aborted)
            )
        return studies

    def end_all(self, *, at: datetime) -> int:
        """At start: whatever was open when the process died is over, early. Returns how many there were."""
        left = list(
            self._session.scalars(select(AssociationRow.association_id).where(AssociationRow.closed_at.is_(None)))
        )
        for association_id in left:
            self.ended(association_id, aborted=True, at=at)
        return len(left)

    def forget(self, *, before: datetime) -> None:
        """Delete rows of associations that ended long ago."""
        old = select(AssociationRow).where(AssociationRow.closed_at < before)
        for row in self._session.scalars(old):
            self._session.delete(row)


def _joined(known: str, more: str) -> str:
    words = [word for word in known.split("\\") if word]
    if more and more not in words:
        words.append(more)
    return "\\".join(words)[:255]
