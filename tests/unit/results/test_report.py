import re
from typing import Any

import pytest

from radiolucent.findings.reading import (
    NOT_FOR_CLINICAL_USE,
)
from radiolucent.imaging.study import Problem
from radiolucent.results.report import (
    IndexCard,
    StudyFacts,
    render_index,
)
from tests.unit.results.pages import (
    FULL,
    MADE_AT,
    PNG,
    finding,
    full_reading,
    page,
    parsed,
    picture,
    reading,
    series,
    text_of,
)


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


def test_with_nothing_read_at_all_the_problems_are_the_page() -> None:
    words = text_of(page(pictures=[], problems=[Problem(code="not-dicom", reason="a text file", source="notes.txt")]))
    assert "Nothing that was given could be read" in words
    assert "notes.txt" in words


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
