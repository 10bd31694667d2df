"""What the pages never hide and never show: one test for each line of the list in docs/reading-room.md."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest
from PIL import Image

from radiolucent.phantom.studies import PhantomStudy
from radiolucent.store.site import Site
from tests.e2e.reading_room import Desk, Server, changed, colours_of, shape

Sit = Callable[..., Desk]
MAPS = "[data-viewer-finding]"
ADDRESSES = ("/worklist", "/studies/{bleed}", "/studies/{failed}", "/studies/{limb}", "/training", "/upload")


def uid(study: PhantomStudy) -> str:
    return str(study.datasets[0].StudyInstanceUID)


def at(room: Server, address: str) -> str:
    return address.format(bleed=uid(room.bleed), failed=uid(room.failed), limb=uid(room.limb))


@pytest.fixture(scope="module")
def seat(browser: Any, room: Server) -> Iterator[Desk]:
    """One desk for all that only look."""
    me = Desk(browser, room, "radiologist")
    yield me
    me.close()


@pytest.fixture
def reader(seat: Desk, room: Server) -> Desk:
    """At the study with a prior, having looked, without a map."""
    if uid(room.bleed) not in seat.tab.url or seat.tab.locator(f"{MAPS}[aria-pressed=true]").count():
        seat.study(room.bleed)
        seat.looked()
    return seat


@pytest.fixture
def shown(seat: Desk, room: Server) -> Desk:
    """The same with the map on."""
    if uid(room.bleed) not in seat.tab.url or not seat.tab.locator(f"{MAPS}[aria-pressed=true]").count():
        seat.study(room.bleed)
        seat.looked()
        seat.toggle(on=True)
    return seat


def pane(me: Desk, index: int = 0) -> str:
    return str(me.tab.locator(".viewer-pane").nth(index).inner_text())


# --- never hidden


def test_patient_id_and_date_are_on_each_pane(reader: Desk, room: Server) -> None:
    for index in (0, 1):
        assert room.bleed.datasets[0].PatientID in pane(reader, index)
        assert re.search(r"\d{4}-\d\d-\d\d", pane(reader, index))


def test_each_pane_says_current_or_prior(reader: Desk) -> None:
    assert "CURRENT" in pane(reader, 0)
    assert "PRIOR" in pane(reader, 1)


def test_model_and_version_stand_beside_each_finding(reader: Desk) -> None:
    assert "tells-bleeds@1.0.0" in reader.tab.locator("article.finding").first.inner_text()


def test_the_mode_is_on_every_page(seat: Desk, room: Server) -> None:
    for address in ADDRESSES:
        seat.go(at(room, address))
        assert "LIVE" in seat.tab.inner_text("header .badge"), address


def test_an_overlay_says_that_it_is_on_of_which_finding_by_which_method(shown: Desk) -> None:
    words = pane(shown)
    assert "AI: Intraparenchymal haemorrhage" in words
    assert "Grad-CAM" in words
    name = shown.tab.locator(".viewer-pane canvas").first.get_attribute("aria-label")
    assert "overlay Intraparenchymal haemorrhage" in name


def test_window_and_level_are_on_each_pane(reader: Desk) -> None:
    assert all(re.search(r"W \d+ L -?\d+", pane(reader, index)) for index in (0, 1))


def test_slice_and_number_of_slices_are_on_each_pane(reader: Desk) -> None:
    assert all(re.search(r"\d+/16\b", pane(reader, index)) for index in (0, 1))


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
        told = me.tab.request.get(f"{room.address}/api/v1/results/{uid(room.bleed)}:1/heat/{room.bleed.findings[0]}")
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
        for address in ("/worklist", f"/studies/{uid(room.bleed)}"):
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
    shown.tab.wait_for_timeout(300)
    assert len(shown.coloured(shape(room))) == 0


def test_a_picture_of_an_overlay_carries_legend_and_warning(reader: Desk, room: Server) -> None:
    series = room.bleed.datasets[0].SeriesInstanceUID
    plain = f"{room.address}/studies/{uid(room.bleed)}/picture.png?series={series}&frame=7"
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


# --- colour


def test_the_image_is_grey_only(reader: Desk) -> None:
    assert np.ptp(reader.pixels()[60:-60, 200:-200], axis=2).max() <= 2


def test_one_overlay_at_a_time(shown: Desk) -> None:
    assert shown.tab.locator("[data-viewer-finding][aria-pressed=true]").count() == 1


def test_inferno_comes_first_and_there_is_no_jet_and_no_turbo(reader: Desk) -> None:
    names = reader.tab.locator("label:has-text('Map') select option").all_inner_texts()
    assert names == ["inferno", "viridis", "cividis", "hot"]


def test_current_and_prior_have_the_same_absolute_scale_and_the_raw_maximum_is_printed(shown: Desk) -> None:
    told = shown.tab.evaluate("JSON.parse(document.querySelector('[data-viewer-study]').textContent)")
    scales = {one["display_scale"] for each in told["panes"] for one in each["findings"]}
    assert scales == {4.0}
    assert "largest here 6.0" in pane(shown)


def test_the_threshold_of_colour_is_on_the_legend(shown: Desk) -> None:
    assert shown.tab.locator("[data-range=threshold]").input_value() == "0.3"
    assert "1.20" in shown.tab.locator(".viewer-legend").inner_text()  # 0.30 of 4.00 logits


def test_red_and_amber_mean_urgency_and_faults_and_nothing_is_green(seat: Desk, room: Server) -> None:
    me = seat
    for address in ("/worklist", f"/studies/{uid(room.bleed)}"):
        me.go(address)
        plain = [*colours_of(me, "button"), *colours_of(me, "td, th, p:not(.fault), h1, h2, h3, a")]
        assert plain
        assert not [c for c in plain if c[0] - c[2] > 60 and c[0] - c[1] > 30]
        assert not [c for c in plain if c[1] - max(c[0], c[2]) > 40]


def test_urgency_is_number_word_and_fill(seat: Desk) -> None:
    me = seat
    me.go("/worklist")
    levels = me.tab.locator("table.worklist .level")
    assert [re.fullmatch(r"\d [a-z ]+", text) is not None for text in levels.all_inner_texts()] == [
        True
    ] * levels.count()
    fills = me.tab.evaluate(
        """[...document.querySelectorAll('table.worklist .level')].map(one => {
             const style = getComputedStyle(one); return style.backgroundColor + style.borderStyle + style.color; })"""
    )
    assert len(set(fills)) == len(set(levels.all_inner_texts()))


# --- confidence and text


def test_confidence_is_a_bar_with_the_threshold_marked_and_a_number(reader: Desk) -> None:
    bar = reader.tab.locator("article.finding svg.score").first
    assert bar.is_visible()
    assert "threshold" in bar.get_attribute("aria-label")


def test_what_is_below_its_threshold_is_one_click_away(seat: Desk, room: Server) -> None:
    me = seat
    me.study(room.glioma)
    me.looked()
    assert "tells-tumours@1.0.0" in me.tab.locator("#findings").inner_text()
    told = me.tab.request.get(f"{room.address}/api/v1/results/{uid(room.bleed)}:1").json()
    listed = {one["name"] for series in told["series"] for one in series["findings"]}
    assert listed == {room.bleed.findings[0]}  # all that the engine looks for, above its threshold or not


def test_a_map_is_called_model_attention(shown: Desk) -> None:
    words = (
        shown.tab.locator(".viewer-legend").inner_text() + shown.tab.locator("[data-viewer-finding]").first.inner_text()
    )
    assert words.casefold().count("model attention") == 2
    assert "lesion" not in words.casefold()


def test_an_empty_map_says_so_and_is_not_stretched(desk: Sit, room: Server) -> None:
    me = desk("radiologist")

    def emptied(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=bytes(len(answer.body())))

    me.tab.route("**/heat/**", emptied)
    me.study(room.bleed)
    me.looked()
    me.toggle(on=True)
    assert "no focus above threshold" in pane(me)
    assert len(me.coloured(shape(room))) == 0


# --- comparison


def test_scrolling_is_linked_and_where_it_is_no_more_than_a_guess_it_says_approximate(desk: Sit, room: Server) -> None:
    me = desk("radiologist")

    def unrelated(view: Any) -> None:
        view.update(alignments=[], alignment=None, same_space=False)

    changed(me, unrelated)
    me.study(room.bleed)
    assert "approximate" in me.tab.locator("[data-act=link]").inner_text()


def test_a_prior_of_another_version_is_not_compared_and_says_so(desk: Sit, room: Server) -> None:
    me = desk("radiologist")

    def older(view: Any) -> None:
        for one in view["panes"][1]["findings"]:
            one["engine"] = "tells-bleeds@0.9.0"

    changed(me, older)
    me.study(room.bleed)
    me.looked()
    me.toggle(on=True)
    assert len(me.coloured(shape(room))) > 50
    me.wait(lambda: "Different engine version" in pane(me, 1))
    assert len(me.coloured(shape(room), 1)) == 0


def test_what_changed_is_offered_only_where_the_prior_is_registered(desk: Sit, room: Server) -> None:
    me = desk("radiologist")

    def unregistered(view: Any) -> None:
        view.update(alignments=[], alignment=None)
        for each in view["panes"]:
            for one in each["findings"]:
                one.pop("change_url", None)

    changed(me, unregistered)
    me.study(room.bleed)
    assert me.tab.locator("[data-act=change]").count() == 0


# --- behaviour


def test_the_image_comes_first_and_no_map_is_on_at_opening(reader: Desk, room: Server) -> None:
    assert reader.pixels().max() > 200
    assert len(reader.coloured(shape(room))) == 0
    assert reader.tab.locator(".viewer-legend").is_hidden()


def test_nothing_lies_over_an_image_unasked(shown: Desk) -> None:
    assert shown.tab.locator("dialog[open]").count() == 0
    covered = shown.tab.evaluate(
        """() => { const box = document.querySelector('.viewer-stage').getBoundingClientRect();
             const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
             return top.closest('.viewer-pane') === null; }"""
    )
    assert covered is False


def test_the_decision_form_keeps_its_text_where_something_is_missing(desk: Sit, room: Server) -> None:
    me = desk("radiologist")
    me.study(room.bleed)
    me.looked()
    form = me.tab.locator("form.decision").first
    form.get_by_role("radio", name="Reject").check()
    form.get_by_label("Note").fill("on the falx")
    form.get_by_role("button", name="Submit").click()
    me.tab.wait_for_timeout(300)
    assert form.get_by_label("Note").input_value() == "on the falx"
    assert form.get_by_role("radio", name="Reject").is_checked()


def test_trust_and_decision_have_no_preset(reader: Desk) -> None:
    assert reader.tab.locator("form.decision input[type=radio]:checked").count() == 0


def test_filters_are_in_the_address_and_words_that_were_searched_are_not(desk: Sit) -> None:
    """Slice and overlay have none: an address that is passed on would carry where to look before the image was seen."""
    me = desk("radiologist")
    me.go("/worklist")
    me.tab.get_by_label("Modality").select_option("MR")
    me.tab.get_by_label("Search").fill("PHANTOM")
    me.tab.get_by_role("button", name="Show").click()
    me.wait(lambda: "MR" in me.tab.url)
    assert "PHANTOM" not in me.tab.url
    assert me.tab.locator("table.worklist tbody tr").count() == 2
