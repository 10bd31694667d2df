"""Practice cases: what is drawn, what the AI says wrongly on purpose, and how a reader is marked."""

from __future__ import annotations

import io
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from radiolucent.errors import SetupError
from radiolucent.findings.taxonomy import finding_type
from radiolucent.pipeline.practice import (
    CASES,
    CHOICES,
    GALLERY,
    GRID,
    NOTHING,
    THRESHOLD,
    VERDICTS,
    ai_png,
    image_png,
    judge,
    make_picture,
    summary,
    truth_png,
)

WRONG = [case for case in CASES if case.fault != "right"]


def middle(number: int) -> tuple[float, float]:
    """A mark inside the truth of a case."""
    truth = make_picture(CASES[number]).truth
    row, column = np.argwhere(truth)[len(np.argwhere(truth)) // 2]
    return float((row + 0.5) / truth.shape[0]), float((column + 0.5) / truth.shape[1])


def test_there_are_twenty_cases_and_the_ai_is_wrong_in_nine_of_them() -> None:
    assert len(CASES) == 20
    assert Counter(case.fault for case in CASES) == {
        "right": 11,
        "wrong-place": 3,
        "false-alarm": 2,
        "shortcut": 2,
        "missed": 2,
    }
    assert {case.kind for case in CASES} == set(CHOICES)
    assert {case.verdict for case in CASES} == set(VERDICTS)


@pytest.mark.parametrize("case", [*CASES, *(case for _, case in GALLERY.values())], ids=lambda case: f"{case.seed}")
def test_what_a_case_says_can_be_chosen_and_named(case: object) -> None:
    from radiolucent.pipeline.practice import Case

    assert isinstance(case, Case)
    for name in filter(None, (case.truth, case.says)):
        assert name in CHOICES[case.kind] or case not in CASES
        assert finding_type(name).label
    assert bool(case.says) == (case.score >= THRESHOLD)
    assert (case.place is None) == (case.fault in ("right", "missed"))


@pytest.mark.parametrize("number", [0, 3, 10], ids=["right", "wrong-place", "shortcut"])
def test_the_map_lies_on_the_truth_only_where_the_ai_is_right(number: int) -> None:
    case, picture = CASES[number], make_picture(CASES[number])
    assert picture.heatmap is not None
    row, column = np.unravel_index(picture.heatmap.evidence[0].argmax(), (GRID, GRID))
    there = ((row + 0.5) / GRID, (column + 0.5) / GRID)
    assert judge(case, finding=NOTHING, mark=there, verdict="right").place is (
        True if case.fault == "right" else False if case.truth else None
    )


def test_a_case_is_the_same_each_time_it_is_drawn() -> None:
    first = make_picture(CASES[4]).grey.copy()
    make_picture.cache_clear()
    assert np.array_equal(first, make_picture(CASES[4]).grey)


def test_the_reader_is_marked_for_finding_place_and_verdict_apart() -> None:
    case, inside = CASES[3], middle(3)
    right = judge(case, finding="nodule", mark=inside, verdict="wrong-place")
    assert right.all_right
    taken_in = judge(case, finding="nodule", mark=case.place, verdict="right")
    assert (taken_in.finding, taken_in.place, taken_in.verdict) == (True, False, False)
    assert judge(case, finding=NOTHING, mark=None, verdict="wrong-place").place is False
    assert not taken_in.all_right


def test_where_nothing_is_there_is_nothing_to_place() -> None:
    silent = judge(CASES[5], finding=NOTHING, mark=None, verdict="right")
    assert (silent.place, silent.all_right) == (None, True)
    assert not judge(CASES[5], finding="subdural-haemorrhage", mark=(0.5, 0.5), verdict="missed").all_right


def test_a_mark_just_outside_the_outline_counts_and_one_two_cells_off_does_not() -> None:
    truth = make_picture(CASES[3]).truth
    rows, columns = truth.shape
    right_most = int(np.flatnonzero(truth.any(axis=0)).max())
    row = int(np.flatnonzero(truth[:, right_most]).mean())

    def off(cells: float) -> bool | None:
        mark = ((row + 0.5) / rows, (right_most + 0.5) / columns + cells / GRID)
        return judge(CASES[3], finding="nodule", mark=mark, verdict="right").place

    assert (off(0.8), off(2.0)) == (True, False)


@pytest.mark.parametrize(("finding", "verdict"), [("fracture", "right"), ("nodule", "maybe"), ("", "right")])
def test_only_what_the_page_offers_can_be_chosen(finding: str, verdict: str) -> None:
    with pytest.raises(SetupError, match="choose one"):
        judge(CASES[3], finding=finding, mark=None, verdict=verdict)


def test_scores_are_summed_up_and_nothing_to_place_is_left_out() -> None:
    scores = [
        judge(CASES[3], finding="nodule", mark=middle(3), verdict="right"),
        judge(CASES[5], finding=NOTHING, mark=None, verdict="right"),
    ]
    assert summary(scores) == {"finding": (2, 2), "place": (1, 1), "verdict": (1, 2)}


def test_the_map_is_coloured_on_the_ais_picture_alone() -> None:
    def colourful(data: bytes) -> int:
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"), dtype=np.int16)
        return int((np.ptp(pixels[: pixels.shape[1]], axis=2) > 60).sum())

    assert colourful(image_png(CASES[3])) == 0
    assert colourful(ai_png(CASES[3])) > 200
    assert colourful(ai_png(CASES[6])) == 0
    assert colourful(truth_png(CASES[6], None)) > 200


def test_the_readers_mark_is_drawn_where_it_was_set() -> None:
    marks = (None, (0.25, 0.75))
    without, with_mark = (np.asarray(Image.open(io.BytesIO(truth_png(CASES[5], one))).convert("RGB")) for one in marks)
    places = np.argwhere((without != with_mark).any(axis=2))
    assert np.abs(places.mean(axis=0) / without.shape[:2] - (0.25, 0.75)).max() < 0.01


def test_weak_evidence_is_drawn_pale_on_the_fixed_scale() -> None:
    weak, strong = make_picture(GALLERY["weak"][1]), make_picture(CASES[7])
    assert weak.heatmap is not None
    assert strong.heatmap is not None
    assert weak.heatmap.display_scale == strong.heatmap.display_scale
    assert weak.heatmap.relative(0).max() < 0.5 < strong.heatmap.relative(0).max()
