"""What a study is: its series, the stacks of images that can be read together, and what could not be read.

``load(path)`` (in `imaging.loading`) makes these from a file, a folder or a zip; pixels are decoded on demand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from radiolucent.imaging.geometry import ImagePlane
from radiolucent.imaging.lungs import LungFields, lung_fields


@dataclass(frozen=True, kw_only=True)
class Frame:
    """One two-dimensional image of an instance.

    Parameters
    ----------
    sop_class_uid, sop_instance_uid : of the instance that holds it.
    number : Frame Number, from 1; 1 for a single-frame object.
    plane : where it lies in the patient, or None where the header doesn't say (most radiographs).
    spacing_mm : (between rows, between columns), or None where unknown; never guessed.
    """

    sop_class_uid: str
    sop_instance_uid: str
    number: int = 1
    plane: ImagePlane | None = None
    spacing_mm: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Window:
    """Linear VOI window in modality values (PS3.3 C.11.2.1.2)."""

    center: float
    width: float


@dataclass(frozen=True, kw_only=True)
class Stack:
    """Frames of one series that belong together: a volume sorted by geometry, or a single radiograph.

    Parameters
    ----------
    series_instance_uid : the series.
    kind : ``volume`` (parallel planes, known order), ``image`` (one frame) or ``frames`` (several, no geometry:
        a cine, a multi-frame capture).
    frames : in reading order; a volume goes from foot to head (axial), back to front (coronal) or
        right to left (sagittal).
    headers : one dataset per frame, without pixel data, aligned with `frames` (multi-frame: the same one repeated).
    decode : gives the modality values of one frame by index, float32 ``(rows, columns)``: HU for CT, stored values
        after rescale or modality LUT otherwise, in MONOCHROME2 polarity (larger is brighter).
    slice_spacing_mm : distance between neighbouring slices along the normal, None for anything but a volume.
    part : from 1; a series that holds several stacks (orientations, echoes) numbers them.
    colour : True where the instance is RGB, YBR or palette colour; `decode` then gives luminance.
    notes : what was found odd but readable, one sentence each (gaps, duplicates, gantry tilt).
    """

    study_instance_uid: str
    series_instance_uid: str
    modality: str
    kind: Literal["volume", "image", "frames"]
    frames: tuple[Frame, ...]
    headers: tuple[Dataset, ...]
    decode: Callable[[int], NDArray[np.float32]]
    slice_spacing_mm: float | None = None
    window: Window | None = None
    colour: bool = False
    notes: tuple[str, ...] = ()
    part: int = 1

    def __post_init__(self) -> None:
        if not self.frames or len(self.frames) != len(self.headers):
            raise ValueError("a stack needs at least one frame and one header per frame")

    @property
    def key(self) -> str:
        """What tells it from every other stack: Series Instance UID, and its part where that isn't the first."""
        return stack_key(self.series_instance_uid, self.part)

    @property
    def header(self) -> Dataset:
        """Header of the first frame."""
        return self.headers[0]

    @property
    def spacing_mm(self) -> tuple[float, float] | None:
        """(between rows, between columns) of the first frame, or None where unknown."""
        return self.frames[0].spacing_mm

    @cached_property
    def pixels(self) -> NDArray[np.float32]:
        """float32 ``(frames, rows, columns)``: every frame decoded. Raises `UnreadablePixels`."""
        return np.stack([self.decode(index) for index in range(len(self.frames))])

    @cached_property
    def lungs(self) -> LungFields:
        """Lung fields of the first frame, taken as a frontal chest film; asked for twice on the way, found once."""
        return lung_fields(self.decode(0))


def stack_key(series_instance_uid: str, part: int) -> str:
    """Key of a stack: the series, and ``#part`` behind it from the second part on.

    >>> stack_key("1.2.3", 1), stack_key("1.2.3", 2)
    ('1.2.3', '1.2.3#2')
    """
    return series_instance_uid if part == 1 else f"{series_instance_uid}#{part}"


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that could not be read, and why: shown to people, never dropped.

    Parameters
    ----------
    code : short and stable, e.g. ``not-dicom``, ``truncated``, ``no-pixels``, ``unsupported-syntax``, ``localiser``.
    reason : one sentence; names file and tag, never a patient.
    source : the file as given (relative to the path that was read), or empty.
    """

    code: str
    reason: str
    source: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    sop_instance_uid: str = ""


@dataclass(frozen=True, kw_only=True)
class Study:
    """One imaging study: its stacks, in series order, and what in it could not be read."""

    study_instance_uid: str
    stacks: tuple[Stack, ...]
    problems: tuple[Problem, ...] = ()
    header: Dataset = field(default_factory=Dataset)


@dataclass(frozen=True, kw_only=True)
class Loaded:
    """Everything under a path: the studies, and the files that belong to none."""

    studies: tuple[Study, ...]
    problems: tuple[Problem, ...]
