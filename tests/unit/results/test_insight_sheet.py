import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from radiolucent.errors import EncodingError, MissingExtra, SetupError
from radiolucent.explain.overlay import overlay, plain, png
from radiolucent.findings.reading import (
    NOT_FOR_CLINICAL_USE,
    Completeness,
    Finding,
    Graded,
    Localisation,
    Reading,
    Refusal,
    UnreadSeries,
)
from radiolucent.imaging.study import Problem
from radiolucent.results import insight_sheet
from radiolucent.results.insight_sheet import insight_pdf, render_insight_sheet
from radiolucent.results.insight_view import CUT, cut, first_of, in_one_line
from tests.unit.results.pages import (
    ENGINE,
    FACTS,
    LOCATED,
    MADE_AT,
    PNG,
    finding,
    full_reading,
    parsed,
    picture,
    reading,
    region,
    series,
    text_of,
)

LIMITS = {ENGINE.label: ["Tumours under 8 mm are mostly missed"]}
LONG = "Wide WORDS that go on and on, <b>over</b> & over. " * 12
URGENT = Graded(level="1 critical", reasons=("base 1 critical: it bleeds [some-source]",), table_version="urgency 1")
SURE = Graded(level="high", reasons=("all-good: everything agrees [some-source]",), table_version="confidence 1")


def sheet(one: Reading, **changes: Any) -> str:
    options: dict[str, Any] = {"facts": FACTS, "pictures": [picture()], "limits": LIMITS, "made_at": MADE_AT}
    return render_insight_sheet(one, **{**options, **changes})


def judged(name: str = "glioma", **changes: Any) -> Finding:
    return finding(name, **{"urgency": URGENT, "confidence": SURE, "stability": 0.93, **changes})


def crowded() -> Reading:
    """Five findings, each text far too long, many series not read: more than any page holds."""
    reasons = {
        "urgency": Graded(level="1 critical", reasons=(LONG,) * 5, table_version="1"),
        "confidence": Graded(level="low", reasons=(LONG,) * 6, table_version="1"),
    }
    names = ("glioma", "meningioma", "pituitary-tumour", "acute-infarct", "midline-shift")
    above = [judged(name, basis="phantom", change="larger", change_note=LONG, **reasons) for name in names]
    below = [
        finding(name, positive=False, probability=None, localisation=None)
        for name in ("effusion", "nodule", "mass", "hernia", "fibrosis", "pneumonia", "oedema", "atelectasis")
    ]
    broken = Completeness(pooling="mean", largest_difference=2.0, tolerance=1e-4)
    parts = [series(*above, *below, description=LONG)]
    for index in range(4):
        engine = replace(ENGINE, version=f"9.9.{index}")
        parts.append(series(*below, engine=engine, series_instance_uid=f"1.2.{index + 50}", completeness=broken))
    refusals = (Refusal(code="x", reason=LONG),)
    unread = UnreadSeries(series_instance_uid="1.9", modality="MR", description=LONG, frames=9, refusals=refusals)
    problem = Problem(code="x", reason=LONG, source=LONG)
    return reading(
        *parts,
        study_instance_uid="2.25." + "9" * 59,
        unread=(unread,) * 7,
        problems=(problem,) * 5,
        software=LONG,
    )


def crowded_sheet(one: Reading, **changes: Any) -> str:
    facts = replace(FACTS, **{name: LONG for name in ("patient_id", "study_date", "description", "modality")})
    limits = {part.engine.label: [LONG] * 9 for part in one.series}
    options = {"facts": facts, "limits": limits, "study_url": "https://pacs.example.org/" + "w" * 300}
    return sheet(one, **{**options, **changes})


def drawn(*names: str) -> list[Any]:
    """Real overlays of the findings that `pages.finding` makes."""
    grey = np.tile(np.linspace(0, 160, 64, dtype=np.uint8), (64, 1))
    heatmap = finding().heatmap
    over = overlay(grey, heatmap, 2, LOCATED, finding_label="Glioma", engine_label=ENGINE.label)
    return [picture(finding=name, image_png=png(plain(grey)), overlay_png=png(over)) for name in names]


def as_pdf(html: str) -> bytes:
    try:
        return insight_pdf(html)
    except (MissingExtra, SetupError) as error:
        pytest.skip(f"needs weasyprint: {error}")


def as_image(html: str, folder: Path) -> np.ndarray[Any, Any]:
    if shutil.which("pdftoppm") is None:
        pytest.skip("needs pdftoppm: run scripts/install-peers")
    (folder / "sheet.pdf").write_bytes(as_pdf(html))
    subprocess.run(["pdftoppm", "-r", "60", "-png", "sheet.pdf", "sheet"], cwd=folder, check=True, timeout=60)
    (page,) = folder.glob("sheet*.png")
    return np.asarray(Image.open(page).convert("RGB")).astype(int)


def hot(pixels: np.ndarray[Any, Any]) -> int:
    """Pixels in the bright half of the overlay's colours: orange to pale yellow, which nothing else is."""
    red, green, blue = pixels[..., 0], pixels[..., 1], pixels[..., 2]
    return int(((red > 190) & (green > 90) & (green - blue > 50)).sum())


def test_a_located_finding_is_told_with_all_that_a_reader_needs() -> None:
    one = reading(series(judged(), finding("meningioma", positive=False, probability=0.12, localisation=None)))
    html = sheet(one, study_url="https://pacs.example.org/s/1")
    words = text_of(html)
    for expected in (
        NOT_FOR_CLINICAL_USE,
        "SYN-7",
        "2026-11-20",
        "1 critical",
        "Most urgent finding: Glioma (base 1 critical: it bleeds).",
        "confidence high",
        "everything agrees",
        "91 % calibrated probability, threshold 50 %",
        "Interval of this probability: none is known",
        "irregular or ring-like enhancement",
        "Tumours under 8 mm are mostly missed",
        "Completeness difference 2e-06 logits, limit 1e-04",
        "Stability 0.93",
        "focal, 1 focus",
        "Largest focus 100 % of the map",
        "model attention from 1.2 to 4.0 logits",
        "line at 2.0; map of 8 × 8 cells",
        "Below threshold (1), value (threshold): Meningioma 12 % (50 %)",
        "brain-mri@1.2.0 sha256 " + "ab" * 32,
        "2.25.1",
        "2026-11-20 14:02 UTC",
    ):
        assert expected in words, expected
    assert '<a href="https://pacs.example.org/s/1">' in html
    assert "[some-source]" not in words


@pytest.mark.parametrize("name", ["located", "crowded", "not-read", "none"])
def test_a_page_is_well_formed_and_says_nothing_that_software_may_not_say(name: str) -> None:
    below = finding(positive=False, probability=0.1, localisation=None)
    made = {
        "located": sheet(full_reading()),
        "crowded": crowded_sheet(crowded()),
        "not-read": sheet(reading()),
        "none": sheet(reading(series(below))),
    }[name]
    images = [attributes for tag, attributes in parsed(made).seen if tag == "img"]
    assert all(attributes["alt"] for attributes in images)
    words = text_of(made).lower()
    assert words.count(NOT_FOR_CLINICAL_USE.lower()) == 2
    for forbidden in ("normal", "lesion boundary", "boundary", "healthy", "diagnosis"):
        assert not re.search(rf"\b{forbidden}\b", words), forbidden


def test_a_score_that_is_not_calibrated_is_never_shown_in_per_cent() -> None:
    below = finding("meningioma", positive=False, probability=None, score=0.12, localisation=None)
    words = text_of(sheet(reading(series(judged(probability=None, score=0.88), below))))
    assert "0.88 score, not calibrated, threshold 0.50" in words
    assert "Not calibrated: how likely the finding is, is not known" in words
    assert "Meningioma score 0.12 (0.50)" in words
    # the only share that is left is that of the map
    assert re.findall(r"\d+ %", words) == ["100 %"]


def test_where_the_place_is_withheld_no_picture_and_no_place_is_shown() -> None:
    withheld = Localisation(status="withheld", reason="localisation is not part of the intended use", regions=())
    html = sheet(reading(series(judged(localisation=withheld))))
    words = text_of(html)
    assert "<img" not in html
    assert "Place withheld. Localisation is not part of the intended use." in words
    for told in ("slice", "left", "Colour:", "of the map"):
        assert told not in words, told


def test_a_failed_explanation_shows_the_image_alone_and_says_why() -> None:
    failed = Localisation(status="failed", reason="the map holds values that are no finite numbers")
    html = sheet(reading(series(judged(localisation=failed))))
    assert html.count("<img") == 1
    assert "No explanation. The map holds values that are no finite numbers." in text_of(html)
    assert "AI overlay" not in html


def test_an_empty_map_is_a_result_of_its_own() -> None:
    empty = Localisation(status="empty", contour_level=1.2)
    words = text_of(sheet(reading(series(judged(localisation=empty)))))
    assert "No focus above threshold." in words
    assert "Nothing is drawn: the map stays under 1.2 logits everywhere." in words
    assert "Focality no focus" in words


def test_without_a_picture_the_page_says_so() -> None:
    assert "There is no picture of this finding." in text_of(sheet(reading(series(judged())), pictures=[]))


def test_at_most_two_findings_have_pictures_and_the_most_critical_one_comes_first() -> None:
    later = Graded(level="3 soon", reasons=(), table_version="1")
    names = ("meningioma", "glioma", "acute-infarct", "midline-shift", "pituitary-tumour", "any-haemorrhage")
    parts = [judged(name, urgency=later if name == "meningioma" else URGENT) for name in names]
    html = sheet(reading(series(*parts)), pictures=[picture(finding=name) for name in names])
    words = text_of(html)
    assert html.count("<article") == 2
    assert html.count("<img") == 4
    assert "… and 2 more, see the report" in words
    assert words.index("1 Glioma") < words.index("Also above threshold") < words.index("confidence high 91 %")


def test_a_most_critical_finding_without_a_place_still_leads_beside_the_first_located_one() -> None:
    empty = judged("acute-infarct", localisation=Localisation(status="empty"), probability=0.99)
    html = sheet(reading(series(judged(), empty)))
    assert html.index("Acute infarct") < html.index("</span> Glioma")
    assert html.count("<article") == 2


def test_with_nothing_above_threshold_the_page_lists_what_was_looked_for() -> None:
    below = [finding(name, positive=False, probability=0.1, localisation=None) for name in ("glioma", "meningioma")]
    words = text_of(sheet(reading(series(*below))))
    assert "5 no finding above threshold" in words
    assert "Looked for, and below threshold Glioma 10 %, threshold 50 %" in words
    assert "This rules nothing out." in words


def test_a_study_that_was_not_read_is_not_graded_and_says_why() -> None:
    words = text_of(sheet(full := replace(full_reading(), series=()), pictures=[]))
    assert full.state == "not-read"
    assert "Not read." in words
    assert "not graded" in words
    assert "PD (MR, 20 images): it has no contrast agent" in words
    assert "a/b.dcm: the file ends early" in words
    assert "no finding above threshold" not in words.lower()


def test_findings_that_nobody_judged_are_shown_without_a_grade() -> None:
    words = text_of(sheet(reading(series(finding()))))
    assert "urgency not graded" in words
    assert "confidence not judged" in words
    assert "Stability not measured" in words


def test_synthetic_training_and_missing_limits_are_said() -> None:
    words = text_of(sheet(reading(series(judged(basis="phantom"))), limits={}))
    assert "Learned from synthetic images only" in words
    assert "No limits are recorded for this engine" in words


def test_a_map_that_does_not_give_the_score_back_is_said_first() -> None:
    broken = Completeness(pooling="mean", largest_difference=2.0, tolerance=1e-4)
    parts = [series(judged()), series(judged(), series_instance_uid="1.2.4", completeness=broken)]
    assert "1 of 2 series: The stored map does not give the score back" in text_of(sheet(reading(*parts)))


def test_text_from_headers_files_and_engines_is_escaped() -> None:
    evil = "<script>x</script>"
    one = reading(
        series(judged(urgency=replace(URGENT, reasons=(evil,))), description=evil),
        problems=(Problem(code=evil, reason=evil, source=evil),),
        software=evil,
    )
    facts = replace(FACTS, patient_id=evil, study_date=evil, description=evil)
    html = sheet(one, facts=facts, limits={ENGINE.label: [evil]}, study_url='https://x.example/"><script>x')
    parsed(html)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") >= 7


@pytest.mark.parametrize("address", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"])
def test_an_address_that_is_no_web_address_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="must begin with http"):
        sheet(reading(), study_url=address)


def test_whatever_is_cut_says_how_much_is_missing() -> None:
    words = text_of(crowded_sheet(crowded()))
    assert CUT in words
    missing = [int(number) for number in re.findall(r"… and (\d+) more, see the report", words)]
    # confidence and urgency of two findings, names below, what was not read, limits, engines; others fit
    assert len(missing) == 8
    assert all(number > 0 for number in missing)


@given(st.lists(st.text(min_size=1, max_size=30), max_size=12), st.integers(1, 8))
def test_a_cut_list_and_what_it_says_is_missing_are_the_whole_list(lines: list[str], most: int) -> None:
    kept = first_of(lines, most)
    assert len(kept) <= most
    if kept != lines:
        number = re.fullmatch(r"… and (\d+) more, see the report", kept[-1])
        assert number is not None
        assert len(kept) - 1 + int(number.group(1)) == len(lines)


@given(st.text(max_size=90), st.integers(30, 60))
def test_a_cut_text_is_never_longer_and_shows_that_it_was_cut(text: str, most: int) -> None:
    short = cut(text, most)
    assert len(short) <= most
    assert short == text or short.endswith(CUT)


@given(st.lists(st.text("abc", min_size=1, max_size=20), min_size=1, max_size=9), st.integers(40, 80))
def test_names_on_one_line_fit_it(parts: list[str], most: int) -> None:
    line = in_one_line(parts, most)
    assert len(line) <= most
    assert line == ", ".join(parts) or line.endswith("more, see the report")


@settings(max_examples=10, deadline=None)
@given(st.binary(max_size=8))
def test_the_same_reading_gives_the_same_page(digest: bytes) -> None:
    one = reading(series(judged(), engine=replace(ENGINE, digest=digest.hex())))
    assert sheet(one) == sheet(one)


@pytest.mark.parametrize(("findings", "all_read"), [(0, False), (1, False), (5, False), (2, True), (3, True)])
def test_the_most_crowded_page_is_one_upright_a4_page(findings: int, all_read: bool, tmp_path: Path) -> None:
    one = replace(crowded(), unread=(), problems=()) if all_read else crowded()
    above = [part for part in one.series[0].findings if part.positive][:findings]
    rest = [part for part in one.series[0].findings if not part.positive]
    one = replace(one, series=(replace(one.series[0], findings=(*above, *rest)), *one.series[1:]))
    pdf = as_pdf(crowded_sheet(one, pictures=drawn(*(part.name for part in above))))
    if shutil.which("pdfinfo") is None:
        pytest.skip("needs pdfinfo: run scripts/install-peers")
    (tmp_path / "sheet.pdf").write_bytes(pdf)
    told = subprocess.run(["pdfinfo", tmp_path / "sheet.pdf"], capture_output=True, text=True, check=True).stdout
    assert re.search(r"^Pages: +1$", told, re.MULTILINE)
    assert re.search(r"^Page size: +59[45]\.\d+ x 84[12]\.\d+ pts \(A4\)$", told, re.MULTILINE)


def test_the_overlays_colours_are_on_paper_and_on_no_page_without_a_place(tmp_path: Path) -> None:
    withheld = Localisation(status="withheld", reason="not part of the intended use")
    for folder in ("located", "withheld"):
        (tmp_path / folder).mkdir()
    shown = as_image(sheet(reading(series(judged())), pictures=drawn("glioma")), tmp_path / "located")
    hidden = reading(series(judged(localisation=withheld)))
    blank = as_image(sheet(hidden, pictures=drawn("glioma")), tmp_path / "withheld")
    assert hot(shown) > 100
    assert hot(blank) == 0
    assert (shown.sum(axis=2) < 300).mean() > 0.02


def test_the_same_page_gives_the_same_pdf() -> None:
    html = sheet(reading(series(judged())), pictures=drawn("glioma"))
    assert as_pdf(html) == as_pdf(html)


def test_a_page_that_grew_is_refused_rather_than_split() -> None:
    html = sheet(reading(series(judged())), pictures=[])
    with pytest.raises(EncodingError, match="takes 2 pages"):
        as_pdf(html.replace("<footer>", '<p style="height: 240mm"></p><footer>'))


def test_nothing_is_fetched_for_a_pdf(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(PNG)
    html = sheet(reading(series(judged())), pictures=[])
    outside = html.replace("<footer>", f'<img src="{(tmp_path / "x.png").as_uri()}" alt="x"><footer>')
    assert as_pdf(outside) == as_pdf(html.replace("<footer>", '<img src="data:," alt="x"><footer>'))


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (ModuleNotFoundError("No module named 'weasyprint'"), MissingExtra),
        (OSError("cannot load library 'libpango-1.0-0'"), SetupError),
    ],
)
def test_a_missing_library_is_named(
    raised: Exception, expected: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        assert name == "weasyprint"
        raise raised

    monkeypatch.setattr(insight_sheet, "import_module", absent)
    with pytest.raises(expected, match=r"pdf|Pango"):
        insight_pdf("<p>x</p>")


def test_a_region_among_several_holds_only_its_share() -> None:
    several = replace(LOCATED, regions=(region(share=0.7), region(share=0.3)), focality="multifocal")
    words = text_of(sheet(reading(series(judged(localisation=several)))))
    assert "multifocal, 2 foci" in words
    assert "Largest focus 70 % of the map" in words
