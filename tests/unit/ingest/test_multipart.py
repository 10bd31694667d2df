from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radiolucent.errors import BrokenProtocol, OutOfSpace
from radiolucent.ingest.multipart import PartsReader, boundary_of
from radiolucent.ingest.spool import Spool

BOUNDARY = b"b0undary"


def body(*parts: bytes, boundary: bytes = BOUNDARY, kind: bytes = b"application/dicom") -> bytes:
    """A multipart body."""
    joined = b"".join(b"--" + boundary + b"\r\nContent-Type: " + kind + b"\r\n\r\n" + part + b"\r\n" for part in parts)
    return joined + b"--" + boundary + b"--\r\n"


def cut(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    """`data` in chunks of these sizes, the rest at once."""
    for size in sizes:
        yield data[:size]
        data = data[size:]
    yield data


def read(folder: Path, data: bytes, sizes: list[int] | None = None, **limits: int) -> list[bytes]:
    """The parts of a body; nothing may be left in the folder."""
    spool = Spool(folder / "spool")
    found = []
    try:
        for part in PartsReader(BOUNDARY, spool, **limits).read(cut(data, sizes or [])):
            with part:
                found.append(part.path.read_bytes())
    finally:
        assert list(spool.folder.iterdir()) == []
    return found


PIECES = st.lists(
    st.sampled_from([b"\r\n", b"--", BOUNDARY, b"-", b"\r", b"\n", b"DICM", b"\x00\xff", b"\r\n--b0undar", b""]),
    max_size=12,
).map(b"".join)


@settings(max_examples=200)
@given(st.lists(PIECES, max_size=4), st.lists(st.integers(1, 20), max_size=60))
def test_parts_come_out_as_they_went_in_however_the_body_is_cut(parts: list[bytes], sizes: list[int]) -> None:
    parts = [part for part in parts if b"\r\n--" + BOUNDARY not in b"\r\n" + part + b"\r\n--"]
    with tempfile.TemporaryDirectory() as folder:
        assert read(Path(folder), body(*parts) if parts else b"--" + BOUNDARY + b"--", sizes) == parts


def test_preamble_epilogue_and_missing_headers_are_let_pass(tmp_path: Path) -> None:
    data = b"hello\r\n--b0undary  \r\n\r\nabc\r\n--b0undary\r\n\r\n\r\n--b0undary--\r\nbye"
    assert read(tmp_path, data) == [b"abc", b""]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"", 400),
        (b"no boundary at all", 400),
        (b"x" * 70000, 400),
        (body(b"abc")[:-14], 400),
        (b"--b0undary junk\r\n\r\n", 400),
        (b"--b0undary" + b" " * 9000, 400),
        (b"--b0undary\r\nA: " + b"b" * 9000, 400),
        (body(b"{}", kind=b"application/dicom+json"), 415),
        (body(b"<html>", kind=b"text/html"), 415),
        (body(b"x" * 101), 413),
    ],
)
def test_a_body_that_is_something_else_is_refused_with_a_status(tmp_path: Path, data: bytes, status: int) -> None:
    with pytest.raises(BrokenProtocol) as refused:
        read(tmp_path, data, maximum_part_bytes=100)
    assert refused.value.reason == status


@settings(max_examples=200)
@given(st.data())
def test_a_damaged_body_is_read_or_refused_and_leaves_no_file(data: st.DataObject) -> None:
    good = bytearray(body(b"abc" * 20, b"\x00" * 30))
    for _ in range(data.draw(st.integers(1, 5))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = read(Path(folder), bytes(good[: data.draw(st.integers(0, len(good)))]))
        except BrokenProtocol:
            return
        assert len(found) <= 2


def test_a_full_spool_is_said_so(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", minimum_free_bytes=2**62)
    with pytest.raises(OutOfSpace):
        list(PartsReader(BOUNDARY, spool).read([body(b"abc")]))


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ('multipart/related; type="application/dicom"; boundary="a b"', b"a b"),
        ("Multipart/Related; boundary=abc; type=application/dicom", b"abc"),
        ("multipart/related; boundary=abc", b"abc"),
        ('multipart/related; type="application/dicom; transfer-syntax=*"; boundary=abc', b"abc"),
    ],
)
def test_the_boundary_is_found(content_type: str, boundary: bytes) -> None:
    assert boundary_of(content_type) == boundary


@pytest.mark.parametrize(
    ("content_type", "status"),
    [
        ("", 415),
        ("application/dicom", 415),
        ("multipart/form-data; boundary=abc", 415),
        ('multipart/related; type="application/dicom+json"; boundary=abc', 415),
        ("multipart/related", 400),
        ("multipart/related; boundary=" + "a" * 71, 400),
        ("multipart/related; boundary=é", 400),
        ("multipart/related;\r\n boundary=a<b", 400),
    ],
)
def test_another_media_type_is_refused(content_type: str, status: int) -> None:
    with pytest.raises(BrokenProtocol) as refused:
        boundary_of(content_type)
    assert refused.value.reason == status
