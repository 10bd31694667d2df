"""What the pages never hide and never show: one test for each line of the list in docs/reading-room.md."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
from PIL import Image

from radiolucent.store.site import Site
from tests.e2e.reading_room import MAPS, SETTLE, Desk, Server, changed, shape, uid_of, words_on

Sit = Callable[..., Desk]
ADDRESSES = ("/worklist", "/studies/{bleed}", "/studies/{failed}", "/studies/{limb}", "/training", "/upload")


def at(room: Server, address: str) -> str:
    return address.format(bleed=uid_of(room.bleed), failed=uid_of(room.failed), limb=uid_of(room.limb))


# --- never hidden


def test_patient_id_and_date_are_on_each_pane(reader: Desk, room: Server) -> None:
    for index in (0, 1):
        assert room.bleed.datasets[0].PatientID in words_on(reader, index)
        assert re.search(r"\d{4}-\d\d-\d\d", words_on(reader, index))


def test_each_pane_says_current_or_prior(reader: Desk) -> None:
    assert "CURRENT" in words_on(reader, 0)
    assert "PRIOR" in words_on(reader, 1)


def test_model_and_version_stand_beside_each_finding(reader: Desk) -> None:
    assert "tells-bleeds@1.0.0" in reader.tab.locator("article.finding").first.inner_text()


def test_the_mode_is_on_every_page(seat: Desk, room: Server) -> None:
    for address in ADDRESSES:
        seat.go(at(room, address))
        assert "LIVE" in seat.tab.inner_text("header .badge"), address


def test_the_mode_stays_in_sight_while_the_page_is_scrolled(reader: Desk) -> None:
    reader.tab.evaluate("scrollTo(0, document.body.scrollHeight)")
    box = reader.tab.locator("header .badge").bounding_box()
    assert 0 <= box["y"] < 100
    reader.tab.evaluate("scrollTo(0, 0)")


def test_an_overlay_says_that_it_is_on_of_which_finding_by_which_method(shown: Desk) -> None:
    words = words_on(shown)
    assert "AI: Intraparenchymal haemorrhage" in words
    assert "Grad-CAM" in words
    name = shown.tab.locator(".viewer-pane canvas").first.get_attribute("aria-label")
    assert "overlay Intraparenchymal haemorrhage" in name


def test_window_and_level_are_on_each_pane(reader: Desk) -> None:
    assert all(re.search(r"W \d+ L -?\d+", words_on(reader, index)) for index in (0, 1))


def test_slice_and_number_of_slices_are_on_each_pane(reader: Desk) -> None:
    assert all(re.search(r"\d+/16\b", words_on(reader, index)) for index in (0, 1))


def test_a_number_stands_with_its_threshold(reader: Desk) -> None:
    assert re.search(r"9\d ?% .*threshold 50 ?%", reader.tab.locator("article.finding").first.inner_text(), re.DOTALL)
    reader.go("/worklist")
    assert re.search(r"9\d ?% / 50 ?%", reader.tab.locator("table.worklist tbody tr").first.inner_text())


def test_out_of_scope_is_said_in_the_list_and_on_the_page(seat: Desk, room: Server) -> None:
    me = seat
    me.go("/worklist")
    assert "reads MR; this is DX" in me.tab.inner_text("table.worklist")
    me.study(room.limb)
    assert "reads MR; this is DX" in me.tab.inner_text("main")


def test_that_the_ai_failed_is_said_in_the_list_and_on_the_page(seat: Desk, room: Server) -> None:
    me = seat
    me.go("/worklist")
    assert "out of memory" in me.tab.inner_text("table.worklist")
    me.study(room.failed)
    assert "out of memory" in me.tab.inner_text("main")


def test_the_legend_is_there_while_an_overlay_is_on(shown: Desk, room: Server) -> None:
    legend = shown.tab.locator(".viewer-legend")
    assert legend.is_visible()
    assert "grid 48 x 48" in legend.inner_text()
    assert "AI, not diagnostic" in legend.inner_text()
    shown.toggle(on=False)
    assert len(shown.coloured(shape(room))) == 0
    assert legend.is_hidden()


def test_the_state_of_the_link_is_written(reader: Desk) -> None:
    link = reader.tab.locator("[data-act=link]")
    assert "Linked" in link.inner_text()
    link.click()
    assert "Not linked" in link.inner_text()
    assert link.get_attribute("aria-pressed") == "false"


# --- never shown


def test_no_map_before_the_training(desk: Sit, room: Server) -> None:
    me = desk("viewer")
    with room.store.begin() as work:
        Site(work).step("viewer", "base-1", "majors", {})
    try:
        me.study(room.bleed)
        me.looked()
        assert me.tab.locator("[data-viewer-finding]").count() == 0
        told = me.tab.request.get(f"{room.address}/api/v1/results/{uid_of(room.bleed)}:1/heat/{room.bleed.findings[0]}")
        assert (told.status, told.json()["code"]) == (403, "training_required")
        assert "heat_url" not in me.tab.content() or '"heat_url": null' in me.tab.content()
    finally:
        with room.store.begin() as work:
            Site(work).step("viewer", "base-1", "majors", {"tells-bleeds": "1", "tells-tumours": "1"})


def test_nothing_of_the_ai_in_shadow(desk: Sit, room: Server) -> None:
    with room.store.begin() as work:
        Site(work).set_phase("tells-bleeds", "shadow", now=datetime.now(UTC))
    try:
        me = desk("lead")
        for address in ("/worklist", f"/studies/{uid_of(room.bleed)}"):
            me.go(address)
            assert "haemorrhage" not in me.tab.inner_text("body").casefold()
            assert "tells-bleeds" not in me.tab.content()
    finally:
        with room.store.begin() as work:
            Site(work).set_phase("tells-bleeds", "routine", now=datetime.now(UTC))


def test_no_page_says_normal(seat: Desk, room: Server) -> None:
    for address in ADDRESSES:
        seat.go(at(room, address))
        assert not re.search(r"\bnormal\b", seat.tab.inner_text("body"), re.IGNORECASE), address


def test_an_uncalibrated_score_is_no_percentage(desk: Sit, room: Server) -> None:
    me = desk("resident")
    me.go("/training/practice/10")  # the made-up AI of the practice has no calibration
    assert "%" not in me.tab.inner_text("section.side").replace("Down, %", "").replace("Across, %", "")


def test_two_overlays_are_never_mixed_into_one_colour(shown: Desk, room: Server) -> None:
    """A second map is a contour: `pane.lines` beside `pane.map`; here the first, asked for again, goes off instead."""
    assert len(shown.coloured(shape(room))) > 50
    before = shown.drawn()
    shown.tab.locator(MAPS).first.click(modifiers=["Shift"])
    shown.tab.wait_for_selector(f"{MAPS}[aria-pressed=false]")
    shown.wait(lambda: shown.drawn() != before)
    shown.tab.evaluate(SETTLE)
    assert len(shown.coloured(shape(room))) == 0


def test_a_further_overlay_is_a_contour_with_its_own_dash_and_name(desk: Sit, room: Server) -> None:
    me = desk("radiologist")

    def second(view: Any) -> None:
        first = view["panes"][0]["findings"][0]
        view["panes"][0]["findings"].append({**first, "id": f"{first['id']}~second", "label": "Second finding"})

    changed(me, second)
    me.study(room.bleed)
    me.looked()
    me.toggle(on=True)
    one = me.pixels()
    me.tab.evaluate(
        """() => { const button = document.querySelector('[data-viewer-finding]').cloneNode(true);
             button.dataset.viewerFinding += '~second'; button.setAttribute('aria-pressed', 'false');
             document.querySelector('[data-viewer-finding]').after(button); }"""
    )
    before = me.drawn()
    me.tab.locator(f"{MAPS}[data-viewer-finding$='~second']").click(modifiers=["Shift"])
    me.tab.wait_for_selector(f"{MAPS}[data-viewer-finding$='~second'][aria-pressed=true]")
    me.wait(lambda: me.drawn() != before and "AI: Second finding" in words_on(me))
    assert "AI: Intraparenchymal haemorrhage" in words_on(me)
    moved = np.ptp(me.pixels() - one, axis=2)[: -len(one) // 4]  # words at the lower corner change, colours don't
    assert np.count_nonzero(moved > 60) < 0.25 * len(me.coloured(shape(room)))


def test_a_map_drawn_as_a_contour_alone_says_what_it_is(shown: Desk, room: Server) -> None:
    filled = len(shown.coloured(shape(room)))
    shown.tab.locator(".viewer-pane").first.focus()
    shown.press("KeyC")
    shown.wait(lambda: 0 < len(shown.coloured(shape(room))) < filled / 2)
    assert "AI: Intraparenchymal haemorrhage" in words_on(shown)
    assert shown.tab.locator(".viewer-legend").is_visible()
    shown.press("KeyC")


def test_a_picture_of_an_overlay_carries_legend_and_warning(reader: Desk, room: Server) -> None:
    series = room.bleed.datasets[0].SeriesInstanceUID
    plain = f"{room.address}/studies/{uid_of(room.bleed)}/picture.png?series={series}&frame=7"
    image = Image.open(io.BytesIO(reader.tab.request.get(plain).body()))
    drawn = Image.open(io.BytesIO(reader.tab.request.get(f"{plain}&finding={room.bleed.findings[0]}").body()))
    assert drawn.width == image.width
    assert drawn.height > image.height  # the legend lies below the anatomy, and covers none


def test_no_patient_name_in_title_or_address(seat: Desk, room: Server) -> None:
    for address in ADDRESSES:
        seat.go(at(room, address))
        names = {part for part in re.split(r"\W+", str(room.bleed.datasets[0].PatientName).upper()) if part}
        assert names
        assert not names & set(re.split(r"\W+", f"{seat.tab.title()} {seat.tab.url}".upper())), address
