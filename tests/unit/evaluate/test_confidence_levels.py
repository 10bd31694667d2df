"""Share of right findings by confidence level: counted by level, with intervals, and whether it falls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from radiolucent.evaluate.confidence_levels import GradedCase, as_markdown, confidence_levels, falls, graded_cases
from radiolucent.evaluate.layouts import Row


def case(level: str, correct: bool, *, placed: bool | None = None, group: str = "") -> GradedCase:
    return GradedCase(finding="glioma", group=group, level=level, row="x", correct=correct, placed=placed)


def cases(level: str, right: int, wrong: int) -> list[GradedCase]:
    return [case(level, index < right, placed=index < right, group=str(index)) for index in range(right + wrong)]


def test_shares_are_counted_by_level_with_an_interval() -> None:
    levels = confidence_levels([*cases("high", 18, 2), *cases("moderate", 6, 4), *cases("low", 2, 8)], draws=200)
    assert [levels[level]["n"] for level in levels] == [20, 10, 10]
    assert [levels[level]["correct"]["value"] for level in levels] == [0.9, 0.6, 0.2]
    assert levels["high"]["correct"]["low"] < 0.9 < levels["high"]["correct"]["high"]
    assert falls(levels)


def test_a_level_that_is_no_better_than_the_next_does_not_fall() -> None:
    assert not falls(confidence_levels([*cases("high", 5, 5), *cases("moderate", 5, 5)], draws=20))
    assert not falls(confidence_levels([*cases("high", 5, 5), *cases("low", 8, 2)], draws=20))


def test_a_level_without_cases_has_no_figure_and_is_passed_over() -> None:
    levels = confidence_levels([*cases("high", 9, 1), *cases("low", 1, 9)], draws=20)
    assert (levels["moderate"]["n"], levels["moderate"]["correct"], levels["moderate"]["placed"]) == (0, None, None)
    assert falls(levels)
    assert "| moderate | 0 | – | – |" in as_markdown(levels)


def test_images_without_an_outline_do_not_count_for_the_place() -> None:
    levels = confidence_levels([case("high", True, placed=None, group="a"), *cases("high", 3, 1)], draws=20)
    assert levels["high"]["correct"]["n"] == 5
    assert levels["high"]["placed"]["n"] == 4


def test_a_finding_that_no_image_outlines_has_no_place_to_be_right_in(engine: Any, tmp_path: Path) -> None:
    bright = np.zeros((192, 192), dtype=np.uint8)
    bright[60:130, 60:130] = 80
    bright[80:100, 80:100] = 255
    Pillow.fromarray(bright).save(tmp_path / "one.png")
    square = np.array([[75.0, 75.0], [75.0, 105.0], [105.0, 105.0], [105.0, 75.0]])

    def graded(outlined: str, present: float) -> GradedCase:
        row = Row(
            path=tmp_path / "one.png",
            labels={"glioma": present},
            outlines=((outlined, square),),
            outlined=True,
            spacing_mm=(1.25, 1.25),
            split="val",
            group="a",
        )
        (one,) = graded_cases(engine, [row])
        return one

    assert graded("glioma", 1.0).placed is True
    assert graded("glioma", 0.0).placed is False
    assert graded("meningioma", 1.0).placed is None


@given(st.lists(st.tuples(st.sampled_from(["high", "moderate", "low"]), st.booleans()), min_size=1, max_size=12))
def test_every_case_is_counted_once(drawn: list[tuple[str, bool]]) -> None:
    levels = confidence_levels(
        [case(level, correct, group=str(n)) for n, (level, correct) in enumerate(drawn)], draws=5
    )
    assert sum(levels[level]["n"] for level in levels) == len(drawn)
    right = sum(levels[level]["n"] * levels[level]["correct"]["value"] for level in levels if levels[level]["n"])
    assert round(right) == sum(correct for _, correct in drawn)
