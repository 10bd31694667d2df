from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.filereader import read_file_meta_info
from pynetdicom.dsutils import encode

from radiolucent.errors import OutOfSpace
from radiolucent.ingest.spool import FileMeta, Spool
from tests.unit.ingest.receivers import small_object

META = FileMeta(
    sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
    sop_instance_uid="1.2.3",
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    source_ae="CT1",
    receiving_ae="RADIOLUCENT",
)


def test_the_file_meta_information_is_read_back_as_it_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(META.encode())
    read = read_file_meta_info(path)
    assert read.FileMetaInformationGroupLength == len(META.encode()) - 144
    assert (read.MediaStorageSOPClassUID, read.MediaStorageSOPInstanceUID) == (META.sop_class_uid, "1.2.3")
    assert (read.TransferSyntaxUID, read.SourceApplicationEntityTitle) == (META.transfer_syntax_uid, "CT1")
    assert read.ReceivingApplicationEntityTitle == "RADIOLUCENT"
    assert read.FileMetaInformationVersion == b"\x00\x01"


def test_a_data_set_behind_the_meta_is_a_file(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    with spool.begin() as file:
        file.write(META.encode())
        file.write(encode(small_object(1), False, True) or b"")
        assert dcmread(file.close()) == small_object(1)
        assert file.size_bytes == file.path.stat().st_size
    assert list(spool.folder.iterdir()) == []


def test_a_file_that_was_moved_away_stays(tmp_path: Path) -> None:
    with Spool(tmp_path / "spool").begin() as file:
        file.write(b"abc")
        file.close().rename(tmp_path / "kept")
    assert (tmp_path / "kept").read_bytes() == b"abc"


def test_nothing_is_begun_below_the_watermark(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", minimum_free_bytes=2**62)
    with pytest.raises(OutOfSpace):
        spool.begin()
    assert list(spool.folder.iterdir()) == []


def test_what_an_earlier_process_left_is_cleared_and_nothing_else(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool")
    half = spool.begin()
    half.write(b"half")
    half.close()
    (spool.folder / "another.dcm").write_bytes(b"x")
    assert Spool(tmp_path / "spool").clear() == 1
    assert [path.name for path in spool.folder.iterdir()] == ["another.dcm"]
