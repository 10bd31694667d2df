"""Chest radiographs, drawn from a request: PA, portable AP and lateral."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as DicomSequence

from radiolucent.errors import SetupError
from radiolucent.phantom.chest import SOFT, ChestAnatomy, ChestScene
from radiolucent.phantom.chest_lesions import ChestLesion, adjusted, measured, place
from radiolucent.phantom.chest_painting import paint
from radiolucent.phantom.picture import Patient, Picture, Request, Truth
from radiolucent.phantom.projection import View
from radiolucent.phantom.render import radiograph

CHEST_OPTIONS = ("rows", "view", "age_years", "sex")
VIEWS = ("PA", "AP", "LL")


def draw_chest(request: Request) -> Picture:
    """Draw a chest film; options `rows` (square) and `view` (``PA``, ``AP`` portable, ``LL`` lateral)."""
    patient = Patient.from_request(request)
    rng = request.scan_stream("scanner")
    usual = "PA" if rng.random() < 0.65 else "AP"
    name = str(request.option("view", usual)).upper()
    if name not in VIEWS:
        raise SetupError(f"option view is one of {', '.join(VIEWS)} (LL is lateral), not {name!r}")
    rows = int(request.option("rows", 1024))
    if rows < 64:
        raise SetupError(f"a radiograph needs rows >= 64, not {rows}")
    field_mm = float(rng.uniform(365, 395))
    view = View(
        (rows, rows),
        spacing_mm=field_mm / rows,
        centre_mm=(float(rng.normal(0, 5)), float(rng.normal(-28, 5))),
        direction="lateral" if name == "LL" else "frontal",
        lean=float(rng.normal(0, 0.012)),
        yaw=float(rng.normal(0, 0.03)),
    )
    anatomy = ChestAnatomy.from_seed(request.seed, patient.age_years, patient.sex)
    breath = float(rng.normal(0, 3)) + (13.0 if name == "AP" else 0.0)
    right, left = anatomy.dome_mm
    anatomy = replace(anatomy, dome_mm=(right + breath, left + breath))
    if name == "AP":
        anatomy = replace(anatomy, heart=anatomy.heart * 1.1, mediastinum=anatomy.mediastinum * 1.08)
    lesions = _lesions(request)
    for lesion in lesions:
        anatomy = adjusted(anatomy, lesion)
    scene = ChestScene(view, anatomy)
    masks = [paint(scene, lesion) for lesion in lesions]
    portable = name == "AP"
    thickness = 2 * SOFT * (112 * anatomy.depth + anatomy.fat_mm)
    pixels = radiograph(
        scene.attenuation(),
        rng,
        spacing_mm=view.spacing_mm,
        photons=float(rng.uniform(0.7e4, 1.6e4) if portable else rng.uniform(2e4, 5e4)),
        scatter=float(rng.uniform(0.7, 1.1) if portable else rng.uniform(0.35, 0.6)),
        blur_mm=float(rng.uniform(0.15, 0.3)),
        low=float(rng.uniform(0.75, 1.05)),
        high=float(rng.uniform(3.5, 3.9)) + 0.55 * (thickness - 4.6) + (1.5 if name == "LL" else 0.0),
        equalise=float(rng.uniform(0.2, 0.45)),
    )
    truths = tuple(
        Truth(finding=lesion.finding, variant=lesion.variant, mask=mask[None], extras=measured(lesion))
        for lesion, mask in zip(lesions, masks, strict=True)
    )
    words = {"PA": "PA", "AP": "portable AP", "LL": "lateral"}[name]
    return Picture(
        patient=patient,
        pixels=pixels[None],
        spacing_mm=(view.spacing_mm, view.spacing_mm),
        truths=truths,
        modality="CR" if portable else "DX",
        study_description="XR CHEST PHANTOM",
        tags=radiograph_tags(
            rng,
            view_position=name,
            body_part="CHEST",
            region=("43799004", "Thoracic cavity"),
            orientation=("P", "F") if name == "LL" else ("L", "F"),
            spacing_mm=view.spacing_mm,
            kilovolt=90 if portable else 120,
            series=f"CHEST {words} PHANTOM",
            portable=portable,
        ),
        description=f"chest radiograph, {words}",
    )


def _lesions(request: Request) -> list[ChestLesion]:
    if request.volume <= 0:
        return []
    placed = [place(finding, request.anatomy_stream("lesion", finding)) for finding in request.findings]
    return [lesion if request.volume == 1 else lesion.scaled(request.volume) for lesion in placed]


def radiograph_tags(
    rng: np.random.Generator,
    *,
    view_position: str,
    body_part: str,
    region: tuple[str, str],
    orientation: tuple[str, str],
    spacing_mm: float,
    kilovolt: int,
    series: str,
    portable: bool,
    laterality: str = "",
) -> Mapping[str, Any]:
    """Header elements of a CR (portable) or DX image (PS3.3 A.2 and A.26).

    Parameters
    ----------
    region : SNOMED CT code and meaning for Anatomic Region Sequence.
    orientation : where columns and rows grow to.
    laterality : ``L``, ``R``, or empty for an unpaired part.
    """
    tags: dict[str, Any] = {
        "ImageType": ["ORIGINAL", "PRIMARY"],
        "BodyPartExamined": body_part,
        "ViewPosition": view_position,
        "PatientOrientation": list(orientation),
        "ImagerPixelSpacing": [f"{spacing_mm:.6f}", f"{spacing_mm:.6f}"],
        "KVP": str(kilovolt),
        "ExposureTime": str(int(rng.integers(4, 30))),
        "Exposure": str(int(rng.integers(1, 8))),
        "WindowCenter": "2048",
        "WindowWidth": "4096",
        "SeriesDescription": series,
        "ManufacturerModelName": "PHANTOM CR" if portable else "PHANTOM DX",
    }
    if portable:
        paired = {"Laterality": laterality} if laterality else {}
        return tags | paired | {"PlateType": "", "PlateID": "1", "AcquisitionNumber": "1"}
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = region[0], "SCT", region[1]
    return tags | {
        "PresentationIntentType": "FOR PRESENTATION",
        "ImageLaterality": laterality or "U",
        "AnatomicRegionSequence": DicomSequence([code]),
        "PixelIntensityRelationship": "LOG",
        "PixelIntensityRelationshipSign": -1,
        "RescaleIntercept": "0",
        "RescaleSlope": "1",
        "RescaleType": "US",
        "PresentationLUTShape": "IDENTITY",
        "DetectorType": "DIRECT",
        "DetectorID": "1",
        "PositionerType": "",
        "AcquisitionContextSequence": DicomSequence([]),
    }
