"""A folder for objects on their way in: each becomes a DICOM file as its bytes arrive, and leaves no trace if refused.

The folder should lie on the archive's own disk, so that a receiver can move a file instead of copying it.
"""

from __future__ import annotations

import shutil
import struct
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final, Self

from radiolucent import __version__
from radiolucent.errors import OutOfSpace
from radiolucent.imaging.uids import derived_uid

IMPLEMENTATION_CLASS_UID: Final = derived_uid("radiolucent", "implementation-class")
IMPLEMENTATION_VERSION: Final = f"RADIOLUCENT_{__version__}"[:16]
_SUFFIX: Final = ".incoming"
_LONG_LENGTH: Final = ("OB", "OW", "UN")


@dataclass(frozen=True, kw_only=True)
class FileMeta:
    """What the file meta information says of an object (PS3.10 section 7.1)."""

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    source_ae: str = ""
    receiving_ae: str = ""

    def encode(self) -> bytes:
        """Preamble, prefix and group 0002, Explicit VR Little Endian."""
        elements = _element(0x01, "OB", b"\x00\x01")
        for number, vr, value in (
            (0x02, "UI", self.sop_class_uid),
            (0x03, "UI", self.sop_instance_uid),
            (0x10, "UI", self.transfer_syntax_uid),
            (0x12, "UI", IMPLEMENTATION_CLASS_UID),
            (0x13, "SH", IMPLEMENTATION_VERSION),
            (0x16, "AE", self.source_ae),
            (0x18, "AE", self.receiving_ae),
        ):
            if value:
                elements += _element(number, vr, value.encode("ascii"))
        return bytes(128) + b"DICM" + _element(0x00, "UL", struct.pack("<L", len(elements))) + elements


class Spool:
    """The folder, and the room that must stay free on its disk.

    Parameters
    ----------
    folder : made if absent. What an earlier process left in it, whose senders were never told that it is stored, is
        removed by `clear`.
    minimum_free_bytes : with less than this on the disk nothing new is begun.
    """

    def __init__(self, folder: Path, *, minimum_free_bytes: int = 0) -> None:
        self.folder, self.minimum_free_bytes = folder, minimum_free_bytes
        folder.mkdir(parents=True, exist_ok=True)

    def clear(self) -> int:
        """Remove what is left of an earlier process; call it before anything is received. Returns how many files."""
        left = list(self.folder.glob(f"*{_SUFFIX}"))
        for path in left:
            path.unlink(missing_ok=True)
        return len(left)

    def has_room(self) -> bool:
        """Whether the disk is above its watermark."""
        return shutil.disk_usage(self.folder).free >= self.minimum_free_bytes

    def begin(self) -> SpooledFile:
        """Open a new file.

        Raises
        ------
        OutOfSpace
            If the disk is at its watermark.
        """
        if not self.has_room():
            raise OutOfSpace(f"less than {self.minimum_free_bytes} bytes are free: make room or lower the watermark")
        return SpooledFile(self.folder / f"{uuid.uuid4().hex}{_SUFFIX}")


class SpooledFile:
    """One file that is being written; at the end of a ``with`` block it is closed, and removed if still there."""

    def __init__(self, path: Path) -> None:
        self.path, self.size_bytes = path, 0
        self._stream: BinaryIO = path.open("wb")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.discard()

    def write(self, data: bytes | memoryview) -> None:
        """Append `data`. Raises OSError as the disk does."""
        self._stream.write(data)
        self.size_bytes += len(data)

    def close(self) -> Path:
        """End the file. Raises OSError if the disk can't take what was buffered."""
        self._stream.close()
        return self.path

    def discard(self) -> None:
        """Remove the file; nothing happens where it was moved away."""
        with suppress(OSError):  # a full disk fails the last flush; the descriptor is closed all the same
            self._stream.close()
        self.path.unlink(missing_ok=True)


def _element(number: int, vr: str, value: bytes) -> bytes:
    if len(value) % 2:
        value += b"\x00" if vr == "UI" else b" "
    head = struct.pack("<HH2s", 2, number, vr.encode("ascii"))
    size = struct.pack("<HL", 0, len(value)) if vr in _LONG_LENGTH else struct.pack("<H", len(value))
    return head + size + value
