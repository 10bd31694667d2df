"""Bone radiographs, drawn from a request: ankle, wrist, knee, shoulder, pelvis, spine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from radiolucent.errors import SetupError
from radiolucent.phantom.bone import FLESH, BonePicture, Fracture, Severity
from radiolucent.phantom.bone_shapes import Metal, SiteView
from radiolucent.phantom.bone_sites import SITES
from radiolucent.phantom.chest_studies import radiograph_tags
from radiolucent.phantom.picture import Patient, Picture, Request, Truth
from radiolucent.phantom.projection import View
from radiolucent.phantom.render import radiograph

BONE_OPTIONS = ("rows", "site", "view", "age_years", "sex")
#: finding that can be asked for → severity; `fracture` is a displaced or a hairline one
_SEVERITY: Mapping[str, tuple[Severity, ...]] = MappingProxyType(
    {
        "fracture": ("displaced", "hairline"),
        "displaced-fracture": ("displaced",),
        "hairline-fracture": ("hairline",),
        "occult-fracture": ("occult",),
    }
)
BONE_FINDINGS: tuple[str, ...] = (*_SEVERITY, "hardware")
#: site → body part, SNOMED CT code and meaning (PS3.16 CID 4031)
_PARTS: Mapping[str, tuple[str, tuple[str, str]]] = MappingProxyType(
    {
        "ankle": ("ANKLE", ("70258002", "Ankle joint")),
        "wrist": ("WRIST", ("74670003", "Wrist joint")),
        "knee": ("KNEE", ("72696002", "Knee")),
        "shoulder": ("SHOULDER", ("16982005", "Shoulder")),
        "pelvis": ("PELVIS", ("12921003", "Pelvis")),
        "spine": ("LSPINE", ("122496007", "Lumbar spine")),
    }
)


def draw_bone(request: Request) -> Picture:
    """Draw a bone film; options `rows` (square), `site` and `view` (``AP``, ``PA`` or ``LL``, as the site has it)."""
    patient = Patient.from_request(request)
    who = request.anatomy_stream("site")
    name = str(request.option("site", str(who.choice(list(SITES))))).lower()
    if name not in SITES:
        raise SetupError(f"option site is one of {', '.join(SITES)}, not {name!r}")
    views = SITES[name]
    position = str(request.option("view", str(who.choice(list(views))))).upper()
    if position not in views:
        raise SetupError(f"option view of a {name} is one of {', '.join(views)}, not {position!r}")
    site = views[position]
    rows = int(request.option("rows", 1024))
    if rows < 64:
        raise SetupError(f"a radiograph needs rows >= 64, not {rows}")
    mirror = 1 if who.random() < 0.5 or not site.paired else -1
    size = float(who.normal(1.0 - (0.05 if patient.sex == "F" else 0.0), 0.03))
    rng = request.scan_stream("scanner")
    view = View(
        (rows, rows),
        spacing_mm=site.field_mm * float(rng.uniform(0.98, 1.08)) / size / rows,
        centre_mm=(mirror * site.centre[0] + float(rng.normal(0, 4)), site.centre[1] + float(rng.normal(0, 4))),
        direction="frontal",
        lean=float(rng.normal(0, 0.05 if site.paired else 0.015)),
    )
    picture = BonePicture(view, site, seed=request.seed, mirror=mirror, age_years=patient.age_years)
    fractures, metal = _fractures(request, site), _metal(request, site)
    attenuation, broken, metals = picture.attenuation(fractures, metal)
    flesh = FLESH * site.soft[1]
    pixels = radiograph(
        attenuation,
        rng,
        spacing_mm=view.spacing_mm * size,
        photons=float(rng.uniform(1.5e4, 5e4)) * float(np.exp(max(flesh - 2.2, 0))),
        scatter=float(rng.uniform(0.03, 0.1)),
        blur_mm=float(rng.uniform(0.1, 0.2)),
        low=flesh * float(rng.uniform(0.36, 0.5)) + 0.5 * max(flesh - 2.5, 0),
        high=flesh + float(rng.uniform(0.5, 0.68)) + 0.08 * max(flesh - 2.0, 0),
        equalise=float(rng.uniform(0.15, 0.35)),
    )
    truths = [
        Truth(
            finding="fracture",
            variant=f"{fracture.severity} {fracture.where.bone}",
            mask=mask[None],
            extras={"displacement_mm": _displacement(fracture)},
        )
        for fracture, mask in zip(_drawn_order(fractures, site), broken, strict=True)
    ]
    if metals:
        truths.append(
            Truth(finding="hardware", variant=metal[0].kind, mask=np.logical_or.reduce(metals)[None], extras={})
        )
    side = "" if not site.paired else ("R" if mirror > 0 else "L")
    part, region = _PARTS[name]
    return Picture(
        patient=patient,
        pixels=pixels[None],
        spacing_mm=(view.spacing_mm * size, view.spacing_mm * size),
        truths=tuple(truths),
        modality="DX",
        study_description=f"XR {name.upper()} PHANTOM",
        tags=radiograph_tags(
            rng,
            view_position=position,
            body_part=part,
            region=region,
            orientation=("P", "F") if position == "LL" else ("L", "F"),
            spacing_mm=view.spacing_mm * size,
            kilovolt=75 if name in ("pelvis", "spine", "shoulder") else 55,
            series=f"{name.upper()} {position} PHANTOM",
            portable=False,
            laterality=side,
        ),
        description=f"{name} radiograph, {position}",
    )


def _displacement(fracture: Fracture) -> float:
    if fracture.severity != "displaced":
        return 0.0
    return round(float(np.hypot(*fracture.shift_mm)) * fracture.size, 2)


def _drawn_order(fractures: list[Fracture], site: SiteView) -> list[Fracture]:
    """Fractures in the order in which their bones are drawn."""
    return [fracture for bone in site.bones for fracture in fractures if fracture.where.bone == bone.name]


def _fractures(request: Request, site: SiteView) -> list[Fracture]:
    found: list[Fracture] = []
    free = list(site.breaks)
    for finding in request.findings:
        if finding not in _SEVERITY or request.volume <= 0 or not free:
            continue
        rng = request.anatomy_stream("lesion", finding)
        where = free.pop(int(rng.integers(len(free))))
        severities = _SEVERITY[finding]
        span = where.span_mm
        fracture = Fracture(
            where=where,
            severity=severities[int(rng.integers(len(severities)))],
            tilt=float(rng.normal(0, 18)),
            shift_mm=(
                float(rng.uniform(-0.04, 0.1)) * span,
                float(rng.choice([-1, 1])) * float(rng.uniform(0.12, 0.32)) * span,
            ),
            turn=float(rng.choice([-1, 1])) * float(rng.uniform(5, 16)),
            seed=int(rng.integers(2**31)),
        )
        found.append(replace(fracture, size=request.volume))
    return found


def _metal(request: Request, site: SiteView) -> list[Metal]:
    if "hardware" not in request.findings or request.volume <= 0:
        return []
    rng = request.anatomy_stream("lesion", "hardware")
    first = site.metal[int(rng.integers(len(site.metal)))]
    return [piece for piece in site.metal if piece.kind == first.kind] if first.kind == "nail" else [first]
