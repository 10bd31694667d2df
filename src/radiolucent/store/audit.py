"""The audit trail: events are appended in the transaction of what they tell of, searched, verified and anchored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Select, func, select

from radiolucent.audit.chain import GENESIS, Anchor, Entry, Verdict, link, verify
from radiolucent.audit.events import SYSTEM, Anchored, Event, from_body, to_body
from radiolucent.errors import AuditError
from radiolucent.store.audit_tables import AuditHeadRow, AuditRow
from radiolucent.store.unit_of_work import Store, Work

ANCHORS = "anchors"
"""Folder of anchors below the store's."""
SHOWN = "shown"
SHOWN_KINDS = (
    "study.viewed",
    "heatmap.sent",
    "overlay.toggled",
    "explanation.sent",
    "ai.revealed",
    "alerts.viewed",
    "result.withheld",
)
"""With study and time these answer what was shown to whom: the page, its maps, what was switched on, what was kept."""
_HEAD = 1
_BATCH = 1000


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Which entries are wanted; an empty field takes all.

    `kind` may be the beginning of one (``login``), or ``shown``: all that tells what was shown to whom.
    """

    since: datetime | None = None
    until: datetime | None = None
    actor: str = ""
    kind: str = ""
    study_instance_uid: str = ""


@dataclass(frozen=True, kw_only=True)
class Written:
    """An event with its place in the chain."""

    number: int
    digest: str
    event: Event


class AuditTrail:
    """The trail, as one transaction sees it."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def append(self, event: Event) -> Entry:
        """Add an event to the end: it is there if, and only if, the transaction that it belongs to is committed."""
        head = self._session.get(AuditHeadRow, _HEAD, with_for_update=True)
        if head is None:
            head = AuditHeadRow(id=_HEAD, number=0, digest=GENESIS)
            self._session.add(head)
        entry = link(head.number + 1, event.kind, to_body(event), previous=head.digest)
        self._session.add(
            AuditRow(
                number=entry.number,
                at=event.at,
                kind=entry.kind,
                actor=event.actor,
                study_instance_uid=event.study_instance_uid,
                body=entry.body,
                previous=entry.previous,
                digest=entry.digest,
            )
        )
        head.number, head.digest = entry.number, entry.digest
        self._session.flush()
        return entry

    def find(self, wanted: Filter, *, limit: int = 200, offset: int = 0) -> list[Written]:
        """Events, newest first."""
        rows = self._session.scalars(
            _where(select(AuditRow), wanted).order_by(AuditRow.number.desc()).limit(limit).offset(offset)
        )
        return [Written(number=row.number, digest=row.digest, event=from_body(row.kind, row.body)) for row in rows]

    def count(self, wanted: Filter) -> int:
        """How many events there are."""
        return self._session.scalar(_where(select(func.count(AuditRow.number)), wanted)) or 0

    def entry(self, number: int) -> Written | None:
        """One event by its number, or None."""
        row = self._session.get(AuditRow, number)
        return Written(number=row.number, digest=row.digest, event=from_body(row.kind, row.body)) if row else None

    def head(self) -> Anchor:
        """Where the chain stands now."""
        head = self._session.get(AuditHeadRow, _HEAD)
        return Anchor(number=head.number, digest=head.digest) if head else Anchor(number=0, digest=GENESIS)

    def entries(self) -> Iterator[Entry]:
        """The whole chain, oldest first, a batch at a time."""
        yield from map(_entry, self._rows())

    def _rows(self) -> Iterator[AuditRow]:
        last = 0
        while True:
            rows = self._session.scalars(
                select(AuditRow).where(AuditRow.number > last).order_by(AuditRow.number).limit(_BATCH)
            ).all()
            if not rows:
                return
            yield from rows
            last = rows[-1].number
            self._session.expunge_all()

    def verify(self, anchors: list[Anchor] | None = None) -> Verdict:
        """Check the whole chain against its end and against earlier anchors, and that each entry is filed right."""
        head = self.head()
        # an anchor wins over the head of the same number: the head lies in the same database
        every = {head.number: head} | {anchor.number: anchor for anchor in anchors or []}
        misfiled: list[int] = []

        def entries() -> Iterator[Entry]:
            for row in self._rows():
                if not misfiled and not _is_filed_right(row):
                    misfiled.append(row.number)
                yield _entry(row)

        found = verify(entries(), anchors=every.values())
        if found.holds and misfiled:
            fault = f"entry {misfiled[0]} is filed under another time, account or study than its event tells"
            return Verdict(entries=misfiled[0] - 1, fault=fault, at=misfiled[0])
        return found


def anchor_now(store: Store, *, at: datetime, actor: str = SYSTEM, role: str = "", address: str = "") -> Path:
    """Write where the chain stands to a file in the store's folder, and that it was done into the chain."""
    with store.begin() as work:
        trail = AuditTrail(work)
        head = trail.head()
        name = _anchor_name(at)
        trail.append(Anchored(at=at, actor=actor, role=role, address=address, name=name, number=head.number))
        return write_anchor(store.folder / ANCHORS, head, at=at)


def nightly_anchor(store: Store, *, at: datetime) -> Path | None:
    """The anchor of this day (UTC), written by whoever asks first; None where it is there already."""
    if any((store.folder / ANCHORS).glob(f"audit-{at:%Y%m%d}T*.json")):
        return None
    return anchor_now(store, at=at)


def write_anchor(folder: Path, anchor: Anchor, *, at: datetime) -> Path:
    """Write where the chain stands to a file of this day, for a copy that is kept elsewhere."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / _anchor_name(at)
    text = json.dumps({"at": at.isoformat(), "number": anchor.number, "digest": anchor.digest}) + "\n"
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
    return path


def read_anchors(folder: Path) -> list[Anchor]:
    """All anchors of a folder, oldest first.

    Raises
    ------
    AuditError
        If a file there isn't an anchor.
    """
    found = []
    for path in sorted(folder.glob("audit-*.json")):
        try:
            value = json.loads(path.read_text(encoding="utf-8"))
            found.append(Anchor(number=int(value["number"]), digest=str(value["digest"])))
        except (ValueError, KeyError, TypeError) as error:
            raise AuditError(f"{path.name} is no anchor: compare it with the copy that is kept elsewhere") from error
    return found


def _anchor_name(at: datetime) -> str:
    return f"audit-{at:%Y%m%dT%H%M%S}.json"


def _entry(row: AuditRow) -> Entry:
    return Entry(number=row.number, kind=row.kind, body=row.body, previous=row.previous, digest=row.digest)


def _is_filed_right(row: AuditRow) -> bool:
    """Whether the columns that a search goes by say what the event says: the digest is over the event alone."""
    try:
        told = json.loads(row.body)
        filed = (datetime.fromisoformat(told["at"]), told["actor"], told["study_instance_uid"])
    except (ValueError, KeyError, TypeError):
        return False
    return filed == (row.at, row.actor, row.study_instance_uid)


def _where(query: Select[Any], wanted: Filter) -> Select[Any]:
    if wanted.since:
        query = query.where(AuditRow.at >= wanted.since)
    if wanted.until:
        query = query.where(AuditRow.at < wanted.until)
    if wanted.actor:
        query = query.where(AuditRow.actor == wanted.actor)
    if wanted.kind == SHOWN:
        query = query.where(AuditRow.kind.in_(SHOWN_KINDS))
    elif wanted.kind:
        query = query.where(AuditRow.kind.startswith(wanted.kind, autoescape=True))
    if wanted.study_instance_uid:
        query = query.where(AuditRow.study_instance_uid == wanted.study_instance_uid)
    return query
