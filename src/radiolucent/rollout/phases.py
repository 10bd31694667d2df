"""The four phases of an engine at a site, in order, and the criteria for leaving each: a table, ``phases.toml``."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from radiolucent.errors import SetupError

Phase = Literal["shadow", "text-and-urgency", "heatmaps", "routine"]
Metric = Literal[
    "days_in_phase",
    "readings",
    "decisions",
    "agreement_low",
    "wrong_place_high",
    "failure_rate_high",
    "trained_share",
]
PHASES: tuple[Phase, ...] = get_args(Phase)
SIGNING_ROLES = ("lead", "admin")
"""Both must sign before an engine advances; going back and stopping need one."""


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Criterion(_Row):
    """One condition on a figure: `at_least` or `at_most`, never both; `why` says where the number is from."""

    metric: Metric
    at_least: float | None = None
    at_most: float | None = None
    why: str

    @model_validator(mode="after")
    def _has_one_bound(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError(f"{self.metric} needs either at_least or at_most")
        return self


class PhaseRow(_Row):
    """One phase: what it shows, its badge on every page, and what must hold before the next one."""

    name: Phase
    label: str
    badge: str
    shows: str
    criteria: tuple[Criterion, ...] = ()


class PhaseTable(_Row):
    """All phases, in their order."""

    version: str
    phase: tuple[PhaseRow, ...]

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if tuple(row.name for row in self.phase) != PHASES:
            raise ValueError(f"the phases must be {', '.join(PHASES)}, in this order")
        return self

    def row(self, phase: Phase) -> PhaseRow:
        """The row of a phase."""
        return self.phase[PHASES.index(phase)]


@cache
def default_phases() -> PhaseTable:
    """The packaged table."""
    return _parse(files("radiolucent.rollout").joinpath("phases.toml").read_text(encoding="utf-8"), "phases.toml")


def site_phases(path: Path) -> PhaseTable:
    """A site's own table.

    Raises
    ------
    SetupError
        If the file can't be read, or a phase, figure or bound in it is unknown or missing.
    """
    try:
        return _parse(path.read_text(encoding="utf-8"), path.name)
    except OSError as error:
        raise SetupError(f"{path.name} can't be read: {error.strerror}") from error


def as_phase(name: str) -> Phase:
    """The phase of this name; what is none is shadow.

    >>> as_phase("routine"), as_phase("anything")
    ('routine', 'shadow')
    """
    return next((phase for phase in PHASES if phase == name), "shadow")


def following(phase: Phase) -> Phase | None:
    """The next phase; None after the last.

    >>> following("shadow"), following("routine")
    ('text-and-urgency', None)
    """
    place = PHASES.index(phase) + 1
    return PHASES[place] if place < len(PHASES) else None


def preceding(phase: Phase) -> Phase | None:
    """The phase before; None before the first.

    >>> preceding("routine"), preceding("shadow")
    ('heatmaps', None)
    """
    place = PHASES.index(phase)
    return PHASES[place - 1] if place else None


def _parse(text: str, name: str) -> PhaseTable:
    try:
        return PhaseTable.model_validate(tomllib.loads(text))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise SetupError(f"{name} is no table of phases: {error}") from error
