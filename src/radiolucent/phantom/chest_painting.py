"""What a lesion of the chest adds to the rays, and where in the picture it is seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from radiolucent.phantom.chest import SIDES, SOFT, ChestScene
from radiolucent.phantom.chest_lesions import ChestLesion
from radiolucent.phantom.projection import Span, grain
from radiolucent.phantom.scene import Field, Vector, rise, stream
from radiolucent.phantom.scene import field as float32

Mask = NDArray[np.bool_]


def paint(scene: ChestScene, lesion: ChestLesion) -> Mask:
    """Add a lesion to the scene and say where it is seen: bool (rows, columns)."""
    return _PAINTERS[lesion.finding](scene, lesion)


def _in_lung(scene: ChestScene, side: int, span: Span) -> Field:
    return span.within(scene.lungs[side]).length_without(scene.heart, scene.mediastinum, scene.domes[side])


def _noise(scene: ChestScene, lesion: ChestLesion, name: str, feature_mm: float) -> Field:
    return grain(stream(lesion.seed, name), scene.view.shape, feature_mm / scene.view.spacing_mm)


def _fill(scene: ChestScene, length: Field, share: Field | float) -> Mask:
    """Replace a share of the air along `length` mm of lung by fluid."""
    extra = float32(length * share * (SOFT - scene.anatomy.lung))
    scene.added += extra
    return extra > max(0.3 * float(extra.max()), 0.03)


def _patch(scene: ChestScene, lesion: ChestLesion, radii: Vector, rough: float, feature_mm: float) -> Field:
    """Length in lung of a blurred, ragged ellipsoid."""
    span = scene.view.ellipsoid(lesion.centre, radii)
    length = _in_lung(scene, lesion.side, span)
    deepest = max(float(length.max()), 1.0)
    ragged = rise(float32(length / deepest + rough * _noise(scene, lesion, "edge", feature_mm)), 0.5, 0.75)
    return float32(length * ragged)


def _bronchograms(scene: ChestScene, lesion: ChestLesion, middle: Vector, filled: Field) -> Field:
    """Air-filled bronchi inside filled lung, as a factor."""
    rng = stream(lesion.seed, "bronchi")
    lines = scene.view.blank()
    for _ in range(5):
        end = np.asarray(middle) + rng.normal(0, [22, 12, 22])
        start = np.array([lesion.side * 32.0, 15.0, 0.0])
        half = (start + end) / 2 + rng.normal(0, 4, 3)
        scene.view.strand(lines, [tuple(start), tuple(half), tuple(end)], [2.0, 1.6, 0.9])
    return float32(filled * (1 - np.clip(lines / 7, 0, 0.4)))


def _atelectasis(scene: ChestScene, lesion: ChestLesion) -> Mask:
    rng = stream(lesion.seed, "atelectasis")
    floor = -90 + scene.anatomy.dome_mm[0 if lesion.side < 0 else 1]
    if lesion.variant == "lower lobe":
        centre = (lesion.side * 40.0, 45.0, floor + 12)
        span = scene.view.ellipsoid(centre, (38 * lesion.size, 45, 62 * lesion.size), tilt=lesion.side * 0.45)
        return _fill(scene, _in_lung(scene, lesion.side, span), 0.9)
    total = scene.view.blank()
    for index in range(3):
        centre = (lesion.side * float(rng.uniform(62, 88)), float(rng.uniform(-10, 30)), floor + 14 + 17 * index)
        radii = (float(rng.uniform(26, 42)) * lesion.size, 55.0, float(rng.uniform(2.4, 4.0)) * lesion.size)
        tilt = float(rng.normal(0, 0.16))
        total += _in_lung(scene, lesion.side, scene.view.ellipsoid(centre, radii, tilt=tilt))
    return _fill(scene, total, 0.55)


def _cardiomegaly(scene: ChestScene, lesion: ChestLesion) -> Mask:
    return (scene.heart.length > 20) & np.broadcast_to(scene.view.z < 22, scene.view.shape)


def _consolidation(scene: ChestScene, lesion: ChestLesion) -> Mask:
    upper = lesion.variant == "upper lobe"
    middle = (lesion.side * 72.0, 5.0, 62.0) if upper else (lesion.side * 78.0, 40.0, -62.0)
    size = lesion.size
    span = scene.view.ellipsoid(middle, (66 * size, 90 * size, 58 * size if upper else 62 * size))
    border = rise(scene.view.z + 0 * scene.view.u, 20, 4) if upper else rise(-scene.view.z + 0 * scene.view.u, 18, 30)
    length = _in_lung(scene, lesion.side, span) * border
    ragged = 0.85 + 0.15 * np.tanh(_noise(scene, lesion, "edge", 14))
    share = min(lesion.amount, 0.95) * rise(float32(length), 14, 26) * ragged
    return _fill(scene, _bronchograms(scene, lesion, middle, float32(length)), float32(share))


def _oedema(scene: ChestScene, lesion: ChestLesion) -> Mask:
    rng = stream(lesion.seed, "kerley")
    seen = np.zeros(scene.view.shape, dtype=bool)
    for side in SIDES:
        wing = replace(lesion, side=side, centre=(side * 60.0, 10.0, -4.0))
        seen |= _fill(scene, _patch(scene, wing, (58, 62, 72), 0.22, 11), min(lesion.amount, 0.7))
        lines = scene.view.blank()
        for index in range(9):
            z = -62 - 7.5 * index + float(rng.normal(0, 1.5))
            outside = side * 137 * scene.anatomy.width
            inner = outside - side * float(rng.uniform(12, 19))
            scene.view.strand(lines, [(outside, 5, z), (inner, 5, z + float(rng.normal(0, 1)))], [0.7, 0.5])
        scene.added += 0.12 * lines
        scene.obstacles[side] += _fluid(scene, side, 14.0)
    return seen


def _fluid(scene: ChestScene, side: int, height_mm: float) -> list[Span]:
    """Fluid on the pleural floor with a meniscus: what lies outside an upright bowl."""
    anatomy = scene.anatomy
    bottom = -168.0 + anatomy.dome_mm[0 if side < 0 else 1]
    bowl_bottom = bottom + 1.25 * height_mm - 48
    u, depth, _ = scene.view.turned((side * 58.0 * anatomy.width, -12.0, 0.0))
    across, deep = (58.0, 38.0) if scene.view.direction == "frontal" else (38.0, 58.0)
    spare = scene.view.z - bowl_bottom - across * ((scene.view.u - u) / 100) ** 2
    half = 100 * np.sqrt(np.maximum(spare, 0) / deep)
    far = np.full_like(half, 500)
    return [Span(float32(-far), float32(depth - half)), Span(float32(depth + half), far)]


def _effusion(scene: ChestScene, lesion: ChestLesion) -> Mask:
    dry = scene.lung_length(lesion.side)
    scene.obstacles[lesion.side] += _fluid(scene, lesion.side, lesion.amount)
    wet = dry - scene.lung_length(lesion.side)
    floor = -150.0 + scene.anatomy.dome_mm[0 if lesion.side < 0 else 1]
    return (wet > 14) & (wet > 0.35 * dry) & (scene.view.z > floor)


def _emphysema(scene: ChestScene, lesion: ChestLesion) -> Mask:
    rng = stream(lesion.seed, "bullae")
    for side in SIDES:
        for _ in range(3):
            centre = (side * float(rng.uniform(55, 108)), 10.0, float(rng.uniform(35, 95)))
            radius = float(rng.uniform(11, 22)) * lesion.amount
            bulla = scene.view.ellipsoid(centre, (radius, radius, radius * 1.2))
            length = _in_lung(scene, side, bulla)
            wall = np.maximum(_in_lung(scene, side, scene.view.ellipsoid(centre, (radius + 1.2,) * 3)) - length, 0)
            scene.added += float32(0.004 * np.minimum(wall, 12) - 0.7 * scene.anatomy.lung * length)
            scene.cleared *= np.where(length > 0.5 * radius, 0.2, 1).astype(np.float32)
    return (scene.lung_length(-1) + scene.lung_length(1)) > 70


def _fibrosis(scene: ChestScene, lesion: ChestLesion) -> Mask:
    net = np.abs(_noise(scene, lesion, "net", 9))
    fine = np.abs(_noise(scene, lesion, "fine", 5))
    lines = np.exp(-((net / 0.16) ** 2)) + 0.6 * np.exp(-((fine / 0.2) ** 2))
    seen = np.zeros(scene.view.shape, dtype=bool)
    for side in SIDES:
        length = scene.lung_length(side)
        inner = scene.shrunken_lung(side, 34 * lesion.amount, 20).length
        outer = np.clip(1 - inner / 130, 0.12, 1)
        low = rise(-scene.view.z + 0 * scene.view.u, 15, 110)
        weight = float32(np.clip(length / 55, 0, 1) * np.maximum(low, 0.25 * outer) * (0.45 + 0.55 * outer))
        scene.added += float32(weight * (0.42 * lines + 0.12) * min(lesion.amount, 1.4))
        seen |= weight > 0.4
    return seen


def _hernia(scene: ChestScene, lesion: ChestLesion) -> Mask:
    radius = lesion.amount
    centre = (14.0, 45.0, -88.0 + 0.3 * radius)
    pouch = scene.view.ellipsoid(centre, (1.15 * radius, radius, radius))
    inner = scene.view.ellipsoid(centre, (1.15 * radius - 3, radius - 3, radius - 3))
    for side in SIDES:
        scene.obstacles[side].append(pouch)
    above = rise(scene.view.z + 0 * scene.view.u, centre[2] + 0.1 * radius, 1.5)
    scene.added += float32(0.0035 * pouch.length - 0.0165 * inner.length * above)
    return pouch.length > 0.25 * radius


def _infiltration(scene: ChestScene, lesion: ChestLesion) -> Mask:
    size = lesion.size
    length = _patch(scene, lesion, (44 * size, 60 * size, 50 * size), 0.3, 16)
    spots = rise(_noise(scene, lesion, "spots", 10), 0.2, 2.0)
    return _fill(scene, length, float32(min(lesion.amount, 0.6) * (0.35 + 1.1 * spots)))


def _mass(scene: ChestScene, lesion: ChestLesion) -> Mask:
    radius = lesion.amount
    rng = stream(lesion.seed, "mass")
    total = scene.view.blank()
    parts = 4 if lesion.finding == "mass" else 1
    for index in range(parts):
        offset = rng.normal(0, 0.34 * radius, 3) if index else np.zeros(3)
        place = np.asarray(lesion.centre) + offset
        size = radius * (1.0 if not index else float(rng.uniform(0.55, 0.8)))
        span = scene.view.ellipsoid((place[0], place[1], place[2]), (size, size, size * float(rng.uniform(0.88, 1.12))))
        total = np.maximum(total, _in_lung(scene, lesion.side, span))
    if lesion.finding == "mass":
        _fill(scene, total, 1.0)
        return total > 0.25 * float(total.max())
    _fill(scene, total, 2.2)  # a nodule is denser than water: granulomas calcify
    return total > 0.2 * float(total.max())


def _pleural_thickening(scene: ChestScene, lesion: ChestLesion) -> Mask:
    apical = lesion.variant == "apical"
    rest = scene.shrunken_lung(lesion.side, lesion.amount, 1.6 * lesion.amount if apical else 0.3 * lesion.amount)
    wavy = 0.75 + 0.25 * np.tanh(_noise(scene, lesion, "wave", 18))
    z = scene.view.z + 0 * scene.view.u
    level = rise(z, 84, 20) if apical else rise(z, -135, 25) * (1 - rise(z, 45, 40))
    length = scene.lung_length(lesion.side)
    behind = np.clip(1 - rest.length / 60, 0, 1)
    thick = float32(np.minimum(length, 75) * level * wavy * behind)
    scene.added += float32(thick * (SOFT - scene.anatomy.lung))
    return (thick > 12) & (level > 0.4) & (behind > 0.35)


def _pneumonia(scene: ChestScene, lesion: ChestLesion) -> Mask:
    size = lesion.size
    length = _patch(scene, lesion, (40 * size, 60 * size, 42 * size), 0.2, 13)
    return _fill(scene, _bronchograms(scene, lesion, lesion.centre, length), min(lesion.amount, 0.8))


def _pneumothorax(scene: ChestScene, lesion: ChestLesion) -> Mask:
    tension = lesion.finding == "tension-pneumothorax"
    gap, top = (66 + lesion.amount, 62.0) if tension else (lesion.amount, 1.5 * lesion.amount)
    rest = scene.shrunken_lung(lesion.side, gap, top)
    scene.collapsed[lesion.side] = rest
    free = scene.lung_length(lesion.side)
    left = np.minimum(rest.within(scene.lungs[lesion.side]).length, free)
    here = (free > 3) & (left <= 0)
    scene.cleared *= np.where(here, 0, 1).astype(np.float32)
    edge = np.exp(-(((left - 14) / 12) ** 2)) * (left > 0) * (free > 10)
    scene.added += float32(0.13 * edge + (0.006 * left if tension else 0.0))
    return (free > 12) & (left <= 0)


def _widened(scene: ChestScene, lesion: ChestLesion) -> Mask:
    z = np.broadcast_to(scene.view.z, scene.view.shape)
    return (scene.mediastinum.length > 12) & (z > 12) & (z < 108)


def _rib_fracture(scene: ChestScene, lesion: ChestLesion) -> Mask:
    rng = stream(lesion.seed, "rib")
    number = int(rng.integers(4, 10))
    where = float(rng.uniform(38, 68) if rng.random() < 0.6 else rng.uniform(104, 122))
    scene.broken_ribs.append((number, lesion.side, where, lesion.amount))
    nodes, angle = scene.rib_path(number, lesion.side)
    row, column = scene.view.pixel(nodes[int(np.argmin(np.abs(angle - where)))])
    rows, columns = np.ogrid[: scene.view.shape[0], : scene.view.shape[1]]
    near = np.hypot(rows - row, columns - column) * scene.view.spacing_mm
    return np.asarray(near < 12, dtype=bool)


def _device(scene: ChestScene, lesion: ChestLesion) -> Mask:
    wires, thick = scene.view.blank(), scene.view.blank()
    match lesion.variant:
        case "pacemaker":
            lead: list[Vector] = [(92, -72, 84), (60, -50, 98), (20, -10, 88), (-20, 5, 62), (-26, -5, 10)]
            scene.view.strand(wires, [*lead, (-20, -25, -55), (20, -50, -98), (50, -60, -106)], [1.0] * 8)
            box = scene.view.ellipsoid((96, -85, 66), (23, 4.5, 20)).length
            inner = scene.view.ellipsoid((97, -85, 70), (12, 3, 9)).length
            thick = float32(np.clip(box / 1.2, 0, 1) * 1.7 + np.clip(inner / 1.2, 0, 1) * 0.9)
        case "endotracheal tube":
            scene.view.strand(wires, [(0, 20, 190), (0, 26, 90), (1, 29, 52)], [5, 5, 5], wall_mm=1.3)
            wires *= 0.25
            scene.view.strand(wires, [(3, 20, 190), (3, 26, 90), (4, 29, 52)], [0.8, 0.8, 0.8])
        case "central line":
            line: list[Vector] = [(-42, 0, 190), (-34, 5, 130), (-24, 8, 80), (-25, 2, 30), (-27, 0, 8)]
            scene.view.strand(wires, line, [1.3] * 5)
        case _:
            line = [(4, 40, 190), (5, 42, 60), (6, 45, -40), (12, 30, -110), (40, 0, -140), (66, -15, -158)]
            scene.view.strand(wires, line, [1.7] * 6)
    scene.added += float32(0.22 * wires + thick)
    return (wires > 0.2) | (thick > 0.1)


_PAINTERS: Mapping[str, Callable[[ChestScene, ChestLesion], Mask]] = MappingProxyType(
    {
        "atelectasis": _atelectasis,
        "cardiomegaly": _cardiomegaly,
        "consolidation": _consolidation,
        "oedema": _oedema,
        "effusion": _effusion,
        "emphysema": _emphysema,
        "fibrosis": _fibrosis,
        "hernia": _hernia,
        "infiltration": _infiltration,
        "mass": _mass,
        "nodule": _mass,
        "pleural-thickening": _pleural_thickening,
        "pneumonia": _pneumonia,
        "pneumothorax": _pneumothorax,
        "tension-pneumothorax": _pneumothorax,
        "widened-mediastinum": _widened,
        "rib-fracture": _rib_fracture,
        "support-device": _device,
    }
)
