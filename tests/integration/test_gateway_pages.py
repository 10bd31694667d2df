"""The pages over a gateway's store: what arrived, what was read, images from the archive, maps from the readings."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from radiolucent.errors import SetupError
from radiolucent.phantom.studies import make_study
from radiolucent.pipeline.output import write_readings
from radiolucent.pipeline.read_path import read_path
from radiolucent.store.people import People
from radiolucent.store.site import Site
from radiolucent.store.study_tables import InstanceRow, ReadingRow, RevisionRow, SeriesRow, StudyRow
from radiolucent.store.unit_of_work import Store, open_store
from radiolucent.web.access import BASE
from radiolucent.web.demo import listen
from radiolucent.web.gateway import pages
from radiolucent.web.sources import StoreSource
from tests.unit.conftest import BrightSpots

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("gateway")
    store = open_store("", folder)
    engine: Any = BrightSpots()
    study = make_study("brain-mr", ("glioma",), seed=11)
    first = study.datasets[0]
    study.save(folder / "archive" / "s" / "t")
    write_readings(read_path(folder / "archive" / "s" / "t", [engine]), folder / "readings" / "1", made_at=NOW)
    uid, series = str(first.StudyInstanceUID), str(first.SeriesInstanceUID)
    with store.begin() as work:
        add = work.session.add
        for one, state in ((uid, "read"), ("1.2.3", "queued")):
            add(
                StudyRow(
                    study_instance_uid=one,
                    patient_id="P1",
                    modalities="MR",
                    state=state,
                    latest_revision=1 if state == "read" else 0,
                    first_received_at=NOW,
                    last_received_at=NOW,
                )
            )
        work.session.flush()
        add(SeriesRow(series_instance_uid=series, study_instance_uid=uid, modality="MR"))
        add(
            RevisionRow(
                study_instance_uid=uid,
                number=1,
                workflow_id="w",
                inputs_digest="0" * 64,
                priority="live",
                state="read",
                made_at=NOW,
            )
        )
        work.session.flush()
        for index, dataset in enumerate(study.datasets):
            add(
                InstanceRow(
                    sop_instance_uid=str(dataset.SOPInstanceUID),
                    sop_class_uid=str(dataset.SOPClassUID),
                    series_instance_uid=series,
                    study_instance_uid=uid,
                    transfer_syntax_uid="1.2.840.10008.1.2.1",
                    digest=f"{index:064d}",
                    path=f"archive/s/t/{index + 1:03d}.dcm",
                    size_bytes=1,
                    received_at=NOW,
                )
            )
        add(
            ReadingRow(
                study_instance_uid=uid, revision=1, state="read", folder="readings/1", digest="d" * 64, made_at=NOW
            )
        )
        People(work).add("rad", role="radiologist", password="long enough to be", now=NOW)
        site = Site(work)
        site.set_phase("bright-spots", "routine", now=NOW)
        site.passed("rad", BASE, now=NOW)
        site.step("rad", BASE, "majors", {"bright-spots": "1"})
    yield store
    store.close()


def test_what_arrived_is_listed_with_what_became_of_it(store: Store) -> None:
    found = {one.study_instance_uid: one for one in StoreSource(store).every()}
    assert found["1.2.3"].state == "waiting"
    [read] = [one for one in found.values() if one.study_instance_uid != "1.2.3"]
    assert (read.state, read.revision) == ("done", 1)
    assert read.reading is not None
    assert read.reading.findings[0].name == "glioma"


def test_a_study_opens_with_its_images_from_the_archive(store: Store) -> None:
    source = StoreSource(store)
    uid = next(one.study_instance_uid for one in source.every() if one.reading)
    opened = source.open(uid)
    assert opened is not None
    assert opened.study is not None
    [stack] = opened.study.stacks
    again = source.with_series(stack.series_instance_uid)
    assert again is not None
    assert again.summary.study_instance_uid == uid
    assert source.with_series("1.2.3.4") is None
    assert source.open("9.9") is None


def test_the_pages_answer_on_a_socket_and_end_with_their_block(store: Store) -> None:
    bundle = BrightSpots().bundle
    with (
        pages(store, [bundle], host="127.0.0.1", port=0) as address,
        httpx.Client(base_url=address, timeout=120) as client,
    ):
        assert client.get("/readyz").json() == {"status": "ok"}
        answer = client.post("/login", data={"name": "rad", "password": "long enough to be"})
        assert answer.status_code == 303
        rows = client.get("/api/v1/worklist").json()["studies"]
        assert [row["ai"] for row in rows] == ["read", "waiting"]
        uid = rows[0]["study_instance_uid"]
        assert client.get(f"/studies/{uid}").status_code == 200
        assert client.get(f"/api/v1/results/{uid}:1/heat/glioma").headers["x-scale"] == "absolute"
        assert client.get("/studies/1.2.3").status_code == 200
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}healthz")


def test_a_port_that_is_taken_is_named(store: Store) -> None:
    sock = listen()
    sock.listen()
    port = sock.getsockname()[1]
    with pytest.raises(SetupError, match=str(port)), pages(store, [], host="127.0.0.1", port=port):
        pass
    sock.close()
