"""Practice cases over HTTP: first the own reading, then the AI, then the truth; marked by the server."""

from __future__ import annotations

import re
from typing import Any

import pytest

from radiolucent.pipeline.practice import CASES, GALLERY, finished, said_of
from radiolucent.store.site import Site
from radiolucent.web.access import BASE

WRONG_PLACE = 4
"""A nodule, with the map elsewhere."""
HEALTHY = 6


def done(room: Any, name: str = "resident") -> Any:
    with room.store.read() as work:
        return Site(work).progress(name, BASE).done


def test_neither_the_ai_nor_the_truth_is_told_before_the_own_reading(room: Any) -> None:
    browser = room.browser("resident")
    address = f"/training/practice/{WRONG_PLACE}"
    page = browser.get(address).text
    case = CASES[WRONG_PLACE - 1]
    assert case.lesson not in page
    assert f"{case.score:.2f}" not in page
    assert browser.get(f"{address}/image.png").headers["content-type"] == "image/png"
    assert browser.get(f"{address}/ai.png").status_code == 403
    assert browser.get(f"{address}/truth.png").status_code == 403
    assert browser.post(f"{address}/verdict", {"verdict": "right"}).status_code == 403


def test_a_case_goes_from_the_own_reading_to_the_truth(room: Any) -> None:
    browser = room.browser("resident")
    address = f"/training/practice/{WRONG_PLACE}"
    assert browser.post(f"{address}/reading", {"finding": "nodule", "down": 52, "across": 25}).status_code == 303
    page = browser.get(address).text
    assert CASES[WRONG_PLACE - 1].lesson not in page
    assert f"{CASES[WRONG_PLACE - 1].score:.2f}" in page
    assert browser.get(f"{address}/ai.png").status_code == 200
    assert browser.get(f"{address}/truth.png").status_code == 403
    assert browser.post(f"{address}/verdict", {"verdict": "wrong-place"}).status_code == 303
    page = browser.get(address).text
    assert re.sub(r"&#39;", "'", page).count(CASES[WRONG_PLACE - 1].lesson) == 1
    assert browser.get(f"{address}/truth.png").status_code == 200
    assert finished(done(room))[WRONG_PLACE].all_right
    assert "1 of 20 done" in browser.get("/training/practice").text


def test_what_was_said_can_not_be_changed_once_more_is_known(room: Any) -> None:
    browser = room.browser("resident")
    address = f"/training/practice/{HEALTHY}"
    browser.post(f"{address}/reading", {"finding": "subdural-haemorrhage", "down": 50, "across": 50})
    browser.post(f"{address}/reading", {"finding": "nothing"})
    assert said_of(done(room), HEALTHY)["finding"] == "subdural-haemorrhage"
    browser.post(f"{address}/verdict", {"verdict": "missed"})
    browser.post(f"{address}/verdict", {"verdict": "right"})
    score = finished(done(room))[HEALTHY]
    assert (score.finding, score.place, score.verdict) == (False, None, False)


def test_every_answer_is_in_the_trail(room: Any) -> None:
    browser = room.browser("resident")
    browser.post(f"/training/practice/{HEALTHY}/reading", {"finding": "nothing"})
    browser.post(f"/training/practice/{HEALTHY}/verdict", {"verdict": "right"})
    told = [event.detail for event in room.events("training.progressed") if event.step == f"practice:{HEALTHY}"]
    assert told == [
        "AI right, called right; finding right, place –",
        'own reading {"finding": "nothing", "mark": null}',
    ]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"finding": "fracture", "down": 5, "across": 5},
        {"finding": "nodule"},
        {"finding": "nodule", "down": 5},
        {"finding": "nodule", "down": 101, "across": 5},
        {"finding": "nodule", "down": "nan", "across": 5},
    ],
)
def test_a_reading_without_finding_or_place_is_refused(room: Any, said: dict[str, Any]) -> None:
    assert room.browser("resident").post(f"/training/practice/{WRONG_PLACE}/reading", said).status_code == 422
    assert said_of(done(room), WRONG_PLACE) == {}


def test_a_verdict_that_is_not_on_the_page_is_refused(room: Any) -> None:
    browser = room.browser("resident")
    browser.post(f"/training/practice/{HEALTHY}/reading", {"finding": "nothing"})
    assert browser.post(f"/training/practice/{HEALTHY}/verdict", {"verdict": "maybe"}).status_code == 422


@pytest.mark.parametrize("address", ["practice/0", "practice/21", "practice/x", "practice/6/map.png", "gallery/x.png"])
def test_there_is_no_other_case_and_no_other_picture(room: Any, address: str) -> None:
    assert room.browser("resident").get(f"/training/{address}").status_code in (404, 422)


def test_practice_is_what_is_left_once_all_else_is_done(room: Any, study: str) -> None:
    room.set("training_minutes", "0")
    browser = room.browser("resident")
    with room.store.begin() as work:
        for number in range(1, len(CASES) + 1):
            if number != HEALTHY:
                score = {"finding": True, "place": True, "verdict": True}
                Site(work).step("resident", BASE, f"practice:{number}", {"finding": "x", "score": score})
        for name in ("what-a-heatmap-is-not", "failures", "decisions"):
            Site(work).step("resident", BASE, f"module:{name}", True)
        Site(work).step("resident", BASE, "quiz", 1.0)
    assert "practice: 1 more case" in browser.get("/training").text
    heat = f"/api/v1/results/{study}:1/heat/glioma"
    assert browser.get(heat).json()["code"] == "training_required"
    browser.post(f"/training/practice/{HEALTHY}/reading", {"finding": "nothing"})
    browser.post(f"/training/practice/{HEALTHY}/verdict", {"verdict": "missed"})
    assert browser.get(heat).status_code == 200


def test_the_gallery_shows_each_failure_with_its_lesson(room: Any) -> None:
    page = re.sub(r"&#39;", "'", room.browser("resident").get("/training/modules/failures").text)
    for name, (title, case) in GALLERY.items():
        assert f"/training/gallery/{name}.png" in page
        assert title in page
        assert case.lesson in page
