"""A back-up of a gateway's data folder, put back, opens as a store that holds the same rows and files."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from radiolucent.store.instances import Instances, NewInstance, StudyHeader
from radiolucent.store.records import TurnedAwayRecord
from radiolucent.store.studies import Filters, Studies
from radiolucent.store.unit_of_work import open_store
from tests.integration.postgres import Postgres
from tests.integration.senders import tool

SCRIPTS = Path(__file__).parents[2] / "scripts"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def run(script: str, *arguments: Path, database: str = "") -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(SCRIPTS / script), *[str(argument) for argument in arguments]]
    environment = {**os.environ, "RADIOLUCENT_SERVE_DATABASE_URL": database}
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False, env=environment)


def a_gateways_data(folder: Path, url: str) -> None:
    """One instance, and one half-received file that belongs to nothing."""
    store = open_store(url, folder)
    for name in ("archive/one.dcm", "incoming/half.dcm"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    new = NewInstance(
        sop_instance_uid="1", sop_class_uid="1.2", series_instance_uid="1.2.1", study_instance_uid="1.2",
        transfer_syntax_uid="1.2", digest="d", path="archive/one.dcm", size_bytes=1, source_kind="c-store",
        association_id="a",
    )  # fmt: skip
    with store.begin() as work:
        Instances(work).add(new, StudyHeader(modality="CT"), at=NOW)
    store.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    a_gateways_data(tmp_path / "data", "")
    return tmp_path / "data"


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_what_was_backed_up_and_restored_holds_the_same_rows_and_files(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str
) -> None:
    before, after = "", ""
    if kind == "postgresql":
        tool("pg_dump")
        there: Postgres = request.getfixturevalue("cluster")
        before, after = there.database("before"), there.database("after")
    a_gateways_data(tmp_path / "data", before)
    running = open_store(before, tmp_path / "data")  # a gateway has it open
    for script, source, target, url in (("back-up", "data", "copy", before), ("restore", "copy", "new", after)):
        done = run(script, tmp_path / source, tmp_path / target, database=url)
        assert done.returncode == 0, done.stderr
    restored = open_store(after, tmp_path / "new")
    with running.read() as old, restored.read() as new:
        assert Studies(old).list(Filters()) == Studies(new).list(Filters())
        (one,) = Studies(new).show("1.2").instances
    assert (restored.folder / one.path).read_bytes() == b"archive/one.dcm"
    assert not (tmp_path / "new" / "incoming").exists()
    with restored.begin() as new:  # numbers go on behind those that are there
        Instances(new).turn_away(
            TurnedAwayRecord(
                at=NOW, outcome="x", reason="x", sop_instance_uid="2", study_instance_uid="3", calling_ae="",
                source_kind="c-store",
            )
        )  # fmt: skip
    running.close()
    restored.close()


def test_nothing_is_overwritten_and_no_other_folder_is_taken(data: Path, tmp_path: Path) -> None:
    taken = run("back-up", data, data)
    assert (taken.returncode, "there already" in taken.stderr) == (2, True)
    other = run("back-up", tmp_path, tmp_path / "copy")
    assert (other.returncode, "no data folder" in other.stderr) == (2, True)
    assert not (tmp_path / "copy").exists()
    assert run("back-up", data, tmp_path / "copy").returncode == 0
    onto = run("restore", tmp_path / "copy", data)
    assert (onto.returncode, "move it away" in onto.stderr) == (2, True)
    strange = run("restore", tmp_path, tmp_path / "new")
    assert (strange.returncode, "no back-up" in strange.stderr) == (2, True)
    wrong = run("restore", tmp_path / "copy", tmp_path / "new", database="postgresql://nobody@127.0.0.1:1/none")
    assert (wrong.returncode, "other kind" in wrong.stderr) == (2, True)
    assert not (tmp_path / "new").exists()
