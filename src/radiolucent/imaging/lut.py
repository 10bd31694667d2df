"""How stored values become modality values and modality values become grey: PS3.3 C.11.1 (modality), C.11.2 (VOI).

Pure functions of a header and an array; nothing here opens a file.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from radiolucent.imaging.header import frame_holder, is_signed, number, numbers, text, texts, value, whole

Float = NDArray[np.float32]
Function = Literal["LINEAR", "LINEAR_EXACT", "SIGMOID"]
_FUNCTIONS: Final[tuple[Function, ...]] = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
WIDEST: Final = 2.0**33
"""A window wider than twice the range of 32-bit values is no window."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Lut:
    """A lookup table: `first` is the input value of its first entry, `bits` the width of its entries."""

    first: int
    bits: int
    entries: NDArray[np.float32]

    def __call__(self, values: NDArray[Any]) -> Float:
        """Look values up; those beyond the ends take the end's entry (C.11.1.1, C.11.2.1.1)."""
        index = np.clip(np.rint(values).astype(np.int64) - self.first, 0, len(self.entries) - 1)
        found: Float = self.entries[index]
        return found


def read_lut(dataset: Dataset, keyword: str, *, signed: bool) -> Lut | None:
    """First item of a Modality or VOI LUT Sequence, or None where there is none that can be used.

    Parameters
    ----------
    signed : whether the input values may be negative; the descriptor's second value is then signed too.
    """
    items = value(dataset, keyword)
    if items is None or not isinstance(items[0], Dataset):
        return None
    descriptor = numbers(items[0], "LUTDescriptor", 3)
    data = value(items[0], "LUTData")
    if descriptor is None or data is None:
        return None
    count, first, bits = (int(part) for part in descriptor)
    count = count & 0xFFFF or 2**16
    first = first - 2**16 if signed and first >= 2**15 else first
    if not 8 <= bits <= 16:
        return None
    if isinstance(data, bytes):
        kind = np.dtype(np.uint8) if len(data) == count else np.dtype("<u2")
        entries = np.frombuffer(data[: len(data) // kind.itemsize * kind.itemsize], dtype=kind).astype(np.float32)
    else:
        entries = np.atleast_1d(np.asarray(data, dtype=np.float64)).astype(np.float32)
        entries = np.where(entries < 0, entries + 2**16, entries).astype(np.float32)
    if len(entries) < count:
        return None
    return Lut(first=first, bits=bits, entries=entries[:count])


def rescale(header: Dataset, frame: int = 1) -> tuple[float, float]:
    """(slope, intercept) of a frame, numbered from 1; (1, 0) where the header has none."""
    holder = frame_holder(header, frame, "RescaleSlope")
    slope, intercept = number(holder, "RescaleSlope"), number(holder, "RescaleIntercept")
    return (1.0 if slope is None else slope), (0.0 if intercept is None else intercept)


def modality_values(header: Dataset, stored: NDArray[Any], frame: int = 1) -> Float:
    """Stored values → modality values, in the header's own polarity (PS3.3 C.11.1).

    A Modality LUT Sequence takes the place of slope and intercept.
    """
    lut = read_lut(header, "ModalityLUTSequence", signed=is_signed(header))
    if lut is not None:
        return lut(stored)
    slope, intercept = rescale(header, frame)
    return (stored.astype(np.float64) * slope + intercept).astype(np.float32)


def mirror(header: Dataset, frame: int = 1) -> float | None:
    """What a MONOCHROME1 frame's values are subtracted from, so that larger is brighter; None for any other.

    The sum of the modality values of the smallest and the largest value that Bits Stored and Pixel Representation allow
    (for a modality LUT: of its smallest and largest entry). So an unsigned 12-bit image without rescale becomes 4095
    - v, a signed one -1 - v, and a rescaled one keeps its range: every value stays inside what the header can state.
    """
    if text(header, "PhotometricInterpretation") != "MONOCHROME1":
        return None
    lut = read_lut(header, "ModalityLUTSequence", signed=is_signed(header))
    if lut is not None:
        return float(lut.entries.min() + lut.entries.max())
    bits = whole(header, "BitsStored") or whole(header, "BitsAllocated") or 16
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if is_signed(header) else (0, 2**bits - 1)
    slope, intercept = rescale(header, frame)
    return float(slope * (low + high) + 2 * intercept)


@dataclass(frozen=True, kw_only=True)
class Voi:
    """A window in the header's own polarity, with its function."""

    center: float
    width: float
    function: Function = "LINEAR"

    def __call__(self, values: NDArray[Any]) -> Float:
        """Modality values → [0, 1] (PS3.3 C.11.2.1.2 and C.11.2.1.3)."""
        x = values.astype(np.float64)
        if self.function == "SIGMOID":
            out = 1.0 / (1.0 + np.exp(np.clip(-4.0 * (x - self.center) / self.width, -80, 80)))
        elif self.function == "LINEAR_EXACT":
            out = (x - self.center) / self.width + 0.5
        elif self.width <= 1:
            out = np.where(x <= self.center - 0.5, 0.0, 1.0)
        else:
            out = (x - (self.center - 0.5)) / (self.width - 1.0) + 0.5
        clipped: Float = np.clip(out, 0.0, 1.0).astype(np.float32)
        return clipped


def header_window(header: Dataset, frame: int = 1) -> Voi | None:
    """The first usable window of a frame, in the header's own polarity.

    A width must be at least 1 for LINEAR and above 0 otherwise (C.11.2.1.2); one that isn't, or is absurdly wide,
    counts as absent.
    """
    holder = frame_holder(header, frame, "WindowCenter")
    centers, widths = numbers(holder, "WindowCenter"), numbers(holder, "WindowWidth")
    named = (*texts(holder, "VOILUTFunction"), "LINEAR")[0]
    function = next((known for known in _FUNCTIONS if known == named), _FUNCTIONS[0])
    least = 1.0 if function == "LINEAR" else 1e-9
    for center, width in zip(centers or (), widths or (), strict=False):
        if least <= width <= WIDEST and abs(center) <= WIDEST:
            return Voi(center=center, width=width, function=function)
    return None
