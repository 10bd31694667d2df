"""What drawing a phantom takes and gives: the request, the patient, and the picture with its exact truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from radiolucent.errors import SetupError
from radiolucent.imaging.geometry import ImagePlane
from radiolucent.phantom.scene import stream

Orientation = Literal["axial", "coronal", "sagittal"]
_AXES: Mapping[
    Orientation, tuple[tuple[float, float, float], tuple[float, float, float], tuple[float, float, float]]
] = {
    # columns grow along, rows grow along, frames follow: foot to head, back to front, right to left
    "axial": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "coronal": ((1, 0, 0), (0, 0, -1), (0, -1, 0)),
    "sagittal": ((0, 1, 0), (0, 0, -1), (1, 0, 0)),
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is to be drawn.

    Parameters
    ----------
    findings : names as in the table of findings.
    seed : of patient, anatomy and lesions.
    acquisition : names the scan: another name is another scan (pose, noise, scanner) of the same patient.
    volume : factor on the size of every lesion; 0 leaves them out.
    options : as the kind of study knows them.
    """

    findings: tuple[str, ...]
    seed: int
    acquisition: str = "current"
    volume: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)

    def option(self, name: str, default: Any) -> Any:
        """One option, or its default."""
        return self.options.get(name, default)

    def anatomy_stream(self, *names: str) -> np.random.Generator:
        """Randomness that every scan of the patient shares."""
        return stream(self.seed, *names)

    def scan_stream(self, *names: str) -> np.random.Generator:
        """Randomness of this scan alone."""
        return stream(self.seed, self.acquisition, *names)


@dataclass(frozen=True, kw_only=True)
class Patient:
    """Who was made up."""

    number: int
    sex: Literal["F", "M"]
    age_years: int

    @classmethod
    def from_request(cls, request: Request, *, youngest: int = 19, oldest: int = 88) -> Patient:
        """Draw a patient; options ``age_years`` and ``sex`` overrule."""
        rng = request.anatomy_stream("patient")
        sex: Literal["F", "M"] = "F" if rng.random() < 0.5 else "M"
        age = int(rng.integers(youngest, oldest + 1))
        sex = request.option("sex", sex)
        if sex not in ("F", "M"):
            raise SetupError(f"option sex is 'F' or 'M', not {sex!r}")
        return cls(number=request.seed, sex=sex, age_years=int(request.option("age_years", age)))


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """One lesion as it came out in the picture.

    Parameters
    ----------
    mask : bool (frames, rows, columns).
    """

    finding: str
    variant: str
    mask: NDArray[np.bool_]
    extras: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """A drawn study.

    Parameters
    ----------
    pixels : float32 (frames, rows, columns), modality values (HU, or stored values), whole numbers.
    planes : where each frame lies; empty for radiographs.
    tags : header elements by keyword, which differ from kind to kind.
    """

    patient: Patient
    pixels: NDArray[np.float32]
    spacing_mm: tuple[float, float]
    truths: tuple[Truth, ...]
    planes: tuple[ImagePlane, ...] = ()
    slice_spacing_mm: float = 0.0
    modality: str
    study_description: str
    tags: Mapping[str, Any]
    description: str


Draw = Callable[[Request], Picture]


def stack_planes(
    orientation: Orientation,
    *,
    shape: tuple[int, int],
    spacing_mm: tuple[float, float],
    count: int,
    slice_spacing_mm: float,
    centre_mm: Sequence[float],
) -> tuple[ImagePlane, ...]:
    """Evenly spaced planes around a centre, in reading order (foot to head, back to front, right to left)."""
    across, down, along = (np.array(axis, dtype=np.float64) for axis in _AXES[orientation])
    corner = np.asarray(centre_mm, dtype=np.float64)
    corner = corner - across * spacing_mm[1] * (shape[1] - 1) / 2 - down * spacing_mm[0] * (shape[0] - 1) / 2
    planes = []
    for index in range(count):
        place = np.round(corner + along * slice_spacing_mm * (index - (count - 1) / 2), 4)
        planes.append(
            ImagePlane(
                position_mm=(float(place[0]), float(place[1]), float(place[2])),
                row_cosines=_AXES[orientation][0],
                column_cosines=_AXES[orientation][1],
                spacing_mm=spacing_mm,
            )
        )
    return tuple(planes)
