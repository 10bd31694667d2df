"""Readings and pages that the tests of the report share: one finding located, and everything on a page at once."""

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np

from radiolucent.findings.reading import (
    Completeness,
    EngineRef,
    Finding,
    Graded,
    Localisation,
    Reading,
    Refusal,
    Region,
    SeriesReading,
    UnreadSeries,
)
from radiolucent.imaging.geometry import ImagePlane, PixelRecord, Resize
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Frame, Problem
from radiolucent.results.report import (
    FindingPicture,
    SeriesPicture,
    StudyFacts,
    render_report,
)

MADE_AT = datetime(2026, 11, 20, 14, 2, tzinfo=UTC)
RECORD = PixelRecord(source_shape=(64, 64), steps=(Resize(height=32, width=32),))
ENGINE = EngineRef(name="brain-mri", version="1.2.0", digest="ab" * 32)
PNG = b"\x89PNG made up"


def frames(count: int) -> tuple[Frame, ...]:
    return tuple(
        Frame(
            sop_class_uid="1.2",
            sop_instance_uid=f"1.2.{index}",
            spacing_mm=(1.0, 1.0),
            plane=ImagePlane(
                position_mm=(0, 0, 5.0 * index),
                row_cosines=(1, 0, 0),
                column_cosines=(0, 1, 0),
                spacing_mm=(1.0, 1.0),
            ),
        )
        for index in range(count)
    )


def region(**changes: Any) -> Region:
    values: dict[str, Any] = {
        "frame": 2,
        "peak": (30.0, 20.0),
        "centroid": (31.0, 21.0),
        "contour": ((25.0, 15.0), (25.0, 25.0), (35.0, 25.0), (25.0, 15.0)),
        "first_frame": 1,
        "last_frame": 3,
        "area_pixels": 80.0,
        "area_mm2": 80.0,
        "volume_ml": 12.34,
        "extent_mm": (24.0, 21.0),
        "peak_mm": (20.0, 30.0, 10.0),
        "centroid_mm": (21.0, 31.0, 10.0),
        "share": 1.0,
        "level": 2.0,
    }
    return Region(**{**values, **changes})


LOCATED = Localisation(
    status="located",
    regions=(region(),),
    laterality="left",
    focality="focal",
    peak_frame=2,
    frames_involved=(1, 2, 3),
    contour_level=2.0,
)


def finding(name: str = "glioma", **changes: Any) -> Finding:
    evidence = np.zeros((5, 8, 8), dtype=np.float32)
    evidence[:, 4, 3] = [0.0, 2.5, 3.9, 2.4, -1.0]
    values: dict[str, Any] = {
        "name": name,
        "basis": "real",
        "logit": 2.0,
        "score": 0.88,
        "probability": 0.91,
        "operating_point": 0.5,
        "positive": True,
        "frame_logits": (0.0, 1.0, 2.0, 1.0, -1.0),
        "heatmap": Heatmap(evidence=evidence, record=RECORD, display_scale=4.0),
        "localisation": LOCATED,
    }
    return Finding(**{**values, **changes})


def series(*findings: Finding, **changes: Any) -> SeriesReading:
    values: dict[str, Any] = {
        "series_instance_uid": "1.2.3",
        "modality": "MR",
        "kind": "volume",
        "description": "T1 axial",
        "frames": frames(5),
        "shape": (64, 64),
        "slice_spacing_mm": 5.0,
        "engine": ENGINE,
        "record": RECORD,
        "findings": findings,
        "completeness": Completeness(pooling="log-sum-exp", largest_difference=2e-6, tolerance=1e-4),
        "milliseconds": {"decode": 10.0, "engine": 90.0},
    }
    return SeriesReading(**{**values, **changes})


def reading(*parts: SeriesReading, **changes: Any) -> Reading:
    values: dict[str, Any] = {"study_instance_uid": "2.25.1", "series": parts, "software": "radiolucent 9.9"}
    return Reading(**{**values, **changes})


def picture(**changes: Any) -> FindingPicture:
    values: dict[str, Any] = {
        "series_instance_uid": "1.2.3",
        "engine": ENGINE.label,
        "finding": "glioma",
        "frame": 2,
        "image_png": PNG,
        "overlay_png": PNG,
    }
    return FindingPicture(**{**values, **changes})


FACTS = StudyFacts(
    study_instance_uid="2.25.1",
    patient_id="SYN-7",
    study_date="20261120",
    description="MR head",
    modality="MR",
    prior_study_date="20260512",
)


def page(*readings: Reading, **changes: Any) -> str:
    options: dict[str, Any] = {"facts": {"2.25.1": FACTS}, "pictures": [picture()], "made_at": MADE_AT}
    return render_report(readings, **{**options, **changes})


def text_of(html: str) -> str:
    """What a person reads: without tags, styles and pictures, white space as one space."""
    body = re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


class Strict(HTMLParser):
    """Collects tags, and fails where one is closed that isn't open."""

    VOID = frozenset(
        {"meta", "img", "br", "line", "rect", "circle", "polygon", "polyline"},
    )

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def parsed(html: str) -> Strict:
    parser = Strict()
    parser.feed(html)
    assert parser.open == []
    return parser


def full_reading() -> Reading:
    """A page with everything on it at once."""
    judged = finding(
        urgency=Graded(level="1 critical", reasons=("base 1: tells at once",), table_version="urgency 1"),
        confidence=Graded(level="low", reasons=("agreement: outside",), table_version="confidence 1"),
        change="larger",
        change_note="10 to 14 ml",
    )
    below = finding("meningioma", positive=False, probability=0.12, localisation=None)
    return reading(
        series(judged, below, notes=("a gap of 10 mm",)),
        series(below, series_instance_uid="1.2.4", description="T1 coronal"),
        unread=(
            UnreadSeries(
                series_instance_uid="1.2.5",
                modality="MR",
                description="PD",
                frames=20,
                refusals=(Refusal(code="no-contrast", reason="it has no contrast agent", engine="brain-mri@1.2.0"),),
            ),
        ),
        problems=(Problem(code="truncated", reason="the file ends early", source="a/b.dcm"),),
    )


FULL = {
    "pictures": [picture(prior_image_png=PNG, prior_overlay_png=PNG, prior_frame=1, prior_frames=6)],
    "series_pictures": [SeriesPicture(series_instance_uid="1.2.4", frame=2, image_png=PNG)],
    "problems": [Problem(code="not-dicom", reason="a text file", source="notes.txt")],
}
