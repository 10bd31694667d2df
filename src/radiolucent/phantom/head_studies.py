"""Head studies: brain MR and head CT, drawn from a request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from radiolucent.errors import SetupError
from radiolucent.imaging.geometry import ImagePlane, Resize
from radiolucent.phantom.head import HeadAnatomy, paint_head
from radiolucent.phantom.head_lesions import HeadLesion, midline_shift_mm, place, pushed
from radiolucent.phantom.head_painting import LesionPainter
from radiolucent.phantom.picture import Orientation, Patient, Picture, Request, Truth, stack_planes
from radiolucent.phantom.render import computed_tomography, magnetic_resonance
from radiolucent.phantom.scene import Canvas, Field, Pose
from radiolucent.phantom.tissues import CONTRASTS, Contrast

BRAIN_MR_OPTIONS = ("rows", "slices", "plane", "contrast", "age_years", "sex")
HEAD_CT_OPTIONS = ("rows", "slices", "age_years", "sex")

#: what a stack covers: first and last slice in body mm, from the middle of the head
_SPAN: dict[Orientation, tuple[float, float]] = {"axial": (-62, 74), "coronal": (-84, 82), "sagittal": (-66, 66)}
_FINEST = 288


def draw_brain_mr(request: Request) -> Picture:
    """Draw a brain MR; options `rows` (square), `slices`, `plane`, `contrast` (``t1post``, ``t1``, ``flair``)."""
    orientation: Orientation = request.option("plane", "axial")
    contrast: Contrast = request.option("contrast", "t1post")
    if orientation not in _SPAN:
        raise SetupError(f"option plane is one of {', '.join(_SPAN)}, not {orientation!r}")
    if contrast not in CONTRASTS or contrast == "ct":
        raise SetupError(f"option contrast is one of t1post, t1, flair, not {contrast!r}")
    patient = Patient.from_request(request)
    rng = request.scan_stream("scanner")
    rows = int(request.option("rows", 256))
    planes, thickness, gap = _planes(request, orientation, rows, 24, float(rng.uniform(228, 248)))
    values, truths = _head(request, patient, planes, (rows, rows), contrast, thickness)
    image = magnetic_resonance(values, rng, noise=float(rng.uniform(0.012, 0.045)), bias=float(rng.uniform(0.05, 0.3)))
    pixels = np.clip(np.round(image * float(rng.uniform(280, 620))), 0, 4095).astype(np.float32)
    peak = float(np.percentile(pixels, 99.5))
    tesla = float(rng.choice([1.5, 3.0]))
    repetition, echo = (
        (9000.0, 120.0) if contrast == "flair" else (float(rng.uniform(450, 680)), float(rng.uniform(8, 14)))
    )
    tags: dict[str, Any] = {
        "ImageType": ["ORIGINAL", "PRIMARY", "OTHER"],
        "BodyPartExamined": "BRAIN",
        "ScanningSequence": ["SE", "IR"] if contrast == "flair" else "SE",
        "SequenceVariant": "SK",
        "ScanOptions": "",
        "MRAcquisitionType": "2D",
        "SequenceName": {"t1post": "se_t1_gd", "t1": "se_t1", "flair": "tirm_flair"}[contrast],
        "RepetitionTime": f"{repetition:.1f}",
        "EchoTime": f"{echo:.1f}",
        "EchoTrainLength": "1",
        "NumberOfAverages": "1",
        "ImagingFrequency": f"{42.577 * tesla:.3f}",
        "ImagedNucleus": "1H",
        "MagneticFieldStrength": f"{tesla:g}",
        "PixelBandwidth": "130",
        "FlipAngle": "90",
        "SliceThickness": f"{thickness:.3f}",
        "SpacingBetweenSlices": f"{gap:.3f}",
        "PatientPosition": "HFS",
        "WindowCenter": f"{peak / 2:.0f}",
        "WindowWidth": f"{max(peak, 2):.0f}",
        "ManufacturerModelName": f"PHANTOM MR {tesla:g}T",
        "SeriesDescription": f"{orientation} {contrast.upper()} PHANTOM",
    }
    if contrast == "flair":
        tags["InversionTime"] = "2500"
    if contrast == "t1post":
        tags |= {"ContrastBolusAgent": "GADOLINIUM (SYNTHETIC)", "ContrastBolusRoute": "IV"}
    return Picture(
        patient=patient,
        pixels=pixels,
        spacing_mm=planes[0].spacing_mm,
        planes=planes,
        slice_spacing_mm=gap,
        truths=truths,
        modality="MR",
        study_description="MR BRAIN PHANTOM",
        tags=tags,
        description=f"brain MR, {contrast}, {orientation}",
    )


def draw_head_ct(request: Request) -> Picture:
    """Draw a head CT without contrast; options `rows` (square frames) and `slices` (16-64)."""
    patient = Patient.from_request(request)
    rng = request.scan_stream("scanner")
    rows = int(request.option("rows", 512))
    planes, thickness, gap = _planes(request, "axial", rows, 32, float(rng.uniform(222, 242)))
    values, truths = _head(request, patient, planes, (rows, rows), "ct", thickness)
    sharp = bool(rng.random() < 0.15)
    pixel_mm = planes[0].spacing_mm[0]
    noise_hu = float(rng.uniform(2.2, 4.5)) * (1.8 if sharp else 1.0)
    hu = np.round(computed_tomography(values, rng, noise_hu=noise_hu, sharp=sharp, pixel_mm=pixel_mm))
    tags: dict[str, Any] = {
        "ImageType": ["ORIGINAL", "PRIMARY", "AXIAL"],
        "BodyPartExamined": "HEAD",
        "KVP": "120",
        "XRayTubeCurrent": str(int(rng.integers(180, 320))),
        "ExposureTime": "1000",
        "ConvolutionKernel": "H60s" if sharp else "H31s",
        "RescaleIntercept": "-1024",
        "RescaleSlope": "1",
        "RescaleType": "HU",
        "SliceThickness": f"{thickness:.3f}",
        "SpacingBetweenSlices": f"{gap:.3f}",
        "GantryDetectorTilt": "0",
        "PatientPosition": "HFS",
        "AcquisitionNumber": "1",
        "WindowCenter": "40",
        "WindowWidth": "80",
        "ManufacturerModelName": "PHANTOM CT",
        "SeriesDescription": "HEAD W/O PHANTOM",
    }
    return Picture(
        patient=patient,
        pixels=np.clip(hu, -1024, 3071).astype(np.float32),
        spacing_mm=planes[0].spacing_mm,
        planes=planes,
        slice_spacing_mm=gap,
        truths=truths,
        modality="CT",
        study_description="CT HEAD PHANTOM",
        tags=tags,
        description="head CT without contrast",
    )


def _planes(
    request: Request, orientation: Orientation, rows: int, usual: int, field_mm: float
) -> tuple[tuple[ImagePlane, ...], float, float]:
    count = int(request.option("slices", usual))
    if rows < 32 or count < 1:
        raise SetupError(f"a head study needs rows >= 32 and slices >= 1, not {rows} and {count}")
    first, last = _SPAN[orientation]
    gap = round((last - first) / max(count - 1, 1) if count > 1 else 5.0, 3)
    thickness = round(min(gap, 6.0), 3)
    axis = {"sagittal": 0, "coronal": 1, "axial": 2}[orientation]
    centre = np.array([0.0, 2.0, 6.0])
    centre[axis] = (first + last) / 2
    spacing = round(field_mm / rows, 5)
    planes = stack_planes(
        orientation,
        shape=(rows, rows),
        spacing_mm=(spacing, spacing),
        count=count,
        slice_spacing_mm=gap,
        centre_mm=centre.tolist(),
    )
    return planes, thickness, gap


def _lesions(request: Request) -> list[HeadLesion]:
    lesions: list[HeadLesion] = []
    if request.volume > 0:
        for finding in request.findings:
            placed = place(finding, request.anatomy_stream("lesion", finding))
            lesions += [
                lesion if request.volume == 1 else lesion.scaled(request.volume)
                for lesion in placed
                if all(lesion.finding != other.finding for other in lesions)
            ]
    return lesions


def _head(
    request: Request,
    patient: Patient,
    planes: Sequence[ImagePlane],
    shape: tuple[int, int],
    contrast: Contrast,
    thickness_mm: float,
) -> tuple[Field, tuple[Truth, ...]]:
    """Paint the head on planes: values (frames, rows, columns) and the truth of each lesion."""
    anatomy = HeadAnatomy.from_seed(request.seed, patient.age_years, patient.sex)
    rng = request.scan_stream("pose")
    pose = Pose(
        turn=tuple(np.radians(rng.normal(0, [3.5, 2.0, 3.0]))),
        shift_mm=tuple(rng.normal(0, [2.5, 3.0, 2.0])),
    )
    lesions = _lesions(request)
    halved = min(shape) > _FINEST
    drawn = ((shape[0] + 1) // 2, (shape[1] + 1) // 2) if halved else shape
    canvas = Canvas(
        [_coarser(plane, shape, drawn) for plane in planes] if halved else planes,
        drawn,
        pose=pose,
        thickness_mm=thickness_mm,
        layers=2,
    )
    skull, brain, inside = paint_head(canvas, anatomy, contrast, pushed(lesions))
    painter = LesionPainter(canvas, contrast, skull, brain, inside)
    covers = [canvas.frames_of(painter.paint(lesion)) for lesion in lesions]
    shift = midline_shift_mm(lesions)
    if "midline-shift" in request.findings and lesions:
        covers.append(canvas.frames_of(painter.shift(lesions)))
    values = canvas.frames_of(canvas.values)
    if halved:
        fine = Resize(height=shape[0], width=shape[1])
        values, covers = fine.apply(values), [fine.apply(cover) for cover in covers]
    names = [(lesion.finding, lesion.variant) for lesion in lesions]
    names += [("midline-shift", "shift")] * (len(covers) - len(lesions))
    extras = {"midline_shift_mm": round(abs(shift), 2)}
    truths = tuple(
        Truth(finding=finding, variant=variant, mask=cover > 0.5, extras=extras)
        for (finding, variant), cover in zip(names, covers, strict=True)
    )
    return values, truths


def _coarser(plane: ImagePlane, shape: tuple[int, int], drawn: tuple[int, int]) -> ImagePlane:
    """The same field of view in fewer pixels: corners stay where they are."""
    down = plane.spacing_mm[0] * shape[0] / drawn[0]
    across = plane.spacing_mm[1] * shape[1] / drawn[1]
    corner = plane.to_patient(np.array([(shape[0] / drawn[0] - 1) / 2, (shape[1] / drawn[1] - 1) / 2]))
    return ImagePlane(
        position_mm=(float(corner[0]), float(corner[1]), float(corner[2])),
        row_cosines=plane.row_cosines,
        column_cosines=plane.column_cosines,
        spacing_mm=(down, across),
    )
