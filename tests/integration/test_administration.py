"""The administration of a gateway, page by page: nodes that answer or don't, queues, thresholds, archive, uploads."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from radiolucent.app.office import office_of
from radiolucent.app.parts import compose
from radiolucent.app.thresholds import in_use, kept_rules
from radiolucent.app.workers import rules_changed
from radiolucent.engines.runtime import load_engine
from radiolucent.findings.operating_points import OperatingPoints
from radiolucent.findings.profile import Profile
from radiolucent.pipeline.receiving import StoreReceiver
from radiolucent.pipeline.revisions import Bench, read_revision
from radiolucent.store.deliveries import Deliveries
from radiolucent.store.facts import Facts
from radiolucent.store.instances import Instances
from radiolucent.store.revisions import Revisions
from radiolucent.store.site import Site as SiteRows
from radiolucent.store.studies import Studies
from radiolucent.web.access import Visitor, gate
from radiolucent.web.training import let_through
from tests.integration.sites import ENGINE, Site, a_site, phantom


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with a_site(tmp_path) as made:
        yield made


def _upload(site: Site, data: bytes) -> Any:
    client, csrf = site.browser("radiologist")
    answer = client.post("/upload", data={"csrf": csrf}, files={"file": ("x", data)})
    assert answer.status_code == 303
    until = time.monotonic() + 120
    while time.monotonic() < until:
        page = client.get(answer.headers["location"])
        if page.status_code == 303 or "Not read" in page.text or site.events("study.uploaded")[0].outcome != "received":  # type: ignore[attr-defined]
            return client.get(answer.headers["location"])
        time.sleep(0.05)
    raise AssertionError("the upload never ended")


@pytest.mark.parametrize(
    ("node", "answered", "words"),
    [
        ("pacs", True, "C-ECHO with status 0x0000"),
        ("other-title", False, "called by this AE title"),
        ("stranger", False, "know our AE title"),
        ("away", False, "Connection refused"),
        ("drawer", True, "can be written"),
        ("lost-drawer", False, "isn't there"),
        ("ris", True, "takes connections"),
        ("web", False, "web"),
    ],
)
def test_each_node_is_asked_and_says_why(site: Site, node: str, answered: bool, words: str) -> None:
    page = site.post(f"/admin/nodes/{node}/echo").text
    [event] = site.events("node.asked")
    assert (event.node, event.answered) == (node, answered)  # type: ignore[attr-defined]
    assert words in event.reason  # type: ignore[attr-defined]
    assert ("✓ answered" in page) is answered


def test_no_one_else_asks_and_there_is_no_other_node(site: Site) -> None:
    assert site.post("/admin/nodes/pacs/echo", "lead").status_code == 403
    assert site.post("/admin/nodes/unknown/echo").status_code == 404
    assert site.events("node.asked") == []


def test_an_upload_goes_the_way_of_what_scanners_send_and_is_read_at_once(site: Site, tmp_path: Path) -> None:
    uid, data = phantom(tmp_path / "study", PatientID="<script>alert(1)</script>")
    _upload(site, data)
    with site.parts.store.read() as work:
        objects = Instances(work).of_study(uid)
    assert {one.source_kind for one in objects} == {"upload"}
    assert all((site.parts.store.folder / one.path).is_file() for one in objects)
    assert site.woken.is_set()
    site.coordinator.turn()
    with site.parts.store.read() as work:
        assert Studies(work).get(uid).state == "queued"  # whole with its upload: no quiet period
    assert not list(site.office.uploads.iterdir())
    page = site.get("/worklist", "radiologist")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert [one.outcome for one in site.events("study.uploaded")] == ["taken", "received"]  # type: ignore[attr-defined]


def test_an_uploaded_study_is_read_by_a_worker_and_opens_with_its_heatmap(site: Site, tmp_path: Path) -> None:
    uid, data = phantom(tmp_path / "study", slices=None)
    page = _upload(site, data)
    assert page.status_code == 200  # taken, and waiting to be read
    site.coordinator.turn()
    engine = load_engine(site.parts.bundles[0], threads=1)
    bench = Bench(
        store=site.parts.store, engines=[engine], routes=site.parts.routes, worker="w", options=site.parts.options
    )
    assert read_revision(bench, uid, 1) == "read"
    with site.parts.store.begin() as work:
        found = Facts(work).of([(uid, 1)])[uid, 1]
        SiteRows(work).set_phase(ENGINE, "routine", now=datetime.now(UTC))
        let_through(site.premises, work, "radiologist", granted_by="system", reason="a test")
    assert "glioma" in [one.name for one in found.findings]
    client, _ = site.browser("radiologist")
    assert client.get(f"/studies/{uid}").status_code == 200
    assert client.get(f"/api/v1/results/{uid}:1/heat/glioma").headers["x-scale"] == "absolute"
    assert "Glioma" in client.get("/worklist").text


@pytest.mark.parametrize("data", [b"no DICOM", b"PK\x03\x04 no zip"], ids=["text", "broken zip"])
def test_what_is_no_study_is_refused_and_leaves_nothing(site: Site, data: bytes) -> None:
    assert "Not read" in _upload(site, data).text
    assert not list(site.office.uploads.iterdir())
    assert not list(site.parts.archive.files())
    assert [one.outcome for one in site.events("study.uploaded")] == ["refused", "received"]  # type: ignore[attr-defined]


def test_dead_letters_are_sent_again_by_destination(site: Site, tmp_path: Path) -> None:
    uid, data = phantom(tmp_path / "study")
    _upload(site, data)
    now = datetime.now(UTC)
    with site.parts.store.begin() as work:
        Revisions(work).plan(uid, Instances(work).of_study(uid), ["e"], made_at=now)
        for one in Deliveries(work).owe(uid, 1, ["away", "web"], at=now):
            Deliveries(work).give_up(one.id, reason="away: no association", at=now)
    page = site.get("/admin/queues")
    assert "away: no association" in page
    assert site.post("/admin/queues/deliveries", destination="away").status_code == 303
    with site.parts.store.read() as work:
        assert Deliveries(work).by_destination() == {"away": {"waiting": 1}, "web": {"dead": 1}}
    assert site.post("/admin/queues/deliveries", "lead", destination="web").status_code == 403
    [event] = site.events("queued.again")
    assert event.number == 1  # type: ignore[attr-defined]


def test_a_failed_study_is_read_again(site: Site, tmp_path: Path) -> None:
    uid, data = phantom(tmp_path / "study")
    _upload(site, data)
    site.coordinator.turn()
    now = datetime.now(UTC)
    with site.parts.store.begin() as work:
        Instances(work).finish([one.id for one in Instances(work).of_study(uid)], "failed", revision=1)
        Revisions(work).finished(uid, 1, "failed", reason="out of memory", at=now)
    assert "out of memory" in site.get("/admin/queues")
    assert site.post("/admin/queues/studies", study=uid).status_code == 303
    with site.parts.store.read() as work:
        assert Studies(work).get(uid).latest_revision == 2
    assert site.post("/admin/queues/studies", study="9.9").status_code == 409


def test_the_archive_tells_what_its_limits_would_remove_and_removes_nothing(site: Site, tmp_path: Path) -> None:
    uid, data = phantom(tmp_path / "study")
    _upload(site, data)
    assert "0 studies" in site.get("/admin/archive")
    with site.parts.store.begin() as work:
        Instances(work).finish([one.id for one in Instances(work).of_study(uid)], "kept", revision=0)
        Studies(work).set_state(uid, "kept")
        from radiolucent.store.study_tables import StudyRow

        work.session.get_one(StudyRow, uid).last_received_at = datetime.now(UTC) - timedelta(days=31)
    page = site.get("/admin/archive")
    assert "1 studies" in page
    assert uid in page
    assert list(site.parts.archive.files())


def _state(page: str) -> str:
    return page.split('name="state" value="', 1)[1].split('"', 1)[0]


def test_a_threshold_is_tried_confirmed_set_and_used_by_who_starts_next(site: Site) -> None:
    label = site.parts.bundles[0].label
    asked = f"/admin/thresholds?engine={label}&finding=glioma&value=0.61"
    page = site.get(asked)
    assert "no reading of this engine yet" in page
    data = {
        "engine": label,
        "finding": "glioma",
        "value": "0.61",
        "again": "0.61",
        "state": _state(page),
        "purpose": "fewer false alarms",
        "reason": "local validation, n = 120",
    }
    known = kept_rules(site.parts.store)
    assert site.post("/admin/thresholds", **data | {"again": "0.16"}).status_code == 422
    assert site.post("/admin/thresholds", "lead", **data).status_code == 403
    assert not rules_changed(site.parts.store, known)
    assert site.post("/admin/thresholds", **data).status_code == 303
    assert rules_changed(site.parts.store, known)
    assert site.post("/admin/thresholds", **data | {"value": "0.7", "again": "0.7"}).status_code == 409
    [event] = site.events("threshold.changed")
    assert (event.after, event.actor) == ("0.61", "admin")  # type: ignore[attr-defined]
    again = compose(site.settings)
    assert again.options.thresholds(again.bundles[0]) == {"glioma": 0.61}
    later = office_of(again, StoreReceiver(again.store, again.archive))
    page = site.get("/admin/thresholds")
    assert "0.610" in page
    state = _state(page)
    assert site.post("/admin/thresholds/own", engine=label, state=state, reason="a trial").status_code == 303
    assert site.office.points() is None
    assert later.points() is None  # also for a gateway that was started with it
    again.store.close()
    assert site.post("/admin/thresholds/own", engine=label, state=state, reason="a trial").status_code == 409


def test_thresholds_of_another_version_are_left_out_and_stop_nothing(site: Site) -> None:
    [bundle] = site.parts.bundles
    entry = {
        "name": ENGINE,
        "version": bundle.manifest.version,
        "digest": "0" * 64,
        "purpose": "p",
        "set_by": "s",
        "set_on": "2026-01-01",
        "reason": "r",
        "thresholds": {"glioma": 0.9},
    }
    points = OperatingPoints.model_validate({"site": "here", "engines": [entry]})
    assert in_use(points, [bundle]).engines == ()
    bound = OperatingPoints.model_validate({"site": "here", "engines": [entry | {"digest": bundle.digest}]})
    assert in_use(bound, [bundle]) == bound


def test_the_card_of_each_engine_is_there(site: Site) -> None:
    page = site.get("/admin/engines")
    assert site.parts.bundles[0].digest in page
    assert "The whole card" in page


def test_a_finding_is_used_for_less_at_once_and_never_for_more(site: Site) -> None:
    known = kept_rules(site.parts.store)
    assert site.post("/admin/profile", finding="glioma", use="case-level").status_code == 303
    assert rules_changed(site.parts.store, known)
    with site.parts.store.read() as work:
        who = Visitor(name="lead", display_name="", role="lead", csrf="", address="")
        seen = gate(site.premises, who, work)
    assert (seen.profile.use("glioma"), seen.profile.use("meningioma")) == ("case-level", "localise")
    again = compose(site.settings)
    assert again.profile.use("glioma") == "case-level"
    again.store.close()
    object.__setattr__(site.premises, "profile", Profile(version="1", site="s", default="notify", findings={}))
    assert site.post("/admin/profile", finding="glioma", use="localise").status_code == 422
    assert site.post("/admin/profile", finding="no-such", use="notify").status_code == 404
    assert "case-level" not in site.get("/admin/engines").split("<h2>Profile")[1].split("<tbody>")[1]
    assert site.post("/admin/profile", finding="glioma", use="notify").status_code == 303
    with site.parts.store.read() as work:
        assert SiteRows(work).profile_uses() == {}
    assert [one.after for one in site.events("setting.changed")] == ["notify", "case-level"]  # type: ignore[attr-defined]
