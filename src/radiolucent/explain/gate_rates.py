"""How often the gate shows, warns and holds back, and by which check: the figures that are watched over time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from radiolucent.findings.reading import ExplanationVerdict, Reading

Kept = tuple[str, str, ExplanationVerdict]
"""Engine ``name@version``, finding, and the gate's word."""


@dataclass(frozen=True, kw_only=True)
class GateRate:
    """What became of the maps of one engine under one policy.

    Parameters
    ----------
    engine : ``name@version``; another version is another row.
    use_case : whose policy judged.
    n : maps of findings above their threshold.
    shown, warned, held_back : of them; they add up to `n`.
    by_check : (name, maps that it warned of or held back), most first; one map may count for several checks.
    """

    engine: str
    use_case: str
    n: int
    shown: int
    warned: int
    held_back: int
    by_check: tuple[tuple[str, int], ...]

    @property
    def held_back_share(self) -> float:
        """In [0, 1]."""
        return self.held_back / self.n

    @property
    def warned_share(self) -> float:
        """In [0, 1]."""
        return self.warned / self.n


def gate_rates(verdicts: Iterable[Kept]) -> tuple[GateRate, ...]:
    """One row an engine version and use case, sorted by both; nothing where nothing was judged.

    Examples
    --------
    >>> from radiolucent.explain.gate import CaseMeasures, judge_case
    >>> bad, unknown = judge_case(CaseMeasures(completeness=0.0)), judge_case(CaseMeasures(completeness=1.0))
    >>> (row,) = gate_rates([("brain-mri@1", "glioma", bad), ("brain-mri@1", "glioma", unknown)])
    >>> row.n, row.shown, row.warned, row.held_back, row.by_check
    (2, 0, 1, 1, (('in-body', 2), ('completeness', 1)))
    """
    groups: dict[tuple[str, str], list[ExplanationVerdict]] = {}
    for engine, _, verdict in verdicts:
        groups.setdefault((engine, verdict.use_case), []).append(verdict)
    return tuple(_rate(*key, groups[key]) for key in sorted(groups))


def verdicts_of(readings: Iterable[Reading]) -> tuple[Kept, ...]:
    """Every verdict in the readings, in their order."""
    return tuple(
        (series.engine.label, finding.name, finding.explanation)
        for reading in readings
        for series in reading.series
        for finding in series.findings
        if finding.explanation is not None
    )


def _rate(engine: str, use_case: str, verdicts: list[ExplanationVerdict]) -> GateRate:
    decisions = Counter(one.decision for one in verdicts)
    checks = Counter(check.name for one in verdicts for check in one.checks if check.result != "pass")
    return GateRate(
        engine=engine,
        use_case=use_case,
        n=len(verdicts),
        shown=decisions["show"],
        warned=decisions["show-with-warning"],
        held_back=decisions["do-not-show"],
        by_check=tuple(sorted(checks.items(), key=lambda item: (-item[1], item[0]))),
    )
