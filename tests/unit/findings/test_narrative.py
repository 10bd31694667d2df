"""The report in words: order, honesty about probability, what was not read, and words that may never stand there."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.findings.judgement import judge
from radiolucent.findings.narrative import Narrative, texts, write
from radiolucent.findings.phrases import LANGUAGES
from radiolucent.findings.reading import NOT_FOR_CLINICAL_USE, Finding, Localisation, Reading, Refusal, UnreadSeries
from radiolucent.findings.tables import InvalidTable
from radiolucent.findings.taxonomy import FINDINGS
from radiolucent.imaging.study import Problem

MakeFinding = Callable[..., Finding]
MakeReading = Callable[..., Reading]

PACKAGE = resources.files("radiolucent.findings")
EACH_LANGUAGE = pytest.mark.parametrize("language", LANGUAGES)
FORBIDDEN = {
    "en": (
        r"normal",
        r"unremarkable",
        r"healthy",
        r"clear\b",
        r"rul(e|ed|es) out",
        r"exclud",
        r"attention",
        r"saliency",
        r"grad-?cam",
        r"boundar",
        r"recommend",
        r"should",
        r"diagnosis",
        r"lesion size",
    ),
    "de": (
        r"normal",
        r"unauffällig",
        r"gesund",
        r"ausgeschlossen",
        r"ausschluss",
        r"aufmerksamkeit",
        r"läsionsgrenze",
        r"empfehl",
        r"empfohlen",
        r"\bsollte",
        r"diagnose\b",
    ),
}
UNREAD = UnreadSeries(
    series_instance_uid="2.25.7",
    modality="MR",
    description="PD",
    frames=1,
    refusals=(
        Refusal(code="weighting", reason="not T1 weighted."),
        Refusal(code="weighting", reason="not T1 weighted."),
    ),
)


def judged(*findings: Finding, make: MakeReading, **changes: Any) -> Reading:
    return judge(
        make(*findings, **changes),
        bundle_priors={("brain-mri", "glioma"): np.ones((4, 4), dtype=np.float32)},
        body_boxes={"2.25.100": (0, 0, 64, 64)},
    )


def whole(narrative: Narrative) -> str:
    return "\n".join(texts(narrative))


def values(node: Any) -> list[str]:
    """All texts of a table, without its keys."""
    if isinstance(node, dict):
        return [text for item in node.values() for text in values(item)]
    return [text for item in node for text in values(item)] if isinstance(node, list) else [str(node)]


@EACH_LANGUAGE
def test_no_phrase_and_no_template_holds_a_forbidden_word(language: str) -> None:
    words = values(tomllib.loads(PACKAGE.joinpath("tables", f"phrases.{language}.toml").read_text(encoding="utf-8")))
    folder = PACKAGE.joinpath("templates", language)
    parts = [file.read_text(encoding="utf-8") for file in folder.iterdir() if file.is_file()]
    parts += [file.read_text(encoding="utf-8") for file in folder.joinpath("scope").iterdir()]
    for forbidden in FORBIDDEN[language]:
        assert not re.search(forbidden, "\n".join([*words, *parts]), re.IGNORECASE), forbidden


@EACH_LANGUAGE
@pytest.mark.parametrize("name", sorted(FINDINGS))
def test_no_report_of_any_finding_holds_a_forbidden_word(
    a_finding: MakeFinding, a_reading: MakeReading, language: str, name: str
) -> None:
    for findings in ((a_finding(name),), (a_finding(name, probability=None),), (a_finding(name, positive=False),), ()):
        text = whole(write(judged(*findings, make=a_reading), language))
        found = [word for word in FORBIDDEN[language] if re.search(word, text, re.IGNORECASE)]
        assert found == []


def test_every_language_has_the_same_keys_and_templates() -> None:
    def shape(value: Any) -> Any:
        return {key: shape(item) for key, item in value.items()} if isinstance(value, dict) else type(value).__name__

    tables = [
        tomllib.loads(PACKAGE.joinpath("tables", f"phrases.{name}.toml").read_text("utf-8")) for name in LANGUAGES
    ]
    assert shape(tables[0]) == shape(tables[1])
    assert {key: len(value) for key, value in tables[0]["verify"].items()} == {
        key: len(value) for key, value in tables[1]["verify"].items()
    }
    files = [
        sorted(file.name for part in (".", "scope") for file in PACKAGE.joinpath("templates", name, part).iterdir())
        for name in LANGUAGES
    ]
    assert files[0] == files[1]


@EACH_LANGUAGE
def test_every_report_ends_with_not_for_clinical_use(a_reading: MakeReading, language: str) -> None:
    narrative = write(a_reading(), language)
    assert texts(narrative)[-1] == narrative.disclaimer
    assert (narrative.disclaimer == NOT_FOR_CLINICAL_USE) == (language == "en")


def test_the_most_critical_finding_comes_first_with_place_and_measure(
    a_finding: MakeFinding, a_reading: MakeReading
) -> None:
    reading = judged(
        a_finding("meningioma", probability=0.99),
        a_finding("acute-infarct", probability=0.6),
        a_finding("glioma", probability=0.7),
        make=a_reading,
    )
    narrative = write(reading)
    lines = narrative.impression_text.splitlines()
    assert [line.split(" (")[0] for line in lines] == [
        "1. Possible acute infarct",
        "2. Suspicious for glioma",
        "3. Consistent with meningioma",
    ]
    assert "1. Acute infarct, 1 critical." in narrative.findings_text
    assert (
        "Most of the evidence: left, anterior, middle third of the imaged height; slice 5 of 10; "
        "evidence over 30 × 20 mm, 9.0 ml." in narrative.findings_text
    )
    assert [note.name for note in narrative.notes] == ["acute-infarct", "glioma", "meningioma"]


def test_the_second_language_says_the_same_in_its_own_words(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    narrative = write(judged(a_finding(probability=0.84), make=a_reading), "de")
    assert narrative.impression_text == (
        "1. Verdächtig auf Gliom (2 dringend; Verlässlichkeit mittel). Links, vorn, mittleres Drittel der "
        "aufgenommenen Höhe."
    )
    assert "kalibrierte Wahrscheinlichkeit 84 %, Schwelle 50 %" in narrative.findings_text
    assert "9,0 ml" in narrative.findings_text


@given(probability=st.floats(0.5, 1), score=st.floats(0, 1))
def test_an_uncalibrated_score_never_becomes_a_percentage(
    a_finding: MakeFinding, a_reading: MakeReading, probability: float, score: float
) -> None:
    calibrated = a_reading(a_finding(probability=probability))
    scored = a_reading(
        a_finding(probability=None, score=score), a_finding("meningioma", positive=False, probability=None)
    )
    for language in LANGUAGES:
        assert "%" in write(calibrated, language).findings_text
        assert "%" not in whole(write(scored, language))


def test_a_probability_is_never_said_to_be_certain(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    text = write(a_reading(a_finding(probability=1.0), a_finding("meningioma", positive=False, probability=0.0)))
    assert "over 99 %" in text.findings_text
    assert "under 1 %" in text.findings_text


def test_negatives_are_stated_with_what_was_looked_for(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    narrative = write(a_reading(a_finding(positive=False, probability=0.02)))
    assert (
        narrative.impression_text == "No finding above threshold. Looked for: glioma. Other disease was not looked for."
    )
    assert "No finding above threshold." in narrative.findings_text
    assert "Below threshold: glioma (calibrated probability 2 %, threshold 50 %)." in narrative.findings_text


def test_a_study_that_was_not_read_makes_no_statement(a_reading: MakeReading) -> None:
    narrative = write(a_reading(series=(), unread=(UNREAD,), problems=(Problem(code="x", reason="a.dcm: truncated."),)))
    assert narrative.impression_text == "Not read. This is no statement about the study."
    assert narrative.not_read_text.splitlines() == [
        "PD (MR, 1 image) was not read: not T1 weighted.",
        "a.dcm: truncated.",
    ]
    assert "No finding" not in whole(narrative)


def test_a_study_read_in_part_says_so(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    narrative = write(a_reading(a_finding(), unread=(UNREAD,)))
    assert narrative.impression_text.splitlines()[-1] == 'Part of the study was not read; see "Not read".'


def test_a_disagreement_asks_for_a_close_look(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    reading = judge(
        a_reading(a_finding()),
        bundle_priors={("brain-mri", "glioma"): np.zeros((4, 4), dtype=np.float32)},
        body_boxes={"2.25.100": (0, 0, 64, 64)},
    )
    assert "Please look closely: unexpected site." in write(reading).impression_text
    assert "Bitte genau ansehen: unerwarteter Ort." in write(reading, "de").impression_text


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (Localisation(status="empty"), "No focus above threshold in the map"),
        (Localisation(status="failed", reason="x"), "No explanation could be made"),
        (Localisation(status="withheld"), "Its place is not part of the intended use here"),
        (None, "Its place was not determined"),
    ],
)
def test_without_a_place_the_report_says_why(
    a_finding: MakeFinding, a_reading: MakeReading, place: Localisation | None, words: str
) -> None:
    assert words in write(a_reading(a_finding(localisation=place))).findings_text


def test_change_is_told_with_its_numbers_and_no_comparison_with_its_reason(
    a_finding: MakeFinding, a_reading: MakeReading
) -> None:
    larger = a_finding(change="larger", change_note="9 → 14.5 ml (+61 %) of evidence, tolerance +40 % [wen-2023]")
    apart = a_finding("meningioma", change="not-compared", change_note="prior by a@1, this study by a@2")
    gone = a_finding("pituitary-tumour", positive=False, change="resolved", change_note="x")
    text = write(a_reading(larger, apart, gone)).findings_text
    assert "Larger than on the prior study: 9 → 14.5 ml (+61 %)." in text
    assert "Not compared with the prior study (prior by a@1, this study by a@2)." in text
    assert "no longer above threshold" in text
    german = write(a_reading(larger, apart), "de").findings_text
    assert "9 → 14,5 ml (+61 %)" in german
    assert "(Englisch: prior by a@1, this study by a@2)" in german


def test_an_engine_known_from_synthetic_images_only_is_marked(a_finding: MakeFinding, a_reading: MakeReading) -> None:
    assert "engine trained on synthetic images only" in write(a_reading(a_finding(basis="phantom"))).findings_text


def test_the_engines_own_limits_and_failure_modes_are_carried_over(
    a_finding: MakeFinding, a_reading: MakeReading
) -> None:
    narrative = write(
        a_reading(a_finding()),
        limits={"brain-mri@1.0.0": ["Adults only"]},
        failure_modes={"brain-mri@1.0.0": ["Misses foci under 5 mm"]},
    )
    assert narrative.scope_text.endswith("Adults only.")
    assert narrative.notes[0].failure_modes == ("Misses foci under 5 mm",)
    assert "dural" not in narrative.notes[0].verify
    assert "abscess" in narrative.notes[0].mimics


@pytest.mark.parametrize(
    ("modality", "words"), [("DX", "projection hides"), ("CT", "early findings"), ("US", "coarse")]
)
def test_the_scope_depends_on_the_modality(
    a_finding: MakeFinding, a_reading: MakeReading, modality: str, words: str
) -> None:
    narrative = write(a_reading(a_finding(), series_changes={"modality": modality}))
    assert words in narrative.scope_text


def test_a_site_replaces_a_template_and_keeps_the_others(
    a_finding: MakeFinding, a_reading: MakeReading, tmp_path: Path
) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "impression.j2").write_text("{{ positives[0].label }} at our site.", encoding="utf-8")
    narrative = write(a_reading(a_finding()), templates=tmp_path)
    assert narrative.impression_text == "Glioma at our site."
    assert narrative.findings_text == write(a_reading(a_finding())).findings_text


@pytest.mark.parametrize("template", ["{{ nothing_of_the_kind }}", "{% for %}", "{{ ''.__class__.__mro__ }}"])
def test_a_site_template_with_a_fault_is_refused(
    a_finding: MakeFinding, a_reading: MakeReading, tmp_path: Path, template: str
) -> None:
    (tmp_path / "en").mkdir()
    (tmp_path / "en" / "impression.j2").write_text(template, encoding="utf-8")
    with pytest.raises(InvalidTable, match="template can't be used"):
        write(a_reading(a_finding()), templates=tmp_path)


def test_an_unknown_language_is_refused(a_reading: MakeReading) -> None:
    with pytest.raises(InvalidTable, match="use one of en, de"):
        write(a_reading(), "fr")


def test_series_are_told_in_the_order_of_their_most_critical_finding(
    a_finding: MakeFinding, a_reading: MakeReading
) -> None:
    first, second = (a_reading(finding).series[0] for finding in (a_finding("glioma"), a_finding("acute-infarct")))
    reading = a_reading(series=(first, replace(second, description="DWI", series_instance_uid="2.25.5")))
    text = write(judge(reading, bundle_priors={}, body_boxes={})).findings_text
    assert text.index("DWI") < text.index("T1 post")
    assert text.index("1. Acute infarct") < text.index("2. Glioma")
