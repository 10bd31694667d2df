"""A heatmap as an area: binary Segmentation of the reported regions, each above the level of its own contour."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from scipy import ndimage

from radiolucent.errors import EncodingError
from radiolucent.findings.reading import Finding, Localisation, Region, SeriesReading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.imaging.study import Stack
from radiolucent.results.codes import MORPHOLOGICALLY_ABNORMAL, sr_code
from radiolucent.results.provenance import Provenance, algorithm, equipment, refusing, seal
from radiolucent.results.source import CHARACTER_SET, planar_headers, point_to_source

SERIES_NUMBER = 9102
_COLOUR = (252, 165, 10)
"""Red, green, blue that a viewer is recommended: of the middle of the map's own colours, and never grey."""


def encode_segmentation(
    finding: Finding, series: SeriesReading, stack: Stack, provenance: Provenance, *, number: int = 1
) -> Dataset | None:
    """Write the area of one located finding as a binary Segmentation (PS3.3 A.51), one segment.

    The segment is where evidence is above the contour level. It doesn't delineate anatomy; the label says so.

    Returns
    -------
    The object, or None where no region is reported.

    Raises
    ------
    EncodingError
        If the finding isn't located, or the library refuses the object.
    """
    from highdicom.color import CIELabColor
    from highdicom.seg import Segmentation, SegmentDescription

    where = finding.localisation
    if where is None or where.status != "located":
        raise EncodingError(f"{finding.name}: nothing was located, so there is no segment to write")
    indexes, mask = segment_mask(finding, where)
    if not indexes:
        return None
    kind = finding_type(finding.name)
    place = provenance.place(
        "segmentation",
        series.key,
        series.engine.digest,
        series_number=SERIES_NUMBER,
        instance_number=number,
    )
    with refusing(f"{finding.name}: the segmentation"):
        made = Segmentation(
            source_images=planar_headers(stack, indexes, series.shape),
            pixel_array=mask,
            segmentation_type="BINARY",
            segment_descriptions=[
                SegmentDescription(
                    segment_number=1,
                    segment_label=f"{kind.label} (AI evidence)"[:64],
                    segmented_property_category=MORPHOLOGICALLY_ABNORMAL,
                    segmented_property_type=sr_code(kind.code),
                    algorithm_type="AUTOMATIC",
                    algorithm_identification=algorithm(series.engine, "evidence above the contour level"),
                    tracking_uid=provenance.tracking_uid(finding.name, series),
                    tracking_id=finding.name[:64],
                    anatomic_regions=[sr_code(kind.site)],
                    display_color=CIELabColor.from_rgb(*_COLOUR),
                )
            ],
            content_label="EVIDENCE_AREA",
            content_description=f"{kind.label}: AI evidence area, not diagnostic"[:64],
            series_description=f"AI evidence areas, {series.engine.label}"[:64],
            specific_character_set=CHARACTER_SET,
            **place,
            **equipment(series.engine),
        )
        point_to_source(made, stack, indexes)
        made.pop("Laterality", None)  # each segment names its own anatomic region: the condition of 2C isn't met
    return seal(made, provenance, stack)


def segment_mask(finding: Finding, where: Localisation) -> tuple[list[int], NDArray[np.uint8]]:
    """Frames that hold any of the reported regions, and their area as uint8 ``(frames, rows, columns)`` of 0 and 1.

    A region is the connected part of the map, over the frames it spans, that lies above the level of its own contour
    and holds its peak: exactly what is reported, at the source's resolution.

    Raises
    ------
    EncodingError
        If a level isn't positive: it would segment the background.
    """
    rows, columns = finding.heatmap.record.source_shape
    found: dict[int, NDArray[np.bool_]] = {}
    for region in where.regions:
        span = range(region.first_frame, region.last_frame + 1)
        drawn = np.stack([finding.heatmap.at_pixels(index) for index in span])
        for index, plane in zip(span, _connected(drawn, region, span, finding.name), strict=True):
            if plane.any():
                found[index] = found[index] | plane if index in found else plane
    indexes = sorted(found)
    mask = np.array([found[index] for index in indexes], dtype=np.uint8).reshape(len(indexes), rows, columns)
    return indexes, mask


def _connected(drawn: NDArray[np.float32], region: Region, span: range, name: str) -> NDArray[np.bool_]:
    peak_plane = drawn[region.frame - span.start]
    row, column = (
        int(np.clip(round(value), 0, size - 1)) for value, size in zip(region.peak, peak_plane.shape, strict=True)
    )
    # where a cell is hardly larger than a pixel, its peak can fall between two of them
    level = min(region.level, float(peak_plane[row, column]))
    if not level > 0:
        raise EncodingError(f"{name}: a contour at {level:.3g} logits would segment the background")
    parts, _ = ndimage.label(drawn >= np.float32(level), structure=np.ones((3, 3, 3)))
    connected: NDArray[np.bool_] = parts == parts[region.frame - span.start, row, column]
    return connected
