"""Where the body lies in an image: its bounding box, its midline, and which side of the patient is on the left."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from radiolucent.imaging.study import Stack

Edges = tuple[str, str, str, str]
_OPPOSITE = {"L": "R", "R": "L", "A": "P", "P": "A", "H": "F", "F": "H"}
Box = tuple[int, int, int, int]
ImageLeft = Literal["patient-right", "patient-left"]


def body_box(pixels: NDArray[np.float32]) -> Box:
    """The bounding box of the largest bright part over all frames.

    Parameters
    ----------
    pixels : float32 ``(frames, rows, columns)``, larger is brighter.

    Returns
    -------
    (top, left, height, width) in pixels; the whole image where nothing stands out from the background.
    """
    rows, columns = pixels.shape[1:]
    picture = pixels.max(axis=0)
    low, high = np.percentile(picture, [1, 99])
    if not high > low:
        return (0, 0, rows, columns)
    smooth = ndimage.uniform_filter(picture, 3)
    labels, count = ndimage.label(smooth > low + 0.15 * (high - low))
    if count == 0:
        return (0, 0, rows, columns)
    sizes = np.bincount(labels.ravel())[1:]
    vertical, horizontal = ndimage.find_objects(labels)[int(np.argmax(sizes))]
    return (
        vertical.start,
        horizontal.start,
        vertical.stop - vertical.start,
        horizontal.stop - horizontal.start,
    )


def midline_mm(stack: Stack) -> float | None:
    """Patient x (mm, larger is more to the left) of the body's middle; None where the planes don't tell.

    Taken as the centre of the body's bounding box, which holds for a head or trunk that lies straight; on sagittal
    slices there is no left and right within a slice, and the middle of the stack stands in for it.
    """
    planes = [frame.plane for frame in stack.frames]
    if any(plane is None for plane in planes) or stack.kind != "volume":
        return None
    if planes[0] is not None and planes[0].orientation == "sagittal":
        return float(np.mean([plane.position_mm[0] for plane in planes if plane is not None]))
    top, left, height, width = body_box(stack.pixels)
    corners = np.array([[top, left], [top, left + width - 1], [top + height - 1, left]], dtype=np.float64)
    opposite = np.array([[top + height - 1, left + width - 1]], dtype=np.float64)
    points = np.concatenate([corners, opposite])
    return float(np.mean([plane.to_patient(points)[:, 0].mean() for plane in planes if plane is not None]))


def image_left(stack: Stack) -> ImageLeft | None:
    """Which side of the patient is on the left of a radiograph, from Patient Orientation (PS3.3 C.7.6.1.1.1).

    The first value of Patient Orientation is the direction of the rows: ``L`` means that columns grow towards the
    patient's left, so the patient's right is on the left of the picture. None where the header doesn't say.
    """
    orientation = stack.header.get("PatientOrientation")
    first = str(orientation[0]) if orientation else ""
    if first.startswith("L"):
        return "patient-right"
    if first.startswith("R"):
        return "patient-left"
    return None


def edges(stack: Stack) -> Edges | None:
    """Letters at (left, right, top, bottom) of a radiograph, from Patient Orientation; None where it doesn't say.

    The values name where rows and columns lead to, so they stand at the right and at the bottom.
    """
    orientation = stack.header.get("PatientOrientation")
    towards = [str(value)[:1] for value in orientation or ()]
    if len(towards) != 2 or any(letter not in _OPPOSITE for letter in towards):
        return None
    right, bottom = towards
    return _OPPOSITE[right], right, _OPPOSITE[bottom], bottom
