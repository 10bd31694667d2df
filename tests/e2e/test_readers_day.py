"""A reader's day in a real browser, on the real pages: log in, look, show the map, reject, redraw, trust, go on."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from radiolucent.phantom.studies import PhantomStudy
from radiolucent.store.room import Room
from radiolucent.store.site import Site
from radiolucent.web.access import BASE
from radiolucent.web.demo import PASSWORD
from tests.e2e.reading_room import CELL_MM, Desk, Server

Sit = Callable[..., Desk]


def uid(study: PhantomStudy) -> str:
    return str(study.datasets[0].StudyInstanceUID)


def rows_of(desk: Desk) -> list[str]:
    return [row.inner_text() for row in desk.tab.locator("table.worklist tbody tr").all()]


def shows_maps(desk: Desk) -> int:
    return int(desk.tab.locator("[data-viewer-finding]").count())


def test_a_readers_day(desk: Sit, room: Server) -> None:
    me = desk()
    tab = me.tab
    # logs in
    me.go("/")
    tab.get_by_label("Name").fill("radiologist")
    tab.get_by_label("Password").fill(PASSWORD)
    tab.get_by_role("button", name="Log in").click()
    tab.wait_for_selector("table.worklist")
    # the critical study is on top
    order = rows_of(me)
    assert "1 critical" in order[0]
    assert "haemorrhage" in order[0]
    assert "2 urgent" in order[1]
    tab.locator("table.worklist tbody tr").first.get_by_role("link").first.click()
    me.ready()
    assert uid(room.bleed) in tab.url
    # image first: nothing is coloured, and no name is in title or address
    shape = (room.bleed.datasets[0].Rows, room.bleed.datasets[0].Columns)
    assert len(me.coloured(shape)) == 0
    assert "PHANTOM" not in tab.title() + tab.url
    me.looked()
    # Shift+1 draws the map on its peak slice, where the phantom's truth is, within a cell
    me.toggle(on=True)
    truth = room.bleed.lesions[0].mask
    peak = me.frame()
    assert truth[peak].any()
    cell = CELL_MM / float(room.bleed.datasets[0].PixelSpacing[0])
    found, there = me.coloured(shape), np.argwhere(truth[peak])
    assert len(found) > 50
    assert np.abs(found.mean(axis=0) - there.mean(axis=0)).max() < cell
    # H hides it while held
    tab.keyboard.down("KeyH")
    me.wait(lambda: len(me.coloured(shape)) == 0)
    tab.keyboard.up("KeyH")
    me.wait(lambda: len(me.coloured(shape)) > 50)
    # scrolling takes the prior along
    prior = me.frame(1)
    me.press("ArrowDown", "ArrowDown", "ArrowDown")
    assert me.frame() == peak + 3
    assert me.frame(1) == pytest.approx(prior + 3, abs=1)
    me.press("ArrowUp", "ArrowUp", "ArrowUp")
    # rejects with "wrong place", redraws the region, says how much it is trusted
    form = tab.locator("form.decision").first
    assert form.locator("input[type=radio]:checked").count() == 0
    form.get_by_role("radio", name="Reject").check()
    form.locator("select[name=reason]").select_option(label="right finding, wrong place")
    form.get_by_role("group", name="Trust").get_by_label("2", exact=True).check()
    tab.get_by_role("button", name="Redraw region").click()
    box = tab.locator(".viewer-stage").first.bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    tab.mouse.move(*middle)
    tab.mouse.down()
    for across, down in ((50, 0), (50, 50), (0, 50)):
        tab.mouse.move(middle[0] + across, middle[1] + down, steps=3)
    tab.mouse.up()
    me.wait(lambda: f"image {peak + 1}" in form.inner_text())
    form.get_by_role("button", name="Submit").click()
    tab.wait_for_selector("#decisions")
    assert "right finding, wrong place" in tab.inner_text("#decisions")
    with room.store.read() as work:
        [made] = Room(work).decisions(uid(room.bleed))
    region = json.loads(made.region)
    assert (made.outcome, made.reason, made.trust) == ("reject", "wrong-place", 2)
    assert region["frame"] == peak
    assert np.abs(np.array(region["points"][0]) - (np.array(shape) - 1) / 2).max() < 1
    assert made.open_ms > 0
    assert made.overlay_ms > 0
    # goes on with the next study
    tab.locator(".viewer-pane").first.focus()
    tab.keyboard.press("KeyJ")
    tab.wait_for_url(f"**/{uid(room.glioma)}")
    me.ready()


def test_without_webgl_the_viewer_draws_the_same_places(desk: Sit, room: Server) -> None:
    me = desk("lead", without_webgl=True)
    me.study(room.bleed)
    me.looked()
    pane = me.tab.locator(".viewer-pane").first
    assert pane.get_attribute("data-painter") == "canvas2d"
    assert me.pixels().max() > 200
    shape = (room.bleed.datasets[0].Rows, room.bleed.datasets[0].Columns)
    me.toggle(on=True)
    assert len(me.coloured(shape)) > 50
    there = np.argwhere(room.bleed.lesions[0].mask[me.frame()])
    cell = CELL_MM / float(room.bleed.datasets[0].PixelSpacing[0])
    assert np.abs(me.coloured(shape).mean(axis=0) - there.mean(axis=0)).max() < cell
    me.tab.get_by_text("Pictures drawn by the server").click()
    me.wait(lambda: all(me.tab.evaluate("[...document.querySelectorAll('.drawn img')].map(i => i.naturalWidth > 0)")))


def test_a_study_whose_engine_failed_can_be_read_and_says_so(desk: Sit, room: Server) -> None:
    me = desk("radiologist")
    me.go("/worklist")
    [row] = [row for row in rows_of(me) if "out of memory" in row]
    assert "no AI" in row
    me.study(room.failed)
    assert "out of memory" in me.tab.inner_text("main")
    assert me.pixels().max() > 150
    assert shows_maps(me) == 0
    first = me.frame()
    me.tab.locator(".viewer-pane").first.focus()
    me.press("ArrowDown")
    assert me.frame() == first + 1


def test_a_map_that_can_not_be_fetched_leaves_the_image(desk: Sit, room: Server) -> None:
    me = desk("radiologist")
    me.expected = ["500"]
    me.tab.route("**/heat/**", lambda route: route.fulfill(status=500, body="{}"))
    me.study(room.glioma)
    me.looked()
    me.tab.locator("[data-viewer-finding]").first.click()
    me.wait(lambda: me.tab.inner_text(".viewer-status") != "")
    assert me.pixels().max() > 150


def test_the_untrained_are_led_through_the_training(desk: Sit, room: Server) -> None:
    me = desk("resident")
    tab = me.tab
    me.study(room.bleed)
    me.looked()
    assert shows_maps(me) == 0
    tab.locator("#findings").get_by_role("link", name="training").first.click()
    tab.get_by_role("link", name="How it fails").click()
    assert tab.locator("figure img").count() == 6
    tab.get_by_role("link", name="Training", exact=True).first.click()
    tab.get_by_role("link", name="Practice on cases").click()
    tab.locator("main").get_by_role("link", name="4", exact=True).click()
    # a case: what I see, where; then the AI; then the truth
    tab.get_by_label("Lung nodule").check()
    picture = tab.locator("[data-place] img")
    me.wait(lambda: bool(picture.evaluate("image => image.naturalWidth > 0")))
    box = picture.bounding_box()
    picture.click(position={"x": box["width"] * 0.25, "y": box["height"] * 0.52})
    assert float(tab.get_by_label("Down").input_value()) == pytest.approx(52, abs=1)
    assert float(tab.get_by_label("Across").input_value()) == pytest.approx(25, abs=1)
    assert tab.locator(".cross").is_visible()
    tab.get_by_role("button", name="Keep my reading").click()
    tab.get_by_label("right finding, wrong place").check()
    tab.get_by_role("button", name="show the truth").click()
    assert tab.inner_text("main").count("✓ right") == 3
    with room.store.read() as work:
        progress = Site(work).progress("resident", BASE)
    assert progress.done["practice:4"]["verdict"] == "wrong-place"
    assert progress.passed_at is None


@pytest.mark.parametrize(
    ("role", "links", "decides"),
    [
        ("viewer", {"Worklist", "Training"}, False),
        ("resident", {"Worklist", "Upload", "Training"}, False),
        ("radiologist", {"Worklist", "Upload", "Training"}, True),
        ("lead", {"Worklist", "Upload", "Training", "Monitoring", "Roll-out"}, True),
        (
            "admin",
            {"Worklist", "Upload", "Training", "Monitoring", "Roll-out", "Audit", "Administration"},
            True,
        ),
        ("validator", {"Worklist", "Upload", "Training", "Roll-out"}, True),
    ],
)
def test_each_role_has_its_pages_and_no_more(
    desk: Sit, room: Server, role: str, links: set[str], decides: bool
) -> None:
    me = desk(role)
    me.study(room.glioma)
    me.looked()
    assert links <= set(me.tab.locator("nav[aria-label=Pages] a").all_inner_texts())
    for name, address in (("Audit", "/audit"), ("Administration", "/admin"), ("Roll-out", "/rollout")):
        if name not in links:
            me.expected = ["403"]
            assert me.go(address) == 403
    me.study(room.glioma)
    assert (me.tab.locator("form.decision").count() > 0) == decides


def test_the_auditor_reads_the_trail_and_no_study(desk: Sit, room: Server) -> None:
    me = desk("auditor")
    me.expected = ["403"]
    assert me.go("/audit") == 200
    assert me.go("/worklist") == 403
    assert me.go(f"/studies/{uid(room.bleed)}") == 403


@pytest.mark.parametrize(
    ("phase", "badge", "text", "maps"),
    [("shadow", "SHADOW", False, False), ("text-and-urgency", "PILOT", True, False), ("heatmaps", "PILOT", True, True)],
)
def test_a_phase_decides_what_a_reader_sees(
    desk: Sit, room: Server, phase: str, badge: str, text: bool, maps: bool
) -> None:
    def enter(name: str) -> None:
        with room.store.begin() as work:
            for engine in ("tells-bleeds", "tells-tumours"):
                Site(work).set_phase(engine, name, now=datetime.now(UTC))

    enter(phase)
    try:
        me = desk("lead")
        me.study(room.bleed)
        me.looked()
        assert badge in me.tab.inner_text("header")
        assert ("haemorrhage" in me.tab.inner_text("main").casefold()) == text
        assert (shows_maps(me) > 0) == maps
        me.go("/worklist")
        assert any("haemorrhage" in row for row in rows_of(me)) == text
    finally:
        enter("routine")


def test_the_kill_switch_is_one_form_and_works_at_once(desk: Sit, room: Server) -> None:
    lead, other = desk("lead"), desk("radiologist")
    other.go("/worklist")
    assert any("haemorrhage" in row for row in rows_of(other))
    try:
        lead.go("/rollout")
        lead.tab.locator("form[action='/rollout/stop']").get_by_label("Reason").fill("tried in a test")
        lead.tab.locator("form[action='/rollout/stop'] button").click()
        lead.tab.wait_for_selector(".badge-stopped")
        other.go("/worklist")
        assert not any("haemorrhage" in row for row in rows_of(other))
        assert "tried in a test" in other.tab.inner_text("main")
        other.study(room.bleed)
        assert shows_maps(other) == 0
        assert other.pixels().max() > 150
    finally:
        with room.store.begin() as work:
            Site(work).set("ai_stopped", "")


def test_keys_alone_lead_from_the_login_to_the_map(desk: Sit, room: Server) -> None:
    me = desk("radiologist")
    me.go("/worklist")
    first = me.tab.locator("table.worklist tbody a").first
    first.focus()
    assert first.evaluate("e => getComputedStyle(e).outlineStyle") != "none"
    me.tab.keyboard.press("Enter")
    me.ready()
    button: Any = me.tab.get_by_role("button", name="I have looked at the images")
    if button.count():
        button.focus()
        me.tab.keyboard.press("Enter")
        me.ready()
    me.tab.locator("[data-viewer-finding]").first.focus()
    me.tab.keyboard.press("Enter")
    me.tab.wait_for_selector("[data-viewer-finding][aria-pressed=true]")
