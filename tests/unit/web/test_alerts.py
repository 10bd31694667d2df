"""The bell, the page and the JSON of alerts: who sees which, who may acknowledge, and that nobody can take one away."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from radiolucent.audit.alert_events import AlertAcknowledged
from radiolucent.rollout.policy import ROLES, decide
from radiolucent.store.alerts import Alerts, NewAlert, Notices
from radiolucent.web.demo import _furnish
from tests.unit.web.conftest import NOW

READERS = ("radiologist", "lead", "admin")


def raise_one(room: Any, study: str, key: str = "k1", *, level: int = 1, engine: str = "bright-spots@1.2.3") -> None:
    with room.store.begin() as work:
        made = Alerts(work).raise_(
            NewAlert(
                key=key,
                study_instance_uid=study,
                revision=1,
                finding="glioma",
                engine=engine,
                tier="A",
                level=level,
                language="en",
                subject=f"{level} critical: <Glioma>",
                message="To check: the margin.",
                disclaimer="Not for clinical use.",
                table_version="1",
                raised_at=NOW - timedelta(minutes=20),
            )
        )
        Notices(work).owe(made, ["phone"], "first", at=NOW, granted=True)


@pytest.fixture
def alerted(room: Any, study: str) -> Any:
    room.phase("routine")
    with room.store.begin() as work:  # the demo's own
        work.session.execute(text("delete from alerts"))
    raise_one(room, study)
    return room


def test_the_demo_alerts_its_urgent_finding_and_restarting_it_alerts_nobody_again(room: Any) -> None:
    with room.store.read() as work:
        (one,) = Alerts(work).list()
    assert (one.finding, one.state) == ("glioma", "open")
    assert one.study_instance_uid in {shown.study_instance_uid for shown in room.premises.source.every()}
    _furnish(room.store, room.premises, room.clock())
    with room.store.read() as work:
        assert Alerts(work).list() == (one,)


@pytest.mark.parametrize("role", ROLES)
def test_who_may_see_results_sees_the_alert(alerted: Any, study: str, role: str) -> None:
    may = decide(route="text", role=role, state="routine", trained=True, use="localise").allowed
    on_list = decide(route="worklist", role=role, state="routine", trained=True, use="localise").allowed
    browser = alerted.browser(role)
    page, bell, api = (browser.get(address) for address in ("/alerts", "/alerts/bell", "/api/v1/alerts"))
    assert {one.status_code for one in (page, bell, api)} == ({200} if on_list else {403})
    if on_list:
        assert ("1 critical: &lt;Glioma&gt;" in page.text) is may
        assert ("1 critical</span>" in bell.text) is may
        assert [one["key"] for one in api.json()["alerts"]] == (["k1"] if may else [])
        assert "phone: waits" in page.text


@pytest.mark.parametrize("why", ["shadow", "stopped"])
def test_of_an_engine_in_shadow_and_of_a_stopped_ai_no_alert_is_shown(alerted: Any, why: str) -> None:
    if why == "shadow":
        alerted.phase("shadow")
    else:
        alerted.set("ai_stopped", "wrong results")
    browser = alerted.browser("radiologist")
    assert "Glioma" not in browser.get("/alerts").text
    assert browser.get("/api/v1/alerts").json() == {"alerts": []}
    assert browser.post("/alerts/k1/acknowledge").status_code == 404


@pytest.mark.parametrize("role", ROLES)
def test_only_a_radiologist_and_above_acknowledges(alerted: Any, role: str) -> None:
    status = alerted.browser(role).post("/alerts/k1/acknowledge").status_code
    assert status == (303 if role in READERS else 403)
    with alerted.store.read() as work:
        one = Alerts(work).get("k1")
    assert (one.state, one.acknowledged_by) == (("acknowledged", role) if role in READERS else ("open", ""))


def test_an_acknowledgement_says_who_and_when_and_counts_once(alerted: Any, study: str) -> None:
    accept = {"headers": {"accept": "application/json"}}
    first = alerted.browser("radiologist").post("/alerts/k1/acknowledge", **accept)
    assert first.json() == {"acknowledged": True, "by": "radiologist", "at": alerted.clock().isoformat()}
    assert alerted.browser("radiologist").post("/alerts/k1/acknowledge", **accept).status_code == 200
    second = alerted.browser("lead").post("/alerts/k1/acknowledge", **accept)
    assert (second.status_code, second.json()["reason"]) == (409, "radiologist has acknowledged this alert already.")
    [event] = alerted.events("alert.acknowledged")
    assert isinstance(event, AlertAcknowledged)
    assert (event.actor, event.role, event.alert, event.study_instance_uid) == (
        "radiologist",
        "radiologist",
        "k1",
        study,
    )
    assert "radiologist, " in alerted.browser("viewer").get("/alerts?state=all").text
    assert "No alert is open." in alerted.browser("viewer").get("/alerts").text


def test_a_resident_comments_and_the_alert_stays_as_it_is(alerted: Any, study: str) -> None:
    resident = alerted.browser("resident")
    page = resident.get("/alerts").text
    assert "waits for a radiologist" in page
    assert "/alerts/k1/acknowledge" not in page
    assert resident.post("/alerts/k1/comments", {"text": "tube, not pleura?"}).status_code == 303
    assert "tube, not pleura?" in alerted.browser("radiologist").get(f"/studies/{study}").text
    assert alerted.browser("viewer").post("/alerts/k1/comments", {"text": "x"}).status_code == 403
    with alerted.store.read() as work:
        assert Alerts(work).get("k1").state == "open"


@pytest.mark.parametrize("role", ["resident", "radiologist", "admin"])
@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH"])
def test_nobody_can_change_or_delete_an_alert(alerted: Any, role: str, method: str) -> None:
    browser = alerted.browser(role)
    for address in ("/alerts/k1", "/alerts", "/api/v1/alerts/k1", "/api/v1/alerts"):
        assert browser.client.request(method, address).status_code in (404, 405)
    with alerted.store.read() as work:
        assert Alerts(work).get("k1").state == "open"


def test_an_alert_that_is_not_there_or_has_ended_cannot_be_acknowledged(alerted: Any) -> None:
    browser = alerted.browser("radiologist")
    assert browser.post("/alerts/none/acknowledge").status_code == 404
    with alerted.store.begin() as work:
        Alerts(work).end("k1", reason="the reading was taken back", at=NOW)
    answer = browser.post("/alerts/k1/acknowledge", headers={"accept": "application/json"})
    assert (answer.status_code, answer.json()["reason"]) == (409, "This alert has ended: the reading was taken back.")


def test_a_form_from_elsewhere_acknowledges_nothing(alerted: Any) -> None:
    answer = alerted.browser("radiologist").client.post("/alerts/k1/acknowledge", data={"csrf": "other"})
    assert answer.status_code == 403


def test_open_alerts_come_first_and_the_most_urgent_of_them(alerted: Any, study: str) -> None:
    raise_one(alerted, study, "k2", level=2)
    raise_one(alerted, study, "k3", level=1)
    alerted.browser("radiologist").post("/alerts/k1/acknowledge")
    found = alerted.browser("viewer").get("/api/v1/alerts").json()["alerts"]
    assert [one["key"] for one in found] == ["k3", "k2", "k1"]
    assert "patient" not in str(found).lower()


def test_who_has_to_look_first_learns_the_urgency_and_not_the_finding(alerted: Any, study: str) -> None:
    alerted.set("read_first", "forced")
    browser = alerted.browser("radiologist")
    page, [one] = browser.get("/alerts").text, browser.get("/api/v1/alerts").json()["alerts"]
    assert "Glioma" not in page
    assert "To check: the margin." not in page
    assert 'class="level level-1"' in page
    assert (one["finding"], one["subject"], one["message"], one["urgency"]["level"]) == (None, "", "", 1)
    browser.post(f"/studies/{study}/looked")
    assert "Glioma" in browser.get("/alerts").text


def test_the_bell_keeps_no_session_alive(alerted: Any) -> None:
    browser = alerted.browser("viewer")
    for _ in range(7):
        alerted.clock.forward(minutes=10)
        answer = browser.get("/alerts/bell")
    assert answer.status_code == 303
