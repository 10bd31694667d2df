"""Where the lungs are expected on a frontal chest film, and how sure that is: a classical method, without a network.

Steps: shrink to about 256 pixels and even out the brightness of the surroundings; what is darker than its surroundings
and isn't air beside the patient is a candidate; the largest one left and right of the middle are the lungs, closed and
filled. A lung that is much smaller than the other one, or missing, may be full of fluid: the mirror image of the other
one is added, because evidence in a white lung lies in the lung all the same.

Source
------
Rule-based lung field segmentation, as surveyed by van Ginneken, ter Haar Romeny and Viergever, IEEE TMI 2001,
doi:10.1109/42.974918. The steps and limits are this project's own; how far they are off stands in docs/dicom-input.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.imaging.geometry import resample, resize_matrix

Mask = NDArray[np.bool_]
Picture = NDArray[np.float32]

LEAST_CONFIDENCE = 0.5
"""Below this, the lungs count as not found, and nothing is concluded from them."""
SIZE = 256
_SMALLEST, _USUAL, _LARGEST = 0.03, (0.06, 0.24), 0.34
_MARGIN, _WALL = 0.02, 0.035


@dataclass(frozen=True, kw_only=True, eq=False)
class LungFields:
    """The expected lung fields of one film.

    Parameters
    ----------
    mask : bool ``(rows, columns)``, of the film's own shape.
    confidence : in [0, 1], from size, likeness of both sides, place and fullness; `found` asks for enough of it.
    completed : the mirror image of the other lung was added to one.
    """

    mask: Mask
    confidence: float
    completed: bool = False

    @property
    def found(self) -> bool:
        """Sure enough to conclude from it."""
        return self.confidence >= LEAST_CONFIDENCE


def lung_fields(frame: Picture) -> LungFields:
    """Find the lung fields.

    Parameters
    ----------
    frame : float32 ``(rows, columns)``, larger is brighter; an upright frontal film that the chest fills.

    Returns
    -------
    LungFields
        An empty mask of confidence 0 where no pair of lungs stands out.
    """
    rows, columns = frame.shape
    if not float(frame.max()) > float(frame.min()):
        return LungFields(mask=np.zeros(frame.shape, dtype=np.bool_), confidence=0.0)
    scale = SIZE / max(rows, columns)
    shape = (max(8, round(rows * scale)), max(8, round(columns * scale)))
    step = max(1, round(1 / scale / 2))
    coarse = ndimage.uniform_filter(frame, step)[::step, ::step] if step > 1 else frame
    small = resample(coarse, resize_matrix(shape, coarse.shape), shape, mode="nearest")
    mask, confidence, completed = _found(_normalised(small))
    if not mask.any():
        return LungFields(mask=np.zeros(frame.shape, dtype=np.bool_), confidence=0.0)
    back = resample(mask.astype(np.float32), resize_matrix(frame.shape, shape), frame.shape, mode="nearest")
    return LungFields(mask=back > 0.5, confidence=confidence, completed=completed)


def _normalised(picture: Picture) -> Picture:
    low, high = np.percentile(picture, [1, 99])
    return np.asarray(np.clip((picture - low) / max(float(high - low), 1e-6), 0, 1), dtype=np.float32)


def _found(picture: Picture) -> tuple[Mask, float, bool]:
    size = max(picture.shape)
    smooth = ndimage.gaussian_filter(picture, 0.008 * size)
    beside = _beside_the_body(smooth)
    # the body's own level stands in for the air beside it, so that an edge of the body isn't darker than "around"
    level = float(np.median(smooth[~beside])) if (~beside).any() else 0.5
    filled = np.where(beside, level, smooth)
    around = ndimage.gaussian_filter(filled, 0.16 * size, mode="nearest")
    dark = (filled < around - 0.01) & (filled < _between(filled[~beside])) & ~beside
    if beside.mean() > 0.02:
        dark &= ndimage.distance_transform_edt(~beside) > _WALL * size  # the chest wall is at least so thick
    dark = ndimage.binary_opening(dark, iterations=max(1, round(0.008 * size)))
    middle = _middle(smooth, beside)
    sides = [_lung(dark, middle, side) for side in (-1, 1)]
    shares = [float(side.mean()) for side in sides]
    if max(shares) < _SMALLEST:
        return np.zeros_like(dark), 0.0, False
    confidence = _confidence(sides, middle)
    both, completed = _completed(sides, shares, middle)
    grown = ndimage.binary_dilation(both, iterations=max(1, round(_MARGIN * size)))
    return np.asarray(grown & ~beside), confidence, completed


def _beside_the_body(smooth: Picture) -> Mask:
    """Air beside the patient and black borders: very dark, and connected with the upper corners or the sides."""
    dark = smooth < 0.12
    labels, _ = ndimage.label(dark)
    rim = np.concatenate([labels[0], labels[:, 0], labels[:, -1], labels[-1]])
    return np.asarray(np.isin(labels, np.unique(rim[rim > 0])))


def _between(values: NDArray[np.float32]) -> float:
    """Otsu's threshold."""
    counts, edges = np.histogram(values, bins=64, range=(0, 1))
    centres = (edges[:-1] + edges[1:]) / 2
    below = np.cumsum(counts).astype(np.float64)
    mean = np.cumsum(counts * centres)
    above = below[-1] - below
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = below * above * (mean / below - (mean[-1] - mean) / above) ** 2
    return float(centres[int(np.nanargmax(spread))]) + 0.05


def _middle(smooth: Picture, beside: Mask) -> float:
    """Column of the spine and mediastinum: the brightest broad band in the middle half of the body."""
    body = ~beside
    columns = np.flatnonzero(body.any(axis=0))
    left, right = (columns[0], columns[-1]) if len(columns) else (0, smooth.shape[1] - 1)
    rows = slice(round(0.15 * smooth.shape[0]), round(0.75 * smooth.shape[0]))
    profile = ndimage.gaussian_filter1d(smooth[rows].mean(axis=0), 0.03 * smooth.shape[1])
    width = right - left
    low, high = left + round(0.36 * width), left + round(0.64 * width) + 1
    return float(low + int(np.argmax(profile[low:high])))


def _lung(dark: Mask, middle: float, side: int) -> Mask:
    """The candidate that is most of a lung on one side: large, and not at the very edge of the picture."""
    rows, columns = dark.shape
    half = dark.copy()
    cut = round(middle)
    if side < 0:
        half[:, max(cut - 2, 0) :] = False
    else:
        half[:, : cut + 3] = False
    size = max(rows, columns)
    best = np.zeros_like(dark)
    for share in (0.0, 0.01, 0.02, 0.03, 0.045):
        # a lung that hangs together with the air beside the patient is cut off where the bridge is thin
        reach = round(share * size)
        best, free = _largest(ndimage.binary_erosion(half, iterations=reach) if reach else half, middle)
        if reach:
            best = ndimage.binary_dilation(best, iterations=reach) & half
        if free and best.mean() > _SMALLEST:
            break
    reach = max(1, round(0.03 * size))
    padded = np.pad(best, reach)
    closed = ndimage.binary_closing(padded, iterations=reach)[reach:-reach, reach:-reach]
    return np.asarray(ndimage.binary_fill_holes(closed))


def _largest(half: Mask, middle: float) -> tuple[Mask, bool]:
    """The largest central part, and whether it keeps clear of the picture's edge."""
    rows, columns = half.shape
    labels, count = ndimage.label(half)
    best, most = np.zeros_like(half), 0.0
    for number in range(1, count + 1):
        part = labels == number
        middle_row, middle_column = ndimage.center_of_mass(part)
        away = abs(middle_column - middle) / columns
        central = 0.1 < middle_row / rows < 0.8 and 0.04 < away < 0.42
        worth = float(part.sum()) * (1.0 if central else 0.2)
        if worth > most:
            best, most = part, worth
    edge = (best[:2].any(), best[-2:].any(), best[:, :2].any(), best[:, -2:].any())
    return best, not any(edge)


def _mirrored(mask: Mask, middle: float) -> Mask:
    columns = np.arange(mask.shape[1])
    source = np.round(2 * middle - columns).astype(int)
    inside = (source >= 0) & (source < mask.shape[1])
    found = np.zeros_like(mask)
    found[:, inside] = mask[:, source[inside]]
    return found


def _completed(sides: list[Mask], shares: list[float], middle: float) -> tuple[Mask, bool]:
    """Both lungs; where one is under 70 % of the other, the other one's mirror image belongs to it as well."""
    both = sides[0] | sides[1]
    if min(shares) < 0.7 * max(shares):
        return both | _mirrored(sides[int(np.argmax(shares))], middle), True
    return both, False


def _confidence(sides: list[Mask], middle: float) -> float:
    """Product of four doubts, each in [0, 1]: size, likeness of both sides, upright shape, fullness."""
    larger = max(sides, key=lambda side: float(side.sum()))
    smaller = sides[0] if larger is sides[1] else sides[1]
    size = _trapezoid(float(larger.mean()), _SMALLEST, *_USUAL, _LARGEST)
    mirror = _mirrored(larger, middle)
    overlap = float((mirror & smaller).sum()) / max(float(smaller.sum()), 1.0) if smaller.any() else 0.0
    alike = 0.4 + 0.6 * min(1.0, overlap / 0.7) if smaller.mean() > 0.3 * _SMALLEST else 0.4
    height = np.ptp(np.flatnonzero(larger.any(axis=1))) + 1
    width = np.ptp(np.flatnonzero(larger.any(axis=0))) + 1
    upright = _trapezoid(float(height / width), 0.7, 1.1, 3.2, 5.0)
    full = _trapezoid(float(larger.sum()) / float(height * width), 0.3, 0.5, 1.0, 1.01)
    return size * alike * upright * full


def _trapezoid(value: float, low: float, rise: float, fall: float, high: float) -> float:
    """0 outside [low, high], 1 in [rise, fall], straight between."""
    return float(np.clip(min((value - low) / (rise - low), (high - value) / (high - fall)), 0, 1))
