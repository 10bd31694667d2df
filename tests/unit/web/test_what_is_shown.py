"""Never hidden, never shown: phases, training, profile and kill switch, on pages and in the API."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from radiolucent.audit.events import HeatmapSent, StudyViewed
from radiolucent.web.server import create_app

LATER = ("text-and-urgency", "heatmaps", "routine")


def _heat(study: str) -> str:
    return f"/api/v1/results/{study}:1/heat/glioma"


def _viewer(page: str) -> Any:
    return json.loads(page.split("data-viewer-study>", 1)[1].split("</script>", 1)[0])


def test_the_page_shows_who_what_and_by_which_engine(room: Any, study: str) -> None:
    page = room.browser("radiologist").get(f"/studies/{study}").text
    for words in ("CURRENT", "bright-spots@1.2.3", "LIVE", "threshold", "Not for clinical use", "PHANTOM"):
        assert words.casefold() in page.casefold(), words


def test_no_page_has_a_name_in_its_title_or_address_and_none_says_normal(room: Any, study: str) -> None:
    for address in ("/worklist", f"/studies/{study}"):
        page = room.browser("radiologist").get(address).text
        [title] = re.findall(r"<title>(.*?)</title>", page)
        assert "PHANTOM" not in title.upper()
        assert not re.search(r"\bnormal\b", page)
        assert "^" not in page  # a DICOM name


def test_a_finding_without_calibration_is_a_score_and_never_per_cent(room: Any, study: str) -> None:
    answer = room.browser("radiologist").get(f"/api/v1/results/{study}:1").json()
    by_name = {one["name"]: one for one in answer["series"][0]["findings"]}
    assert by_name["meningioma"]["probability"] is None
    assert by_name["glioma"]["probability"] is not None
    page = room.browser("radiologist").get(f"/studies/{study}").text
    row = re.search(r"Meningioma</th><td class=\"number\">([^<]*)<", page)
    assert row is not None
    assert "%" not in row.group(1)


@pytest.mark.parametrize("role", ["viewer", "resident", "radiologist", "lead", "admin"])
def test_in_shadow_nothing_of_the_ai_is_told(room: Any, study: str, role: str) -> None:
    room.phase("shadow")
    browser = room.browser(role)
    for address in ("/worklist", f"/studies/{study}", "/api/v1/worklist"):
        text = browser.get(address).text
        assert "glioma" not in text.replace("meningioma", "").casefold(), address
        assert "bright-spots" not in text
    assert browser.get(_heat(study)).status_code == 404
    assert browser.get(f"/api/v1/results/{study}:1").status_code == 404
    assert _viewer(browser.get(f"/studies/{study}").text)["panes"][0]["findings"] == []


def test_in_shadow_the_validation_role_sees_everything(room: Any, study: str) -> None:
    room.phase("shadow")
    assert room.browser("validator").get(_heat(study)).status_code == 200
    assert "glioma" in room.browser("validator").get("/worklist").text.casefold()


def test_an_engine_that_nobody_released_is_in_shadow(room: Any, study: str) -> None:
    with room.store.begin() as work:
        from radiolucent.store.room_tables import PhaseRow

        work.session.query(PhaseRow).delete()
    assert room.browser("radiologist").get(_heat(study)).status_code == 404


@pytest.mark.parametrize(("phase", "status"), [("text-and-urgency", 404), ("heatmaps", 200), ("routine", 200)])
def test_heatmaps_come_with_their_phase(room: Any, study: str, phase: str, status: int) -> None:
    room.phase(phase)
    assert room.browser("radiologist").get(_heat(study)).status_code == status
    assert "glioma" in room.browser("radiologist").get(f"/studies/{study}").text.casefold()


def test_the_untrained_are_told_to_train_and_see_no_place(room: Any, study: str) -> None:
    browser = room.browser("resident")
    answer = browser.get(_heat(study))
    assert (answer.status_code, answer.json()["code"]) == (403, "training_required")
    result = browser.get(f"/api/v1/results/{study}:1").json()
    [glioma] = [one for one in result["series"][0]["findings"] if one["name"] == "glioma"]
    assert glioma["heat"] == "training_required"
    assert not {"regions", "peak_frame", "frame_peaks"} & set(glioma)
    [finding] = _viewer(browser.get(f"/studies/{study}").text)["panes"][0]["findings"]
    assert (finding["heat_url"], finding["frame_logits"]) == (None, [])


def test_where_the_profile_allows_no_place_no_map_leaves(room: Any, study: str) -> None:
    profile = room.premises.profile.model_copy(update={"default": "case-level"})
    room.app = create_app(replace(room.premises, profile=profile))
    answer = room.browser("lead").get(_heat(study))
    assert (answer.status_code, answer.json()["code"]) == (403, "profile")


def test_the_kill_switch_works_at_once_and_images_stay(room: Any, study: str) -> None:
    browser = room.browser("radiologist")
    assert browser.get(_heat(study)).status_code == 200
    assert browser.post("/rollout/stop", {"reason": "wrong side seen"}).status_code == 303
    for name in ("radiologist", "admin", "validator"):
        other = room.browser(name)
        assert other.get(_heat(study)).status_code == 404
        page = other.get(f"/studies/{study}").text
        assert "AI STOPPED" in page
        assert _viewer(page)["panes"][0]["findings"] == []
        url = _viewer(page)["panes"][0]["series"][0]["frames_url"]
        assert other.get(f"{url}0").status_code == 200
    assert room.browser("lead").post("/rollout/resume", {"reason": "checked"}).status_code == 303
    assert browser.get(_heat(study)).status_code == 200


@pytest.mark.parametrize(("mode", "told"), [("off", True), ("collapsed", True), ("forced", False)])
def test_read_first_holds_findings_back_until_the_images_were_looked_at(
    room: Any, study: str, mode: str, told: bool
) -> None:
    room.set("read_first", mode)
    browser = room.browser("radiologist")
    page = browser.get(f"/studies/{study}").text
    assert ("glioma" in page.casefold()) is told
    assert ('class="findings" open' in page) is (mode == "off")
    assert browser.get(_heat(study)).status_code == (200 if told else 403)
    browser.post(f"/studies/{study}/looked")
    assert 'class="findings" open' in browser.get(f"/studies/{study}").text
    assert browser.get(_heat(study)).status_code == 200


def test_the_map_comes_on_an_absolute_scale(room: Any, study: str) -> None:
    browser = room.browser("radiologist")
    small, raw = browser.get(_heat(study)), browser.get(_heat(study) + "?dtype=float32")
    shape = tuple(int(size) for size in small.headers["x-shape"].split(","))
    assert small.headers["x-scale"] == "absolute"
    assert float(small.headers["x-display-scale"]) == 4.0
    evidence = np.frombuffer(raw.content, "<f4").reshape(shape)
    quantised = np.frombuffer(small.content, np.uint8).reshape(shape) / 255 * float(small.headers["x-vmax"])
    assert evidence.min() == -4.0
    assert np.abs(np.maximum(evidence, 0) - quantised).max() <= float(small.headers["x-vmax"]) / 255
    assert "max-age" not in small.headers["cache-control"]


def test_a_map_below_the_threshold_is_not_given(room: Any, study: str) -> None:
    answer = room.browser("radiologist").get(f"/api/v1/results/{study}:1/heat/meningioma")
    assert (answer.status_code, answer.json()["code"]) == (404, "no_heatmap")


def test_frames_are_the_modality_values_and_are_asked_for_again(room: Any, study: str, furnished: Any) -> None:
    from radiolucent.imaging.loading import load

    stack = load(furnished / "glioma" / "study").studies[0].stacks[0]
    browser = room.browser("viewer")
    meta = browser.get(f"/api/v1/series/{stack.series_instance_uid}/meta").json()
    assert (meta["frames"], meta["rows"]) == (len(stack.frames), stack.decode(0).shape[0])
    answer = browser.get(f"{meta['frames_url']}3")
    values = np.frombuffer(answer.content, "<" + np.dtype(meta["dtype"]).str[1:]).reshape(meta["rows"], -1)
    assert np.allclose(values * meta["slope"] + meta["intercept"], stack.decode(3), atol=meta["slope"])
    etag = answer.headers["etag"]
    assert browser.get(f"{meta['frames_url']}3", headers={"If-None-Match": etag}).status_code == 304
    assert room.browser().get(f"{meta['frames_url']}3", headers={"If-None-Match": etag}).status_code == 401
    assert browser.get(f"{meta['frames_url']}999").status_code == 404
    assert browser.get("/api/v1/series/1.2.3/meta").status_code == 404


@pytest.mark.parametrize(("finding", "status"), [("", 200), ("glioma", 200), ("meningioma", 404), ("x", 404)])
def test_the_server_draws_pictures_where_there_is_no_viewer(room: Any, study: str, finding: str, status: int) -> None:
    browser = room.browser("radiologist")
    key = _viewer(browser.get(f"/studies/{study}").text)["panes"][0]["series"][0]["uid"]
    answer = browser.get(f"/studies/{study}/picture.png", params={"series": key, "frame": 4, "finding": finding})
    assert answer.status_code == status
    assert (answer.content[:4] == b"\x89PNG") is (status == 200)


def test_current_and_prior_are_both_on_the_page_with_their_dates(room: Any, study: str) -> None:
    view = _viewer(room.browser("radiologist").get(f"/studies/{study}").text)
    assert [pane["role"] for pane in view["panes"]] == ["current", "prior"]
    assert all(re.search(r"\d{4}-\d\d-\d\d", pane["caption"]) for pane in view["panes"])
    prior = view["panes"][1]
    assert room.browser("radiologist").get(prior["findings"][0]["heat_url"]).status_code == 200


def test_what_was_shown_to_whom_is_one_question_and_draws_the_same_picture(room: Any, study: str) -> None:
    browser = room.browser("radiologist")
    browser.get(f"/studies/{study}")
    first = browser.get(_heat(study) + "?dtype=float32").content
    with room.store.read() as work:
        from radiolucent.store.audit import AuditTrail, Filter

        seen = [one.event for one in AuditTrail(work).find(Filter(study_instance_uid=study, actor="radiologist"))]
    assert [type(one) for one in seen] == [HeatmapSent, StudyViewed]
    sent = seen[0]
    assert isinstance(sent, HeatmapSent)
    again = browser.get(_heat(study) + f"?dtype=float32&series={sent.series}").content
    assert again == first
    from radiolucent.results.reading_json import evidence_digest

    answer = browser.get(_heat(study))
    shape = [int(size) for size in answer.headers["x-shape"].split(",")]
    assert evidence_digest(np.frombuffer(first, "<f4").reshape(shape)) == sent.sha256
