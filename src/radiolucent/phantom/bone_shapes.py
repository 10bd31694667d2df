"""The words that bone sites are written in: outlines, bones, places that break, hardware. mm; u to the right, z up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Point = tuple[float, float]
Outline = tuple[Point, ...]


@dataclass(frozen=True, kw_only=True)
class Bone:
    """One bone: the union of its parts, so deep along the ray, with so thick a cortex in its shaft."""

    name: str
    parts: tuple[Outline, ...]
    deep_mm: float
    cortex_mm: float = 2.0
    marrow: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Break:
    """A place where a bone typically breaks: where, and the direction of the bone's axis there (degrees).

    A vertebra `crushes` where another bone is displaced.
    """

    bone: str
    place: Point
    axis: float
    span_mm: float
    crushes: bool = False


@dataclass(frozen=True, kw_only=True)
class Metal:
    """Hardware: ``plate``, ``nail``, ``wires``, ``screws`` or ``prosthesis`` along points."""

    kind: str
    points: tuple[Point, ...]


@dataclass(frozen=True, kw_only=True)
class SiteView:
    """One site seen from one side.

    Parameters
    ----------
    soft : outline and depth (mm) of the flesh.
    field_mm : width and height of the picture.
    centre : of the picture.
    paired : whether the body has two of it.
    """

    bones: tuple[Bone, ...]
    soft: tuple[Outline, float]
    breaks: tuple[Break, ...]
    metal: tuple[Metal, ...]
    field_mm: float
    centre: Point
    paired: bool = True


def shaft(start: Point, end: Point, halves: Sequence[float]) -> Outline:
    """The outline of a long bone between two points, with half widths evenly spaced along it and rounded ends."""
    axis = np.subtract(end, start)
    length = float(np.hypot(*axis))
    along, across = axis / length, np.array([-axis[1], axis[0]]) / length
    places = np.linspace(0, 1, len(halves))
    one = [np.asarray(start) + axis * t + across * h for t, h in zip(places, halves, strict=True)]
    other = [np.asarray(start) + axis * t - across * h for t, h in zip(places, halves, strict=True)]
    caps = np.asarray(end) + along * halves[-1] * 0.6, np.asarray(start) - along * halves[0] * 0.6
    nodes = [*one, caps[0], *other[::-1], caps[1]]
    return tuple((float(node[0]), float(node[1])) for node in nodes)


def oval(centre: Point, radii: Point, turn: float = 0.0) -> Outline:
    """An ellipse as an outline; `turn` in degrees."""
    angles = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    u, z = radii[0] * np.cos(angles), radii[1] * np.sin(angles)
    c, s = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    return tuple(
        (float(centre[0] + i * c - j * s), float(centre[1] + i * s + j * c)) for i, j in zip(u, z, strict=True)
    )


def mirrored(outline: Outline) -> Outline:
    """The outline on the other side of u = 0."""
    return tuple((-u, z) for u, z in outline)


def outline(points: str) -> Outline:
    """An outline from ``"u z, u z, …"``.

    >>> outline("0 1, 2 -3.5")
    ((0.0, 1.0), (2.0, -3.5))
    """
    pairs = [pair.split() for pair in points.split(",")]
    return tuple((float(u), float(z)) for u, z in pairs)


def rib(top: float, outside: float) -> Outline:
    """A rib beside a shoulder: from the spine (right) outwards and down, then back inwards."""
    middle = [
        (170, top + 2),
        (130, top + 4),
        (95, top - 2),
        (72, top - 14),
        (outside, top - 32),
        (outside + 6, top - 52),
    ]
    upper = [(u, z + 6) for u, z in middle[:3]] + [(u - 5, z + 3) for u, z in middle[3:5]] + [(outside, top - 54)]
    lower = [(u, z - 6) for u, z in middle[:3]] + [(u + 6, z - 4) for u, z in middle[3:5]] + [(outside + 11, top - 50)]
    return (*upper, *lower[::-1])


def vertebra(place: Point, tilt: float, body: Outline, behind: Sequence[Outline]) -> tuple[Outline, ...]:
    """A vertebra in profile: its body and what lies behind it, placed and tilted (degrees)."""
    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))

    def moved(points: Sequence[Point]) -> Outline:
        return tuple((float(place[0] + u * c - z * s), float(place[1] + u * s + z * c)) for u, z in points)

    return (moved(body), *(moved(part) for part in behind))
