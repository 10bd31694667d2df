"""What is fetched from a PACS, noted: never twice, never for ever, and known for what it was fetched."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from radiolucent.errors import QueryFailed
from radiolucent.ingest.pacs import Fetched, Pacs, SeriesMatch, StudyMatch
from radiolucent.ingest.receiving import Receiver, Way
from radiolucent.pipeline.own_results import own_results
from radiolucent.store.studies import Studies
from radiolucent.store.unit_of_work import Store
from radiolucent.store.ways import Fetches

FIRST_RETRY_S: Final = 30.0
LONGEST_RETRY_S: Final = 3600.0


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class FetchLedger:
    """The fetches from one PACS for one purpose (see `store.way_tables.FetchRow`)."""

    store: Store
    pacs: str
    purpose: str
    clock: Callable[[], datetime] = _now

    def held(self, study_instance_uid: str) -> int:
        """How many instances of a study came in."""
        with self.store.read() as work:
            return Fetches(work).held(study_instance_uid)

    def lacks(self, study_instance_uid: str, series: tuple[SeriesMatch, ...]) -> bool:
        """Whether one of these series of the PACS has images that are neither here nor made here."""
        with self.store.read() as work:
            held = Fetches(work).held_by_series(study_instance_uid)
        ours = own_results(self.store.folder, study_instance_uid).series
        others = [one for one in series if one.series_instance_uid not in ours]
        return any(held.get(one.series_instance_uid, 0) < (one.instances or 1) for one in others)

    def may_fetch(self, match: StudyMatch) -> bool:
        """False where exactly this was fetched already, or failed so lately that it must wait."""
        with self.store.read() as work:
            before = Fetches(work).find(match.study_instance_uid, self.pacs)
        if before is None or before.state == "fetching":  # the process was lost in the middle of it
            return True
        if before.state == "fetched":
            return before.instances != match.instances
        return before.next_try_at is None or before.next_try_at <= self.clock()

    def begin(self, match: StudyMatch) -> None:
        """Note that it is about to be fetched, and that its study isn't complete before that has ended."""
        uid = match.study_instance_uid
        with self.store.begin() as work:
            Fetches(work).begin(uid, self.pacs, purpose=self.purpose, instances=match.instances, at=self.clock())
            if match.instances is not None and Studies(work).find(uid) is not None:
                Studies(work).expect(uid, match.instances)

    def ended(self, match: StudyMatch, reason: str = "") -> None:
        """Note that it was fetched, or why not. After a whole fetch nothing more is waited for."""
        uid = match.study_instance_uid
        with self.store.begin() as work:
            fetches = Fetches(work)
            before = fetches.find(uid, self.pacs)
            tried = before.attempts if before else 1
            wait = timedelta(seconds=min(FIRST_RETRY_S * 2 ** min(tried - 1, 16), LONGEST_RETRY_S))
            fetches.ended(uid, self.pacs, reason=reason, next_try_at=self.clock() + wait if reason else None)
            if (held := fetches.held(uid)) and not reason:
                Studies(work).expect(uid, held)

    def fetch(self, pacs: Pacs, match: StudyMatch, receiver: Receiver, *, way: Way) -> Fetched:
        """Fetch one study and note how that went. Raises `QueryFailed`."""
        self.begin(match)
        try:
            fetched = pacs.fetch(match.study_instance_uid, receiver, way=way)
        except QueryFailed as error:
            self.ended(match, str(error))
            raise
        except Exception as error:
            self.ended(match, f"{type(error).__name__}: see the log")
            raise
        self.ended(match, f"{fetched.failed} images could not be fetched" if fetched.failed else "")
        return fetched
