"""The worklist as it lives: what is new is told and no row moves, who reads stands there, who waits long climbs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import pytest

from radiolucent.phantom.studies import PhantomStudy, make_study
from tests.e2e.reading_room import Desk, Server
from tests.unit.conftest import BrightSpots

Sit = Callable[..., Desk]
ROWS = "table.worklist tbody tr"
DAY_S = 86_400


def uid(study: PhantomStudy) -> str:
    return str(study.datasets[0].StudyInstanceUID)


@pytest.fixture(scope="module")
def room(own_room: Server) -> Server:
    return own_room


def order(me: Desk) -> list[str]:
    """The studies in the order of their rows, by the address that each leads to."""
    return [str(one.get_attribute("href")).rpartition("/")[2] for one in me.tab.locator(f"{ROWS} th a").all()]


def row(me: Desk, study: PhantomStudy) -> str:
    return str(me.tab.locator(f"{ROWS}:has(a[href$='{uid(study)}'])").inner_text())


def arrived(room: Server, study: PhantomStudy, *, seconds_ago: float) -> None:
    """Let a study have come so long ago."""
    for document in room.folder.glob("*/reading/reading.json"):
        if uid(study) in document.read_text(encoding="utf-8"):
            then = time.time() - seconds_ago
            os.utime(document, (then, then))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("failed", "not read, engine failed: the network failed: out of memory"),
        ("limb", "not read, out of scope: "),
        ("bleed", "read"),
    ],
)
def test_what_the_ai_did_is_said_with_its_reason(desk: Sit, room: Server, name: str, words: str) -> None:
    me = desk("radiologist")
    me.go("/worklist")
    told = row(me, getattr(room, name))
    assert words in told
    assert ("no AI" in told) == (name != "bleed")


def test_who_reads_a_study_stands_in_its_row(desk: Sit, room: Server) -> None:
    lead, me = desk("lead"), desk("radiologist")
    lead.study(room.glioma)
    lead.tab.get_by_role("button", name="Take").click()
    lead.ready()
    me.go("/worklist")
    assert row(me, room.glioma).rstrip().endswith("lead")
    me.study(room.glioma)
    assert "lead reads this" in me.tab.inner_text("main")
    assert me.tab.get_by_role("button", name="Take").count() == 0
    lead.tab.get_by_role("button", name="Give back").click()
    lead.tab.wait_for_url("**/worklist")
    me.go("/worklist")
    assert row(me, room.glioma).rstrip().endswith("–")


def test_who_waits_long_climbs_but_never_to_the_critical(desk: Sit, room: Server) -> None:
    me = desk("radiologist")

    def set_urgency(study: PhantomStudy, level: str) -> None:
        me.study(study)
        me.tab.get_by_text("Set the urgency by hand").click()
        form = me.tab.locator("form[action$='/urgency']")
        form.get_by_label("Level").select_option(level)
        form.get_by_label("Reason").fill("tried in a test")
        form.get_by_role("button", name="Set").click()
        me.tab.wait_for_load_state()
        me.ready()

    set_urgency(room.failed, "3")
    set_urgency(room.limb, "4")
    me.go("/worklist")
    before = order(me)
    assert before.index(uid(room.failed)) < before.index(uid(room.limb))
    assert "by hand" in row(me, room.limb)
    arrived(room, room.limb, seconds_ago=3 * DAY_S)
    me.go("/worklist")
    after = order(me)
    assert after.index(uid(room.limb)) < after.index(uid(room.failed))
    assert after[0] == uid(room.bleed)
    assert "72:0" in row(me, room.limb)


def test_what_is_new_is_told_and_no_row_moves_until_it_is_asked_for(desk: Sit, room: Server) -> None:
    me = desk("radiologist")
    me.go("/worklist")
    before = order(me)
    assert "up to date" in me.tab.inner_text("#news")
    late: Any = BrightSpots()
    room.add(room.folder / "late", make_study("brain-mr", seed=13, slices=4, rows=128), [late])
    me.wait(lambda: "1 new, refresh" in me.tab.inner_text("#news"), seconds=120)  # the page asks every 20 s
    assert order(me) == before
    me.tab.get_by_role("link", name="1 new, refresh").click()
    me.wait(lambda: me.tab.locator(ROWS).count() == len(before) + 1)
    assert "up to date" in me.tab.inner_text("#news")
