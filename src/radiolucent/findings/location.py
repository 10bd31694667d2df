"""Where a finding is, in words: side, thirds of the imaged volume or zones of the radiograph, slice, extent."""

from __future__ import annotations

import numpy as np

from radiolucent.findings.phrases import Phrases
from radiolucent.findings.quantities import in_words
from radiolucent.findings.reading import Finding, Localisation, Region, SeriesReading
from radiolucent.findings.taxonomy import FINDINGS
from radiolucent.imaging.geometry import Float


def zones(finding: Finding, series: SeriesReading) -> tuple[str, ...]:
    """Keys of the `place` phrases for the largest region: depth and height in a volume, height alone in a picture.

    Thirds are those of the imaged field (all frames together) in patient coordinates, so they hold for any slice
    direction; without planes they are thirds of the picture, called zones on a chest radiograph.
    """
    if finding.localisation is None or not finding.localisation.regions:
        return ()
    region, corners = finding.localisation.regions[0], _corners_mm(series)
    if region.centroid_mm is None or corners is None:
        kind = "zone" if finding.name in FINDINGS and FINDINGS[finding.name].anatomy == "chest" else "image"
        return (f"{('upper', 'middle', 'lower')[_third(region.centroid[0] / max(series.shape[0], 1))]}-{kind}",)
    low, high = corners.min(axis=0), corners.max(axis=0)
    keys = []
    for axis, names in ((1, ("anterior", "middle-depth", "posterior")), (2, ("lower", "middle", "upper"))):
        if high[axis] > low[axis]:
            keys.append(names[_third((region.centroid_mm[axis] - low[axis]) / (high[axis] - low[axis]))])
    return tuple(keys)


def short_place(finding: Finding, series: SeriesReading, words: Phrases) -> str:
    """Side and zones of the largest region, or why there is none: ``left, anterior third, upper third of ...``."""
    place = finding.localisation
    if place is None or place.status != "located" or not place.regions:
        return words.status[_status(place)]
    return ", ".join([words.side[place.laterality], *(words.place[key] for key in zones(finding, series))])


def full_place(finding: Finding, series: SeriesReading, words: Phrases) -> str:
    """`short_place` with slice, extent and number of regions."""
    place = finding.localisation
    short = short_place(finding, series, words)
    if place is None or place.status != "located" or not place.regions:
        return short
    parts = [f"{words.words['most']}: {short}"]
    if len(series.frames) > 1:
        word = words.words["slice" if series.kind == "volume" else "image"]
        parts.append(f"{word} {place.regions[0].frame + 1} {words.words['of']} {len(series.frames)}")
    parts += [in_words(one, words) for one in finding.measurements]  # before what is only the map's size
    parts.append(_extent(place.regions[0], words))
    if len(place.regions) > 1:
        parts.append(f"{len(place.regions)} {words.words['regions']}")
    return "; ".join(parts)


def _extent(region: Region, words: Phrases) -> str:
    if region.extent_mm is None:
        return words.words["size_unknown"]
    height, width = sorted(region.extent_mm, reverse=True)
    text = f"{words.words['evidence_over']} {height:.0f} × {width:.0f} mm"
    if region.volume_ml is None:
        return text
    return f"{text}, {words.number(region.volume_ml, 1 if region.volume_ml < 10 else 0)} ml"


def _status(place: Localisation | None) -> str:
    if place is None:
        return "missing"
    return "missing" if place.status == "located" else place.status


def _third(share: float) -> int:
    return int(np.clip(share * 3, 0, 2))


def _corners_mm(series: SeriesReading) -> Float | None:
    """(n, 3) patient coordinates of the corners of all frames; None where a frame has no plane."""
    rows, columns = series.shape
    square = np.array([[0, 0], [0, columns - 1], [rows - 1, 0], [rows - 1, columns - 1]], dtype=np.float64)
    planes = [frame.plane for frame in series.frames]
    if not planes or any(plane is None for plane in planes):
        return None
    return np.concatenate([plane.to_patient(square) for plane in planes if plane is not None])
