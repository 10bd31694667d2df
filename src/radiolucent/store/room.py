"""What readers did with studies: who reads, what was opened, decided, said and made urgent by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from radiolucent.store.records import record
from radiolucent.store.room_tables import ClaimRow, CommentRow, DecisionRow, UrgencyRow, ViewRow
from radiolucent.store.study_tables import SeriesRow
from radiolucent.store.unit_of_work import Work


@dataclass(frozen=True, kw_only=True)
class Decision:
    """One reader's decision on one finding (`DecisionRow`)."""

    study_instance_uid: str
    series_key: str
    finding: str
    engine: str
    reading_digest: str
    reader: str
    outcome: str
    reason: str = ""
    note: str = ""
    trust: int | None = None
    region: str = ""
    open_ms: int = 0
    overlay_ms: int = 0
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Comment:
    """A reader's words on a study."""

    reader: str
    text: str
    at: datetime


@dataclass(frozen=True, kw_only=True)
class Visit:
    """One opening of a study's page."""

    id: int
    study_instance_uid: str
    reader: str
    opened_at: datetime
    with_ai: bool
    looked_at: datetime | None
    overlays: int


class Room:
    """The reading room, as one transaction sees it."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def claims(self) -> dict[str, str]:
        """Study → who reads it."""
        return {row.study_instance_uid: row.reader for row in self._session.scalars(select(ClaimRow))}

    def claim(self, study: str, reader: str, *, now: datetime) -> str:
        """Take a study, unless someone else has it; who has it now."""
        row = self._session.get(ClaimRow, study, with_for_update=True)
        if row is None:
            row = ClaimRow(study_instance_uid=study, reader=reader, at=now)
            self._session.add(row)
            self._session.flush()
        return row.reader

    def release(self, study: str, reader: str) -> bool:
        """Give a study back; False where someone else has it or nobody."""
        row = self._session.get(ClaimRow, study)
        if row is None or row.reader != reader:
            return False
        self._session.delete(row)
        return True

    def open(self, study: str, reader: str, *, with_ai: bool, now: datetime) -> None:
        """Note that a study's page was opened."""
        self._session.add(ViewRow(study_instance_uid=study, reader=reader, opened_at=now, with_ai=with_ai, overlays=0))

    def looked(self, study: str, reader: str, *, now: datetime) -> None:
        """Note that the reader has looked at the images."""
        row = self._last_view(study, reader)
        if row is None:
            row = ViewRow(study_instance_uid=study, reader=reader, opened_at=now, with_ai=False, overlays=0)
            self._session.add(row)
        row.looked_at = row.looked_at or now

    def has_looked(self, study: str, reader: str) -> bool:
        """Whether this reader has said so, in any visit, or decided already."""
        wanted = select(func.count(ViewRow.id)).where(
            ViewRow.study_instance_uid == study, ViewRow.reader == reader, ViewRow.looked_at.is_not(None)
        )
        return bool(self._session.scalar(wanted)) or any(d.reader == reader for d in self.decisions(study))

    def overlay_opened(self, study: str, reader: str) -> None:
        """Count an overlay that was switched on in the present visit."""
        row = self._last_view(study, reader)
        if row is not None:
            row.overlays += 1

    def visits(self, *, since: datetime) -> list[Visit]:
        """All openings since then."""
        rows = self._session.scalars(select(ViewRow).where(ViewRow.opened_at >= since).order_by(ViewRow.id))
        return [record(Visit, row) for row in rows]

    def decide(self, decision: Decision) -> None:
        """Keep a decision; earlier ones stay."""
        self._session.add(DecisionRow(**{name: getattr(decision, name) for name in decision.__dataclass_fields__}))

    def decisions(self, study: str) -> list[Decision]:
        """All decisions on a study, oldest first."""
        return self._decisions(DecisionRow.study_instance_uid == study)

    def decided(self) -> frozenset[str]:
        """The studies on which anything was decided."""
        return frozenset(self._session.scalars(select(DecisionRow.study_instance_uid).distinct()))

    def decisions_since(self, since: datetime, *, engine: str = "") -> list[Decision]:
        """All decisions since then, oldest first; of one engine (``name@version``) or all."""
        return self._decisions(DecisionRow.at >= since, *([DecisionRow.engine == engine] if engine else []))

    def _decisions(self, *conditions: Any) -> list[Decision]:
        rows: Sequence[DecisionRow] = self._session.scalars(
            select(DecisionRow).where(*conditions).order_by(DecisionRow.id)
        ).all()
        return [record(Decision, row) for row in rows]

    def comment(self, study: str, reader: str, text: str, *, now: datetime) -> None:
        """Keep a reader's words."""
        self._session.add(CommentRow(study_instance_uid=study, reader=reader, text=text, at=now))

    def comments(self, study: str) -> list[Comment]:
        """All comments on a study, oldest first."""
        rows = self._session.scalars(
            select(CommentRow).where(CommentRow.study_instance_uid == study).order_by(CommentRow.id)
        )
        return [record(Comment, row) for row in rows]

    def set_urgency(self, study: str, level: int, reason: str, reader: str, *, now: datetime) -> None:
        """Set a study's urgency by hand."""
        self._session.add(UrgencyRow(study_instance_uid=study, level=level, reason=reason, reader=reader, at=now))

    def urgencies(self) -> dict[str, int]:
        """Study → the level that was set by hand last."""
        rows = self._session.scalars(select(UrgencyRow).order_by(UrgencyRow.id))
        return {row.study_instance_uid: row.level for row in rows}

    def study_of_series(self, series_instance_uid: str) -> str:
        """The study that a received series belongs to, or an empty string."""
        wanted = select(SeriesRow.study_instance_uid).where(SeriesRow.series_instance_uid == series_instance_uid)
        return self._session.scalars(wanted.limit(1)).first() or ""

    def _last_view(self, study: str, reader: str) -> ViewRow | None:
        return self._session.scalars(
            select(ViewRow)
            .where(ViewRow.study_instance_uid == study, ViewRow.reader == reader)
            .order_by(ViewRow.id.desc())
            .limit(1)
        ).first()
