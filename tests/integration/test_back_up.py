"""A back-up of a gateway's data folder opens as a store that holds the same rows and files."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from radiolucent.store.instances import Instances, NewInstance, StudyHeader
from radiolucent.store.studies import Filters, Studies
from radiolucent.store.unit_of_work import open_store

SCRIPT = Path(__file__).parents[2] / "scripts" / "back-up"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def back_up(*arguments: Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, str(SCRIPT), *[str(argument) for argument in arguments]]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with one instance, and one half-received file that belongs to nothing."""
    folder = tmp_path / "data"
    store = open_store("", folder)
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
    return folder


def test_a_back_up_holds_the_same_rows_and_files(data: Path, tmp_path: Path) -> None:
    running = open_store("", data)  # a gateway has it open
    done = back_up(data, tmp_path / "copy")
    assert done.returncode == 0, done.stderr
    restored = open_store("", tmp_path / "copy")
    with running.read() as before, restored.read() as after:
        assert Studies(before).list(Filters()) == Studies(after).list(Filters())
        (one,) = Studies(after).show("1.2").instances
    assert (restored.folder / one.path).read_bytes() == b"archive/one.dcm"
    assert not (tmp_path / "copy" / "incoming" / "half.dcm").exists()
    running.close()
    restored.close()


def test_nothing_is_overwritten_and_no_other_folder_is_taken(data: Path, tmp_path: Path) -> None:
    taken = back_up(data, data)
    assert (taken.returncode, "there already" in taken.stderr) == (2, True)
    other = back_up(tmp_path, tmp_path / "copy")
    assert (other.returncode, "no data folder" in other.stderr) == (2, True)
    assert not (tmp_path / "copy").exists()
