import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from radiolucent.findings.reading import (
    NOT_FOR_CLINICAL_USE,
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
    IndexCard,
    SeriesPicture,
    StudyFacts,
    render_index,
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


def test_every_tag_is_closed_and_every_image_has_words() -> None:
    tags = parsed(page(full_reading(), **FULL)).seen
    images = [attributes for tag, attributes in tags if tag == "img"]
    assert len(images) == 5
    assert all(attributes["alt"] for attributes in images)
    charts = [attributes for tag, attributes in tags if tag == "svg"]
    assert charts
    assert all(attributes["role"] == "img" and attributes["aria-label"] for attributes in charts)
    assert all(attributes.get("scope") in {"row", "col"} for tag, attributes in tags if tag == "th")


def test_the_page_needs_nothing_from_outside_and_runs_no_script() -> None:
    html = page(full_reading(), **FULL)
    tags = parsed(html).seen
    assert "script" not in {tag for tag, _ in tags}
    for tag, attributes in tags:
        for name in ("src", "href"):
            if name in attributes:
                assert str(attributes[name]).startswith(("data:image/png;base64,", "#")), (tag, attributes)
    assert "url(" not in html
    assert "default-src 'none'" in html


def test_links_within_the_page_lead_somewhere() -> None:
    tags = parsed(page(full_reading(), **FULL)).seen
    anchors = {attributes.get("id") for _, attributes in tags}
    links = {str(attributes["href"])[1:] for tag, attributes in tags if tag == "a"}
    assert links
    assert links <= anchors


def test_a_positive_finding_is_told_with_everything_that_a_reader_needs() -> None:
    words = text_of(page(full_reading(), **FULL))
    for expected in (
        "SYN-7",
        "2026-11-20",
        "MR head",
        "Glioma",
        "1 critical",
        "confidence low",
        "larger (prior 2026-05-12)",
        "10 to 14 ml",
        "0.91 calibrated probability, operating point 0.50",
        "CURRENT",
        "PRIOR",
        "same absolute scale",
        "slice 3/5",
        "slice 2/6",
        "24 × 21 mm",
        "12.3 ml",
        "brain-mri@1.2.0",
        "abababababab",
        "Completeness checked",
        "a gap of 10 mm",
        "agreement: outside",
        "radiolucent 9.9",
        "2026-11-20 14:02 UTC",
        "100 ms (decode 10, engine 90)",
    ):
        assert expected in words, expected


def test_the_patients_name_has_no_place_on_the_page_and_the_title_names_nobody() -> None:
    html = page(full_reading(), **FULL)
    title = re.search(r"<title>(.*?)</title>", html)
    assert title is not None
    assert title.group(1) == "AI reading, 1 study"
    assert "patient_name" not in StudyFacts.__dataclass_fields__


def test_the_warning_stands_at_the_top_and_at_the_foot() -> None:
    words = text_of(page(full_reading(), **FULL))
    assert words.count(NOT_FOR_CLINICAL_USE) == 2


@pytest.mark.parametrize("word", ["normal", "lesion", "%"])
def test_words_that_claim_too_much_are_never_used(word: str) -> None:
    uncalibrated = finding(probability=None, localisation=replace(LOCATED, regions=()))
    words = text_of(page(reading(series(uncalibrated)))).lower()
    assert word not in words


def test_an_uncalibrated_score_is_called_a_score() -> None:
    words = text_of(page(reading(series(finding(probability=None)))))
    assert "0.88 score, not calibrated, operating point 0.50" in words
    assert "calibrated probability" not in words


def test_text_from_headers_and_files_is_escaped() -> None:
    evil = "<script>alert(1)</script>"
    facts = StudyFacts(study_instance_uid="2.25.1", patient_id=evil, description=evil, study_date=evil)
    html = page(
        reading(
            series(finding(change="new", change_note=evil), description=evil, notes=(evil,)),
            problems=(Problem(code=evil, reason=evil, source=evil),),
            software=evil,
        ),
        facts={"2.25.1": facts},
        problems=[Problem(code="x", reason=evil, source='"><img src=x>')],
        pictures=[picture(caption=evil)],
    )
    parsed(html)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 9
    assert "<img src=x>" not in html


def test_an_empty_map_says_so_in_words() -> None:
    empty = finding(localisation=Localisation(status="empty", contour_level=1.2))
    words = text_of(page(reading(series(empty))))
    assert "No focus above threshold" in words
    assert "Extent" not in words


def test_a_failed_explanation_is_said_and_neither_map_nor_curve_is_drawn() -> None:
    failed = finding(localisation=Localisation(status="failed", reason="the map doesn't add up"))
    html = page(reading(series(failed)), pictures=[picture(overlay_png=None)])
    assert "No explanation." in text_of(html)
    assert "doesn&#39;t add up" in html
    assert "AI overlay" not in html
    assert 'class="curve"' not in html


def test_an_incomplete_map_is_a_warning_not_a_footnote() -> None:
    broken = series(finding(), completeness=Completeness(pooling="mean", largest_difference=0.3, tolerance=1e-4))
    assert "does not give the score back" in text_of(page(reading(broken)))
    whole = series(finding(), completeness=Completeness(pooling="mean", largest_difference=0.0, tolerance=1e-4))
    assert "adds up to the score" in text_of(page(reading(whole)))


def test_only_mean_pooling_is_said_to_add_up() -> None:
    words = text_of(page(reading(series(finding()))))
    assert "gives back the score (log-sum-exp pooling" in words
    assert "adds up" not in words


def test_a_finding_learned_from_phantoms_alone_says_so() -> None:
    assert "Learned from synthetic images only" in text_of(page(reading(series(finding(basis="phantom")))))
    assert "Learned from synthetic images only" not in text_of(page(reading(series(finding()))))


def test_findings_below_the_operating_point_are_one_step_away_not_absent() -> None:
    html = page(full_reading(), **FULL)
    folded = re.findall(r"<details>.*?</details>", html, flags=re.DOTALL)
    assert any("Meningioma" in part and "0.12" in part for part in folded)
    assert "No finding above threshold" in text_of(html)


def test_a_study_that_no_engine_read_is_said_to_be_not_read_with_the_reason() -> None:
    unread = full_reading().unread
    words = text_of(page(reading(unread=unread), pictures=[]))
    assert "Not read." in words
    assert "it has no contrast agent" in words
    assert "No finding above threshold" not in words


def test_with_nothing_read_at_all_the_problems_are_the_page() -> None:
    words = text_of(page(pictures=[], problems=[Problem(code="not-dicom", reason="a text file", source="notes.txt")]))
    assert "Nothing that was given could be read" in words
    assert "notes.txt" in words


def test_an_unknown_pixel_spacing_gives_pixels_and_never_mm() -> None:
    unknown = region(area_mm2=None, extent_mm=None, volume_ml=None, peak_mm=None, centroid_mm=None)
    flat = (Frame(sop_class_uid="1.2", sop_instance_uid="1.2.1"),)
    shown = finding(
        localisation=replace(LOCATED, regions=(replace(unknown, frame=0),), peak_frame=0, frames_involved=(0,)),
        heatmap=Heatmap(evidence=np.ones((1, 8, 8), dtype=np.float32) * 3, record=RECORD, display_scale=4.0),
    )
    words = text_of(page(reading(series(shown, frames=flat, kind="image", slice_spacing_mm=None))))
    assert "80 pixels" in words
    assert "unknown (no pixel spacing)" in words
    assert " mm" not in words


def test_several_foci_are_counted_as_the_picture_counts_them() -> None:
    two = replace(
        LOCATED, regions=(region(share=0.7), region(share=0.3)), focality="multifocal", laterality="bilateral"
    )
    html = page(reading(series(finding(localisation=two))))
    assert re.findall(r'<th scope="row">(\d)</th>', html) == ["1", "2"]
    assert "multifocal" in html


def test_the_most_urgent_finding_stands_first_in_the_summary() -> None:
    def graded(level: str) -> Graded:
        return Graded(level=level, reasons=(), table_version="1")

    both = reading(
        series(finding("meningioma", urgency=graded("3 soon"), probability=0.99), finding(urgency=graded("2 urgent")))
    )
    html = page(both)
    summary = html[: html.index("<h2>")]
    assert summary.index(">Glioma<") < summary.index(">Meningioma<")
    assert 'level-2">2 urgent' in summary


def test_a_picture_of_another_stack_is_never_shown_under_a_finding() -> None:
    second = series(finding(), part=2)
    words = text_of(page(reading(second)))
    assert "There is no picture of this finding" in words
    named = page(reading(second), pictures=[picture(series_instance_uid=second.key)])
    assert "AI overlay" in named


def test_two_pictures_of_one_finding_are_refused() -> None:
    with pytest.raises(ValueError, match="two pictures of glioma"):
        page(reading(series(finding())), pictures=[picture(), picture()])


def test_the_curve_marks_the_peak_slice_on_the_absolute_scale() -> None:
    faint = np.zeros((5, 8, 8), dtype=np.float32)
    faint[2] = 0.4
    shown = finding(
        heatmap=Heatmap(evidence=faint, record=RECORD, display_scale=4.0), localisation=Localisation(status="empty")
    )
    html = page(reading(series(shown)))
    assert "slice 3, 0.4" in html
    top = re.search(r'cy="([\d.]+)"', html)
    assert top is not None
    assert float(top.group(1)) > 95, "a faint map stays near the base line"


def contrast(first: str, second: str) -> float:
    """WCAG 2.2 contrast ratio of two #rrggbb colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    bright, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", [0, 1, 2])
def test_text_has_a_contrast_of_at_least_four_and_a_half_in_light_dark_and_print(theme: int) -> None:
    html = page(full_reading(), **FULL)
    blocks = re.findall(r":root \{(.*?)\}", html, flags=re.DOTALL)
    colours = dict(re.findall(r"--([a-z0-9-]+): (#[0-9a-f]{6})", blocks[theme]))
    assert len(blocks) == 3
    for ink in ("ink", "quiet", "link", "level2"):
        for paper in ("paper", "notice"):
            assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)
    assert contrast(colours["on-level"], colours["level1"]) >= 4.5
    for mark in ("bar", "curve", "tick", "error"):
        assert contrast(colours[mark], colours["paper"]) >= 3, mark


def card(**changes: Any) -> IndexCard:
    values: dict[str, Any] = {
        "title": "glioma",
        "report_href": "glioma/reading/report.html",
        "expected": ("Glioma",),
        "found": ("Glioma",),
        "distance_mm": 3.24,
        "inside": True,
        "thumbnail_png": PNG,
        "milliseconds": 512.0,
    }
    return IndexCard(**{**values, **changes})


def test_the_index_tells_truth_beside_what_was_found() -> None:
    clean = card(title="clean", expected=(), found=(), distance_mm=None, inside=None, thumbnail_png=None)
    wrong = card(title="other", found=("Meningioma",), distance_mm=12.4, inside=False)
    html = render_index([card(), clean, wrong], title="demo", made_at=MADE_AT, software="radiolucent 9.9")
    words = text_of(html)
    parsed(html)
    for expected in (
        "2 of 3 studies gave exactly what is in them. Largest distance 12.4 mm, over 2 located findings.",
        "3.2 mm",
        "no finding above threshold",
        "as expected",
        "not as expected",
        "no picture",
        "512 ms",
        NOT_FOR_CLINICAL_USE,
    ):
        assert expected in words, expected
    assert 'href="glioma/reading/report.html"' in html


def test_text_on_the_index_is_escaped() -> None:
    html = render_index(
        [card(title="<b>x</b>", note="<i>", found=("<u>",))], title="<s>", made_at=MADE_AT, software="<p>"
    )
    parsed(html)
    assert not re.search(r"<(b|i|u|s)>", html)
