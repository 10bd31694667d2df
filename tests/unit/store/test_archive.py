"""Files of received objects: whole or not there, refused before the disk is full, safe under any name."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.errors import OutOfSpace
from radiolucent.store.archive import Archive, sync_tree

DIGEST = "a" * 64


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    made = Archive(root=tmp_path, watermark_bytes=0)
    made.prepare()
    return made


def incoming(archive: Archive, content: bytes = b"object") -> Path:
    path = archive.incoming / "one.part"
    path.write_bytes(content)
    return path


def test_a_kept_object_is_moved_to_its_place(archive: Archive) -> None:
    place = archive.path_of("1.2", "1.2.3", "1.2.3.4", DIGEST)
    kept = archive.keep(incoming(archive), place)
    assert kept.read_bytes() == b"object"
    assert kept == archive.root / "archive/1.2/1.2.3/1.2.3.4.aaaaaaaaaaaa.dcm"
    assert list(archive.incoming.iterdir()) == []
    assert list(archive.files()) == [place]


def test_other_content_has_another_place(archive: Archive) -> None:
    assert archive.path_of("1", "2", "3", "b" * 64) != archive.path_of("1", "2", "3", DIGEST)


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200))
def test_no_identifier_leads_out_of_the_archive(study: str, series: str, instance: str) -> None:
    root = Path("/srv/store")
    place = (root / Archive(root=root).path_of(study, series, instance, DIGEST)).resolve()
    assert place.is_relative_to(root / "archive")
    assert len(place.relative_to(root).parts) == 4


def test_at_the_watermark_nothing_is_taken_and_nothing_changes(tmp_path: Path) -> None:
    archive = Archive(root=tmp_path, watermark_bytes=1 << 60)
    archive.prepare()
    source = incoming(archive)
    with pytest.raises(OutOfSpace, match="free"):
        archive.keep(source, archive.path_of("1", "2", "3", DIGEST))
    assert source.exists()
    assert list(archive.files()) == []
    assert not archive.has_room()


def test_a_full_disk_is_out_of_space_and_not_a_crash(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("radiolucent.store.archive.os.fsync", full)
    with pytest.raises(OutOfSpace, match="full"):
        archive.keep(incoming(archive), archive.path_of("1", "2", "3", DIGEST))
    assert list(archive.files()) == []


def test_what_was_half_received_is_cleared_at_start_and_counted(archive: Archive) -> None:
    incoming(archive)
    (archive.incoming / "deeper").mkdir()
    (archive.incoming / "deeper" / "two").write_bytes(b"x")
    assert archive.prepare() == 2
    assert [path for path in archive.incoming.rglob("*") if path.is_file()] == []


def test_removing_the_last_object_removes_its_folders(archive: Archive) -> None:
    places = [archive.path_of("1.2", "1.2.3", uid, DIGEST) for uid in ("1", "2")]
    for place in places:
        archive.keep(incoming(archive), place)
    archive.remove(places[0])
    assert list(archive.files()) == places[1:]
    archive.remove(places[1])
    assert list((archive.root / "archive").iterdir()) == []


def test_a_whole_folder_is_brought_to_disk(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").write_bytes(b"x")
    sync_tree(tmp_path / "a")
    assert (tmp_path / "a" / "b" / "c").read_bytes() == b"x"
