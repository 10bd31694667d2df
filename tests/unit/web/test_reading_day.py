"""A reader's work over HTTP: worklist, decisions with reason and trust, comments, urgency by hand, uploads."""

from __future__ import annotations

import io
import json
import re
import time
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from radiolucent.store.room import Room as Decisions
from radiolucent.web.study import REASONS


def _series(room: Any, study: str) -> str:
    page = room.browser("radiologist").get(f"/studies/{study}").text
    return str(
        json.loads(page.split("data-viewer-study>", 1)[1].split("</script>", 1)[0])["panes"][0]["series"][0]["uid"]
    )


def _decision(room: Any, study: str, **changes: Any) -> dict[str, Any]:
    return {"series": _series(room, study), "finding": "glioma", "outcome": "accept"} | changes


def _made(room: Any, study: str) -> list[Any]:
    with room.store.read() as work:
        return Decisions(work).decisions(study)


def test_the_most_urgent_study_stands_on_top_and_all_are_there(room: Any, study: str) -> None:
    room.clock.forward(hours=1)
    rows = room.browser("radiologist").get("/api/v1/worklist").json()["studies"]
    order = [(row["urgency"]["level"], -row["waited_minutes"]) for row in rows]
    assert order == sorted(order)
    assert {row["study_instance_uid"]: row["leading_finding"] for row in rows}[study] == "glioma"
    assert len(rows) == 2


def test_a_study_that_waits_long_climbs_but_never_to_critical(room: Any, study: str) -> None:
    room.clock.forward(days=30)
    rows = room.browser("radiologist").get("/api/v1/worklist").json()["studies"]
    assert all(row["urgency"] is None or row["urgency"]["level"] >= 1 for row in rows)
    assert all(row["waited_minutes"] >= 30 * 24 * 60 - 60 for row in rows)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("mod=MR", 2),
        ("mod=CT", 0),
        ("state=done", 2),
        ("state=failed", 0),
        ("mine=true", 0),
        ("u=1", 0),
        ("show=finished", 0),
        ("page=2", 0),
    ],
)
def test_filters_narrow_the_list(room: Any, query: str, count: int) -> None:
    page = room.browser("radiologist").get(f"/worklist?{query}").text
    assert len(re.findall(r'<a href="/studies/', page)) == count


@pytest.mark.parametrize(("search", "count"), [("phantom", 2), ("PHANTOM", 2), ("no-such", 0), (" ", 2)])
def test_what_is_searched_for_is_in_no_address(room: Any, search: str, count: int) -> None:
    browser = room.browser("radiologist")
    answer = browser.post("/worklist/find", {"search": search, "mod": "MR"})
    assert answer.status_code == 303
    address = answer.headers["location"]
    assert search.strip() == "" or search not in address
    page = browser.get(address).text
    assert len(re.findall(r'<a href="/studies/', page)) == count
    assert len(re.findall(r'<a href="/studies/', room.browser("lead").get(address).text)) == 2  # another's search


def test_new_studies_are_announced_and_no_row_moves(room: Any) -> None:
    newest = max(one.received_at for one in room.premises.source.every())
    browser = room.browser("viewer")
    before = {"since": (newest - timedelta(microseconds=1)).isoformat()}
    assert "1 new, refresh" in browser.get("/worklist/news", params=before).text
    assert "up to date" in browser.get("/worklist/news", params={"since": newest.isoformat()}).text
    page = browser.get("/worklist").text
    assert quote(newest.isoformat()) in page
    room.clock.now = newest + timedelta(minutes=42)
    assert "last study 00:42 ago" in browser.get("/worklist/news", params=before).text


def test_a_finished_study_leaves_the_list_and_can_be_taken_back(room: Any, study: str) -> None:
    browser = room.browser("radiologist")

    def listed(query: str = "") -> list[str]:
        return [row["study_instance_uid"] for row in browser.get(f"/api/v1/worklist{query}").json()["studies"]]

    browser.post(f"/studies/{study}/claim")
    assert room.browser("lead").post(f"/studies/{study}/finish").status_code == 409
    assert room.browser("resident").post(f"/studies/{study}/finish").status_code == 403
    room.clock.forward(minutes=30)
    assert browser.post(f"/studies/{study}/finish").status_code == 303
    assert study not in listed()
    assert study in listed("?show=finished")
    assert browser.post(f"/studies/{study}/reopen").status_code == 303
    assert study in listed()
    assert [event.finished for event in room.events("study.finished")] == [False, True]


@pytest.mark.parametrize("outcome", ["accept", "modify"])
def test_a_decision_is_kept_with_trust_and_written_down(room: Any, study: str, outcome: str) -> None:
    data = _decision(room, study, outcome=outcome, trust="4", note="as said", open_ms=5000, overlay_ms=1200)
    assert room.browser("radiologist").post(f"/studies/{study}/decisions", data).status_code == 303
    [made] = _made(room, study)
    assert (made.outcome, made.trust, made.reader, made.overlay_ms) == (outcome, 4, "radiologist", 1200)
    [event] = room.events("finding.decided")
    assert (event.finding, event.digest) == ("glioma", made.reading_digest)


@pytest.mark.parametrize("reason", REASONS)
def test_a_rejection_says_why(room: Any, study: str, reason: str) -> None:
    data = _decision(room, study, outcome="reject", reason=reason)
    assert room.browser("radiologist").post(f"/studies/{study}/decisions", data).status_code == 303
    assert _made(room, study)[0].reason == reason


def test_trust_has_no_preset(room: Any, study: str) -> None:
    page = room.browser("radiologist").get(f"/studies/{study}").text
    assert not re.search(r'name="(trust|outcome)"[^>]*checked', page)
    room.browser("radiologist").post(f"/studies/{study}/decisions", _decision(room, study))
    assert _made(room, study)[0].trust is None


@pytest.mark.parametrize(
    "changes",
    [
        {"outcome": "reject"},
        {"outcome": "reject", "reason": "because"},
        {"outcome": "accept", "reason": "wrong-place"},
        {"outcome": "delete"},
        {"trust": "6"},
        {"finding": "no-such"},
        {"series": "1.2.3"},
        {"region": "{}"},
        {"region": '{"frame": 0, "points": [[0, 0], [1, 1]]}'},
        {"region": '{"frame": 9999, "points": [[0, 0], [1, 1], [2, 0]]}'},
        {"region": '{"frame": 0, "points": [[0, 0], [1, 1], [1e9, 0]]}'},
    ],
)
def test_a_decision_that_says_nothing_clear_is_refused(room: Any, study: str, changes: dict[str, Any]) -> None:
    answer = room.browser("radiologist").post(f"/studies/{study}/decisions", _decision(room, study, **changes))
    assert answer.status_code in (404, 422)
    assert _made(room, study) == []


def test_a_redrawn_region_is_kept(room: Any, study: str) -> None:
    region = {"frame": 3, "points": [[10, 10], [10, 20], [20, 20.257]]}
    data = _decision(room, study, outcome="reject", reason="wrong-place", region=json.dumps(region))
    room.browser("radiologist").post(f"/studies/{study}/decisions", data)
    assert json.loads(_made(room, study)[0].region)["points"][2] == [20.0, 20.26]


def test_a_second_decision_stands_beside_the_first(room: Any, study: str) -> None:
    for trust in ("2", "5"):
        room.browser("lead").post(f"/studies/{study}/decisions", _decision(room, study, trust=trust))
    assert [one.trust for one in _made(room, study)] == [2, 5]


@pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("resident", 403), ("auditor", 403), ("validator", 303)])
def test_who_may_not_decide_cannot(room: Any, study: str, role: str, status: int) -> None:
    answer = room.browser(role).post(f"/studies/{study}/decisions", _decision(room, study))
    assert answer.status_code == status


def test_words_of_readers_are_escaped(room: Any, study: str) -> None:
    browser = room.browser("resident")
    browser.post(f"/studies/{study}/comments", {"text": "<script>alert(1)</script>"})
    page = browser.get(f"/studies/{study}").text
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_one_reader_holds_a_study(room: Any, study: str) -> None:
    assert room.browser("lead").post(f"/studies/{study}/claim").status_code == 303
    assert room.browser("radiologist").post(f"/studies/{study}/claim").status_code == 409
    assert room.browser("radiologist").post(f"/studies/{study}/release").status_code == 409
    assert room.browser("lead").post(f"/studies/{study}/release").status_code == 303


def test_an_urgency_set_by_hand_counts(room: Any, study: str) -> None:
    room.browser("radiologist").post(f"/studies/{study}/urgency", {"level": 1, "reason": "midline shift"})
    rows = room.browser("radiologist").get("/api/v1/worklist").json()["studies"]
    assert rows[0]["urgency"] == {"level": 1, "word": rows[0]["urgency"]["word"], "by_hand": True}


def test_views_of_the_viewer_are_written_down(room: Any, study: str) -> None:
    browser = room.browser("radiologist")
    view = {"event": "overlay-shown", "finding": "1.2/glioma", "ms": 0, "method": ""}
    headers = {"X-CSRF-Token": browser.csrf}
    assert browser.client.post(f"/studies/{study}/views", json=view, headers=headers).status_code == 204
    assert browser.client.post(f"/studies/{study}/views", json=view).status_code == 403
    assert [event.on for event in room.events("overlay")] == [True]


def _upload(room: Any, data: bytes, name: str = "study.zip") -> Any:
    browser = room.browser("radiologist")
    answer = browser.client.post("/upload", data={"csrf": browser.csrf}, files={"file": (name, data)})
    assert answer.status_code == 303
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        page = browser.get(answer.headers["location"])
        if page.status_code == 303 or "Not read" in page.text:
            return page
        time.sleep(0.05)
    raise AssertionError("the upload never ended")


def _zip(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def test_a_zip_of_a_study_is_read_and_opens(room: Any, furnished: Path) -> None:
    files = {path.name: path.read_bytes() for path in (furnished / "clean" / "study").glob("*.dcm")}
    before = len(room.premises.source.every())
    page = _upload(room, _zip(files))
    assert page.status_code == 303
    assert room.browser("radiologist").get(page.headers["location"]).status_code == 200
    assert len(room.premises.source.every()) == before + 1
    assert [event.outcome for event in room.events("study.uploaded")] == ["read", "received"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"no DICOM at all", "DICOM"),
        (_zip({"../../evil.dcm": b"x"}), "upload"),
        (_zip({"bomb.dcm": b"\0" * (80 << 20)}), "upload"),
        (_zip({"a.txt": b"hello"}), "upload"),
    ],
    ids=["text", "traversal", "bomb", "nothing"],
)
def test_what_is_no_study_is_refused_and_leaves_nothing(room: Any, furnished: Path, data: bytes, words: str) -> None:
    before = sorted(path.name for path in furnished.iterdir())
    page = _upload(room, data)
    assert "Not read" in page.text
    assert str(furnished) not in page.text
    assert sorted(path.name for path in furnished.iterdir()) == before
    assert [event.outcome for event in room.events("study.uploaded")] == ["refused", "received"]


def test_an_upload_without_its_token_is_refused(room: Any) -> None:
    browser = room.browser("radiologist")
    assert browser.client.post("/upload", files={"file": ("x", b"x")}).status_code == 403
    assert room.browser("viewer").client.post("/upload", files={"file": ("x", b"x")}).status_code == 403
