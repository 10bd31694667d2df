"""The pictures are well-formed, say in words what they show, and are as high as their numbers."""

from __future__ import annotations

from xml.etree import ElementTree

from radiolucent.monitor.calibration import reliability
from radiolucent.monitor.measures import Measured, wilson
from radiolucent.monitor.pictures import Day, columns, forest, histogram, interval, reliability_diagram


def test_a_share_is_drawn_between_its_ends_and_said_in_words() -> None:
    drawn = ElementTree.fromstring(interval(wilson(8, 10)))
    assert drawn.get("aria-label") == "80%, 95 % interval 49% to 94%"
    whisker, dot = drawn[1], drawn[2]
    assert float(whisker.get("x1", "")) < float(dot.get("cx", "")) < float(whisker.get("x2", ""))


def test_what_is_not_known_is_not_drawn() -> None:
    assert interval(Measured(value=None, low=None, high=None, n=0)) == ""
    assert columns([]) == columns([Day(day="2026-01-01", studies=0, failed=0, not_read=0)]) == ""


def test_columns_are_as_high_as_their_numbers() -> None:
    days = [
        Day(day="2026-01-01", studies=4, failed=1, not_read=1),
        Day(day="2026-01-02", studies=0, failed=0, not_read=0),
        Day(day="2026-01-03", studies=8, failed=0, not_read=0),
    ]
    drawn = ElementTree.fromstring(columns(days))
    heights: dict[str | None, list[float]] = {}
    for one in drawn.findall("rect"):
        heights.setdefault(one.get("class"), []).append(float(one.get("height", "")))
    assert heights["read"][1] == 4 * heights["read"][0]
    assert heights["failed"] == heights["not-read"]
    assert "at most 8" in str(drawn.get("aria-label"))


def test_a_forest_has_a_line_for_each_share_that_is_known_and_tells_its_n() -> None:
    drawn = ElementTree.fromstring(forest([("<b>", wilson(8, 40)), ("few", wilson(1, 2)), ("none", wilson(0, 0))]))
    rows = drawn.findall("g")[1:]
    assert [row.get("class") for row in rows] == ["", "few"]
    assert [row.findall("text")[1].text for row in rows] == ["n 40", "n 2"]
    assert rows[0].findall("text")[0].text == "<b>"
    assert forest([("none", wilson(0, 0))]) == ""


def test_a_histogram_is_as_high_as_its_shares() -> None:
    drawn = ElementTree.fromstring(histogram([0.5], [0.25, 0.75], [1.0, 0.0]))
    heights = [float(one.get("height", "")) for one in drawn.findall("rect")]
    assert heights[1] == 4 * heights[0] > 0 == heights[3]
    assert "25% then 100%" in str(drawn.get("aria-label"))


def test_what_is_told_too_surely_lies_below_the_diagonal() -> None:
    drawn = ElementTree.fromstring(reliability_diagram(reliability([(0.9, False), (0.9, True), (0.1, False)]).bins))
    sure, unsure = drawn.findall("g")[1].find("circle"), drawn.findall("g")[0].find("circle")
    assert sure is not None
    assert unsure is not None
    x, y = float(sure.get("cx", "")), float(sure.get("cy", ""))
    axis = drawn.find("line")
    assert axis is not None
    diagonal = float(axis.get("y1", "")) - (x - float(axis.get("x1", "")))
    assert y > diagonal
    assert float(unsure.get("cx", "")) < x
