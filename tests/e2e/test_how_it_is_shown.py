"""Colour, confidence, words, comparison and behaviour: one test for each line of the list in docs/reading-room.md."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from cmap import Colormap

from tests.e2e.reading_room import SETTLE, Desk, Server, changed, colours_of, shape, uid_of, words_on

Sit = Callable[..., Desk]


# --- colour


def test_the_image_is_grey_only(reader: Desk) -> None:
    assert np.ptp(reader.pixels()[60:-60, 200:-200], axis=2).max() <= 2


def test_one_overlay_at_a_time(shown: Desk) -> None:
    assert shown.tab.locator("[data-viewer-finding][aria-pressed=true]").count() == 1


def test_inferno_comes_first_and_there_is_no_jet_and_no_turbo(reader: Desk) -> None:
    names = reader.tab.locator("label:has-text('Map') select option").all_inner_texts()
    assert names == ["inferno", "viridis", "cividis", "hot"]


@pytest.mark.parametrize("name", ["inferno", "viridis", "cividis", "hot"])
def test_colours_begin_where_a_map_is_no_longer_dark(reader: Desk, name: str) -> None:
    """The lower quarter of a map would make attention look like a lucency."""
    drawn = reader.tab.evaluate("name => import('/static/viewer/colours.js').then(one => one.gradient(name))", name)
    first = [int(value) for value in re.findall(r"\d+", drawn.split("rgb(")[1])[:3]]
    assert np.abs(np.array(first) - np.array(Colormap(name)(0.25).rgba8[:3])).max() <= 3


def test_current_and_prior_have_the_same_absolute_scale_and_the_raw_maximum_is_printed(shown: Desk) -> None:
    told = shown.tab.evaluate("JSON.parse(document.querySelector('[data-viewer-study]').textContent)")
    scales = {one["display_scale"] for each in told["panes"] for one in each["findings"]}
    assert scales == {4.0}
    assert "largest here 6.0" in words_on(shown)


def test_the_threshold_of_colour_is_on_the_legend(shown: Desk) -> None:
    assert shown.tab.locator("[data-range=threshold]").input_value() == "0.3"
    assert "1.20" in shown.tab.locator(".viewer-legend").inner_text()  # 0.30 of 4.00 logits


def test_red_and_amber_mean_urgency_and_faults_and_nothing_is_green(seat: Desk, room: Server) -> None:
    me = seat
    for address in ("/worklist", f"/studies/{uid_of(room.bleed)}"):
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
    told = me.tab.request.get(f"{room.address}/api/v1/results/{uid_of(room.bleed)}:1").json()
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
    assert "no focus above threshold" in words_on(me)
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
    me.wait(lambda: "Different engine version" in words_on(me, 1))
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
    me.tab.evaluate(SETTLE)
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


def test_escape_takes_a_choice_back_and_loses_no_text(desk: Sit, room: Server) -> None:
    me = desk("radiologist")
    me.study(room.bleed)
    me.looked()
    form = me.tab.locator("form.decision").first
    form.get_by_label("Note").fill("on the falx")
    me.tab.locator(".viewer-pane").first.focus()
    me.tab.keyboard.press("KeyR")
    assert form.get_by_role("radio", name="Reject").is_checked()
    me.tab.keyboard.press("Escape")
    assert form.locator("input[name=outcome]:checked").count() == 0
    assert form.get_by_label("Note").input_value() == "on the falx"
    assert me.tab.evaluate("document.activeElement.classList.contains('viewer-pane')")


def test_escape_leaves_a_mark_that_was_begun(desk: Sit, room: Server) -> None:
    me = desk("radiologist")
    me.study(room.glioma)
    stage = me.tab.locator(".viewer-stage").first
    me.tab.get_by_role("button", name="Length").click()
    stage.click(position={"x": 200, "y": 250})
    stage.hover(position={"x": 300, "y": 250})
    me.tab.evaluate(SETTLE)
    drawn = me.pixels()
    assert ((drawn[..., 2] - drawn[..., 0]) > 60)[240:260].sum() > 50
    me.tab.keyboard.press("Escape")
    me.tab.evaluate(SETTLE)
    left = me.pixels()
    assert ((left[..., 2] - left[..., 0]) > 60)[240:260].sum() == 0
    assert me.tab.get_by_role("button", name="Window", exact=True).get_attribute("aria-pressed") == "true"


def test_a_region_whose_mark_is_cleared_is_not_sent(desk: Sit, room: Server) -> None:
    me = desk("radiologist")
    me.study(room.glioma)
    me.looked()
    me.tab.get_by_role("button", name="Redraw region").click()
    box = me.tab.locator(".viewer-stage").first.bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    me.tab.mouse.move(*middle)
    me.tab.mouse.down()
    for across, down in ((50, 0), (50, 50), (0, 50)):
        me.tab.mouse.move(middle[0] + across, middle[1] + down, steps=3)
    me.tab.mouse.up()
    form = me.tab.locator("form.decision").first
    me.wait(lambda: "Region redrawn" in form.inner_text())
    assert form.locator("input[name=region]").input_value()
    me.tab.get_by_role("button", name="Clear marks").click()
    assert form.locator("input[name=region]").input_value() == ""
    assert "Region redrawn" not in form.inner_text()
