"""Where bytes come from: a file, every file of a folder, or a zip's members that are safe to open."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from radiolucent.errors import UnsafeArchive

MAX_MEMBERS: Final = 20_000
"""A study has at most some thousand instances; more in one zip is refused."""
MAX_TOTAL_BYTES: Final = 8 * 2**30
MAX_MEMBER_BYTES: Final = 2 * 2**30
MAX_RATIO: Final = 200
"""Unpacked over packed size of one member. Deflate can't exceed 1032; an all-zero 16-bit frame among real ones is
about 1000, so the ratio counts only from `RATIO_FROM_BYTES` on."""
RATIO_FROM_BYTES: Final = 64 * 2**20


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file's bytes, to be opened as often as needed.

    Parameters
    ----------
    name : relative to what was read, with forward slashes.
    size : bytes.
    open : gives a new binary stream at its start. The file or zip must stay where it is as long as pixels are wanted.
    """

    name: str
    size: int
    open: Callable[[], BinaryIO]


def is_zip(path: Path) -> bool:
    """True where the file starts as a zip does (a DICOM preamble may not look like one)."""
    try:
        with path.open("rb") as stream:
            start = stream.read(132)
    except OSError:
        return False
    return start[:4] in (b"PK\x03\x04", b"PK\x05\x06") and start[128:132] != b"DICM"


def file_source(path: Path, name: str | None = None) -> Source:
    """A plain file."""
    return Source(name=path.name if name is None else name, size=path.stat().st_size, open=lambda: path.open("rb"))


def folder_sources(folder: Path) -> list[Source]:
    """Every regular file under `folder`, by name; hidden ones and links that leave the folder are skipped."""
    root = folder.resolve()
    found = []
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(place, name)
            if name.startswith(".") or not path.is_file() or root not in path.resolve().parents:
                continue
            found.append(file_source(path, path.relative_to(folder).as_posix()))
    return found


def zip_sources(path: Path) -> list[Source]:
    """Members of a zip, by name; nothing is unpacked to disk.

    Raises
    ------
    UnsafeArchive
        If the zip is broken or encrypted, a name is absolute or leaves the folder, a member is a link or a device, or
        the number of members, their size or their ratio passes a limit of this module.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise UnsafeArchive(f"{path.name}: the zip can't be opened; send it again. ({error})") from error
    if len(members) > MAX_MEMBERS:
        raise UnsafeArchive(f"{path.name}: {len(members)} files in one zip, at most {MAX_MEMBERS} are read")
    for member in members:
        _check_member(path.name, member)
    total = sum(member.file_size for member in members)
    if total > MAX_TOTAL_BYTES:
        raise UnsafeArchive(f"{path.name}: unpacks to {total >> 20} MiB, at most {MAX_TOTAL_BYTES >> 20} are read")
    names = [member.filename for member in members]
    if len(set(names)) != len(names):
        raise UnsafeArchive(f"{path.name}: holds two files of the same name")
    visible = [member for member in members if not _hidden(member.filename)]
    return [_member_source(path, member) for member in sorted(visible, key=lambda member: member.filename)]


def _hidden(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _check_member(zip_name: str, member: zipfile.ZipInfo) -> None:
    name = member.filename
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if not parts or name.startswith(("/", "\\")) or ".." in parts or ":" in parts[0] or "\x00" in name:
        raise UnsafeArchive(f"{zip_name}: a member's name leaves the folder ({name[:80]!r})")
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise UnsafeArchive(f"{zip_name}: {name} is a link or a device, not a file")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise UnsafeArchive(f"{zip_name}: {name} is packed by a method that is not read; use deflate")
    if member.flag_bits & 0x1:
        raise UnsafeArchive(f"{zip_name}: {name} is encrypted; send it without a password")
    if member.file_size > MAX_MEMBER_BYTES:
        raise UnsafeArchive(f"{zip_name}: {name} unpacks to {member.file_size >> 20} MiB")
    if member.file_size > RATIO_FROM_BYTES and member.file_size > MAX_RATIO * max(1, member.compress_size):
        raise UnsafeArchive(
            f"{zip_name}: {name} unpacks to {member.file_size // max(1, member.compress_size)} times its size"
        )


def _member_source(path: Path, member: zipfile.ZipInfo) -> Source:
    place = _Place(
        path=path,
        changed=path.stat().st_mtime_ns,
        offset=member.header_offset,
        method=member.compress_type,
        packed=member.compress_size,
        size=member.file_size,
        crc=member.CRC,
    )
    return Source(name=member.filename, size=member.file_size, open=lambda: io.BytesIO(_unpacked(place)))


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where one member lies in its zip, so that it can be read without going through the directory again."""

    path: Path
    changed: int
    offset: int
    method: int
    packed: int
    size: int
    crc: int


@lru_cache(maxsize=1)
def _unpacked(place: _Place) -> bytes:
    """One member's bytes; the last one stays in memory, so that a multi-frame object isn't unpacked for every frame."""
    with place.path.open("rb") as stream:
        stream.seek(place.offset)
        head = stream.read(30)  # local file header: APPNOTE 4.3.7
        if len(head) < 30 or head[:4] != b"PK\x03\x04":
            raise OSError("the zip member isn't where the zip says")
        name_length, extra_length = struct.unpack("<HH", head[26:30])
        stream.seek(name_length + extra_length, os.SEEK_CUR)
        content = stream.read(place.packed)
    if place.method == zipfile.ZIP_DEFLATED:
        try:
            content = zlib.decompressobj(-zlib.MAX_WBITS).decompress(content, place.size + 1)
        except zlib.error as error:
            raise OSError(f"the zip member is damaged: {error}") from error
    if len(content) != place.size or zlib.crc32(content) != place.crc:
        raise OSError("the zip member is damaged: it isn't as long as the zip says, or its checksum is wrong")
    return content
