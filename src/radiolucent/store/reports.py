"""The report text of a study, version by version: a draft of a reader, and what a radiologist signed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import select

from radiolucent.errors import ReportChanged
from radiolucent.store.records import record
from radiolucent.store.report_tables import ReportRow
from radiolucent.store.unit_of_work import Work

SIGNED: Final = ("final", "corrected")


@dataclass(frozen=True, kw_only=True)
class Report:
    """One version of a study's report (`ReportRow`)."""

    study_instance_uid: str
    number: int
    status: str
    findings: str
    impression: str
    ai_findings: str = ""
    ai_impression: str = ""
    reading_digest: str = ""
    author: str
    at: datetime

    @property
    def is_signed(self) -> bool:
        """Whether a radiologist signed it."""
        return self.status in SIGNED

    def __repr__(self) -> str:  # a log line must not hold a report
        return f"Report({self.study_instance_uid}, {self.number}, {self.status})"


class Reports:
    """The reports, as one transaction sees them."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def versions(self, study: str) -> list[Report]:
        """All versions of a study's report, oldest first."""
        wanted = select(ReportRow).where(ReportRow.study_instance_uid == study).order_by(ReportRow.number)
        return [record(Report, row) for row in self._session.scalars(wanted)]

    def keep(
        self,
        study: str,
        *,
        findings: str,
        impression: str,
        author: str,
        sign: bool,
        base: int,
        now: datetime,
        ai: tuple[str, str] = ("", ""),
        reading_digest: str = "",
    ) -> Report:
        """Keep a new version.

        Parameters
        ----------
        sign : makes it ``final``, or ``corrected`` after a signed one; else it is ``preliminary``.
        base : number of the version that its author began with; 0 where there was none.
        ai : the AI's findings and impression as the author was shown them.

        Raises
        ------
        ReportChanged
            If someone kept another version since.
        """
        before = self.versions(study)
        latest = before[-1].number if before else 0
        if base != latest:
            who = before[-1].author if before else "nobody"
            raise ReportChanged(f"{who} kept version {latest} of this report meanwhile: look at it first")
        status = "preliminary" if not sign else "corrected" if any(one.is_signed for one in before) else "final"
        row = ReportRow(
            study_instance_uid=study,
            number=latest + 1,
            status=status,
            findings=findings,
            impression=impression,
            ai_findings=ai[0],
            ai_impression=ai[1],
            reading_digest=reading_digest,
            author=author,
            at=now,
        )
        self._session.add(row)
        self._session.flush()
        return record(Report, row)
