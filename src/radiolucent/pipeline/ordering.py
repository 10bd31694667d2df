"""Which order a study belongs to, asked of the RIS's worklist once, and what it adds to what the images say."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from radiolucent.errors import QueryFailed
from radiolucent.findings.taxonomy import Code
from radiolucent.ingest.dimse_peer import DimsePeer
from radiolucent.ingest.worklist import Order, find_orders, order_of
from radiolucent.results.order import OrderFacts
from radiolucent.store.questions import ANSWERED, GIVEN_UP, NOTHING, OPEN, Questions
from radiolucent.store.records import StudyRecord
from radiolucent.store.studies import Studies
from radiolucent.store.unit_of_work import Store, Work

LOG: Final = logging.getLogger(__name__)
RETRY_S: Final = 10.0
LONGEST_RETRY_S: Final = 600.0
_WILD: Final = "*?\\"
_FILLED: Final = (
    "patient_id_issuer",
    "visit_number",
    "accession_number",
    "placer_order_number",
    "filler_order_number",
    "referring_physician",
)


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class OrderSearch:
    """Asks the worklist for the order of each study that came in."""

    store: Store
    worklist: DimsePeer
    give_up_after: timedelta = timedelta(hours=1)
    clock: Callable[[], datetime] = _now

    def turn(self) -> int | None:
        """Ask for every study that is due; gives how many orders were found, None where nobody had to be asked.

        Raises
        ------
        QueryFailed
            If the worklist doesn't answer; the questions stay open.
        """
        at = self.clock()
        with self.store.read() as work:
            due = Questions(work).due("order", since=at - self.give_up_after, at=at)
        found, failure = 0, ""
        for study in due:
            try:
                order = _find(self.worklist, study)
            except QueryFailed as error:
                failure = str(error)
                self._failed(study, failure)
                continue
            found += order is not None
            self._found(study, order)
        if failure:
            raise QueryFailed(failure)
        return found if due else None

    def _found(self, study: StudyRecord, order: Order | None) -> None:
        uid = study.study_instance_uid
        with self.store.begin() as work:
            answer = asdict(order) if order else None
            Questions(work).asked(uid, "order", ANSWERED if order else NOTHING, answer=answer, at=self.clock())
            if order and order.urgent:
                Studies(work).hurry(uid)

    def _failed(self, study: StudyRecord, reason: str) -> None:
        uid, at = study.study_instance_uid, self.clock()
        with self.store.begin() as work:
            before = Questions(work).find(uid, "order")
            first, tried = (before.first_at, before.attempts) if before else (at, 0)
            wait = timedelta(seconds=min(RETRY_S * 2 ** min(tried, 16), LONGEST_RETRY_S))
            over = at - first > self.give_up_after
            state, again = (GIVEN_UP, None) if over else (OPEN, at + wait)
            Questions(work).asked(uid, "order", state, reason=reason, at=at, next_try_at=again)


def _find(worklist: DimsePeer, study: StudyRecord) -> Order | None:
    """The one order of a study; None also where the study names its patient in a way that can't be asked."""
    if any(sign in study.patient_id for sign in _WILD):
        return None
    known = {"patient_id": study.patient_id, "accession_number": study.accession_number}
    orders = find_orders(worklist, patient_id=study.patient_id)
    return order_of(orders, study_instance_uid=study.study_instance_uid, **known)


def order_facts(work: Work, study_instance_uid: str, facts: OrderFacts) -> OrderFacts:
    """What the images say, and where they say nothing, what the order says. The patient must be the same."""
    question = Questions(work).find(study_instance_uid, "order")
    if question is None or question.state != ANSWERED:
        return facts
    return filled(facts, question.answer)


def filled(facts: OrderFacts, order: dict[str, Any]) -> OrderFacts:
    """The facts with their empty fields taken from an order (`ingest.worklist.Order` as a dictionary).

    >>> filled(OrderFacts(patient_id="7"), {"patient_id": "7", "placer_order_number": "P1"}).placer_order_number
    'P1'
    >>> filled(OrderFacts(patient_id="8"), {"patient_id": "7", "placer_order_number": "P1"}).placer_order_number
    ''
    """
    if order.get("patient_id") != facts.patient_id:
        return facts
    more: dict[str, Any] = {name: order.get(name, "") for name in _FILLED if not getattr(facts, name)}
    if facts.procedure is None and order.get("procedure_code"):
        value, scheme, meaning = order["procedure_code"]
        more["procedure"] = Code(value=value, scheme=scheme, meaning=meaning)
    return replace(facts, **more)
