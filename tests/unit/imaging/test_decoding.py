"""What a compressed stream says about its size is read before a decoder may claim memory for it."""

import io
import struct

import numpy as np
import pytest
from PIL import Image
from pydicom.pixels.decoders.base import get_decoder
from pydicom.uid import UID

from radiolucent.imaging.decoding import _DECODERS, codestream_shape


def encoded(kind: str, rows: int, columns: int, **options: object) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((rows, columns), dtype=np.uint8)).save(stream, kind, **options)
    return stream.getvalue()


@pytest.mark.parametrize(("rows", "columns"), [(40, 64), (1, 700), (513, 33)])
def test_a_jpeg_states_its_size(rows: int, columns: int) -> None:
    assert codestream_shape(encoded("JPEG", rows, columns)) == (rows, columns)
    assert codestream_shape(encoded("JPEG", rows, columns, progressive=True)) == (rows, columns)


@pytest.mark.parametrize(("rows", "columns"), [(40, 64), (513, 33)])
def test_a_jpeg_2000_states_its_size_bare_or_in_a_box(rows: int, columns: int) -> None:
    boxed = encoded("JPEG2000", rows, columns)
    assert codestream_shape(boxed) == (rows, columns)
    assert codestream_shape(boxed[boxed.index(b"\xff\x4f\xff\x51") :]) == (rows, columns)


def test_a_jpeg_ls_states_its_size() -> None:
    start = b"\xff\xd8\xff\xf7" + struct.pack(">HBHHB", 11, 8, 40, 64, 1)
    assert codestream_shape(start + b"\x01\x11\x00") == (40, 64)


@pytest.mark.parametrize("stream", [b"", b"\xff\xd8", b"\x00" * 64, b"\xff\xd8\xff\xe0\x00\x04ab", b"\xff\x4f\xff\x51"])
def test_a_stream_that_states_nothing_gives_none(stream: bytes) -> None:
    assert codestream_shape(stream) is None


@pytest.mark.parametrize("syntax", [syntax for syntax, plugins in _DECODERS.items() if plugins])
def test_every_named_decoder_is_installed(syntax: str) -> None:
    assert set(_DECODERS[syntax]) <= set(get_decoder(UID(syntax)).available_plugins)
