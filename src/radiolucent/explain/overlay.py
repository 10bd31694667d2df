"""How an evidence map is shown: perceptual colours on an absolute scale, a contour, and a legend beside the anatomy.

Colours follow the rules in ``docs/explanations.md``: the map is never stretched to its own range, what lies under the
floor is not coloured at all, opacity grows with value, and a contour with a dark halo marks the same edge in full.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from radiolucent.findings.reading import Localisation
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Frame

Grey = NDArray[np.uint8]
Colour = NDArray[np.uint8]
Edges = tuple[str, str, str, str]

METHOD = "evidence map (Grad-CAM)"
WARNING = "AI, not diagnostic. Not for clinical use."


def plain(grey: Grey, *, place: Frame | None = None, edges: Edges | None = None, maximum_width: int = 720) -> Colour:
    """The image alone, as large as `overlay` draws it, in true proportions, with orientation letters at its edges."""
    raise NotImplementedError


def overlay(
    grey: Grey,
    heatmap: Heatmap,
    index: int,
    localisation: Localisation | None,
    *,
    finding_label: str,
    engine_label: str,
    method: str = METHOD,
    colour_map: str = "inferno",
    place: Frame | None = None,
    edges: Edges | None = None,
    maximum_width: int = 720,
) -> Colour:
    """Image, map and contour in true proportions, with a legend panel below."""
    raise NotImplementedError


def burned_in(
    grey: Grey,
    heatmap: Heatmap,
    index: int,
    localisation: Localisation | None,
    *,
    finding_label: str,
    engine_label: str,
    method: str = METHOD,
    colour_map: str = "inferno",
) -> Colour:
    """The same in the source's own rows and columns, for Secondary Capture, with a compact legend in a corner band."""
    raise NotImplementedError


def png(picture: Colour | Grey) -> bytes:
    """Encode as PNG without metadata."""
    raise NotImplementedError
