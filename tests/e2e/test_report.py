"""The report in a real browser: the AI's draft comes in where the reader puts it, stays marked, and is signed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from radiolucent.store.reports import Reports
from tests.e2e.reading_room import Desk, Server, uid_of

Sit = Callable[..., Desk]


@pytest.fixture(scope="module")
def room(own_room: Server) -> Server:
    return own_room


@pytest.fixture
def me(desk: Sit, room: Server) -> Desk:
    """A radiologist at the study with the tumour, its report opened."""
    one = desk("radiologist")
    one.study(room.glioma)
    one.looked()
    if one.tab.locator("details.report").get_attribute("open") is None:
        one.tab.get_by_role("heading", name="Report text").click()
    return one


def test_a_report_is_begun_empty_filled_from_the_draft_and_signed(me: Desk, room: Server) -> None:
    form = me.tab.locator("form[data-report]")
    impression = form.get_by_label("Impression")
    assert impression.input_value() == ""
    impression.fill("No midline shift.")
    impression.press("Home")
    form.get_by_role("button", name="Insert the AI's impression").click()
    text = impression.input_value()
    assert text.endswith("\nNo midline shift.")
    assert "glioma" in text.casefold()
    form.get_by_role("button", name="Keep as preliminary").click()
    me.tab.locator("section[aria-label='Preliminary report']").wait_for()
    kept = me.tab.locator("section[aria-label='Preliminary report']")
    assert "not signed" in kept.inner_text()
    marked = kept.locator("mark").all_inner_texts()
    assert any("glioma" in one.casefold() for one in marked)
    assert "No midline shift." not in marked
    me.tab.get_by_role("button", name="Sign as final").click()
    signed = me.tab.locator("section[aria-label='Signed report']")
    signed.wait_for()
    assert "Final, signed by radiologist" in signed.inner_text()
    assert "No midline shift." in signed.inner_text()
    me.shot("report-signed")
    assert me.tab.get_by_role("button", name="Sign as corrected").is_visible()
    with room.store.read() as work:
        statuses = [one.status for one in Reports(work).versions(uid_of(room.glioma))]
    assert statuses == ["preliminary", "final"]


def test_a_text_that_is_refused_is_not_lost(me: Desk, room: Server) -> None:
    me.expected = ["409"]
    form = me.tab.locator("form[data-report]")
    form.get_by_label("Findings").fill("What I saw.")
    uid = uid_of(room.glioma)
    with room.store.begin() as work:
        base = len(Reports(work).versions(uid))
        Reports(work).keep(
            uid, findings="Theirs.", impression="", author="lead", sign=False, base=base, now=datetime.now(UTC)
        )
    form.get_by_role("button", name="Keep as preliminary").click()
    me.wait(lambda: "lead kept version" in form.inner_text())
    assert form.get_by_label("Findings").input_value() == "What I saw."


def test_a_resident_writes_and_has_no_button_to_sign(desk: Sit, room: Server) -> None:
    me = desk("resident")
    me.study(room.bleed)
    me.looked()
    me.tab.get_by_role("heading", name="Report text").click()
    form = me.tab.locator("form[data-report]")
    assert form.get_by_role("button", name="Keep as preliminary").is_visible()
    assert form.get_by_role("button", name="Sign").count() == 0
