"""A rejected finding is taken out of what a gateway has sent: the rest stays, the earlier result is corrected."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from radiolucent.app.office import office_of
from radiolucent.app.parts import compose
from radiolucent.engines.runtime import EngineOutput
from radiolucent.phantom.studies import make_study
from radiolucent.pipeline.messages import load_outgoing
from radiolucent.pipeline.receiving import StoreReceiver
from radiolucent.pipeline.revisions import Bench, owe_deliveries, read_revision
from radiolucent.settings import load_settings
from radiolucent.store.audit import AuditTrail, Filter
from radiolucent.store.deliveries import Deliveries
from radiolucent.store.instances import Instances
from radiolucent.store.people import People
from radiolucent.store.revisions import Readings
from radiolucent.store.site import Site as SiteRows
from radiolucent.web.access import COOKIE, Premises
from radiolucent.web.server import create_app
from radiolucent.web.sources import StoreSource
from tests.unit.conftest import BrightSpots

JSON = {"accept": "application/json"}


class TwoSpots(BrightSpots):
    """Both findings where it is bright; with `twice` False the first alone."""

    def __init__(self, *, twice: bool = True) -> None:
        super().__init__()
        self.twice = twice

    def run(self, batch: NDArray[np.float32]) -> EngineOutput:
        one = super().run(batch)
        if not self.twice:
            return one
        return EngineOutput(
            logits=one.logits[:, [0, 0]], evidence=one.evidence[:, [0, 0]], milliseconds=one.milliseconds
        )


class Gateway:
    """A gateway without workers that has read and sent one study, and a radiologist's browser on its pages."""

    def __init__(self, folder: Path, engine: Any) -> None:
        (folder / "out").mkdir()
        settings = load_settings(
            data_folder=folder / "data",
            work={"engines": ["brain-mri"], "workers": 0},
            archive={"watermark_mib": 1},
            destinations=[{"name": "drawer", "kind": "folder", "folder": folder / "out"}],
        )
        self.parts = compose(settings)
        self.parts.archive.prepare()
        self.store = self.parts.store
        office = office_of(self.parts, StoreReceiver(self.store, self.parts.archive))
        self.bench = Bench(store=self.store, engines=[engine], routes=self.parts.routes, worker="w")
        study = make_study("brain-mr", ("glioma",), seed=11, slices=6)
        self.uid, now = str(study.datasets[0].StudyInstanceUID), datetime.now(UTC)
        study.save(folder / "study")
        office.take(Path(shutil.make_archive(str(folder / "study"), "zip", folder / "study")))
        label = engine.bundle.manifest.label
        with self.store.begin() as work:
            People(work).add("radiologist", role="radiologist", password="", now=now)
            SiteRows(work).set_phase(label.partition("@")[0], "routine", now=now)
            secret = People(work).open_session("radiologist", now=now)
            session = People(work).session(secret, now=now)
            assert session is not None
            office.read_again(work, self.uid, at=now)
        self.csrf = session.csrf
        premises = Premises(store=self.store, source=StoreSource(self.store), office=office)
        self.client = TestClient(create_app(premises), follow_redirects=False)
        self.client.cookies.set(COOKIE, secret)
        self.read_and_send(1)

    def read_and_send(self, revision: int) -> None:
        """What a worker does with a revision; the destination has it afterwards."""
        assert read_revision(self.bench, self.uid, revision) == "read"
        owe_deliveries(self.bench, self.uid, revision)
        with self.store.begin() as work:
            for one in Deliveries(work).of_revision(self.uid, revision):
                Deliveries(work).take(one.id)
                Deliveries(work).delivered(one.id, receipt="{}", at=datetime.now(UTC))

    def reading(self, revision: int) -> dict[str, Any]:
        with self.store.read() as work:
            kept = Readings(work).find(self.uid, revision)
        assert kept is not None
        document = json.loads((self.store.folder / kept.folder / "reading.json").read_text(encoding="utf-8"))
        found: dict[str, Any] = document["studies"][0]["series"][0]
        return found

    def message(self, revision: int) -> str:
        with self.store.read() as work:
            kept = Readings(work).find(self.uid, revision)
        assert kept is not None
        return load_outgoing(self.store, kept).package.oru.decode()

    def reject(self, reason: str, finding: str = "glioma") -> dict[str, bool]:
        told: dict[str, bool] = self.post(
            "decisions", series=self.reading(1)["series_instance_uid"], finding=finding, outcome="reject", reason=reason
        ).json()
        return told

    def post(self, what: str, **data: Any) -> Any:
        return self.client.post(f"/studies/{self.uid}/{what}", data={"csrf": self.csrf} | data, headers=JSON)

    def events(self) -> list[Any]:
        with self.store.read() as work:
            return [one.event for one in AuditTrail(work).find(Filter(kind="result.amended"))]


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    made = Gateway(tmp_path, TwoSpots())
    yield made
    made.store.close()


def names(series: dict[str, Any]) -> list[str]:
    return [one["name"] for one in series["findings"] if one["positive"]]


def test_a_wrong_finding_is_taken_out_of_what_was_sent_and_the_other_stays(gateway: Gateway) -> None:
    first, second = names(gateway.reading(1))
    assert gateway.reject("wrong-finding", first) == {"decided": True, "withdrawn": False, "amended": True}
    gateway.read_and_send(2)
    assert names(gateway.reading(2)) == [second]
    assert any("taken out of this result" in note for note in gateway.reading(2)["notes"])
    assert "|C|" in gateway.message(2)  # the message corrects the earlier one
    page = gateway.client.get(f"/studies/{gateway.uid}").text
    assert "taken out of the result" in page
    assert "Bring it back" in page
    [event] = gateway.events()
    assert (event.finding, event.what, event.actor) == (first, "finding taken out", "radiologist")


def test_a_wrong_place_is_taken_out_and_the_finding_stays(gateway: Gateway) -> None:
    first, second = names(gateway.reading(1))
    assert gateway.reject("wrong-place", first)["amended"] is True
    gateway.read_and_send(2)
    assert names(gateway.reading(2)) == [first, second]
    found = {one["name"]: one["localisation"]["status"] for one in gateway.reading(2)["findings"]}
    assert found[first] == "failed"
    assert found[second] == "located"


def test_what_was_taken_out_can_be_brought_back(gateway: Gateway) -> None:
    first, second = names(gateway.reading(1))
    gateway.reject("artefact", first)
    gateway.read_and_send(2)
    asked = {"series": gateway.reading(1)["series_instance_uid"], "finding": first}
    assert gateway.post("amendments/undo", **asked).status_code == 303
    assert gateway.post("amendments/undo", **asked).status_code == 404
    gateway.read_and_send(3)
    assert names(gateway.reading(3)) == [first, second]
    assert [one.what for one in gateway.events()] == ["brought back", "finding taken out"]


def test_where_nothing_else_was_found_the_whole_reading_is_withdrawn(tmp_path: Path) -> None:
    alone = Gateway(tmp_path, TwoSpots(twice=False))
    [only] = names(alone.reading(1))
    assert alone.reject("wrong-finding", only) == {"decided": True, "withdrawn": True, "amended": False}
    with alone.store.read() as work:
        assert Readings(work).latest(alone.uid) is None
    alone.store.close()


def test_where_the_images_are_gone_the_whole_reading_is_withdrawn(gateway: Gateway) -> None:
    first, _ = names(gateway.reading(1))
    with gateway.store.begin() as work:
        kept = Instances(work)
        kept.removed([one.id for one in kept.of_study(gateway.uid)], at=datetime.now(UTC))
    assert gateway.reject("wrong-finding", first)["withdrawn"] is True
