"""The pages of figures: made of what readers did on the pages; the same numbers as page, CSV and JSON; no persons."""

from __future__ import annotations

import csv
import io
from datetime import timedelta
from typing import Any

import pytest

from radiolucent.store.people import People
from radiolucent.store.room import Decision
from radiolucent.store.room import Room as Rows
from radiolucent.web.monitoring import SECTIONS, TABS
from radiolucent.web.site_figures import FEWEST_READERS


def _csv(room: Any, name: str, days: int = 30) -> list[dict[str, str]]:
    text = room.browser("lead").get(f"/monitoring/{name}.csv?days={days}").text
    return list(csv.DictReader(io.StringIO(text)))


def _decide(room: Any, study: str, reader: str, outcome: str = "accept", reason: str = "") -> None:
    """As the study page does."""
    [read] = room.premises.source.summary(study).reading.series
    browser = room.browser(reader)
    browser.get(f"/studies/{study}")
    room.clock.forward(seconds=60)
    data = {"series": read.key, "finding": "glioma", "outcome": outcome, "reason": reason}
    assert browser.post(f"/studies/{study}/decisions", data).status_code == 303


@pytest.mark.parametrize("tab", TABS)
def test_each_page_opens_and_names_its_tables(room: Any, study: str, tab: str) -> None:
    _decide(room, study, "radiologist")
    page = room.browser("auditor").get(f"/monitoring/{tab}").text
    for name in TABS[tab][1]:
        assert f'/monitoring/{name}.csv?days=30"' in page
    assert 'aria-current="page"' in page
    assert "radiologist" not in page.split("<main", 1)[1] or tab == "use"  # there as a group


def test_every_section_is_on_a_page_and_there_is_no_other(room: Any) -> None:
    assert sorted(name for _, names in TABS.values() for name in names) == sorted(SECTIONS)
    for address in ("/monitoring/x", "/monitoring/x.csv", "/api/v1/metrics/x"):
        assert room.browser("lead").get(address).status_code == 404
    assert room.browser("lead").get("/monitoring?days=0").status_code == 422


@pytest.mark.parametrize("name", SECTIONS)
def test_a_program_is_told_the_same_as_a_spreadsheet(room: Any, study: str, name: str) -> None:
    _decide(room, study, "radiologist")
    told = room.browser("lead").get(f"/api/v1/metrics/{name}").json()
    rows = _csv(room, name)
    figures = [(figure["figure"], figure["n"]) for row in told["rows"] for figure in row["figures"]]
    if figures:
        assert [(row["figure"], int(row["n"])) for row in rows] == figures
    else:
        assert len(rows) == len(told["rows"])


def test_prometheus_is_told_what_is_known_and_comes_with_a_token(room: Any, study: str) -> None:
    _decide(room, study, "radiologist")
    with room.store.begin() as work:
        token = People(work).make_token("auditor", label="prometheus", role="auditor", now=room.clock())
    answer = room.browser().client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    lines = answer.text.splitlines()
    assert "radiolucent_findings_accepted 1.0" in lines
    assert "radiolucent_findings_accepted_n 1" in lines
    assert 'radiolucent_accepted{engine="bright-spots@1.2.3",finding="Glioma"} 1.0' in lines
    names = [line.split()[2] for line in lines if line.startswith("# TYPE")]
    assert len(names) == len(set(names))
    assert not any("None" in line or "nan" in line for line in lines)


def test_calibration_counts_a_misplaced_finding_as_right_and_of_each_reader_the_last_word(
    room: Any, study: str
) -> None:
    _decide(room, study, "radiologist", "reject", "wrong-finding")
    _decide(room, study, "radiologist", "reject", "wrong-place")
    _decide(room, study, "lead", "reject", "wrong-finding")
    _decide(room, study, "admin", "reject", "other")  # says nothing of it
    right = [row for row in _csv(room, "calibration") if row["figure"] == "right"]
    assert [(row["value"], row["n"]) for row in right] == [("0.5", "2")]
    told = [row for row in _csv(room, "calibration") if row["figure"] == "told"]
    [glioma] = [one for one in room.premises.source.summary(study).reading.series[0].findings if one.name == "glioma"]
    assert float(told[0]["value"]) == pytest.approx(glioma.probability)


def test_groups_come_from_headers_and_what_they_do_not_say_is_a_group(room: Any, study: str) -> None:
    _decide(room, study, "radiologist")
    rows = _csv(room, "fairness")
    assert {row["by"] for row in rows} == {"sex", "age", "scanner"}
    for by in ("sex", "age", "scanner"):
        counted = [row for row in rows if row["by"] == by]
        assert sum(float(row["value"]) for row in counted if row["figure"] == "studies") == 2
        assert sum(int(row["n"]) for row in counted if row["figure"] == "accepted") == 1


def _accounts(room: Any, study: str, role: str, number: int) -> None:
    with room.store.begin() as work:
        for k in range(number):
            People(work).add(f"{role}-{k}", role=role, password="", now=room.clock())
            made = Decision(
                study_instance_uid=study,
                series_key="1.2",
                finding="glioma",
                engine="bright-spots@1.2.3",
                reading_digest="d",
                reader=f"{role}-{k}",
                outcome="accept",
                at=room.clock(),
            )
            Rows(work).decide(made)


@pytest.mark.parametrize(
    ("readers", "told"),
    [
        ({"radiologist": FEWEST_READERS}, {"all readers", "radiologist"}),
        ({"radiologist": FEWEST_READERS - 1}, {"all readers"}),
        ({"radiologist": 7, "lead": 1}, {"all readers"}),
        ({"radiologist": 7, "admin": 6, "lead": 1}, {"all readers", "radiologist"}),
        ({"radiologist": 7, "admin": 3, "lead": 2}, {"all readers", "radiologist"}),
    ],
)
def test_no_group_is_told_in_which_a_person_could_be_found(
    room: Any, study: str, readers: dict[str, int], told: set[str]
) -> None:
    """Neither by its own size nor as what is left of all when the other groups are taken away."""
    for role, number in readers.items():
        _accounts(room, study, role, number)
    assert {row["group"] for row in _csv(room, "use")} == told
    if len(told) <= len(readers):
        assert "could be told from the rest" in room.browser("lead").get("/monitoring/use").text


def test_figures_are_of_the_days_that_are_asked_for(room: Any, study: str) -> None:
    _decide(room, study, "radiologist")
    room.clock.now += timedelta(days=10)
    assert {row["figure"]: row["n"] for row in _csv(room, "overview", 9)}["findings accepted"] == "0"
    assert {row["figure"]: row["n"] for row in _csv(room, "overview", 11)}["findings accepted"] == "1"
