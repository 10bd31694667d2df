"""A heatmap as numbers: float32 Parametric Map, evidence in logit units at the source's own resolution."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from radiolucent.errors import EncodingError
from radiolucent.findings.reading import Finding, SeriesReading
from radiolucent.findings.taxonomy import finding_type
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Stack
from radiolucent.results.codes import GRAD_CAM, NO_UNITS
from radiolucent.results.provenance import Provenance, equipment, refusing, seal
from radiolucent.results.source import CHARACTER_SET, planar_headers, point_to_source

SERIES_NUMBER = 9101


def encode_parametric_map(
    finding: Finding, series: SeriesReading, stack: Stack, provenance: Provenance, *, number: int = 1
) -> Dataset:
    """Write the evidence of one located finding as a Parametric Map (PS3.3 A.75).

    The stored values are `map_values`: evidence in logit units, never stretched. The window says where the colour
    scale ends. Frames run from the first to the last that carries evidence; the others hold none.

    Parameters
    ----------
    number : Instance Number within the series of maps made from this source series.

    Raises
    ------
    EncodingError
        If the finding isn't located, or the library refuses the object.
    """
    from highdicom import VOILUTTransformation
    from highdicom.pm import ParametricMap, RealWorldValueMapping

    if finding.localisation is None or finding.localisation.status != "located":
        raise EncodingError(f"{finding.name}: nothing was located, so there is no map to write")
    kind, heatmap = finding_type(finding.name), finding.heatmap
    indexes = evidence_frames(finding)
    values = np.stack([map_values(heatmap, index) for index in indexes])
    top = max(float(values.max()), heatmap.display_scale)
    with refusing(f"{finding.name}: the parametric map"):
        made = ParametricMap(
            source_images=planar_headers(stack, indexes, series.shape),
            pixel_array=values,
            contains_recognizable_visual_features=False,
            real_world_value_mappings=[
                RealWorldValueMapping(
                    lut_label="EVIDENCE",
                    lut_explanation="Evidence for the finding, logit units",
                    unit=NO_UNITS,
                    value_range=(0.0, top),
                    slope=1.0,
                    intercept=0.0,
                    quantity_definition=GRAD_CAM,
                )
            ],
            voi_lut_transformations=[
                VOILUTTransformation(
                    window_center=heatmap.display_scale / 2,
                    window_width=heatmap.display_scale,
                    # the plain function subtracts 1 from the width, and may not be used for widths below 1
                    voi_lut_function="LINEAR_EXACT",
                )
            ],
            content_label="EVIDENCE",
            content_description=f"{kind.label}: AI evidence, not diagnostic"[:64],
            series_description=f"AI evidence maps, {series.engine.label}"[:64],
            specific_character_set=CHARACTER_SET,
            **provenance.place(
                "parametric-map",
                series.key,
                series.engine.digest,
                series_number=SERIES_NUMBER,
                instance_number=number,
            ),
            **equipment(series.engine),
        )
        point_to_source(made, stack, indexes)
    return seal(made, provenance, stack)


def map_values(heatmap: Heatmap, frame: int) -> NDArray[np.float32]:
    """float32 ``(rows, columns)``: positive evidence in logit units, 0 under the display floor."""
    drawn = heatmap.at_pixels(frame)
    floor = np.float32(max(heatmap.floor * heatmap.display_scale, 0.0))
    return np.where((drawn >= floor) & (drawn > 0), drawn, np.float32(0)).astype(np.float32)


def evidence_frames(finding: Finding) -> range:
    """Frames from the first to the last whose evidence reaches the display floor; at least the peak frame."""
    heatmap = finding.heatmap
    reached = np.flatnonzero(heatmap.frame_peaks >= heatmap.floor * heatmap.display_scale)
    involved = [*reached.tolist(), heatmap.peak_frame]
    return range(min(involved), max(involved) + 1)
