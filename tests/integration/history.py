"""Two months of a gateway as its rows would tell them: studies, readings, decisions, visits; scores that drift."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

import numpy as np
from sqlalchemy.orm import Session

from radiolucent.monitor.subgroups import BANDS
from radiolucent.store.facts_tables import EngineFactRow, FindingFactRow, OriginRow, ReadingFactsRow
from radiolucent.store.people import People
from radiolucent.store.room_tables import DecisionRow, ViewRow
from radiolucent.store.study_tables import DeliveryRow, ReadingRow, RevisionRow, StudyRow
from radiolucent.store.unit_of_work import Store

LABEL: Final = "brain-mri@9.9.9"
FINDINGS: Final = ("glioma", "meningioma")
READERS: Final = 6
FAILS_EVERY, UNREAD_EVERY = 25, 17


def write_history(store: Store, *, now: datetime, days: int = 60, a_day: int = 5, drift: float = 1.5) -> int:
    """Write it; how many studies there are. In its second half scores of glioma are higher by `drift` logits."""
    rng = np.random.default_rng(5)
    with store.begin() as work:
        for k in range(READERS):
            People(work).add(f"reader-{k}", role="radiologist", password="", now=now)
        for number in range(days * a_day):
            at = now - timedelta(days=days) + timedelta(days=number / a_day, minutes=5)
            uid = f"2.25.99{number}"
            state = "failed" if number % FAILS_EVERY == 0 else "not-read" if number % UNREAD_EVERY == 0 else "read"
            reason = {"failed": "the engine broke off", "not-read": "portable: out of scope"}.get(state, "")
            done = at + timedelta(seconds=float(rng.gamma(4, 8)))
            session = work.session
            session.add(
                StudyRow(
                    study_instance_uid=uid,
                    patient_id=f"SYN-{number:04d}",
                    study_date=f"{at:%Y%m%d}",
                    modalities="MR",
                    state=state,
                    reason=reason,
                    latest_revision=1,
                    first_received_at=at,
                    last_received_at=at,
                )
            )
            session.flush()
            session.add(
                RevisionRow(
                    study_instance_uid=uid,
                    number=1,
                    workflow_id=f"{uid}:1",
                    inputs_digest="0" * 64,
                    priority="live",
                    state="done",
                    made_at=at,
                    finished_at=done,
                )
            )
            session.flush()
            session.add(
                OriginRow(
                    study_instance_uid=uid,
                    sex=("female", "male")[number % 2],
                    age=BANDS[int(rng.integers(len(BANDS)))][1],
                    scanner=("ACME One", "ACME Two", "Other Maker X")[int(rng.integers(3))],
                )
            )
            session.add(
                EngineFactRow(
                    study_instance_uid=uid, revision=1, engine=LABEL, name="brain-mri", failed=state == "failed"
                )
            )
            if state != "read":
                continue
            session.add(
                ReadingRow(
                    study_instance_uid=uid, revision=1, state="read", folder="", digest=f"{number:064d}", made_at=done
                )
            )
            session.add(ReadingFactsRow(study_instance_uid=uid, revision=1, milliseconds=float(rng.gamma(9, 30))))
            session.add(
                DeliveryRow(study_instance_uid=uid, revision=1, destination="pacs", state="delivered", created_at=done)
            )
            for rank, finding in enumerate(FINDINGS, start=1):
                logit = float(rng.normal(-0.5, 1.5)) + (
                    drift if finding == "glioma" and number >= days * a_day // 2 else 0
                )
                probability = 1 / (1 + np.exp(-logit))
                positive = probability >= 0.5
                session.add(
                    FindingFactRow(
                        study_instance_uid=uid,
                        revision=1,
                        rank=rank,
                        engine=LABEL,
                        name=finding,
                        positive=positive,
                        level=3,
                        score=probability,
                        probability=probability,
                        operating_point=0.5,
                        gate="show" if positive else "",
                    )
                )
                if positive and number % 4:
                    _decide(session, rng, uid, number, finding, probability, at)
    return days * a_day


def _decide(
    session: Session, rng: np.random.Generator, uid: str, number: int, finding: str, probability: float, at: datetime
) -> None:
    reader, right = f"reader-{number % READERS}", rng.random() < 0.9 * probability
    opened = at + timedelta(minutes=20)
    session.add(
        ViewRow(study_instance_uid=uid, reader=reader, opened_at=opened, with_ai=number % 3 > 0, overlays=number % 2)
    )
    session.add(
        DecisionRow(
            study_instance_uid=uid,
            series_key=f"{uid}.1",
            finding=finding,
            engine=LABEL,
            reading_digest=f"{number:064d}",
            reader=reader,
            outcome="accept" if right else "reject",
            reason="" if right else ("wrong-finding", "wrong-place")[number % 2],
            trust=int(rng.integers(1, 6)) if number % 2 else None,
            at=opened + timedelta(seconds=float(rng.gamma(6, 15))),
        )
    )
