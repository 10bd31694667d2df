"""Which results may leave the gateway."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from radiolucent.pipeline.revisions import SEPARATOR, Bench, owe_deliveries, withheld_from_sending
from radiolucent.pipeline.routing import Route
from radiolucent.rollout.phases import PHASES
from radiolucent.store.deliveries import Deliveries
from radiolucent.store.site import Site
from radiolucent.store.unit_of_work import open_store
from tests.unit.pipeline.kept import alerts_of, keep, open_kept
from tests.unit.results.messages import readings

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


def test_what_is_owed_goes_out_in_order_and_an_urgent_reading_alerts(tmp_path: Path) -> None:
    store = open_kept(tmp_path)
    bench = Bench(
        store=store,
        engines=(),
        routes=(Route(name="all", destinations=("pacs", "ris")),),
        worker="w",
        early=frozenset({"ris"}),
        clock=lambda: NOW,
    )
    uid = keep(store, readings()["critical"]).study_instance_uid
    owed = owe_deliveries(bench, uid, 1)
    assert owe_deliveries(bench, uid, 1) == owed
    with store.read() as work:
        names = [Deliveries(work).get(one).destination for one, _, _ in owed]
    assert names == ["ris", "pacs"]
    assert [place for _, _, place in owed] == sorted(place for _, _, place in owed)
    assert alerts_of(store, uid) == {"tension-pneumothorax": "open"}

    keep(store, replace(readings()["negative"], study_instance_uid=uid), 2)
    owe_deliveries(bench, uid, 2)
    assert alerts_of(store, uid) == {"tension-pneumothorax": "ended"}
    assert owe_deliveries(bench, uid, 1) == []  # it was overtaken
    with store.read() as work:
        states = {one.state for one in Deliveries(work).of_revision(uid, 1)}
    assert states == {"cancelled"}
    store.close()


def test_an_engine_whose_phase_nobody_keeps_is_not_held_back(tmp_path: Path) -> None:
    store = open_store("", tmp_path / "data")
    with store.read() as work:
        assert withheld_from_sending(work, "chest@0.1.0") == ""
    store.close()
