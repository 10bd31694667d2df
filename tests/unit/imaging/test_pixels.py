"""Stored bytes become modality values and grey, for every transfer syntax and layout that is read."""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from radiolucent.errors import UnreadablePixels
from radiolucent.imaging.loading import load
from radiolucent.imaging.pixels import default_window, display, rgb
from radiolucent.imaging.study import Stack, Window

Ramp = NDArray[np.uint16]
LOSSLESS = (
    ImplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
    RLELossless,
    JPEGLSLossless,
    JPEG2000Lossless,
)


def stack_of(path: Path) -> Stack:
    (study,) = load(path).studies
    (stack,) = study.stacks
    return stack


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.name)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_every_lossless_syntax_gives_the_stored_values(
    write_image: Any, ramp: Ramp, syntax: UID, dtype: type[np.integer[Any]]
) -> None:
    pixels = ((ramp % 251).astype(np.int32) - (100 if dtype is np.int16 else 0)).astype(dtype)
    assert np.array_equal(stack_of(write_image("a.dcm", pixels, syntax=syntax)).decode(0), pixels)


@pytest.mark.parametrize("syntax", LOSSLESS, ids=lambda syntax: syntax.name)
def test_frames_are_decoded_one_by_one(write_image: Any, ramp: Ramp, syntax: UID) -> None:
    pixels = np.stack([ramp, ramp + 1, ramp + 2])
    stack = stack_of(write_image("a.dcm", pixels, syntax=syntax))
    assert (stack.kind, [frame.number for frame in stack.frames]) == ("frames", [1, 2, 3])
    assert [float(stack.decode(index)[0, 0]) for index in (2, 0, 1)] == [2, 0, 1]
    assert np.array_equal(stack.pixels, pixels)


def test_no_frames_by_the_header_means_one(write_image: Any, ramp: Ramp) -> None:
    stack = stack_of(write_image("a.dcm", ramp, NumberOfFrames=0))
    assert np.array_equal(stack.pixels, ramp[None])


def test_bits_above_and_below_the_stored_ones_are_removed(write_image: Any, ramp: Ramp) -> None:
    # 12 bits stored in bits 2 to 13; an old overlay in bits 15 and 0 (PS3.5 8.1.1)
    overlaid = ((ramp & 0xFFF) << 2 | 0x8001).astype(np.uint16)
    stack = stack_of(write_image("a.dcm", overlaid, BitsStored=12, HighBit=13))
    assert np.array_equal(stack.decode(0), ramp & 0xFFF)


def test_signed_values_of_fewer_bits_keep_their_sign(write_image: Any, ramp: Ramp) -> None:
    values = (ramp.astype(np.int32) % 4096) - 2048
    stored = (values & 0xFFF).astype(np.uint16)
    stack = stack_of(write_image("a.dcm", stored, BitsStored=12, HighBit=11, PixelRepresentation=1))
    assert np.array_equal(stack.decode(0), values)


def test_monochrome1_looks_like_its_monochrome2_twin(write_image: Any, ramp: Ramp) -> None:
    values = {"BitsStored": 12, "HighBit": 11, "WindowCenter": 1500, "WindowWidth": 3000}
    bright = stack_of(write_image("a.dcm", ramp, **values))
    turned = {**values, "WindowCenter": 4095 - 1500 + 1, "PhotometricInterpretation": "MONOCHROME1"}
    dark = stack_of(write_image("b.dcm", 4095 - ramp, **turned))
    assert np.array_equal(bright.decode(0), dark.decode(0))
    assert bright.window == dark.window
    assert np.abs(display(bright, 0).astype(int) - display(dark, 0)).max() <= 1


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_takes_the_darkest_value_of_the_rest(write_image: Any, ramp: Ramp, photometric: str) -> None:
    pixels = ramp.astype(np.int16) + 10
    pixels[:5] = -2000
    values = {"PixelPaddingValue": -2000, "PhotometricInterpretation": photometric}
    decoded = stack_of(write_image("a.dcm", pixels, **values)).decode(0)
    assert (decoded[:5] == decoded[5:].min()).all()


def test_a_range_of_padding_is_honoured(write_image: Any, ramp: Ramp) -> None:
    pixels = ramp.astype(np.int16)
    decoded = stack_of(write_image("a.dcm", pixels, PixelPaddingValue=0, PixelPaddingRangeLimit=99)).decode(0)
    assert decoded.min() == 100


def test_an_image_of_nothing_but_padding_is_left_alone(write_image: Any) -> None:
    pixels = np.full((40, 40), 7, dtype=np.uint16)
    assert stack_of(write_image("a.dcm", pixels, PixelPaddingValue=7)).decode(0).max() == 7


def test_colour_becomes_luminance_and_keeps_its_colours(write_image: Any) -> None:
    pixels = np.zeros((40, 50, 3), dtype=np.uint8)
    pixels[:, :25] = (255, 0, 0)
    pixels[:, 25:] = (0, 255, 0)
    stack = stack_of(write_image("a.dcm", pixels, Modality="OT"))
    assert stack.colour
    assert stack.decode(0)[0, 0] == pytest.approx(0.299 * 255)
    assert np.array_equal(rgb(stack, 0), pixels)
    assert display(stack, 0)[0, 49] == round(0.587 * 255)


def test_planar_colour_is_the_same_picture(write_image: Any) -> None:
    pixels = np.random.default_rng(1).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    planar = np.moveaxis(pixels, -1, 0).tobytes()
    stack = stack_of(write_image("a.dcm", pixels, PlanarConfiguration=1, PixelData=planar))
    assert np.array_equal(rgb(stack, 0), pixels)


def test_ybr_full_is_shown_in_its_colours(write_image: Any) -> None:
    pixels = np.full((40, 50, 3), 128, dtype=np.uint8)
    pixels[..., 0] = 90
    stack = stack_of(write_image("a.dcm", pixels, PhotometricInterpretation="YBR_FULL"))
    assert np.abs(rgb(stack, 0).astype(int) - 90).max() <= 1


def palette(entries: list[int]) -> bytes:
    return np.array(entries, dtype="<u2").tobytes()


def test_palette_colour_is_looked_up(write_image: Any) -> None:
    pixels = np.indices((40, 50))[1].astype(np.uint8) % 2
    tables = {f"{name}PaletteColorLookupTableDescriptor": [2, 0, 16] for name in ("Red", "Green", "Blue")}
    data = {
        "RedPaletteColorLookupTableData": palette([0, 0xFFFF]),
        "GreenPaletteColorLookupTableData": palette([0x8000, 0]),
        "BluePaletteColorLookupTableData": palette([0, 0]),
    }
    stack = stack_of(write_image("a.dcm", pixels, PhotometricInterpretation="PALETTE COLOR", **tables, **data))
    assert rgb(stack, 0)[0, :2].tolist() == [[0, 128, 0], [255, 0, 0]]


def test_a_palette_without_data_names_its_tag(write_image: Any, ramp: Ramp) -> None:
    stack = stack_of(write_image("a.dcm", ramp.astype(np.uint8), PhotometricInterpretation="PALETTE COLOR"))
    with pytest.raises(UnreadablePixels) as caught:
        stack.decode(0)
    assert caught.value.tag == "RedPaletteColorLookupTableData"


def test_grey_is_shown_in_rgb_as_display_shows_it(write_image: Any, ramp: Ramp) -> None:
    stack = stack_of(write_image("a.dcm", ramp))
    assert np.array_equal(rgb(stack, 0)[..., 1], display(stack, 0))


def lut(first: int, entries: list[int], bits: int) -> list[Dataset]:
    item = Dataset()
    item.LUTDescriptor = [len(entries), first, bits]
    item["LUTDescriptor"].VR = "US"
    item.add_new("LUTData", "OW", np.array(entries, dtype="<u2").tobytes())
    return [item]


def test_a_voi_lut_sequence_is_looked_up_by_modality_value(write_image: Any, ramp: Ramp) -> None:
    values = {"RescaleSlope": 1, "RescaleIntercept": 100, "VOILUTSequence": lut(100, [0, 4095, 0, 2048], 12)}
    shown = display(stack_of(write_image("a.dcm", ramp % 4, **values)), 0)
    assert shown[0, :4].tolist() == [0, 255, 0, 128]


def test_display_follows_the_headers_window(write_image: Any, ramp: Ramp) -> None:
    shown = display(stack_of(write_image("a.dcm", ramp, WindowCenter=1000, WindowWidth=1001)), 0)
    assert (shown.ravel()[499], shown.ravel()[1000], shown.ravel()[1500]) == (0, 128, 255)


def test_display_follows_an_asked_window(write_image: Any, ramp: Ramp) -> None:
    stack = stack_of(write_image("a.dcm", ramp, WindowCenter=1000, WindowWidth=1001))
    shown = display(stack, 0, Window(center=2000.5, width=1))
    assert (shown.ravel()[2000], shown.ravel()[2001]) == (0, 255)


@pytest.mark.parametrize(("center", "width"), [(0, 0), (0, -5), (30000, 10), (-9e9, 1e12), (None, None)])
def test_an_unusable_window_gives_way_to_the_stacks_own_values(
    write_image: Any, ramp: Ramp, center: float | None, width: float | None
) -> None:
    shown = display(stack_of(write_image("a.dcm", ramp, WindowCenter=center, WindowWidth=width)), 0)
    assert (shown.min(), shown.max()) == (0, 255)
    assert 100 < shown.mean() < 155


def test_the_default_window_is_one_for_the_whole_stack(write_image: Any, ramp: Ramp) -> None:
    stack = stack_of(write_image("a.dcm", np.stack([ramp // 10, ramp])))
    assert display(stack, 0).max() < 100
    assert display(stack, 1).max() == 255
    assert default_window(stack) is default_window(stack)


def test_a_picture_of_one_value_is_shown_without_failing(write_image: Any) -> None:
    shown = display(stack_of(write_image("a.dcm", np.full((40, 40), 7, dtype=np.uint16))), 0)
    assert len(np.unique(shown)) == 1


def test_a_slope_of_zero_is_refused_by_name(write_image: Any, ramp: Ramp) -> None:
    with pytest.raises(UnreadablePixels) as caught:
        stack_of(write_image("a.dcm", ramp, RescaleSlope=0, RescaleIntercept=0)).decode(0)
    assert caught.value.tag == "RescaleSlope"


def test_a_damaged_stream_is_refused_with_file_and_frame(write_image: Any, ramp: Ramp) -> None:
    path = write_image("a.dcm", ramp, syntax=JPEG2000Lossless)
    content = bytearray(path.read_bytes())
    start = content.index(b"\xff\x4f\xff\x51")
    content[start + 60 :] = bytes(value ^ 0x5A for value in content[start + 60 : -8]) + content[-8:]
    path.write_bytes(bytes(content))
    with pytest.raises(UnreadablePixels, match="frame 1") as caught:
        stack_of(path).decode(0)
    assert (caught.value.path, caught.value.tag) == ("a.dcm", "PixelData")


@pytest.mark.parametrize("syntax", [JPEG2000Lossless, JPEGLSLossless], ids=lambda syntax: syntax.name)
def test_a_stream_of_another_size_than_the_headers_is_refused_before_it_is_decoded(
    write_image: Any, ramp: Ramp, syntax: UID
) -> None:
    path = write_image("a.dcm", ramp, syntax=syntax)
    content = path.read_bytes().replace(b"US\x02\x00\x30\x00", b"US\x02\x00\x31\x00", 1)
    path.write_bytes(content)
    with pytest.raises(UnreadablePixels, match="48 × 64 where the header says 49 × 64"):
        stack_of(path).decode(0)


def test_an_rle_segment_that_runs_over_is_not_written_beyond_the_frame(write_image: Any, ramp: Ramp) -> None:
    path = write_image("a.dcm", ramp, syntax=RLELossless)
    content = path.read_bytes()
    start = content.index(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff") + 12
    run = b"\x81\x07" * 60  # PackBits: 60 runs of 128 sevens where 3072 bytes fit
    segments = struct.pack("<16L", 2, 64, 64 + len(run), *[0] * 13) + run + run
    path.write_bytes(content[:start] + encapsulate([segments]))
    assert (stack_of(path).decode(0) == 0x0707).all()


def test_fragments_that_are_no_image_are_refused(write_image: Any, ramp: Ramp) -> None:
    path = write_image("a.dcm", ramp, syntax=RLELossless)
    content = path.read_bytes()
    start = content.index(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff") + 12
    path.write_bytes(content[:start] + encapsulate([b"\x01\x00\x00\x00" + b"\xff" * 200]))
    with pytest.raises(UnreadablePixels):
        stack_of(path).decode(0)
