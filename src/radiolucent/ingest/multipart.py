"""``multipart/related`` bodies (RFC 2387) of DICOM objects, read as they arrive: each part goes to a file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from email.message import Message
from enum import Enum
from typing import Final

from radiolucent.errors import BrokenProtocol
from radiolucent.ingest.spool import Spool, SpooledFile

BAD_REQUEST, TOO_LARGE, UNSUPPORTED = 400, 413, 415
"""HTTP statuses that a `BrokenProtocol` of this module carries as its reason."""
DICOM: Final = "application/dicom"
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")
_LONGEST_HEADERS: Final = 8192
_LONGEST_PREAMBLE: Final = 65536


class _Place(Enum):
    PREAMBLE, DELIMITER, HEADERS, BODY, END = range(5)


def boundary_of(content_type: str) -> bytes:
    """The boundary of a ``multipart/related`` media type whose parts are DICOM objects.

    Raises
    ------
    BrokenProtocol
        If it is another media type (415), or has no valid boundary (400).

    Examples
    --------
    >>> boundary_of('multipart/related; type="application/dicom"; boundary=abc')
    b'abc'
    """
    header = Message()
    header["content-type"] = re.sub(r"[\r\n]", "", content_type)
    kind = str(header.get_param("type", DICOM)).lower()
    if header.get_content_type() != "multipart/related" or kind.partition(";")[0].strip() != DICOM:
        raise BrokenProtocol(f"the body must be multipart/related; type={DICOM}", reason=UNSUPPORTED)
    boundary = str(header.get_param("boundary", ""))
    if not _BOUNDARY.fullmatch(boundary):
        raise BrokenProtocol("the media type has no valid boundary", reason=BAD_REQUEST)
    return boundary.encode("ascii")


class PartsReader:
    """Cuts a body into parts, each written into a spool as it comes.

    Parameters
    ----------
    maximum_part_bytes : a larger part ends the request.
    """

    def __init__(self, boundary: bytes, spool: Spool, *, maximum_part_bytes: int = 4 * 2**30) -> None:
        self._delimiter = b"\r\n--" + boundary
        self._spool, self._maximum = spool, maximum_part_bytes
        self._rest = bytearray(b"\r\n")  # so that a body may begin with the delimiter
        self._place = _Place.PREAMBLE
        self._part: SpooledFile | None = None

    def read(self, chunks: Iterable[bytes]) -> Iterator[SpooledFile]:
        """Every part when it is whole; the caller discards it. An unfinished one is discarded here.

        Raises
        ------
        BrokenProtocol
            If the body isn't what its media type says (400), a part is no DICOM object (415) or too large (413).
        OutOfSpace, OSError
            If the spool can't take it.
        """
        try:
            for chunk in chunks:
                self._rest += chunk
                while (whole := self._step()) is not False:
                    if isinstance(whole, SpooledFile):
                        yield whole
            if self._place is not _Place.END:
                raise BrokenProtocol("the body ends before its last boundary", reason=BAD_REQUEST)
        finally:
            if self._part is not None:
                self._part.discard()

    def _step(self) -> SpooledFile | bool:
        """One step through what is buffered: a whole part, True for more to do, False for more to come."""
        if self._place is _Place.PREAMBLE:
            return self._to_delimiter()
        if self._place is _Place.DELIMITER:
            return self._after_delimiter()
        if self._place is _Place.HEADERS:
            return self._headers()
        if self._place is _Place.BODY:
            return self._body()
        self._rest.clear()  # the epilogue
        return False

    def _to_delimiter(self) -> bool:
        at = self._rest.find(self._delimiter)
        if at < 0:
            if len(self._rest) > _LONGEST_PREAMBLE:
                raise BrokenProtocol("the body doesn't begin with its boundary", reason=BAD_REQUEST)
            return False
        self._cut(at + len(self._delimiter))
        self._place = _Place.DELIMITER
        return True

    def _after_delimiter(self) -> bool:
        if self._rest.startswith(b"--"):
            self._place = _Place.END
            return True
        end = self._rest.find(b"\r\n")
        if end < 0 and len(self._rest) <= _LONGEST_HEADERS:
            return False
        if end < 0 or self._rest[:end].strip(b" \t"):
            raise BrokenProtocol("a boundary doesn't end its line", reason=BAD_REQUEST)
        self._cut(end)  # the line's end stays: it may also end an empty header
        self._place = _Place.HEADERS
        return True

    def _headers(self) -> bool:
        end = self._rest.find(b"\r\n\r\n")
        if end < 0 or end > _LONGEST_HEADERS:
            if len(self._rest) > _LONGEST_HEADERS:
                raise BrokenProtocol("the headers of a part are too long", reason=BAD_REQUEST)
            return False
        for line in bytes(self._rest[:end]).split(b"\r\n"):
            name, _, value = line.partition(b":")
            media = value.partition(b";")[0].strip().lower()
            if name.strip().lower() == b"content-type" and media != DICOM.encode("ascii"):
                raise BrokenProtocol(f"a part is not {DICOM}", reason=UNSUPPORTED)
        self._cut(end + 4)
        self._part = self._spool.begin()
        self._place = _Place.BODY
        return True

    def _body(self) -> SpooledFile | bool:
        part = self._part
        assert part is not None
        at = self._rest.find(self._delimiter)
        sure = at if at >= 0 else max(0, len(self._rest) - len(self._delimiter) + 1)
        if part.size_bytes + sure > self._maximum:
            raise BrokenProtocol("a part is larger than is taken here", reason=TOO_LARGE)
        part.write(bytes(self._rest[:sure]))
        if at < 0:
            self._cut(sure)
            return False
        self._cut(at + len(self._delimiter))
        part.close()
        self._part, self._place = None, _Place.DELIMITER
        return part

    def _cut(self, count: int) -> None:
        del self._rest[:count]
