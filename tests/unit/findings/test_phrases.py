"""Words of each language: complete, in order, and with the language's own numbers."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from radiolucent.findings.confidence import default_confidence
from radiolucent.findings.phrases import LANGUAGES, phrases, site_phrases
from radiolucent.findings.tables import InvalidTable
from radiolucent.findings.taxonomy import FINDINGS

EACH_LANGUAGE = pytest.mark.parametrize("language", LANGUAGES)
PACKAGED = resources.files("radiolucent.findings").joinpath("tables", "phrases.en.toml").read_text(encoding="utf-8")


@EACH_LANGUAGE
def test_every_disagreement_has_words(language: str) -> None:
    table = default_confidence()
    spoken = set(phrases(language).review)
    assert spoken >= set(table.outside.values()) | set(table.unusual.values()) | {"evidence outside the body"}


def test_english_names_are_those_of_the_taxonomy() -> None:
    assert {name: row.noun for name, row in FINDINGS.items()} == phrases("en").names


def test_the_english_rows_are_those_of_the_confidence_table() -> None:
    assert {row.name: row.why for row in default_confidence().rows} == phrases("en").confidence_rows


@given(low=st.floats(0, 1), high=st.floats(0, 1))
def test_a_higher_probability_never_sounds_less_sure(low: float, high: float) -> None:
    low, high = sorted((low, high))
    for language in LANGUAGES:
        words = phrases(language)
        order = [band.phrase for band in words.probability]
        assert order.index(words.likelihood(high)) <= order.index(words.likelihood(low))


@pytest.mark.parametrize("language", LANGUAGES)
def test_nobody_suspects_a_plate(language: str) -> None:
    words = phrases(language)
    suspicious = words.likelihood(0.7)
    assert words.claim("fracture", 0.7) == f"{suspicious} {words.name('fracture')}"
    for thing in ("hardware", "support-device"):
        assert suspicious not in words.claim(thing, 0.7)
        assert words.claim(thing, 0.7).endswith(words.name(thing))
        assert words.claim(thing, 0.95) == f"{words.likelihood(0.95)} {words.name(thing)}"
        assert words.claim(thing, None) == f"{words.words['uncalibrated']} {words.name(thing)}"


@pytest.mark.parametrize(
    ("probability", "english", "german"),
    [(0.995, "over 99 %", "über 99 %"), (0.84, "84 %", "84 %"), (0.001, "under 1 %", "unter 1 %")],
)
def test_a_probability_is_never_0_or_100_per_cent(probability: float, english: str, german: str) -> None:
    assert [phrases(name).percent(probability) for name in LANGUAGES] == [english, german]


def test_numbers_have_the_decimal_sign_of_the_language() -> None:
    assert [phrases(name).number(3.14159, 2) for name in LANGUAGES] == ["3.14", "3,14"]


@pytest.mark.parametrize(
    ("before", "after", "why"),
    [
        ("at_least = 0.0", "at_least = 0.05", "last one at 0"),
        ("at_least = 0.9", "at_least = 0.5", "must fall"),
        ('glioma = "glioma"', 'gliom = "glioma"', "names: missing or unknown gliom, glioma"),
        ('hardware = ["lucency', 'hardwear = ["lucency', "verify"),
        ('hardware = ["metal on', 'hardwear = ["metal on', "mimics"),
        ('all-agree = "', 'all-agreed = "', "confidence_rows"),
    ],
)
def test_a_site_file_with_a_gap_is_refused(tmp_path: Path, before: str, after: str, why: str) -> None:
    assert before in PACKAGED
    path = tmp_path / "words.toml"
    path.write_text(PACKAGED.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(InvalidTable, match=why):
        site_phrases(path)
