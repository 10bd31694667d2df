"""A header is read whatever the bytes are: either it works or it fails inside the error tree."""

import io
import struct
import zlib
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from radiolucent.errors import SenderError, UnreadableFile
from radiolucent.imaging import instance
from radiolucent.imaging.archive import Source
from radiolucent.imaging.instance import read_instance
from radiolucent.imaging.loading import load

Ramp = NDArray[np.uint16]
SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEG2000Lossless,
    JPEGLSLossless,
)


def memory(content: bytes) -> Source:
    return Source(name="a.dcm", size=len(content), open=lambda: io.BytesIO(content))


def sample(write_image: Any, syntax: Any) -> bytes:
    ramp = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)
    path: Path = write_image(
        f"{syntax}.dcm",
        ramp,
        syntax=syntax,
        PixelSpacing=[0.5, 0.5],
        ImagePositionPatient=[1, 2, 3],
        ImageOrientationPatient=[1, 0, 0, 0, 1, 0],
        WindowCenter=[40, 50],
        WindowWidth=[400, 500],
        SeriesDescription="AX T1 POST",
    )
    return path.read_bytes()


def survives(path: Path, content: bytes) -> None:
    """Read everything that can be read from `content`; only errors of the tree may leave."""
    path.write_bytes(content)
    with suppress(SenderError):
        for study in load(path).studies:
            for stack in study.stacks:
                assert stack.pixels.ndim == 3


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_changed_bytes_never_raise_outside_the_tree(
    write_image: Any, tmp_path: Path, syntax: Any, data: st.DataObject
) -> None:
    content = bytearray(sample(write_image, syntax))
    for _ in range(data.draw(st.integers(1, 12))):
        place = data.draw(st.one_of(st.integers(128, min(900, len(content) - 1)), st.integers(128, len(content) - 1)))
        content[place] = data.draw(st.integers(0, 255))
    survives(tmp_path / "fuzz.dcm", bytes(content))


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda syntax: syntax.name)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(share=st.floats(0, 0.999))
def test_a_cut_file_is_always_refused(write_image: Any, tmp_path: Path, syntax: Any, share: float) -> None:
    content = sample(write_image, syntax)
    # the delimiter behind the last fragment may be missing: every pixel is there without it
    keep = int((len(content) - 8) * share)
    path = tmp_path / "cut.dcm"
    path.write_bytes(content[:keep])
    with pytest.raises(UnreadableFile):
        load(path)


@pytest.mark.parametrize("items", [0, 1], ids=["no item", "the offset table alone"])
@pytest.mark.parametrize("delimiter", [b"", b"\xfe\xff\xdd\xe0\x00\x00\x00\x00"], ids=["cut", "closed"])
@pytest.mark.parametrize("syntax", [RLELossless, JPEGLSLossless], ids=lambda syntax: syntax.name)
def test_compressed_pixels_without_a_fragment_are_refused(
    write_image: Any, tmp_path: Path, syntax: Any, items: int, delimiter: bytes
) -> None:
    content = sample(write_image, syntax)
    start = content.index(b"\xe0\x7f\x10\x00") + 12
    (length,) = struct.unpack("<L", content[start + 4 : start + 8])
    path = tmp_path / "cut.dcm"
    path.write_bytes(content[: start + items * (8 + length)] + delimiter)
    with pytest.raises(UnreadableFile) as caught:
        load(path)
    assert caught.value.code == "truncated"


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    content=st.binary(max_size=400), prefix=st.sampled_from([b"", bytes(128) + b"DICM", b"\x08\x00\x05\x00CS\x0a\x00"])
)
def test_any_bytes_are_refused_inside_the_tree(tmp_path: Path, content: bytes, prefix: bytes) -> None:
    survives(tmp_path / "any.dcm", prefix + content)


def test_a_length_that_no_file_has_claims_no_memory(write_image: Any, ramp: Ramp) -> None:
    content = sample(write_image, ExplicitVRLittleEndian)
    start = content.index(b"LO", 200)
    huge = content[: start - 4] + struct.pack("<HH2sHL", 0x0009, 0x0010, b"OB", 0, 0xFFFFFFF0) + content[start:]
    with pytest.raises(UnreadableFile) as caught:
        read_instance(memory(huge))
    assert caught.value.code in {"truncated", "broken-header"}


def test_an_element_of_an_unknown_vr_is_left_out_and_noted(write_image: Any) -> None:
    content = sample(write_image, ExplicitVRLittleEndian)
    found = read_instance(memory(content.replace(b"\x08\x00\x3e\x10LO", b"\x08\x00\x3e\x10S\xac")))
    assert "SeriesDescription" not in found.header
    assert any("SeriesDescription" in note for note in found.notes)


def test_a_data_set_without_preamble_is_read(write_image: Any, ramp: Ramp) -> None:
    content = sample(write_image, ImplicitVRLittleEndian)
    meta_length = struct.unpack("<L", content[140:144])[0]
    found = read_instance(memory(content[144 + meta_length :]))
    assert found.transfer_syntax == ImplicitVRLittleEndian
    assert found.header.SeriesDescription == "AX T1 POST"


def test_a_deflated_bomb_is_refused(write_image: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    content = sample(write_image, DeflatedExplicitVRLittleEndian)
    monkeypatch.setattr(instance, "MAX_INFLATED_BYTES", 1000)
    with pytest.raises(UnreadableFile) as caught:
        read_instance(memory(content))
    assert caught.value.code == "too-large"


def test_damaged_deflation_is_truncated(write_image: Any) -> None:
    content = sample(write_image, DeflatedExplicitVRLittleEndian)
    meta_length = struct.unpack("<L", content[140:144])[0]
    body = content[144 + meta_length :]
    assert zlib.decompress(body, -zlib.MAX_WBITS)
    with pytest.raises(UnreadableFile) as caught:
        read_instance(memory(content[: 144 + meta_length] + b"\xff" * len(body)))
    assert caught.value.code == "truncated"


def test_a_source_that_can_not_be_opened_is_not_readable() -> None:
    def fail() -> Any:
        raise PermissionError("no")

    with pytest.raises(UnreadableFile) as caught:
        read_instance(Source(name="a.dcm", size=9, open=fail))
    assert caught.value.code == "not-readable"
