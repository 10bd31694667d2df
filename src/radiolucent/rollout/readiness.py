"""Whether an engine has earned the next phase: each criterion with the figure that was measured, and its n."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from radiolucent.monitor.measures import wilson
from radiolucent.rollout.phases import Criterion, Metric


@dataclass(frozen=True, kw_only=True)
class Experience:
    """What happened in the present phase, as counts.

    Parameters
    ----------
    readings, failures : studies that the engine was asked to read; how many of them ended as failed.
    decisions, accepted, wrong_place : findings that readers decided on; accepted as they were; right but misplaced.
    readers, trained : accounts that may see heatmaps; how many of them have done the training.
    """

    days_in_phase: float
    readings: int
    failures: int
    decisions: int
    accepted: int
    wrong_place: int
    readers: int
    trained: int


@dataclass(frozen=True, kw_only=True)
class Checked:
    """One criterion, the figure that stands against it (None: not known), of how many, and whether it holds."""

    criterion: Criterion
    figure: float | None
    n: int
    holds: bool


def readiness(experience: Experience, criteria: Sequence[Criterion]) -> tuple[Checked, ...]:
    """Check every criterion; a figure that isn't known never holds."""
    return tuple(_check(experience, criterion) for criterion in criteria)


def ready(checked: Sequence[Checked]) -> bool:
    """True where there is something to check and all of it holds."""
    return bool(checked) and all(one.holds for one in checked)


def _check(experience: Experience, criterion: Criterion) -> Checked:
    figure, n = _figure(experience, criterion.metric)
    holds = figure is not None and (
        (criterion.at_least is not None and figure >= criterion.at_least)
        or (criterion.at_most is not None and figure <= criterion.at_most)
    )
    return Checked(criterion=criterion, figure=figure, n=n, holds=holds)


def _figure(experience: Experience, metric: Metric) -> tuple[float | None, int]:
    failures = wilson(experience.failures, experience.readings)
    agreement = wilson(experience.accepted, experience.decisions)
    misplaced = wilson(experience.wrong_place, experience.decisions)
    trained = experience.trained / experience.readers if experience.readers else None
    figures: dict[Metric, tuple[float | None, int]] = {
        "days_in_phase": (experience.days_in_phase, 1),
        "readings": (experience.readings, experience.readings),
        "decisions": (experience.decisions, experience.decisions),
        "agreement_low": (agreement.low, agreement.n),
        "wrong_place_high": (misplaced.high, misplaced.n),
        "failure_rate_high": (failures.high, failures.n),
        "trained_share": (trained, experience.readers),
    }
    return figures[metric]
