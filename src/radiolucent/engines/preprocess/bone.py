"""Radiographs as the bone network sees them: cut to the limb on large films, one polarity, a bone window, CLAHE."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import ndimage
from skimage import exposure

from radiolucent.engines.manifest import InputSpec
from radiolucent.engines.preprocess.framing import Box, Spacing, box, whole_film
from radiolucent.imaging.geometry import Image, PixelRecord

# The window: from this percentile of the film to that one of what is not saturated (markers, bands beyond the edge).
DARKEST: Final = 1.0
BRIGHTEST: Final = 99.7
SATURATED: Final = 0.98
# A film is a negative where air is bright: its middle grey and three of its four rims lie above this share of its
# range, and less than `DARK_SHARE` of it is as dark as air: rims that no X-ray met are bright on a positive as well.
BRIGHT_AIR: Final = 0.5
DARK_AIR: Final = 0.08
DARK_SHARE: Final = 0.08
# CLAHE: tiles across the longer side, and the clip as a share of a tile's pixels.
TILES: Final = 8
CLIP: Final = 0.01
# A film is cut to the limb where that takes less than `SMALL` of its longer side, so that a limb on a large film comes
# to the size that was learned: 8 of 1144 films of FracAtlas are cut. The limb is what lies above `TISSUE` of the window
# on a film reduced to `REDUCED` pixels, in parts of at least `PART` of the largest, with `MARGIN` around it. Less than
# `LEAST` of the film may be a marker, and the film is left whole.
SMALL: Final = 0.6
TISSUE: Final = 0.15
REDUCED: Final = 256
PART: Final = 0.1
MARGIN: Final = 0.06
LEAST: Final = 0.2
# Equalised grey 0 to 1 becomes 0 to this: air 0, bone above 1.
RANGE: Final = 2.0


def bone(pixels: Image, spacing_mm: Spacing | None, spec: InputSpec) -> tuple[Image, PixelRecord]:
    """Film: longer side resized to the input's, centred, air 0; polarity, bone window and CLAHE on each frame.

    A limb that takes little of its film is cut out first, see `limb_region`.

    The spacing is not used: films are taken at the size of their cassette.
    """
    shape = (pixels.shape[1], pixels.shape[2])
    record, film = whole_film(shape, (spec.height, spec.width), limb_region(pixels[0]))
    placed = record.apply(pixels)
    batch = np.zeros_like(placed)
    for frame, target in zip(placed, batch, strict=True):
        target[film] = RANGE * equalise(windowed(upright_polarity(frame[film])))
    return batch[:, None].astype(np.float32), record


def limb_region(film: Image) -> Box | None:
    """(top, left, bottom, right) of the limb with a margin, in pixels of the film; None where it fills the film.

    Parameters
    ----------
    film : float32 ``(rows, columns)``, any scale, either polarity.
    """
    factor = min(1.0, REDUCED / max(film.shape))
    small, _ = whole_film((film.shape[0], film.shape[1]), _sides(film, factor))
    reduced = small.apply(film[None])[0]
    tissue = ndimage.gaussian_filter(windowed(upright_polarity(reduced)), 1.5) > TISSUE
    parts, count = ndimage.label(tissue)
    if count == 0:
        return None
    sizes = np.bincount(parts.ravel())
    sizes[0] = 0
    edges = np.array(box(np.isin(parts, np.flatnonzero(sizes >= PART * sizes.max()))), dtype=np.float64) / factor
    longest, limb = max(film.shape), max(edges[2] - edges[0], edges[3] - edges[1])
    if not LEAST * longest <= limb < SMALL * longest:
        return None
    edges += np.array([-1, -1, 1, 1]) * MARGIN * limb
    rows, columns = film.shape
    top, left, bottom, right = np.clip(np.rint(edges), 0, [rows, columns, rows, columns]).astype(int).tolist()
    return top, left, bottom, right


def _sides(film: Image, factor: float) -> tuple[int, int]:
    return max(1, round(film.shape[0] * factor)), max(1, round(film.shape[1] * factor))


def is_negative(film: Image) -> bool:
    """True where air is bright, which a header's Photometric Interpretation should have said.

    Chosen and measured on every third of the 3432 films of FracAtlas: 0 of 1144 are taken for negatives as they are,
    89 % inverted. A missed negative is read as it is.
    """
    low, high = np.percentile(film, [1, 99])
    if high <= low:
        return False
    share = (film - low) / (high - low)
    margin = max(1, min(film.shape) // 10)
    rims = sorted(np.median(part) for part in (share[:margin], share[-margin:], share[:, :margin], share[:, -margin:]))
    bright = np.median(share) > BRIGHT_AIR and rims[1] > BRIGHT_AIR
    return bool(bright and (share < DARK_AIR).mean() < DARK_SHARE)


def upright_polarity(film: Image) -> Image:
    """The film, turned into its negative where `is_negative`."""
    return film.max() + film.min() - film if is_negative(film) else film


def windowed(film: Image) -> Image:
    """Grey between `DARKEST` and `BRIGHTEST` → 0 to 1, clipped."""
    largest = float(film.max())
    within = film[film < SATURATED * largest] if largest > 0 else film
    low = float(np.percentile(film, DARKEST))
    high = float(np.percentile(within, BRIGHTEST)) if within.size else largest
    if high <= low:
        return np.zeros_like(film)
    return np.asarray(np.clip((film - low) / (high - low), 0, 1), dtype=np.float32)


def equalise(film: Image) -> Image:
    """Contrast-limited adaptive histogram equalisation of 0 to 1 (Zuiderveld 1994)."""
    if film.max() <= film.min():
        return film
    tile = max(1, max(film.shape) // TILES)
    return np.asarray(exposure.equalize_adapthist(film, kernel_size=(tile, tile), clip_limit=CLIP), dtype=np.float32)
