import re
from dataclasses import replace

import numpy as np
import pytest

from radiolucent.findings.reading import (
    Completeness,
    Graded,
    Localisation,
)
from radiolucent.imaging.heatmap import Heatmap
from radiolucent.imaging.study import Frame
from tests.unit.results.pages import (
    FULL,
    LOCATED,
    RECORD,
    finding,
    full_reading,
    page,
    picture,
    reading,
    region,
    series,
    text_of,
)


@pytest.mark.parametrize("word", ["normal", "lesion", "%"])
def test_words_that_claim_too_much_are_never_used(word: str) -> None:
    uncalibrated = finding(probability=None, localisation=replace(LOCATED, regions=()))
    words = text_of(page(reading(series(uncalibrated)))).lower()
    assert word not in words


def test_an_uncalibrated_score_is_called_a_score() -> None:
    words = text_of(page(reading(series(finding(probability=None)))))
    assert "0.88 score, not calibrated, operating point 0.50" in words
    assert "calibrated probability" not in words


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


def test_the_most_urgent_finding_of_a_series_is_shown_first_whatever_its_score() -> None:
    later = finding(urgency=Graded(level="3 soon", reasons=("r",), table_version="t"), probability=0.99)
    first = replace(
        finding(name="meningioma"),
        urgency=Graded(level="1 critical", reasons=("r",), table_version="t"),
        probability=0.6,
    )
    html = page(reading(series(later, first)))
    articles = re.findall(r'<article id="[^"]*" aria-label="([^"]*)"', html)
    assert articles == ["Meningioma", "Glioma"]


def test_a_picture_of_another_stack_is_never_shown_under_a_finding() -> None:
    second = series(finding(), part=2)
    words = text_of(page(reading(second)))
    assert "There is no picture of this finding" in words
    named = page(reading(second), pictures=[picture(series_instance_uid=second.key)])
    assert "AI overlay" in named


def test_two_pictures_of_one_finding_are_refused() -> None:
    with pytest.raises(ValueError, match="two pictures of glioma"):
        page(reading(series(finding())), pictures=[picture(), picture()])
