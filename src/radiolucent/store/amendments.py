"""Which findings readers took out of a study's result, and which they brought back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from sqlalchemy import select

from radiolucent.store.records import record
from radiolucent.store.report_tables import AmendmentRow
from radiolucent.store.unit_of_work import Work

What = Literal["finding", "place"]
FINDING: Final[What] = "finding"
PLACE: Final[What] = "place"


@dataclass(frozen=True, kw_only=True)
class Amendment:
    """One finding of one reading, and what of it is wrong: the finding itself, or only its place."""

    series_key: str
    finding: str
    engine: str
    logit: float
    what: What
    reader: str
    at: datetime


class Amendments:
    """The amendments of studies, as one transaction sees them."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def of(self, study: str) -> list[Amendment]:
        """Those that hold, oldest first."""
        return [record(Amendment, row) for row in self._rows(study)]

    def add(self, study: str, amendment: Amendment) -> None:
        """From the next reading on; the same finding's earlier one ends."""
        self.undo(study, amendment.series_key, amendment.finding, account=amendment.reader, now=amendment.at)
        values = {name: getattr(amendment, name) for name in amendment.__dataclass_fields__}
        self._session.add(AmendmentRow(study_instance_uid=study, **values))
        self._session.flush()

    def undo(self, study: str, series_key: str, finding: str, *, account: str, now: datetime) -> int:
        """Let a finding be told again; how many amendments of it end. They stay in the table."""
        ended = [row for row in self._rows(study) if (row.series_key, row.finding) == (series_key, finding)]
        for row in ended:
            row.undone_by, row.undone_at = account, now
        self._session.flush()
        return len(ended)

    def _rows(self, study: str) -> list[AmendmentRow]:
        holds = (AmendmentRow.study_instance_uid == study, AmendmentRow.undone_at.is_(None))
        return list(self._session.scalars(select(AmendmentRow).where(*holds).order_by(AmendmentRow.id)))
