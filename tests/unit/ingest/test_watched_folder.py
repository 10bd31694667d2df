from __future__ import annotations

from pathlib import Path

import pytest

from radiolucent.errors import SetupError
from radiolucent.ingest.receiving import Outcome, ReceivedInstance, Way
from radiolucent.ingest.spool import Spool
from radiolucent.ingest.watched_folder import FolderWatcher
from tests.unit.ingest.receivers import FolderReceiver, small_object, write_object


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    (folder / "sub").mkdir(parents=True)
    return folder


def _watch(inbox: Path, receiver: FolderReceiver, clock: Clock | None = None) -> FolderWatcher:
    spool = Spool(inbox.parent / "spool")
    if clock is None:
        return FolderWatcher(folder=inbox, receiver=receiver, spool=spool, settle_s=0.0)
    return FolderWatcher(folder=inbox, receiver=receiver, spool=spool, settle_s=5.0, clock=clock)


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_is_taken_when_it_has_stopped_growing_and_then_removed(inbox: Path, tmp_path: Path) -> None:
    receiver, clock = FolderReceiver(tmp_path / "kept"), Clock()
    watcher = _watch(inbox, receiver, clock)
    whole = write_object(tmp_path / "a.dcm", small_object(1)).read_bytes()
    growing = inbox / "sub" / "a.dcm"
    for length in (400, 700, len(whole)):
        growing.write_bytes(whole[:length])
        assert not watcher.sweep()
        clock.now += 4
    assert not watcher.sweep()
    clock.now += 1
    assert watcher.sweep() == {Outcome.STORED: 1}
    assert _names(inbox) == []
    assert receiver.received[0].way is Way.WATCHED_FOLDER
    assert receiver.ended == [(receiver.received[0].association_id, False)]
    assert _names(tmp_path / "spool") == []


def test_what_is_no_dicom_object_is_put_aside_with_the_reason(inbox: Path, tmp_path: Path) -> None:
    (inbox / "letter.txt").write_text("Dear colleague")
    (inbox / "<b>.html").write_text("<html>")
    receiver = FolderReceiver(tmp_path / "kept")
    watcher = _watch(inbox, receiver)
    assert watcher.sweep() == {Outcome.NOT_UNDERSTOOD: 2}
    assert not watcher.sweep()
    names = _names(inbox / "refused")
    assert len(names) == 4
    reason = next((inbox / "refused").glob("*letter.txt.reason.txt")).read_text()
    assert "not a DICOM object" in reason


def test_hidden_files_and_links_are_left_alone(inbox: Path, tmp_path: Path) -> None:
    write_object(inbox / ".part", small_object(1))
    outside = write_object(tmp_path / "outside.dcm", small_object(2))
    (inbox / "link.dcm").symlink_to(outside)
    (inbox / ".hidden").mkdir()
    write_object(inbox / ".hidden" / "a.dcm", small_object(3))
    assert not _watch(inbox, FolderReceiver(tmp_path / "kept")).sweep()
    assert outside.exists()


def test_files_for_which_there_is_no_room_wait(inbox: Path, tmp_path: Path) -> None:
    for number in (1, 2, 3):
        write_object(inbox / f"{number}.dcm", small_object(number))
    receiver = FolderReceiver(tmp_path / "kept", limit_bytes=1500)
    watcher = _watch(inbox, receiver)
    assert watcher.sweep() == {Outcome.STORED: 1, Outcome.OUT_OF_SPACE: 1}
    assert _names(inbox) == ["2.dcm", "3.dcm"]
    receiver.limit_bytes = 10**6
    assert watcher.sweep() == {Outcome.STORED: 2}


class FailingReceiver(FolderReceiver):
    def receive(self, instance: ReceivedInstance) -> Outcome:
        raise RuntimeError("Secret^Name")


def test_a_fault_in_the_receiver_loses_no_file(inbox: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_object(inbox / "a.dcm", small_object(1))
    assert _watch(inbox, FailingReceiver(tmp_path / "kept")).sweep() == {Outcome.FAILED: 1}
    assert _names(inbox) == ["a.dcm"]
    assert "Secret" not in caplog.text


def test_another_object_under_a_known_uid_is_put_aside(inbox: Path, tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    changed = small_object(1)
    changed.PatientComments = "x"
    for index, dataset in enumerate((small_object(1), changed, small_object(1))):
        write_object(inbox / f"{index}.dcm", dataset)
    swept = _watch(inbox, receiver).sweep()
    assert swept == {Outcome.STORED: 1, Outcome.CONFLICT: 1, Outcome.DUPLICATE: 1}
    assert len(_names(inbox / "refused")) == 2


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    receiver = FolderReceiver(tmp_path / "kept")
    watcher = FolderWatcher(folder=tmp_path / "none", receiver=receiver, spool=Spool(tmp_path / "spool"))
    with pytest.raises(SetupError, match="isn't there"):
        watcher.sweep()
