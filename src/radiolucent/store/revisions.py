"""Revisions and readings as rows: which inputs a reading has, how far it is, and where its files lie."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select

from radiolucent.errors import NoSuchStudy
from radiolucent.store.records import InstanceRecord, ReadingRecord, RevisionRecord, record
from radiolucent.store.states import READ_STATES, REVISION_STATES, names
from radiolucent.store.study_tables import InstanceRow, ReadingRow, RevisionInputRow, RevisionRow, StudyRow
from radiolucent.store.unit_of_work import Work

_URGENT: Final = 2


@dataclass(frozen=True, kw_only=True)
class NewReading:
    """What a revision found; its folder is complete and on disk."""

    study_instance_uid: str
    revision: int
    state: str
    folder: str
    digest: str
    urgency: int | None
    positives: str
    engines: str
    made_at: datetime


class Revisions:
    """The revisions of one transaction."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def find(self, study_instance_uid: str, number: int) -> RevisionRecord | None:
        """One revision, or None."""
        row = self._session.get(RevisionRow, (study_instance_uid, number))
        return record(RevisionRecord, row) if row else None

    def get(self, study_instance_uid: str, number: int) -> RevisionRecord:
        """One revision.

        Raises
        ------
        NoSuchStudy
            If it isn't known here.
        """
        found = self.find(study_instance_uid, number)
        if found is None:
            raise NoSuchStudy(f"study {study_instance_uid} has no revision {number}")
        return found

    def plan(
        self,
        study_instance_uid: str,
        instances: Iterable[InstanceRecord],
        engine_digests: Iterable[str],
        *,
        made_at: datetime,
        again: bool = False,
        prior_study_instance_uid: str = "",
    ) -> RevisionRecord | None:
        """Make the next revision of a study from these inputs; the study is queued.

        Parameters
        ----------
        engine_digests : of the engines that will be asked.
        made_at : goes into every result, so that a retry makes the same bytes.
        again : make one even where the latest revision has the same inputs.

        Returns
        -------
        None where the latest revision has the same inputs: then there is nothing new to read.
        """
        study = self._session.get_one(StudyRow, study_instance_uid)
        inputs = list(instances)
        lines = sorted(f"{one.sop_instance_uid} {one.digest}" for one in inputs)
        digest = hashlib.sha256("\n".join([*lines, *sorted(engine_digests)]).encode()).hexdigest()
        latest = self.find(study_instance_uid, study.latest_revision)
        if latest is not None and latest.inputs_digest == digest and not again:
            return None
        number = study.latest_revision + 1
        row = RevisionRow(
            study_instance_uid=study_instance_uid,
            number=number,
            workflow_id=f"read/{study_instance_uid}/{number}/{digest[:16]}",
            inputs_digest=digest,
            priority=self._priority(study),
            prior_study_instance_uid=prior_study_instance_uid,
            made_at=made_at,
        )
        self._session.add(row)
        self._session.flush()
        self._session.add_all(
            RevisionInputRow(study_instance_uid=study_instance_uid, number=number, instance_id=one.id) for one in inputs
        )
        study.latest_revision, study.state, study.reason = number, "queued", ""
        self._session.flush()
        return record(RevisionRecord, row)

    def _priority(self, study: StudyRow) -> str:
        """As ordered; what more came of a study with an urgent finding (level 1 or 2) is read first."""
        before = Readings(Work(session=self._session)).before(study.study_instance_uid, study.latest_revision + 1)
        urgent = before is not None and before.urgency is not None and before.urgency <= _URGENT
        return "stat" if urgent else study.priority

    def inputs(self, study_instance_uid: str, number: int) -> tuple[InstanceRecord, ...]:
        """The objects that a revision reads."""
        of_revision = (RevisionInputRow.study_instance_uid == study_instance_uid) & (RevisionInputRow.number == number)
        wanted = select(InstanceRow).join(RevisionInputRow, RevisionInputRow.instance_id == InstanceRow.id)
        rows = self._session.scalars(wanted.where(of_revision).order_by(InstanceRow.id))
        return tuple(record(InstanceRecord, row) for row in rows)

    def to_enqueue(self) -> tuple[RevisionRecord, ...]:
        """Revisions that no queue holds yet, oldest first."""
        wanted = select(RevisionRow).where(RevisionRow.state == "queued", RevisionRow.enqueued_at.is_(None))
        rows = self._session.scalars(wanted.order_by(RevisionRow.made_at, RevisionRow.study_instance_uid))
        return tuple(record(RevisionRecord, row) for row in rows)

    def unfinished(self) -> tuple[RevisionRecord, ...]:
        """Revisions that are queued or under way."""
        wanted = select(RevisionRow).where(RevisionRow.state.in_(names(REVISION_STATES, terminal=False)))
        return tuple(record(RevisionRecord, row) for row in self._session.scalars(wanted))

    def enqueued(self, study_instance_uid: str, number: int, *, at: datetime) -> None:
        """Note that the queue holds it."""
        self._session.get_one(RevisionRow, (study_instance_uid, number)).enqueued_at = at

    def started(self, study_instance_uid: str, number: int, *, worker: str, at: datetime) -> RevisionRecord:
        """Note that a worker reads it now; counts how often one began. Finished revisions stay as they are."""
        row = self._session.get_one(RevisionRow, (study_instance_uid, number))
        if row.state in names(REVISION_STATES, terminal=False):
            row.state, row.worker, row.started_at, row.attempts = "reading", worker, at, row.attempts + 1
            study = self._session.get_one(StudyRow, study_instance_uid)
            if study.latest_revision == number and study.state == "queued":
                study.state = "reading"
        self._session.flush()
        return record(RevisionRecord, row)

    def put_off(self, study_instance_uid: str, number: int) -> None:
        """Note that this try didn't count: what stopped it passes by itself."""
        row = self._session.get_one(RevisionRow, (study_instance_uid, number))
        row.attempts = max(0, row.attempts - 1)

    def finished(self, study_instance_uid: str, number: int, state: str, *, reason: str = "", at: datetime) -> None:
        """Note how it ended; the study follows where this is its latest revision and nothing new came in meanwhile.

        Earlier revisions that have a reading are superseded by one that has a reading.

        Raises
        ------
        ValueError
            If `state` is no terminal state of a revision.
        """
        if state not in names(REVISION_STATES, terminal=True):
            raise ValueError(f"{state!r} is no terminal state of a revision")
        row = self._session.get_one(RevisionRow, (study_instance_uid, number))
        row.state, row.reason, row.finished_at = state, reason, at
        study = self._session.get_one(StudyRow, study_instance_uid)
        if study.latest_revision == number:
            newer = select(InstanceRow.id).where(
                InstanceRow.study_instance_uid == study_instance_uid, InstanceRow.state == "received"
            )
            more = self._session.scalars(newer.limit(1)).one_or_none() is not None
            study.state, study.reason = ("arriving", "") if more else (state, reason)
        if state in READ_STATES:
            for earlier in self._session.scalars(
                select(RevisionRow).where(
                    RevisionRow.study_instance_uid == study_instance_uid,
                    RevisionRow.number < number,
                    RevisionRow.state.in_((*READ_STATES, "failed")),
                )
            ):
                earlier.state, earlier.reason = "superseded", f"revision {number} takes its place"


class Readings:
    """The readings of one transaction."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def add(self, new: NewReading) -> ReadingRecord:
        """Add a reading, or give back the one that its revision has already."""
        row = self._session.get(ReadingRow, (new.study_instance_uid, new.revision))
        if row is None:
            row = ReadingRow(**asdict(new))
            self._session.add(row)
            self._session.flush()
        return record(ReadingRecord, row)

    def find(self, study_instance_uid: str, revision: int) -> ReadingRecord | None:
        """The reading of one revision, or None."""
        row = self._session.get(ReadingRow, (study_instance_uid, revision))
        return record(ReadingRecord, row) if row else None

    def latest(self, study_instance_uid: str) -> ReadingRecord | None:
        """The latest reading of a study that wasn't withdrawn, or None.

        ``store.folder / reading.folder`` holds reading.json, evidence.npz, report.html, insight/ and dicom/.
        """
        wanted = select(ReadingRow).where(
            ReadingRow.study_instance_uid == study_instance_uid, ReadingRow.withdrawn_at.is_(None)
        )
        row = self._session.scalars(wanted.order_by(ReadingRow.revision.desc()).limit(1)).one_or_none()
        return record(ReadingRecord, row) if row else None

    def before(self, study_instance_uid: str, revision: int) -> ReadingRecord | None:
        """The last reading of a study before a revision, withdrawn or not, or None."""
        wanted = select(ReadingRow).where(
            ReadingRow.study_instance_uid == study_instance_uid, ReadingRow.revision < revision
        )
        row = self._session.scalars(wanted.order_by(ReadingRow.revision.desc()).limit(1)).one_or_none()
        return record(ReadingRecord, row) if row else None

    def withdraw(self, study_instance_uid: str, *, reason: str, at: datetime) -> ReadingRecord:
        """Take back the latest reading of a study: its revision and the study become ``withdrawn``.

        Raises
        ------
        NoSuchStudy
            If there is none that isn't withdrawn already.
        """
        latest = self.latest(study_instance_uid)
        if latest is None:
            raise NoSuchStudy(f"study {study_instance_uid} has no reading that could be withdrawn")
        row = self._session.get_one(ReadingRow, (study_instance_uid, latest.revision))
        row.withdrawn_at, row.withdrawn_reason = at, reason
        revision = self._session.get_one(RevisionRow, (study_instance_uid, latest.revision))
        revision.state, revision.reason = "withdrawn", reason
        study = self._session.get_one(StudyRow, study_instance_uid)
        if study.latest_revision == latest.revision:
            study.state, study.reason = "withdrawn", reason
        self._session.flush()
        return record(ReadingRecord, row)
