"""The patient's earlier studies, asked of the PACS for each new study and brought here before it is read, or after.

A study waits for them a while (`pipeline.waiting`). What came too late makes another reading of the study, which takes
the place of the first.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from radiolucent.errors import NoSuchStudy, QueryFailed
from radiolucent.ingest.pacs import Pacs, StudyMatch
from radiolucent.ingest.priors import PriorTerms, find_priors
from radiolucent.ingest.receiving import Receiver, Way
from radiolucent.pipeline.fetching import FetchLedger
from radiolucent.pipeline.routing import PRIOR
from radiolucent.store.questions import ANSWERED, GIVEN_UP, LATE, NOTHING, OPEN, Questions
from radiolucent.store.records import StudyRecord
from radiolucent.store.revisions import Revisions
from radiolucent.store.studies import Studies
from radiolucent.store.unit_of_work import Store

LOG: Final = logging.getLogger(__name__)
FIRST_RETRY_S: Final = 15.0
LONGEST_RETRY_S: Final = 900.0
_DONE: Final = ("read", "partly-read", "not-read", "failed", "withdrawn", "kept")


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class PriorSearch:
    """Asks every PACS that keeps earlier studies, for each study that came in.

    Parameters
    ----------
    read_again : makes another revision of a study; None leaves a study as it was read when its prior came late.
    at_once : patients whose studies are asked for at the same time, so that one large prior doesn't hold up all.
    give_up_after : a PACS that doesn't answer is asked for so long; studies that came in before aren't asked for.
    """

    store: Store
    pacs: Sequence[Pacs]
    receiver: Receiver
    terms: PriorTerms
    read_again: Callable[[str], object] | None = None
    give_up_after: timedelta = timedelta(hours=6)
    at_once: int = 4
    clock: Callable[[], datetime] = _now

    def turn(self) -> int | None:
        """Ask for every study that is due; gives how many instances came, None where nobody had to be asked.

        Raises
        ------
        QueryFailed
            If a PACS didn't answer; the others were asked all the same, and the questions stay open.
        """
        at = self.clock()
        with self.store.read() as work:
            due = Questions(work).due("priors", since=at - self.give_up_after, at=at)
        patients: dict[str, list[StudyRecord]] = {}
        for study in due:
            patients.setdefault(study.patient_id, []).append(study)
        with ThreadPoolExecutor(self.at_once, thread_name_prefix="priors") as pool:
            answers = list(pool.map(self._ask_of_one_patient, patients.values()))
        brought = sum(came for came, _ in answers)
        failures = [failure for _, failed in answers for failure in failed]
        self._read_those_again()
        if failures:
            raise QueryFailed(failures[0])
        return brought if due else None

    def _ask_of_one_patient(self, studies: Sequence[StudyRecord]) -> tuple[int, list[str]]:
        """One after the other: what was fetched for the first is here for the second."""
        brought, failures = 0, list[str]()
        for study in studies:
            came, failed = self._ask(study)
            brought += came
            failures += failed
        return brought, failures

    def _ask(self, study: StudyRecord) -> tuple[int, list[str]]:
        found, brought, failures = dict[str, StudyMatch](), 0, list[str]()
        for pacs in self.pacs:
            ledger = FetchLedger(store=self.store, pacs=pacs.name, purpose=PRIOR, clock=self.clock)
            try:
                for match in find_priors(pacs, as_match(study), self.terms):
                    if match.study_instance_uid in found:
                        continue
                    found[match.study_instance_uid] = match
                    if ledger.held(match.study_instance_uid) < (match.instances or 1) and ledger.may_fetch(match):
                        brought += ledger.fetch(pacs, match, self.receiver, way=Way.PRIOR).completed
            except QueryFailed as error:
                failures.append(str(error))
        self._note(study, tuple(found), failures)
        return brought, failures

    def _note(self, study: StudyRecord, found: tuple[str, ...], failures: list[str]) -> None:
        uid, at = study.study_instance_uid, self.clock()
        with self.store.begin() as work:
            questions = Questions(work)
            before = questions.find(uid, "priors")
            if failures:
                first, tried = (before.first_at, before.attempts) if before else (at, 0)
                over = at - first > self.give_up_after
                wait = timedelta(seconds=min(FIRST_RETRY_S * 2 ** min(tried, 16), LONGEST_RETRY_S))
                state, again = (GIVEN_UP, None) if over else (OPEN, at + wait)
                questions.asked(uid, "priors", state, reason=failures[0], answer=list(found), at=at, next_try_at=again)
                return
            present = Studies(work).get(uid)
            late = bool(found) and present.latest_revision > 0
            state = (LATE if late else ANSWERED) if found else NOTHING
            questions.asked(uid, "priors", state, answer=list(found), at=at)

    def _read_those_again(self) -> None:
        """Studies that were read before their prior came; each once it and the prior are at rest."""
        with self.store.read() as work:
            late = Questions(work).in_state("priors", LATE)
        for question in late:
            uid = question.study_instance_uid
            with self.store.read() as work:
                study = Studies(work).find(uid)
                if study is None or study.state not in _DONE:
                    continue
                prior = Studies(work).prior_of(study)
                read = Revisions(work).find(uid, study.latest_revision)
            missed = (
                prior is not None and read is not None and read.prior_study_instance_uid != prior.study_instance_uid
            )
            if missed and self.read_again is not None and study.state in ("read", "partly-read"):
                try:
                    self.read_again(uid)
                    LOG.info("study %s is read again: its prior came after it was read", uid)
                except NoSuchStudy as error:
                    LOG.info("%s", error)
            with self.store.begin() as work:
                Questions(work).asked(uid, "priors", ANSWERED, answer=question.answer, at=self.clock())


def as_match(study: StudyRecord) -> StudyMatch:
    """A study here in the words of a query."""
    return StudyMatch(
        study_instance_uid=study.study_instance_uid,
        patient_id=study.patient_id,
        study_date=study.study_date,
        study_time=study.study_time,
        accession_number=study.accession_number,
        modalities=tuple(word for word in study.modalities.split("\\") if word),
        body_parts=tuple(word for word in study.body_parts.split("\\") if word),
    )
