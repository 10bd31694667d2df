"""How stored pixels are decoded: which decoder reads which transfer syntax, and the checks before one is let loose.

Source: PS3.5 A.4 (encapsulation), PS3.3 C.7.6.3 (Image Pixel module).
"""

from __future__ import annotations

import struct
import warnings
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.utils import as_pixel_options
from pydicom.uid import RLELossless

from radiolucent.errors import UnreadablePixels
from radiolucent.imaging.header import BROKEN, frame_count, is_signed, text, whole
from radiolucent.imaging.instance import Instance
from radiolucent.imaging.isolated import decode_frame

MAX_FRAME_PIXELS: Final = 2**26
"""Rows × Columns of one frame (67 million): the largest detectors have about 30 million; more is refused."""
MIN_SIDE: Final = 32
"""A smaller image can't be read by anybody."""
MAX_FRAMES: Final = 50_000

# transfer syntax → decoders in order of preference; GDCM only where no other can read: on a damaged stream it returns a
# grey frame or ends the whole process (abort in GetBuffer, seen on JPEG 2000 and JPEG-LS)
_DECODERS: Final[dict[str, tuple[str, ...]]] = {
    "1.2.840.10008.1.2.4.50": ("pillow",),  # JPEG baseline
    "1.2.840.10008.1.2.4.51": ("gdcm", "pillow"),  # JPEG extended, 12 bit
    "1.2.840.10008.1.2.4.57": ("gdcm",),  # JPEG lossless, process 14
    "1.2.840.10008.1.2.4.70": ("gdcm",),  # JPEG lossless, first-order prediction
    "1.2.840.10008.1.2.4.80": ("pyjpegls",),  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.81": ("pyjpegls",),  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90": ("pylibjpeg",),  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91": ("pylibjpeg",),  # JPEG 2000
    "1.2.840.10008.1.2.4.201": ("pylibjpeg",),  # HTJ2K lossless
    "1.2.840.10008.1.2.4.202": ("pylibjpeg",),  # HTJ2K lossless, RPCL
    "1.2.840.10008.1.2.4.203": ("pylibjpeg",),  # HTJ2K
    "1.2.840.10008.1.2.5": ("pydicom",),  # RLE; pylibjpeg's decoder panics on damaged segments, past any except
    "1.2.840.10008.1.2": (),
    "1.2.840.10008.1.2.1": (),
    "1.2.840.10008.1.2.1.99": (),
    "1.2.840.10008.1.2.2": (),
}


def fault(code: str, reason: str, instance: Instance, tag: str = "PixelData") -> UnreadablePixels:
    """An `UnreadablePixels` about `instance`."""
    return UnreadablePixels(reason, path=instance.source.name, tag=tag, code=code)


def check_pixels(instance: Instance) -> None:
    """Check, from the header and the file's length alone, that the pixels can be decoded.

    Raises
    ------
    UnreadablePixels
        If an Image Pixel attribute is missing, absurd or contradicts the length of the pixel data, the image is
        smaller than 32 × 32, or nothing here decodes the transfer syntax. Its `code` is the problem's.
    """
    header = instance.header
    if instance.offset is None:
        raise fault("no-pixels", "there are no pixels in the file; send the whole object", instance)
    if instance.pixel_keyword != "PixelData":
        raise fault(
            "not-an-image", "floating-point maps are results, not images to read", instance, instance.pixel_keyword
        )
    syntax = instance.transfer_syntax
    if str(syntax) not in _DECODERS:
        name = syntax.name
        raise fault(
            "unsupported-syntax", f"{name} can't be decoded; send it uncompressed", instance, "TransferSyntaxUID"
        )
    for keyword in ("Rows", "Columns", "BitsAllocated", "PhotometricInterpretation"):
        if not text(header, keyword):
            raise fault("missing-tag", "is missing or empty; send the original object", instance, keyword)
    for keyword, least, most in (
        ("Rows", 1, 65535),
        ("Columns", 1, 65535),
        ("SamplesPerPixel", 1, 4),
        ("PixelRepresentation", 0, 1),
        ("NumberOfFrames", 0, MAX_FRAMES),
    ):
        number = whole(header, keyword)
        if keyword in header and (number is None or not least <= number <= most) and text(header, keyword):
            raise fault("bad-tag", f"must lie in {least}–{most}, not {text(header, keyword)[:20]}", instance, keyword)
    rows, columns = int(header.Rows), int(header.Columns)
    if rows * columns > MAX_FRAME_PIXELS:
        raise fault("too-large", f"{rows} × {columns} pixels are more than any detector has", instance, "Rows")
    if min(rows, columns) < MIN_SIDE:
        raise fault("too-small", f"{rows} × {columns} pixels are too few to read (at least 32 × 32)", instance, "Rows")
    _check_bits(instance)
    if not syntax.is_encapsulated:
        _check_length(instance)


def _check_bits(instance: Instance) -> None:
    allocated = whole(instance.header, "BitsAllocated") or 0
    stored = bits_stored(instance)
    high = high_bit(instance)
    if allocated not in (8, 16, 32):
        raise fault("bad-tag", f"{allocated} bits a pixel are not read (8, 16 or 32)", instance, "BitsAllocated")
    if not 1 <= stored <= allocated:
        raise fault("bad-tag", f"{stored} bits don't fit into {allocated}", instance, "BitsStored")
    if not stored - 1 <= high < allocated:
        raise fault("bad-tag", f"bit {high} can't be the highest of {stored}", instance, "HighBit")


def _check_length(instance: Instance) -> None:
    """A native frame's bytes must lie inside the file: Rows × Columns × Samples × Bytes × Frames."""
    header = instance.header
    samples = whole(header, "SamplesPerPixel") or 1
    sampled = 2 if text(header, "PhotometricInterpretation") == "YBR_FULL_422" else samples
    size = int(header.Rows) * int(header.Columns) * sampled * (int(header.BitsAllocated) // 8) * frame_count(header)
    if size > instance.pixel_length:
        reason = f"holds {instance.pixel_length} bytes where Rows, Columns and Bits Allocated say {size}; send it again"
        raise fault("length-mismatch", reason, instance)


def bits_stored(instance: Instance) -> int:
    """Bits Stored, or Bits Allocated where it is absent."""
    return whole(instance.header, "BitsStored") or whole(instance.header, "BitsAllocated") or 0


def high_bit(instance: Instance) -> int:
    """High Bit, or Bits Stored - 1 where it is absent."""
    found = whole(instance.header, "HighBit")
    return bits_stored(instance) - 1 if found is None else found


def stored_values(instance: Instance, frame: int) -> NDArray[Any]:
    """Decode one frame as it was stored: before any modality transform, palette or polarity.

    Parameters
    ----------
    frame : index, from 0.

    Returns
    -------
    Integer ``(rows, columns)``, or ``(rows, columns, 3)`` in RGB order for colour, overlay bits removed.

    Raises
    ------
    UnreadablePixels
        If the decoder fails, or what it gives isn't what the header says.
    """
    header = instance.header
    syntax = instance.transfer_syntax
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = as_pixel_options(header, pixel_keyword="PixelData", transfer_syntax_uid=syntax)
    options.update(bits_stored=bits_stored(instance), number_of_frames=frame_count(header), correct_unused_bits=False)
    options.setdefault("samples_per_pixel", 1)
    options.setdefault("pixel_representation", 0)
    if options["samples_per_pixel"] > 1:
        options.setdefault("planar_configuration", 0)
    if instance.pixel_vr:
        options["pixel_vr"] = instance.pixel_vr
    encoded = b""
    try:
        with instance.open() as stream:
            stream.seek(instance.offset or 0)
            if syntax.is_encapsulated:
                encoded = get_frame(stream, frame, number_of_frames=options["number_of_frames"], **_offsets(options))
                _check_codestream(instance, encoded)
                stream.seek(instance.offset or 0)
            array = _decode(instance, stream, frame, options, encoded)
    except UnreadablePixels:
        raise
    except (*BROKEN, RuntimeError, MemoryError, SystemError) as error:
        detail = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
        raise fault(
            "damaged-pixels", f"frame {frame + 1} can't be decoded ({detail}); send it again", instance
        ) from error
    rows, columns = int(header.Rows), int(header.Columns)
    if array.shape[:2] != (rows, columns):
        reason = (
            f"frame {frame + 1} decodes to {array.shape[0]} × {array.shape[1]} where the header says {rows} × {columns}"
        )
        raise fault("length-mismatch", reason, instance)
    return _strip(instance, array) if array.ndim == 2 else array


def _offsets(options: dict[str, Any]) -> dict[str, Any]:
    return {"extended_offsets": options["extended_offsets"]} if "extended_offsets" in options else {}


def _decode(instance: Instance, stream: Any, frame: int, options: dict[str, Any], encoded: bytes) -> NDArray[Any]:
    decoder = get_decoder(instance.transfer_syntax)
    start = stream.tell()
    failures: list[str] = []
    plugins = [name for name in _DECODERS[str(instance.transfer_syntax)] if name in decoder.available_plugins] or [""]
    for plugin in plugins:
        stream.seek(start)
        try:
            if plugin == "gdcm":
                return decode_frame(encoded, instance.transfer_syntax, options)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                array, _ = decoder.as_array(stream, index=frame, validate=True, decoding_plugin=plugin, **options)
            return np.asarray(array)
        except (*BROKEN, RuntimeError, SystemError) as error:
            failures.append(
                f"{plugin or 'native'}: {str(error).splitlines()[-1][:120] if str(error) else type(error).__name__}"
            )
    raise ValueError("; ".join(failures))


def _strip(instance: Instance, array: NDArray[Any]) -> NDArray[Any]:
    """Take the stored bits out of the allocated ones: what lies above or below (old overlays, PS3.5 8.1.1) is removed.

    A compressed stream states its own precision; only its sign may still have to be spread over the allocated bits.
    """
    allocated, stored, high = int(instance.header.BitsAllocated), bits_stored(instance), high_bit(instance)
    syntax = instance.transfer_syntax
    if stored == allocated:
        return array
    if syntax.is_encapsulated and syntax != RLELossless:
        if not is_signed(instance.header):
            return array
        high = stored - 1
    up, down = allocated - 1 - high, allocated - stored
    # shift left to drop what is above, right (arithmetically, for signed values) to drop what is below
    stripped: NDArray[Any] = np.right_shift(np.left_shift(array, up), down)
    return stripped


def _check_codestream(instance: Instance, encoded: bytes) -> None:
    """A compressed image of another size than the header's is refused before it can claim memory."""
    shape = codestream_shape(encoded)
    rows, columns = int(instance.header.Rows), int(instance.header.Columns)
    if shape is not None and shape != (rows, columns):
        reason = f"the compressed image is {shape[0]} × {shape[1]} where the header says {rows} × {columns}"
        raise fault("length-mismatch", reason, instance)


def codestream_shape(encoded: bytes) -> tuple[int, int] | None:
    """(rows, columns) that a JPEG, JPEG-LS or JPEG 2000 stream states, or None where it states none.

    Source: ITU-T T.81 B.2.2 (SOFn), T.87 C.2.2 (SOF55), T.800 A.5.1 (SIZ).
    """
    start = encoded.find(b"\xff\x4f\xff\x51", 0, 256)
    if start >= 0 and len(encoded) >= start + 24:
        width, height, left, top = struct.unpack(">4L", encoded[start + 8 : start + 24])
        return height - top, width - left
    if not encoded.startswith(b"\xff\xd8"):
        return None
    place = 2
    while place + 9 <= len(encoded) and encoded[place] == 0xFF:
        marker = encoded[place + 1]
        if marker == 0xFF:
            place += 1
            continue
        if (0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC)) or marker == 0xF7:
            rows, columns = struct.unpack(">HH", encoded[place + 5 : place + 9])
            return (rows, columns) if rows else None
        place += 2 + struct.unpack(">H", encoded[place + 2 : place + 4])[0]
    return None
