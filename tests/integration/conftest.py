"""Peers that the integration tests talk to: each file has its own, so that none sees what another has stored."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest

from tests.integration.postgres import Postgres, PostgresMissing, postgres

if TYPE_CHECKING:
    from tests.integration.peers import Orthanc


def _load(name: str, path: Path) -> ModuleType:
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(sys.modules[name])
    return sys.modules[name]


@pytest.fixture(scope="session")
def cases() -> Any:
    path = Path(__file__).parents[1] / "unit" / "results" / "cases.py"
    return _load("radiolucent_result_cases", path)


@pytest.fixture(scope="module")
def _orthanc_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    peers = _load("radiolucent_peers", Path(__file__).with_name("peers.py"))
    try:
        server = peers.start_orthanc(tmp_path_factory.mktemp("orthanc"))
    except peers.PeerMissing:
        pytest.skip("needs Orthanc: run scripts/install-peers")
    yield server
    server.stop()


@pytest.fixture
def orthanc(_orthanc_server: Orthanc) -> Iterator[Orthanc]:
    """The file's Orthanc, with this thread taken to where it listens."""
    with _orthanc_server.inside():
        yield _orthanc_server


@pytest.fixture(scope="module")
def cluster() -> Iterator[Postgres]:
    """A PostgreSQL that only this file has."""
    try:
        with postgres() as running:
            yield running
    except PostgresMissing:
        pytest.skip("needs PostgreSQL: run scripts/install-peers")
