"""What the settings call a PACS becomes one that can be asked; what doesn't fit is said at start."""

from pathlib import Path
from typing import Any

import pytest

from radiolucent.app.peers import check_ways, client_tls, criteria_of, make_pacs, make_worklist
from radiolucent.errors import SetupError
from radiolucent.ingest.pacs_dimse import DimsePacs
from radiolucent.ingest.pacs_web import WebPacs
from radiolucent.ingest.spool import Spool
from radiolucent.settings import Settings
from radiolucent.settings.ways import PacsSettings

DIMSE: dict[str, Any] = {"name": "main", "kind": "dimse", "host": "pacs", "port": 104, "called_ae": "PACS"}
WEB: dict[str, Any] = {"name": "web", "kind": "dicomweb", "url": "https://pacs/dicom-web", "token": "hidden"}


def test_each_kind_is_made_with_what_its_settings_say(tmp_path: Path) -> None:
    moving = PacsSettings(**DIMSE, fetch_by="move")
    made = make_pacs(moving, Spool(tmp_path), listener_ae="US")
    assert isinstance(made, DimsePacs)
    assert (made.name, made.fetch_by, made.move_to, made.peer.called_ae) == ("main", "move", "US", "PACS")
    web = make_pacs(PacsSettings(**WEB), Spool(tmp_path), listener_ae="US")
    assert isinstance(web, WebPacs)
    assert (web.url, web.token) == ("https://pacs/dicom-web", "hidden")
    assert "hidden" not in repr(web)


def test_without_a_host_no_worklist_is_asked() -> None:
    assert make_worklist(Settings()) is None
    peer = make_worklist(Settings(worklist={"host": "ris", "called_ae": "RIS"}))  # type: ignore[arg-type]
    assert peer is not None
    assert (peer.host, peer.called_ae, peer.timeout_s) == ("ris", "RIS", 10.0)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"watched_folders": [{"name": "in", "folder": "/nowhere/at/all"}]}, "watched folder in"),
        ({"pacs": [{**WEB, "watch_modalities": ["CT"], "watch_body_parts": ["ELBOWS?"]}]}, "pacs web: the body part"),
        ({"pacs": [{**DIMSE, "tls": True, "tls_ca": "/nowhere.pem"}]}, "PACS main: its TLS files"),
    ],
    ids=["folder", "body part", "TLS"],
)
def test_what_does_not_fit_is_said_at_start(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(SetupError, match=said):
        check_ways(Settings(**settings))


def test_what_fits_is_taken(tmp_path: Path) -> None:
    one = PacsSettings(**WEB, watch_modalities=("CT",), watch_body_parts=("HEAD",), watch_days=3)
    check_ways(Settings(pacs=(one,), watched_folders=({"name": "in", "folder": tmp_path},)))  # type: ignore[arg-type]
    criteria = criteria_of(one)
    assert (criteria.modalities, criteria.body_parts, criteria.days) == (("CT",), ("HEAD",), 3)


def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("nothing")
    with pytest.raises(SetupError, match="destination"):
        client_tls(PacsSettings(**DIMSE, tls=True, tls_certificate=wrong), "destination")
