"""What adapts to a reader, kept: the trust rules of the site, and per reading what they did and what was said first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from radiolucent.store.adaptation_tables import AdaptationRow, TrustRulesRow
from radiolucent.store.records import record
from radiolucent.store.unit_of_work import Work


@dataclass(frozen=True, kw_only=True)
class Adapted:
    """What the rules did for one reader and reading (`AdaptationRow`)."""

    study_instance_uid: str
    reader: str
    reading_digest: str
    rules: str
    figures: str
    withheld: bool
    at: datetime
    revealed_at: datetime | None = None
    said: str = ""
    note: str = ""


class Adaptations:
    """What adapts to readers, as one transaction sees it."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def rules(self) -> str:
        """The site's trust rules as TOML, or empty where the packaged ones hold."""
        wanted = select(TrustRulesRow.text).order_by(TrustRulesRow.id.desc()).limit(1)
        return self._session.scalars(wanted).first() or ""

    def set_rules(self, text: str, account: str, *, now: datetime) -> None:
        """Keep a new edition of the rules; empty brings the packaged ones back."""
        self._session.add(TrustRulesRow(text=text, account=account, at=now))

    def find(self, study: str, reader: str, digest: str) -> Adapted | None:
        """What was done when this reader first opened this reading."""
        row = self._session.get(AdaptationRow, (study, reader, digest))
        return record(Adapted, row) if row else None

    def of_reader(self, reader: str) -> dict[tuple[str, str], Adapted]:
        """All of one reader, by (study, digest of the reading)."""
        rows = self._session.scalars(select(AdaptationRow).where(AdaptationRow.reader == reader))
        return {(row.study_instance_uid, row.reading_digest): record(Adapted, row) for row in rows}

    def keep(self, adapted: Adapted) -> None:
        """Keep what was done at the first opening."""
        self._session.add(AdaptationRow(**{name: getattr(adapted, name) for name in adapted.__dataclass_fields__}))
        self._session.flush()

    def reveal(self, study: str, reader: str, digest: str, *, said: str, note: str, now: datetime) -> bool:
        """Keep a reader's own reading, which opens the AI's; False where nothing waits for it."""
        row = self._session.get(AdaptationRow, (study, reader, digest))
        if row is None or not row.withheld or row.revealed_at is not None:
            return False
        row.said, row.note, row.revealed_at = said, note, now
        return True
