"""Decisions beside the plain ones: what a change must say, regions in the patient, results taken back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from radiolucent.store.deliveries import WITHDRAWAL, Deliveries
from radiolucent.store.instances import Instances, NewInstance, StudyHeader
from radiolucent.store.revisions import NewReading, Readings, Revisions
from radiolucent.store.room import Room as Rows


def _decision(room: Any, study: str, **changes: str) -> dict[str, str]:
    [read] = room.premises.source.summary(study).reading.series
    return {"series": read.key, "finding": "glioma", "outcome": "accept"} | changes


def _made(room: Any, study: str) -> Any:
    with room.store.read() as work:
        return Rows(work).decisions(study)


REGION = json.dumps({"frame": 3, "points": [[10, 10], [10, 20], [20, 20]]})


@pytest.mark.parametrize("said", [{"note": "smaller"}, {"reason": "wrong-place"}, {"region": REGION}])
def test_a_change_says_what_is_to_be_changed(room: Any, study: str, said: dict[str, str]) -> None:
    browser = room.browser("radiologist")
    bare = browser.post(f"/studies/{study}/decisions", _decision(room, study, outcome="modify"))
    assert bare.status_code == 422
    assert (
        browser.post(f"/studies/{study}/decisions", _decision(room, study, outcome="modify", **said)).status_code == 303
    )
    assert len(_made(room, study)) == 1


def test_a_redrawn_region_is_kept_in_the_patient_too_and_drawn_again(room: Any, study: str) -> None:
    browser = room.browser("radiologist")
    data = _decision(room, study, outcome="reject", reason="wrong-place", region=REGION)
    browser.post(f"/studies/{study}/decisions", data)
    kept = json.loads(_made(room, study)[0].region)
    [read] = room.premises.source.summary(study).reading.series
    plane = read.frames[3].plane
    assert np.allclose(kept["points_mm"], plane.to_patient(np.array(kept["points"])), atol=0.01)
    assert kept["sop_instance_uid"] == read.frames[3].sop_instance_uid
    page = browser.get(f"/studies/{study}").text
    view = json.loads(page.split("data-viewer-study>", 1)[1].split("</script>", 1)[0])
    [shown] = view["regions"]
    assert (shown["frame"], shown["points"]) == (3, kept["points"])
    assert shown["label"] == "Glioma, redrawn by radiologist"


def test_only_the_latest_region_of_a_reader_is_drawn_again(room: Any, study: str) -> None:
    browser = room.browser("radiologist")
    for frame in (3, 4):
        region = json.dumps(json.loads(REGION) | {"frame": frame})
        browser.post(f"/studies/{study}/decisions", _decision(room, study, outcome="modify", region=region))
    page = browser.get(f"/studies/{study}").text
    view = json.loads(page.split("data-viewer-study>", 1)[1].split("</script>", 1)[0])
    assert [one["frame"] for one in view["regions"]] == [4]


def test_a_rejection_in_a_folder_of_readings_has_nothing_to_take_back(room: Any, study: str) -> None:
    browser = room.browser("radiologist")
    data = _decision(room, study, outcome="reject", reason="wrong-finding")
    answer = browser.post(f"/studies/{study}/decisions", data, headers={"accept": "application/json"})
    assert answer.json() == {"decided": True, "withdrawn": False, "amended": False}


def _sent_on(room: Any, study: str) -> None:
    """The study's result was delivered to a PACS."""
    new = NewInstance(
        sop_instance_uid="1", sop_class_uid="1.2", series_instance_uid="1.2.1", study_instance_uid=study,
        transfer_syntax_uid="1.2", digest="d", path="p", size_bytes=1, source_kind="c-store", association_id="a",
    )  # fmt: skip
    reading = NewReading(
        study_instance_uid=study,
        revision=1,
        state="read",
        folder=f"readings/{study}/1",
        digest="d",
        urgency=None,
        positives="",
        engines="bright-spots@1.2.3",
        made_at=room.clock(),
    )
    with room.store.begin() as work:
        one = Instances(work).add(new, StudyHeader(modality="MR"), at=room.clock())
        Revisions(work).plan(study, [one], ["e"], made_at=room.clock())
        Readings(work).add(reading)
        [owed] = Deliveries(work).owe(study, 1, ["pacs"], at=room.clock())
        Deliveries(work).take(owed.id)
        Deliveries(work).delivered(owed.id, receipt="{}", at=room.clock())


@pytest.mark.parametrize(
    ("said", "taken_back"),
    [
        ({"reason": "wrong-finding"}, True),
        ({"reason": "wrong-place"}, True),
        ({"reason": "artefact"}, True),
        ({"reason": "known"}, False),
        ({"reason": "wrong-place", "keep_sent": "true"}, False),
    ],
    ids=["wrong finding", "wrong place", "artefact", "known", "left"],
)
def test_a_rejection_because_it_is_wrong_takes_the_result_back(
    room: Any, study: str, said: dict[str, str], taken_back: bool
) -> None:
    _sent_on(room, study)
    data = _decision(room, study, outcome="reject", **said)
    answer = room.browser("radiologist").post(
        f"/studies/{study}/decisions", data, headers={"accept": "application/json"}
    )
    assert answer.json()["withdrawn"] is taken_back
    with room.store.read() as work:
        told = Deliveries(work).of_revision(study, 1, kind=WITHDRAWAL)
        latest = Readings(work).latest(study)
    assert [one.destination for one in told] == (["pacs"] if taken_back else [])
    assert (latest is None) is taken_back
    events = room.events("result.withdrawn")
    assert [one.actor for one in events] == (["radiologist"] if taken_back else [])


def test_the_insight_sheet_shows_places_and_so_needs_the_training(room: Any, study: str) -> None:
    answer = room.browser("radiologist").get(f"/studies/{study}/insight")
    assert answer.status_code == 200
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "AI insight sheet" in answer.text
    assert [one.form for one in room.events("heatmap.sent")] == ["insight"]
    refused = room.browser("resident").get(f"/studies/{study}/insight", headers={"accept": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (403, "training_required")
