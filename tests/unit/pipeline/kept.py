"""A store with readings in it as the gateway keeps them, and queues in memory, for tests of what goes out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from radiolucent.findings.reading import Reading
from radiolucent.findings.urgency import level_number
from radiolucent.pipeline.messages import FOLDER, STATUS
from radiolucent.results.reading_json import dump, pack_evidence, readings_to_json
from radiolucent.store.alerts import Alerts, NoticeRecord, Notices
from radiolucent.store.audit import AuditTrail, Filter
from radiolucent.store.instances import Instances, NewInstance, StudyHeader
from radiolucent.store.records import ReadingRecord
from radiolucent.store.revisions import NewReading, Readings, Revisions
from radiolucent.store.site import Site
from radiolucent.store.unit_of_work import Store, open_store
from tests.unit.results.messages import FACTS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def open_kept(folder: Path) -> Store:
    return open_store("", folder / "data")


def keep(
    store: Store, reading: Reading, revision: int = 1, *, at: datetime = NOW, priority: str = "live"
) -> ReadingRecord:
    """A revision that was read: its rows, its document, and what is known of its order."""
    uid = reading.study_instance_uid
    place = f"readings/{uid}/{revision}"
    messages = store.folder / place / FOLDER
    messages.mkdir(parents=True)
    document, maps = readings_to_json((reading,), problems=(), made_at=at, software="test")
    (store.folder / place / "reading.json").write_text(dump(document), encoding="utf-8")
    (store.folder / place / "evidence.npz").write_bytes(pack_evidence(maps))
    (messages / STATUS).write_text(
        json.dumps({"status": "preliminary", "refused": {}, "order": asdict(FACTS)}), encoding="utf-8"
    )
    new = NewInstance(
        sop_instance_uid=f"{uid}.{revision}", sop_class_uid="1.2", series_instance_uid=f"{uid}.1",
        study_instance_uid=uid, transfer_syntax_uid="1.2", digest=str(revision), path="p", size_bytes=1,
        source_kind="c-store", association_id="a",
    )  # fmt: skip
    levels = [level_number(one.urgency) for one in reading.findings if one.positive and one.urgency]
    with store.begin() as work:
        Instances(work).add(new, StudyHeader(modality="DX", priority=priority), at=at)
        made = Revisions(work).plan(uid, Instances(work).of_study(uid), ["e"], made_at=at)
        assert made is not None
        Revisions(work).enqueued(uid, made.number, at=at)
        kept = Readings(work).add(
            NewReading(
                study_instance_uid=uid,
                revision=revision,
                state=reading.state,
                folder=place,
                digest="d",
                urgency=min(levels, default=None),
                positives="",
                engines="\\".join(series.engine.label for series in reading.series),
                made_at=at,
            )
        )
        Instances(work).finish([one.id for one in Revisions(work).inputs(uid, revision)], "read", revision=revision)
        Revisions(work).finished(uid, revision, reading.state, at=at)
    return kept


def phase(store: Store, engine: str, value: str) -> None:
    with store.begin() as work:
        Site(work).set_phase(engine, value, now=NOW)


def stop(store: Store, reason: str) -> None:
    with store.begin() as work:
        Site(work).set("ai_stopped", reason)


def alerts_of(store: Store, uid: str) -> dict[str, str]:
    """Finding → state."""
    with store.read() as work:
        return {one.finding: one.state for one in Alerts(work).of_study(uid)}


def notices_of(store: Store, uid: str) -> list[tuple[str, str, str]]:
    """(channel, turn, state) of every message about a study, oldest first."""
    with store.read() as work:
        found = [one for alert in Alerts(work).of_study(uid) for one in Notices(work).of_alert(alert.key)]
    return [(one.channel, one.turn, one.state) for one in sorted(found, key=lambda one: one.id)]


def events(store: Store, kind: str = "alert") -> list[str]:
    """Kinds of events, oldest first."""
    with store.read() as work:
        return [one.event.kind for one in reversed(AuditTrail(work).find(Filter(kind=kind), limit=500))]


class MemoryQueue:
    """Takes messages as the real queue does: a second time changes nothing."""

    def __init__(self) -> None:
        self.notices: list[NoticeRecord] = []
        self.said: dict[int, str] = {}

    def alert(self, notice: NoticeRecord) -> None:
        if (notice.id, notice.attempts) not in {(one.id, one.attempts) for one in self.notices}:
            self.notices.append(notice)

    def alert_states(self, notices: Sequence[NoticeRecord]) -> dict[int, str]:
        return {one.id: self.said[one.id] for one in notices if one.id in self.said}
