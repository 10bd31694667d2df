"""What one DICOM file holds: its header, read without its pixels, and where in the file the pixels are.

A file is read to the start of its pixel data and no further; that the pixel data are all there is checked by their
length, not by decoding them.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass
from typing import BinaryIO, Final, Literal

from pydicom import dcmread
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset, FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import _read_file_meta_info
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from radiolucent.errors import UnreadableFile
from radiolucent.imaging.archive import Source
from radiolucent.imaging.header import BROKEN, settle, syntax_uid

MAX_INFLATED_BYTES: Final = 2**30
"""A deflated object that unpacks to more is refused."""
UNDEFINED_LENGTH: Final = 0xFFFFFFFF
_PIXEL_TAGS: Final = {0x7FE00008: "FloatPixelData", 0x7FE00009: "DoubleFloatPixelData", 0x7FE00010: "PixelData"}
_FORMATS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"GIF8", "a GIF picture"),
    (b"BM", "a BMP picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip inside"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\x93NUMPY", "a numpy array"),
    (b"NRRD", "an NRRD volume"),
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Instance:
    """One DICOM object on its way in.

    Parameters
    ----------
    header : every element before the pixel data, each converted once, so that none can fail later.
    source : where its bytes are.
    offset : of the pixel data's value in the stream that `open` gives; None where there are none.
    pixel_length : bytes of the pixel data's value in the file, fragments' headers included.
    pixel_keyword : PixelData, FloatPixelData or DoubleFloatPixelData; empty where there are none.
    pixel_vr : OB or OW, or empty in implicit VR.
    notes : what was odd in the header.
    """

    header: Dataset
    source: Source
    offset: int | None
    pixel_length: int
    pixel_keyword: str
    pixel_vr: str
    notes: tuple[str, ...] = ()

    @property
    def transfer_syntax(self) -> UID:
        """Transfer Syntax UID."""
        return syntax_uid(self.header)

    def open(self) -> BinaryIO:
        """The stream in which `offset` counts: the file, inflated where it is deflated."""
        return _plain_stream(self.source)[0]


def read_instance(source: Source) -> Instance:
    """Read one object's header.

    Raises
    ------
    UnreadableFile
        If the file is empty, no DICOM object, truncated, or its header is broken. The error's `code` is a problem code.
    """
    if source.size == 0:
        raise fault("empty", "the file is empty; send it again", source)
    try:
        stream, deflated = _plain_stream(source)
    except OSError as error:
        raise fault("not-readable", f"the file can't be opened ({error})", source) from error
    with stream:
        return _read(stream, source, deflated)


def fault(code: str, reason: str, source: Source, tag: str = "") -> UnreadableFile:
    """An `UnreadableFile` about `source`."""
    return UnreadableFile(reason, path=source.name, tag=tag, code=code)


def _read(stream: BinaryIO, source: Source, deflated: bool) -> Instance:
    start = stream.read(132)
    stream.seek(0)
    bare = start[128:132] != b"DICM"
    if bare and not _looks_bare(start):
        raise fault("not-dicom", f"this is {_format(start)}, not a DICOM object; send the original image", source)
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = dcmread(_Bounded(stream, size), stop_before_pixels=True, force=bare)
    except (InvalidDicomError, MemoryError, zlib.error, *BROKEN) as error:
        raise fault(
            "broken-header", f"the header can't be read ({type(error).__name__}); send it again", source
        ) from error
    end = stream.tell()
    cut = _cut_element(header)
    if cut is not None:
        raise fault("truncated", "the file ends inside this element; send it again", source, cut)
    removed = (*settle(header.file_meta), *settle(header))
    if len(header) == 0:
        raise fault("truncated" if not bare else "not-dicom", "the file holds no data set; send it again", source)
    if deflated:
        header.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    _complete_meta(header)
    notes = (f"{source.name}: unreadable header elements were left out: {', '.join(removed[:8])}",) if removed else ()
    keyword, vr, offset, length = _pixel_element(stream, header, end, size, source)
    return Instance(
        header=header,
        source=source,
        offset=offset,
        pixel_length=length,
        pixel_keyword=keyword,
        pixel_vr=vr,
        notes=notes,
    )


def _complete_meta(header: FileDataset) -> None:
    """Objects stored without file meta information state their encoding only by themselves."""
    if "TransferSyntaxUID" not in header.file_meta:
        implicit, little = header.original_encoding
        names = {
            (True, True): ImplicitVRLittleEndian,
            (False, True): ExplicitVRLittleEndian,
            (False, False): ExplicitVRBigEndian,
        }
        header.file_meta.TransferSyntaxUID = UID(names[bool(implicit), bool(little)])


def _cut_element(header: Dataset) -> str | None:
    for tag, raw in header.items():
        if isinstance(raw, RawDataElement) and raw.value is not None and len(raw.value) < raw.length < UNDEFINED_LENGTH:
            return keyword_for_tag(tag) or str(tag)
    return None


def _pixel_element(
    stream: BinaryIO, header: Dataset, position: int, size: int, source: Source
) -> tuple[str, str, int | None, int]:
    """Keyword, VR, value offset and length of the pixel data at `position`, their length checked against the file."""
    syntax = syntax_uid(header)
    stream.seek(position)
    head = stream.read(12)
    implicit = syntax == ImplicitVRLittleEndian
    order: Literal["<", ">"] = ">" if syntax == ExplicitVRBigEndian else "<"
    if len(head) < 8:
        return "", "", None, 0
    group, element = struct.unpack(f"{order}HH", head[:4])
    keyword = _PIXEL_TAGS.get(group << 16 | element, "")
    if not keyword:
        return "", "", None, 0
    if implicit:
        vr, length, offset = "", struct.unpack(f"{order}L", head[4:8])[0], position + 8
    else:
        if len(head) < 12:
            raise fault("truncated", "the file ends before its pixels; send it again", source, keyword)
        vr, length, offset = head[4:6].decode("latin-1"), struct.unpack(f"{order}L", head[8:12])[0], position + 12
    if length != UNDEFINED_LENGTH:
        if offset + length > size:
            missing = offset + length - size
            raise fault(
                "truncated", f"{missing} of {length} bytes of pixels are missing; send it again", source, keyword
            )
    elif not _fragments_end(stream, offset, size):
        raise fault("truncated", "the compressed pixels end too early; send it again", source, keyword)
    return keyword, vr, offset, size - offset if length == UNDEFINED_LENGTH else length


def _fragments_end(stream: BinaryIO, offset: int, size: int) -> bool:
    """True where the encapsulated fragments (PS3.5 A.4) run to their end; a missing last delimiter is let pass.

    The first item is the offset table, so that a fragment is the second at the earliest.
    """
    items = 0
    while offset + 8 <= size:
        stream.seek(offset)
        group, element, length = struct.unpack("<HHL", stream.read(8))
        if (group, element) == (0xFFFE, 0xE0DD):
            return items > 1
        if (group, element) != (0xFFFE, 0xE000) or length == UNDEFINED_LENGTH:
            return False
        offset, items = offset + 8 + length, items + 1
    return offset == size and items > 1


def _looks_bare(start: bytes) -> bool:
    """True where a data set may start without a preamble: group 0002 or 0008, a low element, a plausible length."""
    if len(start) < 8:
        return False
    for order in "<>":
        group, element = struct.unpack(f"{order}HH", start[:4])
        if group in (0x0002, 0x0008) and element <= 0x0100:
            explicit = start[4:6].isalpha() and start[4:6].isupper()
            if explicit or (order == "<" and struct.unpack("<L", start[4:8])[0] <= 128):
                return True
    return False


def _format(start: bytes) -> str:
    for magic, name in _FORMATS:
        if start.startswith(magic):
            return name
    if all(byte in b"\t\r\n\f" or byte >= 32 for byte in start) and b"\x00" not in start:
        return "a text file"
    return "an unknown format"


def _plain_stream(source: Source) -> tuple[BinaryIO, bool]:
    """The source's stream, with a deflated data set (PS3.5 A.5) inflated within bounds; and whether it was deflated."""
    stream = source.open()
    start = stream.read(132)
    if start[128:132] != b"DICM":
        stream.seek(0)
        return stream, False
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            meta = _read_file_meta_info(stream)
            syntax = meta.get("TransferSyntaxUID")
    except BROKEN:
        syntax = None
    if syntax != DeflatedExplicitVRLittleEndian:
        stream.seek(0)
        return stream, False
    with stream:
        packed = stream.read()
    try:
        engine = zlib.decompressobj(-zlib.MAX_WBITS)
        plain = engine.decompress(packed, MAX_INFLATED_BYTES)
    except zlib.error as error:
        raise fault("truncated", "the deflated data set is damaged; send it again", source) from error
    if engine.unconsumed_tail:
        raise fault("too-large", f"the data set unpacks to more than {MAX_INFLATED_BYTES >> 20} MiB", source)
    if not engine.eof:
        raise fault("truncated", "the deflated data set ends too early; send it again", source)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return io.BytesIO(_file_head(meta) + plain), True


def _file_head(meta: Dataset) -> bytes:
    head = DicomBytesIO()
    head.write(b"\x00" * 128 + b"DICM")
    write_file_meta_info(head, meta, enforce_standard=False)  # type: ignore[arg-type]
    return head.getvalue()


class _Bounded(io.RawIOBase):
    """A stream that never asks for more than is left, so that a wrong length can't claim memory."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self._stream, self._size = stream, size

    def read(self, size: int = -1, /) -> bytes:
        left = max(0, self._size - self._stream.tell())
        return self._stream.read(left if size < 0 else min(size, left))

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        return self._stream.tell()

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True
