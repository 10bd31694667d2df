"""When an explanation may be shown: checks of a case and of an engine, against the policy of a use case, in a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from radiolucent.errors import SetupError
from radiolucent.findings.reading import ExplanationCheck, ExplanationVerdict
from radiolucent.findings.tables import SourceKey, TableModel, read_table

Result = Literal["pass", "warn", "fail"]
CASE_CHECKS: Mapping[str, tuple[str, str]] = {
    "completeness": ("the map gives the score back", "the map doesn't give the score back"),
    "focus": ("the score has a place", "no focus: the score has no place"),
    "in-body": ("of the evidence lies in the body", "of the evidence lies in the body"),
    "in-prior": ("lies where this finding usually is", "lies where this finding usually is"),
    "focality": ("the shape is usual for this finding", "the shape is unusual for this finding"),
    "stability": ("similar under small changes of the image", "similar under small changes of the image"),
    "deletion-drop": (
        "logits lost when what it points at is taken away",
        "logits lost when what it points at is taken away",
    ),
    "agreement": (
        "of the strongest tenth is shared with other methods",
        "of the strongest tenth is shared with others",
    ),
}
EMPTY_CHECKS = ("completeness", "focus")
"""What can be asked of a map without a focus."""
ENGINE_CHECKS: Mapping[str, str] = {
    "randomisation": "rank correlation with maps of random weights",
    "random-logit": "rank correlation with maps of other findings",
    "focus-share": "cases whose map has a focus at all",
    "pointing-game": "cases whose strongest cell lies in the outline",
    "centre-margin": "pointing game beyond that of the middle of the image",
    "median-mm": "median distance of the centroids, mm",
}


class CaseLimit(TableModel):
    """Limits of one value; larger is better."""

    fail_below: float
    warn_below: float
    unknown: Result

    @model_validator(mode="after")
    def _limits_grow(self) -> CaseLimit:
        if self.fail_below > self.warn_below:
            raise ValueError("fail_below must not lie above warn_below")
        return self

    def result(self, value: float | None) -> Result:
        """What a value means."""
        if value is None:
            return self.unknown
        return "fail" if not value >= self.fail_below else "warn" if value < self.warn_below else "pass"


class UseCase(TableModel):
    """The policy of one use case: one limit a check."""

    title: str
    checks: dict[str, CaseLimit]

    @model_validator(mode="after")
    def _every_check_has_a_limit(self) -> UseCase:
        different = set(self.checks) ^ set(CASE_CHECKS)
        if different:
            raise ValueError(f"each check needs exactly one limit; look at {', '.join(sorted(different))}")
        return self


class EngineLimit(TableModel):
    """The largest or the smallest value with which an engine passes."""

    least: float | None = None
    most: float | None = None

    @model_validator(mode="after")
    def _one_of_them(self) -> EngineLimit:
        if (self.least is None) == (self.most is None):
            raise ValueError("give either least or most")
        return self

    def holds(self, value: float) -> bool:
        """True within the limit; a value that is no number never is."""
        return value >= self.least if self.least is not None else value <= float(self.most or 0)


class GateTable(TableModel):
    """All policies."""

    version: str
    default: str
    source: SourceKey
    use_cases: dict[str, UseCase] = Field(min_length=1)
    engine: dict[str, EngineLimit]

    @model_validator(mode="after")
    def _names_are_known(self) -> GateTable:
        if self.default not in self.use_cases:
            raise ValueError(f"the default {self.default!r} is no use case of the table")
        if set(self.engine) != set(ENGINE_CHECKS):
            raise ValueError(f"each engine check needs a limit: {', '.join(ENGINE_CHECKS)}")
        return self

    def use_case(self, name: str) -> tuple[str, UseCase]:
        """The use case of that name, the default for an empty one.

        Raises
        ------
        SetupError
            If there is none.
        """
        wanted = name or self.default
        if wanted not in self.use_cases:
            raise SetupError(f"no use case {wanted!r}; there are {', '.join(self.use_cases)}")
        return wanted, self.use_cases[wanted]


@cache
def default_gate() -> GateTable:
    """The packaged table."""
    return read_table("gate", GateTable)


def site_gate(path: Path) -> GateTable:
    """A site's own table in place of the packaged one.

    Raises
    ------
    InvalidTable
        If a check has no limit, limits contradict each other, or the default is no use case.
    """
    return read_table("gate", GateTable, path=path)


@dataclass(frozen=True, kw_only=True)
class CaseMeasures:
    """What was measured on one finding's map; None where it wasn't.

    Parameters
    ----------
    completeness : 1 where the map gives the score back within its tolerance, else 0; None where the map claims none.
    focus : 1 where some cell of the map reaches the colours' floor, 0 where the map is empty.
    in_body, in_prior : share of the drawn evidence inside the body, and there where the finding usually lies.
    focality : 1 where the shape is usual for the finding, else 0.
    stability : similarity under small changes of the image, in [0, 1].
    deletion_drop : logits lost when what is coloured is taken away.
    agreement : smallest overlap of the strongest tenth with the maps of the other methods that were asked, in [0, 1].
    notes : by check, words that follow its own.
    """

    completeness: float | None = None
    focus: float | None = None
    in_body: float | None = None
    in_prior: float | None = None
    focality: float | None = None
    stability: float | None = None
    deletion_drop: float | None = None
    agreement: float | None = None
    notes: Mapping[str, str] = field(default_factory=dict)

    def value(self, check: str) -> float | None:
        """By the check's name."""
        value: float | None = getattr(self, check.replace("-", "_"))
        return value


def judge_case(
    measures: CaseMeasures,
    *,
    use_case: str = "",
    table: GateTable | None = None,
    checks: Collection[str] = tuple(CASE_CHECKS),
) -> ExplanationVerdict:
    """Whether one map may be shown: the gravest of its checks decides.

    Parameters
    ----------
    checks : those that apply; of an empty map nothing else can be asked than `EMPTY_CHECKS`.

    Raises
    ------
    SetupError
        If the table has no such use case.

    Examples
    --------
    >>> judge_case(CaseMeasures(completeness=0.0)).decision
    'do-not-show'
    """
    table = table or default_gate()
    name, policy = table.use_case(use_case)
    made = tuple(
        ExplanationCheck(
            name=check,
            value=measures.value(check),
            result=limit.result(measures.value(check)),
            words=_words(check, measures, limit),
        )
        for check, limit in policy.checks.items()
        if check in checks
    )
    failed, warned = ([one for one in made if one.result == result] for result in ("fail", "warn"))
    decision: Literal["show", "show-with-warning", "do-not-show"] = (
        "do-not-show" if failed else "show-with-warning" if warned else "show"
    )
    return ExplanationVerdict(
        decision=decision,
        use_case=name,
        checks=made,
        reasons=tuple(one.words for one in (*failed, *warned)),
        table_version=table.version,
    )


@dataclass(frozen=True, kw_only=True)
class EngineVerdict:
    """Whether an engine's explanations may be released, with every check: (name, value, limit in words, holds)."""

    passes: bool
    checks: tuple[tuple[str, float, str, bool], ...]

    @property
    def failed(self) -> tuple[str, ...]:
        """Names of the checks that didn't hold."""
        return tuple(name for name, _, _, holds in self.checks if not holds)


def judge_engine(values: Mapping[str, float], *, table: GateTable | None = None) -> EngineVerdict:
    """Whether an engine's maps may be released at all. What wasn't measured is no pass: leave it out on purpose.

    Parameters
    ----------
    values : by name of `ENGINE_CHECKS`; `evaluate.explanation_release` measures them.

    Raises
    ------
    SetupError
        If a check is unknown, or there is none at all.
    """
    table = table or default_gate()
    unknown = set(values) - set(table.engine)
    if unknown or not values:
        raise SetupError(
            f"an engine is judged by {', '.join(table.engine)}; not by {', '.join(sorted(unknown)) or 'none'}"
        )
    checks = []
    for name, value in values.items():
        limit = table.engine[name]
        words = f"at least {limit.least:g}" if limit.least is not None else f"at most {limit.most:g}"
        checks.append((name, float(value), words, limit.holds(float(value))))
    return EngineVerdict(passes=all(holds for *_, holds in checks), checks=tuple(checks))


def _words(check: str, measures: CaseMeasures, limit: CaseLimit) -> str:
    value = measures.value(check)
    note = f": {measures.notes[check]}" if check in measures.notes else ""
    if value is None:
        return f"{check} was not measured{note}"
    words = CASE_CHECKS[check][0 if limit.result(value) == "pass" else 1]
    if check in ("completeness", "focus", "focality"):
        return words + note
    number = f"{value:.1f}" if check == "deletion-drop" else f"{value:.0%}"
    return f"{number} {words}{note}"
