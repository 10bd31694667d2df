"""Small studies and readings made by hand, of every kind that an encoder must cope with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    CTImageStorage,
    DigitalXRayImageStorageForPresentation,
    EnhancedMRImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
)
from skimage.measure import find_contours

from radiolucent.findings.reading import (
    Completeness,
    EngineRef,
    Finding,
    Localisation,
    Reading,
    Refusal,
    Region,
    SeriesReading,
    UnreadSeries,
)
from radiolucent.imaging.geometry import ImagePlane, PixelRecord, Resize
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Frame, Problem, Stack
from radiolucent.imaging.uids import derived_uid
from radiolucent.results.secondary_capture import Picture

MADE_AT = datetime(2026, 3, 4, 5, 6, 7, 890000)
CLASSES = {
    "mr": MRImageStorage,
    "ct": CTImageStorage,
    "cr": ComputedRadiographyImageStorage,
    "dx": DigitalXRayImageStorageForPresentation,
    "enhanced-mr": EnhancedMRImageStorage,
}
SHAPES = {
    "mr": (24, 64, 64),
    "ct": (16, 128, 128),
    "cr": (1, 512, 400),
    "dx": (1, 300, 260),
    "enhanced-mr": (9, 64, 48),
}
FINDINGS = {
    "mr": "glioma",
    "enhanced-mr": "glioma",
    "ct": "subdural-haemorrhage",
    "cr": "pneumothorax",
    "dx": "effusion",
}
KINDS = tuple(CLASSES)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A reading with everything that `encode_reading` takes."""

    reading: Reading
    stacks: Mapping[str, Stack]
    pictures: Mapping[str, Sequence[Picture]]
    sources: tuple[Dataset, ...]  # with pixels, ready to be written and sent

    @property
    def stack(self) -> Stack:
        return next(iter(self.stacks.values()))

    @property
    def series(self) -> SeriesReading:
        return self.reading.series[0]

    @property
    def finding(self) -> Finding:
        return self.series.findings[0]


def make_case(
    kind: str = "mr",
    *,
    shape: tuple[int, int, int] | None = None,
    spacing_mm: tuple[float, float] | None = (0.5, 0.5),
    slice_spacing_mm: float = 3.0,
    bare: bool = False,
    patient: str = "Phantom^Test",
    monochrome1: bool = False,
    body_part: str = "",
    side: str = "",
    thick: bool = True,
    orientation: tuple[float, ...] = (1, 0, 0, 0, 1, 0),
    seed: int = 0,
) -> Case:
    """One series of `kind` with a located finding, a positive one without focus, and a negative one."""
    frames, rows, columns = shape or SHAPES[kind]
    planar = kind in {"mr", "ct", "enhanced-mr"}
    spacing_mm = None if kind == "cr" and shape is None else spacing_mm
    rng = np.random.default_rng(seed)
    label = (
        f"{kind}{frames}x{rows}x{columns}-{seed}-{bare}-{patient}-{monochrome1}-{orientation}-{spacing_mm}-{body_part}"
    )
    study, series = derived_uid("test-study", label), derived_uid("test-series", label)
    pixels = rng.integers(0, 900, size=(frames, rows, columns)).astype(np.uint16)
    headers, placed = [], []
    for index in range(frames):
        header = _header(kind, study, series, index, (rows, columns), bare=bare, patient=patient)
        header.PhotometricInterpretation = "MONOCHROME1" if monochrome1 else "MONOCHROME2"
        if body_part:
            header.BodyPartExamined, header.Laterality = body_part, side
        plane = _plane(index, orientation, spacing_mm or (1.0, 1.0), slice_spacing_mm) if planar else None
        if plane is not None and kind != "enhanced-mr":
            header.ImagePositionPatient = [f"{value:.6g}" for value in plane.position_mm]
            header.ImageOrientationPatient = list(orientation)
            if thick:
                header.SliceThickness = slice_spacing_mm
        if spacing_mm is not None and kind != "enhanced-mr":
            header.PixelSpacing = list(spacing_mm)
        headers.append(header)
        placed.append(
            Frame(
                sop_class_uid=header.SOPClassUID,
                sop_instance_uid=header.SOPInstanceUID,
                number=index + 1 if kind == "enhanced-mr" else 1,
                plane=plane,
                spacing_mm=spacing_mm,
            )
        )
    sources = _with_pixels(kind, headers, pixels, placed)
    if kind == "enhanced-mr":
        headers = [headers[0]] * frames
        headers[0].NumberOfFrames = frames
    stack = Stack(
        study_instance_uid=study,
        series_instance_uid=series,
        modality=headers[0].Modality,
        kind="volume" if planar else "image",
        frames=tuple(placed),
        headers=tuple(headers),
        decode=lambda index: pixels[index].astype(np.float32),
        slice_spacing_mm=slice_spacing_mm if planar and frames > 1 else None,
    )
    reading = read_by_hand(stack, (rows, columns), FINDINGS[kind])
    pictures = [
        Picture(finding=FINDINGS[kind], frame=index, pixels=rng.integers(0, 255, (rows, columns, 3)).astype(np.uint8))
        for index in reading.series[0].findings[0].localisation.frames_involved[:2]  # type: ignore[union-attr]
    ]
    return Case(reading=reading, stacks={series: stack}, pictures={series: pictures}, sources=sources)


def write_source(source: Dataset, target: Path | BinaryIO) -> None:
    """Write a source image as a file that a peer accepts."""
    source.file_meta = FileMetaDataset()
    source.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    source.file_meta.MediaStorageSOPClassUID = source.SOPClassUID
    source.file_meta.MediaStorageSOPInstanceUID = source.SOPInstanceUID
    source.save_as(target, enforce_file_format=True)


def with_findings(case: Case, *findings: Finding) -> Case:
    """The same case with other findings and no pictures."""
    series = replace(case.series, findings=findings)
    return replace(case, reading=replace(case.reading, series=(series,)), pictures={})


def with_localisation(case: Case, localisation: Localisation) -> Case:
    """The same case whose only finding has another localisation."""
    return with_findings(case, replace(case.finding, localisation=localisation))


def _plane(index: int, orientation: tuple[float, ...], spacing: tuple[float, float], between: float) -> ImagePlane:
    row, column = np.array(orientation[:3], dtype=float), np.array(orientation[3:], dtype=float)
    position = np.array([-40.0, -30.0, 12.5]) + np.cross(row, column) * between * index
    return ImagePlane(
        position_mm=(float(position[0]), float(position[1]), float(position[2])),
        row_cosines=(float(row[0]), float(row[1]), float(row[2])),
        column_cosines=(float(column[0]), float(column[1]), float(column[2])),
        spacing_mm=spacing,
    )


def _header(
    kind: str, study: str, series: str, index: int, shape: tuple[int, int], *, bare: bool, patient: str
) -> Dataset:
    header = Dataset()
    header.SOPClassUID = CLASSES[kind]
    header.SOPInstanceUID = derived_uid("test-instance", series, "" if kind == "enhanced-mr" else str(index))
    header.StudyInstanceUID, header.SeriesInstanceUID = study, series
    header.Modality = {"mr": "MR", "enhanced-mr": "MR", "ct": "CT", "cr": "CR", "dx": "DX"}[kind]
    header.Rows, header.Columns = shape
    header.InstanceNumber = index + 1
    if kind == "ct":
        header.RescaleSlope, header.RescaleIntercept, header.RescaleType = 1, -1024, "HU"
        header.WindowCenter, header.WindowWidth = 40, 80
    if bare:
        return header
    header.SpecificCharacterSet = "ISO_IR 192"
    header.PatientName, header.PatientID = patient, "PHANTOM-1"
    header.PatientBirthDate, header.PatientSex = "19700101", "O"
    header.StudyDate, header.StudyTime, header.StudyID, header.AccessionNumber = "20260301", "101500", "S1", "ACC1"
    header.ReferringPhysicianName, header.SeriesNumber = "", 3
    header.BodyPartExamined = "CHEST" if kind in {"cr", "dx"} else "HEAD"
    if kind in {"cr", "dx"}:
        header.PatientOrientation, header.Laterality = ["L", "F"], ""
        header.WindowCenter, header.WindowWidth = 450, 900
    else:
        header.FrameOfReferenceUID = derived_uid("test-frame-of-reference", series)
    return header


def _with_pixels(
    kind: str, headers: list[Dataset], pixels: np.ndarray[Any, np.dtype[np.uint16]], frames: list[Frame]
) -> tuple[Dataset, ...]:
    if kind == "enhanced-mr":
        return ()  # only single-frame sources are sent to a peer
    made = []
    for header, plane in zip(headers, pixels, strict=True):
        source = Dataset()
        source.update({element.tag: element for element in header})
        source.SamplesPerPixel, source.PixelRepresentation = 1, 0
        source.BitsAllocated, source.BitsStored, source.HighBit = 16, 12, 11
        source.PixelData = plane.tobytes()
        made.append(source)
    return tuple(made)


def read_by_hand(stack: Stack, shape: tuple[int, int], name: str) -> Reading:
    """A reading of any stack: `name` is located in the middle, another finding has no focus, a third is negative."""
    frames = len(stack.frames)
    record = PixelRecord(source_shape=shape).then(Resize(height=64, width=64))
    evidence = np.full((frames, 8, 8), -1.0, dtype=np.float32)
    middle = frames // 2
    for index in range(max(0, middle - 2), min(frames, middle + 3)):
        evidence[index, 2:4, 5:7] = 6.0 - abs(index - middle)
    heatmap = Heatmap(evidence=evidence, record=record, display_scale=5.0)
    located = Finding(
        name=name,
        basis="real",
        logit=2.0,
        score=0.88,
        probability=0.912345678,
        operating_point=0.5,
        positive=True,
        frame_logits=(2.0,) * frames,
        heatmap=heatmap,
        localisation=locate(heatmap, stack, level=2.0),
    )
    quiet = Heatmap(evidence=np.full((frames, 8, 8), -1.0, dtype=np.float32), record=record, display_scale=5.0)
    others = ("meningioma", "pituitary-tumour") if name == "glioma" else ("cardiomegaly", "rib-fracture")
    empty = replace(
        located,
        name=others[0],
        probability=None,
        basis="phantom",
        heatmap=quiet,
        localisation=Localisation(status="empty"),
    )
    negative = replace(
        located,
        name=others[1],
        logit=-3.0,
        score=0.05,
        probability=0.02,
        positive=False,
        heatmap=quiet,
        localisation=None,
    )
    series = SeriesReading(
        series_instance_uid=stack.series_instance_uid,
        modality=stack.modality,
        kind=stack.kind,
        description="test series",
        frames=stack.frames,
        shape=shape,
        slice_spacing_mm=stack.slice_spacing_mm,
        engine=EngineRef(name="test-engine", version="1.2.3", digest="ab" * 32),
        record=record,
        findings=(located, empty, negative),
        completeness=Completeness(pooling="mean", largest_difference=1e-6, tolerance=1e-4),
        milliseconds={"engine": 1.0},
        part=stack.part,
    )
    refusal = Refusal(code="modality", reason="the engine reads CT, not SR", engine="test-engine@1.2.3")
    unread = UnreadSeries(
        series_instance_uid="1.2.3.4", modality="SR", description="other", frames=1, refusals=(refusal,)
    )
    return Reading(
        study_instance_uid=stack.study_instance_uid,
        series=(series,),
        unread=(unread,),
        problems=(Problem(code="truncated", reason="x.dcm: pixel data end early"),),
        software="radiolucent test",
    )


def locate(heatmap: Heatmap, stack: Stack, *, level: float) -> Localisation:
    """A localisation as the route makes it, reduced to one region."""
    peak = heatmap.peak_frame
    drawn = heatmap.at_pixels(peak)
    padded = np.pad(drawn, 1, constant_values=0.0)
    contour = max(find_contours(padded, level), key=len) - 1  # type: ignore[no-untyped-call]
    contour = np.clip(contour, -0.5, np.array(drawn.shape) - 0.5)
    inside = np.argwhere(drawn >= level)
    centre, plane = inside.mean(axis=0), stack.frames[peak].plane
    centroid_mm = None if plane is None else tuple(float(part) for part in plane.to_patient(centre))
    area = float(len(inside))
    spacing = stack.frames[peak].spacing_mm
    top = np.unravel_index(int(drawn.argmax()), drawn.shape)
    involved = tuple(int(index) for index in np.flatnonzero(heatmap.frame_peaks >= level))
    region = Region(
        frame=peak,
        peak=(float(top[0]), float(top[1])),
        centroid=(float(centre[0]), float(centre[1])),
        contour=tuple((float(row), float(column)) for row, column in contour),
        level=level,
        first_frame=min(involved),
        last_frame=max(involved),
        area_pixels=area,
        area_mm2=None if spacing is None else area * spacing[0] * spacing[1],
        volume_ml=None if stack.slice_spacing_mm is None else 1.25,
        extent_mm=None,
        peak_mm=centroid_mm,  # type: ignore[arg-type]
        centroid_mm=centroid_mm,  # type: ignore[arg-type]
        share=1.0,
    )
    return Localisation(
        status="located",
        regions=(region,),
        laterality="left",
        focality="focal",
        peak_frame=peak,
        frames_involved=involved,
        contour_level=level,
    )
