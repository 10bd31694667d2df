"""Keeps what comes in: file on disk, then row, then the answer; duplicates and conflicts told apart; refusals noted."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from pydicom.dataset import Dataset

from radiolucent.audit.events import InstanceReceived
from radiolucent.errors import OutOfSpace, UnreadableFile
from radiolucent.imaging.archive import file_source
from radiolucent.imaging.header import text, value
from radiolucent.imaging.instance import read_instance
from radiolucent.ingest.receiving import Outcome, ReceivedInstance, Way
from radiolucent.ingest.sameness import same_object
from radiolucent.pipeline.own_results import own_results
from radiolucent.pipeline.routing import PRIOR
from radiolucent.store.archive import Archive
from radiolucent.store.audit import AuditTrail
from radiolucent.store.instances import Associations, Instances, NewInstance, StudyHeader
from radiolucent.store.records import InstanceRecord, TurnedAwayRecord
from radiolucent.store.studies import Studies
from radiolucent.store.unit_of_work import Store
from radiolucent.store.ways import Fetches, FetchRecord

LOG: Final = logging.getLogger(__name__)
_URGENT: Final = ("STAT", "HIGH", "URGENT", "A", "S")
"""Requested Procedure Priority (0040,1003; PS3.3 C.4.12) and Study Priority ID (0032,000C, retired); HL7 codes too."""
BACKFILL: Final = "backfill"
WATCHED: Final = Way.WATCHED_PACS.value
YIELDING: Final = (PRIOR, BACKFILL)
"""Purposes of a fetch (`store.ways.Fetches`) whose studies yield to all others."""
_KNOWN: Final = 10_000
"""Series that are remembered, so that their headers aren't read for every object."""
_SOURCES: Final = {PRIOR: PRIOR, BACKFILL: WATCHED, WATCHED: WATCHED}


def _now() -> datetime:
    return datetime.now(UTC)


class StoreReceiver:
    """A `Receiver` that keeps objects in an archive and a store.

    Parameters
    ----------
    on_change : called after something was kept or an association ended, so that nobody has to poll for it.
    backfill_after_days : a study that is older than this when it arrives yields to those of today.
    clock : gives the present time, with its zone.
    """

    def __init__(
        self,
        store: Store,
        archive: Archive,
        *,
        on_change: Callable[[], None] = lambda: None,
        backfill_after_days: int = 3,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._store, self._archive = store, archive
        self._on_change, self._clock = on_change, clock
        self._old = timedelta(days=backfill_after_days)
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def receive(self, instance: ReceivedInstance) -> Outcome:
        """Keep one instance; `Outcome.STORED` only once file and row survive a power cut. See `ingest.receiving`."""
        try:
            outcome = self._keep(instance)
        except OutOfSpace as error:
            self._turn_away(instance, Outcome.OUT_OF_SPACE, str(error))
            return Outcome.OUT_OF_SPACE
        except UnreadableFile as error:
            self._turn_away(instance, Outcome.NOT_UNDERSTOOD, error.reason)
            return Outcome.NOT_UNDERSTOOD
        self._on_change()
        return outcome

    def association_ended(self, association_id: str, *, aborted: bool) -> None:
        """Close an association; what an aborted one brought is kept, and its studies are marked partial."""
        with self._store.begin() as work:
            studies = Associations(work).ended(association_id, aborted=aborted, at=self._clock())
        if aborted and studies:
            LOG.warning("an association was aborted: %d studies are marked partial", len(studies))
        self._on_change()

    def _keep(self, instance: ReceivedInstance) -> Outcome:
        if self._was_made_here(instance):
            return Outcome.DUPLICATE
        purpose = self._purpose_if_new(instance)
        header = self._header_if_new(instance, purpose)
        place = self._archive.path_of(
            instance.study_instance_uid, instance.series_instance_uid, instance.sop_instance_uid, instance.digest
        )
        new = NewInstance(
            sop_instance_uid=instance.sop_instance_uid,
            sop_class_uid=instance.sop_class_uid,
            series_instance_uid=instance.series_instance_uid,
            study_instance_uid=instance.study_instance_uid,
            transfer_syntax_uid=instance.transfer_syntax_uid,
            digest=instance.digest,
            path=place,
            size_bytes=instance.size_bytes,
            source_kind=_SOURCES.get(purpose.purpose, instance.way.value) if purpose else instance.way.value,
            association_id=instance.association_id,
            calling_ae=instance.calling_ae[:32],
        )
        known = self._used(instance)
        if known is not None and (known.digest == instance.digest or self._is_the_same(known, instance.path)):
            return Outcome.DUPLICATE  # its file and row are safe already
        kept = self._archive.keep(instance.path, place)
        while (outcome := self._enter(instance, new, header, purpose, unlike=known)) is None:
            known = self._used(instance)  # two senders came at once, and the other one was first
            if known is not None and self._is_the_same(known, kept):
                return Outcome.DUPLICATE  # the file without a row goes with the next clean-up
        with self._lock:
            if len(self._known) >= _KNOWN:
                self._known.clear()  # they are only read again
            self._known.add(f"{new.study_instance_uid} {new.series_instance_uid}")
        return outcome

    def _used(self, instance: ReceivedInstance) -> InstanceRecord | None:
        with self._store.read() as work:
            return Instances(work).used(instance.sop_instance_uid)

    def _enter(
        self,
        instance: ReceivedInstance,
        new: NewInstance,
        header: StudyHeader,
        purpose: FetchRecord | None,
        *,
        unlike: InstanceRecord | None,
    ) -> Outcome | None:
        """Write the row of a file that is kept; None where another object of its UID, not `unlike`, is in use by now.

        Files are compared between transactions: it takes too long to hold everybody else up.
        """
        with self._store.begin() as work:
            at = self._clock()
            known = Instances(work).used(instance.sop_instance_uid)
            if known is not None and known.digest == instance.digest:
                return Outcome.DUPLICATE
            if known is not None and (unlike is None or known.id != unlike.id):
                return None
            if known is not None:
                # filed under the study and series of the first, which exist; its own path says where it belongs
                there = replace(
                    new, study_instance_uid=known.study_instance_uid, series_instance_uid=known.series_instance_uid
                )
                Instances(work).add_conflict(there, at=at)
                outcome = Outcome.CONFLICT
            else:
                Associations(work).opened(instance.association_id, calling_ae=instance.calling_ae, at=at)
                Instances(work).add(new, header, at=at)
                if purpose and purpose.instances:
                    Studies(work).expect(new.study_instance_uid, purpose.instances)
                outcome = Outcome.STORED
            AuditTrail(work).append(
                InstanceReceived(
                    at=at,
                    address=instance.peer_address,
                    study_instance_uid=new.study_instance_uid,
                    sop_instance_uid=instance.sop_instance_uid,
                    outcome=outcome.value,
                    source=instance.way.value,
                )
            )
        return outcome

    def _is_known(self, instance: ReceivedInstance) -> bool:
        with self._lock:
            return f"{instance.study_instance_uid} {instance.series_instance_uid}" in self._known

    def _was_made_here(self, instance: ReceivedInstance) -> bool:
        """Whether it is a result of this gateway, which a PACS sends back: it is no image of the study."""
        if self._is_known(instance):
            return False
        return instance.sop_instance_uid in own_results(self._store.folder, instance.study_instance_uid).instances

    def _purpose_if_new(self, instance: ReceivedInstance) -> FetchRecord | None:
        """What a study is being fetched for; what comes by C-MOVE comes like everything else to the listener."""
        if self._is_known(instance):
            return None
        with self._store.read() as work:
            found = Fetches(work).of_study(instance.study_instance_uid)
        return next((one for one in found if one.state == "fetching"), None)

    def _header_if_new(self, instance: ReceivedInstance, purpose: FetchRecord | None) -> StudyHeader:
        """What the object says of study and series; not read again for the next ones of the same series."""
        if self._is_known(instance):
            return StudyHeader()
        yields = instance.way is Way.PRIOR or (purpose is not None and purpose.purpose in YIELDING)
        return study_header(instance.path, yields=yields, today=self._clock(), old=self._old)

    def _is_the_same(self, known: InstanceRecord, path: Path) -> bool:
        """Whether it differs from the one that is kept in its encoding alone; unknown where that one was removed."""
        there = self._archive.root / known.path
        return known.removed_at is None and there.is_file() and same_object(there, path)

    def _turn_away(self, instance: ReceivedInstance, outcome: Outcome, reason: str) -> None:
        LOG.warning("an object was turned away: %s", reason)
        away = TurnedAwayRecord(
            at=self._clock(),
            outcome=outcome.value,
            reason=reason,
            sop_instance_uid=instance.sop_instance_uid[:128],
            study_instance_uid=instance.study_instance_uid[:128],
            calling_ae=instance.calling_ae[:32],
            source_kind=instance.way.value,
        )
        with self._store.begin() as work:
            Instances(work).turn_away(away)


def study_header(path: Path, *, yields: bool, today: datetime, old: timedelta) -> StudyHeader:
    """What one object says of its study and series.

    Parameters
    ----------
    yields : its study was fetched for later; see `priority`.

    Raises
    ------
    UnreadableFile
        If the header can't be read.
    """
    header = read_instance(file_source(path, name="instance")).header
    return StudyHeader(
        patient_id=text(header, "PatientID"),
        patient_name=str(value(header, "PatientName") or ""),
        accession_number=text(header, "AccessionNumber"),
        study_date=text(header, "StudyDate"),
        study_time=text(header, "StudyTime"),
        study_description=text(header, "StudyDescription"),
        modality=text(header, "Modality"),
        body_part=text(header, "BodyPartExamined"),
        series_description=text(header, "SeriesDescription"),
        series_number=text(header, "SeriesNumber"),
        priority=priority(header, yields=yields, today=today, old=old),
    )


def priority(header: Dataset, *, yields: bool, today: datetime, old: timedelta) -> str:
    """``backfill`` for priors, ``stat`` where the header says so, ``backfill`` if older than `old`, else ``live``.

    Parameters
    ----------
    yields : it was fetched as a prior, or from a PACS whose studies yield to all others.
    """
    if yields:
        return "backfill"
    asked = [text(header, "RequestedProcedurePriority"), text(header, "StudyPriorityID")]
    for item in value(header, "RequestAttributesSequence") or ():
        asked.append(text(item, "RequestedProcedurePriority"))
    if any(word.upper() in _URGENT for word in asked):
        return "stat"
    date = text(header, "StudyDate")
    try:
        taken = datetime.strptime(date, "%Y%m%d").replace(tzinfo=UTC)
    except ValueError:
        return "live"
    return "backfill" if today - taken > old + timedelta(days=1) else "live"


def start_receiving(store: Store, archive: Archive, *, at: datetime) -> tuple[int, int]:
    """Clear up after an earlier process. Returns (half-received files removed, associations that it left open).

    Files in the archive without a row were never acknowledged; `pipeline.retention` removes them.
    """
    left = archive.prepare()
    with store.begin() as work:
        return left, Associations(work).end_all(at=at)
