"""How two volumes of one patient lie to each other: a rigid transform between their patient coordinates, or none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from radiolucent.imaging.geometry import Float
from radiolucent.imaging.study import Stack

if TYPE_CHECKING:
    from numpy.typing import NDArray

WORKING_MM = 3.0
"""Both volumes are compared at about this spacing: fine enough for a place in mm, and a second's work."""
SLICES = 5
"""A volume with fewer slices can't hold a rotation."""
LEAST_CORRELATION = 0.6
"""Below this correlation of grey values after the transform, the volumes aren't called registered."""
LARGEST_TURN_DEGREES = 40.0
LARGEST_SHIFT_MM = 120.0
_SEED = 20
_STRAIGHT = 0.999


@dataclass(frozen=True, kw_only=True, eq=False)
class Alignment:
    """Brings the patient coordinates of a prior volume onto those of the current one.

    Parameters
    ----------
    to_current : float64 ``(4, 4)``, homogeneous, rigid: ``current_mm = to_current @ (prior_mm, 1)``.
    correlation : of the grey values of both volumes where they overlap, after the transform; in [-1, 1].
    turn_degrees, shift_mm : how far the prior was turned, and its middle moved.
    """

    to_current: NDArray[np.float64]
    correlation: float
    turn_degrees: float
    shift_mm: float

    def move(self, points_mm: Float) -> Float:
        """Points of the prior ``(..., 3)`` in mm → the same places in the current study."""
        points = np.asarray(points_mm, dtype=np.float64)
        moved: Float = points @ self.to_current[:3, :3].T + self.to_current[:3, 3]
        return moved

    @property
    def note(self) -> str:
        """One phrase with its numbers."""
        return (
            f"registered: turned {self.turn_degrees:.0f}°, moved {self.shift_mm:.0f} mm, "
            f"correlation {self.correlation:.2f}"
        )


def register(current: Stack, prior: Stack) -> Alignment | None:
    """Find the rigid transform from the prior's patient coordinates to the current ones.

    SimpleITK's multi-resolution registration with Mattes mutual information, started from both intensity centres, with
    a fixed seed on one thread: the same volumes give the same transform (to 1e-6).

    Returns
    -------
    None where either is no straight volume of at least `SLICES` slices, the two differ in modality, or what was found
    isn't credible: turned or moved too far, or grey values that don't agree (`LEAST_CORRELATION`).

    Raises
    ------
    UnreadablePixels
        If a frame can't be decoded.

    Source
    ------
    Mattes et al., PET-CT image registration in the chest using free-form deformations, IEEE TMI 2003 (the metric).
    """
    if current.modality != prior.modality:
        return None
    fixed, moving = _image(current), _image(prior)
    if fixed is None or moving is None:
        return None
    import SimpleITK  # loads slowly: only where volumes are compared

    start = SimpleITK.CenteredTransformInitializer(
        fixed, moving, SimpleITK.Euler3DTransform(), SimpleITK.CenteredTransformInitializerFilter.MOMENTS
    )
    method = SimpleITK.ImageRegistrationMethod()
    method.SetNumberOfThreads(1)
    method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=32)
    method.SetMetricSamplingStrategy(method.REGULAR)
    method.SetMetricSamplingPercentage(0.5, _SEED)
    method.SetInterpolator(SimpleITK.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=1.0, minStep=1e-3, numberOfIterations=120, gradientMagnitudeTolerance=1e-6
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([3.0, 0.0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(start, inPlace=False)
    try:
        found = method.Execute(fixed, moving)
    except RuntimeError:  # no overlap, or nothing but one grey value
        return None
    return _credible(fixed, moving, found)


def _image(stack: Stack) -> Any | None:
    """The volume as an ITK image at the working spacing; None where it isn't a straight one."""
    first, last = stack.frames[0].plane, stack.frames[-1].plane
    if stack.kind != "volume" or len(stack.frames) < SLICES or first is None or last is None:
        return None
    step = (np.array(last.position_mm) - np.array(first.position_mm)) / (len(stack.frames) - 1)
    length = float(np.linalg.norm(step))
    if length == 0 or abs(float(step @ first.normal)) < _STRAIGHT * length:
        return None
    import SimpleITK

    pixels = stack.pixels
    if not pixels.max() > pixels.min():
        return None
    low, high = np.percentile(pixels, [0.5, 99.5])
    image = SimpleITK.GetImageFromArray(np.clip(pixels, low, high))
    axes = np.stack([first.row_cosines, first.column_cosines, step / length], axis=1)
    image.SetOrigin(first.position_mm)
    image.SetSpacing((first.spacing_mm[1], first.spacing_mm[0], length))
    image.SetDirection(tuple(float(value) for value in axes.ravel()))
    factors = [max(1, round(WORKING_MM / spacing)) for spacing in image.GetSpacing()]
    return SimpleITK.BinShrink(image, factors)


def _credible(fixed: Any, moving: Any, found: Any) -> Alignment | None:
    """What was found, turned round (ITK maps current to prior), or None where it can't be right."""
    import SimpleITK

    resampled = SimpleITK.GetArrayFromImage(SimpleITK.Resample(moving, fixed, found, SimpleITK.sitkLinear, np.nan))
    grey = SimpleITK.GetArrayFromImage(fixed)
    both = np.isfinite(resampled)
    if both.mean() < 0.3:
        return None
    correlation = float(np.corrcoef(grey[both], resampled[both])[0, 1])
    origin = np.array(found.TransformPoint((0.0, 0.0, 0.0)))
    turn = np.stack([np.array(found.TransformPoint(tuple(axis))) - origin for axis in np.eye(3)], axis=1)
    to_current = np.eye(4)
    to_current[:3, :3] = turn.T
    to_current[:3, 3] = -turn.T @ origin
    size = np.array(fixed.GetSize(), dtype=np.float64)
    middle = np.array(fixed.TransformContinuousIndexToPhysicalPoint(tuple((size - 1) / 2)))
    shift = float(np.linalg.norm(turn @ middle + origin - middle))
    degrees = float(np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1))))
    if not correlation >= LEAST_CORRELATION or degrees > LARGEST_TURN_DEGREES or shift > LARGEST_SHIFT_MM:
        return None
    return Alignment(to_current=to_current, correlation=correlation, turn_degrees=degrees, shift_mm=shift)
