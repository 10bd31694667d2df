"""Which results may leave the gateway."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from radiolucent.pipeline.revisions import SEPARATOR, withheld_from_sending
from radiolucent.rollout.phases import PHASES
from radiolucent.store.site import Site
from radiolucent.store.unit_of_work import open_store

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
BOTH = SEPARATOR.join(["brain-mri@0.1.0", "head-ct@0.1.0"])


@pytest.mark.parametrize("phase", PHASES)
def test_a_result_stays_inside_while_one_of_its_engines_is_in_shadow(tmp_path: Path, phase: str) -> None:
    store = open_store("", tmp_path / "data")
    with store.begin() as work:
        Site(work).set_phase("brain-mri", phase, now=NOW)
        Site(work).set_phase("head-ct", PHASES[-1], now=NOW)
    with store.read() as work:
        assert withheld_from_sending(work, BOTH) == ("shadow" if phase == "shadow" else "")
        assert withheld_from_sending(work, "head-ct@0.1.0") == ""
    store.close()


def test_the_kill_switch_holds_everything_back(tmp_path: Path) -> None:
    store = open_store("", tmp_path / "data")
    with store.begin() as work:
        Site(work).set_phase("brain-mri", PHASES[-1], now=NOW)
        Site(work).set("ai_stopped", "wrong results")
    with store.read() as work:
        assert withheld_from_sending(work, BOTH) == "stopped"
    store.close()


def test_an_engine_whose_phase_nobody_keeps_is_not_held_back(tmp_path: Path) -> None:
    store = open_store("", tmp_path / "data")
    with store.read() as work:
        assert withheld_from_sending(work, "chest@0.1.0") == ""
    store.close()
