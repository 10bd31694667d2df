"""GDCM in its own process: what it can't read, or dies of, is an error of this process and nothing more."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.uid import JPEG2000Lossless

from radiolucent.imaging.isolated import decode_frame

# GDCM reads JPEG 2000 too, and pydicom can write it: a syntax to try the process with, without any file
OPTIONS: dict[str, Any] = {
    "transfer_syntax_uid": JPEG2000Lossless,
    "rows": 48,
    "columns": 64,
    "samples_per_pixel": 1,
    "photometric_interpretation": "MONOCHROME2",
    "pixel_keyword": "PixelData",
    "bits_allocated": 16,
    "bits_stored": 16,
    "pixel_representation": 0,
    "number_of_frames": 1,
}


@pytest.fixture
def encoded(write_image: Any, ramp: Any) -> bytes:
    from pydicom import dcmread
    from pydicom.encaps import get_frame

    dataset = dcmread(write_image("a.dcm", ramp, syntax=JPEG2000Lossless))
    return get_frame(dataset.PixelData, 0, number_of_frames=1)


def test_a_frame_comes_back_bit_exact(encoded: bytes, ramp: Any) -> None:
    assert np.array_equal(decode_frame(encoded, JPEG2000Lossless, OPTIONS), ramp)


def test_bytes_that_are_no_stream_are_an_error() -> None:
    with pytest.raises(ValueError, match=r"\w"):
        decode_frame(b"\x00" * 64, JPEG2000Lossless, OPTIONS)


def test_streams_that_end_the_decoder_are_errors_and_the_next_one_is_read(encoded: bytes, ramp: Any) -> None:
    random = np.random.default_rng(1)
    outcomes = []
    for _ in range(60):
        damaged = bytearray(encoded)
        for place in random.integers(0, 120, 6):
            damaged[place] = random.integers(256)
        try:
            decode_frame(bytes(damaged), JPEG2000Lossless, OPTIONS)
            outcomes.append("read")
        except ValueError as error:
            outcomes.append("broke off" if "broke off" in str(error) else "refused")
    assert set(outcomes) >= {"refused"}
    assert np.array_equal(decode_frame(encoded, JPEG2000Lossless, OPTIONS), ramp)


def test_a_worker_that_was_killed_is_started_again(encoded: bytes, ramp: Any) -> None:
    from radiolucent.imaging import isolated

    decode_frame(encoded, JPEG2000Lossless, OPTIONS)
    process = isolated._WORKER._process
    assert process is not None
    os.kill(process.pid, 9)
    process.wait()
    with pytest.raises(ValueError, match="broke off"):
        decode_frame(encoded, JPEG2000Lossless, OPTIONS)
    assert np.array_equal(decode_frame(encoded, JPEG2000Lossless, OPTIONS), ramp)


def test_no_worker_is_needed_to_import(tmp_path: Path) -> None:
    from radiolucent.imaging.isolated import _Worker

    idle = _Worker()
    idle.close()
    assert idle._process is None
