"""What a complete study still waits for before it is read: its priors and its order, for a while and no longer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from radiolucent.ingest.assembly import elapsed_s
from radiolucent.pipeline.routing import PRIOR
from radiolucent.store.questions import OPEN, Kind, Questions
from radiolucent.store.records import StudyRecord
from radiolucent.store.unit_of_work import Store


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Waiting:
    """For how many seconds after its last image a study waits for an answer; 0 doesn't wait.

    A peer that was asked and didn't answer isn't waited for: it may be away for hours.
    """

    store: Store
    priors_s: float = 0.0
    order_s: float = 0.0
    clock: Callable[[], datetime] = _now

    def holds(self, study: StudyRecord) -> bool:
        """Whether a study is to be left alone for now. An urgent one waits for nothing but its order."""
        if study.source_kind == PRIOR or not study.patient_id:
            return False
        waits: list[tuple[Kind, float]] = [("order", self.order_s)]
        if study.priority != "stat":
            waits.append(("priors", self.priors_s))
        longest_s = max(self.priors_s, self.order_s) + 1
        waited_s = elapsed_s(study.last_received_at, self.clock(), longest_s=longest_s)
        return any(waited_s < wait_s and self._is_open(study, kind) for kind, wait_s in waits)

    def _is_open(self, study: StudyRecord, kind: Kind) -> bool:
        with self.store.read() as work:
            question = Questions(work).find(study.study_instance_uid, kind)
        return question is None or (question.state == OPEN and question.attempts == 0)
