"""Readings in short: which engines, how urgent, which findings, what the quality gate decided; rows for lists."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from sqlalchemy import and_, select

from radiolucent.findings.hierarchy import ranked
from radiolucent.findings.reading import Finding, Reading, SeriesReading
from radiolucent.findings.urgency import level_number
from radiolucent.store.facts_tables import EngineFactRow, FindingFactRow, ReadingFactsRow
from radiolucent.store.records import ReadingRecord, record
from radiolucent.store.study_tables import ReadingRow
from radiolucent.store.unit_of_work import Work

Unread = Literal["", "out-of-scope", "unreadable", "engine-failed"]
"""Why a series has no result: no engine may read it, its pixels can't be decoded, an engine broke off."""
_FAILED, _UNREADABLE = "engine-failed", ("unreadable-pixels",)
_ENGINE = re.compile(r"([\w.-]+@[\w.+-]+) failed on this series")
"""As `pipeline.read_study` words it where another engine read the series."""
GATE = ("show", "show-with-warning", "do-not-show")


@dataclass(frozen=True, kw_only=True)
class EngineFact:
    """What one engine (``name@version``) did; `level` is of its most urgent finding, None without one."""

    engine: str
    level: int | None = None
    failed: bool = False

    @property
    def name(self) -> str:
        """Without the version."""
        return self.engine.partition("@")[0]


@dataclass(frozen=True, kw_only=True)
class FindingFact:
    """One finding; `gate` is one of `GATE`, or empty where no gate was asked."""

    rank: int
    engine: str
    name: str
    positive: bool
    level: int
    score: float
    probability: float | None
    operating_point: float
    gate: str = ""


@dataclass(frozen=True, kw_only=True)
class ReadingFacts:
    """One reading in short.

    Parameters
    ----------
    milliseconds : that the engines took, all series together.
    unread : the gravest kind of reason of the series without a result, or empty.
    reason : all reasons, in words.
    findings : the positive ones, as the report tells them.
    below : the others, the surest first; not looked up for lists.
    """

    milliseconds: float = 0.0
    unread: Unread = ""
    reason: str = ""
    engines: tuple[EngineFact, ...] = ()
    findings: tuple[FindingFact, ...] = ()
    below: tuple[FindingFact, ...] = ()


def facts_of(reading: Reading) -> ReadingFacts:
    """The facts of a reading."""
    findings = tuple(_fact(entry.rank, entry.finding, entry.series) for entry in ranked(reading))
    below = [(one, series) for series in reading.series for one in series.findings if not one.positive]
    below.sort(key=lambda pair: -(pair[0].score if pair[0].probability is None else pair[0].probability))
    levels: dict[str, int | None] = {series.engine.label: None for series in reading.series}
    for one in findings:
        levels[one.engine] = min(one.level, levels[one.engine] or one.level)
    failed = _failed(reading)
    engines = [EngineFact(engine=name, level=level, failed=name in failed) for name, level in levels.items()]
    engines += [EngineFact(engine=name, failed=True) for name in failed if name not in levels]
    return ReadingFacts(
        milliseconds=sum(sum(series.milliseconds.values()) for series in reading.series),
        unread=_unread(reading),
        reason=reason_of(reading),
        engines=tuple(engines),
        findings=findings,
        below=tuple(_fact(rank, *pair) for rank, pair in enumerate(below, start=len(findings) + 1)),
    )


def reason_of(reading: Reading) -> str:
    """Why something of a study wasn't read, each reason once; empty where all was."""
    reasons = [refusal.reason for series in reading.unread for refusal in series.refusals]
    reasons += [problem.reason for problem in reading.problems]
    return "; ".join(dict.fromkeys(reasons))


class Facts:
    """The facts of one transaction."""

    def __init__(self, work: Work) -> None:
        self._session = work.session

    def keep(self, reading: Reading, *, revision: int) -> None:
        """Keep the facts of a reading; what is kept already stays."""
        uid, facts = reading.study_instance_uid, facts_of(reading)
        if self._session.get(ReadingFactsRow, (uid, revision)) is not None:
            return
        where = {"study_instance_uid": uid, "revision": revision}
        self._session.add(
            ReadingFactsRow(**where, milliseconds=facts.milliseconds, unread=facts.unread, reason=facts.reason)
        )
        for engine in facts.engines:
            self._session.add(EngineFactRow(**where, **asdict(engine), name=engine.name))
        for finding in (*facts.findings, *facts.below):
            self._session.add(FindingFactRow(**where, **asdict(finding)))
        self._session.flush()

    def missing(self, *, limit: int = 200) -> tuple[ReadingRecord, ...]:
        """Readings whose facts aren't kept: an earlier version made them. The newest first."""
        known = and_(
            ReadingFactsRow.study_instance_uid == ReadingRow.study_instance_uid,
            ReadingFactsRow.revision == ReadingRow.revision,
        )
        wanted = select(ReadingRow).outerjoin(ReadingFactsRow, known).where(ReadingFactsRow.revision.is_(None))
        rows = self._session.scalars(wanted.order_by(ReadingRow.made_at.desc()).limit(limit))
        return tuple(record(ReadingRecord, row) for row in rows)

    def of(self, readings: Sequence[tuple[str, int]]) -> dict[tuple[str, int], ReadingFacts]:
        """The facts of these readings (study, revision), of those that are kept."""
        found: dict[tuple[str, int], ReadingFacts] = {}
        for start in range(0, len(readings), 200):
            found |= self._some(readings[start : start + 200])
        return found

    def engines(self) -> list[str]:
        """Every engine (``name@version``) that read something here."""
        return sorted(self._session.scalars(select(EngineFactRow.engine).distinct()))

    def scores(self, engine: str, finding: str, *, limit: int = 500) -> list[FindingFact]:
        """One finding of one engine (``name@version``) in the latest readings that stand, the newest first."""
        of_reading = and_(
            FindingFactRow.study_instance_uid == ReadingRow.study_instance_uid,
            FindingFactRow.revision == ReadingRow.revision,
        )
        wanted = select(FindingFactRow).join(ReadingRow, of_reading).where(ReadingRow.withdrawn_at.is_(None))
        wanted = wanted.where(FindingFactRow.engine == engine, FindingFactRow.name == finding)
        rows = self._session.scalars(wanted.order_by(ReadingRow.made_at.desc()).limit(limit))
        return [record(FindingFact, row) for row in rows]

    def _some(self, readings: Sequence[tuple[str, int]]) -> dict[tuple[str, int], ReadingFacts]:
        studies, wanted = [study for study, _ in readings], set(readings)
        engines: dict[tuple[str, int], list[EngineFact]] = {}
        findings: dict[tuple[str, int], list[FindingFact]] = {}
        for row in self._session.scalars(select(EngineFactRow).where(EngineFactRow.study_instance_uid.in_(studies))):
            fact = EngineFact(engine=row.engine, level=row.level, failed=row.failed)
            engines.setdefault((row.study_instance_uid, row.revision), []).append(fact)
        of_studies = select(FindingFactRow).where(
            FindingFactRow.study_instance_uid.in_(studies), FindingFactRow.positive
        )
        for one in self._session.scalars(of_studies.order_by(FindingFactRow.rank)):
            findings.setdefault((one.study_instance_uid, one.revision), []).append(record(FindingFact, one))
        rows = self._session.scalars(select(ReadingFactsRow).where(ReadingFactsRow.study_instance_uid.in_(studies)))
        return {
            key: ReadingFacts(
                milliseconds=row.milliseconds,
                unread=row.unread,  # type: ignore[arg-type]
                reason=row.reason,
                engines=tuple(engines.get(key, ())),
                findings=tuple(findings.get(key, ())),
            )
            for row in rows
            if (key := (row.study_instance_uid, row.revision)) in wanted
        }


def _fact(rank: int, finding: Finding, series: SeriesReading) -> FindingFact:
    return FindingFact(
        rank=rank,
        engine=series.engine.label,
        name=finding.name,
        positive=finding.positive,
        level=level_number(finding.urgency),
        score=finding.score,
        probability=finding.probability,
        operating_point=finding.operating_point,
        gate=finding.explanation.decision if finding.explanation else "",
    )


def _failed(reading: Reading) -> tuple[str, ...]:
    """The engines that broke off somewhere in this study."""
    refused = [one.engine for series in reading.unread for one in series.refusals if one.code == _FAILED]
    told = [_ENGINE.findall(problem.reason) for problem in reading.problems if problem.code == _FAILED]
    return tuple(dict.fromkeys([*refused, *(name for names in told for name in names)]))


def _unread(reading: Reading) -> Unread:
    codes = {one.code for series in reading.unread for one in series.refusals}
    codes |= {problem.code for problem in reading.problems}
    if not codes and reading.series:
        return ""
    if _FAILED in codes:
        return "engine-failed"
    return "unreadable" if codes.intersection(_UNREADABLE) or not reading.unread else "out-of-scope"
