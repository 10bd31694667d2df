"""Everything that comes in beside the listener, through a running gateway: folder, STOW-RS, PACS, priors, orders."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from radiolucent.phantom.studies import PhantomStudy, make_study
from tests.integration.gateways import wait_for
from tests.integration.senders import tool
from tests.integration.ways import OpenGateway, order_for, send, start_worklist
from tests.unit.ingest.test_multipart import body

if TYPE_CHECKING:
    from tests.integration.peers import Orthanc

SMALL: dict[str, Any] = {"slices": 6, "rows": 96}
TYPE = 'multipart/related; type="application/dicom"; boundary=b0undary'


@dataclass
class Site:
    """A gateway among its peers, and the studies that each way in brought."""

    gateway: OpenGateway
    worklist: Any
    folder: PhantomStudy
    posted: PhantomStudy
    now: PhantomStudy
    before: PhantomStudy
    watched: PhantomStudy
    counted: PhantomStudy


def uid(study: PhantomStudy) -> str:
    return str(study.datasets[0].StudyInstanceUID)


def file(dataset: Dataset) -> bytes:
    stream = BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def post(gateway: OpenGateway, *files: bytes, token: str = "") -> httpx.Response:
    headers = {"content-type": TYPE, "authorization": f"Bearer {token or gateway.token}"}
    return httpx.post(f"{gateway.pages}dicom-web/studies", content=body(*files), headers=headers, timeout=60)


@pytest.fixture(scope="module")
def site(_orthanc_server: Orthanc, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    tool("wlmscpfs")
    home = tmp_path_factory.mktemp("site")
    now = make_study("brain-mr", ("glioma",), seed=61, **SMALL)
    made = {
        "now": now,
        "before": make_study("brain-mr", seed=62, prior_of=now, **SMALL),
        "folder": make_study("brain-mr", seed=63, **SMALL),
        "posted": make_study("brain-mr", seed=64, **SMALL),
        "watched": make_study("head-ct", seed=65, **SMALL),
        "counted": make_study("brain-mr", seed=66, **SMALL),
    }
    for dataset in made["folder"].datasets:
        dataset.AccessionNumber = ""
    order = order_for(made["folder"].datasets[0], accession="ACC1", placer="PL1", filler="FI1", priority="STAT")
    with _orthanc_server.inside():
        server, port = start_worklist(home / "worklist", [order])
        pacs = f'host = "127.0.0.1"\nport = {_orthanc_server.dicom_port}\ncalled_ae = "ORTHANC"\n'
        url = f"http://127.0.0.1:{_orthanc_server.http_port}/dicom-web"
        gateway = OpenGateway(
            home=home,
            quiet_s=6,
            listen=_orthanc_server.our_port,
            ways=(
                f'[[pacs]]\nname = "main"\nkind = "dimse"\n{pacs}priors = true\ncounts = true\n'
                'reconcile = true\nfetch_by = "move"\n'
                f'[[pacs]]\nname = "old"\nkind = "dicomweb"\nurl = "{url}"\nwatch_modalities = ["CT"]\n'
                'watch_body_parts = ["HEAD"]\nwatch_days = 9000\nwatch_every_s = 1.0\n'
                f'[worklist]\nhost = "127.0.0.1"\nport = {port}\ncalled_ae = "RIS"\n'
                '[reconcile]\nat = "00:00"\ndays = 1\n'
            ),
        )
        send(made["before"].datasets, _orthanc_server.dicom_port, called="ORTHANC")
        send(made["counted"].datasets, _orthanc_server.dicom_port, called="ORTHANC")
        send(made["watched"].datasets, _orthanc_server.dicom_port, called="ORTHANC")
        try:
            gateway.start()
            made["folder"].save(gateway.inbox / "from-a-workstation")
            assert post(gateway, *[file(one) for one in made["posted"].datasets]).status_code == 200
            send(now.datasets, gateway.port, called="RADIOLUCENT")
            send(made["counted"].datasets[:4], gateway.port, called="RADIOLUCENT")
            yield Site(gateway=gateway, worklist=server, **made)
            assert gateway.stop() == 0
        finally:
            server.terminate()
            server.wait(10)
            if gateway.process is not None and gateway.process.poll() is None:
                os.killpg(gateway.process.pid, signal.SIGKILL)
                gateway.process.wait()


def test_a_study_that_the_pacs_has_more_of_waits_for_the_rest(site: Site) -> None:
    query = "select expected_instances from studies where study_instance_uid = ?"
    wait_for(lambda: site.gateway.rows(query, uid(site.counted)) == [(6,)], 60, "the PACS to be asked")
    assert site.gateway.study(uid(site.counted))[0] == "arriving"
    send(site.counted.datasets[4:], site.gateway.port, called="RADIOLUCENT")
    site.gateway.wait_until_read(uid(site.counted))
    numbers = site.gateway.rows("select number from revisions where study_instance_uid = ?", uid(site.counted))
    assert numbers == [(1,)]


def test_what_is_copied_into_the_folder_is_read_and_its_order_fills_the_message(site: Site) -> None:
    site.gateway.wait_until_read(uid(site.folder))
    assert site.gateway.study(uid(site.folder))[1:] == ("watched-folder", "stat")
    assert list(site.gateway.inbox.rglob("*.dcm")) == []
    folder = site.gateway.data / "readings" / uid(site.folder) / "1" / "messages"
    message = (folder / "oru.hl7").read_text(encoding="utf-8")
    assert "PL1" in message
    assert "FI1" in message
    assert "ACC1" in (folder / "fhir.json").read_text(encoding="utf-8")
    log = (site.gateway.home / "log").read_text()
    assert "Referrer" not in log
    assert str(site.folder.datasets[0].PatientID) not in log


def test_what_is_posted_is_read_and_known_by_its_sender(site: Site) -> None:
    site.gateway.wait_until_read(uid(site.posted))
    assert site.gateway.study(uid(site.posted))[1] == "stow-rs"
    query = "select distinct calling_ae from instances where study_instance_uid = ?"
    assert site.gateway.rows(query, uid(site.posted)) == [("ct-1",)]
    assert post(site.gateway, file(site.posted.datasets[0]), token="rl_wrong").status_code == 401


def test_the_same_images_in_another_transfer_syntax_are_no_conflict(site: Site) -> None:
    compressed = []
    for dataset in site.posted.datasets:
        again = dcmread(BytesIO(file(dataset)))
        again.compress(RLELossless, generate_instance_uid=False)
        compressed.append(file(again))
    answer = post(site.gateway, *compressed)
    assert answer.status_code == 200
    assert "00081198" not in answer.json()
    rows = site.gateway.rows("select count(*) from instances where study_instance_uid = ?", uid(site.posted))
    assert rows == [(len(site.posted.datasets),)]


def test_a_study_is_compared_with_the_prior_that_the_pacs_had(site: Site) -> None:
    site.gateway.wait_until_read(uid(site.now))
    query = "select number, prior_study_instance_uid from revisions where study_instance_uid = ?"
    assert site.gateway.rows(query, uid(site.now)) == [(1, uid(site.before))]
    told = json.loads((site.gateway.data / "readings" / uid(site.now) / "1" / "reading.json").read_text())
    assert uid(site.before) in json.dumps(told)


def test_the_prior_is_read_too_and_goes_nowhere(site: Site) -> None:
    site.gateway.wait_until_read(uid(site.before))
    assert site.gateway.study(uid(site.before))[1:] == ("prior", "backfill")
    query = "select count(*) from deliveries where study_instance_uid = ?"
    assert site.gateway.rows(query, uid(site.before)) == [(0,)]
    wait_for(lambda: site.gateway.is_done(uid(site.now)), 60, "the present one to be delivered")
    assert site.gateway.delivered(uid(site.before)) == {}


def test_a_watched_pacs_gives_what_is_new_once(site: Site) -> None:
    wait_for(lambda: site.gateway.study(uid(site.watched))[0] == "not-read", 120, "the watched study")
    assert site.gateway.study(uid(site.watched))[1] == "watched-pacs"
    query = "select purpose, state, attempts from fetches where pacs = 'old' and study_instance_uid = ?"
    fetched = site.gateway.rows(query, uid(site.watched))
    assert fetched == [("watched-pacs", "fetched", 1)]


def test_the_nightly_comparison_and_a_persons_tell_what_differs(site: Site) -> None:
    wait_for(lambda: bool(site.gateway.rows("select 1 from reconciliations")), 60, "the comparison of this night")
    status, told = site.gateway.told("reconcile", "--since", "20230601", "--until", "20240531")
    [found] = told["reconciled"]
    assert status == 1
    here_alone = {one["study_instance_uid"] for one in found["not_there"]}
    assert {uid(site.folder), uid(site.posted)} <= here_alone
    there_alone = {one["study_instance_uid"] for one in found["never_seen"]}
    ours = {uid(one) for one in (site.before, site.watched, site.counted)}
    assert not ours & (here_alone | there_alone | {one["study_instance_uid"] for one in found["different"]})
    assert str(site.folder.datasets[0].PatientID) not in json.dumps(told)


def test_every_way_in_says_how_it_fares(site: Site) -> None:
    names = {"folder inbox", "pacs old", "priors", "worklist", "counts", "reconcile"}
    status, told = site.gateway.told("list")
    assert status == 0
    assert {one["name"] for one in told["ways"]} == names
    assert {one["state"] for one in told["ways"]} == {"ok"}
    taken = {one["name"]: one["taken"] for one in told["ways"]}
    assert (taken["folder inbox"], taken["priors"]) == (6, 6)
    _, shown = site.gateway.told("show", uid(site.now))
    assert [(one["kind"], one["state"]) for one in shown["asked"]] == [("order", "nothing"), ("priors", "answered")]


def test_a_way_that_fails_is_shown_and_the_others_go_on(site: Site, tmp_path: Path) -> None:
    site.worklist.terminate()
    site.worklist.wait(10)
    late = make_study("head-ct", seed=67, slices=2, rows=64)
    send(late.datasets, site.gateway.port, called="RADIOLUCENT")

    def ways() -> dict[str, Any]:
        return {one["name"]: one for one in site.gateway.told("list")[1]["ways"]}

    wait_for(lambda: ways()["worklist"]["state"] == "failing", 60, "the worklist to fail", every_s=1)
    assert "worklist" in ways()["worklist"]["reason"]
    assert ways()["priors"]["state"] == "ok"
    wait_for(lambda: site.gateway.study(uid(late))[0] == "not-read", 60, "the study to go on without its order")
