"""The viewer in a real browser: the right pixels in the right places, linked in mm, by keyboard, without WebGL too."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.e2e.reading_room import FLAGS, NOISE, SETTLE
from tests.e2e.viewer_page import COLUMNS, PEAK, PLACE, ROWS, SLICES, Page, served

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: make test")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("needs chromium: run scripts/install-peers")
    with playwright.sync_playwright() as started:
        launched = started.chromium.launch(executable_path=path, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def page(browser: Any) -> Iterator[Page]:
    with served() as told:
        yield told


class Seen:
    """An open page and what its console said."""

    def __init__(self, browser: Any, address: str, query: str = "") -> None:
        self.tab = browser.new_page(viewport={"width": 1300, "height": 800})
        self.errors: list[str] = []
        self.tab.on(
            "console", lambda said: self.errors.append(said.text) if said.type in ("error", "warning") else None
        )
        self.tab.on("pageerror", lambda error: self.errors.append(str(error)))
        self.tab.goto(address + query)
        self.panes = self.tab.locator(".viewer-pane")
        self.tab.wait_for_selector(".viewer-pane[data-ready=true]", timeout=60_000)
        self.panes.first.focus()

    def frame(self, pane: int = 0) -> int:
        return int(self.panes.nth(pane).get_attribute("data-frame"))

    def press(self, *keys: str) -> None:
        for key in keys:
            before = [one.get_attribute("data-drawn") for one in self.panes.all()]
            self.tab.keyboard.press(key)
            self.tab.wait_for_function(
                "before => [...document.querySelectorAll('.viewer-pane')]"
                ".some((pane, index) => pane.dataset.drawn !== before[index])",
                arg=before,
                timeout=30_000,
            )
        self.tab.evaluate(SETTLE)

    def shot(self, pane: int = 0) -> NDArray[np.float64]:
        stage = self.panes.nth(pane).locator(".viewer-stage")
        return np.asarray(Image.open(io.BytesIO(stage.screenshot())).convert("RGB"), dtype=np.float64)

    def coloured(self, pane: int = 0) -> Any:
        """(row, column) in image pixels of everything within the image that is clearly not grey."""
        picture = self.shot(pane)
        colourful = np.ptp(picture, axis=2) > 40
        height, width = colourful.shape
        scale = min(width / COLUMNS, height / ROWS)
        places = np.argwhere(colourful).astype(np.float64)
        middle = np.array([height / 2, width / 2])
        found = (places + 0.5 - middle) / scale + np.array([(ROWS - 1) / 2, (COLUMNS - 1) / 2])
        inside = ((found > 0) & (found < (ROWS - 1, COLUMNS - 1))).all(axis=1)
        return np.asarray(found[inside])

    def quiet(self) -> bool:
        return [text for text in self.errors if NOISE not in text] == []


@pytest.mark.parametrize("query", ["", "?nogl"], ids=["webgl2", "canvas2d"])
def test_the_overlay_lies_where_the_evidence_is(browser: Any, page: Page, query: str) -> None:
    seen = Seen(browser, page.address, query)
    assert seen.panes.first.get_attribute("data-painter") == ("canvas2d" if query else "webgl2")
    assert len(seen.coloured()) == 0
    seen.press("Shift+Digit1")
    assert seen.frame() == PEAK
    found = seen.coloured()
    assert len(found) > 50
    assert np.abs(found.mean(axis=0) - (np.array(PLACE) // 8 * 8 + 3.5)).max() < 4
    assert np.abs(found - found.mean(axis=0)).max() < 10
    seen.press("ArrowDown")
    assert len(seen.coloured()) == 0
    assert seen.quiet(), seen.errors
    seen.tab.close()


def test_the_image_is_windowed_from_black_to_white(browser: Any, page: Page) -> None:
    seen = Seen(browser, page.address)
    height, width = seen.shot().shape[:2]
    scale = min(width / COLUMNS, height / ROWS)

    def line() -> NDArray[np.float64]:
        left = round(width / 2 - COLUMNS * scale / 2)
        row = seen.shot()[height * 3 // 4, left + 12 : left + round(COLUMNS * scale) - 12]
        return np.asarray(row.mean(axis=1), dtype=np.float64)

    seen.tab.get_by_label("Width").fill("2000")
    seen.tab.get_by_label("Width").press("Tab")
    seen.tab.get_by_label("Level").fill("0")
    seen.tab.get_by_label("Level").press("Tab")
    seen.panes.first.focus()
    seen.tab.evaluate(SETTLE)
    rising = line()
    assert (np.diff(rising) >= -1).all()
    assert rising[0] < 20
    assert rising[-1] > 235
    seen.press("KeyI")
    assert line()[0] > 235
    seen.tab.close()


def test_scrolling_is_linked_in_mm_and_can_be_unlinked(browser: Any, page: Page) -> None:
    seen = Seen(browser, page.address)
    assert seen.tab.get_by_role("button", name="Linked in mm").count() == 1
    seen.press("Home")
    assert (seen.frame(0), seen.frame(1)) == (0, 2)
    seen.press("ArrowDown", "ArrowDown")
    assert (seen.frame(0), seen.frame(1)) == (2, 4)
    seen.press("End")
    assert (seen.frame(0), seen.frame(1)) == (SLICES - 1, SLICES - 1)
    seen.tab.keyboard.press("KeyL")
    seen.press("Home")
    assert (seen.frame(0), seen.frame(1)) == (0, SLICES - 1)
    seen.tab.close()


def test_the_overlay_is_hidden_while_h_is_held(browser: Any, page: Page) -> None:
    seen = Seen(browser, page.address)
    seen.press("Shift+Digit1")
    seen.tab.keyboard.down("KeyH")
    seen.tab.evaluate(SETTLE)
    assert len(seen.coloured()) == 0
    seen.tab.keyboard.up("KeyH")
    seen.tab.evaluate(SETTLE)
    assert len(seen.coloured()) > 50
    seen.tab.close()


def test_legend_words_and_state_say_what_is_on(browser: Any, page: Page) -> None:
    seen = Seen(browser, page.address)
    button = seen.tab.locator("[data-viewer-finding]")
    assert seen.tab.locator(".viewer-legend").is_hidden()
    button.click()
    seen.tab.wait_for_selector("[data-viewer-finding][aria-pressed=true]")
    legend = seen.tab.locator(".viewer-legend").inner_text()
    assert "model attention" in legend
    assert "grid 12 x 16" in legend
    assert "1.20" in legend
    assert "4.00" in legend
    assert "AI, not diagnostic" in legend
    assert "largest here 6.0" in seen.panes.first.inner_text()
    assert "CURRENT" in seen.panes.first.inner_text()
    assert "PRIOR" in seen.panes.nth(1).inner_text()
    assert "overlay Intraparenchymal haemorrhage" in seen.panes.first.locator("canvas").first.get_attribute(
        "aria-label"
    )
    button.click()
    seen.tab.wait_for_selector("[data-viewer-finding][aria-pressed=false]")
    assert [view["event"] for view in page.views] == ["overlay-shown", "overlay-hidden"]
    assert page.views[1]["ms"] > 0
    seen.tab.close()


def test_a_withheld_map_leaves_the_image_and_says_why(browser: Any, page: Page) -> None:
    page.withheld = True
    seen = Seen(browser, page.address)
    seen.tab.locator("[data-viewer-finding]").click()
    seen.tab.wait_for_selector(".viewer-status[data-code=training_required]")
    assert "training" in seen.tab.locator(".viewer-status").inner_text()
    assert len(seen.coloured()) == 0
    assert seen.shot().max() > 200
    seen.tab.close()


def test_lengths_are_in_mm_and_a_redrawn_region_reaches_the_form(browser: Any, page: Page) -> None:
    seen = Seen(browser, page.address)
    box = seen.panes.first.locator(".viewer-stage").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    seen.tab.get_by_role("button", name="Redraw region").click()
    seen.tab.mouse.move(*middle)
    seen.tab.mouse.down()
    for across, down in ((60, 0), (60, 60), (0, 60), (-10, 30)):
        seen.tab.mouse.move(middle[0] + across, middle[1] + down, steps=3)
    seen.tab.mouse.up()
    region = json.loads(seen.tab.locator("[data-viewer-region]").input_value())
    assert region["series"] == "1.1"
    assert region["frame"] == seen.frame()
    places = np.array(region["points"])
    assert len(places) > 4
    assert np.abs(places[0] - ((ROWS - 1) / 2, (COLUMNS - 1) / 2)).max() < 1
    seen.tab.close()


def test_keys_are_silent_while_somebody_types(browser: Any, page: Page) -> None:
    seen = Seen(browser, page.address)
    before = seen.frame()
    seen.tab.locator("[data-viewer-region]").focus()
    seen.tab.keyboard.press("End")
    seen.tab.keyboard.type("hi!")
    assert seen.frame() == before
    assert seen.tab.locator("[data-viewer-region]").input_value() == "hi!"
    seen.tab.close()


@pytest.fixture
def registered(browser: Any) -> Iterator[Page]:
    with served(registered=True) as told:
        yield told


def test_scrolling_goes_through_the_registration(browser: Any, registered: Page) -> None:
    seen = Seen(browser, registered.address)
    assert seen.tab.get_by_role("button", name="Linked in mm, registered").count() == 1
    assert "registered: moved 5 mm" in seen.panes.nth(1).inner_text()
    seen.press("Home")
    assert (seen.frame(0), seen.frame(1)) == (0, 1)
    seen.tab.close()


@pytest.mark.parametrize("query", ["", "?nogl"], ids=["webgl2", "canvas2d"])
def test_what_has_changed_is_blue_for_less_and_yellow_for_more(browser: Any, registered: Page, query: str) -> None:
    seen = Seen(browser, registered.address, query)
    seen.press("KeyD")
    seen.tab.wait_for_selector("[data-act=change][aria-pressed=true]")
    seen.tab.evaluate(SETTLE)
    assert "less: -4.00" in seen.tab.locator(".viewer-legend").inner_text()
    picture = seen.shot()
    height, width = picture.shape[:2]
    scale = min(width / COLUMNS, height / ROWS)

    def colour(row: float, column: float) -> NDArray[np.float64]:
        y = round(height / 2 + (row - (ROWS - 1) / 2) * scale)
        x = round(width / 2 + (column - (COLUMNS - 1) / 2) * scale)
        return np.asarray(picture[y - 2 : y + 3, x - 2 : x + 3].mean(axis=(0, 1)))

    row, column = PLACE[0] // 8 * 8 + 3.5, PLACE[1] // 8 * 8 + 3.5
    more, less, none = colour(row, column), colour(row, column - 32), colour(row, column + 24)
    assert more[0] > more[2] + 30
    assert less[2] > less[0] + 30
    assert np.ptp(none) < 10
    seen.press("KeyD")
    assert "model attention (" in seen.tab.locator(".viewer-legend").inner_text()
    assert seen.quiet(), seen.errors
    seen.tab.close()


def test_an_outline_that_a_reader_drew_is_drawn_again_on_its_image(browser: Any, registered: Page) -> None:
    seen = Seen(browser, registered.address)

    def drawn() -> int:
        """Blue pixels where the outline belongs."""
        picture = seen.shot()
        height, width = picture.shape[:2]
        scale = min(width / COLUMNS, height / ROWS)
        top, left = height / 2 - ROWS / 2 * scale, width / 2 - COLUMNS / 2 * scale
        part = picture[
            round(top + 6 * scale) : round(top + 34 * scale), round(left + 6 * scale) : round(left + 34 * scale)
        ]
        return int(((part[..., 2] > 200) & (part[..., 2] - part[..., 0] > 60)).sum())

    seen.press("Home")
    assert drawn() == 0
    for _ in range(PEAK):
        seen.press("ArrowDown")
    assert drawn() > 50
    seen.tab.get_by_role("button", name="Clear marks").click()
    seen.tab.evaluate(SETTLE)
    assert drawn() > 50
    seen.tab.close()


def test_presets_have_a_menu_and_the_stored_window_comes_back(browser: Any, page: Page) -> None:
    seen = Seen(browser, page.address)
    menu = seen.tab.get_by_label("Preset")
    stored = seen.panes.first.locator(".viewer-bl").inner_text()
    menu.select_option(label="2 lung")
    seen.tab.evaluate(SETTLE)
    assert "W 1500 L -600" in seen.panes.first.locator(".viewer-bl").inner_text()
    menu.select_option(label="as stored")
    seen.tab.evaluate(SETTLE)
    assert seen.panes.first.locator(".viewer-bl").inner_text() == stored
    seen.tab.close()
