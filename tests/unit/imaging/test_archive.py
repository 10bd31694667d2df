"""Zips that could do harm are refused; the rest is read from memory."""

import os
import stat
import zipfile
from pathlib import Path

import pytest

from radiolucent.errors import UnsafeArchive
from radiolucent.imaging import archive
from radiolucent.imaging.archive import file_source, folder_sources, is_zip, zip_sources


def make_zip(path: Path, *members: tuple[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members:
            made.writestr(name, content)
    return path


@pytest.mark.parametrize(
    "name", ["../a.dcm", "x/../../a.dcm", "/etc/a.dcm", "..\\a.dcm", "\\a.dcm", "C:/a.dcm", "C:\\a"]
)
def test_a_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UnsafeArchive, match="leaves the folder"):
        zip_sources(make_zip(tmp_path / "a.zip", (name, b"x")))


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_a_member_that_is_no_plain_file_is_refused(tmp_path: Path, kind: int) -> None:
    member = zipfile.ZipInfo("link")
    member.external_attr = (kind | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as made:
        made.writestr(member, "/etc/passwd")
    with pytest.raises(UnsafeArchive, match="link or a device"):
        zip_sources(tmp_path / "a.zip")


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", ("a.dcm", b"x" * 50))
    content = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(signature) + offset] |= 1
    path.write_bytes(bytes(content))
    with pytest.raises(UnsafeArchive, match="encrypted"):
        zip_sources(path)


def test_a_member_packed_by_another_method_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_LZMA) as made:
        made.writestr("a", b"x" * 500)
    with pytest.raises(UnsafeArchive, match="use deflate"):
        zip_sources(tmp_path / "a.zip")


def test_a_stored_member_is_read_as_it_is_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as made:
        made.writestr("a", b"content")
    (source,) = zip_sources(path)
    assert source.open().read() == b"content"
    path.write_bytes(path.read_bytes().replace(b"content", b"c0ntent"))
    (source,) = zip_sources(path)
    with pytest.raises(OSError, match="checksum"):
        source.open()


def test_a_bomb_is_refused_by_its_ratio(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", ("zeros.dcm", bytes(archive.RATIO_FROM_BYTES + 1)))
    with pytest.raises(UnsafeArchive, match="times its size"):
        zip_sources(path)


@pytest.mark.parametrize(
    ("limit", "value", "words"),
    [("MAX_MEMBERS", 2, "3 files"), ("MAX_TOTAL_BYTES", 2000, "unpacks to"), ("MAX_MEMBER_BYTES", 900, "unpacks to")],
)
def test_each_limit_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, value: int, words: str
) -> None:
    path = make_zip(tmp_path / "a.zip", *((f"{index}.dcm", bytes(1000)) for index in range(3)))
    assert len(zip_sources(path)) == 3
    monkeypatch.setattr(archive, limit, value)
    with pytest.raises(UnsafeArchive, match=words):
        zip_sources(path)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeArchive, match="same name"):
        zip_sources(make_zip(tmp_path / "a.zip", ("a", b"x"), ("a", b"y")))


def test_a_member_longer_than_the_zip_says_is_not_read(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", ("a.dcm", bytes(range(200))))
    content = bytearray(path.read_bytes())
    place = content.index(b"PK\x01\x02") + 24
    content[place : place + 4] = (50).to_bytes(4, "little")
    path.write_bytes(bytes(content))
    (source,) = zip_sources(path)
    with pytest.raises(OSError, match=r"damaged|not as long"):
        source.open()


def test_a_members_bytes_can_be_opened_again_and_again(tmp_path: Path) -> None:
    (source,) = zip_sources(make_zip(tmp_path / "a.zip", ("x/a.dcm", b"content")))
    assert (source.name, source.size) == ("x/a.dcm", 7)
    assert [source.open().read() for _ in range(2)] == [b"content"] * 2


def test_a_member_that_changed_since_is_not_taken_from_memory(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", ("a", b"content"))
    (first,) = zip_sources(path)
    assert first.open().read() == b"content"
    make_zip(path, ("a", b"changed"))
    os.utime(path, ns=(1, 1))
    (second,) = zip_sources(path)
    assert second.open().read() == b"changed"


def test_a_dicom_file_whose_preamble_looks_like_a_zip_is_dicom(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"PK\x03\x04" + bytes(124) + b"DICM")
    assert not is_zip(path)
    assert is_zip(make_zip(tmp_path / "b", ("a", b"")))


def test_a_folder_gives_its_files_by_name_and_no_link_out_of_it(tmp_path: Path) -> None:
    inside = tmp_path / "in"
    (inside / "b").mkdir(parents=True)
    (tmp_path / "secret").write_text("x")
    for name in ("b/2", "b/1", "a", ".hidden"):
        (inside / name).write_text("x")
    (inside / "link").symlink_to(tmp_path / "secret")
    assert [source.name for source in folder_sources(inside)] == ["a", "b/1", "b/2"]


def test_a_file_is_named_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(b"abc")
    source = file_source(path)
    with source.open() as stream:
        assert (source.name, source.size, stream.read()) == ("a.dcm", 3, b"abc")
