"""Received objects on disk: there whole or not at all, each under a name that follows from its content."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from radiolucent.errors import OutOfSpace

_SAFE: Final = re.compile(r"[0-9]+(\.[0-9]+)*")
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
DEFAULT_WATERMARK_BYTES: Final = 2 << 30


@dataclass(frozen=True, kw_only=True)
class Archive:
    """The folder of received objects.

    Parameters
    ----------
    root : the store's folder; objects lie in ``root/archive``, what is coming in lies in ``root/incoming``.
    watermark_bytes : free space below which nothing more is taken, so that readings and rows can still be written.
    """

    root: Path
    watermark_bytes: int = DEFAULT_WATERMARK_BYTES

    @property
    def incoming(self) -> Path:
        """Where a way in writes what it receives: on the same disk, so that keeping a file is a rename."""
        return self.root / "incoming"

    def prepare(self) -> int:
        """Make the folders, and clear away what a killed process left half received. Returns how many files that was.

        Nothing in ``incoming`` was ever acknowledged, so its sender still has it.
        """
        for folder in (self.incoming, self.root / "archive"):
            folder.mkdir(parents=True, exist_ok=True)
        left = [path for path in self.incoming.rglob("*") if path.is_file()]
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def free_bytes(self) -> int:
        """Space left on the disk of the archive."""
        return shutil.disk_usage(self.root).free

    def has_room(self, size_bytes: int = 0) -> bool:
        """Whether `size_bytes` more leave the watermark free."""
        return self.free_bytes() - size_bytes >= self.watermark_bytes

    def path_of(self, study_uid: str, series_uid: str, sop_uid: str, digest: str) -> str:
        """Where an object lies, relative to `root`: safe whatever its UIDs are, and another place for other content."""
        return f"archive/{_safe(study_uid)}/{_safe(series_uid)}/{_safe(sop_uid)}.{digest[:12]}.dcm"

    def keep(self, source: Path, place: str) -> Path:
        """Move a complete file to its place; it survives a power cut when this returns.

        Parameters
        ----------
        source : in `incoming`; written to its end.
        place : from `path_of`.

        Raises
        ------
        OutOfSpace
            If the disk is at its watermark, or full.
        """
        if not self.has_room():
            raise OutOfSpace(f"less than {self.watermark_bytes >> 20} MiB are free on the archive's disk: make room")
        target = self.root / place
        try:
            with source.open("rb") as stream:
                os.fsync(stream.fileno())
            made = _make_folders(target.parent, self.root)
            source.replace(target)
            for folder in (target.parent, *made):
                sync_folder(folder)
        except OSError as error:
            if error.errno in _FULL:
                raise OutOfSpace("the archive's disk is full: make room") from error
            raise
        return target

    def remove(self, place: str) -> None:
        """Delete an object, and its folders once they are empty."""
        path = self.root / place
        path.unlink(missing_ok=True)
        for folder in (path.parent, path.parent.parent):
            try:
                folder.rmdir()
            except OSError:
                return  # something else lies there

    def files(self) -> Iterator[str]:
        """Every object there, as `path_of` names it."""
        for path in sorted((self.root / "archive").rglob("*.dcm")):
            yield path.relative_to(self.root).as_posix()


def is_full(error: BaseException) -> bool:
    """Whether something failed because a disk has no room; it can go on when there is some again.

    >>> is_full(OSError(errno.ENOSPC, "No space left on device")), is_full(OSError(errno.ENOENT, "No such file"))
    (True, False)
    """
    return isinstance(error, OSError) and error.errno in _FULL


def sync_folder(folder: Path) -> None:
    """Bring a folder's own entries to the disk, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Bring everything below a folder, and the folder's own entry, to the disk."""
    for path in sorted(folder.rglob("*")):
        if path.is_dir():
            sync_folder(path)
            continue
        with path.open("rb") as stream:
            os.fsync(stream.fileno())
    sync_folder(folder)
    sync_folder(folder.parent)


def _make_folders(folder: Path, root: Path) -> list[Path]:
    """Make a folder and its parents; gives the parents of those that were new, whose entries are new."""
    missing = []
    while folder != root and not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
    return [path.parent for path in missing]


def _safe(uid: str) -> str:
    if len(uid) <= 64 and _SAFE.fullmatch(uid):
        return uid
    return "x" + hashlib.sha256(uid.encode()).hexdigest()[:40]
