"""When is a study complete? Rules on plain values, asked in order; the first that applies decides.

Too early is repaired (late images make a new revision that supersedes), too late isn't: no rule waits for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final


@dataclass(frozen=True, kw_only=True)
class SeriesProgress:
    """One series, as far as it has come."""

    modality: str
    description: str
    instances: int


@dataclass(frozen=True, kw_only=True)
class StudyProgress:
    """What is known of a study that is coming in.

    Parameters
    ----------
    quiet_s : since the last instance came or the last association that brought one ended; see `elapsed_s`.
    waited_s : since the first instance of this revision came.
    open_associations : that brought instances of this study and may bring more.
    partial : an association was aborted, so that something may be missing.
    expected_instances : NumberOfStudyRelatedInstances (0020,1208) where an archive could be asked.
    """

    series: tuple[SeriesProgress, ...]
    quiet_s: float
    waited_s: float
    open_associations: int = 0
    partial: bool = False
    expected_instances: int | None = None

    @property
    def instances(self) -> int:
        """How many have come."""
        return sum(one.instances for one in self.series)


@dataclass(frozen=True, kw_only=True)
class ExpectedSeries:
    """A site's rule: a study with a series of this modality also has these.

    Parameters
    ----------
    modality : of the series that makes the rule apply.
    descriptions : patterns with ``*`` and ``?``, upper and lower case alike; each must be met by a series of its own.
    minimum_instances : of each of these series.
    """

    modality: str
    descriptions: tuple[str, ...]
    minimum_instances: int = 1

    def is_met(self, series: Sequence[SeriesProgress]) -> bool:
        """Whether it doesn't apply, or all that it asks for is there."""
        of_kind = [one for one in series if one.modality == self.modality]
        if not of_kind:
            return True
        enough = [one.description.casefold() for one in of_kind if one.instances >= self.minimum_instances]
        return _all_matched([pattern.casefold() for pattern in self.descriptions], enough)


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a study is waited for, in seconds.

    Parameters
    ----------
    quiet_s : nothing came for so long, and no association is open.
    partial_quiet_s : the same after an aborted association, so that the sender can try again.
    longest_wait_s : then what is there is read, whatever is missing.
    expected : the site's rules on series.
    """

    quiet_s: float = 20.0
    partial_quiet_s: float = 120.0
    longest_wait_s: float = 3600.0
    expected: tuple[ExpectedSeries, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Whether a study is complete, by which rule, and when to ask again if nothing comes.

    Parameters
    ----------
    rule : code of the rule that decided.
    ask_again_s : from now; None where the study is complete.
    """

    complete: bool
    rule: str
    ask_again_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of completeness.

    Parameters
    ----------
    applies : whether it decides.
    wait_s : how long until it may be otherwise if nothing comes; 0 or less completes the study.
    """

    code: str
    applies: Callable[[StudyProgress, Patience], bool]
    wait_s: Callable[[StudyProgress, Patience], float]


def _left_s(progress: StudyProgress, patience: Patience) -> float:
    """Until the longest wait is over. A study to which instances keep coming isn't cut in the middle of them."""
    return max(patience.longest_wait_s - progress.waited_s, min(patience.quiet_s, 1.0) - progress.quiet_s)


def _unmet(progress: StudyProgress, patience: Patience) -> bool:
    return not all(rule.is_met(progress.series) for rule in patience.expected)


def _quiet_left_s(progress: StudyProgress, patience: Patience) -> float:
    needed = patience.partial_quiet_s if progress.partial else patience.quiet_s
    return min(needed - progress.quiet_s, _left_s(progress, patience))


RULES: Final = (
    Rule(
        code="nothing-yet", applies=lambda study, _: study.instances == 0, wait_s=lambda _, patience: patience.quiet_s
    ),
    Rule(
        code="longest-wait",
        applies=lambda study, patience: _left_s(study, patience) <= 0,
        wait_s=lambda *_: 0.0,
    ),
    Rule(code="association-open", applies=lambda study, _: study.open_associations > 0, wait_s=_left_s),
    Rule(
        code="all-instances",
        applies=lambda study, _: (
            study.expected_instances is not None and study.instances >= study.expected_instances > 0
        ),
        wait_s=lambda *_: 0.0,
    ),
    Rule(
        code="instances-missing",
        applies=lambda study, _: study.expected_instances is not None and study.instances < study.expected_instances,
        wait_s=_left_s,
    ),
    Rule(code="series-missing", applies=_unmet, wait_s=_left_s),
    Rule(code="quiet", applies=lambda *_: True, wait_s=_quiet_left_s),
)
"""In the order in which they are asked; the last applies always."""


def decide(progress: StudyProgress, patience: Patience) -> Decision:
    """Whether a study may be read now.

    >>> ct = SeriesProgress(modality="CT", description="Head", instances=40)
    >>> decide(StudyProgress(series=(ct,), quiet_s=5, waited_s=30), Patience(quiet_s=20))
    Decision(complete=False, rule='quiet', ask_again_s=15)
    >>> decide(StudyProgress(series=(ct,), quiet_s=5, waited_s=30, expected_instances=40), Patience()).rule
    'all-instances'
    """
    rule = next(rule for rule in RULES if rule.applies(progress, patience))
    wait_s = rule.wait_s(progress, patience)
    if wait_s <= 0:
        return Decision(complete=True, rule=rule.code)
    return Decision(complete=False, rule=rule.code, ask_again_s=wait_s)


def elapsed_s(since: datetime, now: datetime, *, longest_s: float) -> float:
    """Seconds from `since` to `now` by clocks that may have been set in between, from 0 to `longest_s`.

    A moment that lies in the future was written before the clock was set back. How long ago it was isn't known then;
    its distance is taken for it, so that a jump of an hour makes nobody wait for two, and a small one counts as new.

    >>> from datetime import UTC, timedelta
    >>> noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    >>> elapsed_s(noon, noon + timedelta(seconds=3), longest_s=60), elapsed_s(noon, noon - timedelta(1), longest_s=60)
    (3.0, 60)
    """
    return min(abs((now - since).total_seconds()), longest_s)


def _all_matched(patterns: Sequence[str], names: Sequence[str]) -> bool:
    """Whether each pattern can be given a name of its own (augmenting paths: the order of either doesn't matter)."""
    taken: dict[int, int] = {}

    def place(pattern: int, seen: set[int]) -> bool:
        for index, name in enumerate(names):
            if index in seen or not fnmatchcase(name, patterns[pattern]):
                continue
            seen.add(index)
            if index not in taken or place(taken[index], seen):
                taken[index] = pattern
                return True
        return False

    return all(place(pattern, set()) for pattern in range(len(patterns)))
