"""What a frame shows: modality values for the network, grey or colour for people; one frame at a time, when asked.

`decode` values are in MONOCHROME2 polarity: larger is brighter. How a MONOCHROME1 frame is turned is in `lut.mirror`.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from pydicom.pixels.processing import apply_color_lut

from radiolucent.imaging.decoding import fault, stored_values
from radiolucent.imaging.header import BROKEN, is_signed, number, text
from radiolucent.imaging.instance import Instance
from radiolucent.imaging.lut import Voi, header_window, mirror, modality_values, read_lut, rescale
from radiolucent.imaging.study import Stack, Window

Grey = NDArray[np.uint8]
LUMA: Final = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in luminance (ITU-R BT.601, as PS3.3 C.7.6.3.1.2 uses for YBR_FULL)."""
DEFAULT_PERCENTILES: Final = (0.5, 99.5)
"""A stack without a usable window is shown between these percentiles of its own values (PS3.3 is silent)."""
SAMPLED_FRAMES: Final = 9
"""So many frames, evenly spread, stand for a stack when its default window is made."""
BLANK_SHARE: Final = 0.995
"""A header window that makes more of a frame than this all black or all white is absurd: the default serves."""


@dataclass(frozen=True, kw_only=True, eq=False)
class FramePixels:
    """The pixels of a stack's frames, decoded on demand: what `Stack.decode` holds.

    Parameters
    ----------
    places : (instance, Frame Number from 1) of each frame, in the stack's order.
    """

    places: tuple[tuple[Instance, int], ...]

    def __call__(self, index: int) -> NDArray[np.float32]:
        """Modality values of one frame, float32 ``(rows, columns)``; luminance where it is in colour.

        Raises
        ------
        UnreadablePixels
            If the pixel data can't be decoded or don't match the header.
        """
        instance, frame = self.places[index]
        if is_colour(instance):
            luminance: NDArray[np.float32] = (
                self.rgb(index).astype(np.float32) @ np.array(LUMA, dtype=np.float32)
            ).astype(np.float32)
            return luminance
        stored = stored_values(instance, frame - 1)
        if stored.ndim != 2:
            raise fault("length-mismatch", "is grey by its header but decodes to colour", instance, "SamplesPerPixel")
        header = instance.header
        if rescale(header, frame)[0] == 0:
            raise fault("bad-tag", "is 0: every pixel would be the same", instance, "RescaleSlope")
        values = modality_values(header, stored, frame)
        turned = mirror(header, frame)
        if turned is not None:
            values = np.float32(turned) - values
        return _without_padding(instance, stored, values)

    def rgb(self, index: int) -> Grey:
        """uint8 ``(rows, columns, 3)`` of a colour frame.

        Raises
        ------
        UnreadablePixels
            If the pixel data can't be decoded or the palette is broken.
        """
        instance, frame = self.places[index]
        array = stored_values(instance, frame - 1)
        header = instance.header
        if text(header, "PhotometricInterpretation") == "PALETTE COLOR":
            try:
                array = apply_color_lut(array, header)
            except (*BROKEN, RuntimeError) as error:
                reason = f"the palette can't be used ({type(error).__name__})"
                raise fault("bad-tag", reason, instance, "RedPaletteColorLookupTableData") from error
            return array if array.dtype == np.uint8 else (array >> 8).astype(np.uint8)
        if array.ndim != 3:
            raise fault("length-mismatch", "is colour by its header but decodes to grey", instance, "SamplesPerPixel")
        bits = int(number(header, "BitsStored") or 8)
        return (array[..., :3] >> max(0, bits - 8)).astype(np.uint8)


def is_colour(instance: Instance) -> bool:
    """True for RGB, YBR and palette images."""
    return not text(instance.header, "PhotometricInterpretation").startswith("MONOCHROME")


def _without_padding(instance: Instance, stored: NDArray[Any], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Padding (PS3.3 C.7.5.1.1.2) takes the darkest value of the rest, so that it can't stretch a window."""
    padding = number(instance.header, "PixelPaddingValue")
    if padding is None:
        return values
    limit = number(instance.header, "PixelPaddingRangeLimit")
    low, high = sorted((padding, padding if limit is None else limit))
    padded = (stored >= low) & (stored <= high)
    if not padded.any() or padded.all():
        return values
    return np.where(padded, values[~padded].min(), values).astype(np.float32)


def stack_window(header: Any, frame: int = 1) -> Window | None:
    """The header's window in `decode`'s values (turned with a MONOCHROME1 image), or None without a usable one."""
    voi = header_window(header, frame)
    if voi is None:
        return None
    turned = mirror(header, frame)
    # LINEAR's centre lies half a value off (C.11.2.1.2.1), so the mirrored one is 1 further
    center = voi.center if turned is None else turned - voi.center + (1.0 if voi.function == "LINEAR" else 0.0)
    return Window(center=center, width=voi.width)


def display(stack: Stack, index: int, window: Window | None = None) -> Grey:
    """What a person sees of one frame: uint8 ``(rows, columns)``, 0 black, 255 white.

    Parameters
    ----------
    window : in `decode`'s values; without one the header's VOI LUT sequence is used, else its first usable window
        with its VOI LUT Function, else `default_window`.

    Raises
    ------
    UnreadablePixels
        As `Stack.decode` does.

    Source
    ------
    PS3.3 C.11.2.
    """
    values = stack.decode(index)
    if window is not None:
        return _grey(Voi(center=window.center, width=max(window.width, 1.0))(values))
    if stack.colour:
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)
    shown = _by_header(stack, index, values)
    if shown is None:
        chosen = default_window(stack)
        shown = Voi(center=chosen.center, width=chosen.width, function="LINEAR_EXACT")(values)
    return _grey(shown)


def rgb(stack: Stack, index: int) -> Grey:
    """uint8 ``(rows, columns, 3)``: a colour frame's own colours, a grey one as `display` shows it.

    Raises
    ------
    UnreadablePixels
        As `Stack.decode` does.
    """
    if stack.colour and isinstance(stack.decode, FramePixels):
        return stack.decode.rgb(index)
    return np.repeat(display(stack, index)[..., None], 3, axis=2)


def _by_header(stack: Stack, index: int, values: NDArray[np.float32]) -> NDArray[np.float32] | None:
    """[0, 1] by the header's VOI LUT or window, or None where it has none or an absurd one."""
    header, frame = stack.headers[index], stack.frames[index].number
    turned = mirror(header, frame)
    own = values if turned is None else np.float32(turned) - values
    lut = read_lut(header, "VOILUTSequence", signed=is_signed(header) or rescale(header, frame)[1] < 0)
    voi = header_window(header, frame)
    if lut is not None:
        shown = lut(own) / np.float32(2**lut.bits - 1)
    elif voi is not None:
        shown = voi(own)
    else:
        return None
    shown = shown if turned is None else 1 - shown
    if max(float((shown <= 0).mean()), float((shown >= 1).mean())) > BLANK_SHARE and values.min() < values.max():
        return None
    return shown


_WINDOWS: weakref.WeakKeyDictionary[Callable[[int], NDArray[np.float32]], Window] = weakref.WeakKeyDictionary()


def default_window(stack: Stack) -> Window:
    """A window from the stack's own values: `DEFAULT_PERCENTILES` of up to `SAMPLED_FRAMES` frames; one for all.

    Raises
    ------
    UnreadablePixels
        As `Stack.decode` does.
    """
    known = _WINDOWS.get(stack.decode)
    if known is not None:
        return known
    count = len(stack.frames)
    chosen = np.unique(np.linspace(0, count - 1, min(count, SAMPLED_FRAMES)).round().astype(int))
    values = np.concatenate([stack.decode(int(index))[::2, ::2].ravel() for index in chosen])
    low, high = (float(edge) for edge in np.percentile(values, DEFAULT_PERCENTILES))
    if high <= low:
        low, high = float(values.min()), float(values.max())
    window = Window(center=(low + high) / 2, width=max(high - low, 1e-6))
    _WINDOWS[stack.decode] = window
    return window


def _grey(shares: NDArray[np.float32]) -> Grey:
    return np.rint(np.clip(shares, 0, 1) * 255).astype(np.uint8)
