"""Trust and adaptation: what a reader's record changes on the page, why, and the AI that comes after an own reading."""

from __future__ import annotations

import re
from typing import Any

import pytest

from radiolucent.phantom.studies import make_study
from radiolucent.rollout.trust import packaged_text
from radiolucent.store.room import Decision
from radiolucent.store.room import Room as Rows
from radiolucent.web.access import Visitor
from radiolucent.web.adapting import Adapting, is_urgent

ALWAYS = """
version = "test"
days = 90
decisions = 30
[[rule]]
name = "always"
label = "Always"
effects = ["reminder", "withhold"]
withhold_share = 0.2
says = "said"
why = "a test"
[rule.when]
acceptance_at_least = 0.9
"""


def _decided(room: Any, study: str, outcome: str, trust: int | None, times: int, reader: str = "radiologist") -> None:
    with room.store.begin() as work:
        for _ in range(times):
            Rows(work).decide(
                Decision(
                    study_instance_uid=study,
                    series_key="1.2",
                    finding="glioma",
                    engine="bright-spots@1.2.3",
                    reading_digest="other",
                    reader=reader,
                    outcome=outcome,
                    reason="wrong-place" if outcome == "reject" else "",
                    trust=trust,
                    at=room.clock(),
                )
            )


def _of_the_demo(room: Any, *, wanted: bool) -> str:
    """The one of the demo's two studies that is urgent, or the other; tests before may have uploaded more."""
    made = [make_study("brain-mr", found, seed=seed) for found, seed in ((("glioma",), 11), ((), 14))]
    known = {str(one.datasets[0].StudyInstanceUID) for one in made}
    every = [one for one in room.premises.source.every() if one.study_instance_uid in known]
    [chosen] = [one for one in every if is_urgent(one.reading) == wanted]
    return str(chosen.study_instance_uid)


@pytest.fixture
def calm(room: Any) -> str:
    """The study in which nothing is urgent."""
    return _of_the_demo(room, wanted=False)


@pytest.fixture
def urgent(room: Any) -> str:
    """The other one."""
    return _of_the_demo(room, wanted=True)


@pytest.fixture
def drawing(room: Any, calm: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A room whose rule withholds the calm study from the radiologist: the draw is settled, all else is real."""
    room.browser("lead").post("/trust-rules", {"text": ALWAYS})
    _decided(room, "1.2.9", "accept", 5, 5)
    monkeypatch.setattr("radiolucent.web.adapting.drawn", lambda rule, **_: rule.withhold_share is not None)
    return room


def _viewer_findings(page: str) -> bool:
    return '"findings": [{' in page


def test_nothing_changes_for_who_has_decided_nothing(room: Any, study: str) -> None:
    page = room.browser("radiologist").get(f"/studies/{study}").text
    assert "Why do I see this?" not in page
    assert room.events("adaptation.applied") == []


def test_low_trust_brings_detail_and_says_why(room: Any, study: str) -> None:
    _decided(room, "1.2.9", "accept", 1, 6)
    page = room.browser("radiologist").get(f"/studies/{study}").text
    for words in (
        "Why do I see this?",
        "mean trust 1.0 of 5 (6 rated)",
        "What else the engine considered",
        "May be mistaken for it",
        "Similar findings accepted here",
        "finds what is bright",
        "rejected here: 0 of 6 decisions",
    ):
        assert words in page, words
    [event] = room.events("adaptation.applied")
    assert (event.rules, event.withheld) == ("low-trust", False)
    assert "Why do I see this?" not in room.browser("lead").get(f"/studies/{study}").text


def test_similar_accepted_findings_are_other_studies(room: Any, study: str) -> None:
    _decided(room, study, "accept", 1, 6)
    page = room.browser("radiologist").get(f"/studies/{study}").text
    assert "None yet." in page
    assert f'href="/studies/{study}">Study of' not in page


def test_high_trust_brings_a_reminder_and_an_urgent_study_is_never_withheld(
    room: Any, urgent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("radiolucent.web.adapting.drawn", lambda rule, **_: True)
    _decided(room, "1.2.9", "accept", 5, 20)
    page = room.browser("radiologist").get(f"/studies/{urgent}").text
    assert 'id="reminder"' in page
    assert _viewer_findings(page)


def test_a_withheld_reading_shows_nothing_of_the_ai_anywhere(drawing: Any, calm: str) -> None:
    browser = drawing.browser("radiologist")
    page = browser.get(f"/studies/{calm}").text
    assert "What do you see?" in page
    assert "This study was drawn" in page
    for words in ("threshold", "Report text", "Insight sheet", "No finding above"):
        assert words not in page.replace("no finding above threshold", ""), words
    answer = browser.get(f"/api/v1/results/{calm}:1")
    assert (answer.status_code, answer.json()["code"]) == (403, "own_reading_first")
    assert browser.get(f"/api/v1/results/{calm}:1/heat/glioma").json()["code"] == "own_reading_first"
    assert browser.get(f"/studies/{calm}/insight").status_code == 403
    assert browser.get(f"/studies/{calm}/decisions").json() == {"decisions": []}
    [viewed] = drawing.events("study.viewed")
    assert (viewed.shown, viewed.digest) == ("image", "")
    [event] = drawing.events("adaptation.applied")
    assert event.withheld


def test_the_worklist_tells_nothing_of_a_withheld_study(drawing: Any, calm: str) -> None:
    def row(name: str) -> Any:
        rows = drawing.browser(name).get("/api/v1/worklist").json()["studies"]
        return next(one for one in rows if one["study_instance_uid"] == calm)

    assert row("radiologist")["urgency"] is None
    assert "shown after your own reading" in drawing.browser("radiologist").get("/worklist").text
    assert row("lead")["urgency"] is not None


def test_an_own_reading_reveals_it_for_good(drawing: Any, calm: str) -> None:
    browser = drawing.browser("radiologist")
    browser.get(f"/studies/{calm}")
    answer = browser.post(f"/studies/{calm}/own-reading", {"nothing": "true", "note": "quiet brain"})
    assert answer.status_code == 303
    page = browser.get(f"/studies/{calm}").text
    assert "Read without the AI first" in page
    assert "quiet brain" in page
    assert browser.get(f"/api/v1/results/{calm}:1").status_code == 200
    [event] = drawing.events("ai.revealed")
    assert event.said == "nothing"
    again = browser.post(f"/studies/{calm}/own-reading", {"nothing": "true"})
    assert again.status_code == 409


@pytest.mark.parametrize(
    "data", [{}, {"present": "no-such"}, {"present": "glioma", "nothing": "true"}], ids=["empty", "unknown", "both"]
)
def test_an_own_reading_that_says_nothing_clear_is_refused(drawing: Any, calm: str, data: dict[str, str]) -> None:
    browser = drawing.browser("radiologist")
    assert browser.post(f"/studies/{calm}/own-reading", data).status_code == 422
    assert drawing.events("ai.revealed") == []


def test_who_decides_nothing_is_withheld_nothing(drawing: Any, calm: str) -> None:
    for name in ("viewer", "resident", "validator"):
        assert drawing.browser(name).get(f"/api/v1/results/{calm}:1").status_code == 200
    assert drawing.browser("resident").post(f"/studies/{calm}/own-reading", {"nothing": "true"}).status_code == 403


def test_a_study_that_was_decided_on_is_never_withheld(drawing: Any, calm: str) -> None:
    summary = drawing.premises.source.summary(calm)
    with drawing.store.begin() as work:
        Rows(work).decide(
            Decision(
                study_instance_uid=calm,
                series_key="1.2",
                finding="glioma",
                engine="bright-spots@1.2.3",
                reading_digest=summary.digest,
                reader="radiologist",
                outcome="accept",
                at=drawing.clock(),
            )
        )
    assert drawing.browser("radiologist").get(f"/api/v1/results/{calm}:1").status_code == 200


def test_what_was_so_at_the_first_opening_stays_so(drawing: Any, calm: str) -> None:
    browser = drawing.browser("radiologist")
    browser.get(f"/studies/{calm}")
    drawing.browser("lead").post("/trust-rules", {"text": ""})
    assert "What do you see?" in browser.get(f"/studies/{calm}").text


def test_the_rules_are_the_sites_own_and_every_change_is_written_down(room: Any) -> None:
    lead = room.browser("lead")
    assert "High trust, nearly all accepted" in lead.get("/trust-rules").text
    assert lead.post("/trust-rules", {"text": ALWAYS}).status_code == 303
    assert "High trust" not in lead.get("/trust-rules").text
    assert room.browser("radiologist").post("/trust-rules", {"text": ""}).status_code == 403
    assert room.browser("auditor").get("/trust-rules").status_code == 403
    assert lead.post("/trust-rules", {"text": packaged_text()}).status_code == 303
    changes = room.events("setting.changed")
    assert [one.name for one in changes] == ["trust_rules"] * 2
    assert changes[0].after == changes[1].before != changes[0].before or changes[1].after == changes[0].before


def test_what_is_no_table_changes_nothing_and_is_shown_again(room: Any) -> None:
    lead = room.browser("lead")
    answer = lead.post("/trust-rules", {"text": "version = 1\n<script>"})
    assert answer.status_code == 422
    assert "Not changed." in answer.text
    assert not re.search("<script>(?!<)", answer.text.split("textarea")[1])
    assert room.events("setting.changed") == []


def test_figures_are_of_the_readers_own_latest_decisions(room: Any) -> None:
    _decided(room, "1.2.9", "reject", 1, 40)
    _decided(room, "1.2.9", "accept", 5, 30)
    _decided(room, "1.2.9", "reject", 1, 30, reader="lead")
    who = Visitor(name="radiologist", display_name="", role="radiologist", csrf="", address="")
    with room.store.read() as work:
        record = Adapting(room.premises, who, work).record(["bright-spots"])
        other = Adapting(room.premises, who, work).record(["another"])
    assert (record.decisions, record.acceptance, record.trust) == (30, 1.0, 5.0)
    assert other.decisions == 0
