"""What is written down beside a decision: explanations on request, what adapted to the reader, when a page was left."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from radiolucent.audit.event import Action, Event


@dataclass(frozen=True, kw_only=True)
class ExplanationAsked(Event):
    """A reader asked for a map by another method; `job` names the request, `state` what became of it."""

    kind: ClassVar[str] = "explanation.asked"
    finding: str
    series: str
    method: str
    frame: int
    job: str
    state: str


@dataclass(frozen=True, kw_only=True)
class ExplanationSent(Event):
    """A map by another method was sent to a reader: its digest, and all that is needed to make it again."""

    kind: ClassVar[str] = "explanation.sent"
    action: ClassVar[Action] = "R"
    finding: str
    series: str
    method: str
    frame: int
    seed: int
    passes: int
    engine_digest: str
    inputs: str
    sha256: str
    display_scale: float


@dataclass(frozen=True, kw_only=True)
class AdaptationApplied(Event):
    """Trust rules changed what a reader sees of a reading: which, for which figures, and whether the AI comes later."""

    kind: ClassVar[str] = "adaptation.applied"
    rules: str
    figures: str
    withheld: bool
    digest: str


@dataclass(frozen=True, kw_only=True)
class AiRevealed(Event):
    """A reader gave an own reading of a study whose AI was withheld, and was then shown it."""

    kind: ClassVar[str] = "ai.revealed"
    action: ClassVar[Action] = "C"
    said: str
    digest: str


@dataclass(frozen=True, kw_only=True)
class StudyLeft(Event):
    """A reader left a study's page, so long after it was opened."""

    kind: ClassVar[str] = "study.left"
    action: ClassVar[Action] = "R"
    after_ms: int


@dataclass(frozen=True, kw_only=True)
class ReportKept(Event):
    """A reader kept a version of a study's report; `status` says whether it was signed, `sha256` is of its text."""

    kind: ClassVar[str] = "report.kept"
    action: ClassVar[Action] = "C"
    number: int
    status: str
    sha256: str
    ai_sentences: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class ResultAmended(Event):
    """A finding, or its place, was taken out of a study's result, or brought back; the study is read again for it."""

    kind: ClassVar[str] = "result.amended"
    finding: str
    series: str
    what: str
