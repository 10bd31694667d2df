"""Training, roll-out, audit, administration and monitoring over HTTP."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from dataclasses import replace
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from radiolucent.pipeline.practice import CASES, STEP
from radiolucent.rollout.phases import Criterion
from radiolucent.store.site import BEAT_S, Site
from radiolucent.web.access import BASE
from radiolucent.web.server import create_app
from radiolucent.web.training import QUIZ, content


def _train(room: Any, name: str, minutes: int) -> Any:
    browser = room.browser(name)
    for _ in range(int(minutes * 60 / BEAT_S) + 1):
        browser.post("/training/heartbeat", {"active": "true"})
        room.clock.forward(seconds=BEAT_S)
    for module in content()["module"]:
        browser.post(f"/training/modules/{module['name']}")
    with room.store.begin() as work:  # how cases are read: tests/unit/web/test_practice.py
        for number in range(1, len(CASES) + 1):
            score = {"finding": True, "place": None, "verdict": True}
            Site(work).step(name, BASE, f"{STEP}{number}", {"finding": "nothing", "mark": None, "score": score})
    answers = {f"q{index}": str(one["right"]) for index, one in enumerate(content()["question"])}
    browser.post("/training/quiz", answers)
    return browser


def test_training_opens_the_gate_only_as_a_whole(room: Any, study: str) -> None:
    heat = f"/api/v1/results/{study}:1/heat/glioma"
    room.set("training_minutes", "2")
    browser = _train(room, "resident", 1)
    assert browser.get(heat).json()["code"] == "training_required"
    assert "active time: 1 more minutes" in browser.get("/training").text
    _train(room, "resident", 1)
    assert room.browser("resident").get(heat).status_code == 200
    assert [event.step for event in room.events("training.progressed")].count("passed") == 1


def test_a_long_silence_counts_as_one_beat(room: Any) -> None:
    browser = room.browser("resident")
    browser.post("/training/heartbeat")
    room.clock.forward(minutes=50)
    assert browser.post("/training/heartbeat").json()["active_s"] == BEAT_S


def test_a_page_that_was_left_counts_nothing(room: Any) -> None:
    browser = room.browser("resident")
    browser.post("/training/heartbeat")
    browser.post("/training/heartbeat", {"active": "false"})
    room.clock.forward(seconds=20)
    assert browser.post("/training/heartbeat").json()["active_s"] == 0


def test_a_failed_quiz_stays_in_the_way(room: Any) -> None:
    room.set("training_minutes", "0")
    browser = _train(room, "resident", 0)
    wrong = {f"q{index}": "9" for index in range(len(content()["question"]))}
    assert browser.post("/training/quiz", wrong).status_code == 303
    with room.store.read() as work:
        assert Site(work).progress("resident", BASE).done[QUIZ] == 0


def test_a_new_major_version_asks_for_a_refresher(room: Any, study: str) -> None:
    with room.store.begin() as work:
        Site(work).step("radiologist", BASE, "majors", {"bright-spots": "0"})
    browser = room.browser("radiologist")
    heat = f"/api/v1/results/{study}:1/heat/glioma"
    assert browser.get(heat).json()["code"] == "training_required"
    assert "finds what is bright" in browser.get("/training").text
    browser.post("/training/engines/bright-spots")
    assert browser.get(heat).status_code == 200


def test_a_grant_opens_the_gate_with_a_reason(room: Any, study: str) -> None:
    room.browser("admin").post("/training/grants", {"account": "resident", "reason": "trained elsewhere"})
    assert room.browser("resident").get(f"/api/v1/results/{study}:1/heat/glioma").status_code == 200
    assert room.events("training.granted")[0].reason == "trained elsewhere"


def test_a_phase_needs_its_criteria_and_two_people(room: Any) -> None:
    room.phase("heatmaps")
    sign = {"engine": "bright-spots"}
    assert room.browser("lead").post("/rollout/sign", sign).status_code == 409
    easy = Criterion(metric="days_in_phase", at_least=3, why="a test")
    rows = [row.model_copy(update={"criteria": (easy,)}) for row in room.premises.phases.phase]
    table = room.premises.phases.model_copy(update={"phase": tuple(rows)})
    room.app = create_app(replace(room.premises, phases=table))
    assert room.browser("lead").post("/rollout/sign", sign).status_code == 409
    room.clock.forward(days=3)
    assert room.browser("lead").post("/rollout/sign", sign).status_code == 303
    assert "lead: lead" in room.browser("lead").get("/rollout").text
    assert not [one for one in room.events("phase.changed") if one.after == "routine" and one.actor == "lead"]
    assert room.browser("admin").post("/rollout/sign", sign).status_code == 303
    assert room.events("phase.changed")[0].after == "routine"
    assert room.browser("admin").post("/rollout/sign", sign).status_code == 409


def test_one_step_back_needs_one_person_and_a_reason(room: Any) -> None:
    back = {"engine": "bright-spots", "reason": "too many wrong places"}
    assert room.browser("lead").post("/rollout/back", back).status_code == 303
    assert (room.events("phase.changed")[0].before, room.events("phase.changed")[0].after) == ("routine", "heatmaps")


def test_the_trail_is_filtered_and_exported(room: Any) -> None:
    room.browser("viewer").get("/worklist")
    browser = room.browser("auditor")
    rows = list(csv.DictReader(io.StringIO(browser.get("/audit/export.csv?actor=viewer").text)))
    assert [row["kind"] for row in rows] == ["worklist.viewed"]
    exported = browser.get("/audit/export.json").json()
    assert Bundle(**exported)
    assert len(exported["entry"]) > 5
    assert browser.get("/audit?since=yesterday").status_code == 422


def test_a_cell_that_a_spreadsheet_would_run_is_text(room: Any, study: str) -> None:
    room.browser("lead").post(f"/studies/{study}/urgency", {"level": 2, "reason": "=cmd()"})
    text = room.browser("auditor").get("/audit/export.csv").text
    assert not [row for row in csv.reader(io.StringIO(text)) for cell in row if cell.startswith(("=", "@", "+"))]


def test_verify_tells_of_a_changed_entry(room: Any, tmp_path: Any) -> None:
    browser = room.browser("auditor")
    assert "The chain holds" in browser.post("/audit/verify").text
    browser.post("/audit/anchor")
    assert list((tmp_path / "room" / "anchors").glob("audit-*.json"))
    connection = sqlite3.connect(tmp_path / "room" / "radiolucent.sqlite")
    connection.execute("DROP TRIGGER audit_no_update")
    connection.execute("UPDATE audit SET body = replace(body, 'viewer', 'nobody') WHERE number = 7")
    connection.execute("UPDATE audit SET kind = 'logout' WHERE number = 3")
    connection.commit()
    connection.close()
    assert "entry 3 was changed" in browser.post("/audit/verify").text


def test_accounts_are_made_and_changed_by_the_administration(room: Any) -> None:
    browser = room.browser("admin")
    new = {"name": "ann.b", "role": "viewer", "password": "long enough to be"}
    assert browser.post("/admin/users", new).status_code == 303
    assert browser.post("/admin/users", new).status_code == 409
    assert browser.post("/admin/users", new | {"name": "bob", "role": "god"}).status_code == 422
    assert browser.post("/admin/users/ann.b", {"role": "lead", "active": "true"}).status_code == 303
    assert browser.post("/admin/users/admin", {"role": "viewer", "active": "true"}).status_code == 409
    assert [event.change for event in room.events("account")][:2] == ["role lead, on", "made with role viewer"]
    assert not [event for event in room.events() if "long enough" in repr(event)]


@pytest.mark.parametrize(
    ("name", "value", "status"),
    [
        ("read_first", "forced", 303),
        ("read_first", "x", 409),
        ("training_minutes", "-1", 409),
        ("x", "y", 409),
        ("ai_stopped", "yes", 422),
    ],
)
def test_a_setting_takes_what_it_can_have(room: Any, name: str, value: str, status: int) -> None:
    assert room.browser("admin").post("/admin/settings", {"name": name, "value": value}).status_code == status
    assert len(room.events("setting.changed")) == (status == 303)


def test_monitoring_counts_what_readers_did(room: Any, study: str) -> None:
    browser = room.browser("radiologist")
    view = json.loads(browser.get(f"/studies/{study}").text.split("data-viewer-study>", 1)[1].split("</script>", 1)[0])
    room.clock.forward(seconds=90)
    series = view["panes"][0]["series"][0]["uid"]
    for reason in ("wrong-place", "wrong-finding", ""):
        data = {"series": series, "finding": "glioma", "outcome": "reject" if reason else "accept", "reason": reason}
        browser.post(f"/studies/{study}/decisions", data)
    text = room.browser("lead").get("/monitoring/overview.csv").text
    rows = {row["figure"]: row for row in csv.DictReader(io.StringIO(text))}
    assert (rows["findings accepted"]["n"], round(float(rows["findings accepted"]["value"]), 3)) == ("3", 0.333)
    assert round(float(rows["rejected: right finding, wrong place"]["value"]), 3) == 0.333
    assert float(rows["median time to decision with AI"]["value"]) == 90.0
    assert "radiologist" not in text
    assert "<svg" in room.browser("lead").get("/monitoring").text
