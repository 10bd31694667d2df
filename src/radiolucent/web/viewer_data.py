"""What the viewer is sent: a stack's geometry and frames, a finding's map in absolute units (docs/viewer.md)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from radiolucent.explain.overlay import METHOD
from radiolucent.findings.reading import Finding, SeriesReading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.imaging.body import edges
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.pixels import default_window, rgb
from radiolucent.imaging.study import Stack

_SAMPLED = 16
"""Frames that are looked at to find the range of a stack."""
_INT16 = np.iinfo(np.int16)


@dataclass(frozen=True, kw_only=True)
class Packing:
    """How a stack's values become bytes: ``value = stored * slope + intercept``, little endian, row by row."""

    dtype: Literal["int16", "uint16", "uint8"]
    slope: float
    intercept: float
    samples: Literal[1, 3] = 1


def packing(stack: Stack) -> Packing:
    """Whole numbers as they are where 16 bits hold them, everything else scaled to 16 bits, colour as RGB.

    The range is that of up to `_SAMPLED` frames; what lies beyond it elsewhere is cut off.

    Raises
    ------
    UnreadablePixels
        If a frame can't be decoded.
    """
    if stack.colour:
        return Packing(dtype="uint8", slope=1.0, intercept=0.0, samples=3)
    chosen = np.unique(np.linspace(0, len(stack.frames) - 1, min(_SAMPLED, len(stack.frames))).round().astype(int))
    frames = [stack.decode(int(index)) for index in chosen]
    low = min(float(frame.min()) for frame in frames)
    high = max(float(frame.max()) for frame in frames)
    if low >= _INT16.min and high <= _INT16.max and all(bool((frame == np.rint(frame)).all()) for frame in frames):
        return Packing(dtype="int16", slope=1.0, intercept=0.0)
    return Packing(dtype="uint16", slope=max(high - low, 1e-6) / 65535, intercept=low)


def frame_bytes(stack: Stack, index: int, how: Packing) -> bytes:
    """One frame, rows × columns × samples of `how.dtype`.

    Raises
    ------
    UnreadablePixels
        If the frame can't be decoded.
    IndexError
        If there is no such frame.
    """
    if not 0 <= index < len(stack.frames):
        raise IndexError(f"frame {index} of {len(stack.frames)}")
    if how.samples == 3:
        return rgb(stack, index).tobytes()
    stored = np.rint((stack.decode(index) - how.intercept) / how.slope)
    limits = np.iinfo(np.dtype(how.dtype))
    packed: NDArray[Any] = np.clip(stored, limits.min, limits.max).astype(np.dtype(how.dtype).newbyteorder("<"))
    return packed.tobytes()


def series_meta(stack: Stack, how: Packing, *, frames_url: str) -> dict[str, Any]:
    """`SeriesMeta` of the viewer.

    Parameters
    ----------
    frames_url : frame `k` is at ``frames_url + k``.

    Raises
    ------
    UnreadablePixels
        If the first frame can't be decoded.
    """
    rows, columns = stack.decode(0).shape
    window = stack.window or default_window(stack)
    return {
        "uid": stack.key,
        "description": str(stack.header.get("SeriesDescription", "") or "") or stack.modality,
        "modality": stack.modality,
        "frames": len(stack.frames),
        "rows": int(rows),
        "columns": int(columns),
        "samples": how.samples,
        "dtype": how.dtype,
        "slope": how.slope,
        "intercept": how.intercept,
        "unit": "HU" if stack.modality == "CT" and not stack.colour else "",
        "window": {"center": float(window.center), "width": float(max(window.width, 1e-3))},
        "spacing_mm": list(stack.spacing_mm) if stack.spacing_mm else None,
        "pixel_aspect": _pixel_aspect(stack),
        "planes": [
            {
                "position": list(frame.plane.position_mm),
                "row": list(frame.plane.row_cosines),
                "column": list(frame.plane.column_cosines),
            }
            if frame.plane
            else None
            for frame in stack.frames
        ],
        "edges": edges(stack),
        "frames_url": frames_url,
    }


def _pixel_aspect(stack: Stack) -> float:
    """A pixel's height over its width; 1 where the header says nothing usable.

    Source: PS3.3 C.7.6.3.1.7, vertical size before horizontal.
    """
    if stack.spacing_mm:
        return stack.spacing_mm[0] / stack.spacing_mm[1]
    try:
        height, width = (float(value) for value in stack.header.get("PixelAspectRatio") or ())
    except (TypeError, ValueError):
        return 1.0
    return height / width if 0.01 <= height / max(width, 1e-9) <= 100 else 1.0


def finding_view(
    finding: Finding,
    series: SeriesReading,
    *,
    heat_url: str | None,
    heat_reason: str = "",
    change_url: str | None = None,
) -> dict[str, Any]:
    """`FindingView` of the viewer; without a place where the map is withheld: the peak slice would tell it.

    Parameters
    ----------
    change_url : what has changed since a registered prior; None where that can't be told.
    """
    to_pixels = finding.heatmap.record.grid_to_source(finding.heatmap.grid)
    where = finding.localisation
    peak = where.peak_frame if where is not None and where.peak_frame is not None else finding.heatmap.peak_frame
    return {
        "id": f"{series.key}/{finding.name}",
        "label": finding_type(finding.name).label,
        "series": series.key,
        "engine": series.engine.label,
        "method": METHOD,
        "positive": finding.positive,
        "score": finding.score if finding.probability is None else finding.probability,
        "threshold": finding.operating_point,
        "peak_frame": peak if heat_url else len(series.frames) // 2,
        "frame_logits": list(finding.frame_logits) if heat_url else [],
        "display_scale": finding.heatmap.display_scale,
        "floor": finding.heatmap.floor,
        "to_pixels": [float(value) for value in to_pixels[:2].ravel()],
        "heat_url": heat_url,
        "heat_reason": heat_reason,
        "change_url": change_url,
    }


def heat_bytes(finding: Finding) -> tuple[bytes, dict[str, str]]:
    """A map's positive evidence on all frames as uint8, and the headers that give it its absolute scale.

    ``value = X-Vmin + byte / 255 * (X-Vmax - X-Vmin)`` in logit units; `X-Shape` is frames, height, width. What is
    below 0 is sent as 0: it lies under the floor and is never drawn.
    """
    return grid_bytes(finding.heatmap)


def grid_bytes(heatmap: Heatmap) -> tuple[bytes, dict[str, str]]:
    """`heat_bytes` of any map, in the unit of its values."""
    evidence: NDArray[np.float32] = heatmap.evidence
    most = max(float(evidence.max()), heatmap.display_scale)
    stored = np.rint(np.clip(evidence / most, 0, 1) * 255).astype(np.uint8)
    headers = {
        "X-Shape": ",".join(str(size) for size in evidence.shape),
        "X-Vmin": "0",
        "X-Vmax": repr(most),
        "X-Scale": "absolute",
    }
    return stored.tobytes(), headers


def study_view(panes: list[dict[str, Any]], *, alignments: list[dict[str, Any]], same_space: bool) -> dict[str, Any]:
    """`StudyView` of the viewer: current pane first, prior second; `alignments` says which series are registered."""
    return {"panes": panes, "alignments": alignments, "same_space": same_space}
