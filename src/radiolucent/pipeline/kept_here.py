"""Why a result is sent nowhere: the reason of each code, and whose results that concerns at present."""

from __future__ import annotations

from typing import Final

from radiolucent.rollout.phases import PHASES
from radiolucent.store.site import Site
from radiolucent.store.unit_of_work import Work

REASONS: Final = {
    "shadow": "an engine is in shadow; the roll-out page takes it on",
    "stopped": "the AI is stopped at this site; the administration page lets it run",
}
"""What `audit.events.Withheld` says by its code, for a person."""


def results_kept_here(work: Work) -> str:
    """Which engines' results are sent nowhere at present, in one sentence; empty where all are sent."""
    site = Site(work)
    if site.setting("ai_stopped"):
        return f"no result is sent: {REASONS['stopped']}"
    names = ", ".join(sorted(name for name, phase in site.phases().items() if phase == PHASES[0]))
    return f"in shadow, their results are not sent until the roll-out says so: {names}" if names else ""
