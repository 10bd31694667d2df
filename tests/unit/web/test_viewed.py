"""How long something was looked at, by the server's clock, and whether before or after the decision."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from radiolucent.audit.event import Event
from radiolucent.audit.events import FindingDecided, OverlayToggled, StudyViewed
from radiolucent.audit.reading_events import StudyLeft
from radiolucent.web.viewed import viewings

START = datetime(2026, 1, 2, tzinfo=UTC)


def _at(seconds: float, kind: type[Event], actor: str = "a", **facts: Any) -> Event:
    return kind(at=START + timedelta(seconds=seconds), actor=actor, study_instance_uid="1.2", **facts)


def _toggle(seconds: float, on: bool, finding: str = "1.3/glioma", actor: str = "a") -> Event:
    return _at(seconds, OverlayToggled, actor, finding=finding, on=on, after_ms=999_999)


def test_times_are_the_servers_and_not_the_browsers() -> None:
    found = viewings(
        [
            _at(0, StudyViewed, shown="image"),
            _toggle(5, on=True),
            _toggle(12.5, on=False),
            _at(60, StudyLeft, after_ms=1),
        ]
    )
    assert [(one.what, one.seconds) for one in found] == [("page: image", 60.0), ("Glioma, evidence map", 7.5)]


def test_a_farewell_that_comes_late_does_not_end_the_page_that_was_opened_again() -> None:
    found = viewings(
        [
            _at(0, StudyViewed, shown="image"),
            _at(50, StudyViewed, shown="image, text"),
            _at(50.2, StudyLeft, after_ms=50_000),
            _at(80, StudyLeft, after_ms=29_800),
        ]
    )
    assert [one.seconds for one in found] == [50.0, 30.0]


def test_a_decision_divides_before_from_after_by_reader_and_finding() -> None:
    decided = _at(20, FindingDecided, finding="glioma", series="1.3", outcome="accept")
    found = viewings(
        [
            _toggle(0, on=True),
            _toggle(10, on=False),
            decided,
            _toggle(30, on=True),
            _toggle(31, on=True, finding="1.3/meningioma"),
            _toggle(32, on=True, actor="b"),
        ]
    )
    assert [(one.reader, one.after_decision) for one in found] == [
        ("a", False),
        ("a", True),
        ("a", False),
        ("b", False),
    ]


def test_what_was_never_told_to_be_over_has_no_length() -> None:
    assert [one.seconds for one in viewings([_toggle(0, on=True), _toggle(4, on=False, actor="b")])] == [None]


def test_maps_of_other_methods_are_named() -> None:
    [one] = viewings([_toggle(0, on=True, finding="1.3/glioma~rise~12")])
    assert one.what == "Glioma, rise, image 12"


def test_a_reader_is_told_only_of_the_own_viewings(room: Any, study: str) -> None:
    for name in ("radiologist", "lead"):
        browser = room.browser(name)
        browser.get(f"/studies/{study}")
        room.clock.forward(seconds=30)
        view = {"event": "page-left", "finding": "", "ms": 1}
        headers = {"X-CSRF-Token": browser.csrf}
        assert browser.client.post(f"/studies/{study}/views", json=view, headers=headers).status_code == 204
    mine = room.browser("radiologist").get(f"/studies/{study}/history").json()["viewings"]
    assert [(one["reader"], one["seconds"]) for one in mine] == [("radiologist", 30.0)]
    every = room.browser("lead").get(f"/studies/{study}/history").json()["viewings"]
    assert {one["reader"] for one in every} == {"radiologist", "lead"}
