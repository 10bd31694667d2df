"""Quantities in words, in both languages, and in the rules that ask for them."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest

from radiolucent.findings.phrases import LANGUAGES, phrases
from radiolucent.findings.quantities import in_words
from radiolucent.findings.reading import Measurement

SHIFT = Measurement(name="midline-shift", value=6.4, unit="mm", note="how", side="right")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["midline-shift", "blood-volume"])
def test_every_quantity_has_words_for_a_number_and_for_none(
    language: str, name: Literal["midline-shift", "blood-volume"]
) -> None:
    one = replace(SHIFT, name=name)
    number, none = in_words(one, phrases(language)), in_words(replace(one, value=None), phrases(language))
    assert "6" in number
    assert "how" in none
    assert "6" not in none


def test_a_volume_under_ten_millilitres_keeps_a_decimal_in_the_signs_of_the_language() -> None:
    volume = Measurement(name="blood-volume", value=3.84, unit="ml", note="how")
    assert "3.8 ml" in in_words(volume, phrases("en"))
    assert "3,8 ml" in in_words(volume, phrases("de"))


def test_the_direction_of_a_shift_is_told_and_its_middle_is_not() -> None:
    assert "nach rechts" in in_words(SHIFT, phrases("de"))
    assert "to the" not in in_words(replace(SHIFT, side="midline", value=0.0), phrases("en"))
