"""Reports over HTTP: a draft of the AI, a reader's text, a radiologist's signature; each step in the trail."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.findings.narrative import Voice
from radiolucent.web.reporting import marked, sentences

WORDS = {"findings": "Mass, left temporal.", "impression": "Glioma.", "base": 0}


def _post(room: Any, study: str, role: str = "radiologist", **changes: Any) -> Any:
    data = WORDS | changes
    return room.browser(role).post(f"/studies/{study}/report", data, headers={"accept": "application/json"})


def _report(room: Any, study: str, role: str = "radiologist") -> Any:
    return room.browser(role).get(f"/studies/{study}/report").json()


def test_the_draft_of_the_ai_is_in_nobodys_text_until_a_reader_puts_it_there(room: Any, study: str) -> None:
    told = _report(room, study)
    assert "glioma" in told["draft"]["impression"].casefold()
    assert (told["latest"], told["signed"]) == (None, None)
    page = room.browser("radiologist").get(f"/studies/{study}").text
    assert page.count("</textarea>") == 3  # findings, impression, comment
    assert "></textarea>" in page.split('name="findings"', 1)[1].split("<button", 1)[0]


def test_the_draft_is_told_in_the_site_s_language_and_by_its_own_templates(
    room: Any, study: str, tmp_path: Path
) -> None:
    (tmp_path / "own" / "de").mkdir(parents=True)
    (tmp_path / "own" / "de" / "impression.j2").write_text("Hausbefund: {{ state }}.", encoding="utf-8")
    own = replace(room.premises, voice=Voice(language="de", templates=tmp_path / "own"))
    told = _report(type(room)(own, room.clock), study)["draft"]
    assert told["impression"] == "Hausbefund: read."
    assert "gelesen von" in told["findings"]


def test_sentences_of_the_ai_stay_marked_and_others_are_not(room: Any, study: str) -> None:
    draft = _report(room, study)["draft"]
    assert _post(room, study, impression=f"{draft['impression']}\nNo shift.").status_code == 201
    parts = _report(room, study)["latest"]["sentences"]["impression"]
    assert parts[-1] == {"text": "No shift.", "ai": False}
    assert len(parts) > 1
    assert all(one["ai"] for one in parts[:-1])
    page = room.browser("radiologist").get(f"/studies/{study}").text
    assert '<mark class="by-ai">' in page
    [event] = room.events("report.kept")
    assert event.ai_sentences == len(parts) - 1


def test_a_radiologist_signs_and_a_later_signature_corrects(room: Any, study: str) -> None:
    assert _post(room, study).json()["status"] == "preliminary"
    assert _post(room, study, base=1, sign="true").json()["status"] == "final"
    assert _post(room, study, base=2, impression="Meningioma.", sign="true").json()["status"] == "corrected"
    told = _report(room, study)
    assert (told["signed"]["number"], told["signed"]["impression"]) == (3, "Meningioma.")
    assert [event.status for event in room.events("report.kept")] == ["corrected", "final", "preliminary"]
    assert "Corrected</strong>, signed by radiologist" in room.browser("viewer").get(f"/studies/{study}").text


def test_a_draft_after_a_signature_leaves_what_was_signed(room: Any, study: str) -> None:
    _post(room, study, sign="true")
    _post(room, study, base=1, impression="Perhaps a metastasis.")
    told = _report(room, study)
    assert (told["signed"]["impression"], told["latest"]["impression"]) == ("Glioma.", "Perhaps a metastasis.")
    assert "Preliminary, not signed" in room.browser("radiologist").get(f"/studies/{study}").text


@pytest.mark.parametrize(
    ("role", "writes", "signs"),
    [("viewer", 403, 403), ("resident", 201, 403), ("radiologist", 201, 201), ("auditor", 403, 403)],
)
def test_a_resident_writes_and_a_radiologist_signs(room: Any, study: str, role: str, writes: int, signs: int) -> None:
    assert _post(room, study, role).status_code == writes
    assert _post(room, study, role, base=1 if writes == 201 else 0, sign="true").status_code == signs


def test_two_who_write_at_once_do_not_overwrite_each_other(room: Any, study: str) -> None:
    _post(room, study, "lead")
    refused = _post(room, study, "radiologist", impression="Mine.")
    assert (refused.status_code, refused.json()["code"]) == (409, "ReportChanged")
    assert "lead kept version 1" in refused.json()["reason"]


def test_an_empty_report_is_refused(room: Any, study: str) -> None:
    assert _post(room, study, findings=" ", impression="\n").status_code == 422
    assert room.events("report.kept") == []


def test_programs_put_it_as_json(room: Any, study: str) -> None:
    browser = room.browser("radiologist")
    headers = {"X-CSRF-Token": browser.csrf}
    made = browser.client.put(f"/studies/{study}/report", json=WORDS | {"sign": True}, headers=headers)
    assert (made.status_code, made.json()["status"]) == (201, "final")
    assert browser.client.put(f"/studies/{study}/report", json=WORDS).status_code == 403
    assert browser.client.put("/studies/1.9/report", json=WORDS, headers=headers).status_code == 404


def test_a_report_tells_nothing_of_the_ai_before_the_images_were_looked_at(room: Any, study: str) -> None:
    draft = _report(room, study)["draft"]
    _post(room, study, "lead", impression=draft["impression"])
    room.set("read_first", "forced")
    refused = room.browser("radiologist").get(f"/studies/{study}/report", headers={"accept": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (403, "look_first")
    assert _post(room, study, base=1).status_code == 403
    assert draft["impression"].split("\n")[0] not in room.browser("radiologist").get(f"/studies/{study}").text


def test_in_shadow_there_is_no_draft_and_a_report_can_be_written(room: Any, study: str) -> None:
    room.phase("shadow")
    assert _report(room, study)["draft"] is None
    assert _post(room, study, sign="true").status_code == 201
    [event] = room.events("report.kept")
    assert (event.ai_sentences, event.digest) == (0, "")


def test_what_is_written_is_escaped(room: Any, study: str) -> None:
    _post(room, study, impression="<script>alert(1)</script>")
    page = room.browser("radiologist").get(f"/studies/{study}").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


@given(st.text(max_size=200))
def test_no_word_is_lost_where_sentences_are_marked(text: str) -> None:
    kept = [one for line in sentences(text) for one in line]
    assert "".join("".join(kept).split()) == "".join(text.split())
    assert all(ai for line in marked(text, text) for _, ai in line)
