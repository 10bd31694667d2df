"""The pictures are well-formed, say in words what they show, and are as high as their numbers."""

from __future__ import annotations

from xml.etree import ElementTree

from radiolucent.monitor.measures import Measured, wilson
from radiolucent.monitor.pictures import Day, columns, interval


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
